"""Element-wise functions, gated units, softmax and its kin; the table of element-wise functions."""

from __future__ import annotations

import math
from typing import NamedTuple

KERNELS = """
    activation_forward    y:T[*n] <- x:T[*n] act:act
    activation_backward   dx:T[*n] <- dy:T[*n] x:T[*n] y:T[*n] act:act
    glu_forward           y:T[A,C] <- x:T[A,2,C] act:act
    glu_backward          dx:T[A,2,C] <- dy:T[A,C] x:T[A,2,C] act:act
    prelu_forward         y:T[M,N] <- x:T[M,N] slope:T[C]
    prelu_backward        dx:T[M,N]? &dslope:T[C]? <- dy:T[M,N] x:T[M,N] slope:T[C] add:mask
    softmax_forward       y:T[M,N] <- x:T[M,N]
    softmax_backward      dx:T[M,N] <- dy:T[M,N] y:T[M,N]
    log_softmax_forward   y:T[M,N] <- x:T[M,N]
    log_softmax_backward  dx:T[M,N] <- dy:T[M,N] y:T[M,N]
    sparsemax_forward     y:T[M,N] <- x:T[M,N]
    sparsemax_backward    dx:T[M,N] <- dy:T[M,N] y:T[M,N]
"""


class Activation(NamedTuple):
    """An element-wise function and its parameters, as kernels take it."""

    id: int
    p0: float = 0.0
    p1: float = 0.0

    @property
    def name(self) -> str:
        return ACTIVATIONS[self.id].name

    @property
    def saves_z(self) -> bool:
        """Return whether backward needs the input z of the function; the others get by with its output."""
        return ACTIVATIONS[self.id].saves_z


class ActivationKind(NamedTuple):
    """A line of the table of element-wise functions: its formula, default parameters and what backward needs."""

    name: str
    formula: str
    p0: float = 0.0
    p1: float = 0.0
    saves_z: bool = False
    by_name: bool = True
    """Whether layers take it by its name; the others are parts of Tensor arithmetic."""


# The position is the id, as in AllFunctions of csrc/families/functions.h. Append, never reorder: saved models hold names, plans
# hold ids.
# sigmoid saves z for the losses, which work on logits; its own backward needs only y.
ACTIVATIONS: tuple[ActivationKind, ...] = (
    ActivationKind("linear", "x"),
    ActivationKind("relu", "max(x, 0)"),
    ActivationKind("leaky_relu", "x if x > 0 else p0 x", p0=0.2, saves_z=True),
    ActivationKind("sigmoid", "1 / (1 + exp(-x))", saves_z=True),
    ActivationKind("tanh", "tanh(x)"),
    ActivationKind("gelu", "x Phi(x) = x/2 (1 + erf(x / sqrt 2))", saves_z=True),
    ActivationKind("gelu_tanh", "x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))", saves_z=True),
    ActivationKind("exponential", "exp(x)"),
    ActivationKind("log", "log(x)", saves_z=True, by_name=False),
    ActivationKind("sqrt", "sqrt(x)", by_name=False),
    ActivationKind("abs", "|x|", saves_z=True, by_name=False),
    ActivationKind("clip", "min(max(x, p0), p1)", p0=0.0, p1=1.0, saves_z=True, by_name=False),
    ActivationKind("affine", "p0 x + p1", p0=1.0, by_name=False),
    ActivationKind("power", "x^p0", p0=1.0, saves_z=True, by_name=False),
    ActivationKind("erf", "erf(x)", saves_z=True, by_name=False),
    ActivationKind("sin", "sin(p0 x)", p0=1.0, saves_z=True, by_name=False),
    ActivationKind("cos", "cos(x)", saves_z=True, by_name=False),
    ActivationKind("log1p", "log(1 + x)", saves_z=True, by_name=False),
    ActivationKind("expm1", "exp(x) - 1", by_name=False),
    ActivationKind("sign", "1 if x > 0, -1 if x < 0, else 0", by_name=False),
    ActivationKind("floor", "the largest whole number <= x", by_name=False),
    ActivationKind("ceil", "the smallest whole number >= x", by_name=False),
    ActivationKind("round", "the nearest whole number, ties to even", by_name=False),
    ActivationKind("hard_tanh", "min(max(x, p0), p1)", p0=-1.0, p1=1.0),
    ActivationKind("relu_squared", "max(x, 0)^2", saves_z=True),
    ActivationKind("elu", "x if x > 0 else p0 (exp(x) - 1)", p0=1.0, saves_z=True),
    ActivationKind("selu", "1.0507 (x if x > 0 else 1.67326 (exp(x) - 1))"),
    ActivationKind("celu", "x if x > 0 else p0 (exp(x / p0) - 1)", p0=1.0),
    ActivationKind("silu", "x sigmoid(p0 x)", p0=1.0, saves_z=True),
    ActivationKind("hard_silu", "x min(max(x + 3, 0), 6) / 6", saves_z=True),
    ActivationKind("hard_sigmoid", "min(max(x + 3, 0), 6) / 6"),
    ActivationKind("log_sigmoid", "log(sigmoid(x))"),
    ActivationKind("mish", "x tanh(log(1 + exp(x)))", saves_z=True),
    ActivationKind("tanh_shrink", "x - tanh(x)", saves_z=True),
    ActivationKind("soft_shrink", "0 if |x| <= p0 else x - p0 sign(x)", p0=0.5),
    ActivationKind("hard_shrink", "0 if |x| <= p0 else x", p0=0.5),
    ActivationKind("softplus", "log(1 + exp(p0 x)) / p0, but x where p0 x > p1", p0=1.0, p1=math.inf, saves_z=True),
    ActivationKind("softsign", "x / (1 + |x|)", saves_z=True),
    ActivationKind("squareplus", "(x + sqrt(x^2 + p0)) / 2", p0=4.0, saves_z=True),
    ActivationKind("sparse_plus", "0 if x <= -1, x if x >= 1, else (x + 1)^2 / 4", saves_z=True),
    ActivationKind("sparse_sigmoid", "min(max((x + 1) / 2, 0), 1)"),
    ActivationKind("threshold", "x if x > p0 else p1", saves_z=True, by_name=False),
    ActivationKind("shifted_relu", "x if x >= p1 else p0 (x - p1)", saves_z=True, by_name=False),
)

ACTIVATION_IDS: dict[str, int] = {kind.name: i for i, kind in enumerate(ACTIVATIONS)}


def activation(name: str, p0: float | None = None, p1: float | None = None) -> Activation:
    """Return the function of that name, with its default parameters where none are given.

    >>> activation("leaky_relu", 0.01)
    Activation(id=2, p0=0.01, p1=0.0)
    """
    i = ACTIVATION_IDS[name]
    kind = ACTIVATIONS[i]
    return Activation(i, kind.p0 if p0 is None else float(p0), kind.p1 if p1 is None else float(p1))


LINEAR = activation("linear")
