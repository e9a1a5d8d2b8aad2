"""Recurrent layers over whole sequences; `ops.dense` computes the products of their inputs, all steps at once, before.

Arguments that all operations here have in common:

- z: the products of the inputs with their weights, and the biases: (N, T, G H) for N sequences of T steps, G gates and H units,
  or (T, N, G H) without ``batch_first``. u: the weights of the state, (H, G H).
- h0: the state before the first step, (N, H); None stands for 0.
- lengths: the number of steps of each sequence, whole numbers of shape (N,), from 0 to T; others count as the nearest of these.
  Beyond them, outputs are 0 and the state does not change. None: all have T steps.
- reverse: compute the steps of each sequence from its own last one to its first.
- mask: (N, H), constant factors of the state before each product with u, the same in all steps: recurrent dropout.

They return y, the outputs of all steps in the order of z, then the states after the last step of each sequence. The gradient
goes through all of them. With ``lengths``, the state after the last step is h, not the last row of y.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..autograd.tensor import Array, Gradients, Node, Tensor, is_grad_enabled, results
from ..backends import current
from ..backends.spec import LINEAR
from ..backends.spec import activation as activation_of
from ..backends.spec.recurrent import FUNCTIONS, GATE_ORDERS
from ..core.layout import products
from ..core.precision import precision
from .checks import as_tensor, floating, same_dtype
from .dense import ADD_DB, ADD_DW

if TYPE_CHECKING:
    from ..backends.base import Backend


class _Sequence:
    """Checked arguments that all operations have in common, as arrays.

    Args:
        op: the name in error messages.
        z, u, lengths, mask, reverse, batch_first: see the module.
        gates: the number of gates.
    """

    def __init__(
        self, op: str, z: Tensor, u: Tensor, lengths: Any, mask: Tensor | None, reverse: bool, batch_first: bool, gates: int
    ) -> None:
        self.op, self.k, self.gates = op, current(), gates
        same_dtype(op, floating(op, z), u, *(() if mask is None else (mask,)))
        order = "(N, T, {0})" if batch_first else "(T, N, {0})"
        wide = f"{gates} H" if gates > 1 else "H"
        if z.ndim != 3 or z.shape[2] % gates:
            raise ValueError(f"{op}: z has shape {z.shape}, wanted {order.format(wide)}")
        if u.ndim != 2 or u.shape[1] != z.shape[2]:
            raise ValueError(f"{op}: u has shape {u.shape}, wanted (H, {z.shape[2]}), as z has shape {z.shape}")
        self.dtype, self.lead = z.dtype, z.shape[:2]
        self.n, self.steps = self.lead if batch_first else self.lead[::-1]
        self.h, self.p = z.shape[2] // gates, u.shape[0]
        self.rows = self.n * self.steps
        self.x = z.data.reshape((self.rows, gates, self.h) if gates > 1 else (self.rows, self.h))
        self.u = u.data.reshape((self.p, gates, self.h) if gates > 1 else u.shape)
        self.mask = self.checked("mask", mask, (self.n, self.p))
        self.lengths = self.k.absent if lengths is None else self._lengths(lengths)
        self.flags = int(batch_first), int(reverse)

    def _lengths(self, lengths: Any) -> Array:
        t = as_tensor(lengths, self.op)
        if t.dtype != "int64" or t.shape != (self.n,):
            wanted = f"whole numbers of shape ({self.n},)"
            raise ValueError(f"{self.op}: lengths of dtype {t.dtype} and shape {t.shape} came, wanted {wanted}")
        if t.size and (t.data.min() < 0 or t.data.max() > self.steps):
            values = self.k.to_numpy(t.data)
            place = int(((values < 0) | (values > self.steps)).argmax())
            raise ValueError(
                f"{self.op}: lengths[{place}] is {values[place]}, wanted 0 to {self.steps}, the number of time steps"
            )
        return t.data

    def checked(self, name: str, t: Tensor | None, shape: tuple[int, ...]) -> Array:
        """Return the array of an argument, or a placeholder for None."""
        if t is None:
            return self.k.absent
        same_dtype(self.op, Tensor(self.x), t)
        if t.shape != shape:
            raise ValueError(f"{self.op}: {name} has shape {t.shape}, wanted {shape}")
        return t.data

    def square(self) -> None:
        """Check that the state has as many columns as there are units."""
        if self.p != self.h:
            raise ValueError(f"{self.op}: u has shape {(self.p, self.gates * self.h)}, wanted {(self.h, self.gates * self.h)}")

    def empty(self, *shape: int) -> Array:
        return self.k.empty(shape, self.dtype)

    def saved(self, wanted: bool, *shape: int) -> Array:
        """Return an array that the forward kernel leaves for backward, or a placeholder if there will be none."""
        return self.k.empty(shape, self.dtype) if wanted else self.k.absent


def _recorded(*inputs: Tensor | None) -> tuple[tuple[Tensor, ...], bool]:
    """Return the inputs that are there, and whether backward may be called."""
    there = tuple(t for t in inputs if t is not None)
    return there, is_grad_enabled() and any(t.requires_grad for t in there)


def _upstream(k: Backend, gradients: Sequence[Array | None], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    return [k.absent if g is None else g.reshape(shape) for g, shape in zip(gradients, shapes, strict=True)]


def rnn(
    z: Tensor,
    u: Tensor,
    h0: Tensor | None = None,
    *,
    activation: str = "tanh",
    lengths: Any = None,
    reverse: bool = False,
    batch_first: bool = True,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return y and h of h = activation(z + h u); see the module for the arguments.

    Args:
        activation: "tanh", "relu", "sigmoid" or "linear".

    Raises:
        TypeError: the arguments have different dtypes.
        ValueError: a shape or the activation is wrong.

    >>> import fastnn
    >>> z, u = fastnn.ones((1, 3, 1)), fastnn.ones((1, 1))
    >>> y, h = fastnn.ops.recurrent.rnn(z, u, activation="relu")
    >>> y.tolist(), h.tolist()
    ([[[1.0], [2.0], [3.0]]], [[3.0]])
    """
    if activation not in FUNCTIONS:
        raise ValueError(f"rnn: activation is {activation!r}, wanted one of {', '.join(FUNCTIONS)}")
    s = _Sequence("rnn", z, u, lengths, mask, reverse, batch_first, 1)
    s.square()
    act = activation_of(activation)
    inputs, wanted = _recorded(z, u, h0)
    y, h, before = s.empty(s.rows, s.h), s.empty(s.n, s.h), s.saved(wanted, s.rows, s.h)
    s.k.rnn_forward(y, h, before, s.x, s.u, s.checked("h0", h0, h.shape), s.lengths, s.mask, act, *s.flags)
    saved = y, before, s.u, s.lengths, s.mask, act, s.flags, h.shape, precision(), h0
    attrs = {"activation": activation, "reverse": reverse, "batch_first": batch_first}
    made = results("rnn", (y.reshape(*s.lead, s.h), h), _rnn_backward, inputs, saved, attrs)
    return made[0], made[1]


