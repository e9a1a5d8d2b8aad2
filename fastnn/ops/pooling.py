"""Pooling of images, which have their channels last, in one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, is_grad_enabled, result
from ..backends import current
from .checks import floating
from .convolution import Sides, five, out_sizes

MOST_POSITIONS = 256
"""Positions of a window of `max_pool`: their numbers are kept in bytes."""


def max_pool(
    x: Tensor,
    size: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sides,
    dilation: Sequence[int],
    ceil: bool = False,
    op: str = "max_pool",
) -> Tensor:
    """Return the largest number of each window of the image; NaN is larger than any number.

    Args:
        x: (N, *image, C), with one to three axes of the image.
        size: sizes of the window.
        stride, dilation: a number for each axis.
        padding: how wide the border before and after the image is. A window sees none of it.
        ceil: whether a last window that begins in the image may reach beyond the border.
        op: the name in error messages.

    Returns:
        (N, *places, C).

    Raises:
        ValueError: the window is larger than the image, or has more than 256 positions; the border is wider than half a window.

    >>> import fastnn
    >>> x = fastnn.tensor([[[1.0], [3.0], [2.0], [0.0]]])
    >>> fastnn.ops.pooling.max_pool(x, (2,), stride=(2,), padding=((0, 0),), dilation=(1,)).tolist()
    [[[3.0], [2.0]]]
    """
    if math.prod(size) > MOST_POSITIONS:
        raise ValueError(
            f"{op}: a window of {tuple(size)} has more than {MOST_POSITIONS} positions; use fastnn.amax over the axes"
        )
    places, window = _placed(op, x, size, stride, padding, dilation, ceil)
    k = current()
    x5 = five(x.data, 1)
    shape = (x.shape[0], *(1,) * (3 - len(size)), *places, x.shape[-1])
    y = k.empty(shape, x.dtype)
    index = k.empty(shape, np.dtype(np.uint8)) if x.requires_grad and is_grad_enabled() else k.absent
    window = k.constant(window)
    k.max_pool_forward(y, index, x5, window)
    attrs = {"size": tuple(size), "stride": tuple(stride), "padding": padding, "dilation": tuple(dilation), "ceil": ceil}
    out = y.reshape((x.shape[0], *places, x.shape[-1]))
    return result("max_pool", out, _max_pool_backward, (x,), (index, window, x5.shape), attrs)


def _max_pool_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    index, window, shape = node.saved
    dx = grads.k.empty(shape, dy.dtype)
    grads.k.max_pool_backward(dx, dy.reshape(index.shape), index, window)
    grads.add(node.inputs[0], dx.reshape(node.inputs[0].shape))


def avg_pool(
    x: Tensor,
    size: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sides,
    ceil: bool = False,
    border: bool = False,
    op: str = "avg_pool",
) -> Tensor:
    """Return the mean of each window of the image.

    The arguments are those of `max_pool`. With ``border``, pixels of the border count, as zeros; otherwise those
    of the image alone.

    >>> import fastnn
    >>> x = fastnn.tensor([[[1.0], [3.0], [2.0], [0.0]]])
    >>> fastnn.ops.pooling.avg_pool(x, (2,), stride=(2,), padding=((0, 0),)).tolist()
    [[[2.0], [1.0]]]
    """
    places, window = _placed(op, x, size, stride, padding, (1,) * len(size), ceil)
    k = current()
    x5 = five(x.data, 1)
    shape = (x.shape[0], *(1,) * (3 - len(size)), *places, x.shape[-1])
    y = k.empty(shape, x.dtype)
    window = k.constant(window)
    k.avg_pool_forward(y, x5, window, int(border))
    attrs = {"size": tuple(size), "stride": tuple(stride), "padding": padding, "ceil": ceil, "border": border}
    out = y.reshape((x.shape[0], *places, x.shape[-1]))
    return result("avg_pool", out, _avg_pool_backward, (x,), (window, int(border), x5.shape, shape), attrs)


def _avg_pool_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    window, border, shape, places = node.saved
    dx = grads.k.empty(shape, dy.dtype)
    grads.k.avg_pool_backward(dx, dy.reshape(places), window, border)
    grads.add(node.inputs[0], dx.reshape(node.inputs[0].shape))


def pooled_sizes(
    op: str,
    image: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sides,
    dilation: Sequence[int],
    ceil: bool,
) -> tuple[int, ...]:
    """Return the number of places along each axis; with `ceil`, windows that begin in the image may reach beyond the border."""
    places = out_sizes(op, image, size, stride, padding, dilation)
    if not ceil:
        return places
    found = []
    for n, r, s, (before, after), d, most in zip(image, size, stride, padding, dilation, places, strict=True):
        more = -(-(n + before + after - d * (r - 1) - 1) // s) + 1
        found.append(more if (more - 1) * s < n + before else most)
    return tuple(found)


def _placed(
    op: str,
    x: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sides,
    dilation: Sequence[int],
    ceil: bool,
) -> tuple[tuple[int, ...], Any]:
    """Return the number of places along each axis, and the window as kernels take it."""
    floating(op, x)
    axes = len(size)
    if x.ndim != axes + 2:
        raise ValueError(f"{op}: x has shape {x.shape}, wanted {axes + 2} dimensions: images, {axes} of an image, channels")
    if any(2 * zeros > d * (r - 1) + 1 for side, r, d in zip(padding, size, dilation, strict=True) for zeros in side):
        raise ValueError(f"{op}: padding {tuple(padding)} is wider than half of a window of {tuple(size)}")
    places = pooled_sizes(op, x.shape[1:-1], size, stride, padding, dilation, ceil)
    rows = tuple(size), tuple(stride), tuple(dilation), tuple(b for b, _ in padding), tuple(a for _, a in padding)
    return places, _window(*rows)


@lru_cache(maxsize=4096)
def _window(*rows: tuple[int, ...]) -> np.ndarray[Any, Any]:
    rest = 3 - len(rows[0])
    return np.array([(usual,) * rest + row for usual, row in zip((1, 1, 1, 0, 0), rows, strict=True)], np.int64)
