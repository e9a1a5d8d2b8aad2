"""Losses of rows, their reduction, and the table of pointwise losses."""

from __future__ import annotations

from typing import NamedTuple

REDUCE_LOSS_MODES = ("batch", "weights", "sum", "weights_or_one")
"""What the summed losses are divided by: the number of rows, the sum of the weights, one, or that sum where it is not 0."""

KERNELS = """
    sparse_cross_entropy_forward    losses:T[M] weights:T[M] p:T[M,N] <- logits:T[M,N] labels:i64[M] sample_weight:T[M]?
        class_weight:T[N]? smoothing:float ignore_index:int
    sparse_cross_entropy_backward   dlogits:T[M,N] <- dlosses:T[M] p:T[M,N] labels:i64[M] sample_weight:T[M]?
        class_weight:T[N]? smoothing:float ignore_index:int
    cross_entropy_forward           losses:T[M] p:T[M,N] <- logits:T[M,N] targets:T[M,N] sample_weight:T[M]?
        class_weight:T[N]? smoothing:float
    cross_entropy_backward          dlogits:T[M,N] <- dlosses:T[M] p:T[M,N] targets:T[M,N] sample_weight:T[M]?
        class_weight:T[N]? smoothing:float
    pointwise_loss_forward          losses:T[M] <- pred:T[M,N] target:T[M,N] sample_weight:T[M]? column:T[N]? fn:loss
    pointwise_loss_backward         dpred:T[M,N] <- dlosses:T[M] pred:T[M,N] target:T[M,N] sample_weight:T[M]? column:T[N]?
        fn:loss
    gaussian_nll_forward            losses:T[M] <- pred:T[M,2,N] target:T[M,N] sample_weight:T[M]? floor:float log_variance:bool
    gaussian_nll_backward           dpred:T[M,2,N] <- dlosses:T[M] pred:T[M,2,N] target:T[M,N] sample_weight:T[M]? floor:float
        log_variance:bool
    reduce_loss_forward             loss:T[1] normaliser:T[1] <- losses:T[M] weights:T[M]? mode:REDUCE_LOSS_MODES
    reduce_loss_backward            dlosses:T[M] <- dloss:T[1] normaliser:T[1]
"""


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


# The position is the id, as in csrc/families/loss_functions.h. Append, never reorder. d is x - t, s the sigmoid.
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
    """Return the loss of that name, with its default parameters where none are given.

    >>> pointwise_loss("huber", 0.5)
    PointwiseLoss(id=2, p0=0.5, p1=1.0)
    """
    i = POINTWISE_LOSS_IDS[name]
    kind = POINTWISE_LOSSES[i]
    return PointwiseLoss(i, kind.p0 if p0 is None else float(p0), kind.p1 if p1 is None else float(p1))
