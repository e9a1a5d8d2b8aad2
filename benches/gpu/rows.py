"""The table's rows: what is done, by whom, and what is aimed at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import nets

MODULES = {
    "fastnn": "fastnn",
    "fastnn captured": "fastnn",
    "PyTorch": "torch",
    "PyTorch compiled": "torch",
    "PyTorch CUDA graph": "torch",
    "JAX": "jax",
    "JAX scan": "jax",
}
"""The columns, and the modules of this package that they come from."""

PRECISIONS = ("float32", "tf32", "bfloat16")

_EAGER, _COMPILED, _GRAPH = {"PyTorch": "eager"}, {"PyTorch compiled": "compiled"}, {"PyTorch CUDA graph": "graph"}
_CAPTURED, _JIT = {"fastnn captured": "captured"}, {"JAX": "jit"}

MODES: dict[str, dict[str, str]] = {
    "matmul": {"fastnn": "called"} | _CAPTURED | _EAGER | _GRAPH | _JIT,
    "train": {"fastnn": "fit"} | _CAPTURED | _EAGER | _COMPILED | _GRAPH | _JIT | {"JAX scan": "scan"},
    "predict": _CAPTURED | _EAGER | _COMPILED | _GRAPH | _JIT,
    "head": _CAPTURED | _EAGER | _COMPILED | _GRAPH | _JIT,
    "adam": {"fastnn": "called"} | _EAGER | _JIT,
    "digits": {"fastnn": "fit"} | _EAGER | _GRAPH,
}
"""By the kind of work, who takes part and how."""


@dataclass(frozen=True)
class Target:
    """What is aimed at.

    Args:
        times: how many times as fast as a column "fastnn" is to be.
        best: how many times as fast as PyTorch's best mode fastnn's better one is to be.
        bandwidth: the least share of the copy bandwidth.
    """

    times: dict[str, float] = field(default_factory=dict)
    best: float = 0.0
    bandwidth: float = 0.0


@dataclass(frozen=True)
class Row:
    """A piece of work.

    Args:
        name: what the table calls it.
        kind: a function of each contender, and how its results are checked.
        args: that function's arguments; the precision and the mode come after them.
        precision: what factors of products are rounded to.
        target: what is aimed at.
        operations: floating-point operations, of a product.
        nbytes: bytes read and written, where that is what takes the time.
        copied: bytes of the copy whose bandwidth it is compared with.
    """

    name: str
    kind: str
    args: tuple[Any, ...] = ()
    precision: str = "float32"
    target: Target | None = None
    operations: float = 0.0
    nbytes: float = 0.0
    copied: int = 0

    @property
    def columns(self) -> dict[str, str]:
        """Who takes part, each with its mode; steps that take long are not worth compiling once more, as an epoch."""
        long = self.kind == "train" and self.args[0] in (nets.WIDE, nets.LARGE)
        return {column: mode for column, mode in MODES[self.kind].items() if not (long and mode == "scan")}


CLOSE = Target(best=0.95)


def _product(n: int, precision: str) -> Row:
    target = CLOSE if n == 4096 and precision != "float32" else None
    return Row(f"product {n}^3, {precision}", "matmul", ((n, n, n),), precision, target, operations=2.0 * n**3)


def _training(sizes: tuple[int, ...], batch: int, precision: str = "float32", target: Target | None = None) -> Row:
    return Row(f"training step, {nets.title(sizes)}, batch {batch}, {precision}", "train", (sizes, batch), precision, target)


def _inference(sizes: tuple[int, ...], batch: int) -> Row:
    return Row(f"inference, {nets.title(sizes)}, batch {batch}", "predict", (sizes, batch))


def _head(rows: int) -> Row:
    return Row(f"LM head 768 -> 50257 + cross-entropy, {rows} rows, forward and backward", "head", (768, 50257, rows))


def _adam(n: int) -> Row:
    """A parameter is 28 bytes: weight, gradient and moments are read, all but the gradient written."""
    target = Target(bandwidth=0.85)
    return Row(f"Adam, {n // 1_000_000}M parameters", "adam", (n,), target=target, nbytes=28.0 * n, copied=4_000_000_000)


def rows() -> list[Row]:
    """All rows, those with targets first."""
    return [
        *(_product(n, precision) for n in (1024, 4096) for precision in PRECISIONS),
        _training(nets.SEED, 32, target=Target(times={"PyTorch": 5.0, "PyTorch CUDA graph": 1.0})),
        *(_training(nets.LARGE, 4096, precision, CLOSE) for precision in PRECISIONS),
        _adam(100_000_000),
        Row(f"30 epochs of the digits, {nets.title(nets.SEED)}, batch 32", "digits"),
        _training(nets.SMALL, 64),
        _training(nets.MEDIUM, 128),
        *(_training(nets.WIDE, 256, precision) for precision in PRECISIONS),
        *(_inference(nets.SEED, batch) for batch in (1, 32)),
        _inference(nets.SMALL, 1),
        *(_inference(nets.MEDIUM, batch) for batch in (1, 128)),
        _inference(nets.WIDE, 256),
        _inference(nets.LARGE, 4096),
        _head(256),
        _head(2048),
    ]
