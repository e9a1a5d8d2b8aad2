"""Cases of the activation family. Of a new element-wise function's case, a line in FUNCTIONS is all that there is."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.reference.activation import forward, sparsemax_forward
from fastnn.backends.spec import ACTIVATIONS, Activation, activation

from .case import Array, Case, Values

# Around vectors of 4, 8 and 16 elements, and around the pieces that workers get.
LENGTHS = (0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 1009, 2047, 2048, 2049, 4133)


@dataclass(frozen=True)
class Function:
    """How an element-wise function is tested: its parameters, where its input lies, and how exact it is.

    Errors are in units of eps: relative to the result, and absolute (in backward: relative to dy). ``squares`` says that the
    relative error grows with x^2, as it must where exp(-x^2) is computed; ``product`` that value and slope have an absolute error
    of so many |x|, as they must where a parameter that is no power of two multiplies x inside of a sine or the like.
    ``slope_of`` says from what backward computes: the input x, the output y or neither.
    """

    act: Activation
    low: float = -4.0
    high: float = 4.0
    relative: float = 2.0
    absolute: float = 0.0
    slope_relative: float = 4.0
    slope_absolute: float = 0.0
    squares: bool = False
    product: float = 0.0
    slope_of: str = "x"

    def error(self, x: Array, y: Array, eps: float) -> Any:
        """The error allowed in y = f(x)."""
        relative = self.relative + (2 * x * x if self.squares else 0)
        # Below the smallest normal number there are fewer digits, and the sigmoid and its kin end there.
        absolute = self.absolute + (self.product * np.abs(x) if self.product else 0.0)
        return eps * (relative * np.abs(y) + absolute) + _tiny(eps) * np.maximum(np.abs(x), 1)

    def slope_error(self, dy: Array, dx: Array, eps: float, x: Array) -> Any:
        """The error allowed in dx = dy f'(x); x may be left empty where the function does not save it."""
        size = self.slope_absolute + (self.product * np.abs(x) if self.product else 0.0)
        absolute = size * np.abs(dy) if self.slope_absolute or self.product else 0.0  # dy may be NaN where dx is 0
        return eps * (self.slope_relative * np.abs(dx) + absolute) + _tiny(eps)


def _tiny(eps: float) -> float:
    return float(np.finfo(np.float32 if eps > 1e-10 else np.float64).tiny)


