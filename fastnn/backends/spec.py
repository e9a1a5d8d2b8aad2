"""The kernel contract: every kernel's name and arguments, written once.

A line reads ``name  outputs <- inputs``. An array is ``name:dtype[shape]``, a scalar ``name:int``, ``name:float``,
``name:act`` (an `Activation`) or ``name:loss`` (a `PointwiseLoss`). ``&`` before a name means that the kernel reads and writes it, ``?`` after the shape that it
may be absent (an array of size 0). In a shape, a letter is a size that all arrays of the call share, a number is itself,
and ``*n`` stands for any shape with ``n`` elements in all.

dtypes: ``T`` float32 or float64, ``N`` those and int64, ``A`` those and bool (one letter is one dtype throughout a call);
``X`` any dtype of its own; the rest by name. All arrays are C-contiguous and aligned.

From these lines come the checks of the compiled binding, what a recorded plan knows of reads and writes, the test that all
backends have the same signatures, and the list of kernels in the documentation.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

FAMILIES: dict[str, str] = {
    "dense": """
        matmul_nn       &c:T[M,N] <- a:T[M,K] b:T[K,N] alpha:float beta:float precision:int
        matmul_nt       &c:T[M,N] <- a:T[M,K] b:T[N,K] alpha:float beta:float precision:int
        matmul_tn       &c:T[M,N] <- a:T[K,M] b:T[K,N] alpha:float beta:float precision:int
        dense_forward   y:T[M,N] aux:X[*L]? <- x:T[M,K] w:T[K,N] b:T[N]? act:act precision:int
        dense_backward  dx:T[M,K]? &dw:T[K,N]? &db:T[N]? dz:T[M,N]? <- dy:T[M,N] x:T[M,K] w:T[K,N] y:T[M,N] aux:X[*L]? act:act need:int precision:int
    """,
    "activation": """
        activation_forward    y:T[*n] <- x:T[*n] act:act
        activation_backward   dx:T[*n] <- dy:T[*n] x:T[*n] y:T[*n] act:act
        glu_forward           y:T[A,C] <- x:T[A,2,C] act:act
        glu_backward          dx:T[A,2,C] <- dy:T[A,C] x:T[A,2,C] act:act
        prelu_forward         y:T[M,N] <- x:T[M,N] slope:T[C]
        prelu_backward        dx:T[M,N]? &dslope:T[C]? <- dy:T[M,N] x:T[M,N] slope:T[C] need:int
        softmax_forward       y:T[M,N] <- x:T[M,N]
        softmax_backward      dx:T[M,N] <- dy:T[M,N] y:T[M,N]
        log_softmax_forward   y:T[M,N] <- x:T[M,N]
        log_softmax_backward  dx:T[M,N] <- dy:T[M,N] y:T[M,N]
        sparsemax_forward     y:T[M,N] <- x:T[M,N]
        sparsemax_backward    dx:T[M,N] <- dy:T[M,N] y:T[M,N]
    """,
    "loss": """
        sparse_cross_entropy_forward    losses:T[M] weights:T[M] p:T[M,N] <- logits:T[M,N] labels:i64[M] sample_weight:T[M]? class_weight:T[N]? smoothing:float ignore_index:int
        sparse_cross_entropy_backward   dlogits:T[M,N] <- dlosses:T[M] p:T[M,N] labels:i64[M] sample_weight:T[M]? class_weight:T[N]? smoothing:float ignore_index:int
        cross_entropy_forward           losses:T[M] p:T[M,N] <- logits:T[M,N] targets:T[M,N] sample_weight:T[M]? class_weight:T[N]? smoothing:float
        cross_entropy_backward          dlogits:T[M,N] <- dlosses:T[M] p:T[M,N] targets:T[M,N] sample_weight:T[M]? class_weight:T[N]? smoothing:float
        pointwise_loss_forward          losses:T[M] <- pred:T[M,N] target:T[M,N] sample_weight:T[M]? column:T[N]? fn:loss
        pointwise_loss_backward         dpred:T[M,N] <- dlosses:T[M] pred:T[M,N] target:T[M,N] sample_weight:T[M]? column:T[N]? fn:loss
        gaussian_nll_forward            losses:T[M] <- pred:T[M,2,N] target:T[M,N] sample_weight:T[M]? floor:float log_variance:int
        gaussian_nll_backward           dpred:T[M,2,N] <- dlosses:T[M] pred:T[M,2,N] target:T[M,N] sample_weight:T[M]? floor:float log_variance:int
        reduce_loss_forward             loss:T[1] normaliser:T[1] <- losses:T[M] weights:T[M]? mode:int
        reduce_loss_backward            dlosses:T[M] <- dloss:T[1] normaliser:T[1]
    """,
    "optim": """
        advance               &step:i64[P] <- by:int
        every                 flag:i64[1] <- count:i64[1] period:int
        scheduled             &hyper:f64[H] <- table:f64[S,L] slot:i64[S] count:i64[1]
        sgd_step              &w:T[*n] &v:T[*n]? <- dw:T[*n] hyper:f64[6] step:i64[P]
        adam_step             &w:T[*n] &m:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
        amsgrad_step          &w:T[*n] &m:T[*n] &v:T[*n] &top:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
        radam_step            &w:T[*n] &m:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
        adamax_step           &w:T[*n] &m:T[*n] &u:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
        nadam_product         &product:f64[P] <- hyper:f64[7] step:i64[P]
        nadam_step            &w:T[*n] &m:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[7] product:f64[P] step:i64[P]
        rmsprop_step          &w:T[*n] &v:T[*n] &mean:T[*n]? &b:T[*n]? <- dw:T[*n] hyper:f64[7]
        adagrad_step          &w:T[*n] &s:T[*n] <- dw:T[*n] hyper:f64[5] step:i64[P]
        adadelta_step         &w:T[*n] &v:T[*n] &u:T[*n] <- dw:T[*n] hyper:f64[5]
        lion_step             &w:T[*n] &m:T[*n] <- dw:T[*n] hyper:f64[5]
        schedule_free_weight  &average:f64[P,3] <- hyper:f64[8] step:i64[P]
        schedule_free_step    &w:T[*n] &z:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[8] average:f64[P,3] step:i64[P]
        muon_momentum         &b:T[*n] u:T[*n] <- dw:T[*n] hyper:f64[5]
        muon_step             &w:T[*n] <- u:T[*n] hyper:f64[5] scale:float
        lerp                  &x:T[*n] <- y:T[*n] weight:f64[1]
        ema_step              &average:T[*n] <- w:T[*n] momentum:f64[1] step:i64[P]
        accumulate            &mean:T[*n] <- x:T[*n] share:f64[1]
        sum_squares           &total:f64[1] <- x:T[*n]
        clip_norm             &x:T[*n] <- total:f64[1] limit:f64[1]
        unit_norm             &x:T[*n] <- total:f64[1] eps:f64[1]
        clip_value            &x:T[*n] <- limit:f64[1]
    """,
    "random": """
        dropout_forward            y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] rate:f64[1]
        dropout_backward           dx:T[*n] <- dy:T[*n] aux:u64[2] rate:f64[1]
        alpha_dropout_forward      y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] rate:f64[1]
        alpha_dropout_backward     dx:T[*n] <- dy:T[*n] aux:u64[2] rate:f64[1]
        gaussian_dropout_forward   y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] rate:f64[1]
        gaussian_dropout_backward  dx:T[*n] <- dy:T[*n] aux:u64[2] rate:f64[1]
        gaussian_noise_forward     y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] stddev:f64[1]
        random_uniform             y:T[*n] aux:u64[2] &state:u64[2] <-
        random_normal              y:T[*n] aux:u64[2] &state:u64[2] <-
        random_integers            y:i64[*n] aux:u64[2] &state:u64[2] <- low:int last:int
    """,
    "regularization": """
        penalty_forward   value:T[1] <- x:T[*n] weights:f64[2]
        penalty_backward  &dx:T[*n] <- dvalue:T[1] x:T[*n] weights:f64[2] add:int
        limit_norms       &w:T[A,B,C] <- limits:f64[3]
    """,
    "data": """
        gather_batch     y:A[J,C] <- x:A[B,C] index:i64[Q] cursor:i64[1]
        take_forward     y:A[J,C] <- x:A[B,C] index:i64[J]
        take_backward    dx:T[B,C] <- dy:T[J,C] index:i64[J]
        gather_forward   y:A[I,J,L] <- x:A[I,K,L] index:i64[I,J,L]
        gather_backward  dx:T[I,K,L] <- dy:T[I,J,L] index:i64[I,J,L]
    """,
    "elementwise": """
        binary_forward   z:N[*n] <- x:N[*p] y:N[*q] layout:i64[3,R] op:int
        compare_forward  z:bool[*n] <- x:N[*p] y:N[*q] layout:i64[3,R] op:int
        where_forward    z:A[*n] <- c:bool[*p] x:A[*q] y:A[*r] layout:i64[4,R]
        strided_copy     &y:A[*n] <- x:A[*p] layout:i64[4,R]
        fill             y:A[*n] <- value:float
        cast             y:X[*n] <- x:A[*n] to:int
        reduce_forward   y:N[A,C] <- x:N[A,B,C] op:int
        argmax_forward   index:i64[A,C] <- x:N[A,B,C]
        cumulate         y:N[A,B,C] <- x:N[A,B,C] op:int reverse:int exclusive:int
        argsort          index:i64[A,B,C] <- x:N[A,B,C] descending:int
    """,
    "metrics": """
        mean_metric           &total:f64[2] <- value:T[1] count:float
        sparse_accuracy       &total:f64[2] <- p:T[M,N] labels:i64[M] sample_weight:T[M]?
        categorical_accuracy  &total:f64[2] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]?
        binary_accuracy       &total:f64[2] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]? threshold:float
        error_metric          &total:f64[2] <- pred:T[M,N] target:T[M,N] sample_weight:T[M]? power:int
        mean_rows             &total:f64[2] <- values:T[M] sample_weight:T[M]?
        top_k_accuracy        &total:f64[2] <- p:T[M,N] labels:i64[M] sample_weight:T[M]? k:int
        confusion_matrix      &matrix:f64[N,N] <- p:T[M,N] labels:i64[M] sample_weight:T[M]?
        threshold_counts      &counts:f64[H,N,4] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]? thresholds:f64[H]
        r2_metric             &state:f64[4,N] <- pred:T[M,N] target:T[M,N] sample_weight:T[M]?
        collect_scores        &store:f64[3,P] &count:i64[1] <- p:T[M,N] targets:T[M,N] sample_weight:T[M]?
    """,
}

DTYPES = ("float32", "float64", "int64", "bool")
"""Codes of dtypes (the ``to`` of `cast`, the columns of the compiled table): float32 is 0, float64 1, int64 2, bool 3."""

BINARY_OPS = ("add", "sub", "mul", "div", "pow", "maximum", "minimum")
COMPARE_OPS = ("eq", "ne", "lt", "le", "gt", "ge")
REDUCE_OPS = ("sum", "mean", "max", "min", "prod")
SCAN_OPS = ("sum", "prod")
REDUCE_LOSS_MODES = ("batch", "weights", "sum", "weights_or_one")
"""What the summed losses are divided by: the number of rows, the sum of the weights, one, or that sum where it is not 0."""

PRECISIONS = ("float32", "bfloat16", "tf32")
"""What the factors of matrix products are rounded to: nothing, that is their own type, or 8 or 11 significant bits."""

NEED_DX, NEED_DW, NEED_DB, ADD_DW, ADD_DB = 1, 2, 4, 8, 16
"""Bits of ``need`` in `dense_backward` and `prelu_backward`: which gradients are wanted, and which add to what is there."""


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
        """Whether backward needs the input z of the function; the others get by with its output."""
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


# The position is the id: it is that in AllFunctions in csrc/functions.h. Append, never reorder: saved models hold names, plans hold ids.
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
    """The function of that name, with its default parameters where none are given.

    >>> activation("leaky_relu", 0.01)
    Activation(id=2, p0=0.01, p1=0.0)
    """
    i = ACTIVATION_IDS[name]
    kind = ACTIVATIONS[i]
    return Activation(i, kind.p0 if p0 is None else float(p0), kind.p1 if p1 is None else float(p1))


LINEAR = activation("linear")


class PointwiseLoss(NamedTuple):
    """A loss of each element and its parameters, as kernels take it."""

    id: int
    p0: float = 0.0
    p1: float = 0.0

    @property
    def kind(self) -> PointwiseKind:
        return POINTWISE_LOSSES[self.id]

    @property
    def name(self) -> str:
        return self.kind.name


class PointwiseKind(NamedTuple):
    """A line of the table of pointwise losses: its formula of a prediction x and a target t, and its default parameters."""

    name: str
    formula: str
    p0: float = 0.0
    p1: float = 0.0
    difference: bool = False
    """Whether it is a function of x - t: its gradient by t is then the negative of that by x."""
    column: str = ""
    """What q, a number for each output column, is; empty where there is none in the formula."""


# The position is the id: it is the enum in csrc/pointwise_loss.h. Append, never reorder. d is x - t, s the sigmoid.
POINTWISE_LOSSES: tuple[PointwiseKind, ...] = (
    PointwiseKind("squared_error", "d^2", difference=True),
    PointwiseKind("absolute_error", "|d|", difference=True),
    PointwiseKind("huber", "p1 (d^2 / 2 if |d| <= p0 else p0 |d| - p0^2 / 2)", p0=1.0, p1=1.0, difference=True),
    PointwiseKind("log_cosh", "log(cosh(d))", difference=True),
    PointwiseKind("quantile", "p0 q |d| if d <= 0 else (1 - p0 q) |d|", p0=0.5, difference=True, column="factor of p0"),
    PointwiseKind("absolute_percentage_error", "100 |d| / max(|t|, p0)", p0=1e-7),
    PointwiseKind("squared_logarithmic_error", "(log(1 + max(x, p0)) - log(1 + max(t, p0)))^2", p0=1e-7),
    PointwiseKind("poisson", "x - t log(x + p0), plus log(t!) by Stirling for t > 1 if p1", p0=1e-7),
    PointwiseKind("poisson_log", "exp(x) - t x, plus log(t!) by Stirling for t > 1 if p1"),
    PointwiseKind("tweedie", "the deviance of power p0 of the mean x, or exp(x) if p1", p0=1.5),
    PointwiseKind(
        "sigmoid_cross_entropy", "(u - 1) log(1 - s(x)) - q u log(s(x)), u = (1 - p0) t + p0 / 2", column="weight of t = 1"
    ),
    PointwiseKind("binary_cross_entropy", "-t max(log(x), -100) - (1 - t) max(log(1 - x), -100)"),
    PointwiseKind(
        "binary_focal", "m^p0 times the cross-entropy, m = |t - s(x)|; times p1 t + (1 - p1)(1 - t) if p1 >= 0", 2.0, -1.0
    ),
    PointwiseKind("kl_divergence", "p1 u log(u / v), u = min(max(t, p0), 1), v = min(max(x, p0), 1)", p0=1e-7, p1=1.0),
    PointwiseKind("kl_log", "t (log(t) - x), or exp(t) (t - x) if p0"),
    PointwiseKind("hinge", "max(p0 - t x, 0); t = 0 stands for -1 if p1", p0=1.0),
    PointwiseKind("squared_hinge", "max(p0 - t x, 0)^2; t = 0 stands for -1 if p1", p0=1.0),
    PointwiseKind("hinge_embedding", "x if t = 1, max(p0 - x, 0) if t = -1", p0=1.0),
    PointwiseKind("soft_margin", "log(1 + exp(-t x))"),
)

POINTWISE_LOSS_IDS: dict[str, int] = {kind.name: i for i, kind in enumerate(POINTWISE_LOSSES)}


def pointwise_loss(name: str, p0: float | None = None, p1: float | None = None) -> PointwiseLoss:
    """The loss of that name, with its default parameters where none are given.

    >>> pointwise_loss("huber", 0.5)
    PointwiseLoss(id=2, p0=0.5, p1=1.0)
    """
    i = POINTWISE_LOSS_IDS[name]
    kind = POINTWISE_LOSSES[i]
    return PointwiseLoss(i, kind.p0 if p0 is None else float(p0), kind.p1 if p1 is None else float(p1))


class Arg(NamedTuple):
    """One argument of a kernel."""

    name: str
    kind: str  # "array", "int", "float", "act" or "loss"
    reads: bool = True
    writes: bool = False
    dtype: str = ""
    shape: tuple[str, ...] = ()  # sizes; a single "*n" is any shape with n elements
    optional: bool = False


class Kernel(NamedTuple):
    """A kernel's signature."""

    name: str
    family: str
    signature: str
    args: tuple[Arg, ...]

    @property
    def arrays(self) -> tuple[Arg, ...]:
        return tuple(a for a in self.args if a.kind == "array")

    @property
    def sizes(self) -> tuple[str, ...]:
        """The letters in the shapes, in order of appearance."""
        letters = (s.lstrip("*") for a in self.arrays for s in a.shape)
        return tuple(dict.fromkeys(s for s in letters if not s.isdigit()))

    @property
    def slots(self) -> str:
        """The fields of the C++ argument struct: the arguments, then the sizes."""
        return " ".join([a.name for a in self.args] + list(self.sizes))


