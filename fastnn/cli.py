"""The command line: `fastnn info`, `warmup`, `train`, `evaluate` and `predict`."""

from __future__ import annotations

import itertools
import math
import os
import struct
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastnn

from . import callbacks, datasets, plot
from .backends import current
from .backends.spec import KERNELS
from .backends.warmup import calls
from .datasets.arrays import read_npy, read_npz
from .files.place import target_of
from .training import sanity
from .training.data import arrays as data

Array = np.ndarray[Any, Any]

_LOSS = "sparse_categorical_crossentropy"
_SHOWN = 3
MOST_WEIGHTS = 1 << 28
"""Largest number of weights of a network, which is a gigabyte of float32."""
MOST_CLASSES = 1 << 16
"""Largest number of classes, unless there are as many samples: a label in a small file may be any number."""
MOST_PIXELS = 1 << 24
"""Largest number of pixels of an image. Its file may be a thousand times smaller."""


@dataclass
class Dataset:
    """Images or rows of features with class labels. ``test`` is None if there is no test data."""

    train: tuple[Array, Array]
    test: tuple[Array, Array] | None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fastnn")
def main() -> None:
    """Train neural networks and use them."""


@main.command()
def info() -> None:
    """Show which backend is in use, and why."""
    with _clean_errors():
        click.echo(str(fastnn.info()))


def _layers(ctx: click.Context, param: click.Parameter, text: str) -> list[int]:
    try:
        units = [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        units = [0]
    if any(n < 1 for n in units):
        raise click.BadParameter(f"{text!r}; wanted the hidden layers' units, such as 15,15,15")
    return units


def _finite(ctx: click.Context, param: click.Parameter, number: float) -> float:
    if not math.isfinite(number):
        raise click.BadParameter(f"{number}; wanted a finite number")
    return number


_backend_option = click.option("--backend", default=None, help="auto, cpp, numba, cupy or numpy; see `fastnn info`.")
_data_option = click.option("--data", "folder", default=None, help="For mnist: the folder with its four IDX files.")


@main.command()
@_backend_option
def warmup(backend: str | None) -> None:
    """Compile all kernels of a backend, and keep them on disk. Otherwise each kernel is compiled at its first use."""
    with _clean_errors():
        _use(backend)
        _warm_up(KERNELS)


@main.command()
@click.argument("dataset", metavar="DATASET|FILE")
@click.option("--layers", default="15,15,15", show_default=True, callback=_layers, help="Units of the hidden layers.")
@click.option("--epochs", default=30, show_default=True, type=click.IntRange(min=1))
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--lr", default=1e-3, show_default=True, type=click.FloatRange(min=0, min_open=True), callback=_finite, help="Learning rate."
)
@click.option("--optimizer", default="adam", show_default=True)
@_backend_option
@click.option("--seed", default=None, type=click.IntRange(min=0), help="Make the run repeatable.")
@_data_option
@click.option("--output", default=None, help="Save the model to this file.  [default: NAME.fastnn]")
@click.option("--plot", "plot_path", default=None, help="Draw the curves of loss and accuracy into this file (.png, .pdf, .svg).")
def train(
    dataset: str,
    layers: list[int],
    epochs: int,
    batch_size: int,
    lr: float,
    optimizer: str,
    backend: str | None,
    seed: int | None,
    folder: str | None,
    output: str | None,
    plot_path: str | None,
) -> None:
    """Train a classifier of dense layers and save it.

    DATASET is digits (comes with fastnn), mnist (with --data), or an .npz FILE with x_train and y_train, and optionally x_test
    and y_test: x has shape (n, ...), y contains whole numbers from 0. uint8 values are scaled to [0, 1].
    """
    with _clean_errors():
        target = Path(output or f"{Path(dataset).stem}.fastnn")
        _check_targets(dataset, folder, {"--output": str(target), "--plot": plot_path})
        if plot_path is not None:
            if Path(plot_path).suffix not in (".png", ".pdf", ".svg"):
                raise ValueError(f"--plot {plot_path}: wanted the name of a .png, .pdf or .svg file")
            plot.require()
        _use(backend)
        if seed is not None:
            fastnn.seed(seed)
        d = _load_dataset(dataset, folder)
        x, y = _features(d.train[0]), d.train[1]
        n_classes = 1 + max(int(part[1].max()) for part in (d.train, d.test) if part is not None)
        if n_classes == 1:
            raise ValueError(f"{dataset}: all labels are 0, so there are no classes to tell apart")
        if n_classes > max(MOST_CLASSES, len(y)):
            hint = "number the classes without gaps: np.unique(y, return_inverse=True)"
            raise ValueError(f"{dataset}: labels go up to {n_classes - 1}, but there are {len(y)} samples; {hint}")
        model = _build(x.shape[1], layers, n_classes)
        model.compile(optimizer=fastnn.optim.get(optimizer, lr=lr), loss=_LOSS, metrics=["accuracy"])
        model.summary()
        _echo_machine()
        verbose = 1 if sys.stderr.isatty() and sys.stdout.isatty() else 2
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the warning of TerminateOnNaN, which becomes the error below
            stop = callbacks.TerminateOnNaN()
            history = model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=verbose, callbacks=stop)
        _check_finite(model, history.history["loss"], target)
        seconds = time.perf_counter() - start
        click.echo(f"\ntrained in {seconds:.2f} s, {seconds / len(history.epoch):.3f} s an epoch")
        if d.test is not None:
            _echo_test(model, *d.test)
        model.save(target)
        click.echo(f"saved the model to {target}")
        if plot_path is not None:
            plot.history(history, plot_path)
            click.echo(f"saved the curves to {plot_path}")


