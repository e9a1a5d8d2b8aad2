"""Cases of the loss family: weights of rows and classes, smoothing, ignored and bad labels."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.spec import REDUCE_LOSS_MODES

from .activation import ROWS, softmax, softmax_error
from .case import Array, Case, Maker, Values

WEIGHTS = {"sample_weight": (0.1, 2.0), "class_weight": (0.1, 2.0), "pos_weight": (0.1, 2.0)}
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


def _binary_target(v: SimpleNamespace) -> tuple[Array, Any]:
    t = (1 - v.smoothing) * v.targets + 0.5 * v.smoothing
    return t, v.pos_weight if v.pos_weight.size else 1


def _sigmoid_cross_entropy(v: SimpleNamespace, want: Values) -> Values:
    t, q = _binary_target(v)
    softplus = np.log1p(np.exp(-np.abs(v.logits))) + np.maximum(-v.logits, 0)
    return _mean_error(np.abs((1 - t) * v.logits) + (1 + (np.abs(q) + 1) * np.abs(t)) * softplus, v)


def _sigmoid_cross_entropy_backward(v: SimpleNamespace, want: Values) -> Values:
    t, q = _binary_target(v)
    d = np.abs(_times(v.sample_weight, v.dlosses))[:, None] / v.logits.shape[1]
    t, q = np.abs(t), np.abs(q)
    return {"dlogits": v.eps * 6 * d * ((1 + (q + 1) * t) / (1 + np.exp(-v.logits)) + q * t)}


def _mse(v: SimpleNamespace, want: Values) -> Values:
    return _mean_error((v.pred - v.target) ** 2, v)


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


def _mean_losses(m: int, n: int, smoothing: float, absent: tuple[str, ...], **flags: Any) -> Iterable[Case]:
    sizes, scalars = {"M": m, "N": n}, {"smoothing": smoothing}
    common: dict[str, Any] = {"spans": WEIGHTS | {"logits": (-8.0, 8.0), "targets": (0.0, 1.0)}, **flags}
    sigmoid: dict[str, Any] = common | {"absent": absent}
    yield Case("sigmoid_cross_entropy_forward", sizes, scalars, error=_sigmoid_cross_entropy, **sigmoid)
    yield Case("sigmoid_cross_entropy_backward", sizes, scalars, error=_sigmoid_cross_entropy_backward, **sigmoid)
    mse: dict[str, Any] = common | {"absent": tuple(a for a in absent if a == "sample_weight")}
    # Cases that differ in what the mean squared error lacks would be the same.
    if smoothing == 0 or flags:
        yield Case("mse_forward", sizes, error=_mse, **mse)
        yield Case("mse_backward", sizes, error=4.0, **mse)


def _losses(m: int, n: int, smoothing: float, absent: str, **flags: Any) -> Iterable[Case]:
    """absent: letters of sample (s) and class (c) weights."""
    sample = ("sample_weight",) if "s" in absent else ()
    yield from _softmax_losses(m, n, smoothing, sample + (("class_weight",) if "c" in absent else ()), **flags)
    yield from _mean_losses(m, n, smoothing, sample + (("pos_weight",) if "c" in absent else ()), **flags)


def _reductions(m: int, **flags: Any) -> Iterable[Case]:
    spans = {"weights": (0.1, 2.0), "normaliser": (1.0, 9.0)}
    for mode, name in enumerate(REDUCE_LOSS_MODES):
        absent = () if name == "weights" else ("weights",)
        grad = name == "batch" and m == 31
        yield Case(
            "reduce_loss_forward", {"M": m}, {"mode": mode}, absent, spans=spans, error=_reduce, note=name, grad=grad, **flags
        )
    yield Case("reduce_loss_backward", {"M": m}, spans=spans, error=2.0, **flags)


CASES = [
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
