"""Small calls of every kernel in every form: on backends that compile at the first call, what `fastnn warmup` runs.

They follow from the contract: each dtype that a kernel takes, each function, each choice among its whole numbers, with and
without the arrays that may be absent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..layout import layout
from . import spec
from .base import Backend, Call
from .spec import ACTIVATIONS, ADD_DB, ADD_DW, KERNELS, LINEAR, NEED_DB, NEED_DW, NEED_DX, POINTWISE_LOSSES, Arg, Kernel

_SIZE = 2
"""What the letters of the contract stand for: no array is empty, and all shapes fit together."""

_DTYPES = {"T": ("float32", "float64"), "N": ("float32", "float64", "int64"), "A": spec.DTYPES}
_NAMED = {"i64": "int64", "u64": "uint64", "f64": "float64", "bool": "bool"}

_OPS = {
    "binary_forward": spec.BINARY_OPS,
    "compare_forward": spec.COMPARE_OPS,
    "reduce_forward": spec.REDUCE_OPS,
    "cumulate": spec.SCAN_OPS,
}
# Of other whole numbers 1 will do.
_WHOLE: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("add", "reverse", "exclusive", "descending", "log_variance"), (0, 1)),
    "mode": tuple(range(len(spec.REDUCE_LOSS_MODES))),
    "to": tuple(range(len(spec.DTYPES))),
    "power": (1, 2),
    "precision": (0,),
    "need": tuple(add | dx | NEED_DW | NEED_DB for add in (0, ADD_DW | ADD_DB) for dx in (0, NEED_DX)),
}

_COLUMNS = {kind.name for kind in POINTWISE_LOSSES if kind.column}

# Arrays whose presence follows from the scalars; of the others there is a call with and one without each.
_PRESENT: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "aux": lambda s: True,  # what `Backend.dense_aux` says
    "dz": lambda s: s["act"].id != LINEAR.id,
    "dx": lambda s: bool(s["need"] & NEED_DX),
    **dict.fromkeys(("dw", "db", "dslope"), lambda s: True),
}


def calls(backend: Backend, kernels: Iterable[str] = KERNELS) -> Iterator[Call]:
    """The calls of these kernels, with arrays of the backend."""
    for kernel in (KERNELS[name] for name in kernels):
        letters = {a.dtype for a in kernel.arrays}
        dtypes = next((_DTYPES[letter] for letter in "TNA" if letter in letters), ("float64",))
        scalars = [a for a in kernel.args if a.kind != "array"]
        for values in itertools.product(*(_choices(kernel, a) for a in scalars)):
            given = dict(zip((a.name for a in scalars), values, strict=True))
            for absent in _absences(kernel, given):
                for dtype in dtypes:
                    yield kernel.name, tuple(_argument(backend, kernel, a, dtype, given, absent) for a in kernel.args)


def _choices(kernel: Kernel, arg: Arg) -> Iterable[Any]:
    if arg.kind == "act":
        return (spec.activation(kind.name) for kind in ACTIVATIONS)
    if arg.kind == "loss":
        return (spec.pointwise_loss(kind.name) for kind in POINTWISE_LOSSES)
    if arg.kind == "float":
        return (0.5,)
    return range(len(_OPS[kernel.name])) if arg.name == "op" else _WHOLE.get(arg.name, (1,))


def _absences(kernel: Kernel, scalars: Mapping[str, Any]) -> Iterator[set[str]]:
    """The sets of arrays to leave out."""
    optional = [a.name for a in kernel.arrays if a.optional]
    fixed = {name for name in optional if name in _PRESENT and not _PRESENT[name](scalars)}
    if "fn" in scalars and scalars["fn"].name not in _COLUMNS:
        fixed.add("column")  # which this loss has no use for
    free = [name for name in optional if name not in _PRESENT and name not in fixed]
    for chosen in itertools.product((False, True), repeat=len(free)):
        yield fixed | {name for name, leave in zip(free, chosen, strict=True) if leave}


def _argument(backend: Backend, kernel: Kernel, arg: Arg, dtype: str, scalars: Mapping[str, Any], absent: set[str]) -> Any:
    if arg.kind != "array":
        return scalars[arg.name]
    if arg.name in absent:
        return backend.absent
    if arg.name == "aux" and arg.dtype == "X":
        return backend.dense_aux((_SIZE, _SIZE), _SIZE, dtype, scalars["act"], scalars["precision"])
    if arg.name == "layout":
        walked = len(kernel.arrays) - 1 if kernel.name == "strided_copy" else len(kernel.arrays) - 2
        offsets = (0, 0) if kernel.name == "strided_copy" else None
        return backend.asarray(layout((_SIZE,), *[(1,)] * walked, offsets=offsets))
    shape = tuple(int(s) if s.isdigit() else _SIZE for s in arg.shape)
    dtype = spec.DTYPES[scalars["to"]] if arg.dtype == "X" else _NAMED.get(arg.dtype, dtype)
    # Indices and labels are 0: that of the first.
    fill = 0 if arg.dtype == "i64" and arg.name != "step" else 0.5 if np.dtype(dtype).kind == "f" else 1
    return backend.asarray(np.full(shape, fill, dtype))
