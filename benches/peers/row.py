"""Defines the parts of a row: libraries, the ways in which they do the work, targets, and the row itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Library(NamedTuple):
    """Library that takes part: its module in this package, the modules that it needs, and its packages."""

    module: str
    needs: tuple[str, ...]
    packages: tuple[str, ...]


FASTNN = Library("fastnn", ("fastnn",), ("fastnn",))
LIBRARIES: dict[str, dict[str, Library]] = {
    "cpu": {
        "fastnn": FASTNN,
        "NumPy": Library("numpy", ("numpy",), ("numpy",)),
        "PyTorch": Library("torch", ("torch",), ("torch",)),
        "JAX": Library("jax", ("jax",), ("jax", "jaxlib")),
        "ONNX Runtime": Library("onnxruntime", ("onnxruntime", "onnx"), ("onnxruntime", "onnx")),
        "scikit-learn": Library("sklearn", ("sklearn",), ("scikit-learn",)),
    },
    "cuda": {
        "fastnn": FASTNN._replace(packages=("fastnn", "numpy", "cupy-cuda13x", "nvmath-python")),
        "PyTorch": Library("torch", ("torch",), ("torch", "triton")),
        "JAX": Library("jax", ("jax",), ("jax", "jaxlib", "jax-cuda13-plugin")),
    },
}
"""Libraries that can take part, by device."""

OURS = "fastnn float32"
"""Column of fastnn with float32, which is a peer in the bfloat16 rows of a CPU."""


class Way(NamedTuple):
    """Way in which a column does a row's work: module, mode, and the precision if it differs from that of the row."""

    module: str
    mode: str
    precision: str = ""


@dataclass(frozen=True)
class Target:
    """Target of a row.

    Args:
        seconds: longest time of fastnn.
        share: smallest share of the limit.
        peers: smallest speedup of fastnn's best column over the best peer.
        times: smallest speedup of the column "fastnn" over another column, by the name of that column.
        amx: as `times`, but only on a CPU with AMX.
        libraries: smallest speedup of fastnn's best column over the best column of a library, by the name of the library.
        percentiles: smallest speedup over a library at every percentile of the times of single calls, by the name of the library.
        memory: largest memory of fastnn as a share of the memory of a column, by the name of that column.
    """

    seconds: float | None = None
    share: float | None = None
    peers: float | None = None
    times: dict[str, float] = field(default_factory=dict)
    amx: dict[str, float] = field(default_factory=dict)
    libraries: dict[str, float] = field(default_factory=dict)
    percentiles: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Row of a table: one piece of work that contenders do.

    Args:
        name: name of the row in the table.
        section: title of the section on the page.
        kind: name of a method of each contender; it also determines how the results are checked.
        args: arguments of this method; precision and mode follow them.
        columns: the contenders and their ways to do the work, by column.
        target: target of the row, if any.
        precision: type to which factors of products are rounded.
        threads: the number of threads, if the row fixes it.
        isa: the instruction set, if it is not the best one; only contenders that can be limited to it take part.
        amount: work of a call; divided by the time in seconds, it is the rate in `unit`.
        unit: unit of the rate, such as GFLOP/s.
        limit: name of fastnn's method that measures the peak rate of the machine.
        limit_args: arguments of this method.
        memory: arguments for which memory is measured, too: the temporary memory of the calls of a head, otherwise all memory.
    """

    name: str
    section: str
    kind: str
    args: tuple[Any, ...]
    columns: dict[str, Way]
    target: Target | None = None
    precision: str = "float32"
    threads: int | None = None
    isa: str = ""
    amount: float = 0.0
    unit: str = ""
    limit: str = ""
    limit_args: tuple[Any, ...] = ()
    memory: tuple[tuple[Any, ...], ...] = ()

    @property
    def counted(self) -> str:
        """Return what the last argument counts in the entries of `memory`."""
        return {"head": "rows", "text_train": "sequences"}.get(self.kind, "images")

    @property
    def limit_name(self) -> str:
        """Return the name of the limit for the page."""
        names = {"peak": "the multiply-add peak", "reading": "the read bandwidth", "copy": "the copy bandwidth"}
        return (names | {"weights_reading": "the read bandwidth of both threads"})[self.limit]
