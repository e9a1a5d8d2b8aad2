"""Recurrent layers: a few sequences at a time, step by step, whose product with the weights is that of `gemm`.

Threads share the sequences out in pieces that depend on nothing else, so that their number does not change the bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..spec import ACTIVATIONS, Activation
from . import team, vmath
from .functions import named
from .gemm import multiply
from .jit import jit
from .unary import SLOPES, VALUES
from .vmath import inline

Array = Any

_PIECE = 16
"""Sequences that are computed together."""
_SHARE = 4e6
"""Multiplications that are worth a thread."""


def _share(function: Callable[..., None], args: tuple[Any, ...], n: int, work: int) -> None:
    """Call function(*args, begin, end) for pieces of n sequences, on several threads if there is enough work."""
    team.share(_run, (function, args, n), -(-n // _PIECE), work / _SHARE)


def _run(function: Callable[..., None], args: tuple[Any, ...], n: int, first: int, last: int) -> None:
    for piece in range(first, last):
        function(*args, piece * _PIECE, min(n, (piece + 1) * _PIECE))


def _like(like: Array, optional: Array, ndim: int = 2) -> Array:
    """Return the array, or an empty one of the type of `like`: code is compiled once, whatever is absent."""
    return optional if optional.size else np.empty((0,) * ndim, like.dtype)


def _lengths(lengths: Array, n: int, rows: int) -> Array:
    """Return how many steps each sequence has."""
    steps = rows // n if n else 0
    return np.clip(lengths, 0, steps) if lengths.size else np.full(n, steps)


def _turned(u: Array) -> Array:
    return np.ascontiguousarray(u.reshape(len(u), -1).T)


@inline
def _row(i: int, step: int, lengths: Array, steps: int, batch_first: int, reverse: int) -> Any:
    """Return the row of a sequence at a step, and whether the sequence has the step."""
    active = step < lengths[i]
    t = lengths[i] - 1 - step if reverse and active else step
    return i * steps + t if batch_first else t * lengths.size + i, active


@jit
def _begin(state: Array, h: Array, h0: Array, mask: Array, begin: int, end: int) -> None:
    """Set the state of the sequences, and its masked copy for the product."""
    for i in range(begin, end):
        for j in range(h.shape[1]):
            h[i, j] = h0[i, j] if h0.size else 0
            state[i - begin, j] = h[i, j] * mask[i, j] if mask.size else h[i, j]


# ---- the plain cell ----


def rnn_forward(
    y: Array, h: Array, before: Array, x: Array, u: Array, h0: Array, lengths: Array, mask: Array, act: Activation,
    batch_first: int, reverse: int,
) -> None:  # fmt: skip
    arrays = y, h, _like(y, before), x, u, _like(y, h0), _lengths(lengths, len(h), len(x)), _like(y, mask)
    _share(_rnn_forward(act.id), (*arrays, act.p0, act.p1, batch_first, reverse), len(h), x.size * len(u))


@functools.cache
def _rnn_forward(act_id: int) -> Any:
    f = VALUES[name := ACTIVATIONS[act_id].name]

    def loop(
        y: Array, h: Array, before: Array, x: Array, u: Array, h0: Array, lengths: Array, mask: Array, p0: float, p1: float,
        batch_first: int, reverse: int, begin: int, end: int,
    ) -> None:  # fmt: skip
        T, (n, units) = y.dtype.type, h.shape
        steps, p, q = x.shape[0] // n, T(p0), T(p1)
        state, sums = np.empty((end - begin, units), y.dtype), np.empty((end - begin, units), y.dtype)
        _begin(state, h, h0, mask, begin, end)
        for step in range(steps):
            multiply(sums, state, u, 1.0, 0.0)
            for i in range(begin, end):
                row, active = _row(i, step, lengths, steps, batch_first, reverse)
                for j in range(units):
                    if before.size:
                        before[row, j] = state[i - begin, j] if active else 0
                    y[row, j] = f(T, x[row, j] + sums[i - begin, j], p, q) if active else T(0)
                    if active:
                        h[i, j] = y[row, j]
                        state[i - begin, j] = h[i, j] * mask[i, j] if mask.size else h[i, j]

    return named(loop, "rnn_forward", name)


def rnn_backward(
    dx: Array, dh0: Array, dy: Array, dh: Array, y: Array, u: Array, lengths: Array, mask: Array, act: Activation,
    batch_first: int, reverse: int,
) -> None:  # fmt: skip
    lengths = _lengths(lengths, len(dh0), len(dx))
    arrays = dx, dh0, _like(dx, dy), _like(dx, dh), y, _turned(u), lengths, _like(dx, mask)
    _share(_rnn_backward(act.id), (*arrays, act.p0, act.p1, batch_first, reverse), len(dh0), dx.size * len(u))


@functools.cache
def _rnn_backward(act_id: int) -> Any:
    f = SLOPES[name := ACTIVATIONS[act_id].name]

    def loop(
        dx: Array, dh0: Array, dy: Array, dh: Array, y: Array, u: Array, lengths: Array, mask: Array, p0: float, p1: float,
        batch_first: int, reverse: int, begin: int, end: int,
    ) -> None:  # fmt: skip
        T, (n, units) = dx.dtype.type, dh0.shape
        steps, p, q = dx.shape[0] // n, T(p0), T(p1)
        slopes, sums = np.empty((end - begin, units), dx.dtype), np.empty((end - begin, units), dx.dtype)
        _begin(slopes, dh0, dh, dh[:0], begin, end)
        for step in range(steps - 1, -1, -1):
            for i in range(begin, end):
                row, active = _row(i, step, lengths, steps, batch_first, reverse)
                for j in range(units):
                    d = dh0[i, j] + dy[row, j] if dy.size else dh0[i, j]
                    slopes[i - begin, j] = f(T, d, y[row, j], y[row, j], p, q) if active else T(0)
                    dx[row, j] = slopes[i - begin, j]
            multiply(sums, slopes, u, 1.0, 0.0)
            _carry(dh0, sums, mask, lengths, step, begin, end, 0)

    return named(loop, "rnn_backward", name)


@jit
def _carry(dh0: Array, sums: Array, mask: Array, lengths: Array, step: int, begin: int, end: int, add: int) -> None:
    """Set the gradient of the states before a step to what went through the product, or add this."""
    for i in range(begin, end):
        if step < lengths[i]:
            for j in range(dh0.shape[1]):
                d = sums[i - begin, j] * mask[i, j] if mask.size else sums[i - begin, j]
                dh0[i, j] = dh0[i, j] + d if add else d


# ---- LSTM ----


def lstm_forward(
    y: Array, h: Array, c: Array, gates: Array, cells: Array, hidden: Array, before: Array, x: Array, u: Array,
    projection: Array, h0: Array, c0: Array, lengths: Array, mask: Array, batch_first: int, reverse: int,
) -> None:  # fmt: skip
    kept = _like(y, gates, 3), _like(y, cells), _like(y, hidden), _like(y, before)
    given = x, u.reshape(len(u), -1), _like(y, projection), _like(y, h0), _like(y, c0)
    others = _lengths(lengths, len(h), len(x)), _like(y, mask), batch_first, reverse
    _share(_lstm_forward, (y, h, c, *kept, *given, *others), len(h), x.size * len(u))


@jit
def _lstm_forward(
    y: Array, h: Array, c: Array, gates: Array, cells: Array, hidden: Array, before: Array, x: Array, u: Array,
    projection: Array, h0: Array, c0: Array, lengths: Array, mask: Array, batch_first: int, reverse: int, begin: int, end: int,
) -> None:  # fmt: skip
    T, (n, columns), units = y.dtype.type, h.shape, c.shape[1]
    steps, m = x.shape[0] // n, end - begin
    state, sums = np.empty((m, columns), y.dtype), np.empty((m, 4 * units), y.dtype)
    inside, projected = np.empty((m, units), y.dtype), np.empty((m, columns), y.dtype)
    _begin(inside, c, c0, mask[:0], begin, end)
    _begin(state, h, h0, mask, begin, end)
    for step in range(steps):
        multiply(sums, state, u, 1.0, 0.0)
        for k in range(m):
            i = begin + k
            row, active = _row(i, step, lengths, steps, batch_first, reverse)
            for j in range(units):
                first = vmath.sigmoid(T, x[row, 0, j] + sums[k, j])
                forget = vmath.sigmoid(T, x[row, 1, j] + sums[k, units + j])
                new = vmath.tanh(T, x[row, 2, j] + sums[k, 2 * units + j])
                out = vmath.sigmoid(T, x[row, 3, j] + sums[k, 3 * units + j])
                if active:
                    c[i, j] = forget * c[i, j] + first * new
                inside[k, j] = out * vmath.tanh(T, c[i, j]) if active else T(0)
                if gates.size:
                    gates[row, 0, j], gates[row, 1, j] = first if active else T(0), forget if active else T(0)
                    gates[row, 2, j], gates[row, 3, j] = new if active else T(0), out if active else T(0)
                if cells.size:
                    cells[row, j] = c[i, j] if active else T(0)
                if hidden.size:
                    hidden[row, j] = inside[k, j]
        if projection.size:
            multiply(projected, inside, projection, 1.0, 0.0)
        for k in range(m):
            i = begin + k
            row, active = _row(i, step, lengths, steps, batch_first, reverse)
            for j in range(columns):
                if before.size:
                    before[row, j] = state[k, j] if active else 0
                y[row, j] = T(0)
                if active:
                    y[row, j] = h[i, j] = projected[k, j] if projection.size else inside[k, j]
                    state[k, j] = h[i, j] * mask[i, j] if mask.size else h[i, j]


def lstm_backward(
    dx: Array, dz: Array, dh0: Array, dc0: Array, dy: Array, dh: Array, dc: Array, gates: Array, cells: Array, u: Array,
    projection: Array, c0: Array, lengths: Array, mask: Array, batch_first: int, reverse: int,
) -> None:  # fmt: skip
    turned = _turned(projection) if projection.size else _like(dx, projection)
    upstream = (_like(dx, a) for a in (dy, dh, dc))
    others = _lengths(lengths, len(dh0), len(dx)), _like(dx, mask), batch_first, reverse
    arrays = dx, _like(dx, dz), dh0, dc0, *upstream, gates, cells, _turned(u), turned, _like(dx, c0)
    _share(_lstm_backward, (*arrays, *others), len(dh0), dx.size * len(u))


@jit
def _lstm_backward(
    dx: Array, dz: Array, dh0: Array, dc0: Array, dy: Array, dh: Array, dc: Array, gates: Array, cells: Array, u: Array,
    projection: Array, c0: Array, lengths: Array, mask: Array, batch_first: int, reverse: int, begin: int, end: int,
) -> None:  # fmt: skip
    T, (n, columns), units = dx.dtype.type, dh0.shape, dc0.shape[1]
    steps, m = dx.shape[0] // n, end - begin
    total, sums = np.empty((m, columns), dx.dtype), np.empty((m, columns), dx.dtype)
    inside, slopes = np.empty((m, units), dx.dtype), np.empty((m, 4 * units), dx.dtype)
    _begin(inside, dc0, dc, dc[:0], begin, end)
    _begin(total, dh0, dh, dh[:0], begin, end)
    for step in range(steps - 1, -1, -1):
        for k in range(m):
            i = begin + k
            row, active = _row(i, step, lengths, steps, batch_first, reverse)
            for j in range(columns):
                d = dh0[i, j] + dy[row, j] if dy.size else dh0[i, j]
                total[k, j] = d if active else T(0)
                if dz.size:
                    dz[row, j] = total[k, j]
        if projection.size:
            multiply(inside, total, projection, 1.0, 0.0)
        else:
            inside[:] = total
        for k in range(m):
            i = begin + k
            row, active = _row(i, step, lengths, steps, batch_first, reverse)
            old, _ = _row(i, max(0, step - 1), lengths, steps, batch_first, reverse)
            for j in range(units):
                first, forget, new, out = gates[row, 0, j], gates[row, 1, j], gates[row, 2, j], gates[row, 3, j]
                t, d = vmath.tanh(T, cells[row, j]), inside[k, j]
                slope = dc0[i, j] + d * out * (T(1) - t * t)
                cell = cells[old, j] if step else c0[i, j] if c0.size else T(0)
                slopes[k, j] = slope * new * first * (T(1) - first) if active else T(0)
                slopes[k, units + j] = slope * cell * forget * (T(1) - forget) if active else T(0)
                slopes[k, 2 * units + j] = slope * first * (T(1) - new * new) if active else T(0)
                slopes[k, 3 * units + j] = d * t * out * (T(1) - out) if active else T(0)
                if active:
                    dc0[i, j] = slope * forget
                for gate in range(4):
                    dx[row, gate, j] = slopes[k, gate * units + j]
        multiply(sums, slopes, u, 1.0, 0.0)
        _carry(dh0, sums, mask, lengths, step, begin, end, 0)


# ---- GRU ----


def gru_forward(
    y: Array, h: Array, gates: Array, inner: Array, before: Array, x: Array, u: Array, bu: Array, h0: Array, lengths: Array,
    mask: Array, reset_after: int, order: int, batch_first: int, reverse: int,
) -> None:  # fmt: skip
    kept = _like(y, gates, 3), _like(y, inner), _like(y, before)
    weights = u.reshape(len(u), -1), u[:, :0, 0].copy()
    if not reset_after:
        weights = u[:, :2].reshape(len(u), -1), u[:, 2].copy()
    given = x, *weights, _like(y, bu), _like(y, h0), _lengths(lengths, len(h), len(x)), _like(y, mask)
    _share(_gru_forward, (y, h, *kept, *given, order, batch_first, reverse), len(h), x.size * len(u))


@jit
def _gru_forward(
    y: Array, h: Array, gates: Array, inner: Array, before: Array, x: Array, u: Array, last: Array, bu: Array, h0: Array,
    lengths: Array, mask: Array, order: int, batch_first: int, reverse: int, begin: int, end: int,
) -> None:  # fmt: skip
    T, (n, units) = y.dtype.type, h.shape
    steps, m, reset_after = x.shape[0] // n, end - begin, u.shape[1] == 3 * units
    state, sums = np.empty((m, units), y.dtype), np.empty((m, u.shape[1]), y.dtype)
    part, update = np.empty((m, units), y.dtype), np.empty((m, units), y.dtype)
    candidate = np.empty((m, units), y.dtype)
    _begin(state, h, h0, mask, begin, end)
    for step in range(steps):
        multiply(sums, state, u, 1.0, 0.0)
        for k in range(m):
            row, active = _row(begin + k, step, lengths, steps, batch_first, reverse)
            for j in range(units):
                if bu.size:
                    for gate in range(3):
                        sums[k, gate * units + j] += bu[gate, j]
                first = vmath.sigmoid(T, x[row, 0, j] + sums[k, j])
                second = vmath.sigmoid(T, x[row, 1, j] + sums[k, units + j])
                reset = first if order else second
                update[k, j] = second if order else first
                part[k, j] = sums[k, 2 * units + j] if reset_after else reset * state[k, j]
                candidate[k, j] = reset * part[k, j]
                if gates.size:
                    gates[row, 0, j], gates[row, 1, j] = first if active else T(0), second if active else T(0)
                if inner.size:
                    inner[row, j] = part[k, j] if active else T(0)
        if not reset_after:
            multiply(candidate, part, last, 1.0, 0.0)
        for k in range(m):
            i = begin + k
            row, active = _row(i, step, lengths, steps, batch_first, reverse)
            for j in range(units):
                new = vmath.tanh(T, x[row, 2, j] + candidate[k, j])
                if gates.size:
                    gates[row, 2, j] = new if active else T(0)
                if before.size:
                    before[row, j] = state[k, j] if active else T(0)
                y[row, j] = T(0)
                if active:
                    y[row, j] = h[i, j] = update[k, j] * h[i, j] + (T(1) - update[k, j]) * new
                    state[k, j] = h[i, j] * mask[i, j] if mask.size else h[i, j]


def gru_backward(
    dx: Array, dv: Array, dh0: Array, dy: Array, dh: Array, gates: Array, inner: Array, y: Array, u: Array, h0: Array,
    lengths: Array, mask: Array, reset_after: int, order: int, batch_first: int, reverse: int,
) -> None:  # fmt: skip
    weights = (_turned(u), u[:, :0, 0].copy()) if reset_after else (_turned(u[:, :2]), _turned(u[:, 2]))
    given = gates, inner, y, *weights, _like(dx, h0), _lengths(lengths, len(dh0), len(dx)), _like(dx, mask)
    arrays = dx, _like(dx, dv, 3), dh0, _like(dx, dy), _like(dx, dh), *given
    _share(_gru_backward, (*arrays, order, batch_first, reverse), len(dh0), dx.size * len(u))


@jit
def _gru_backward(
    dx: Array, dv: Array, dh0: Array, dy: Array, dh: Array, gates: Array, inner: Array, y: Array, u: Array, last: Array,
    h0: Array, lengths: Array, mask: Array, order: int, batch_first: int, reverse: int, begin: int, end: int,
) -> None:  # fmt: skip
    T, (n, units) = dx.dtype.type, dh0.shape
    steps, m, reset_after = dx.shape[0] // n, end - begin, u.shape[0] == 3 * units
    slopes, sums = np.empty((m, u.shape[0]), dx.dtype), np.empty((m, units), dx.dtype)
    new, inside = np.empty((m, units), dx.dtype), np.empty((m, units), dx.dtype)
    _begin(inside, dh0, dh, dh[:0], begin, end)
    for step in range(steps - 1, -1, -1):
        for k in range(m):
            i = begin + k
            row, active = _row(i, step, lengths, steps, batch_first, reverse)
            old, _ = _row(i, max(0, step - 1), lengths, steps, batch_first, reverse)
            for j in range(units):
                z, n_ = gates[row, order, j], gates[row, 2, j]
                d = dh0[i, j] + dy[row, j] if dy.size else dh0[i, j]
                h = y[old, j] if step else h0[i, j] if h0.size else T(0)
                slopes[k, order * units + j] = d * (h - n_) * z * (T(1) - z) if active else T(0)
                new[k, j] = d * (T(1) - z) * (T(1) - n_ * n_) if active else T(0)
                if active:
                    dh0[i, j] = d * z
        if not reset_after:
            multiply(inside, new, last, 1.0, 0.0)
        for k in range(m):
            i = begin + k
            row, active = _row(i, step, lengths, steps, batch_first, reverse)
            old, _ = _row(i, max(0, step - 1), lengths, steps, batch_first, reverse)
            for j in range(units):
                r = gates[row, 1 - order, j]
                d = new[k, j] * inner[row, j]
                if reset_after:
                    slopes[k, 2 * units + j] = new[k, j] * r
                elif active:
                    h, scale = y[old, j] if step else h0[i, j] if h0.size else T(0), mask[i, j] if mask.size else T(1)
                    d = inside[k, j] * h * scale
                    dh0[i, j] += inside[k, j] * r * scale
                slopes[k, (1 - order) * units + j] = d * r * (T(1) - r) if active else T(0)
                dx[row, 0, j], dx[row, 1, j], dx[row, 2, j] = slopes[k, j], slopes[k, units + j], new[k, j]
                if dv.size:
                    for gate in range(3):
                        dv[row, gate, j] = slopes[k, gate * units + j]
        multiply(sums, slopes, u, 1.0, 0.0)
        _carry(dh0, sums, mask, lengths, step, begin, end, 1)
