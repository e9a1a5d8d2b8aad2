"""Losses of rows, and their reduction to one number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec import LINEAR, REDUCE_LOSS_MODES
from ..core.convert import as_array
from ..core.layout import broadcast_strides, layout, strides_of
from ..core.precision import precision
from .checks import floating, same_dtype
from .dense import ADD_DB, ADD_DW

if TYPE_CHECKING:
    from ..backends.base import Backend

_INT64 = np.dtype(np.int64)
NO_LABEL = -(2**62)
"""Value of ignore_index that no label has."""
SMALL_BYTES, CHUNK_BYTES = 16 << 20, 128 << 20
"""`linear_cross_entropy` holds all logits up to the first size. Beyond it, it holds half of them, but at most the second size."""
CHUNK_ROWS = 64
"""Least number of rows in a chunk: with fewer, reading the weight takes longer than the products with it."""


def sparse_cross_entropy(
    logits: Tensor,
    labels: Array,
    sample_weight: Array | None = None,
    class_weight: Array | None = None,
    smoothing: float = 0.0,
    ignore_index: int = NO_LABEL,
) -> tuple[Tensor, Array]:
    """Softmax cross-entropy of integer labels.

    Args:
        logits: (M, N).
        labels: int64 (M,).
        sample_weight: (M,) or None.
        class_weight: (N,) or None.
        smoothing: fraction of each target that is spread over all classes.
        ignore_index: rows with this label are ignored.

    Returns:
        The weighted losses (M,), and their weights (M,).
    """
    k, z = current(), logits.data
    shape, dtype = z.shape, z.dtype
    labels, w, c = _labels_and_weights(k, labels, sample_weight, class_weight, shape, dtype, "sparse_cross_entropy")
    losses, weights, p = k.empty(shape[:1], dtype), k.empty(shape[:1], dtype), k.empty(shape, dtype)
    k.sparse_cross_entropy_forward(losses, weights, p, z, labels, w, c, smoothing, ignore_index)
    saved, attrs = (p, labels, w, c, smoothing, ignore_index), {"smoothing": smoothing, "ignore_index": ignore_index}
    return result("sparse_cross_entropy", losses, _sparse_backward, (logits,), saved, attrs), weights


def _labels_and_weights(
    k: Backend, labels: Any, sample_weight: Any, class_weight: Any, shape: tuple[int, ...], dtype: Any, op: str
) -> tuple[Array, Array, Array]:
    """Return labels, weights of rows and weights of classes as backend arrays (missing ones have size 0); logits are (M, N)."""
    sw = k.absent if sample_weight is None else as_array(sample_weight, dtype, shape[:1], f"{op}: sample_weight")
    cw = k.absent if class_weight is None else as_array(class_weight, dtype, shape[1:], f"{op}: class_weight")
    return as_array(labels, _INT64, shape[:1], f"{op}: labels"), sw, cw


def _sparse_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    p, labels, w, c, smoothing, ignore_index = node.saved
    d = grads.k.empty(p.shape, p.dtype)
    grads.k.sparse_cross_entropy_backward(d, dlosses, p, labels, w, c, smoothing, ignore_index)
    grads.add(node.inputs[0], d)


def linear_cross_entropy(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    labels: Array,
    sample_weight: Array | None = None,
    class_weight: Array | None = None,
    smoothing: float = 0.0,
    ignore_index: int = NO_LABEL,
    transposed: bool = False,
) -> tuple[Tensor, Array]:
    """Return `sparse_cross_entropy` of the logits x w + b without all logits in memory; for many classes.

    The rows of x are processed in chunks, and only one chunk's logits are in memory. Backward uses the stored probabilities of
    the last chunk, and computes those of the others again. With many chunks this is a third more arithmetic, with one chunk none.

    Args:
        x: (..., K), M rows in all.
        w: (K, N), or (N, K) if transposed, like the table of an embedding.
        b: (N,) or None.
        labels: int64 (M,).
        sample_weight, class_weight, smoothing, ignore_index: as in `sparse_cross_entropy`.
        transposed: whether w is (N, K).

    Returns:
        The weighted losses (M,), and their weights (M,).

    >>> import fastnn, numpy as np
    >>> x, w = fastnn.tensor([[1.0, 2.0]]), fastnn.tensor([[0.5, 0.5, 0.5], [-0.5, -0.5, -0.5]])
    >>> losses, _ = fastnn.ops.loss.linear_cross_entropy(x, w, None, np.array([2]))
    >>> round(losses.item(), 4)
    1.0986
    """
    op = "linear_cross_entropy"
    tensors = (x, w) if b is None else (x, w, b)
    same_dtype(op, floating(op, x), *tensors[1:])
    head = _Head(w, b, transposed)
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != head.inputs:
        sizes = "(N, K)" if transposed else "(K, N)"
        raise ValueError(f"{op}: x has shape {x.shape} and w {w.shape}, wanted (..., K) and {sizes}")
    if b is not None and b.shape != (head.classes,):
        raise ValueError(f"{op}: b has shape {b.shape}, wanted ({head.classes},)")
    k = current()
    rows = math.prod(x.shape[:-1])
    x2 = x.data.reshape(rows, head.inputs)
    labels, sw, cw = _labels_and_weights(k, labels, sample_weight, class_weight, (rows, head.classes), x.dtype, op)
    losses, weights = k.empty(rows, x.dtype), k.empty(rows, x.dtype)
    row_bytes = max(1, head.classes * x.dtype.itemsize)
    chunk_bytes = min(max(SMALL_BYTES, -(-rows // 2) * row_bytes), CHUNK_BYTES)
    chunks = _ranges(0, rows, max(CHUNK_ROWS, chunk_bytes // row_bytes))
    z = k.empty((_longest(chunks), head.classes), x.dtype)
    for chunk in chunks:
        at, p = slice(chunk.start, chunk.stop), z[: len(chunk)]
        head.logits(k, p, x2[at])
        k.sparse_cross_entropy_forward(losses[at], weights[at], p, p, labels[at], sw[at], cw, smoothing, ignore_index)
    kept = [z]  # probabilities of the last chunk, until backward uses them
    saved = head, x2, chunks, kept, labels, sw, cw, smoothing, ignore_index
    attrs = {"smoothing": smoothing, "ignore_index": ignore_index, "transposed": transposed}
    return result(op, losses, _linear_backward, tensors, saved, attrs), weights


class _Head:
    """Products with the weight w, which is stored as (K, N) or (N, K), and the bias b."""

    def __init__(self, w: Tensor, b: Tensor | None, transposed: bool) -> None:
        self.w, self.b, self.transposed = w.data, None if b is None else b.data, transposed
        self.rounding = precision()
        self.inputs, self.classes = w.shape[:: -1 if transposed else 1] if w.ndim == 2 else (0, 0)

    def logits(self, k: Backend, z: Array, x: Array) -> None:
        """z = x w + b."""
        if not self.transposed:
            absent = k.absent
            k.dense_forward(z, absent, x, self.w, absent if self.b is None else self.b, LINEAR, self.rounding)
            return
        if self.b is not None:
            strides = strides_of(z.shape), broadcast_strides(self.b.shape, z.shape)
            k.strided_copy(z, self.b, k.constant(layout(z.shape, *strides, offsets=(0, 0))))
        k.matmul_nt(z, x, self.w, 1.0, 0.0 if self.b is None else 1.0, self.rounding)

    def gradients(self, k: Backend, dx: Array, dw: Array, db: Array, dz: Array, x: Array, add: int) -> None:
        """dx = dz w^T, dw = x^T dz, db = column sums of dz, as `dense_backward`: those that are not absent, with its mask."""
        absent = k.absent
        if not self.transposed:
            k.dense_backward(dx, dw, db, absent, dz, x, self.w, dz, absent, LINEAR, add, self.rounding)
            return
        if db.size:  # a dense layer without inputs has the same db
            none = k.empty((len(dz), 0), dz.dtype), k.empty((0, dz.shape[1]), dz.dtype)
            k.dense_backward(absent, absent, db, absent, dz, *none, dz, absent, LINEAR, add & ADD_DB, self.rounding)
        if dw.size:
            k.matmul_tn(dw, dz, x, 1.0, 1.0 if add & ADD_DW else 0.0, self.rounding)
        if dx.size:
            k.matmul_nn(dx, dz, self.w, 1.0, 0.0, self.rounding)


def _ranges(start: int, stop: int, most: int) -> list[range]:
    """Split start..stop into the fewest ranges of at most `most` items and about equal length; at least one range."""
    n = max(1, -(-(stop - start) // most))
    step = max(1, -(-(stop - start) // n))
    return [range(i, min(i + step, stop)) for i in range(start, max(stop, start + 1), step)]


def _longest(ranges: list[range]) -> int:
    return max(map(len, ranges))


def _linear_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    head, x, chunks, kept, labels, sw, cw, smoothing, ignore_index = node.saved
    k = grads.k
    absent = k.absent
    (dx, add_dx), (dw, add_dw), (db, add_db) = (absent, False), (absent, False), (absent, False)
    need_dx, need_dw = node.inputs[0].requires_grad, node.inputs[1].requires_grad
    need_db = len(node.inputs) == 3 and node.inputs[2].requires_grad
    if need_dx:
        dx, add_dx = grads.target(node.inputs[0])
        if add_dx or node.inputs[0] is node.inputs[1]:
            dx, add_dx = k.empty(x.shape, x.dtype), True
        dx = dx.reshape(x.shape)
    if need_dw:
        dw, add_dw = grads.target(node.inputs[1])
    if need_db:
        db, add_db = grads.target(node.inputs[2])
    add = ADD_DW * add_dw | ADD_DB * add_db
    filled = bool(kept)
    z = kept.pop() if filled else k.empty((_longest(chunks), head.classes), x.dtype)
    for chunk in reversed(chunks):  # the probabilities of the last chunk are stored
        at, d = slice(chunk.start, chunk.stop), z[: len(chunk)]
        if not filled:
            head.logits(k, d, x[at])
            spare = k.empty((2, len(chunk)), x.dtype)
            k.sparse_cross_entropy_forward(spare[0], spare[1], d, d, labels[at], sw[at], cw, smoothing, ignore_index)
        k.sparse_cross_entropy_backward(d, dlosses[at], d, labels[at], sw[at], cw, smoothing, ignore_index)
        head.gradients(k, dx[at], dw, db, d, x[at], add)
        filled, add = False, ADD_DW * need_dw | ADD_DB * need_db  # the next chunks add to the gradients
    # The weight comes first: its gradient is written in place, and that of x may be added to it if both are the same Tensor.
    if need_dw:
        grads.done(node.inputs[1], dw)
    if need_db:
        grads.done(node.inputs[2], db)
    if need_dx:
        (grads.add if add_dx else grads.done)(node.inputs[0], dx.reshape(node.inputs[0].shape))


def cross_entropy(
    logits: Tensor, targets: Array, sample_weight: Array | None = None, class_weight: Array | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the softmax cross-entropy for target probabilities (M, N): the weighted losses (M,)."""
    k = current()
    absent = k.absent
    w = absent if sample_weight is None else sample_weight
    c = absent if class_weight is None else class_weight
    losses, p = k.empty(logits.shape[:1], logits.dtype), k.empty(logits.shape, logits.dtype)
    k.cross_entropy_forward(losses, p, logits.data, targets, w, c, smoothing)
    return result(
        "cross_entropy", losses, _cross_entropy_backward, (logits,), (p, targets, w, c, smoothing), {"smoothing": smoothing}
    )