FUNCTIONS: tuple[Function, ...] = (
    Function(activation("linear"), relative=0, slope_relative=0, slope_of=""),
    Function(activation("relu"), relative=0, slope_relative=0, slope_of="y"),
    Function(activation("leaky_relu", 0.2), relative=1, slope_relative=1),
    Function(activation("sigmoid"), -30, 30, relative=3, slope_of="y"),
    Function(activation("tanh"), -12, 12, relative=3, slope_absolute=2, slope_of="y"),
    Function(activation("gelu"), -12, 12, relative=12, squares=True, slope_absolute=4),
    Function(activation("gelu_tanh"), -12, 12, relative=12, squares=True, slope_absolute=4),
    Function(activation("exponential"), -30, 30, slope_of="y"),
    Function(activation("log"), 1e-3, 50),
    Function(activation("sqrt"), 0.0, 50, relative=1, slope_of="y"),
    Function(activation("abs"), relative=0, slope_relative=1),
    Function(activation("clip", -1.0, 2.0), relative=0, slope_relative=0),
    Function(activation("affine", 1.5, -0.25), absolute=4, slope_of=""),
    Function(activation("power", 2.0), relative=1),
    Function(activation("power", 1.0), 0.1, 5),
    Function(activation("power", 0.5), 0.1, 5),
    Function(activation("power", -1.0), 0.1, 5),
    Function(activation("power", 0.0), 0.1, 5),
    Function(activation("power", 3.0)),
    Function(activation("power", 2.5), 0.1, 5),
    Function(activation("erf"), -5, 5, relative=3, slope_absolute=4),
    Function(activation("sin", 1.0), -20, 20, relative=3),
    Function(activation("sin", 4.0), relative=3),
    Function(activation("sin", 0.3), relative=3, product=1),
    Function(activation("cos"), -20, 20, relative=3),
    Function(activation("log1p"), -0.9, 20, relative=3),
    Function(activation("expm1"), -12, 12, relative=3, slope_absolute=1, slope_of="y"),
    *(Function(activation(name), relative=0, slope_relative=0, slope_of="") for name in ("sign", "floor", "ceil", "round")),
    *(Function(activation("hard_tanh", *limits), relative=0, slope_relative=0, slope_of="y") for limits in ((-1, 1), (0, 6))),
    Function(activation("relu_squared"), relative=1),
    Function(activation("elu", 0.7), -12, 12, relative=4),
    Function(activation("selu"), -12, 12, relative=4, slope_absolute=2, slope_of="y"),
    Function(activation("celu", 0.7), -12, 12, relative=5, slope_absolute=2, slope_of="y"),
    Function(activation("silu"), -30, 30, relative=4, slope_absolute=4),
    Function(activation("silu", 1.702), -12, 12, relative=20, slope_absolute=8),
    Function(activation("hard_silu"), absolute=2, slope_absolute=2),
    Function(activation("hard_sigmoid"), relative=3, slope_of="y"),
    Function(activation("log_sigmoid"), -30, 30, relative=4, slope_absolute=2, slope_of="y"),
    Function(activation("mish"), -30, 30, relative=5, slope_absolute=5),
    Function(activation("tanh_shrink"), absolute=4, slope_relative=8),
    Function(activation("soft_shrink", 0.5), relative=0, absolute=1, slope_relative=0, slope_of="y"),
    Function(activation("hard_shrink", 0.5), relative=0, slope_relative=0, slope_of="y"),
    Function(activation("softplus"), -30, 30, relative=4),
    Function(activation("softplus", 2.0, 20.0), -12, 12, relative=4),
    Function(activation("softsign"), relative=2),
    Function(activation("squareplus"), -12, 12, relative=4, slope_relative=8),
    Function(activation("sparse_plus"), relative=5, slope_relative=2),
    Function(activation("sparse_sigmoid"), relative=2, slope_of="y"),
    Function(activation("threshold", 0.1, 20.0), relative=0, slope_relative=0),
    Function(activation("shifted_relu", 0.1, 0.5), relative=3),
)
FUNCTION = {f.act: f for f in FUNCTIONS}
assert {f.act.name for f in FUNCTIONS} == {kind.name for kind in ACTIVATIONS}, "every function of the spec needs a line above"


def value(x: Array, act: Activation) -> Array:
    with np.errstate(all="ignore"):
        result: Array = forward(np, x, act)
    return result


def _forward_error(v: SimpleNamespace, want: Values) -> Values:
    return {"y": FUNCTION[v.act].error(v.x, want["y"], v.eps)}


def _backward_error(v: SimpleNamespace, want: Values) -> Values:
    return {"dx": FUNCTION[v.act].slope_error(v.dy, want["dx"], v.eps, v.x)}


def _pair(f: Function, n: int, **flags: Any) -> list[Case]:
    # What is timed is what networks compute: far out, denormal numbers take their time.
    span = (max(f.low, -4.0), min(f.high, 4.0)) if "bench" in flags else (f.low, f.high)
    note = "_".join(f"{p:g}" for p in f.act[1:]) if f.act[1:] != (0.0, 0.0) else ""
    common: dict[str, Any] = {"scalars": {"act": f.act}, "spans": {"x": span}, "note": note, **flags}
    y = {"y": lambda rng, v: value(v["x"], v["act"])}
    touched = {a: 0 for a in "xy" if a != f.slope_of}
    return [
        Case("activation_forward", {"n": n}, error=_forward_error, grad=n == 1009, **common),
        Case("activation_backward", {"n": n}, arrays=y, error=_backward_error, touched=touched, **common),
    ]


def _glu(v: SimpleNamespace, want: Values) -> Values:
    a, b = v.x[:, 0], v.x[:, 1]
    gate = value(b, v.act)
    return {"y": np.abs(a) * FUNCTION[v.act].error(b, gate, v.eps) + v.eps * np.abs(want["y"]) + _tiny(v.eps)}


