"""Connectionist temporal classification: the probability of a sequence of labels without knowing when each of them comes."""

from __future__ import annotations

from typing import Any

Array = Any


def ctc_loss(
    xp: Any,
    loss: Array,
    alpha: Array,
    dx: Array,
    x: Array,
    targets: Array,
    steps: Array,
    labels: Array,
    blank: int,
) -> None:
    """loss[n] = -log of the probability of the first labels[n] targets of sample n in its first steps[n] time steps.

    x (L, N, C) are log-probabilities of classes. The path of a sample has the P = 2 labels[n] + 1 places blank, target 0, blank,
    target 1, ..., blank. It begins at one of the first two places and ends at one of the last two. From one time step to the next
    it stays, goes to the next place, or leaves out a blank between two different targets. All is computed in float64:

        alpha[n, t, s] = x[t, n, class of s] + log sum exp of alpha[n, t - 1] at the places before,

    and -infinity at other places and times. With dx, beta_t is the same from the end; it is in row L + t % 2 of alpha, and

        dx[t, n, c] = -sum over places s of class c of exp(alpha[n, t, s] + beta_t[s] - x[t, n, c] + loss[n]),

    where places with alpha or beta of -infinity count 0. It is 0 after the last step, and in samples whose loss is infinite.
    A class outside of 0..C-1 has the log-probability NaN, and no gradient. Without steps, the loss is 0 if there are no labels,
    else infinite.
    Source: Graves et al., ICML 2006.
    """
    most, count = x.shape[0], x.shape[2]
    alpha[...] = -xp.inf
    if dx.size:
        dx[...] = 0
    for n in range(len(loss)):
        t_end, length = min(max(int(steps[n]), 0), most), min(max(int(labels[n]), 0), targets.shape[1])
        if not t_end:
            loss[n] = xp.inf if length else 0
            continue
        classes = xp.full(2 * length + 1, blank, xp.int64)
        classes[1::2] = targets[n, :length]
        inside = (classes >= 0) & (classes < count)
        p = xp.full((t_end, len(classes)), xp.nan)
        p[:, inside] = x[:t_end, n, classes[inside]]
        may_skip = xp.zeros(len(classes), bool)
        may_skip[3::2] = classes[3::2] != classes[1:-2:2]
        own = alpha[n, :, : len(classes)]
        own[0, :2] = p[0, :2]
        for t in range(1, t_end):
            own[t] = p[t] + _from(xp, own[t - 1], may_skip)
        log_p = _log_sum(xp, own[t_end - 1, -2:])
        loss[n] = -log_p
        if not dx.size or log_p == -xp.inf:
            continue
        beta = xp.full(len(classes), -xp.inf)
        beta[-2:] = p[t_end - 1, -2:]
        may_skip_back = xp.concatenate([may_skip[2:], xp.zeros(2, bool)])[: len(classes)][::-1]
        for t in range(t_end - 1, -1, -1):
            if t < t_end - 1:
                beta = p[t] + _from(xp, beta[::-1], may_skip_back)[::-1]
            own[most + t % 2] = beta
            possible = (own[t] != -xp.inf) & (beta != -xp.inf) & inside
            part = xp.exp(own[t] + beta - p[t] - log_p)[possible]
            total = xp.zeros(count)
            xp.add.at(total, classes[possible], part)
            dx[t, n] = -total


def _from(xp: Any, before: Array, may_skip: Array) -> Array:
    """Return the log sum exp over the places from which a path comes, for each place."""
    padded = xp.concatenate([xp.full(2, -xp.inf), before])
    return _log_sum(xp, xp.stack([before, padded[1:-1], xp.where(may_skip, padded[:-2], -xp.inf)]))


def _log_sum(xp: Any, a: Array) -> Array:
    """Return log sum exp along the first axis."""
    top = a.max(0)
    top = xp.where(abs(top) == xp.inf, 0, top)
    return xp.log(xp.exp(a - top).sum(0)) + top
