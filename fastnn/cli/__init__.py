"""Define the command line: `fastnn train`, `evaluate`, `predict`, `generate`, `bench`, `plot`, `convert`, `info`, `warmup`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import click

import fastnn

from ..backends import current
from ..backends.spec import KERNELS
from ..backends.warmup import calls
from .common import backend_option, clean_errors, use
from .predict import evaluate, predict
from .table import goes_here, train_table
from .text import train_text
from .tools import bench, convert, plot
from .train import train
from .writing import generate


class _Commands(click.Group):
    """Group in which `train text` and `train` with a table are commands of their own, with other options than `train`."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[:2] == ["train", "text"]:
            return train_text.name, train_text, args[2:]
        if args[:2] == ["train", "table"]:
            return train_table.name, train_table, args[2:]
        if args[:1] == ["train"] and goes_here(args[1:]):
            return train_table.name, train_table, args[1:]
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fastnn")
def main() -> None:
    """Train neural networks and use them."""


@main.command()
def info() -> None:
    """Show which backend is in use, and why."""
    with clean_errors():
        click.echo(str(fastnn.info()))


@main.command()
@backend_option
def warmup(backend: str | None) -> None:
    """Compile all kernels of a backend, and keep them on disk. Otherwise each kernel is compiled at its first use."""
    with clean_errors():
        use(backend)
        _warm_up(KERNELS)


for command in (train, evaluate, predict, generate, bench, plot, convert):
    main.add_command(command)


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
