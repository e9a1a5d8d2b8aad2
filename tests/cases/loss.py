"""Cases of the loss family: weights of rows and classes, smoothing, ignored and bad labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.reference.pointwise_loss import slope, value
from fastnn.backends.spec import POINTWISE_LOSSES, REDUCE_LOSS_MODES, PointwiseLoss, pointwise_loss

from .activation import ROWS, softmax, softmax_error
from .case import Array, Case, Maker, Values

WEIGHTS = {"sample_weight": (0.1, 2.0), "class_weight": (0.1, 2.0)}
IGNORE = -100


def _labels(m: int, n: int) -> Maker:
    """Labels 0..n-1; where there are enough rows, some are ignored and some outside of the range."""

    def make(rng: np.random.Generator, v: Values) -> Array:
        labels = rng.integers(0, max(n, 1), m)
        if m >= 7:
            labels[[1, 5]] = IGNORE
            labels[[2, 6]] = n, -1
        return labels

    return make


def _probabilities(m: int, n: int) -> Maker:
    return lambda rng, v: softmax(rng.uniform(-4, 4, (m, n)))


def _sums(v: SimpleNamespace, target: Array) -> Any:
    """The sum of |target| in each row, times the row's weight."""
    rows = np.abs(target).sum(1)
    return rows * np.abs(v.sample_weight) if v.sample_weight.size else rows


def _times(weight: Array, a: Array) -> Array:
    return a * weight if weight.size else a


def _target(v: SimpleNamespace, like: Array) -> Array:
    """The target distribution before the weight of the row."""
    n = like.shape[1]
    if hasattr(v, "labels"):
        target = (v.labels[:, None] == np.arange(n)).astype(like.dtype)
    else:
        target = v.targets
    target = (1 - v.smoothing) * target + v.smoothing / n if n else target
    return _times(v.class_weight, target)


def _cross_entropy(v: SimpleNamespace, want: Values) -> Values:
    if not v.logits.size:
        return {}
    x, n = v.logits, v.logits.shape[1]
    shifted = np.abs(x - x.max(1, keepdims=True))
    errors = {
        "losses": v.eps * _sums(v, _target(v, x)) * (8 + n**0.5 / 2 + 3 * shifted.max(1)),
        "p": v.eps * softmax_error(x) * want["p"] + np.finfo(np.float32 if v.eps > 1e-10 else np.float64).tiny,
    }
    return errors | ({"weights": 2 * v.eps * np.abs(want["weights"])} if "weights" in want else {})


def _cross_entropy_backward(v: SimpleNamespace, want: Values) -> Values:
    if not v.p.size:
        return {}
    target = np.abs(_target(v, v.p))
    d = np.abs(_times(v.sample_weight, v.dlosses))[:, None]
    return {"dlogits": v.eps * d * ((5 + v.p.shape[1] ** 0.5 / 2) * np.abs(v.p) * target.sum(1, keepdims=True) + 6 * target)}


def _mean_error(values: Array, v: SimpleNamespace) -> Values:
    """The error of a mean over the row of terms of this size."""
    n = values.shape[1]
    return {"losses": v.eps * (8 + n**0.5 / 2) * np.abs(_times(v.sample_weight, values.sum(1) / n))}


def _signs(rng: np.random.Generator, v: Values) -> Array:
    shape = v["pred"].shape
    return rng.choice([-1.0, 1.0], shape)


def _zero_or_one(rng: np.random.Generator, v: Values) -> Array:
    return rng.integers(0, 2, v["pred"].shape)


@dataclass(frozen=True)
class Loss:
    """How a pointwise loss is tested: its parameters, where predictions and targets lie, and how exact it is.

    ``error`` is that of the value and ``slope_error`` that of the slope, in units of eps, relative to their size; ``size`` gives
    another size, where terms cancel.
    """

    fn: PointwiseLoss
    pred: tuple[float, float] = (-3.0, 3.0)
    target: tuple[float, float] | Maker = (-3.0, 3.0)
    column: tuple[float, float] | None = None
    error: float = 1.0
    slope_error: float = 4.0
    size: Callable[[Array, Array, Any, PointwiseLoss], Array] | None = None
    slope_size: Callable[[Array, Array, Any, PointwiseLoss], Array] | None = None


