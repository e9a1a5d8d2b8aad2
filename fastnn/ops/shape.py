"""Shapes: reshape shares memory, all other operations copy through one kernel, `strided_copy`."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends import current
from ..tensor import Array, Gradients, Node, Tensor, result, torch_names
from .data import take
from .door import as_tensor, axis_of, same_dtype
from .layout import broadcast_strides, layout, strides_of


def _copy(
    y: Array, x: Array, shape: tuple[int, ...], ys: tuple[int, ...], xs: tuple[int, ...], yo: int = 0, xo: int = 0, k: Any = None
) -> None:
    k = k or current()
    k.strided_copy(y, x, k.asarray(layout(shape, ys, xs, offsets=(yo, xo))))


def copy_array(k: Any, y: Array, x: Array) -> None:
    """y = x, of one shape and dtype."""
    n = int(x.size)
    _copy(y, x, (n,), (1,), (1,), k=k)


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; -1 stands for the size that is left over. Shares x's memory.

    >>> import fastnn
    >>> fastnn.tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1).shape
    (2, 2)
    """
    x = as_tensor(x, "reshape")
    wanted = tuple(int(n) for n in (shape[0] if len(shape) == 1 and not isinstance(shape[0], int | np.integer) else shape))
    try:
        data = x.data.reshape(wanted)
    except ValueError:
        raise ValueError(f"reshape: shape {x.shape} into {wanted}; the number of elements differs") from None
    return result(data, _reshape_backward, (x,))


def _reshape_backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], dy.reshape(node.inputs[0].shape))


@torch_names
def flatten(x: Tensor, start_axis: int = 0) -> Tensor:
    """All dimensions from start_axis on as one."""
    x = as_tensor(x, "flatten")
    start = axis_of(start_axis, max(x.ndim, 1), "flatten")
    return reshape(x, x.shape[:start] + (int(np.prod(x.shape[start:], dtype=np.int64)),))


@torch_names
def squeeze(x: Tensor, axis: int | None = None) -> Tensor:
    """Without the dimensions of size 1, or without that one."""
    x = as_tensor(x, "squeeze")
    if axis is None:
        return reshape(x, tuple(n for n in x.shape if n != 1))
    axis = axis_of(axis, x.ndim, "squeeze")
    return reshape(x, x.shape[:axis] + x.shape[axis + 1 :]) if x.shape[axis] == 1 else x


@torch_names
def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """With a dimension of size 1 at this place."""
    x = as_tensor(x, "unsqueeze")
    axis = axis_of(axis, x.ndim + 1, "unsqueeze")
    return reshape(x, x.shape[:axis] + (1,) + x.shape[axis:])


def transpose(x: Tensor, *axes: Any) -> Tensor:
    """The axes in another order: reversed without arguments, as in NumPy for a tuple, two of them swapped as in PyTorch.

    >>> import fastnn
    >>> fastnn.tensor([[1.0, 2.0]]).transpose(0, 1).shape
    (2, 1)
    """
    x = as_tensor(x, "transpose")
    if len(axes) == 2:
        return swap_axes(x, *axes)
    order = tuple(axes[0]) if len(axes) == 1 and isinstance(axes[0], Sequence) else axes or tuple(reversed(range(x.ndim)))
    order = tuple(axis_of(a, x.ndim, "transpose") for a in order)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes {order} of a Tensor with {x.ndim} dimensions; each must come once")
    if order == tuple(range(x.ndim)):
        return x
    return result(_transposed(x.data, order), _transpose_backward, (x,), order)


def swap_axes(x: Tensor, a: int, b: int) -> Tensor:
    """Two axes swapped."""
    a, b = axis_of(a, x.ndim, "swap_axes"), axis_of(b, x.ndim, "swap_axes")
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return x if a == b else result(_transposed(x.data, tuple(order)), _transpose_backward, (x,), tuple(order))


def _transposed(x: Array, order: tuple[int, ...]) -> Array:
    shape, strides = tuple(x.shape[a] for a in order), strides_of(x.shape)
    y = current().empty(shape, x.dtype)
    _copy(y, x, shape, strides_of(shape), tuple(strides[a] for a in order))
    return y


def _transpose_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (order,) = node.saved
    inverse = tuple(order.index(a) for a in range(len(order)))
    grads.add(node.inputs[0], _transposed(dy, inverse))


def expand(x: Array, shape: tuple[int, ...]) -> Array:
    """The array repeated along its dimensions of size 1, in a new array."""
    y = current().empty(shape, x.dtype)
    _copy(y, x, shape, strides_of(shape), broadcast_strides(x.shape, shape))
    return y


