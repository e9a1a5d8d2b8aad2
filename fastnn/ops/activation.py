"""Activations as operations: element-wise, gated, with learned slopes, and functions of whole rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import activations
from ..activations import NAMED, parametric
from ..autograd.tensor import Array, Backward, Gradients, Node, Tensor, result, torch_names
from ..backends import current, spec
from ..backends.spec import LINEAR, Activation, activation
from . import dense
from . import shape as shape_ops
from .checks import as_tensor, axis_of, check_number, floating, same_dtype
from .layout import channels_first, last_of


def activate(x: Tensor, act: Activation, op: str = "") -> Tensor:
    """act(x), element by element; x may have any shape.

    op: public name of the operation; by default the name of the function.
    """
    if type(x) is not Tensor:
        if (last := last_of(x)) is not None:
            return channels_first(activate(last, act, op))
        x = as_tensor(x, act.name)
    data = x.data
    if data.dtype.kind != "f":
        floating(act.name, x)
    if act.id == LINEAR.id:
        return x
    k = current()
    y = k.empty(data.shape, data.dtype)
    k.activation_forward(y, data, act)
    return result(op or spec.ACTIVATIONS[act.id].name, y, _activate_backward, (x,), (data, y, act), {"activation": act})


def _activate_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, y, act = node.saved
    dx = grads.k.empty(x.shape, x.dtype)
    grads.k.activation_backward(dx, dy, x, y, act)
    grads.add(node.inputs[0], dx)


def _plain(name: str) -> Callable[[Tensor], Tensor]:
    """Return the operation for an element-wise function without parameters, by its name in layers."""
    act = activations.get(name)
    assert isinstance(act, Activation)

    def apply(x: Tensor) -> Tensor:
        return activate(x, act, name)

    apply.__name__ = apply.__qualname__ = name
    formula = spec.ACTIVATIONS[act.id].formula.replace("p0", f"{act.p0:g}").replace("p1", f"{act.p1:g}")
    apply.__doc__ = f"{formula}, element by element."
    NAMED[apply] = act
    return apply


sigmoid: Callable[[Tensor], Tensor] = _plain("sigmoid")
tanh: Callable[[Tensor], Tensor] = _plain("tanh")
selu = _plain("selu")
silu = _plain("silu")
hard_silu = _plain("hard_silu")
hard_sigmoid = _plain("hard_sigmoid")
log_sigmoid = _plain("log_sigmoid")
mish = _plain("mish")
relu6 = _plain("relu6")
relu_squared = _plain("relu_squared")
quick_gelu = _plain("quick_gelu")
softsign = _plain("softsign")
sparse_plus = _plain("sparse_plus")
sparse_sigmoid = _plain("sparse_sigmoid")
tanh_shrink = _plain("tanh_shrink")


def relu(x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """max(x, 0); with Keras's arguments, min(x, max_value) from threshold on and negative_slope (x - threshold) below it.

    >>> import fastnn
    >>> fastnn.relu(fastnn.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    for act in relu_steps(negative_slope, max_value, threshold):
        x = activate(x, act, "relu")
    return x


def relu_steps(negative_slope: float, max_value: float | None, threshold: float) -> tuple[Activation, ...]:
    """Return the element-wise functions that `relu` applies one after the other."""
    slope = check_number(negative_slope, "relu: negative_slope", 0.0)
    start = check_number(threshold, "relu: threshold", -math.inf)
    top = math.inf if max_value is None else check_number(max_value, "relu: max_value", 0.0)
    if slope or start:
        below = activation("shifted_relu", slope, start)
        return (below,) if max_value is None else (below, activation("clip", -math.inf, top))
    return (activation("relu") if max_value is None else activation("hard_tanh", 0.0, top),)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope x."""
    return activate(x, parametric("leaky_relu", negative_slope))


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (exp(x) - 1).

    Source: Clevert et al., arXiv 1511.07289.
    """
    return activate(x, parametric("elu", alpha))


def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (exp(x / alpha) - 1).

    Source: Barron, arXiv 1704.07483.
    """
    return activate(x, parametric("celu", alpha))


def gelu(x: Tensor, approximate: bool | str = False) -> Tensor:
    """x Phi(x), Phi the normal distribution function; ``approximate`` (True or "tanh") uses the approximation with tanh.

    Source: Hendrycks and Gimpel, arXiv 1606.08415.
    """
    if approximate not in (True, False, "tanh", "none"):
        raise ValueError(f"gelu: approximate={approximate!r}, wanted True, False, 'tanh' or 'none'")
    return activate(x, activation("gelu_tanh" if approximate in (True, "tanh") else "gelu"), "gelu")


def hard_tanh(x: Tensor, min_value: float = -1.0, max_value: float = 1.0) -> Tensor:
    """min(max(x, min_value), max_value); the gradient is 0 where a limit is reached."""
    return activate(x, parametric("hard_tanh", min_value, max_value))


def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by the threshold; 0 where |x| <= threshold."""
    return activate(x, parametric("soft_shrink", threshold))


def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x where |x| is above the threshold, else 0."""
    return activate(x, parametric("hard_shrink", threshold))


def softplus(x: Tensor, beta: float = 1.0, threshold: float = math.inf) -> Tensor:
    """log(1 + exp(beta x)) / beta, but x where beta x is above the threshold.

    The threshold is that of PyTorch, where the default is 20. It is not needed to avoid overflow.
    """
    return activate(x, parametric("softplus", beta, threshold))


def squareplus(x: Tensor, b: float = 4.0) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2.

    Source: Barron, arXiv 2112.11687.
    """
    return activate(x, parametric("squareplus", b))


def threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    """x where x is above the threshold, else the value."""
    return activate(x, parametric("threshold", threshold, value))


def sine(x: Tensor, omega: float = 1.0) -> Tensor:
    """sin(omega x).

    Source: Sitzmann et al., Implicit Neural Representations with Periodic Activation Functions, arXiv 2006.09661.
    """
    return activate(x, parametric("sin", omega), "sine")


def erf(x: Tensor) -> Tensor:
    """Return the error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    >>> import fastnn
    >>> fastnn.erf(fastnn.tensor([0.0, 10.0])).tolist()
    [0.0, 1.0]
    """
    return activate(x, activation("erf"))


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """x where x > 0, else slope x, with a learned slope.

    Args:
        x: (..., C).
        slope: one number, or an array with the shape of x's last axes, such as (C,) for a slope for each channel.

    Source: He et al., Delving Deep into Rectifiers, arXiv 1502.01852.

    >>> import fastnn
    >>> fastnn.prelu(fastnn.tensor([[-1.0, -1.0]]), fastnn.tensor([0.25, 0.5])).tolist()
    [[-0.25, -0.5]]
    """
    x = floating("prelu", as_tensor(x, "prelu"))
    slope = as_tensor(slope, "prelu: slope", x)
    same_dtype("prelu", x, slope)
    last = slope.shape
    while last[:1] == (1,):
        last = last[1:]
    if slope.size != 1 and (len(last) > x.ndim or x.shape[x.ndim - len(last) :] != last):
        raise ValueError(f"prelu: slope has shape {slope.shape}, x {x.shape}; wanted one slope, or the shape of x's last axes")
    # With one slope for all, any division of the elements into rows works.
    columns = slope.size if slope.size != 1 else x.shape[-1] if x.ndim else 1
    rows = x.data.reshape(x.size // columns if columns else 0, columns)
    k = current()
    y = k.empty(rows.shape, x.dtype)
    k.prelu_forward(y, rows, slope.data.reshape(-1))
    return result("prelu", y.reshape(x.shape), _prelu_backward, (x, slope), (rows, slope.data.reshape(-1)))


def _prelu_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, slope = node.saved
    k, mask = grads.k, 0
    dx = dslope = k.absent
    if node.inputs[0].requires_grad:
        dx = k.empty(x.shape, x.dtype)
    if node.inputs[1].requires_grad:
        dslope, add = grads.target(node.inputs[1])
        mask = 2 if add else 0  # dslope is the second output
    k.prelu_backward(dx, dslope.reshape(-1), dy.reshape(x.shape), x, slope, mask)
    if node.inputs[1].requires_grad:
        grads.done(node.inputs[1], dslope)
    if node.inputs[0].requires_grad:
        grads.add(node.inputs[0], dx.reshape(dy.shape))


@torch_names
def glu(x: Tensor, axis: int = -1, activation: Any = "sigmoid") -> Tensor:
    """Compute a act(b), where a is the first half of x along an axis and b, the gate, the second, as in PyTorch.

    Args:
        x: of even size along the axis.
        axis: the axis to split into halves.
        activation: element-wise function of the gate. "linear" gives the bilinear unit.

    Source: Dauphin et al., arXiv 1612.08083; with other functions than the sigmoid, Shazeer, arXiv 2002.05202.

    >>> import fastnn
    >>> fastnn.glu(fastnn.tensor([1.0, 2.0, 0.0, 0.0])).tolist()
    [0.5, 1.0]
    """
    x = floating("glu", as_tensor(x, "glu"))
    act = activations.elementwise(activation, "glu")
    axis = axis_of(axis, x.ndim, "glu")
    if x.shape[axis] % 2:
        raise ValueError(f"glu: axis {axis} of shape {x.shape} has an odd size, wanted two halves")
    before, half = math.prod(x.shape[:axis]), x.shape[axis] // 2
    halves = x.data.reshape(before, 2, half * math.prod(x.shape[axis + 1 :]))
    k = current()
    y = k.empty((before, halves.shape[2]), x.dtype)
    k.glu_forward(y, halves, act)
    data = y.reshape(*x.shape[:axis], half, *x.shape[axis + 1 :])
    return result("glu", data, _glu_backward, (x,), (halves, act), {"axis": axis, "activation": act})


def _glu_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    x, act = node.saved
    dx = grads.k.empty(x.shape, x.dtype)
    grads.k.glu_backward(dx, dy.reshape(x.shape[0], x.shape[2]), x, act)
    grads.add(node.inputs[0], dx.reshape(node.inputs[0].shape))


@torch_names
def swiglu(x: Tensor, axis: int = -1) -> Tensor:
    """`glu` with silu: a silu(b)."""
    return glu(x, axis, "silu")


@torch_names
def geglu(x: Tensor, axis: int = -1) -> Tensor:
    """`glu` with gelu: a gelu(b)."""
    return glu(x, axis, "gelu")


@torch_names
def reglu(x: Tensor, axis: int = -1) -> Tensor:
    """`glu` with relu: a relu(b)."""
    return glu(x, axis, "relu")


@torch_names
def maxout(x: Tensor, num_pieces: int, axis: int = -1) -> Tensor:
    """Return the maximum of each group of num_pieces neighbours along an axis; equal elements share the gradient.

    Source: Goodfellow et al., Maxout Networks, arXiv 1302.4389.

    >>> import fastnn
    >>> fastnn.maxout(fastnn.tensor([1.0, 5.0, 4.0, 3.0]), 2).tolist()
    [5.0, 4.0]
    """
    x = floating("maxout", as_tensor(x, "maxout"))
    axis = axis_of(axis, x.ndim, "maxout")
    if isinstance(num_pieces, bool) or not isinstance(num_pieces, int | np.integer) or num_pieces < 1:
        raise ValueError(f"maxout: num_pieces is {num_pieces!r}, wanted a whole number of at least 1")
    if x.shape[axis] % num_pieces:
        raise ValueError(f"maxout: axis {axis} of shape {x.shape} cannot be cut into pieces of {num_pieces}")
    pieces = (*x.shape[:axis], x.shape[axis] // num_pieces, int(num_pieces), *x.shape[axis + 1 :])
    from .reduce import amax  # imported here, since that module imports this one

    return amax(shape_ops.reshape(x, pieces), axis + 1)


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


@torch_names
def softmin(x: Tensor, axis: int = -1) -> Tensor:
    """Return the softmax of -x along an axis."""
    return softmax(-as_tensor(x, "softmin"), axis)


@torch_names
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """Return the nearest point to x, along an axis, whose numbers are at least 0 and sum to 1: a softmax with true zeros.

    Source: Martins and Astudillo, From Softmax to Sparsemax, 2016.

    >>> import fastnn
    >>> fastnn.sparsemax(fastnn.tensor([1.0, 0.5, -2.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    return _along_rows(x, axis, "sparsemax")


ROWS = {"softmax": softmax, "log_softmax": log_softmax, "softmin": softmin, "sparsemax": sparsemax}
"""Functions of whole rows, by their names in `activations.ROWS`."""

NAMED.update({apply: name for name, apply in ROWS.items()})
NAMED.update({apply: activation(apply.__name__) for apply in (relu, elu, celu, gelu, hard_tanh, soft_shrink, hard_shrink)})
NAMED.update({apply: activation(apply.__name__) for apply in (softplus, squareplus, erf)})
NAMED.update({leaky_relu: activation("leaky_relu", 0.01), sine: activation("sin")})


def applied(act: Any, x: Tensor, op: str) -> Tensor:
    """Apply act, a result of `activations.get`, to x."""
    if isinstance(act, str):
        return ROWS[act](x)
    if isinstance(act, Activation):
        return activate(x, act)
    y = act(x)
    if not isinstance(y, Tensor):
        raise TypeError(f"{op}: the activation {activations.label(act)} gave {type(y).__name__}, wanted a Tensor")
    if y.shape != x.shape:
        raise ValueError(
            f"{op}: the activation {activations.label(act)} made shape {y.shape} of {x.shape}; wanted the same shape"
        )
    return y


def _along_rows(x: Tensor, axis: int, name: str) -> Tensor:
    x = floating(name, as_tensor(x, name))
    axis = axis_of(axis, max(x.ndim, 1), name)
    if axis < x.ndim - 1:
        return shape_ops.swap_axes(_along_rows(shape_ops.swap_axes(x, axis, -1), -1, name), axis, -1)
    k = current()
    n = x.shape[-1] if x.ndim else 1
    rows = x.data.reshape(x.size // n if n else 0, n)
    y = k.empty(rows.shape, x.dtype)
    getattr(k, f"{name}_forward")(y, rows)
    return result(name, y.reshape(x.shape), _ROWS_BACKWARD[name], (x,), (y,), {"axis": -1})


def _rows_backward(kernel: str) -> Backward:
    def backward(grads: Gradients, node: Node, dy: Array) -> None:
        assert node.saved is not None
        (y,) = node.saved
        dx = grads.k.empty(y.shape, y.dtype)
        getattr(grads.k, kernel)(dx, dy.reshape(y.shape), y)
        grads.add(node.inputs[0], dx.reshape(dy.shape))

    return backward


_ROWS_BACKWARD = {name: _rows_backward(f"{name}_backward") for name in ("softmax", "log_softmax", "sparsemax")}


def softmax_logits(y: Tensor) -> Tensor | None:
    """Return the input of the softmax over the last axis that made y, if it is on the tape; else None."""
    return _made_by(_ROWS_BACKWARD["softmax"], y)


def log_softmax_logits(y: Tensor) -> Tensor | None:
    """Return the input of the log-softmax over the last axis that made y, if it is on the tape; else None."""
    return _made_by(_ROWS_BACKWARD["log_softmax"], y)


def _made_by(backward: Backward, y: Tensor) -> Tensor | None:
    node = y.node
    if node is None or node.backward is not backward or node.retained is not None or node.inputs[0].shape != y.shape:
        return None
    return node.inputs[0]


def sigmoid_logits(y: Tensor) -> Tensor | None:
    """Return the input of the sigmoid that made y, if it is on the tape; else None."""
    node = y.node
    if node is not None and node.retained is not None:  # retain_grad was called on y, so its gradient is needed
        return None
    if node is not None and node.backward is _activate_backward and node.saved and node.saved[2].name == "sigmoid":
        return node.inputs[0]
    return dense.logits_of(y)