def _cross_entropy_backward(grads: Gradients, node: Node, dlosses: Array) -> None:
    assert node.saved is not None
    p, targets, w, c, smoothing = node.saved
    d = grads.k.empty(p.shape, p.dtype)
    grads.k.cross_entropy_backward(d, dlosses, p, targets, w, c, smoothing)
    grads.add(node.inputs[0], d)


def reduce_loss(losses: Tensor, mode: str = "batch", weights: Array | None = None) -> Tensor:
    """Reduce losses (M,) to their sum, divided by M ("batch"), by the sum of weights ("weights"; with "weights_or_one", by 1 if
    it is 0), or by 1 ("sum")."""
    k = current()
    loss, normaliser = k.empty(1, losses.dtype), k.empty(1, losses.dtype)
    w: Any = k.absent if weights is None else weights
    k.reduce_loss_forward(loss, normaliser, losses.data, w, REDUCE_LOSS_MODES.index(mode))
    return result("reduce_loss", loss.reshape(()), _reduce_backward, (losses,), (normaliser,), {"mode": mode})


def _reduce_backward(grads: Gradients, node: Node, dloss: Array) -> None:
    assert node.saved is not None
    (normaliser,) = node.saved
    d = grads.k.empty(node.inputs[0].shape, node.inputs[0].dtype)
    grads.k.reduce_loss_backward(d, dloss.reshape(1), normaliser)
    grads.add(node.inputs[0], d)