def _glu_backward(v: SimpleNamespace, want: Values) -> Values:
    f, (a, b) = FUNCTION[v.act], (v.x[:, 0], v.x[:, 1])
    dx = want["dx"]
    first = np.abs(v.dy) * f.error(b, value(b, v.act), v.eps)
    # Where the slope is told from the gate, it has the gate's rounding too.
    second = f.slope_error(v.dy * a, dx[:, 1], v.eps, b) + (2 * v.eps * np.abs(v.dy * a) if f.slope_of == "y" else 0)
    return {"dx": np.stack([first, second], 1) + v.eps * np.abs(dx) + _tiny(v.eps)}


def _gated(a: int, c: int, f: Function, **flags: Any) -> list[Case]:
    sizes, common = {"A": a, "C": c}, {"scalars": {"act": f.act}, "spans": {"x": (-4.0, 4.0)}, **flags}
    grad = (a, c) == (5, 17)
    return [
        Case("glu_forward", sizes, error=_glu, grad=grad, **common),
        Case("glu_backward", sizes, error=_glu_backward, **common),
    ]


def _prelu_backward(v: SimpleNamespace, want: Values) -> Values:
    errors: Values = {"dx": v.eps * np.abs(want["dx"])} if v.dx.size else {}
    if v.dslope.size:
        size = np.where(v.x > 0, 0, np.abs(v.x * v.dy)).sum(0)
        size = size.sum() if v.slope.size == 1 else size
        errors["dslope"] = v.eps * (4 + v.x.size**0.5 / 2) * (size + np.abs(want["dslope"]))
    return errors


def _prelu(m: int, n: int, c: int, wanted: tuple[str, ...] = ("dx", "dslope"), add: int = 0, **flags: Any) -> list[Case]:
    sizes = {"M": m, "N": n, "C": c}
    absent = tuple(name for name in ("dx", "dslope") if name not in wanted)
    start = {} if add else {"dslope": np.full(c, np.nan)}
    return [
        Case("prelu_forward", sizes, error=1.0, grad=m == 7, **flags),
        Case("prelu_backward", sizes, {"add": add}, absent, arrays=start, error=_prelu_backward, **flags),
    ]


def softmax_error(x: Array) -> Any:
    """The relative error of exp(x - max) / sum, in units of eps: that of x - max is a relative one of its exponential."""
    return 6 + np.abs(x - x.max(1, keepdims=True, initial=-np.inf))


def _softmax(v: SimpleNamespace, want: Values) -> Values:
    return {"y": v.eps * softmax_error(v.x) * want["y"] + _tiny(v.eps)}


def _softmax_backward(v: SimpleNamespace, want: Values) -> Values:
    dot = (np.abs(v.dy * v.y)).sum(1, keepdims=True)
    return {"dx": v.eps * np.abs(v.y) * (2 * np.abs(v.dy) + (3 + v.y.shape[1] ** 0.5 / 2) * dot)}


def _log_softmax(v: SimpleNamespace, want: Values) -> Values:
    return {"y": v.eps * (6 + 2 * np.abs(v.x - v.x.max(1, keepdims=True, initial=-np.inf)))}


def _log_softmax_backward(v: SimpleNamespace, want: Values) -> Values:
    total = np.abs(v.dy).sum(1, keepdims=True)
    return {"dx": v.eps * (2 * np.abs(v.dy) + np.exp(v.y) * (4 + v.y.shape[1] ** 0.5 / 2) * total)}


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True, initial=-np.inf))
    result: Array = e / e.sum(1, keepdims=True)
    return result


def _rows(m: int, n: int, **flags: Any) -> list[Case]:
    sizes, span = {"M": m, "N": n}, {"x": (-8.0, 8.0)}
    edges, grad = (m, n) == (7, 17), (m, n) in ((7, 17), (3, 65))
    p = {"y": lambda rng, v: softmax(rng.uniform(-8, 8, (m, n)))}
    log_p = {"y": lambda rng, v: np.log(softmax(rng.uniform(-8, 8, (m, n))))}
    return [
        Case("softmax_forward", sizes, spans=span, error=_softmax, edges=edges, grad=grad, **flags),
        Case("softmax_backward", sizes, arrays=p, error=_softmax_backward, edges=edges, **flags),
        Case("log_softmax_forward", sizes, spans=span, error=_log_softmax, edges=edges, grad=grad, **flags),
        Case("log_softmax_backward", sizes, arrays=log_p, error=_log_softmax_backward, edges=edges, **flags),
    ]


