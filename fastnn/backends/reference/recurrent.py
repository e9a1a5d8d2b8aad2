"""Recurrent layers: the steps of N sequences, in R rows.

The inputs of the kernels, x, are products with the weights of the inputs, with their biases: what a step adds to them is the
product of the state before it with u. With ``batch_first``, the rows of a sequence follow each other; otherwise, those of a step.
The number of steps is R / N. All kernels have these arguments in common:

``lengths``: the number of steps of each sequence, at most R / N and at least 0; others count as the nearest of these. Its last
rows are outside: there, outputs are 0, and the state does not change. ``reverse``: the steps of each sequence are computed from
its own last one to the first. ``h0``: the state before the first step, 0 if it is absent. ``mask``: factors of the state before
each product with u. ``before``: the masked state before the step of a row, so the gradient of u is the product of its transpose
with that of x, or for a GRU, that of v.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..spec import Activation, activation
from ..spec.recurrent import GATE_ORDERS
from .activation import backward, forward

Array = Any

SIGMOID, TANH = activation("sigmoid"), activation("tanh")


class _Steps:
    """Rows of each step, and the sequences that have the step."""

    def __init__(self, xp: Any, rows: int, lengths: Array, batch_first: int, reverse: int, n: int) -> None:
        self._xp, self._n, self._batch_first, self._reverse = xp, n, batch_first, reverse
        self._steps = rows // n if n else 0
        self._lengths = xp.clip(lengths, 0, self._steps) if lengths.size else xp.full(n, self._steps, "int64")

    def _at(self, step: int) -> tuple[Array, Array]:
        active = step < self._lengths
        t = self._xp.where(active & bool(self._reverse), self._lengths - 1 - step, step)
        n = self._xp.arange(self._n)
        return n * self._steps + t if self._batch_first else t * self._n + n, active[:, None]

    def forward(self) -> Iterator[tuple[Array, Array]]:
        return (self._at(step) for step in range(self._steps))

    def backward(self) -> Iterator[tuple[int, Array, Array, Array]]:
        """Yield steps from the last to the first: the step, its rows, active sequences, and the rows of the step before."""
        for step in reversed(range(self._steps)):
            yield step, *self._at(step), self._at(max(step - 1, 0))[0]


def _state(xp: Any, initial: Array, like: Array) -> Array:
    """Return a copy of an initial state or gradient; zeros like another array if it is absent."""
    return initial.copy() if initial.size else xp.zeros_like(like)


def _masked(h: Array, mask: Array) -> Array:
    return h * mask if mask.size else h


def _put(xp: Any, to: Array, rows: Array, active: Array, values: Array) -> None:
    """Write the values to the rows of sequences that have the step, and 0 to the others, if the array is present."""
    if to.size:
        to[rows] = xp.where(active.reshape(-1, *(1,) * (values.ndim - 1)), values, 0)


def _slope(xp: Any, dy: Array, rows: Array, active: Array, dh: Array) -> Array:
    """Return the gradient of the state after a step: through later steps, and through the output."""
    return dh + xp.where(active, dy[rows], 0) if dy.size else dh


def rnn_forward(
    xp: Any,
    y: Array,
    h: Array,
    before: Array,
    x: Array,
    u: Array,
    h0: Array,
    lengths: Array,
    mask: Array,
    act: Activation,
    batch_first: int,
    reverse: int,
) -> None:
    """h = act(x + h u) step by step; y has the h of every step, h the last ones. ``act`` must be one of
    `spec.recurrent.FUNCTIONS`."""
    h[...] = _state(xp, h0, h)
    for rows, active in _Steps(xp, len(x), lengths, batch_first, reverse, len(h)).forward():
        masked = _masked(h, mask)
        _put(xp, before, rows, active, masked)
        h[...] = xp.where(active, forward(xp, x[rows] + masked @ u, act), h)
        _put(xp, y, rows, active, h)


def rnn_backward(
    xp: Any,
    dx: Array,
    dh0: Array,
    dy: Array,
    dh: Array,
    y: Array,
    u: Array,
    lengths: Array,
    mask: Array,
    act: Activation,
    batch_first: int,
    reverse: int,
) -> None:
    """Compute the gradients of `rnn_forward`. dy and dh are those of its outputs; where one is absent, it counts as 0."""
    carried = _state(xp, dh, dh0)
    for _, rows, active, _ in _Steps(xp, len(dx), lengths, batch_first, reverse, len(dh0)).backward():
        total, out = _slope(xp, dy, rows, active, carried), y[rows]
        da = backward(xp, total, out, out, act)
        _put(xp, dx, rows, active, da)
        carried = xp.where(active, _masked(da @ u.T, mask), carried)
    dh0[...] = carried


def lstm_forward(
    xp: Any,
    y: Array,
    h: Array,
    c: Array,
    gates: Array,
    cells: Array,
    hidden: Array,
    before: Array,
    x: Array,
    u: Array,
    projection: Array,
    h0: Array,
    c0: Array,
    lengths: Array,
    mask: Array,
    batch_first: int,
    reverse: int,
) -> None:
    """i, f, g, o = x + h u, where i, f and o go through the sigmoid and g through tanh; c = f c + i g; h = o tanh(c).

    y has the h of every step; h and c are the last ones. The kernel leaves the gates and the c of every step for backward. With
    ``projection``, h = (o tanh(c)) projection; ``hidden`` gets o tanh(c), so the gradient of ``projection`` is hidden^T dz, where
    dz comes from `lstm_backward`; it must be there then. Without a projection, P must be H.

    Source: Hochreiter & Schmidhuber, Neural Computation 9(8), 1997, with forget gates; projections from Sak et al.,
    arXiv 1402.1128.
    """
    h[...], c[...] = _state(xp, h0, h), _state(xp, c0, c)
    for rows, active in _Steps(xp, len(x), lengths, batch_first, reverse, len(h)).forward():
        masked = _masked(h, mask)
        _put(xp, before, rows, active, masked)
        a = x[rows] + xp.tensordot(masked, u, 1)
        i, f, o = (forward(xp, a[:, gate], SIGMOID) for gate in (0, 1, 3))
        g = forward(xp, a[:, 2], TANH)
        c[...] = xp.where(active, f * c + i * g, c)
        out = o * forward(xp, c, TANH)
        _put(xp, gates, rows, active, xp.stack([i, f, g, o], 1))
        _put(xp, cells, rows, active, c)
        _put(xp, hidden, rows, active, out)
        h[...] = xp.where(active, out @ projection if projection.size else out, h)
        _put(xp, y, rows, active, h)


def lstm_backward(
    xp: Any,
    dx: Array,
    dz: Array,
    dh0: Array,
    dc0: Array,
    dy: Array,
    dh: Array,
    dc: Array,
    gates: Array,
    cells: Array,
    u: Array,
    projection: Array,
    c0: Array,
    lengths: Array,
    mask: Array,
    batch_first: int,
    reverse: int,
) -> None:
    """Compute the gradients of `lstm_forward`. dy, dh and dc are those of its outputs; where one is absent, it counts as 0.

    dz is the gradient of the h of each row, through y and through later steps.
    """
    carried = _state(xp, dh, dh0)
    dc0[...] = _state(xp, dc, dc0)
    first = _state(xp, c0, dc0)
    for step, rows, active, rows_before in _Steps(xp, len(dx), lengths, batch_first, reverse, len(dh0)).backward():
        total = _slope(xp, dy, rows, active, carried)
        _put(xp, dz, rows, active, total)
        out = total @ projection.T if projection.size else total
        i, f, g, o = (gates[rows, gate] for gate in range(4))
        t = forward(xp, cells[rows], TANH)
        slope = dc0 + backward(xp, out * o, t, t, TANH)
        c = cells[rows_before] if step else first
        parts = ((slope * g, i, SIGMOID), (slope * c, f, SIGMOID), (slope * i, g, TANH), (out * t, o, SIGMOID))
        da = xp.stack([backward(xp, d, value, value, act) for d, value, act in parts], 1)
        _put(xp, dx, rows, active, da)
        dc0[...] = xp.where(active, slope * f, dc0)
        carried = xp.where(active, _masked(xp.tensordot(da, u, ((1, 2), (1, 2))), mask), carried)
    dh0[...] = carried


def gru_forward(
    xp: Any,
    y: Array,
    h: Array,
    gates: Array,
    inner: Array,
    before: Array,
    x: Array,
    u: Array,
    bu: Array,
    h0: Array,
    lengths: Array,
    mask: Array,
    reset_after: int,
    order: int,
    batch_first: int,
    reverse: int,
) -> None:
    """h = z h + (1 - z) n, with the update gate z, the reset gate r and the candidate n, in this order or that of ``order``.

    With a = h u + bu: z = sigmoid(x_z + a_z), r = sigmoid(x_r + a_r), and n = tanh(x_n + r a_n); ``inner`` gets a_n. Without
    ``reset_after``, n = tanh(x_n + (r h) u_n), ``inner`` gets r h, and bu is absent; gates and inner must be there then. y has
    the h of every step, h the last ones. With ``mask``, all h but that in z h are masked.

    Source: Cho et al., arXiv 1406.1078 (without ``reset_after``: version 3 of this text).
    """
    h[...] = _state(xp, h0, h)
    at_z, at_r = (GATE_ORDERS[order].index(gate) for gate in "zr")
    for rows, active in _Steps(xp, len(x), lengths, batch_first, reverse, len(h)).forward():
        masked, at = _masked(h, mask), x[rows]
        _put(xp, before, rows, active, masked)
        if reset_after:
            a = xp.tensordot(masked, u, 1) + (bu if bu.size else 0)
        else:
            a = xp.tensordot(masked, u[:, :2], 1)
        z, r = (forward(xp, at[:, gate] + a[:, gate], SIGMOID) for gate in (at_z, at_r))
        part = a[:, 2] if reset_after else r * masked
        n = forward(xp, at[:, 2] + (r * part if reset_after else part @ u[:, 2]), TANH)
        _put(xp, gates, rows, active, xp.stack([z, r, n] if at_z == 0 else [r, z, n], 1))
        _put(xp, inner, rows, active, part)
        h[...] = xp.where(active, z * h + (1 - z) * n, h)
        _put(xp, y, rows, active, h)


def gru_backward(
    xp: Any,
    dx: Array,
    dv: Array,
    dh0: Array,
    dy: Array,
    dh: Array,
    gates: Array,
    inner: Array,
    y: Array,
    u: Array,
    h0: Array,
    lengths: Array,
    mask: Array,
    reset_after: int,
    order: int,
    batch_first: int,
    reverse: int,
) -> None:
    """Compute the gradients of `gru_forward`. dy and dh are those of its outputs; where one is absent, it counts as 0.

    With ``reset_after``, dv is the gradient of h u + bu. Without it, dv is absent: the gradient of u is that of ``before`` times
    its first two gates, and that of ``inner`` times its candidate, both with dx.
    """
    carried = _state(xp, dh, dh0)
    first = _state(xp, h0, dh0)
    at_z, at_r = (GATE_ORDERS[order].index(gate) for gate in "zr")
    for step, rows, active, rows_before in _Steps(xp, len(dx), lengths, batch_first, reverse, len(dh0)).backward():
        total = _slope(xp, dy, rows, active, carried)
        z, r, n, part = gates[rows, at_z], gates[rows, at_r], gates[rows, 2], inner[rows]
        h = y[rows_before] if step else first
        d_z = backward(xp, total * (h - n), z, z, SIGMOID)
        d_n = backward(xp, total * (1 - z), n, n, TANH)
        d_inner = d_n * r if reset_after else d_n @ u[:, 2].T
        d_r = backward(xp, d_n * part if reset_after else d_inner * _masked(h, mask), r, r, SIGMOID)
        both = [d_z, d_r] if at_z == 0 else [d_r, d_z]
        _put(xp, dx, rows, active, xp.stack([*both, d_n], 1))
        if reset_after:
            da = xp.stack([*both, d_inner], 1)
            _put(xp, dv, rows, active, da)
            d_masked = xp.tensordot(da, u, ((1, 2), (1, 2)))
        else:
            d_masked = xp.tensordot(xp.stack(both, 1), u[:, :2], ((1, 2), (1, 2))) + d_inner * r
        carried = xp.where(active, total * z + _masked(d_masked, mask), carried)
    dh0[...] = carried
