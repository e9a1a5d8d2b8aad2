"""Small calls of every kernel in every form. `fastnn warmup` runs them on backends that compile at the first call.

The contract determines these calls: each dtype that a kernel takes, each function, each choice of its whole numbers, with and
without each optional array.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..core.layout import layout, products
from . import spec
from .base import Backend, Call
from .spec import ACTIVATIONS, KERNELS, LINEAR, POINTWISE_LOSSES, Arg, Kernel, recurrent

_SIZE = 2
"""Size for the letters of the contract that do not follow from others. No array is empty, and all shapes fit."""

_COLUMNS = {kind.name for kind in POINTWISE_LOSSES if kind.column}

# Optional arrays that are present if a function of the scalars is true. The other ones are tried both present and absent.
_PRESENT: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "aux": lambda s: True,  # the array of `Backend.aux`
    "dz": lambda s: s["act"].id != LINEAR.id,
    **dict.fromkeys(("dw", "db", "dslope", "state", "x", "y"), lambda s: True),
}


def calls(backend: Backend, kernels: Iterable[str] = KERNELS) -> Iterator[Call]:
    """Yield the calls of these kernels, with arrays of the backend."""
    for kernel in (KERNELS[name] for name in kernels):
        dtypes = kernel.dtypes or ("float64",)
        scalars = [a for a in kernel.args if a.kind != "array"]
        for values in itertools.product(*(_choices(kernel, a) for a in scalars)):
            given = dict(zip((a.name for a in scalars), values, strict=True))
            for absent in _absences(kernel, given):
                for dtype in dtypes:
                    yield kernel.name, tuple(_argument(backend, kernel, a, dtype, given, absent) for a in kernel.args)


def _choices(kernel: Kernel, arg: Arg) -> Iterable[Any]:
    if arg.kind == "act" and kernel.family == "recurrent":
        return map(spec.activation, recurrent.FUNCTIONS)
    if arg.kind == "act":
        return (spec.activation(kind.name) for kind in ACTIVATIONS)
    if arg.kind == "loss":
        return (spec.pointwise_loss(kind.name) for kind in POINTWISE_LOSSES)
    if arg.kind == "float":
        return (0.5,)
    if arg.kind == "mask":
        adding = sum(1 << i for i, output in enumerate(kernel.outputs) if output.reads)
        return (0, adding)
    if arg.name == "precision":
        return (0,)  # other precisions are not available everywhere
    return range(len(arg.choices)) if arg.kind == "choice" else arg.choices or (1,)  # for other ints, 1 is enough


def _absences(kernel: Kernel, scalars: Mapping[str, Any]) -> Iterator[set[str]]:
    """Yield the sets of arrays to leave out."""
    if kernel.family == "recurrent":  # their code is the same whatever is absent, and there are too many sets
        yield set()
        return
    optional = [a.name for a in kernel.arrays if a.optional]
    fixed = {name for name in optional if name in _PRESENT and not _PRESENT[name](scalars)}
    if "fn" in scalars and scalars["fn"].name not in _COLUMNS:
        fixed.add("column")  # this loss does not use it
    free = [name for name in optional if name not in _PRESENT and name not in fixed]
    for chosen in itertools.product((False, True), repeat=len(free)):
        yield fixed | {name for name, leave in zip(free, chosen, strict=True) if leave}


def _sizes(kernel: Kernel, scalars: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes for the letters of a kernel; some follow from others by formulas."""
    sizes = dict.fromkeys(kernel.sizes, _SIZE)
    whole = {name: value for name, value in scalars.items() if isinstance(value, int)}
    return sizes | {letter: formula(sizes | whole) for letter, formula in kernel.derived.items()}


def _own(backend: Backend, kernel: Kernel, dtype: str, scalars: Mapping[str, Any]) -> Any:
    """Make the array with a dtype of the backend (``own``) for a forward kernel or its backward."""
    forward = KERNELS[kernel.name.replace("_backward", "_forward")]
    letters = {s.lstrip("*") for a in forward.arrays if a.dtype != "own" for s in a.shape}
    given = [n for letter, n in _sizes(forward, scalars).items() if letter in letters]
    return backend.aux(forward.name, *given, dtype, *(scalars[a.name] for a in forward.args if a.kind != "array"))


def _argument(backend: Backend, kernel: Kernel, arg: Arg, dtype: str, scalars: Mapping[str, Any], absent: set[str]) -> Any:
    if arg.kind != "array":
        return scalars[arg.name]
    if arg.name in absent:
        return backend.absent
    if arg.dtype == "own":
        return _own(backend, kernel, dtype, scalars)
    if kernel.name == "matmul_batched" and arg.name == "layout":
        return backend.asarray(products((1, 1, 1), *[(0, 1, 1)] * 3))
    if arg.name == "layout":
        walked = len(kernel.arrays) - 1 if kernel.name == "strided_copy" else len(kernel.arrays) - 2
        offsets = (0, 0) if kernel.name == "strided_copy" else None
        return backend.asarray(layout((_SIZE,), *[(1,)] * walked, offsets=offsets))
    sizes = _sizes(kernel, scalars)
    shape = tuple(int(s) if s.isdigit() else sizes[s.lstrip("*")] for s in arg.shape)
    dtype = spec.array_dtype(spec.DTYPES[scalars[arg.dtype]] if arg.letter == "X" else spec.SHORT.get(arg.dtype, dtype))
    # Indices and labels are 0, which is always valid; steps, and strides and sizes of windows, are 1.
    fill = (
        0 if arg.dtype == "i64" and arg.name not in ("step", "geometry", "window") else 0.5 if np.dtype(dtype).kind == "f" else 1
    )
    return backend.asarray(np.full(shape, fill, dtype))
