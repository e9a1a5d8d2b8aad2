"""Convolutions of images with filters.

Images have their channels last: x (N, D, H, W, C), y (N, E, P, Q, O). A convolution of one or two dimensions has axes of size 1
before its own. Filters are w (R, U, V, I, O): there are C / I groups of channels, and a group of I channels of x gives O I / C
channels of y. ``geometry`` has a row of three whole numbers each, one for an axis: the strides, the dilations, and how many zeros
lie before the image. Output e of an axis reads the places e stride - before + r dilation, and zeros where there is no such place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from ..spec import LINEAR, Activation
from .activation import backward, forward
from .dense import rounded

Array = Any


def conv_forward(
    xp: Any, y: Array, aux: Array, x: Array, w: Array, b: Array, geometry: Array, act: Activation, precision: int
) -> None:
    """y = act(x * w + b): each output is the sum of the products of a filter and the part of the image that it lies on.

    Where aux is present it gets z = x * w + b. ``precision`` says what x and w are rounded to.
    """
    x, w = rounded(xp, x, precision), rounded(xp, w, precision)
    z = xp.zeros(y.shape, y.dtype)
    groups = x.shape[-1] // w.shape[3]
    for at, there, here in _taps(geometry, x, w, y):
        of_x, of_w, of_z = _pixels(x[there], groups), _filters(w[at], groups), _pixels(z[here], groups)
        z[here] = (of_z + xp.matmul(of_x, of_w)).transpose(1, 0, 2).reshape(z[here].shape)
    if b.size:
        z += b
    y[...] = forward(xp, z, act)
    if aux.size:
        aux[...] = z


def conv_backward(
    xp: Any,
    dx: Array,
    dw: Array,
    db: Array,
    dz: Array,
    dy: Array,
    x: Array,
    w: Array,
    y: Array,
    aux: Array,
    geometry: Array,
    act: Activation,
    add: int,
    precision: int,
) -> None:
    """dz = dy act'(z), and the gradients of image, filters and bias.

    Of dx, dw and db those that are absent are not wanted; bits 1 and 2 of ``add`` add dw and db to what is there. x may be absent
    where dw is not wanted, and then dx has the size of the image. z is aux for the functions that save it, else recovered from y,
    which may be absent for a linear layer. dz is scratch, absent for a linear layer (dz is dy). ``precision`` says what the
    factors of the products are rounded to. dx alone of a linear layer is a transposed convolution of dy.
    """
    if act.id == LINEAR.id:
        dz = dy
    else:
        dz[...] = backward(xp, dy, aux if act.saves_z else y, y, act)
    if db.size:
        total = dz.sum((0, 1, 2, 3))
        db[...] = db + total if add & 4 else total
    image = x if x.size else dx
    groups = image.shape[-1] // w.shape[3] if image.size else 0
    dz = rounded(xp, dz, precision)
    if dw.size:
        x = rounded(xp, x, precision)
        new = xp.zeros(dw.shape, dw.dtype)
        for at, there, here in _taps(geometry, image, w, dz):
            tap = xp.matmul(_pixels(x[there], groups).transpose(0, 2, 1), _pixels(dz[here], groups))
            new[at] = tap.transpose(1, 0, 2).reshape(new[at].shape)
        dw[...] = dw + new if add & 2 else new
    if dx.size:
        w = rounded(xp, w, precision)
        dx[...] = 0
        for at, there, here in _taps(geometry, image, w, dz):
            of_dx, of_w = _pixels(dx[there], groups), _filters(w[at], groups).transpose(0, 2, 1)
            sums = of_dx + xp.matmul(_pixels(dz[here], groups), of_w)
            dx[there] = sums.transpose(1, 0, 2).reshape(dx[there].shape)


def _pixels(a: Array, groups: int) -> Array:
    """(..., channels) as (groups, pixels, channels of a group)."""
    return a.reshape(-1, groups, a.shape[-1] // groups).transpose(1, 0, 2)


def _filters(w: Array, groups: int) -> Array:
    """(I, O) as (groups, I, outputs of a group)."""
    return w.reshape(w.shape[0], groups, -1).transpose(1, 0, 2)


def _taps(geometry: Array, image: Array, w: Array, y: Array) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each place of a filter, with the pixels of the image that it meets, and the outputs for which it meets them."""
    if not image.size or not y.size:
        return
    strides, dilations, before = ([int(n) for n in row] for row in geometry)
    for at in product(*(range(n) for n in w.shape[:3])):
        there, here = [slice(None)], [slice(None)]
        for axis, r in enumerate(at):
            step, size, outputs = strides[axis], image.shape[1 + axis], y.shape[1 + axis]
            first = r * dilations[axis] - before[axis]  # the place that output 0 reads
            begin = max(0, -(first // step))
            end = min(outputs, (size - 1 - first) // step + 1)
            if begin >= end:
                break
            here.append(slice(begin, end))
            there.append(slice(first + begin * step, first + (end - 1) * step + 1, step))
        else:
            yield at, tuple(there), tuple(here)