@main.command()
@click.argument("model_file", metavar="MODEL")
@click.argument("dataset", metavar="DATASET|FILE")
@_backend_option
@_data_option
def evaluate(model_file: str, dataset: str, backend: str | None, folder: str | None) -> None:
    """Show the loss and accuracy of a saved MODEL on the test part of a dataset (or on all of it if it has no test part)."""
    with _clean_errors():
        _use(backend)
        model = fastnn.load(model_file)
        d = _load_dataset(dataset, folder)
        part, (x, y) = ("training", d.train) if d.test is None else ("test", d.test)
        model.compile(optimizer="adam", loss=_LOSS, metrics=["accuracy"])
        result = model.evaluate(_features(x), y, verbose=0, return_dict=True)
        click.echo(f"{len(y)} {part} samples  loss {result['loss']:.4f}  accuracy {result['accuracy']:.4f}")


@main.command()
@click.argument("model_file", metavar="MODEL")
@click.argument("image", metavar="IMAGE")
@_backend_option
def predict(model_file: str, image: str, backend: str | None) -> None:
    """Classify an IMAGE with a saved MODEL: show the class and all probabilities.

    IMAGE is an .npy array with as many values as the model has inputs, or a .png, which is converted to gray and resized. uint8
    values are scaled to [0, 1]. The digits are light on a dark background, so the image must be, too.
    """
    with _clean_errors():
        _use(backend)
        model = fastnn.load(model_file)
        weights = model.get_weights()
        if not weights:
            raise ValueError(f"{model_file}: the model has no weights, so it classifies nothing")
        n_features = int(np.shape(weights[0])[0]) if np.ndim(weights[0]) else 1
        picture = _read_image(Path(image), n_features)
        probabilities = model.predict(_features(picture[None]))
        if not isinstance(probabilities, np.ndarray) or probabilities.ndim != 2:
            raise ValueError(f"{model_file}: the model is no classifier: its output is not one row of probabilities for a sample")
        p = probabilities[0]
        click.echo(f"class {int(p.argmax())}, probability {p.max():.4f}")
        for line in _bars(p, None):
            click.echo(line)