def _entropy_size(x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    u, q = np.abs(t) + fn.p0, np.abs(q)
    sides = (1 + u) * np.maximum(x, 0) + q * u * np.maximum(-x, 0)
    return sides + (1 + (q + 1) * u) * np.log1p(np.exp(-np.abs(x)))


def _entropy_slope_size(x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    return (1 + (np.abs(q) + 1) * np.abs(t)) / (1 + np.exp(-x)) + np.abs(q) * (np.abs(t) + fn.p0)


def _tweedie_size(x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    """The terms; a power has the error of its exponent."""
    t, log_mu, a, b = np.abs(t), x if fn.p1 else np.log(x), 1 - fn.p0, 2 - fn.p0
    mu, log_t = np.exp(log_mu), np.where(t == 0, 0, np.abs(np.log(t)))
    if fn.p0 == 0:
        return (np.abs(mu) + t) ** 2
    if fn.p0 == 1:
        return 2 * (t * (log_t + np.abs(log_mu)) + t + mu)
    if fn.p0 == 2:
        return 2 * (np.abs(log_mu) + log_t + t / mu * (1 + np.abs(log_mu)) + 1)
    powers = t * mu**a / abs(a) * (1 + np.abs(a * log_mu)) + mu**b / abs(b) * (1 + np.abs(b * log_mu))
    return 2 * (t**b / abs(a * b) * (1 + np.abs(b) * log_t) + powers)


def _tweedie_slope_size(x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    log_mu, power = (x, fn.p0 - 1) if fn.p1 else (np.log(x), fn.p0)
    return 2 * (np.exp(log_mu) + np.abs(t)) * np.exp(-power * log_mu) * (1 + np.abs(power * log_mu))


def _focal_parts(x: Array, t: Array, fn: PointwiseLoss) -> tuple[Array, Array, Array]:
    s = 1 / (1 + np.exp(-x))
    weight = np.abs(t * fn.p1) + np.abs((1 - t) * (1 - fn.p1)) if fn.p1 >= 0 else np.ones_like(t)
    return s, weight, np.abs(t) / (1 + np.exp(x)) + np.abs(1 - t) * s


def _focal_size(x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    _, weight, wrong = _focal_parts(x, t, fn)
    return weight * wrong**fn.p0 * _entropy_size(x, t, 1, pointwise_loss("sigmoid_cross_entropy"))


def _focal_slope_size(x: Array, t: Array, q: Any, fn: PointwiseLoss) -> Array:
    s, weight, wrong = _focal_parts(x, t, fn)
    entropy = (1 + fn.p0) * s * (1 - s) * _entropy_size(x, t, 1, pointwise_loss("sigmoid_cross_entropy"))
    return weight * (fn.p0 * (1 + 2 * np.abs(t)) * wrong ** (fn.p0 - 1) * entropy + wrong**fn.p0 * (s + np.abs(t)))


# A new pointwise loss needs one line here, and nothing else.
LOSSES: tuple[Loss, ...] = (
    Loss(pointwise_loss("squared_error")),
    Loss(pointwise_loss("absolute_error"), slope_error=1),
    Loss(pointwise_loss("huber", 0.7, 1.5)),
    Loss(pointwise_loss("log_cosh"), error=2),
    Loss(pointwise_loss("quantile", 0.9), column=(0.1, 1.0)),
    Loss(pointwise_loss("absolute_percentage_error"), slope_error=4),
    Loss(
        pointwise_loss("squared_logarithmic_error"),
        (0.0, 8.0),
        (0.0, 8.0),
        size=lambda x, t, q, fn: 1 + np.log1p(np.abs(x)) ** 2 + np.log1p(np.abs(t)) ** 2,
        slope_size=lambda x, t, q, fn: (1 + np.log1p(np.abs(x)) + np.log1p(np.abs(t))) / np.abs(1 + x),
    ),
    Loss(
        pointwise_loss("poisson", 1e-7, 1),
        (0.05, 6.0),
        (0.0, 6.0),
        size=lambda x, t, q, fn: np.abs(x) + 3 * np.abs(t) * (1 + np.abs(np.log(np.abs(x) + fn.p0)) + np.log(1 + np.abs(t))) + 1,
        slope_size=lambda x, t, q, fn: 1 + np.abs(t / (x + fn.p0)),
    ),
    Loss(
        pointwise_loss("poisson_log"),
        size=lambda x, t, q, fn: np.exp(x) + np.abs(t * x),
        slope_size=lambda x, t, q, fn: np.exp(x) + np.abs(t),
    ),
    *(
        Loss(
            pointwise_loss("tweedie", p, log),
            (-2, 2) if log else (0.1, 6),
            (0.1, 6),
            size=_tweedie_size,
            slope_size=_tweedie_slope_size,
        )
        for p in (0, 1, 1.5, 2, 3)
        for log in (0, 1)
    ),
    Loss(
        pointwise_loss("sigmoid_cross_entropy", 0.1),
        (-8.0, 8.0),
        (0.0, 1.0),
        column=(0.1, 2.0),
        size=_entropy_size,
        slope_size=_entropy_slope_size,
    ),
    Loss(
        pointwise_loss("binary_cross_entropy"),
        (0.01, 0.99),
        (0.0, 1.0),
        size=lambda x, t, q, fn: (
            np.abs(t * np.maximum(np.log(x), -100)) + (1 + np.abs(t)) * np.abs(np.maximum(np.log1p(-x), -100))
        ),
    ),
    *(
        Loss(
            pointwise_loss("binary_focal", gamma, alpha),
            (-8.0, 8.0),
            target,
            error=2,
            slope_error=8,
            size=_focal_size,
            slope_size=_focal_slope_size,
        )
        for gamma, alpha, target in ((2.0, -1.0, _zero_or_one), (1.5, 0.25, (0.0, 1.0)))
    ),
    Loss(
        pointwise_loss("kl_divergence", 1e-7, 3.0),
        (0.05, 0.95),
        (0.05, 0.95),
        size=lambda x, t, q, fn: np.abs(value(np, x, t, q, fn)) + fn.p1 * np.clip(t, fn.p0, 1),
    ),
    Loss(
        pointwise_loss("kl_log"),
        (-5.0, 0.0),
        (0.05, 0.95),
        size=lambda x, t, q, fn: np.where(t == 0, 0, np.abs(t) * (np.abs(np.log(t)) + np.abs(x))),
    ),
    Loss(pointwise_loss("kl_log", 1), (-5.0, 0.0), (-5.0, 0.0)),
    Loss(pointwise_loss("hinge", 1.0, 1), target=_zero_or_one, size=lambda x, t, q, fn: fn.p0 + np.abs(t * x) + np.abs(x)),
    Loss(pointwise_loss("hinge", 0.5), target=_signs, size=lambda x, t, q, fn: fn.p0 + np.abs(t * x)),
    Loss(
        pointwise_loss("squared_hinge"),
        target=_signs,
        size=lambda x, t, q, fn: (fn.p0 + np.abs(t * x)) ** 2,
        slope_size=lambda x, t, q, fn: np.abs(t) * (fn.p0 + np.abs(t * x)),
    ),
    Loss(pointwise_loss("hinge_embedding", 1.5), target=_signs, size=lambda x, t, q, fn: fn.p0 + 2 * np.abs(x)),
    Loss(
        pointwise_loss("soft_margin"),
        (-8.0, 8.0),
        _signs,
        size=lambda x, t, q, fn: value(np, x, t, q, fn) * (1 + np.abs(t * x)),
        slope_size=lambda x, t, q, fn: np.abs(slope(np, x, t, q, fn)) * (1 + np.abs(t * x)),
    ),
)
LOSS = {loss.fn: loss for loss in LOSSES}
assert {loss.fn.name for loss in LOSSES} == {kind.name for kind in POINTWISE_LOSSES}, "every loss of the spec needs a line above"


def _sizes(v: SimpleNamespace, size: Any, function: Any) -> Array:
    q = v.column if v.column.size else 1
    return np.abs(size(v.pred, v.target, q, v.fn) if size else function(np, v.pred, v.target, q, v.fn)) + _tiny(v)


def _tiny(v: SimpleNamespace) -> float:
    """Denormal numbers have fewer digits."""
    return float(np.finfo(np.float32 if v.eps > 1e-10 else np.float64).tiny) / v.eps


def _pointwise(v: SimpleNamespace, want: Values) -> Values:
    loss = LOSS[v.fn]
    return {"losses": loss.error * _mean_error(_sizes(v, loss.size, value), v)["losses"]}


def _pointwise_backward(v: SimpleNamespace, want: Values) -> Values:
    loss = LOSS[v.fn]
    d = np.abs(_times(v.sample_weight, v.dlosses))[:, None] / max(v.pred.shape[1], 1)
    return {"dpred": v.eps * (loss.slope_error + 2) * (d * _sizes(v, loss.slope_size, slope) + _tiny(v))}


def _gaussian_nll(v: SimpleNamespace, want: Values) -> Values:
    e, s = (v.target - v.pred[:, 0]) ** 2, v.pred[:, 1]
    variance = np.exp(s) if v.log_variance else np.maximum(s, v.floor)
    return _mean_error((1 + np.abs(s) * v.log_variance) * (e / variance) + np.abs(np.log(variance)), v)


def _gaussian_nll_backward(v: SimpleNamespace, want: Values) -> Values:
    e, s = v.target - v.pred[:, 0], v.pred[:, 1]
    variance = np.exp(s) if v.log_variance else np.maximum(s, v.floor)
    by = [np.abs(e) / variance, (1 + e * e / variance) / (1 if v.log_variance else variance)]
    d = np.abs(_times(v.sample_weight, v.dlosses))[:, None, None] / max(v.target.shape[1], 1)
    return {"dpred": v.eps * 8 * d * np.stack(by, 1) * (1 + np.abs(s[:, None]) * v.log_variance) + v.eps * _tiny(v)}


def _reduce(v: SimpleNamespace, want: Values) -> Values:
    # Sums are in float64, whatever the dtype.
    wide = np.finfo(np.float64).eps * len(v.losses) ** 0.5
    normaliser = (2 * v.eps + wide) * np.abs(want["normaliser"])
    return {"loss": (4 * v.eps + wide) * np.abs(v.losses).sum() / np.abs(want["normaliser"]), "normaliser": normaliser}


def _softmax_losses(m: int, n: int, smoothing: float, absent: tuple[str, ...], **flags: Any) -> Iterable[Case]:
    sizes, p = {"M": m, "N": n}, _probabilities(m, n)
    common: dict[str, Any] = {"absent": absent, **flags}
    forward = common | {"spans": WEIGHTS | {"logits": (-8.0, 8.0)}, "error": _cross_entropy}
    backward = common | {"spans": WEIGHTS, "error": _cross_entropy_backward}
    scalars = {"smoothing": smoothing, "ignore_index": IGNORE}
    labels = {"labels": _labels(m, n)}
    yield Case("sparse_cross_entropy_forward", sizes, scalars, arrays=labels, **forward)
    yield Case("sparse_cross_entropy_backward", sizes, scalars, arrays=labels | {"p": p}, **backward)
    scalars, targets = {"smoothing": smoothing}, {"targets": p}
    yield Case("cross_entropy_forward", sizes, scalars, arrays=targets, **forward)
    yield Case("cross_entropy_backward", sizes, scalars, arrays=targets | {"p": p}, **backward)


def _pointwise_losses(loss: Loss, m: int, n: int, absent: tuple[str, ...] = (), note: str = "", **flags: Any) -> Iterable[Case]:
    absent += () if loss.column and "column" not in absent else ("column",)
    spans, arrays = {"pred": loss.pred, "sample_weight": (0.1, 2.0)}, {}
    if loss.column:
        spans["column"] = loss.column
    if isinstance(loss.target, tuple):
        spans["target"] = loss.target
    else:
        arrays["target"] = loss.target
    note = "_".join([f"{p:g}" for p in loss.fn[1:]] + ([note] if note else []))
    common: dict[str, Any] = {"scalars": {"fn": loss.fn}, "spans": spans, "arrays": arrays, "note": note, **flags}
    yield Case("pointwise_loss_forward", {"M": m, "N": n}, absent=tuple(dict.fromkeys(absent)), error=_pointwise, **common)
    yield Case(
        "pointwise_loss_backward", {"M": m, "N": n}, absent=tuple(dict.fromkeys(absent)), error=_pointwise_backward, **common
    )


def _gaussian(m: int, n: int, log_variance: int, absent: tuple[str, ...] = (), **flags: Any) -> Iterable[Case]:
    spans = {"sample_weight": (0.1, 2.0), "pred": (0.05, 2.0)}
    common: dict[str, Any] = {"scalars": {"floor": 0.01, "log_variance": log_variance}, "spans": spans, "absent": absent, **flags}
    yield Case("gaussian_nll_forward", {"M": m, "N": n}, error=_gaussian_nll, **common)
    yield Case("gaussian_nll_backward", {"M": m, "N": n}, error=_gaussian_nll_backward, **common)


def _losses(m: int, n: int, smoothing: float, absent: str, **flags: Any) -> Iterable[Case]:
    """absent: letters of sample (s) and class (c) weights."""
    sample = ("sample_weight",) if "s" in absent else ()
    yield from _softmax_losses(m, n, smoothing, sample + (("class_weight",) if "c" in absent else ()), **flags)


def _reductions(m: int, **flags: Any) -> Iterable[Case]:
    spans = {"weights": (0.1, 2.0), "normaliser": (1.0, 9.0)}
    for mode, name in enumerate(REDUCE_LOSS_MODES):
        absent = () if name.startswith("weights") else ("weights",)
        grad = name == "batch" and m == 31
        yield Case(
            "reduce_loss_forward", {"M": m}, {"mode": mode}, absent, spans=spans, error=_reduce, note=name, grad=grad, **flags
        )
    yield Case("reduce_loss_backward", {"M": m}, spans=spans, error=2.0, **flags)


SQUARED, SIGMOID = (next(loss for loss in LOSSES if loss.fn.name == name) for name in ("squared_error", "sigmoid_cross_entropy"))

CASES = [
    *(
        c
        for loss in (SQUARED, SIGMOID)
        for m, n in (*ROWS, (4000, 10))
        for c in _pointwise_losses(loss, m, n, ("sample_weight", "column"))
    ),
    *(
        c
        for loss in (SQUARED, SIGMOID)
        for c in _pointwise_losses(loss, 32, 10, ("sample_weight", "column"), "bench", bench=True, test=False)
    ),
    *(c for loss in LOSSES for c in _pointwise_losses(loss, 3, 19, edges=True)),
    *(c for loss in LOSSES for c in _pointwise_losses(loss, 37, 1, grad=True)),
    *(c for loss in LOSSES for c in _pointwise_losses(loss, 5, 6, ("sample_weight",), "grad", grad=True)),
    *(c for loss in LOSSES for c in _pointwise_losses(loss, 1 << 14, 1, ("sample_weight",), bench=True, test=False)),
    *(c for log in (0, 1) for m, n in ((0, 3), (5, 0), (3, 17), (9, 1)) for c in _gaussian(m, n, log, edges=(m, n) == (3, 17))),
    *(c for log in (0, 1) for c in _gaussian(4, 33, log, ("sample_weight",), grad=True)),
    *(c for log in (0, 1) for c in _gaussian(1 << 14, 1, log, ("sample_weight",), bench=True, test=False)),
    *(case for m, n in (*ROWS, (33, 1), (4000, 10)) for case in _losses(m, n, 0.0, "sc")),
    *(case for m, n in ((7, 17), (33, 10), (9, 1)) for case in _losses(m, n, 0.0, "", edges=(m, n) == (7, 17))),
    *(case for m, n in ((7, 17), (16, 33), (9, 100)) for case in _losses(m, n, 0.1, "s")),
    *_losses(5, 19, 0.1, "", grad=True, note="grad"),
    *_losses(6, 19, 0.25, "c", note="half"),
    *_losses(32, 10, 0.0, "sc", bench=True, test=False, note="bench"),
    *_losses(512, 1000, 0.0, "sc", bench=True, test=False, note="bench"),
    *(case for m in (1, 2, 31, 8191, 8192, 8193, 20011) for case in _reductions(m, edges=m == 31)),
    *_reductions(0),
    *_reductions(1 << 16, bench=True, test=False),
]
