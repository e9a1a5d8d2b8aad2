"""Dtype of models: of their parameters and floating-point buffers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.block import completed
from ..core.convert import dtype_of
from .parameter import Parameter, stored

if TYPE_CHECKING:
    from ..autograd.tensor import Tensor
    from .module import Module


def real_dtype(dtype: Any, op: str) -> str:
    """Return the name of a dtype of parameters; raise TypeError if it is not a floating-point dtype."""
    d = dtype_of(dtype, op)
    if d.kind != "f":
        raise TypeError(f"{op}: dtype {d} came, wanted float32 or float64")
    return d.name


def set_dtype(modules: Iterable[Module], name: str, op: str) -> None:
    """Change the dtype of the parameters and floating-point buffers of modules, also of those that are made later.

    Buffers that were registered with keep_dtype=True do not change.

    Raises:
        RuntimeError: an optimizer has one of the parameters. Nothing is changed.
    """
    changing = list(modules)
    held: dict[Tensor, None] = {}
    for m in changing:
        held.update(dict.fromkeys(stored(p) for p in m._parameters.values() if p is not None))
        kept = m.__dict__.get("_keep_dtype", ())
        held.update(dict.fromkeys(t for name, t in m._buffers.items() if name not in kept))
    tensors = [t for t in held if t.dtype.kind == "f" and t.dtype != name]
    if any(isinstance(t, Parameter) and t.flat is not None for t in tensors):
        raise RuntimeError(f"{op}: the dtype of a layer that is being trained cannot change")

    def change() -> None:
        for m in changing:
            m._structure_changed()
            m._change_dtype(name)
        for t in tensors:
            t.data = t.data.astype(np.dtype(name))
            t._buffer, t.has_grad = None, False

    completed(change)


def offer_dtype(module: Module, dtype: Any, op: str, made: bool = True) -> None:
    """Set the dtype of the layers of a module that were made without an explicit dtype.

    made: whether this includes layers that already made their parameters, in the default dtype.
    """
    name = real_dtype(dtype, op)
    without = [m for m in module.modules() if m.__dict__.get("_dtype") is None]
    set_dtype([m for m in without if made or not m.built or "_dtype" not in m.__dict__], name, op)
