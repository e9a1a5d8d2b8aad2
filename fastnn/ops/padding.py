"""Borders around images, which have their channels last."""

from __future__ import annotations

from collections.abc import Sequence

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..core import arrays
from ..core.layout import strides_of
from .checks import floating
from .convolution import Sides
from .resample import Places, border, resample


def pad_constant(x: Tensor, sides: Sides, value: float = 0.0, op: str = "pad_constant") -> Tensor:
    """Return the images with a border of one number around them. Sides below 0 are cut off.

    Args:
        x: (N, *image, C).
        sides: the width of the border before and after the image, for each axis.
        value: what the border is filled with.
        op: the name in error messages.

    Returns:
        (N, *places, C), with image + before + after places along each axis.

    Raises:
        ValueError: more is cut off than there is.

    >>> import fastnn
    >>> fastnn.ops.padding.pad_constant(fastnn.tensor([[[1.0], [2.0]]]), ((1, -1),), 5.0).tolist()
    [[[5.0], [1.0]]]
    """
    floating(op, x)
    places = padded_sizes(op, x.shape[1:-1], sides)
    k, shape = current(), (x.shape[0], *places, x.shape[-1])
    y = k.empty(shape, x.dtype)
    if any(before > 0 or after > 0 for before, after in sides):
        arrays.fill(k, y, value)
    inner, to, there = _kept(x.shape, sides)
    arrays.copy_walk(k, y, x.data, inner, strides_of(shape), strides_of(x.shape), yo=_place(to, shape), xo=_place(there, x.shape))
    return result("pad_constant", y, _pad_constant_backward, (x,), (), {"sides": sides, "value": value})


def _pad_constant_backward(grads: Gradients, node: Node, dy: Array) -> None:
    x, sides, k = node.inputs[0], node.attrs["sides"], grads.k
    dx = k.empty(x.shape, x.dtype)
    if any(before < 0 or after < 0 for before, after in sides):
        arrays.fill(k, dx, 0.0)
    inner, to, there = _kept(x.shape, sides)
    strides = strides_of(x.shape), strides_of(dy.shape)
    arrays.copy_walk(k, dx, dy, inner, *strides, yo=_place(there, x.shape), xo=_place(to, dy.shape))
    grads.add(x, dx)


def padded_sizes(op: str, image: Sequence[int], sides: Sides) -> tuple[int, ...]:
    """Return the size of an image with its border.

    Raises:
        ValueError: more is cut off than there is.
    """
    if any(n + min(0, before) + min(0, after) < 0 for n, (before, after) in zip(image, sides, strict=True)):
        raise ValueError(f"{op}: more than an image of {tuple(image)} has is cut off: {tuple((-b, -a) for b, a in sides)}")
    return tuple(n + before + after for n, (before, after) in zip(image, sides, strict=True))


MODES = ("constant", "reflect", "replicate", "circular")
"""What a border is made of: one number, the image mirrored at its outermost pixels, these pixels, or the opposite side."""


def pad(x: Tensor, sides: Sides, mode: str, op: str = "pad") -> Tensor:
    """Return the images with a border around them, of zeros or made of the image; arguments as in `pad_constant`.

    Raises:
        ValueError: the mode is none of `MODES`, or the image is too small for it.

    >>> import fastnn
    >>> fastnn.ops.padding.pad(fastnn.tensor([[[1.0], [2.0], [3.0]]]), ((1, 2),), "reflect").tolist()
    [[[2.0], [1.0], [2.0], [3.0], [2.0], [1.0]]]
    """
    if mode == "constant":
        return pad_constant(x, sides, op=op)
    if mode not in MODES:
        raise ValueError(f"{op}: mode is {mode!r}, wanted one of {MODES}")
    places: list[Places | None] = []
    for n, (before, after) in zip(x.shape[1:-1], sides, strict=True):
        most = {"reflect": n - 1, "circular": n}.get(mode, max(before, after) if n else 0)
        if max(before, after) > most or min(before, after) < 0:
            raise ValueError(f"{op}: padding {(before, after)} of an axis of {n} by {mode!r}, wanted from 0 to {max(0, most)}")
        places.append(border(mode, n, before, after) if before or after else None)
    return resample(x, places, op)


def _kept(shape: tuple[int, ...], sides: Sides) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the shape of the part of the images that is in the result, and where it begins there and in the images."""
    all_sides = ((0, 0), *sides, (0, 0))
    inner = tuple(n + min(0, before) + min(0, after) for n, (before, after) in zip(shape, all_sides, strict=True))
    return inner, tuple(max(0, before) for before, _ in all_sides), tuple(max(0, -before) for before, _ in all_sides)


def _place(at: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return sum(i * s for i, s in zip(at, strides_of(shape), strict=True))