_ARRAY = re.compile(r"(?P<rw>&?)(?P<name>\w+):(?P<dtype>\w+)\[(?P<shape>[\w,*]+)\](?P<opt>\??)$")
_SCALAR = re.compile(r"(?P<name>\w+):(?P<kind>int|float|act|loss)$")


def _parse_arg(text: str, output: bool) -> Arg:
    if m := _ARRAY.match(text):
        inout = bool(m["rw"])
        return Arg(m["name"], "array", not output or inout, output, m["dtype"], tuple(m["shape"].split(",")), bool(m["opt"]))
    if (m := _SCALAR.match(text)) and not output:
        return Arg(m["name"], m["kind"])
    raise ValueError(f"kernel spec: cannot read {text!r}")


def _parse(family: str, line: str) -> Kernel:
    name, signature = line.split(None, 1)
    outputs, inputs = signature.split("<-")
    args = [_parse_arg(a, True) for a in outputs.split()] + [_parse_arg(a, False) for a in inputs.split()]
    return Kernel(name, family, " ".join(signature.split()), tuple(args))


KERNELS: dict[str, Kernel]
"""All kernels by name; read from FAMILIES at first use, which `import fastnn` is not."""


def __getattr__(name: str) -> Any:
    if name != "KERNELS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kernels = (_parse(family, line.strip()) for family, lines in FAMILIES.items() for line in lines.strip().splitlines())
    return globals().setdefault("KERNELS", {kernel.name: kernel for kernel in kernels})
