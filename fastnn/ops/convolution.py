"""Convolutions of images, which have their channels last, in one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec import LINEAR, Activation
from ..core.precision import precision
from .checks import floating, same_dtype
from .dense import ADD_DB, ADD_DW

Sides = tuple[tuple[int, int], ...]
"""Zeros before and after the image, for each axis."""


def conv(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    activation: Activation = LINEAR,
    *,
    stride: Sequence[int],
    padding: Sides,
    dilation: Sequence[int],
    groups: int = 1,
    op: str = "conv",
) -> Tensor:
    """activation(x * w + b), in one kernel: a convolution as networks have it, a cross-correlation.

    Args:
        x: (N, *image, C), with one to three axes of the image.
        w: (*filter, I, O), for groups of I channels, each of which gives an equal part of the O outputs.
        b: (O,) or None.
        activation: an element-wise function.
        stride, dilation: a number for each axis.
        padding: the zeros before and after the image, for each axis.
        groups: number of groups; C is groups times I.
        op: the name in error messages.

    Returns:
        (N, *places, O), with (image + zeros - dilation (filter - 1) - 1) // stride + 1 places along each axis.

    Raises:
        TypeError: x or w is not of floats of one dtype.
        ValueError: the shapes do not fit, or a filter is larger than the image with its zeros.

    >>> import fastnn
    >>> x, w = fastnn.tensor([[[1.0], [2.0], [4.0]]]), fastnn.tensor([[[-1.0]], [[1.0]]])
    >>> fastnn.ops.convolution.conv(x, w, stride=(1,), padding=((0, 0),), dilation=(1,)).tolist()
    [[[1.0], [2.0]]]
    """
    same_dtype(op, floating(op, x), w)
    axes = w.ndim - 2
    if x.ndim != w.ndim:
        raise ValueError(f"{op}: x has shape {x.shape}, wanted {axes + 2} dimensions: images, {axes} of an image, channels")
    inputs, outputs = w.shape[-2:]
    if x.shape[-1] != inputs * groups or not inputs or outputs % groups:
        raise ValueError(f"{op}: x has {x.shape[-1]} channels (shape {x.shape}), wanted {inputs * groups}, and at least 1")
    places = out_sizes(op, x.shape[1:-1], w.shape[:-2], stride, padding, dilation)
    # Filters of one channel each are too short for products, so that rounding would gain nothing.
    k, rounding = current(), 0 if inputs == 1 < outputs == x.shape[-1] else precision()
    geometry = k.constant(kernel_geometry(tuple(stride), tuple(dilation), tuple(before for before, _ in padding)))
    x5, w5 = (five(a.data, at) for a, at in ((x, 1), (w, 0)))
    shape = (x.shape[0], *(1,) * (3 - axes), *places, outputs)
    y = k.empty(shape, x.dtype)
    aux = k.empty(shape, x.dtype) if activation.saves_z else k.absent
    k.conv_forward(y, aux, x5, w5, k.absent if b is None else b.data, geometry, activation, rounding)
    tensors = (x, w) if b is None else (x, w, b)
    saved = x5, w5, y, aux, geometry, activation, rounding
    attrs = {"stride": tuple(stride), "padding": padding, "dilation": tuple(dilation), "activation": activation}
    return result("conv", y.reshape((x.shape[0], *places, outputs)), _conv_backward, tensors, saved, attrs)


def _conv_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, w, y, aux, geometry, activation, rounding = node.saved
    k, inputs = grads.k, node.inputs
    dx = dw = db = dz = k.absent
    mask = 0
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
        dz = k.empty(y.shape, y.dtype)
    dw5 = dw.reshape(w.shape) if need_dw else dw
    k.conv_backward(dx, dw5, db, dz, dy.reshape(y.shape), x, w, y, aux, geometry, activation, mask, rounding)
    # The filters come first: their gradient is written in place, and that of x may be added to it if both are the same Tensor.
    if need_dw:
        grads.done(inputs[1], dw)
    if need_db:
        grads.done(inputs[2], db)
    if need_dx:
        grads.add(inputs[0], dx.reshape(inputs[0].shape))


def out_sizes(
    op: str, image: Sequence[int], window: Sequence[int], stride: Sequence[int], padding: Sides, dilation: Sequence[int]
) -> tuple[int, ...]:
    """Return the number of places of a window along each axis of an image.

    Raises:
        ValueError: there is none.
    """
    spans = [d * (n - 1) + 1 for n, d in zip(window, dilation, strict=True)]
    whole = [n + sum(zeros) for n, zeros in zip(image, padding, strict=True)]
    if any(n < span for n, span in zip(whole, spans, strict=True)):
        zeros = f" with its padding {tuple(padding)}" if any(map(any, padding)) else ""
        dilated = f" with dilation {tuple(dilation)}" if math.prod(dilation) != 1 else ""
        raise ValueError(f"{op}: a window of {tuple(window)}{dilated} is larger than the image of {tuple(image)}{zeros}")
    return tuple((n - span) // step + 1 for n, span, step in zip(whole, spans, stride, strict=True))


def same_padding(image: Sequence[int], window: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Sides:
    """Return the zeros of padding "same": places = ceil(image / stride); an odd number has the smaller half before the image."""
    sides = []
    for n, w, s, d in zip(image, window, stride, dilation, strict=True):
        total = max(0, (-(-n // s) - 1) * s + d * (w - 1) + 1 - n)
        sides.append((total // 2, total - total // 2))
    return tuple(sides)


def five(a: Array, at: int) -> Array:
    """Return the array with axes of size 1 before those of an image of fewer than three dimensions."""
    return a.reshape((*a.shape[:at], *(1,) * (5 - a.ndim), *a.shape[at:]))


@lru_cache(maxsize=4096)
def kernel_geometry(stride: tuple[int, ...], dilation: tuple[int, ...], before: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return what kernels read of a convolution: strides, dilations, and the zeros before the image."""
    rest = 3 - len(stride)
    return np.array([(1,) * rest + stride, (1,) * rest + dilation, (0,) * rest + before], np.int64)
