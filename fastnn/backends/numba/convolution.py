"""Convolutions: products of gathered patches, a part of the places at a time, with the filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..reference.dense import rounded
from ..spec import LINEAR, Activation
from .dense import column_sums
from .functions import backward_loop, forward_loop, in_place_loop
from .gemm import product
from .jit import jit

Array = Any

_PART = 1 << 17
"""Elements of patches that are gathered at a time: they are multiplied while the caches have them."""


def conv_forward(y: Array, aux: Array, x: Array, w: Array, b: Array, geometry: Array, act: Activation, precision: int) -> None:
    if not y.size:
        return
    x, w = rounded(np, x, precision), rounded(np, w, precision)
    z = aux if aux.size else y
    rows = z.reshape(-1, z.shape[-1])
    outputs = _outputs(x, w)
    for group, begin, end, patches in _patches(x, z, w, geometry):
        columns = slice(group * outputs, (group + 1) * outputs)
        bias = b[columns].reshape(1, -1) if b.size else np.zeros((1, outputs), z.dtype)
        whole = outputs == rows.shape[1]
        part = rows[begin:end] if whole else np.empty((end - begin, outputs), z.dtype)
        product(part, bias, patches, _filters(w, columns), 0, 0, 1.0, 1.0)
        if not whole:
            rows[begin:end, columns] = part
    if aux.size:
        forward_loop(act.id)(y.ravel(), aux.ravel(), act.p0, act.p1)
    elif act.id != LINEAR.id:
        in_place_loop(act.id)(y.ravel(), act.p0, act.p1)


def conv_backward(
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
    if act.id == LINEAR.id:
        dz = dy
    else:
        outputs = y.ravel()
        backward_loop(act.id)(dz.ravel(), dy.ravel(), aux.ravel() if act.saves_z else outputs, outputs, act.p0, act.p1)
    rows = dz.reshape(-1, dz.shape[-1])
    if db.size:
        column_sums(db, rows, add & 4)
    if dx.size:
        dx[...] = 0
    if not dz.size:
        if dw.size and not add & 2:
            dw[...] = 0
        return
    rows = rounded(np, rows, precision)
    image = x if x.size else dx
    if dw.size:
        _filter_gradient(dw, rounded(np, x, precision), w, rows, dz, geometry, bool(add & 2))
    if dx.size:
        w = rounded(np, w, precision)
        outputs = _outputs(image, w)
        for group, begin, end, patches in _patches(dx, dz, w, geometry, gathered=False):
            columns = slice(group * outputs, (group + 1) * outputs)
            product(patches, patches, np.ascontiguousarray(rows[begin:end, columns]), _filters(w, columns), 0, 1, 1.0, 0.0)
            _scatter(dx, patches, geometry, _shape(w), dz.shape[1:4], group * w.shape[3], begin)


def _filter_gradient(dw: Array, x: Array, w: Array, rows: Array, dz: Array, geometry: Array, add: bool) -> None:
    outputs = _outputs(x, w)
    whole = outputs == dw.shape[-1]
    flat = dw.reshape(-1, dw.shape[-1])
    part = flat if whole else np.empty((len(flat), outputs), dw.dtype)
    for group, begin, end, patches in _patches(x, dz, w, geometry):
        columns = slice(group * outputs, (group + 1) * outputs)
        if begin == 0 and not whole and add:
            part[...] = flat[:, columns]
        beta = 1.0 if begin or add else 0.0
        product(part, part, patches, np.ascontiguousarray(rows[begin:end, columns]), 1, 0, 1.0, beta)
        if not whole and end == len(rows):
            flat[:, columns] = part


def _outputs(image: Array, w: Array) -> int:
    """Return the outputs of a group."""
    return int(w.shape[4] * w.shape[3] // image.shape[4])


def _filters(w: Array, columns: slice) -> Array:
    return np.ascontiguousarray(w.reshape(-1, w.shape[-1])[:, columns])


def _shape(w: Array) -> tuple[int, ...]:
    return tuple(w.shape[:4])


def _patches(
    image: Array, places: Array, w: Array, geometry: Array, gathered: bool = True
) -> Iterator[tuple[int, int, int, Array]]:
    """Yield groups with parts of their places, and the patches of each part: gathered, or memory for them."""
    depth, count = int(np.prod(_shape(w))), int(np.prod(places.shape[:4]))
    step = max(1, _PART // depth)
    for group in range(image.shape[4] // w.shape[3]):
        for begin in range(0, count, step):
            end = min(count, begin + step)
            patches = np.empty((end - begin, depth), image.dtype)
            if gathered:
                _gather(patches, image, geometry, _shape(w), places.shape[1:4], group * w.shape[3], begin)
            yield group, begin, end, patches


@jit
def _gather(patches: Array, x: Array, geometry: Array, w: Any, places: Any, channel: int, begin: int) -> None:
    """Fill the patches of the places from `begin` on, with the channels of a group, which begin at `channel`."""
    D, H, W = x.shape[1], x.shape[2], x.shape[3]
    R, U, V, channels = w
    for i in range(patches.shape[0]):
        rest = begin + i
        q, rest = rest % places[2], rest // places[2]
        p, rest = rest % places[1], rest // places[1]
        e, n = rest % places[0], rest // places[0]
        k = 0
        for r in range(R):
            d = e * geometry[0, 0] + r * geometry[1, 0] - geometry[2, 0]
            for u in range(U):
                h = p * geometry[0, 1] + u * geometry[1, 1] - geometry[2, 1]
                for v in range(V):
                    o = q * geometry[0, 2] + v * geometry[1, 2] - geometry[2, 2]
                    if 0 <= d < D and 0 <= h < H and 0 <= o < W:
                        for c in range(channels):
                            patches[i, k + c] = x[n, d, h, o, channel + c]
                    else:
                        for c in range(channels):
                            patches[i, k + c] = 0
                    k += channels


@jit
def _scatter(dx: Array, patches: Array, geometry: Array, w: Any, places: Any, channel: int, begin: int) -> None:
    """Add the patches to the pixels from which `_gather` would take them."""
    D, H, W = dx.shape[1], dx.shape[2], dx.shape[3]
    R, U, V, channels = w
    for i in range(patches.shape[0]):
        rest = begin + i
        q, rest = rest % places[2], rest // places[2]
        p, rest = rest % places[1], rest // places[1]
        e, n = rest % places[0], rest // places[0]
        k = 0
        for r in range(R):
            d = e * geometry[0, 0] + r * geometry[1, 0] - geometry[2, 0]
            for u in range(U):
                h = p * geometry[0, 1] + u * geometry[1, 1] - geometry[2, 1]
                for v in range(V):
                    o = q * geometry[0, 2] + v * geometry[1, 2] - geometry[2, 2]
                    if 0 <= d < D and 0 <= h < H and 0 <= o < W:
                        for c in range(channels):
                            dx[n, d, h, o, channel + c] += patches[i, k + c]
                    k += channels
