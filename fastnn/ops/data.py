"""Selection of rows and elements by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tape import changed
from ..autograd.tensor import Array, Gradients, Node, Tensor, result, torch_names
from ..backends import current
from ..core import arrays
from ..core.convert import dtype_of, own_array
from .checks import as_tensor, axis_of, floating, same_dtype, whole_number
from .shape import transpose


def as_index(index: Any, op: str, limit: int, lowest: int | None = None) -> Tensor:
    """Return integers from -limit, or from `lowest`, to limit - 1 as an int64 Tensor.

    They are checked here, when the operation runs. Replays do not check them: whatever `lowest` is, kernels count indices from
    -limit to -1 from the end. They read elements with an index out of range as NaN, and do not add to them.

    Raises:
        IndexError: an index is out of range; the message gives it and its position.
        TypeError: the indices are not integers.
    """
    k = current()
    if type(index) is k.xp.ndarray and index.dtype.kind in "iu":
        index = own_array(k, index, np.int64, op)
    t = as_tensor(index, op)
    if t.dtype != np.int64:
        if t.size and t.dtype.kind not in "iu":
            fix = "use astype, or let the model take them: input_spec = InputSpec('int'), Input(dtype='int64')"
            raise TypeError(f"{op}: an index of dtype {t.dtype} came, wanted whole numbers; {fix}")
        t = Tensor(arrays.cast(k, t.data, np.dtype(np.int64))) if t.size else as_tensor(np.zeros(t.shape, np.int64), op)
    values = t.data
    least = -limit if lowest is None else lowest
    if values.size and (values.min() < least or values.max() >= limit):
        values = k.to_numpy(values)
        place = np.unravel_index(int(((values < least) | (values >= limit)).argmax()), values.shape)
        at = f", at [{', '.join(map(str, place))}]" if place else ""
        wanted = "" if lowest is None else f"; wanted {lowest} to {limit - 1}"
        raise IndexError(f"{op}: index {values[place]} is out of range for {limit}{at}{wanted}")
    return t


def from_0(index: Tensor, limit: int) -> Tensor:
    """Convert negative indices, which count from the end, to indices from 0; by kernels, so that replays do it too."""
    k, data = current(), index.data
    zero, limits = (arrays.filled(k, (1,) * data.ndim, data.dtype, n) for n in (0, limit))
    negative = arrays.compare(k, "lt", data, zero)
    return Tensor(arrays.select(k, negative, arrays.binary(k, "add", data, limits), data))


@torch_names
def take(x: Any, index: Any, axis: int = 0) -> Tensor:
    """Return elements by index along an axis; by default rows, as in an embedding.

    In the shape of the result, the shape of index replaces the axis of x. Without an axis, NumPy and PyTorch use the flattened
    array: call this function with `x.reshape(-1)` for that.

    >>> import fastnn
    >>> x = fastnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> fastnn.take(x, [1]).tolist(), fastnn.take(x, [1], axis=1).tolist()
    ([[3.0, 4.0]], [[2.0], [4.0]])
    """
    x = as_tensor(x, "take")
    if x.ndim == 0:
        raise ValueError("take: a Tensor without dimensions has no rows")
    axis = axis_of(axis, x.ndim, "take")
    if axis == 0:
        return rows(x, index)
    y = rows(transpose(x, (axis, *(d for d in range(x.ndim) if d != axis))), as_index(index, "take", x.shape[axis]))
    n = y.ndim - x.ndim + 1  # dimensions of the index
    return transpose(y, (*range(n, n + axis), *range(n), *range(n + axis, y.ndim)))


def rows(x: Tensor, index: Any) -> Tensor:
    """x[index]: rows by index; the result has the shape of index, then that of x without the first dimension."""
    x = as_tensor(x, "take")
    if x.ndim == 0:
        raise ValueError("take: a Tensor without dimensions has no rows")
    index = as_index(index, "take", x.shape[0])
    k = current()
    columns = int(np.prod(x.shape[1:], dtype=np.int64))
    flat_index = index.data.reshape(-1)
    y = k.empty((index.size, columns), x.dtype)
    k.take_forward(y, x.data.reshape(x.shape[0], columns), flat_index)
    return result("take", y.reshape(index.shape + x.shape[1:]), _take_backward, (x, index), (flat_index,), {"axis": 0})


def _take_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, (index,) = node.inputs[0], node.saved
    add_gradient_rows(grads, x, dy, index)


def add_gradient_rows(grads: Gradients, x: Tensor, dy: Array, index: Array) -> None:
    """Add the rows of dy to those of the gradient of x that the index gives, and mark these rows.

    If all rows of the gradient that are not marked are known to be 0, an old gradient is cleared in the marked rows alone.
    """
    k, columns = grads.k, int(np.prod(x.shape[1:], dtype=np.int64))
    dx, add = grads.target(x)
    touched = grads.touched(x, dx)
    dx2, dy2 = dx.reshape(x.shape[0], columns), dy.reshape(len(index), columns)
    if touched.size and not add and x.zero_beside_marks():
        k.take_backward_marked(dx2, touched, dy2, index)
    else:
        k.take_backward(dx2, touched, dy2, index, 3 * add)  # both outputs
    grads.done(x, dx, marked=True)


def add_rows(x: Tensor, index: Tensor, rows: Tensor) -> None:
    """Add rows to those of x with the given indices, in place, without a gradient; rows with an index out of range are skipped.

    Args:
        x: (B, C).
        index: int64 (J,).
        rows: (J, C).

    >>> import fastnn
    >>> x = fastnn.zeros(2, 1)
    >>> fastnn.ops.data.add_rows(x, fastnn.tensor([1, 2]), fastnn.tensor([[3.0], [4.0]]))
    >>> x.tolist()
    [[0.0], [3.0]]
    """
    k = current()
    k.take_backward(x.data, k.absent, rows.data, index.data, 1)
    changed(x)


@torch_names
def gather(x: Tensor, axis: int, index: Any) -> Tensor:
    """Return elements by index along an axis, like PyTorch's gather: y[i][j] = x[i][index[i][j]] for axis 1.

    Args:
        x: any shape.
        axis: the axis of the indices.
        index: integers, with the shape of x except on this axis.

    >>> import fastnn
    >>> fastnn.gather(fastnn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, [[1], [0]]).tolist()
    [[2.0], [3.0]]
    """
    x = as_tensor(x, "gather")
    axis = axis_of(axis, max(x.ndim, 1), "gather")
    index = as_index(index, "gather", x.shape[axis] if x.ndim else 1)
    if index.ndim != x.ndim or any(index.shape[d] != x.shape[d] for d in range(x.ndim) if d != axis):
        raise ValueError(f"gather: index of shape {index.shape} for x of shape {x.shape}; they must agree except on axis {axis}")
    y, index3, shape = gathered(x, axis, index)
    return result("gather", y.reshape(index.shape), gather_backward, (x, index), (index3, shape), {"axis": axis})


def gathered(x: Tensor, axis: int, index: Tensor) -> tuple[Array, Array, tuple[int, int, int]]:
    """Return the elements by index along an axis, the index, and the shape of x, all as three dimensions with the axis second."""
    k, shape = current(), arrays.around(x.shape, axis)
    index3 = index.data.reshape(arrays.around(index.shape, axis))
    y = k.empty(index3.shape, x.dtype)
    k.gather_forward(y, x.data.reshape(shape), index3)
    return y, index3, shape


def gather_backward(grads: Gradients, node: Node, dy: Array, *_: None) -> None:
    """Add the gradient of the elements that `gathered` selected. The operation may have a second output of indices."""
    assert node.saved is not None
    index, shape = node.saved
    dx = grads.k.empty(shape, dy.dtype)
    grads.k.gather_backward(dx, dy.reshape(index.shape), index)
    grads.add(node.inputs[0], dx.reshape(node.inputs[0].shape))


@torch_names
def scatter_add(x: Any, axis: int, index: Any, src: Any) -> Tensor:
    """Return a copy of x to which src is added by index along an axis, like PyTorch's scatter_add.

    For axis 1: y[i][index[i][j]] += src[i][j]. index and src have the same shape: that of x except on this axis.

    >>> import fastnn
    >>> fastnn.scatter_add(fastnn.zeros(1, 3), 1, [[2, 2]], [[1.0, 0.5]]).tolist()
    [[0.0, 0.0, 1.5]]
    """
    x = floating("scatter_add", as_tensor(x, "scatter_add"))
    src = as_tensor(src, "scatter_add", x)
    same_dtype("scatter_add", x, src)
    axis = axis_of(axis, x.ndim, "scatter_add")
    index = as_index(index, "scatter_add", x.shape[axis])
    if index.shape != src.shape or src.ndim != x.ndim or any(src.shape[d] != x.shape[d] for d in range(x.ndim) if d != axis):
        raise ValueError(
            f"scatter_add: index of shape {index.shape} and src of shape {src.shape} for x of shape {x.shape};"
            f" the first two must be equal, and agree with x except on axis {axis}"
        )
    k = current()
    index3, added = index.data.reshape(arrays.around(src.shape, axis)), k.empty(arrays.around(x.shape, axis), x.dtype)
    k.gather_backward(added, src.data.reshape(index3.shape), index3)
    y = arrays.binary(k, "add", x.data, added.reshape(x.shape))
    return result("scatter_add", y, _scatter_add_backward, (x, index, src), (index3, added.shape), {"axis": axis})


def _scatter_add_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    index, shape = node.saved
    x, _, src = node.inputs
    if x.requires_grad:
        grads.add(x, dy)
    if src.requires_grad:
        dsrc = grads.k.empty(index.shape, dy.dtype)
        grads.k.gather_forward(dsrc, dy.reshape(shape), index)
        grads.add(src, dsrc.reshape(src.shape))


def one_hot(labels: Any, num_classes: int, dtype: Any = np.float32) -> Tensor:
    """Return rows with 1 at the label and 0 elsewhere, of shape (..., num_classes); for a label out of range, all are 0.

    >>> import fastnn
    >>> fastnn.one_hot([1, 0], 3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    t = as_tensor(labels, "one_hot")
    if t.dtype != np.int64:
        raise TypeError(f"one_hot: labels of dtype {t.dtype} came, wanted whole numbers")
    k, classes = current(), np.arange(whole_number(num_classes, "one_hot: num_classes", 0))
    hit = arrays.compare(k, "eq", t.data.reshape((*t.shape, 1)), k.asarray(classes))
    return Tensor(arrays.cast(k, hit, dtype_of(dtype, "one_hot")))
