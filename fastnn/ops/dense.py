"""The dense layer and matrix products."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec import LINEAR, Activation
from ..core import arrays
from ..core.layout import broadcast_strides, products, strides_of
from ..core.precision import precision
from . import shape as shape_ops
from .checks import as_tensor, floating, same_dtype

if TYPE_CHECKING:
    from ..backends.base import Backend

ADD_DW, ADD_DB = 2, 4
"""Bits of the mask of `dense_backward`: its second and third output are added to the content of the arrays."""


def dense(x: Tensor, w: Tensor, b: Tensor | None = None, activation: Activation = LINEAR) -> Tensor:
    """activation(x w + b), in one kernel.

    Args:
        x: (..., K); all dimensions but the last are a batch.
        w: (K, N).
        b: (N,) or None.
        activation: an element-wise function.

    Returns:
        (..., N).

    >>> import fastnn
    >>> fastnn.ops.dense.dense(fastnn.tensor([[2.0, 3.0]]), fastnn.tensor([[0.5], [-0.25]])).tolist()
    [[0.25]]
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"dense: {type(x).__name__} came, wanted numbers")
    data, kernel = x.data, w.data
    shape, dtype = data.shape, data.dtype
    if dtype.kind != "f" or kernel.dtype != dtype:
        same_dtype("dense", floating("dense", x), w)
    inputs, n = kernel.shape
    if not shape or shape[-1] != inputs:
        raise ValueError(
            f"dense: x has {shape[-1] if shape else 'no'} features (shape {shape}), but the layer was built for {inputs}"
        )
    k = current()
    out = (*shape[:-1], n)
    rows = out if len(out) == 2 else (_rows(shape[:-1]), n)
    x2 = data if len(out) == 2 else data.reshape(rows[0], inputs)
    y = k.empty(rows, dtype)
    rounding = precision()
    aux = (
        k.absent if activation is LINEAR and not rounding else k.aux("dense_forward", *rows, inputs, dtype, activation, rounding)
    )
    k.dense_forward(y, aux, x2, kernel, k.absent if b is None else b.data, activation, rounding)
    tensors = (x, w) if b is None else (x, w, b)
    saved = x2, kernel, y, aux, activation, rounding
    return result("dense", y if rows is out else y.reshape(out), _dense_backward, tensors, saved, {"activation": activation})


def _rows(batch: tuple[int, ...]) -> int:
    rows = 1
    for n in batch:
        rows *= n
    return rows


def _dense_backward(grads: Gradients, node: Node, dy: Array) -> None:
    _gradients(grads, node, dy, grads.k.dense_backward)


def _gradients(grads: Gradients, node: Node, dy: Array, backward: Callable[..., None]) -> None:
    """Compute the gradients of a layer, or of those of many nets, by a kernel."""
    assert node.saved is not None
    x, w, y, aux, activation, rounding = node.saved
    k, inputs = grads.k, node.inputs
    dx = dw = db = dz = k.absent
    shape, mask = y.shape, 0
    need_dx, need_dw = inputs[0].requires_grad, inputs[1].requires_grad
    need_db = len(inputs) == 3 and inputs[2].requires_grad
    if need_dx:
        dx = k.empty(x.shape, x.dtype)
    if need_dw:
        dw, add = grads.target(inputs[1])
        mask = ADD_DW if add else 0
    if need_db:
        db, add = grads.target(inputs[2])
        mask |= ADD_DB if add else 0
    if activation.id != LINEAR.id:
        dz = k.empty(shape, y.dtype)
    backward(dx, dw, db, dz, dy if dy.shape == shape else dy.reshape(shape), x, w, y, aux, activation, mask, rounding)
    # The weight comes first: its gradient is written in place, and that of x may be added to it if both are the same Tensor.
    if need_dw:
        grads.done(inputs[1], dw)
    if need_db:
        grads.done(inputs[2], db)
    if need_dx:
        shape = inputs[0].data.shape
        grads.add(inputs[0], dx if dx.shape == shape else dx.reshape(shape))


