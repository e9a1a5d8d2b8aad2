"""Connectionist temporal classification: the probability of a sequence of labels without knowing when each of them comes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .vmath import exp, inline, log

Array = Any

NOTHING = -np.inf


@inline
def _log_sum(a: float, b: float, c: float) -> Any:
    top = max(a, max(b, c))
    if a != a or b != b or c != c:
        return np.nan
    if abs(top) == np.inf:
        return top
    return log(np.float64, exp(np.float64, a - top) + exp(np.float64, b - top) + exp(np.float64, c - top)) + top


@inline
def _class(targets: Array, s: int, blank: int) -> int:
    return targets[s // 2] if s % 2 else blank


@inline
def _log_p(x: Array, c: int) -> float:
    return np.float64(x[c]) if 0 <= c < len(x) else np.nan


@inline
def _skips(targets: Array, s: int, places: int) -> bool:
    """Return whether a path may come to place s from the last but one."""
    return s % 2 == 1 and s > 2 and s < places and targets[s // 2] != targets[s // 2 - 1]


@jit
def _forward(alpha: Array, x: Array, targets: Array, steps: int, places: int, blank: int) -> Any:
    """Fill alpha (steps, places) for x (steps, classes), and return the log of the probability."""
    for s in range(min(2, places)):
        alpha[0, s] = _log_p(x[0], _class(targets, s, blank))
    for t in range(1, steps):
        before = alpha[t - 1]
        for s in range(places):
            one = before[s - 1] if s > 0 else NOTHING
            two = before[s - 2] if _skips(targets, s, places) else NOTHING
            alpha[t, s] = _log_p(x[t], _class(targets, s, blank)) + _log_sum(before[s], one, two)
    last = alpha[steps - 1]
    return _log_sum(last[places - 1], last[places - 2] if places > 1 else NOTHING, NOTHING)


@jit
def _backward(alpha: Array, dx: Array, x: Array, targets: Array, steps: int, places: int, blank: int, log_p: float) -> None:
    total, rows = np.empty(x.shape[1]), len(x)
    for t in range(steps - 1, -1, -1):
        beta, after = alpha[rows + t % 2], alpha[rows + (t + 1) % 2]
        total[:] = 0
        for s in range(places):
            c = _class(targets, s, blank)
            p = _log_p(x[t], c)
            if t == steps - 1:
                beta[s] = p if s >= places - 2 else NOTHING
            else:
                one = after[s + 1] if s + 1 < places else NOTHING
                two = after[s + 2] if _skips(targets, s + 2, places) else NOTHING
                beta[s] = p + _log_sum(after[s], one, two)
            if alpha[t, s] != NOTHING and beta[s] != NOTHING and 0 <= c < x.shape[1]:
                total[c] += exp(np.float64, alpha[t, s] + beta[s] - p - log_p)
        for c in range(x.shape[1]):
            dx[t, c] = -total[c]


@jit
def _all_samples(loss: Array, alpha: Array, dx: Array, x: Array, targets: Array, steps: Array, labels: Array, blank: int) -> None:
    alpha[:] = NOTHING
    dx[:] = 0
    for n in range(len(loss)):
        t_end, length = min(max(steps[n], 0), x.shape[0]), min(max(labels[n], 0), targets.shape[1])
        if t_end == 0:
            loss[n] = np.inf if length else 0
            continue
        log_p = _forward(alpha[n], x[:, n], targets[n], t_end, 2 * length + 1, blank)
        loss[n] = -log_p
        if dx.size and log_p != NOTHING:
            _backward(alpha[n], dx[:, n], x[:, n], targets[n], t_end, 2 * length + 1, blank, log_p)


def ctc_loss(loss: Array, alpha: Array, dx: Array, x: Array, targets: Array, steps: Array, labels: Array, blank: int) -> None:
    _all_samples(loss, alpha, dx.reshape(x.shape) if dx.size else np.empty((0, 0, 0), x.dtype), x, targets, steps, labels, blank)