@torch_names
def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors joined along an axis.

    >>> import fastnn
    >>> fastnn.concatenate([fastnn.tensor([1.0]), fastnn.tensor([2.0, 3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    parts = _operands(tensors, "concatenate")
    axis = axis_of(axis, parts[0].ndim, "concatenate")
    shape = parts[0].shape
    for t in parts[1:]:
        if t.ndim != len(shape) or any(t.shape[d] != shape[d] for d in range(len(shape)) if d != axis):
            raise ValueError(f"concatenate: shapes {shape} and {t.shape} differ in more than axis {axis}")
    total = builtins.sum(t.shape[axis] for t in parts)
    y = current().empty(shape[:axis] + (total,) + shape[axis + 1 :], parts[0].dtype)
    strides, start = strides_of(y.shape), 0
    for t in parts:
        _copy(y, t.data, t.shape, strides, strides_of(t.shape), yo=start * strides[axis])
        start += t.shape[axis]
    return result(y, _concatenate_backward, parts, axis)


def _concatenate_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (axis,) = node.saved
    strides, start = strides_of(dy.shape), 0
    for t in node.inputs:
        if t.requires_grad:
            dx = grads.k.empty(t.shape, t.dtype)
            _copy(dx, dy, t.shape, strides_of(t.shape), strides, xo=start * strides[axis])
            grads.add(t, dx)
        start += t.shape[axis]


@torch_names
def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis.

    >>> import fastnn
    >>> fastnn.stack([fastnn.tensor([1.0]), fastnn.tensor([2.0])]).shape
    (2, 1)
    """
    parts = _operands(tensors, "stack")
    for t in parts[1:]:
        if t.shape != parts[0].shape:
            raise ValueError(f"stack: shapes {parts[0].shape} and {t.shape} differ")
    return concatenate([unsqueeze(t, axis) for t in parts], axis)


def _operands(tensors: Sequence[Any], op: str) -> tuple[Tensor, ...]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence) or not tensors:
        raise ValueError(f"{op}: wanted a list of at least one Tensor")
    like = next((t for t in tensors if isinstance(t, Tensor)), None)
    parts = tuple(as_tensor(t, op, like) for t in tensors)
    same_dtype(op, *parts)
    return parts


def getitem(x: Tensor, key: Any) -> Tensor:
    """x[key]: whole numbers, slices, None and ... in any number (a copy), or one index array for the first dimension."""
    if isinstance(key, list | np.ndarray) or (isinstance(key, Tensor) and key.ndim):
        if (key.dtype if not isinstance(key, list) else np.asarray(key).dtype) == np.bool_:
            raise TypeError("indexing: the size of a selection by a mask depends on the data; use fastnn.where, or numpy()")
        return take(x, key)
    if isinstance(key, Tensor):
        key = int(key.item())
    keys = key if isinstance(key, tuple) else (key,)
    given = builtins.sum(1 for item in keys if item is not None and item is not Ellipsis)
    if given > x.ndim:
        raise IndexError(f"indexing: {given} indices for a Tensor with {x.ndim} dimensions")
    if not any(item is Ellipsis for item in keys):
        keys = (*keys, Ellipsis)
    shape: list[int] = []
    strides: list[int] = []
    own, axis, offset = strides_of(x.shape), 0, 0
    for item in keys:
        if item is Ellipsis:
            n = x.ndim - given
            shape += x.shape[axis : axis + n]
            strides += own[axis : axis + n]
            axis += n
        elif item is None:
            shape.append(1)
            strides.append(0)
        elif isinstance(item, slice):
            start, stop, step = item.indices(x.shape[axis])
            n = len(range(start, stop, step))
            offset += start * own[axis] if n else 0
            shape.append(n)
            strides.append(step * own[axis])
            axis += 1
        elif isinstance(item, int | np.integer) and not isinstance(item, bool):
            if not -x.shape[axis] <= item < x.shape[axis]:
                raise IndexError(f"indexing: index {item} is out of range for axis {axis} of size {x.shape[axis]}")
            offset += int(item) % x.shape[axis] * own[axis]
            axis += 1
        else:
            raise TypeError(
                f"indexing: {type(item).__name__} {item!r}, wanted whole numbers, slices, None, ... or one index array"
            )
    y = current().empty(tuple(shape), x.dtype)
    _copy(y, x.data, tuple(shape), strides_of(shape), tuple(strides), xo=offset)
    return result(y, _getitem_backward, (x,), tuple(shape), tuple(strides), offset)


def _getitem_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    shape, strides, offset = node.saved
    dx = grads.k.empty(node.inputs[0].shape, dy.dtype)
    grads.k.fill(dx, 0.0)
    _copy(dx, dy, shape, strides, strides_of(shape), yo=offset)
    grads.add(node.inputs[0], dx)
