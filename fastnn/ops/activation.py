"""Activations as operations, softmax and log-softmax."""

from __future__ import annotations

from ..backends import current
from ..backends.spec import LINEAR, Activation, activation
from ..tensor import Array, Gradients, Node, Tensor, result, torch_names
from . import dense
from . import shape as shape_ops
from .door import as_tensor, axis_of, floating


def activate(x: Tensor, act: Activation) -> Tensor:
    """act(x), element by element; x may have any shape."""
    if type(x) is not Tensor:
        x = as_tensor(x, act.name)
    data = x.data
    if data.dtype.kind != "f":
        floating(act.name, x)
    if act.id == LINEAR.id:
        return x
    k = current()
    y = k.empty(data.shape, data.dtype)
    k.activation_forward(y, data, act)
    return result(y, _activate_backward, (x,), data, y, act)


def _activate_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, y, act = node.saved
    dx = grads.k.empty(x.shape, x.dtype)
    grads.k.activation_backward(dx, dy, x, y, act)
    grads.add(node.inputs[0], dx)


def relu(x: Tensor) -> Tensor:
    """max(x, 0).

    >>> import fastnn
    >>> fastnn.relu(fastnn.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return activate(x, activation("relu"))


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope x."""
    return activate(x, activation("leaky_relu", negative_slope))


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return activate(x, activation("sigmoid"))


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return activate(x, activation("tanh"))


def gelu(x: Tensor, approximate: bool | str = False) -> Tensor:
    """x Phi(x), Phi the normal distribution function; ``approximate`` (True or "tanh") takes the form with tanh.

    Source: Hendrycks and Gimpel, arXiv 1606.08415.
    """
    if approximate not in (True, False, "tanh", "none"):
        raise ValueError(f"gelu: approximate={approximate!r}, wanted True, False, 'tanh' or 'none'")
    return activate(x, activation("gelu_tanh" if approximate in (True, "tanh") else "gelu"))


def erf(x: Tensor) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    >>> import fastnn
    >>> fastnn.erf(fastnn.tensor([0.0, 10.0])).tolist()
    [0.0, 1.0]
    """
    return activate(x, activation("erf"))


@torch_names
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis, computed without overflow.

    >>> import fastnn
    >>> fastnn.softmax(fastnn.tensor([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    return _along_rows(x, axis, "softmax")


@torch_names
def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """log(softmax(x)) along an axis, computed without overflow."""
    return _along_rows(x, axis, "log_softmax")


def _along_rows(x: Tensor, axis: int, name: str) -> Tensor:
    x = floating(name, as_tensor(x, name))
    axis = axis_of(axis, max(x.ndim, 1), name)
    if axis < x.ndim - 1:
        return shape_ops.swap_axes(_along_rows(shape_ops.swap_axes(x, axis, -1), -1, name), axis, -1)
    k = current()
    n = x.shape[-1] if x.ndim else 1
    rows = x.data.reshape(x.size // n if n else 0, n)
    y = k.empty(rows.shape, x.dtype)
    if name == "softmax":
        k.softmax_forward(y, rows)
        return result(y.reshape(x.shape), _softmax_backward, (x,), y)
    k.log_softmax_forward(y, rows)
    return result(y.reshape(x.shape), _log_softmax_backward, (x,), y)


def _softmax_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (y,) = node.saved
    dx = grads.k.empty(y.shape, y.dtype)
    grads.k.softmax_backward(dx, dy.reshape(y.shape), y)
    grads.add(node.inputs[0], dx.reshape(dy.shape))


def _log_softmax_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    (y,) = node.saved
    dx = grads.k.empty(y.shape, y.dtype)
    grads.k.log_softmax_backward(dx, dy.reshape(y.shape), y)
    grads.add(node.inputs[0], dx.reshape(dy.shape))


def softmax_logits(y: Tensor) -> Tensor | None:
    """The input of the softmax over the last axis that made y, where it is on the tape."""
    node = y.node
    return node.inputs[0] if node is not None and node.backward is _softmax_backward and node.inputs[0].shape == y.shape else None


def sigmoid_logits(y: Tensor) -> Tensor | None:
    """The input of the sigmoid that made y, where it is on the tape."""
    node = y.node
    if node is not None and node.backward is _activate_backward and node.saved and node.saved[2].name == "sigmoid":
        return node.inputs[0]
    return dense.logits_of(y)