def _rnn_backward(grads: Gradients, node: Node, *gradients: Array | None) -> None:
    assert node.saved is not None
    y, before, u, lengths, mask, act, flags, state, rounding, h0 = node.saved
    k = grads.k
    dx, dh0 = k.empty(y.shape, y.dtype), k.empty(state, y.dtype)
    dy, dh = _upstream(k, gradients, (y.shape, state))
    k.rnn_backward(dx, dh0, dy, dh, y, u, lengths, mask, act, *flags)
    _weights(grads, node.inputs[1], before, dx, rounding)
    _inputs(grads, (node.inputs[0], h0), (dx, dh0))


def _weights(grads: Gradients, u: Tensor, before: Array, dx: Array, rounding: int) -> None:
    """Add the gradient of weights, before^T dx, if it is wanted."""
    if u.requires_grad:
        du, add = grads.target(u)
        grads.k.matmul_tn(du, before, dx.reshape(len(dx), u.shape[1]), 1.0, 1.0 if add else 0.0, rounding)
        grads.done(u, du)


def _inputs(grads: Gradients, given: Sequence[Tensor | None], found: Sequence[Array]) -> None:
    """Add the gradients of arguments that are there, where they are wanted."""
    for t, d in zip(given, found, strict=True):
        if t is not None and t.requires_grad:
            grads.add(t, d.reshape(t.shape))