def dense_nets(x: Tensor, w: Tensor, b: Tensor | None = None, activation: Activation = LINEAR) -> Tensor:
    """activation(x w + b) of the layers of many nets, in one kernel.

    Args:
        x: (nets, M, K), or (M, K) if all nets have the same input.
        w: (nets, K, N).
        b: (nets, N) or None.
        activation: an element-wise function.

    Returns:
        (nets, M, N).

    >>> import fastnn
    >>> fastnn.ops.dense.dense_nets(fastnn.tensor([[2.0, 3.0]]), fastnn.tensor([[[0.5], [1.0]], [[1.0], [0.0]]])).tolist()
    [[[4.0]], [[2.0]]]
    """
    same_dtype("dense_nets", floating("dense_nets", x), w)
    nets, inputs, n = w.shape
    if x.ndim not in (2, 3) or x.shape[-1] != inputs or (x.ndim == 3 and len(x) != nets):
        raise ValueError(f"dense_nets: x has shape {x.shape}; wanted ({nets}, M, {inputs}) or (M, {inputs})")
    if x.ndim == 2 and x.requires_grad:
        x = shape_ops.broadcast_to(x, (nets, *x.shape))  # its gradient is the sum over the nets
    k, dtype, rounding = current(), x.dtype, precision()
    x3 = x.data if x.ndim == 3 else x.data.reshape(1, *x.shape)
    y = k.empty((nets, x.shape[-2], n), dtype)
    sizes = *y.shape, len(x3), inputs
    aux = k.absent if activation is LINEAR and not rounding else k.aux("dense_nets_forward", *sizes, dtype, activation, rounding)
    k.dense_nets_forward(y, aux, x3, w.data, k.absent if b is None else b.data, activation, rounding)
    tensors = (x, w) if b is None else (x, w, b)
    saved = x3, w.data, y, aux, activation, rounding
    return result("dense_nets", y, _dense_nets_backward, tensors, saved, {"activation": activation})


def _dense_nets_backward(grads: Gradients, node: Node, dy: Array) -> None:
    _gradients(grads, node, dy, grads.k.dense_nets_backward)


def logits_of(y: Tensor) -> Tensor | None:
    """Return the input of the sigmoid in the `dense` that made y, if it is on the tape; for losses of logits."""
    node = y.node
    if node is None or node.backward is not _dense_backward or node.saved is None or node.saved[4].name != "sigmoid":
        return None
    return before_activation(node, y.shape)


def before_activation(node: Node, shape: tuple[int, ...]) -> Tensor:
    """Return the input of the activation in a node of `dense`, on the tape.

    It has values only if the activation's backward needs them.
    """
    assert node.saved is not None
    x, w, y, z, activation, rounding = node.saved
    saved = x, w, y, current().absent, LINEAR, rounding
    made = Node("dense", {"activation": LINEAR}, _dense_backward, node.inputs, saved)
    return Tensor((z if activation.saves_z else y).reshape(shape), True, made)


def matmul(a: Any, b: Any) -> Tensor:
    """Return the matrix product a b, like NumPy's ``@``: dimensions before the last two are batch axes, which broadcast.

    >>> import fastnn
    >>> fastnn.matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    a, b = as_tensor(a, "matmul", like), as_tensor(b, "matmul", like)
    same_dtype("matmul", floating("matmul", a), b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit; wanted (..., K) and (..., K, N) or (K,)")
    if b.ndim > 2:
        return matmul_batches(a, b)
    out = a.shape[:-1] + b.shape[1:]
    a2 = a if a.ndim == 2 else shape_ops.reshape(a, (_rows(a.shape[:-1]), a.shape[-1]))
    b2 = b if b.ndim == 2 else shape_ops.reshape(b, (b.shape[0], 1))
    k = current()
    c = k.empty((a2.shape[0], b2.shape[1]), a.dtype)
    rounding = precision()
    k.matmul_nn(c, a2.data, b2.data, 1.0, 0.0, rounding)
    product = result("matmul", c, _matmul_backward, (a2, b2), (a2.data, b2.data, rounding))
    return product if c.shape == out else shape_ops.reshape(product, out)


def _matmul_backward(grads: Gradients, node: Node, dc: Array) -> None:
    assert node.saved is not None
    a, b, rounding = node.saved
    k = grads.k
    if node.inputs[0].requires_grad:
        da, add = grads.target(node.inputs[0])
        k.matmul_nt(da, dc, b, 1.0, 1.0 if add else 0.0, rounding)
        grads.done(node.inputs[0], da)
    if node.inputs[1].requires_grad:
        db, add = grads.target(node.inputs[1])
        k.matmul_tn(db, a, dc, 1.0, 1.0 if add else 0.0, rounding)
        grads.done(node.inputs[1], db)


def matmul_transposed(x: Tensor, w: Tensor) -> Tensor:
    """Return x w^T, without a transposed copy of w: (..., K) and (N, K) give (..., N).

    >>> import fastnn
    >>> fastnn.ops.dense.matmul_transposed(fastnn.tensor([[1.0, 2.0]]), fastnn.tensor([[3.0, 4.0], [5.0, 6.0]])).tolist()
    [[11.0, 17.0]]
    """
    same_dtype("matmul_transposed", floating("matmul_transposed", x), w)
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise ValueError(f"matmul_transposed: shapes {x.shape} and {w.shape} do not fit; wanted (..., K) and (N, K)")
    k, rounding = current(), precision()
    x2 = x.data.reshape(_rows(x.shape[:-1]), w.shape[1])
    y = k.empty((len(x2), w.shape[0]), x.dtype)
    k.matmul_nt(y, x2, w.data, 1.0, 0.0, rounding)
    saved = (x2, w.data, rounding)
    return result("matmul_transposed", y.reshape(*x.shape[:-1], w.shape[0]), _matmul_transposed_backward, (x, w), saved)


def _matmul_transposed_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, w, rounding = node.saved
    k, dy2 = grads.k, dy.reshape(len(x), len(w))
    if node.inputs[1].requires_grad:
        dw, add = grads.target(node.inputs[1])
        k.matmul_tn(dw, dy2, x, 1.0, 1.0 if add else 0.0, rounding)
        grads.done(node.inputs[1], dw)
    if node.inputs[0].requires_grad:
        dx = k.empty(x.shape, x.dtype)
        k.matmul_nn(dx, dy2, w, 1.0, 0.0, rounding)
        grads.add(node.inputs[0], dx.reshape(node.inputs[0].shape))


def matmul_batches(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of the matrices in two batches: (..., M, K) or (K,) by (..., K, N)."""
    if a.ndim == 1:
        return shape_ops.squeeze(matmul_batches(shape_ops.unsqueeze(a, 0), b), -2)
    batch, _ = arrays.broadcast("matmul", a.shape[:-2], b.shape[:-2])
    k, rounding = current(), precision()
    c = k.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    _multiply(k, c, a.data, b.data, batch, rounding=rounding)
    return result("matmul", c, _matmul_batches_backward, (a, b), (a.data, b.data, rounding))


