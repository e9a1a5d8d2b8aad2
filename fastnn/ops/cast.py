"""Conversion of Tensors to other dtypes, and to a common one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..core import arrays
from ..core.convert import dtype_of
from .checks import as_tensor

_ORDER = ("bool", "int64", "float32", "float64")
_KINDS = "bif"


def astype(x: Any, dtype: Any) -> Tensor:
    """Convert x to another dtype: float32, float64, int64 or bool. Gradients flow between float dtypes."""
    t, d = as_tensor(x, "astype"), dtype_of(dtype, "astype")
    if t.dtype == d:
        return t
    y = arrays.cast(current(), t.data, d)
    return (
        result("astype", y, _astype_backward, (t,), (), {"dtype": d.name}) if d.kind == "f" and t.dtype.kind == "f" else Tensor(y)
    )


def _astype_backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], arrays.cast(grads.k, dy, node.inputs[0].dtype))


def promoted(*tensors: Any) -> tuple[Tensor, ...]:
    """Convert Tensors to their common dtype, by PyTorch's rules: the greatest of bool, int64, float32 and float64.

    Tensors without dimensions only count if they are of another kind than the others: floats beside integers.
    """
    if all(t.dtype == tensors[0].dtype for t in tensors):
        return tensors
    wide, scalars = ([t for t in tensors if bool(t.ndim) is sized] for sized in (True, False))
    dtype = wider(*(wide or scalars))
    if wide and scalars and _KINDS.index(wider(*scalars).kind) > _KINDS.index(dtype.kind):
        dtype = wider(*scalars)
    return tuple(astype(t, dtype) for t in tensors)


def wider(*tensors: Tensor) -> np.dtype[Any]:
    """Return the greatest dtype: bool, int64, float32, then float64."""
    return max((t.dtype for t in tensors), key=lambda d: _ORDER.index(d.name))