def lstm(
    z: Tensor,
    u: Tensor,
    h0: Tensor | None = None,
    c0: Tensor | None = None,
    *,
    projection: Tensor | None = None,
    lengths: Any = None,
    reverse: bool = False,
    batch_first: bool = True,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y, h and c of an LSTM with the gates i, f, g, o in this order; see the module for the arguments.

    Args:
        c0: the cells before the first step, (N, H).
        projection: (H, P): h is the product of o tanh(c) with it. h0, mask and the outputs then have P columns, u has P rows.

    Raises:
        TypeError: the arguments have different dtypes.
        ValueError: a shape is wrong.

    >>> import fastnn
    >>> z, u = fastnn.zeros((2, 5, 12)), fastnn.ones((3, 12))
    >>> y, h, c = fastnn.ops.recurrent.lstm(z, u, c0=fastnn.ones((2, 3)), lengths=[5, 0])
    >>> y.shape, c.tolist()[1]
    ((2, 5, 3), [1.0, 1.0, 1.0])
    """
    s = _Sequence("lstm", z, u, lengths, mask, reverse, batch_first, 4)
    if projection is None:
        s.square()
    weights = s.checked("projection", projection, (s.h, s.p))
    inputs, wanted = _recorded(z, u, h0, c0, projection)
    y, h, c = s.empty(s.rows, s.p), s.empty(s.n, s.p), s.empty(s.n, s.h)
    gates, cells = s.saved(wanted, *s.x.shape), s.saved(wanted, s.rows, s.h)
    hidden, before = s.saved(projection is not None, s.rows, s.h), s.saved(wanted, s.rows, s.p)
    first = s.checked("c0", c0, c.shape)
    states = s.checked("h0", h0, h.shape), first
    s.k.lstm_forward(y, h, c, gates, cells, hidden, before, s.x, s.u, weights, *states, s.lengths, s.mask, *s.flags)
    saved = (gates, cells, s.u, weights, first, s.lengths, s.mask, *s.flags), hidden, before, h.shape, precision(), h0, c0
    attrs = {"reverse": reverse, "batch_first": batch_first}
    made = results("lstm", (y.reshape(*s.lead, s.p), h, c), _lstm_backward, inputs, saved, attrs)
    return made[0], made[1], made[2]


def _lstm_backward(grads: Gradients, node: Node, *gradients: Array | None) -> None:
    assert node.saved is not None
    arguments, hidden, before, state, rounding, h0, c0 = node.saved
    k, (gates, cells) = grads.k, arguments[:2]
    dx, dz = k.empty(gates.shape, gates.dtype), k.empty(before.shape, gates.dtype) if hidden.size else k.absent
    dh0, dc0 = k.empty(state, gates.dtype), k.empty((state[0], cells.shape[1]), gates.dtype)
    upstream = _upstream(k, gradients, (before.shape, state, dc0.shape))
    k.lstm_backward(dx, dz, dh0, dc0, *upstream, *arguments)
    _weights(grads, node.inputs[1], before, dx, rounding)
    if hidden.size:
        _weights(grads, node.inputs[-1], hidden, dz, rounding)
    _inputs(grads, (node.inputs[0], h0, c0), (dx, dh0, dc0))


def gru(
    z: Tensor,
    u: Tensor,
    bu: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    reset_after: bool = True,
    order: str = "zrh",
    lengths: Any = None,
    reverse: bool = False,
    batch_first: bool = True,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return y and h of a GRU; see the module for the arguments.

    h becomes g h + (1 - g) n, with the update gate g, and the candidate n = tanh(z_n + r (h u_n + bu_n)), where r is the reset
    gate. Without ``reset_after``, n = tanh(z_n + (r h) u_n).

    Args:
        bu: the bias of h u, (3 H,), only with ``reset_after``. Others are in z.
        reset_after: whether the reset gate multiplies the product of the state, as in PyTorch and by default in Keras, or the
            state before the product.
        order: the order of the gates: "zrh", update, reset, candidate, as in Keras, or "rzn", reset, update, candidate, as in
            PyTorch.

    Raises:
        TypeError: the arguments have different dtypes.
        ValueError: a shape or the order is wrong, or bu came without ``reset_after``.

    >>> import fastnn
    >>> z, u = fastnn.zeros((2, 5, 9)), fastnn.zeros((3, 9))
    >>> y, h = fastnn.ops.recurrent.gru(z, u, h0=fastnn.ones((2, 3)))
    >>> y.shape, h.tolist()[0]
    ((2, 5, 3), [0.03125, 0.03125, 0.03125])
    """
    if order not in GATE_ORDERS:
        raise ValueError(f"gru: order is {order!r}, wanted one of {', '.join(GATE_ORDERS)}")
    if bu is not None and not reset_after:
        raise ValueError("gru: bu came with reset_after=False, where the bias of the state is part of z")
    s = _Sequence("gru", z, u, lengths, mask, reverse, batch_first, 3)
    s.square()
    bias = s.checked("bu", bu, (3 * s.h,))
    inputs, wanted = _recorded(z, u, bu, h0)
    y, h = s.empty(s.rows, s.h), s.empty(s.n, s.h)
    keeps = wanted or not reset_after
    gates, inner, before = s.saved(keeps, *s.x.shape), s.saved(keeps, s.rows, s.h), s.saved(wanted, s.rows, s.h)
    first = s.checked("h0", h0, h.shape)
    flags = int(bool(reset_after)), GATE_ORDERS.index(order), *s.flags
    bias3 = bias.reshape(3, s.h) if bu is not None else bias
    s.k.gru_forward(y, h, gates, inner, before, s.x, s.u, bias3, first, s.lengths, s.mask, *flags)
    saved = (gates, inner, y, s.u, first, s.lengths, s.mask, *flags), before, h.shape, precision(), bu, h0
    attrs = {"reset_after": reset_after, "order": order, "reverse": reverse, "batch_first": batch_first}
    made = results("gru", (y.reshape(*s.lead, s.h), h), _gru_backward, inputs, saved, attrs)
    return made[0], made[1]


def _gru_backward(grads: Gradients, node: Node, *gradients: Array | None) -> None:
    assert node.saved is not None
    arguments, before, state, rounding, bu, h0 = node.saved
    (gates, inner, y), reset_after = arguments[:3], arguments[7]
    k, u = grads.k, node.inputs[1]
    dx, dh0 = k.empty(gates.shape, gates.dtype), k.empty(state, gates.dtype)
    dv = k.empty(gates.shape, gates.dtype) if reset_after else k.absent
    k.gru_backward(dx, dv, dh0, *_upstream(k, gradients, (y.shape, state)), *arguments)
    if not reset_after:
        _parts(grads, u, before, inner, dx, rounding)
    elif bu is None or not bu.requires_grad:
        _weights(grads, u, before, dv, rounding)
    else:
        _weights_and_bias(grads, u, bu, before, dv.reshape(len(before), u.shape[1]), rounding)
    _inputs(grads, (node.inputs[0], h0), (dx, dh0))


def _weights_and_bias(grads: Gradients, u: Tensor, bu: Tensor, before: Array, dv: Array, rounding: int) -> None:
    """Add the gradients of u, if it is wanted, and of its bias."""
    k, du, mask = grads.k, grads.k.absent, 0
    if u.requires_grad:
        du, add = grads.target(u)
        mask = ADD_DW if add else 0
    db, add = grads.target(bu)
    mask |= ADD_DB if add else 0
    k.dense_backward(k.absent, du, db, k.absent, dv, before, u.data, dv, k.absent, LINEAR, mask, rounding)
    if u.requires_grad:
        grads.done(u, du)
    grads.done(bu, db)


def _parts(grads: Gradients, u: Tensor, before: Array, inner: Array, dx: Array, rounding: int) -> None:
    """Add the gradient of u, if it is wanted, whose columns have two factors: the state, and for the candidate, a part of it."""
    if not u.requires_grad:
        return
    du, add = grads.target(u)
    k, (rows, h) = grads.k, before.shape
    for factor, first, columns in ((before, 0, 2 * h), (inner, 2 * h, h)):
        layout = k.constant(products((h, columns, rows), (first, 3 * h, 1), (0, 1, h), (first, 3 * h, 1)))
        k.matmul_batched(du, factor, dx, layout, 1.0, 1.0 if add else 0.0, rounding)
    grads.done(u, du)