def _multiply(
    k: Backend,
    c: Array,
    a: Array,
    b: Array,
    batch: tuple[int, ...],
    ta: bool = False,
    tb: bool = False,
    beta: float = 0.0,
    rounding: int = 0,
) -> None:
    """Compute c = a b + beta c for each index of the batch axes; ta and tb transpose the factors.

    If c has size 1 along a batch axis, or does not have the axis, the products are summed.
    """
    (m, n), inner = c.shape[-2:], a.shape[-2 if ta else -1]
    k.matmul_batched(c, a, b, k.constant(_layout(batch, m, n, inner, c.shape, a.shape, b.shape, ta, tb)), 1.0, beta, rounding)


@lru_cache(maxsize=4096)
def _layout(
    batch: tuple[int, ...],
    m: int,
    n: int,
    inner: int,
    c: tuple[int, ...],
    a: tuple[int, ...],
    b: tuple[int, ...],
    ta: bool,
    tb: bool,
) -> np.ndarray[Any, Any]:
    """Return the layout for arrays with these shapes, which broadcast to the batch axes."""
    places = []
    for shape, transposed in ((c, False), (a, ta), (b, tb)):
        strides = broadcast_strides(shape, (*batch, *shape[-2:]))
        row, column = strides_of(shape)[-2:]
        places.append((0, *strides[:-2], *((column, row) if transposed else (row, column))))
    return products((*batch, m, n, inner), *places)


def _matmul_batches_backward(grads: Gradients, node: Node, dc: Array) -> None:
    assert node.saved is not None
    a, b, rounding = node.saved
    batch = dc.shape[:-2]
    if node.inputs[0].requires_grad:
        da, add = grads.target(node.inputs[0])
        _multiply(grads.k, da, dc, b, batch, False, True, 1.0 if add else 0.0, rounding)
        grads.done(node.inputs[0], da)
    if node.inputs[1].requires_grad:
        db, add = grads.target(node.inputs[1])
        _multiply(grads.k, db, a, dc, batch, True, False, 1.0 if add else 0.0, rounding)
        grads.done(node.inputs[1], db)


def dot(a: Any, b: Any) -> Tensor:
    """Return the inner product of two vectors.

    >>> import fastnn
    >>> fastnn.dot([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    a, b = _vectors("dot", a, b)
    return matmul(a, b)


def outer(a: Any, b: Any) -> Tensor:
    """Return the products of all elements of one vector with all of another: (M, N).

    >>> import fastnn
    >>> fastnn.outer([1.0, 2.0], [3.0, 4.0]).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    a, b = _vectors("outer", a, b)
    return matmul(shape_ops.unsqueeze(a, 1), shape_ops.unsqueeze(b, 0))


def _vectors(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    a, b = as_tensor(a, op, like), as_tensor(b, op, like)
    same_dtype(op, floating(op, a), b)
    if a.ndim != 1 or b.ndim != 1 or (op == "dot" and a.shape != b.shape):
        raise ValueError(f"{op}: shapes {a.shape} and {b.shape} came, wanted two vectors")
    return a, b
