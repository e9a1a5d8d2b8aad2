"""Masks of time steps, which follow the data from layer to layer, as in Keras.

A mask is a bool Tensor (N, T): True for the time steps that are data, False for padding. A Tensor carries its mask in the
attribute `keras_mask`, which is None without one.

- Sources set it on their result: `Masking`, `Embedding(mask_zero=True)`, or a custom layer by `masked(y, mask)` in its `forward`.
- A call of a layer whose `forward` has an argument ``mask`` passes the mask of the first input, unless the caller gives one. If
  the first input is a list, mask is a list, too.
- A layer with ``supports_masking = True`` gives its output the mask that `compute_mask(inputs, mask)` returns: by default the
  same mask. Dense, activations, dropout and normalizations do so. Sums, products and concatenations join the masks.
- Other layers of fastnn drop the mask, with one warning for each class: for them, padding is data. Custom modules without
  ``supports_masking`` are not changed: the layers in their `forward` take part.
- In `fit` and `evaluate`, masked elements of an output that has a mask count neither in the loss nor in the metrics of fastnn.
- Batch normalization passes the mask on, but its averages are over all time steps.

Operations such as ``x + y`` return Tensors without a mask. Masks are results of kernels, so recorded steps and frozen models
compute them again for each batch. No code reads their values in Python.

>>> import fastnn
>>> class Last(fastnn.Module):
...     def forward(self, x, mask=None):  # the number of time steps, from the mask
...         return x.shape[1] if mask is None else fastnn.sum(mask, axis=1)
>>> x = fastnn.Masking()(fastnn.tensor([[[1.0], [2.0], [0.0]]]))
>>> x.keras_mask.tolist(), Last()(x).tolist()
([[True, True, False]], [2])
"""

from __future__ import annotations

import inspect
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..autograd.tensor import Tensor
from ..core.structure import own_code, users_level

if TYPE_CHECKING:
    from .module import Module

T = TypeVar("T", bound=Tensor)


def mask_of(x: Any) -> Tensor | None:
    """Return the mask that a Tensor carries; None for Tensors without one, and for anything else."""
    return x.keras_mask if isinstance(x, Tensor) else None


def masked(y: T, mask: Tensor | None) -> T:
    """Give a Tensor this mask and return it.

    Raises:
        ValueError: the sizes of the mask are not the first sizes of y.
    """
    if mask is not None and y.shape[: mask.ndim] != mask.shape:
        raise ValueError(f"masked: a mask of shape {mask.shape} for a Tensor of shape {y.shape}; wanted its first sizes")
    y.keras_mask = mask
    return y


def carried(x: Any) -> list[Tensor | None] | None:
    """Return the masks of a list or tuple of Tensors; None if none of them has one."""
    if not isinstance(x, list | tuple):
        return None
    found = [mask_of(item) for item in x]
    return found if any(m is not None for m in found) else None


def any_of(masks: Any) -> Tensor | None:
    """Return the logical or of a list of masks: the mask of a sum of several inputs; None if one of them has no mask."""
    from ..ops.logic import logical_or

    if not masks or any(mask is None for mask in masks):
        return None
    first, *more = masks
    joined: Tensor = first
    for mask in more:
        joined = logical_or(joined, mask)
    return joined


def call(layer: Module, mask: Any, x: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call the `forward` of a layer on an input that has a mask."""
    place = _place(cast(Any, type(layer)))
    if place and kwargs.get("mask") is None and (len(args) < place or args[place - 1] is None):
        if len(args) >= place:
            args = (*args[: place - 1], mask, *args[place:])
        else:
            kwargs["mask"] = mask
    y = layer.forward(x, *args, **kwargs)
    if layer.supports_masking:
        _give(y, layer.compute_mask(x, mask), x)
    elif not place and not layer._modules and own_code(type(layer).__module__):
        _warn(type(layer).__name__)
    return y


@cache
def _place(cls: Any) -> int:
    """Return the position of the argument `mask` of forward among those of the call; 0 if it has none."""
    names = list(inspect.signature(cls.forward).parameters)
    return names.index("mask") - 1 if "mask" in names[2:] else 0


def _give(y: Any, mask: Any, x: Any) -> None:
    """Give the outputs of a layer their masks; an output that is the input keeps its own."""
    if isinstance(y, Tensor):
        if y is not x:
            masked(y, mask[0] if isinstance(mask, list | tuple) else mask)
    elif isinstance(y, list | tuple) and y:
        each = mask if isinstance(mask, list | tuple) else [mask]
        for item, own in zip(y, each, strict=False):
            _give(item, own, x)


_warned: set[str] = set()


def _warn(name: str) -> None:
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"{name}: the input has a mask of time steps, which this layer does not use: padded steps are data for it, and its "
            "output has no mask",
            UserWarning,
            stacklevel=users_level(),
        )
