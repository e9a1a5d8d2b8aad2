"""Functions of `fastnn.keras.ops` that differ from those of fastnn, by their names or by their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import fastnn

from ..autograd.tensor import Tensor, tensor
from ..ops.checks import as_tensor
from ..ops.elementwise import astype
from . import loss_functions

Axis = int | Sequence[int] | None


def cast(x: Any, dtype: Any) -> Tensor:
    """Return x with another dtype."""
    return astype(as_tensor(x, "cast"), np.dtype(dtype))


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """Return an array or list as a Tensor."""
    made = x if isinstance(x, Tensor) else tensor(x)
    return made if dtype is None else cast(made, dtype)


def convert_to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """Return a Tensor or list as a NumPy array."""
    return np.asarray(x.numpy() if isinstance(x, Tensor) else x)


def is_tensor(x: Any) -> bool:
    """Return whether x is a Tensor."""
    return isinstance(x, Tensor)


def shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape; that of a symbol has None for unknown sizes."""
    return tuple(x.shape if hasattr(x, "shape") else np.shape(x))


def ndim(x: Any) -> int:
    """Return the number of axes."""
    return len(shape(x))


def stop_gradient(variable: Any) -> Tensor:
    """Return the values without a gradient."""
    return as_tensor(variable, "stop_gradient").detach()


def expand_dims(x: Any, axis: int) -> Tensor:
    """Return x with a new axis of size 1."""
    return fastnn.unsqueeze(as_tensor(x, "expand_dims"), axis)


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """Return zeros of a shape."""
    return fastnn.zeros(shape, dtype=np.dtype(dtype or "float32"))


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """Return ones of a shape."""
    return fastnn.ones(shape, dtype=np.dtype(dtype or "float32"))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """Return the numbers from start to stop."""
    return fastnn.arange(0 if stop is None else start, start if stop is None else stop, step, dtype and np.dtype(dtype))


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = "float32") -> Tensor:
    """Return rows with a 1 at the place of each label."""
    if axis != -1:
        raise ValueError(f"one_hot: axis is {axis}; wanted -1")
    return fastnn.one_hot(x, num_classes, np.dtype(dtype or "float32"))


def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the mean squared distance from the mean."""
    x = as_tensor(x, "var")
    return fastnn.mean((x - fastnn.mean(x, axis, True)) ** 2, axis, keepdims)


def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the root of `var`."""
    return fastnn.sqrt(var(x, axis, keepdims))


def sort(x: Any, axis: int = -1) -> Tensor:
    """Return x in ascending order along an axis."""
    return fastnn.sort(as_tensor(x, "sort"), axis=axis)  # type: ignore[no-any-return]


def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """Return the k largest values of each row, and their places."""
    return fastnn.topk(as_tensor(x, "top_k"), k, sorted=sorted)


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the norm, by default the root of the sum of squares."""
    return fastnn.norm(x, 2 if ord is None else ord, axis, keepdims)


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Return the items at indices along an axis; of all items in a row without an axis."""
    x = as_tensor(x, "take")
    return fastnn.take(x.reshape(-1), indices) if axis is None else fastnn.take(x, indices, axis)


def repeat(x: Any, repeats: int, axis: int | None = None) -> Tensor:
    """Return x with each item repeated."""
    return fastnn.repeat_interleave(x, repeats, axis)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Return parts of x: a number of equal ones, or those between indices."""
    x = as_tensor(x, "split")
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if n % indices_or_sections:
            raise ValueError(f"split: axis {axis} has size {n}; wanted a multiple of {indices_or_sections}")
        return list(fastnn.split(x, n // indices_or_sections, axis))
    ends = [0, *(int(i) for i in indices_or_sections), n]
    return list(fastnn.split(x, [b - a for a, b in pairwise(ends)], axis))


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Return x with its axes in another order, by default reversed."""
    x = as_tensor(x, "transpose")
    return fastnn.permute(x, tuple(reversed(range(x.ndim))) if axes is None else tuple(axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Return x with two axes exchanged."""
    x = as_tensor(x, "swapaxes")
    axes = list(range(x.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return fastnn.permute(x, tuple(axes))


def reshape(x: Any, newshape: Any) -> Tensor:
    """Return x in another shape."""
    return fastnn.reshape(as_tensor(x, "reshape"), tuple(newshape) if isinstance(newshape, list) else newshape)


def ravel(x: Any) -> Tensor:
    """Return x as one row."""
    return as_tensor(x, "ravel").reshape(-1)


def squeeze(x: Any, axis: Axis = None) -> Tensor:
    """Return x without axes of size 1."""
    return fastnn.squeeze(as_tensor(x, "squeeze"), axis)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Return the Tensors one after the other along an axis."""
    return fastnn.concatenate([as_tensor(x, "concatenate") for x in xs], axis)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """Return x where x > 0, else negative_slope x."""
    return fastnn.leaky_relu(as_tensor(x, "leaky_relu"), negative_slope)


def gelu(x: Any, approximate: bool = True) -> Tensor:
    """Return x Phi(x), by default in its approximation by tanh."""
    return fastnn.gelu(as_tensor(x, "gelu"), approximate)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """Return the loss of each element."""
    target, output = as_tensor(target, "binary_crossentropy"), as_tensor(output, "binary_crossentropy")
    like = output.shape
    losses = loss_functions.binary_crossentropy(target.reshape(-1, 1), output.reshape(-1, 1), from_logits)
    return losses.reshape(like)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """Return the loss of each row of probabilities."""
    _last(axis, "categorical_crossentropy")
    return loss_functions.categorical_crossentropy(target, output, from_logits)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """Return the loss of each label."""
    _last(axis, "sparse_categorical_crossentropy")
    return loss_functions.sparse_categorical_crossentropy(target, output, from_logits)


def _last(axis: int, op: str) -> None:
    if axis != -1:
        raise ValueError(f"{op}: axis is {axis}; wanted -1, with the classes on the last axis")