@contextmanager
def _clean_errors() -> Iterator[None]:
    """Show errors that a user can correct as one line instead of a traceback."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of the output has ended, as with `| head`: click ends without a message
    except (ValueError, TypeError, RuntimeError, ArithmeticError, OSError, ImportError, MemoryError) as e:
        raise click.ClickException(str(e) or type(e).__name__) from e


def _check_targets(dataset: str, folder: str | None, targets: dict[str, str | None]) -> None:
    """Fail before the work is done, and not after it, if a file cannot be written or is also read."""
    read = [dataset] if folder is None else [str(path) for path in Path(folder).glob("*")]
    taken = {os.path.realpath(path): path for path in read}
    for option, path in targets.items():
        if path is not None:
            place = target_of(path, option)
            if place in taken:
                raise ValueError(f"{option} {path} is the same file as {taken[place]}")
            taken[place] = path


def _check_finite(model: Any, losses: list[float], target: Path) -> None:
    """Fail if training ended with numbers that are not finite; these are not saved."""
    bad = next((epoch for epoch, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    if bad is not None or not all(np.isfinite(a).all() for a in model.get_weights()):
        what = "the weights are not finite" if bad is None else f"the loss of epoch {bad} is {losses[bad - 1]}"
        raise ValueError(f"{what}, so nothing was saved to {target}; try a lower --lr, and look for NaN in the data")


def _use(backend: str | None) -> None:
    if backend is not None:
        fastnn.set_backend(backend)


def _warm_up(kernels: Iterable[str]) -> None:
    """Call these kernels in all their forms, if this compiles them."""
    k = current()
    if not k.compiles:
        click.echo(f"the {k.name} backend has nothing to compile")
        return
    from tqdm import tqdm

    start = time.perf_counter()
    for name, args in tqdm(
        list(calls(k, kernels)), "compiling", leave=False, unit="call", dynamic_ncols=True, disable=not sys.stderr.isatty()
    ):
        k.table[name](*args)
    click.echo(f"all kernels of the {k.name} backend are ready, after {time.perf_counter() - start:.1f} s")


def _build(n_features: int, layers: Sequence[int], n_classes: int) -> Any:
    widths = [n_features, *layers, n_classes]
    weights = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    if weights > MOST_WEIGHTS:
        raise ValueError(f"layers of {', '.join(map(str, widths))} have {weights} weights, more than {MOST_WEIGHTS}")
    shapes: list[tuple[int, ...] | None] = [(n_features,)] + [None] * len(layers)  # the first layer's input; the others infer it
    hidden = [fastnn.Dense(units, activation="relu", input_shape=shapes[i]) for i, units in enumerate(layers)]
    return fastnn.Sequential([*hidden, fastnn.Dense(n_classes, activation="softmax", input_shape=shapes[-1])])


def _load_dataset(name: str, folder: str | None) -> Dataset:
    if name == "mnist":
        if folder is None:
            raise ValueError("mnist: pass --data FOLDER, the folder with its four IDX files")
        return Dataset(*datasets.mnist(folder))
    if folder is not None:
        raise ValueError(f"--data goes with mnist, not with {name}")
    if name == "digits":
        return Dataset(*datasets.digits())
    if not name.endswith(".npz"):
        raise ValueError(f"unknown dataset {name!r}; wanted digits, mnist, or an .npz file")
    return _load_npz(Path(name))


def _load_npz(file: Path) -> Dataset:
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(file)!r}")
    parts = read_npz(file, ("x_train", "y_train", "x_test", "y_test"))
    for key in ("x_train", "y_train"):
        if key not in parts:
            raise ValueError(f"{file} lacks the array {key}")
    if ("x_test" in parts) != ("y_test" in parts):
        raise ValueError(f"{file} has only one of x_test and y_test")
    read = [_npz_part(file, parts, name) for name in ("train", "test") if f"x_{name}" in parts]
    if len(read) == 2 and read[0][0].shape[1:] != read[1][0].shape[1:]:
        raise ValueError(f"{file}: samples of x_train have shape {read[0][0].shape[1:]}, those of x_test {read[1][0].shape[1:]}")
    return Dataset(read[0], read[1] if len(read) == 2 else None)


def _npz_part(file: Path, parts: dict[str, Array], name: str) -> tuple[Array, Array]:
    raw, op = parts[f"x_{name}"], str(file)
    x = data.as_features(raw, raw.dtype if raw.dtype == np.uint8 else np.float32, op, f"x_{name}")
    y = data.as_targets(parts[f"y_{name}"], "labels", np.int64, op, f"y_{name}")
    data.check_same_length(op, **{f"x_{name}": x, f"y_{name}": y})
    if not x[0].size:
        raise ValueError(f"{file}: samples of x_{name} have no values: its shape is {x.shape}")
    sanity.check_finite(op, f"x_{name}", x, hint="")
    if y.min() < 0:
        raise ValueError(f"{file}: y_{name}[{int((y < 0).argmax())}] is {y.min()}; labels are whole numbers from 0")
    return x, y


def _features(x: Array) -> Array:
    """Return float32 rows; uint8 is scaled to [0, 1]."""
    rows = x.reshape(len(x), math.prod(x.shape[1:])).astype(np.float32)
    return rows / np.float32(255) if x.dtype == np.uint8 else rows


def _read_image(file: Path, n_features: int) -> Array:
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(file)!r}")
    if file.suffix == ".npy":
        a = read_npy(file)
        if a.size != n_features or a.dtype.kind not in "fiub":
            raise ValueError(f"{file} holds {a.dtype} values of shape {a.shape}; the model has {n_features} inputs")
        if not np.isfinite(a).all():
            raise ValueError(f"{file} holds values that are NaN or infinite")
        return a
    if file.suffix.lower() == ".png":
        return _read_png(file, n_features)
    raise ValueError(f"{file}: wanted an .npy or a .png file")


def _read_png(file: Path, n_features: int) -> Array:
    try:
        from PIL import Image
    except ImportError as e:
        raise ImportError("reading a PNG needs Pillow, which comes with the extra 'plot': pip install pillow") from e
    side = math.isqrt(n_features)
    if side * side != n_features:
        raise ValueError(f"the model has {n_features} inputs, which make no square image; pass an .npy array")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is lower
            with Image.open(file, formats=["PNG"]) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels, more than {MOST_PIXELS}")
                gray = image.convert("L")
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, Image.DecompressionBombError) as e:
        raise ValueError(f"{file} cannot be read as a PNG image: {e}") from e
    return np.asarray(gray if gray.size == (side, side) else gray.resize((side, side), Image.Resampling.LANCZOS))


def _echo_machine() -> None:
    i = fastnn.info()
    click.echo(f"backend {i.backend}  ISA {i.isa}  threads {i.threads}\n")


def _echo_test(model: Any, x: Array, y: Array) -> None:
    result = model.evaluate(_features(x), y, verbose=0, return_dict=True)
    click.echo(f"test accuracy {result['accuracy']:.4f}  (loss {result['loss']:.4f}, {len(y)} samples)")
    for i, p in enumerate(model.predict(_features(x[:_SHOWN]))):
        click.echo(f"\ntest sample {i}: label {y[i]}, predicted {int(p.argmax())}")
        for line in _bars(p, x[i] if x.ndim == 3 else None):
            click.echo(line)
    click.echo()


def _bars(p: Array, image: Array | None) -> list[str]:
    """Draw probabilities as bars, one class in a line, and beside them the image, if there is one."""
    blocks = _can_print("█▏▀▄")
    drawing = [] if image is None else _draw(image, blocks)
    width = max(map(len, drawing), default=0)
    digits = len(str(len(p) - 1))
    bars = [f"{c:>{digits}} {_bar(float(q), 24, blocks)} {q:.4f}" for c, q in enumerate(p)]
    rows = max(len(drawing), len(bars))
    drawing += [""] * (rows - len(drawing))
    bars += [""] * (rows - len(bars))
    gap = 3 if width else 0
    return [f"  {left:{width + gap}}{right}".rstrip() for left, right in zip(drawing, bars, strict=True)]


def _bar(q: float, width: int, blocks: bool) -> str:
    eighths = round(8 * width * min(max(q, 0.0), 1.0)) if math.isfinite(q) else 0
    full, rest = divmod(eighths, 8)
    bar = "█" * full + " ▏▎▍▌▋▊▉"[rest] * (rest > 0) if blocks else "#" * round(eighths / 8)
    return f"{bar:{width}}"


def _draw(image: Array, blocks: bool) -> list[str]:
    """Draw two rows of pixels in each line of text, as half blocks or as shades of ASCII."""
    top = float(image.max())
    light = image.astype(np.float64) / top if top > 0 else np.zeros(image.shape)
    if len(light) % 2:
        light = np.vstack([light, np.zeros_like(light[:1])])
    upper, lower = light[::2], light[1::2]
    if blocks:
        codes = (upper > 0.4).astype(int) + 2 * (lower > 0.4)
        return ["".join(" ▀▄█"[c] for c in row) for row in codes]
    shades = " .:-=+*#%@"
    codes = np.rint((upper + lower) / 2 * (len(shades) - 1)).astype(int)
    return ["".join(shades[c] for c in row) for row in codes]


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
