"""Normalization: numbers with mean 0 and variance 1, by channel, by sample or by group."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..autograd.tape import changed
from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec import LINEAR
from ..core.arrays import binary, copy_array
from .checks import floating, same_dtype

if TYPE_CHECKING:
    from ..distributed.normalization import Statistics

ADD_DGAMMA, ADD_DBETA = 2, 4
"""Bits of the mask of `norm_backward`: its second and third output are added to the content of the arrays."""


def normalize(
    x: Tensor,
    view: tuple[int, int, int, int],
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
    *,
    center: bool = True,
    running: tuple[Tensor, Tensor] | None = None,
    momentum: float = 0.1,
    unbiased: bool = True,
    op: str = "normalize",
) -> Tensor:
    """Return (x - mean) / sqrt(variance + epsilon) gamma + beta.

    Args:
        x: numbers of any shape.
        view: (A, B, C, D), a shape of x: for each index of A and C, the numbers along B and D are normalized together.
        gamma, beta: C D numbers each, or None.
        epsilon: it is added to the variance.
        center: whether the mean is subtracted. Otherwise it counts as 0.
        running: averages of the means and the variances, of size C, that are moved towards those of x; A is 1.
        momentum: the share by which they move.
        unbiased: whether the variance that they get is divided by n - 1.
        op: the name in error messages.

    Raises:
        TypeError: x is not of floats, or has another dtype than gamma or beta.

    >>> import fastnn
    >>> x = fastnn.tensor([[1.0, 3.0], [2.0, 6.0]])
    >>> fastnn.ops.normalization.normalize(x, (2, 1, 1, 2), epsilon=0.0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    same_dtype(op, floating(op, x), *(t for t in (gamma, beta, *(running or ())) if t is not None))
    k, (a, _, c, d) = current(), view
    x4 = x.data.reshape(view)
    y, mean, rstd = k.empty(view, x.dtype), k.empty((a, c), x.dtype), k.empty((a, c), x.dtype)
    scale, shift = (k.absent if t is None else t.data.reshape(c, d) for t in (gamma, beta))
    averages = (k.absent, k.absent) if running is None else (running[0].data, running[1].data)
    k.norm_forward(y, mean, rstd, *averages, x4, scale, shift, float(epsilon), float(momentum), int(unbiased), int(center), 0)
    if running is not None:
        changed(*running)
    tensors = tuple(t for t in (x, gamma, beta) if t is not None)
    saved = x4, mean, rstd, scale, int(center), gamma is not None, beta is not None
    attrs = {"view": view, "epsilon": epsilon, "center": center}
    return result("normalize", y.reshape(x.shape), _normalize_backward, tensors, saved, attrs)


def _normalize_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, mean, rstd, scale, center, has_gamma, has_beta = node.saved
    k, inputs = grads.k, node.inputs
    gamma = inputs[1] if has_gamma and inputs[1].requires_grad else None
    beta = inputs[-1] if has_beta and inputs[-1].requires_grad else None
    dx = k.empty(x.shape, x.dtype) if inputs[0].requires_grad else k.absent
    scales = _Scales(grads, gamma, beta, x.shape[2:])
    k.norm_backward(dx, scales.dgamma, scales.dbeta, dy.reshape(x.shape), x, mean, rstd, scale, k.absent, center, 0, scales.mask)
    scales.done()
    if inputs[0].requires_grad:
        grads.add(inputs[0], dx.reshape(inputs[0].shape))


def normalize_by(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    epsilon: float,
    op: str = "normalize_by",
) -> Tensor:
    """Return x normalized along its last axis by a given mean and variance, which are constants, times gamma plus beta.

    >>> import fastnn
    >>> x, one = fastnn.tensor([[3.0]]), fastnn.ones(1)
    >>> fastnn.ops.normalization.normalize_by(x, one, 4 * one, None, None, 0.0).tolist()
    [[1.0]]
    """
    same_dtype(op, floating(op, x), mean, variance, *(t for t in (gamma, beta) if t is not None))
    k, c = current(), x.shape[-1]
    x2 = x.data.reshape(-1, c) if x.size else x.data.reshape(0, c)
    y, scale, shift = k.empty(x2.shape, x.dtype), k.empty((c,), x.dtype), k.empty((c,), x.dtype)
    of_gamma, of_beta = (k.absent if t is None else t.data for t in (gamma, beta))
    k.norm_fold(scale, shift, mean.data, variance.data, of_gamma, of_beta, k.absent, float(epsilon))
    k.norm_apply(y, x2, scale, shift, LINEAR)
    tensors = tuple(t for t in (x, gamma, beta) if t is not None)
    saved = x2, scale, mean.data, variance.data, float(epsilon), gamma is not None, beta is not None
    return result("normalize_by", y.reshape(x.shape), _normalize_by_backward, tensors, saved, {"epsilon": epsilon})


def _normalize_by_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, scale, mean, variance, epsilon, has_gamma, has_beta = node.saved
    k, inputs, dy2 = grads.k, node.inputs, dy.reshape(x.shape)
    dx = k.empty(x.shape, x.dtype) if inputs[0].requires_grad else k.absent
    if inputs[0].requires_grad:
        k.norm_apply(dx, dy2, scale, k.absent, LINEAR)
    gamma = inputs[1] if has_gamma and inputs[1].requires_grad else None
    beta = inputs[-1] if has_beta and inputs[-1].requires_grad else None
    if gamma is not None or beta is not None:
        view = (1, *x.shape, 1)
        rstd, shift = k.empty((1, x.shape[-1]), x.dtype), k.empty(mean.shape, x.dtype)
        k.norm_fold(rstd.reshape(-1), shift, mean, variance, k.absent, k.absent, k.absent, epsilon)
        scales = _Scales(grads, gamma, beta, view[2:])
        x4, mean2 = x.reshape(view), mean.reshape(1, -1)
        k.norm_backward(
            k.absent, scales.dgamma, scales.dbeta, dy2.reshape(view), x4, mean2, rstd, k.absent, k.absent, 1, 0, scales.mask
        )
        scales.done()
    if inputs[0].requires_grad:
        grads.add(inputs[0], dx.reshape(inputs[0].shape))


def normalize_together(
    x: Tensor,
    statistics: Statistics,
    gamma: Tensor | None,
    beta: Tensor | None,
    epsilon: float,
    *,
    running: tuple[Tensor, Tensor] | None = None,
    momentum: float = 0.1,
    unbiased: bool = True,
    op: str = "normalize_together",
) -> Tensor:
    """Return x normalized along its last axis by mean and variance of all ranks' rows, times gamma plus beta.

    All ranks call it for the same layers in the same order, also those without rows; so do their backwards. The gradients of
    gamma and beta are those of the own rows.

    Args:
        x: (..., C), the rows of this rank, perhaps none.
        statistics: the sums over the ranks, for C channels of the dtype of x.
        gamma, beta, epsilon, running, momentum, unbiased, op: as for `normalize`.
    """
    same_dtype(op, floating(op, x), *(t for t in (gamma, beta, *(running or ())) if t is not None))
    k, c, s = current(), x.shape[-1], statistics
    rows = math.prod(x.shape[:-1])
    x2 = x.data.reshape(rows, c)
    for array, value in ((s.rows, rows), (s.momentum, momentum), (s.unbiased, unbiased), (s.mean, 0), (s.variance, 0)):
        k.fill(array, float(value))
    if rows:  # as averages that move all the way, mean and variance come whole; y is not used
        view = (1, rows, c, 1)
        y, mean, rstd = k.empty(view, x.dtype), k.empty((1, c), x.dtype), k.empty((1, c), x.dtype)
        absent = k.absent
        k.norm_forward(y, mean, rstd, s.mean, s.variance, x2.reshape(view), absent, absent, float(epsilon), 1.0, 0, 1, 0)
    k.host_call(s.forward)
    mean, variance, count = k.empty((c,), x.dtype), k.empty((c,), x.dtype), k.empty((1,), s.rows.dtype)
    for saved, array in ((mean, s.mean), (variance, s.variance), (count, s.rows)):
        copy_array(k, saved, array)  # the layer may be called again before its backward
    y, scale, shift = k.empty(x2.shape, x.dtype), k.empty((c,), x.dtype), k.empty((c,), x.dtype)
    of_gamma, of_beta = (k.absent if t is None else t.data for t in (gamma, beta))
    k.norm_fold(scale, shift, mean, variance, of_gamma, of_beta, k.absent, float(epsilon))
    k.norm_apply(y, x2, scale, shift, LINEAR)
    if running is not None:
        for average, value in zip(running, (s.mean, s.spread), strict=True):
            k.lerp(average.data, value, s.momentum)
        changed(*running)
    tensors = tuple(t for t in (x, gamma, beta) if t is not None)
    kept = x2, scale, mean, variance, count, s, float(epsilon), gamma is not None, beta is not None
    return result("normalize_together", y.reshape(x.shape), _normalize_together_backward, tensors, kept, {"epsilon": epsilon})


def _normalize_together_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, scale, mean, variance, count, s, epsilon, has_gamma, has_beta = node.saved
    k, inputs, dy2, (rows, c) = grads.k, node.inputs, dy.reshape(x.shape), x.shape
    rstd, shift = k.empty((c,), x.dtype), k.empty((c,), x.dtype)
    k.norm_fold(rstd, shift, mean, variance, k.absent, k.absent, k.absent, epsilon)
    k.fill(s.sums.reshape(-1), 0.0)
    if rows:
        view = (1, rows, c, 1)
        dgamma, dbeta = (part.reshape(c, 1) for part in s.sums)
        mean2, rstd2 = mean.reshape(1, c), rstd.reshape(1, c)
        four = dy2.reshape(view), x.reshape(view)
        k.norm_backward(k.absent, dgamma, dbeta, *four, mean2, rstd2, k.absent, k.absent, 1, 0, 0)
    for there, t, part in ((has_gamma, 1, 0), (has_beta, -1, 1)):
        if there and inputs[t].requires_grad:
            own = k.empty((c,), x.dtype)
            copy_array(k, own, s.sums[part])
            grads.add(inputs[t], own)
    if inputs[0].requires_grad:
        copy_array(k, s.rows, count)
        k.host_call(s.backward)
        # dx = scale (dy - mean(dy) - normal mean(dy normal)), with the means over all ranks' rows
        slope, dx = k.empty(x.shape, x.dtype), k.empty(x.shape, x.dtype)
        k.norm_fold(rstd, shift, mean, variance, s.means[0], s.means[1], k.absent, epsilon)
        k.norm_apply(slope, x, rstd, shift, LINEAR)
        binary(k, "sub", dy2, slope, slope)
        k.norm_apply(dx, slope, scale, k.absent, LINEAR)
        grads.add(inputs[0], dx.reshape(inputs[0].shape))


class _Scales:
    """The gradients of gamma and beta, either of which may be None: their arrays, and the mask that says which are added to."""

    def __init__(self, grads: Gradients, gamma: Tensor | None, beta: Tensor | None, shape: tuple[int, ...]) -> None:
        self._grads = grads
        self._targets: list[tuple[Tensor, Array]] = []
        self.mask = 0
        self.dgamma, self.dbeta = (self._target(t, bit, shape) for t, bit in ((gamma, ADD_DGAMMA), (beta, ADD_DBETA)))

    def _target(self, t: Tensor | None, bit: int, shape: tuple[int, ...]) -> Array:
        if t is None:
            return self._grads.k.absent
        d, add = self._grads.target(t)
        self.mask |= bit if add else 0
        self._targets.append((t, d))
        return d.reshape(shape)

    def done(self) -> None:
        for t, d in self._targets:
            self._grads.done(t, d)
