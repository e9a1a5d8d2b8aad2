"""Cases of the optim family: every rule of each optimizer, on buffers that end inside of a vector."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .case import Array, Case, Values

LENGTHS = (0, 1, 7, 15, 16, 17, 63, 65, 2047, 2049, 4133)
SPANS = {"v": (0.0, 1.0), "m": (-0.5, 0.5), "w": (-1.0, 1.0)}

# lr, momentum, dampening, nesterov, weight_decay, decoupled; and the step
SGD: dict[str, tuple[tuple[float, ...], int]] = {
    "plain": ((0.1, 0, 0, 0, 0, 0), 1),
    "decay": ((0.1, 0, 0, 0, 0.01, 0), 3),
    "decoupled": ((0.1, 0, 0, 0, 0.01, 1), 3),
    "first": ((0.1, 0.9, 0.5, 0, 0, 0), 1),
    "momentum": ((0.1, 0.9, 0, 0, 0, 0), 2),
    "dampening": ((0.1, 0.9, 0.25, 0, 0.02, 0), 7),
    "nesterov": ((0.1, 0.9, 0, 1, 0.02, 1), 5),
    "nesterov_first": ((0.1, 0.9, 0, 1, 0, 0), 1),
}
# lr, beta1, beta2, eps, weight_decay, decoupled
ADAM: dict[str, tuple[tuple[float, ...], int]] = {
    "first": ((1e-3, 0.9, 0.999, 1e-8, 0, 0), 1),
    "later": ((1e-3, 0.9, 0.999, 1e-7, 0, 0), 1000),
    "decay": ((1e-2, 0.9, 0.99, 1e-8, 0.1, 0), 3),
    "decoupled": ((1e-2, 0.8, 0.99, 1e-8, 0.1, 1), 3),
}


def _gradient(v: SimpleNamespace) -> tuple[Array, Array]:
    """The gradient after weight decay, and the size of what it is added up from."""
    decay, decoupled = v.hyper[4:]
    if not decay or decoupled:
        return v.dw, np.abs(v.dw)
    return v.dw + decay * v.w, np.abs(v.dw) + np.abs(decay * v.w)


def _sgd(v: SimpleNamespace, want: Values) -> Values:
    lr, momentum = v.hyper[:2]
    g = _gradient(v)[1]
    size = g + (1 + momentum) * (np.abs(momentum * v.v) + g) if v.v.size else g
    errors = {"w": v.eps * (3 * np.abs(v.w) + 6 * lr * size)}
    return errors | ({"v": v.eps * 4 * (np.abs(momentum * v.v) + g)} if v.v.size else {})


def _adam(v: SimpleNamespace, want: Values) -> Values:
    lr, beta1, beta2, eps = v.hyper[:4]
    t = int(v.step[0])
    g, size = _gradient(v)
    m = beta1 * np.abs(v.m) + (1 - beta1) * size
    # g^2 has twice the relative error of g, which weight decay can make large.
    errors = {"m": 4 * v.eps * m, "v": v.eps * (4 * np.abs(want["v"]) + 4 * (1 - beta2) * np.abs(g) * size)}
    root = np.sqrt(want["v"] / (1 - beta2**t)) + eps
    off = errors["v"] / np.maximum(want["v"], np.finfo(np.float32).tiny)  # relative
    return errors | {"w": v.eps * 3 * np.abs(v.w) + lr / (1 - beta1**t) * m / root * (10 * v.eps + off)}


def _steps(n: int, sgd: Iterable[str] = SGD, adam: Iterable[str] = ADAM, **flags: Any) -> Iterable[Case]:
    for rules, kernel, names, error in ((SGD, "sgd_step", sgd, _sgd), (ADAM, "adam_step", adam, _adam)):
        for name in names:
            hyper, step = rules[name]
            absent = ("v",) if kernel == "sgd_step" and not hyper[1] else ()
            arrays = {"hyper": hyper, "step": [step] * 3}
            yield Case(kernel, {"n": n, "P": 3}, absent=absent, spans=SPANS, arrays=arrays, error=error, note=name, **flags)


def _sum_squares(v: SimpleNamespace, want: Values) -> Values:
    return {"total": np.finfo(np.float64).eps * (2 + len(v.x) ** 0.5 / 2) * want["total"]}


def _clipping(n: int, limits: tuple[tuple[str, float], ...] = (("clips", 0.5), ("leaves", 5.0)), **flags: Any) -> Iterable[Case]:
    yield Case("sum_squares", {"n": n}, spans={"total": (0.0, 9.0)}, error=_sum_squares, **flags)
    for note, limit in limits:
        yield Case("clip_norm", {"n": n}, arrays={"total": [4.0], "limit": [limit]}, error=2.0, note=note, **flags)
    yield Case("clip_value", {"n": n}, arrays={"limit": [0.75]}, **flags)


CASES = [
    *(Case("advance", {"P": p}, {"by": by}) for p, by in ((0, 1), (1, 1), (3, 7), (2500, -1))),
    *_steps(1009, edges=True),
    *(case for n in LENGTHS for case in _steps(n, ("dampening",), ("decay",))),
    *(case for n in LENGTHS for case in _clipping(n, edges=n == 65)),
    *(case for n in (8191, 8193, 30011) for case in _clipping(n)),
    *(case for n in (1 << 16, 1 << 22) for case in _steps(n, ("plain", "momentum"), ("first",), bench=True, test=False)),
    # A scale just below 1: after many calls the numbers are still normal.
    *_clipping(1 << 20, (("clips", 2.0),), bench=True, test=False),
    Case("advance", {"P": 1}, {"by": 1}, note="bench", bench=True, test=False),
]