def _sparsemax(v: SimpleNamespace, want: Values) -> Values:
    # Of the same order as the rounding of x - max - t.
    return {"y": v.eps * (4 + 2 * np.abs(v.x - v.x.max(1, keepdims=True, initial=-np.inf)))}


def _sparsemax_backward(v: SimpleNamespace, want: Values) -> Values:
    size = np.where(v.y > 0, np.abs(v.dy), 0)
    return {"dx": v.eps * (np.abs(want["dx"]) + (2 + v.y.shape[1] ** 0.5) * size.sum(1, keepdims=True))}


def _sparse_rows(m: int, n: int, width: float, **flags: Any) -> list[Case]:
    """Rows over a range of that width: the wider, the fewer elements are not 0."""
    sizes, span = {"M": m, "N": n}, (-width / 2, width / 2)

    def y(rng: np.random.Generator, v: Values) -> Array:
        p = np.empty((m, n))
        sparsemax_forward(np, p, rng.uniform(*span, (m, n)))
        return p

    common: dict[str, Any] = {"note": f"{width:g}", "edges": (m, n) == (7, 17), **flags}
    return [
        Case("sparsemax_forward", sizes, spans={"x": span}, error=_sparsemax, grad=(m, n) in ((7, 17), (3, 65)), **common),
        Case("sparsemax_backward", sizes, arrays={"y": y}, error=_sparsemax_backward, **common),
    ]


# Ends of vectors of every ISA, with one to four vectors in a row and more.
ROWS = (
    *((0, 10), (4, 0), (1, 1), (1, 10), (32, 10), (2, 4), (3, 8), (17, 15)),
    *((5, 16), (7, 17), (15, 31), (16, 33), (4, 49), (3, 65), (2, 1000), (2, 5000)),
)

# Halves that end within chunks and vectors, and rows that are cut.
GATED = ((0, 3), (2, 0), (1, 1), (1, 16), (5, 17), (3, 513), (2, 2100), (600, 4))
GATES = tuple(FUNCTION[activation(name)] for name in ("sigmoid", "silu", "gelu", "relu", "linear"))
PRELU_WANTED = ((("dx",), 0), (("dslope",), 0), (("dslope",), 2), (("dx", "dslope"), 0), (("dx", "dslope"), 2))

CASES = [
    *(case for n in LENGTHS for case in _pair(FUNCTIONS[1], n)),
    *(case for f in FUNCTIONS for case in _pair(f, 1009 if f.act.name != "relu" else 1013, edges=True)),
    *(case for f in FUNCTIONS if f.act.name != "power" for case in _pair(f, 1 << 16, bench=True, test=f.act.name == "gelu")),
    *_pair(FUNCTIONS[1], 1 << 22, bench=True, test=False),
    *(case for m, n in ROWS for case in _rows(m, n, bench=(m, n) == (32, 10))),
    *_rows(4000, 10),
    *_rows(512, 1000, bench=True, test=False),
    *(case for m, n in ROWS for width in (1.0, 8.0) for case in _sparse_rows(m, n, width)),
    *_sparse_rows(2, 5000, 0.001),
    *_sparse_rows(512, 1000, 8.0, bench=True, test=False),
    *(case for i, (a, c) in enumerate(GATED) for case in _gated(a, c, GATES[i % len(GATES)], edges=(a, c) == (5, 17))),
    *(case for f in GATES for case in _gated(7, 33, f)),
    *_gated(512, 1000, GATES[1], bench=True, test=False),
    *(case for m, n in ((0, 3), (1, 1), (7, 17), (33, 64), (300, 5), (4133, 1)) for c in {1, n} for case in _prelu(m, n, c)),
    *(
        case
        for c in (1, 9)
        for wanted, add in PRELU_WANTED
        for case in _prelu(
            200, 9, c, wanted, add, edges=len(wanted) == 2 and not add, note="_".join(wanted) + "_added" * bool(add)
        )
    ),
    *_prelu(512, 1000, 1000, bench=True, test=False),
]
