"""Define what several commands share: options, errors in one line, and checks before the work."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

import fastnn

from ..files.place import target_of
from ..plot.figure import start as start_figure

if TYPE_CHECKING:
    from ..distributed import Comm

LOSS = "sparse_categorical_crossentropy"

backend_option = click.option(
    "--backend", default=None, metavar="NAME", help="auto, cpp, numba, cupy or numpy.  [default: as `fastnn info` shows]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write the results to stdout as JSON, and all else to stderr.")
dataset_argument = click.argument("dataset", metavar="DATASET|FILE")
folder_argument = click.argument("folder", required=False)
data_option = click.option("--data", default=None, metavar="FOLDER", help="For mnist and images: the same as FOLDER.")


def optimizer_help() -> str:
    """Return the help of the option --optimizer: the names of the optimizers."""
    return ", ".join(name.lower() for name in fastnn.optim.OPTIMIZERS) + "."


def layers_of(ctx: click.Context, param: click.Parameter, text: str | None) -> list[int] | None:
    """Return the units of hidden layers, written as 15,15,15."""
    if text is None:
        return None
    try:
        units = [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        units = [0]
    if any(n < 1 for n in units):
        raise click.BadParameter(f"{text!r}; wanted the hidden layers' units, such as 15,15,15")
    return units


def names_of(ctx: click.Context, param: click.Parameter, text: str | None) -> list[str]:
    """Return names that commas separate."""
    return [] if text is None else [name.strip() for name in text.split(",") if name.strip()]


@contextmanager
def clean_errors() -> Iterator[None]:
    """Show errors that a user can correct as one line instead of a traceback."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of the output has ended, as with `| head`: click ends without a message
    except (ValueError, TypeError, RuntimeError, ArithmeticError, OSError, ImportError, MemoryError) as e:
        raise click.ClickException(str(e) or type(e).__name__) from e


@contextmanager
def training_ranks() -> Iterator[Comm]:
    """Yield the ranks that mpirun has started, or this process alone, and show errors as `clean_errors` does.

    Rank 0 alone shows lines. An error on one rank ends all.
    """
    with clean_errors():
        comm = fastnn.distributed.init()
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing) if comm.rank else nullcontext():
        try:
            with clean_errors():
                yield comm
        except click.ClickException as error:
            if comm.size == 1:
                raise
            click.echo(f"Error: rank {comm.rank}: {error.format_message()}", err=True)
            comm.abort(error.exit_code)


def folder_of(dataset: str, folder: str | None, data: str | None) -> str | None:
    """Return the folder of a dataset, given as an argument or as --data; ValueError if it is missing or one too many."""
    if folder is not None and data is not None:
        raise ValueError(f"there are two folders, {folder} and --data {data}; wanted one")
    folder = data if folder is None else folder
    wanted = {"mnist": "the folder with its four IDX files", "images": "a folder with a folder of pictures for each class"}
    if dataset in wanted and folder is None:
        raise ValueError(f"{dataset}: pass --data FOLDER, {wanted[dataset]}")
    if dataset not in wanted and folder is not None:
        raise ValueError(f"a folder or --data goes with mnist and images, not with {dataset}")
    return folder


def check_targets(dataset: str, folder: str | None, targets: dict[str, str | None]) -> None:
    """Fail before the work is done, and not after it, if a file cannot be written or is also read."""
    read = [dataset] if folder is None else [str(path) for path in Path(folder).glob("*")]
    taken = {os.path.realpath(path): path for path in read}
    for option, path in targets.items():
        if path is not None:
            place = target_of(path, option)
            if place in taken:
                raise ValueError(f"{option} {path} is the same file as {taken[place]}")
            taken[place] = path


def check_plot(path: str | None) -> None:
    """Fail before the work is done if figures cannot be drawn into the file of --plot, if one is wanted."""
    if path is not None:
        start_figure("--plot", path)


def finite(ctx: click.Context, param: click.Parameter, number: float) -> float:
    """Return a number of an option that is finite."""
    if not math.isfinite(number):
        raise click.BadParameter(f"{number}; wanted a finite number")
    return number


def use(backend: str | None) -> None:
    """Set the backend, if one is named."""
    if backend is not None:
        fastnn.set_backend(backend)


def show_backend() -> None:
    """Show the backend that training uses, and an empty line."""
    i = fastnn.info()
    click.echo(f"backend {i.backend}  ISA {i.isa}  threads {i.threads}\n")


def has_bar() -> bool:
    """Return whether training shows a bar: on a terminal."""
    return sys.stderr.isatty() and sys.stdout.isatty()


def check_finite(model: Any, losses: list[float], target: Path) -> None:
    """Fail if training ended with numbers that are not finite; these are not saved."""
    bad = next((epoch for epoch, loss in enumerate(losses, 1) if not math.isfinite(loss)), None)
    if bad is not None or not all(np.isfinite(a).all() for a in model.get_weights()):
        what = "the weights are not finite" if bad is None else f"the loss of epoch {bad} is {losses[bad - 1]}"
        raise ValueError(f"{what}, so nothing was saved to {target}; try a lower --lr, and look for NaN in the data")
