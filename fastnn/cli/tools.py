"""`fastnn bench`, `fastnn plot` and `fastnn convert`: the speed of a saved model, pictures of it, and its weights for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastnn

from .. import plot as plot_py
from ..backends import current
from ..backends.base import seconds
from .common import backend_option, check_plot, check_targets, clean_errors, json_option, use

MOST_SAMPLES = 1 << 20


@click.command(short_help="Measure how long predictions of a model take.")
@click.argument("model_file", metavar="MODEL")
@click.option(
    "--batch-size",
    "sizes",
    multiple=True,
    type=click.IntRange(1, MOST_SAMPLES),
    default=(1, 32, 1024),
    show_default=True,
    help="Samples in a call; may be given several times.",
)
@backend_option
@json_option
def bench(model_file: str, sizes: tuple[int, ...], backend: str | None, as_json: bool) -> None:
    """Measure how long predict takes on samples of zeros, and how long the same model takes when it is frozen.

    Times are the median of 30 calls, in microseconds. Programs that run beside it make them longer.

    \b
    Examples:
      fastnn bench prices.fastnn
      fastnn bench policy.fastnn --batch-size 1 --json
    """
    with clean_errors():
        use(backend)
        model = fastnn.load(model_file, compile=False)
        rows = []
        for n in sizes:
            x = _samples(model, model_file, n)
            model.predict(x, verbose=0)  # the second call of a kind is recorded
            frozen = model.freeze(batch_size=n, **({} if isinstance(x, dict) else {"input_shape": x.shape[1:]}))
            calls = (lambda x=x: model.predict(x, verbose=0), lambda x=x, f=frozen: f(x))
            predict, call = (1e6 * seconds(f, current().wait) for f in calls)
            rows.append({"batch_size": n, "predict_us": round(predict, 2), "frozen_us": round(call, 2)})
        i = fastnn.info()
        if as_json:
            click.echo(json.dumps({"backend": i.backend, "isa": i.isa, "threads": i.threads, "calls": rows}))
            return
        click.echo(f"backend {i.backend}  ISA {i.isa}  threads {i.threads}\n")
        click.echo("batch size   predict, us   frozen, us   frozen, samples a second")
        for row in rows:
            rate = row["batch_size"] / row["frozen_us"] * 1e6
            click.echo(f"{row['batch_size']:10}  {row['predict_us']:12.2f}  {row['frozen_us']:11.2f}  {rate:25,.0f}")


def _samples(model: Any, model_file: str, n: int) -> Any:
    """Return n samples of zeros: an array, or a dict of arrays for a model with inputs that have names."""
    if hasattr(model, "input_names") and len(model.inputs) > 1:
        shapes = {name: (symbol.shape, symbol.dtype) for name, symbol in zip(model.input_names, model.inputs, strict=True)}
    else:
        dtype = model.inputs[0].dtype if hasattr(model, "input_names") else model.dtype
        shapes = {"": ((None, *(model.input_shape or ())), dtype)} if getattr(model, "input_shape", None) is not None else {}
    if not shapes or any(None in shape[1:] for shape, _ in shapes.values()):
        raise ValueError(f"{model_file}: the shape of the model's inputs is not known, so there is nothing to measure")
    arrays = {name: np.zeros((n, *shape[1:]), dtype) for name, (shape, dtype) in shapes.items()}
    return arrays.get("", arrays)


@click.command(short_help="Draw the layers of a model, or its weights.")
@click.argument("model_file", metavar="MODEL")
@click.option("--output", "-o", default=None, metavar="PICTURE", help="A .png, .pdf or .svg file.  [default: NAME.png]")
@click.option(
    "--what",
    type=click.Choice(["network", "weights", "images"]),
    default="network",
    show_default=True,
    help="The layers; histograms of the weights; the weights as pictures.",
)
def plot(model_file: str, output: str | None, what: str) -> None:
    """Draw the layers of a saved MODEL with the shapes between them, or its weights.

    The curves of a training are drawn by `fastnn train --plot`.

    \b
    Examples:
      fastnn plot prices.fastnn -o prices.svg
      fastnn plot digits.fastnn --what weights
    """
    with clean_errors():
        output = output or f"{Path(model_file).stem}.png"
        check_targets(model_file, None, {"--output": output})
        check_plot(output)
        model = fastnn.load(model_file, compile=False)
        if what == "network":
            plot_py.network(model, output)
        else:
            plot_py.weights(model, images=what == "images", path=output)
        click.echo(f"saved the picture to {output}")


@click.command(short_help="Write a model for other programs.")
@click.argument("model_file", metavar="MODEL")
@click.argument("output", metavar="OUT")
@click.option("--keep-optimizer", is_flag=True, help="For .fastnn: keep the state of the optimizer, to continue training.")
def convert(model_file: str, output: str, keep_optimizer: bool) -> None:
    """Write a saved MODEL to the file OUT, in the format of its ending.

    \b
      .safetensors   the weights by name, for PyTorch and others
      .npz           the weights by name, for NumPy
      .onnx          the model itself, for onnxruntime and others; needs
                     the package onnx
      .fastnn        the whole model, by default without the state of the
                     optimizer, which is twice as large as the weights

    \b
    Examples:
      fastnn convert digits.fastnn digits.safetensors
      fastnn convert digits.fastnn small.fastnn
    """
    with clean_errors():
        ending = Path(output).suffix.lower()
        if ending not in (".safetensors", ".npz", ".onnx", ".fastnn"):
            raise ValueError(f"{output}: wanted a file that ends with .safetensors, .npz, .onnx or .fastnn")
        if keep_optimizer and ending != ".fastnn":
            raise ValueError(f"--keep-optimizer goes with .fastnn, not with {ending}")
        check_targets(model_file, None, {"OUT": output} if ending in (".safetensors", ".fastnn") else {})
        model = fastnn.load(model_file)
        weights: dict[str, Any] = {name: np.asarray(a) for name, a in model.state_dict().items()}
        if ending == ".fastnn":
            model.save(output, include_optimizer=keep_optimizer)
        elif ending == ".onnx":
            model.export(output)
        elif ending == ".npz":
            np.savez(output, **weights)
        else:
            model.save_weights(output)
        count = sum(a.size for a in weights.values())
        click.echo(f"saved {count:,} numbers in {len(weights)} arrays to {output}")
