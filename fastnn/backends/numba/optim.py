"""Optimizer steps and gradient clipping: one pass each, in which scalars are of the arrays' type, made once in float64."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .arithmetic import maximum, minimum
from .jit import jit
from .moments import decay_of, gradient, held, moments, settled, unbiased
from .optim_rows import adam_rows_step as adam_rows_step
from .optim_rows import sparse_adam_step as sparse_adam_step
from .vmath import inline

Array = Any

_LANES = 64
"""Running sums side by side: neighbours do not wait for each other, and their order is that of the elements."""


@jit
def advance(step: Array, by: int) -> None:
    for i in range(step.size):
        step[i] += by


@jit
def every(flag: Array, count: Array, period: int) -> None:
    flag[0] = count[0] % period == 0


@jit
def scheduled(hyper: Array, table: Array, slot: Array, count: Array) -> None:
    column = count[0] % table.shape[1]
    for s in range(slot.size):
        hyper[slot[s]] = table[s, column]


def sgd_step(w: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    if v.size:
        _momentum_step(w, v, dw, hyper, step)
    else:
        _plain_step(w, dw, hyper)


@jit
def _plain_step(w: Array, dw: Array, hyper: Array) -> None:
    T = w.dtype.type
    w, dw = w.ravel(), dw.ravel()
    decay = decay_of(hyper[0], hyper[4], hyper[5])
    lr, coupled, keep = T(hyper[0]), T(decay[0]), T(decay[1])
    for i in range(w.size):
        w[i] = keep * w[i] - lr * gradient(w[i], dw[i], coupled)


@jit
def _momentum_step(w: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    w, v, dw = w.ravel(), v.ravel(), dw.ravel()
    decay = decay_of(hyper[0], hyper[4], hyper[5])
    lr, momentum, fresh, coupled, keep = T(hyper[0]), T(hyper[1]), T(1 - hyper[2]), T(decay[0]), T(decay[1])
    nesterov, first = hyper[3] != 0, step[0] == 1
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        velocity = settled(T, g if first else momentum * v[i] + fresh * g)
        v[i] = velocity
        w[i] = keep * w[i] - lr * (g + momentum * velocity if nesterov else velocity)


@jit
def adam_step(w: Array, m: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    w, m, v, dw = w.ravel(), m.ravel(), v.ravel(), dw.ravel()
    beta1, fresh1, beta2, fresh2, eps, coupled, keep = moments(T, hyper, hyper[4], hyper[5])
    lr, root = T(hyper[0] / unbiased(hyper[1], step)), T(1 / math.sqrt(unbiased(hyper[2], step)))
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        m[i] = settled(T, beta1 * m[i] + fresh1 * g)
        v[i] = held(T, beta2 * v[i] + fresh2 * g * g)
        w[i] = keep * w[i] - lr * m[i] / (math.sqrt(v[i]) * root + eps)


@jit
def amsgrad_step(w: Array, m: Array, v: Array, top: Array, dw: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    w, m, v, top, dw = w.ravel(), m.ravel(), v.ravel(), top.ravel(), dw.ravel()
    beta1, fresh1, beta2, fresh2, eps, coupled, keep = moments(T, hyper, hyper[4], hyper[5])
    lr, root = T(hyper[0] / unbiased(hyper[1], step)), T(1 / math.sqrt(unbiased(hyper[2], step)))
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        m[i] = settled(T, beta1 * m[i] + fresh1 * g)
        v[i] = held(T, beta2 * v[i] + fresh2 * g * g)
        top[i] = maximum(top[i], v[i])
        w[i] = keep * w[i] - lr * m[i] / (math.sqrt(top[i]) * root + eps)


@jit
def radam_step(w: Array, m: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    w, m, v, dw = w.ravel(), m.ravel(), v.ravel(), dw.ravel()
    beta1, fresh1, beta2, fresh2, eps, coupled, keep = moments(T, hyper, hyper[4], hyper[5])
    rest = unbiased(hyper[2], step)
    r = 2 / (1 - hyper[2]) - 1
    rho = r - 2 * float(step[0]) * (1 - rest) / rest
    adaptive = rho > 5
    rate = hyper[0] / unbiased(hyper[1], step)
    if adaptive:
        rate *= math.sqrt((rho - 4) * (rho - 2) * r / ((r - 4) * (r - 2) * rho) * rest)
    lr = T(rate)
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        m[i] = settled(T, beta1 * m[i] + fresh1 * g)
        v[i] = held(T, beta2 * v[i] + fresh2 * g * g)
        u = lr * m[i]
        w[i] = keep * w[i] - (u / (math.sqrt(v[i]) + eps) if adaptive else u)


@jit
def adamax_step(w: Array, m: Array, u: Array, dw: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    w, m, u, dw = w.ravel(), m.ravel(), u.ravel(), dw.ravel()
    beta1, fresh1, beta2, _, eps, coupled, keep = moments(T, hyper, hyper[4], hyper[5])
    lr = T(hyper[0] / unbiased(hyper[1], step))
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        m[i] = settled(T, beta1 * m[i] + fresh1 * g)
        u[i] = held(T, maximum(beta2 * u[i], abs(g) + eps))
        w[i] = keep * w[i] - lr * m[i] / u[i]


@inline
def _nadam_momentum(hyper: Array, t: Any) -> Any:
    return hyper[1] * (1 - 0.5 * 0.96 ** (float(t) * hyper[4]))


@jit
def nadam_product(product: Array, hyper: Array, step: Array) -> None:
    for i in range(step.size):
        product[i] = settled(np.float64, (product[i] if step[i] > 1 else 1.0) * _nadam_momentum(hyper, step[i]))


@jit
def nadam_step(w: Array, m: Array, v: Array, dw: Array, hyper: Array, product: Array, step: Array) -> None:
    T = w.dtype.type
    w, m, v, dw = w.ravel(), m.ravel(), v.ravel(), dw.ravel()
    beta1, fresh1, beta2, fresh2, eps, coupled, keep = moments(T, hyper, hyper[5], hyper[6])
    mu, ahead, so_far = _nadam_momentum(hyper, step[0]), _nadam_momentum(hyper, step[0] + 1), product[0]
    now, later = T(hyper[0] * (1 - mu) / (1 - so_far)), T(hyper[0] * ahead / (1 - so_far * ahead))
    root = T(1 / math.sqrt(unbiased(hyper[2], step)))
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        m[i] = settled(T, beta1 * m[i] + fresh1 * g)
        v[i] = held(T, beta2 * v[i] + fresh2 * g * g)
        w[i] = keep * w[i] - (now * g + later * m[i]) / (math.sqrt(v[i]) * root + eps)


def rmsprop_step(w: Array, v: Array, mean: Array, b: Array, dw: Array, hyper: Array) -> None:
    centered, momentum = mean.size > 0, b.size > 0
    # What is absent is never read, but has to have a type.
    _rmsprop(centered, momentum)(w, v, mean if centered else v, b if momentum else v, dw, hyper)


@functools.cache
def _rmsprop(centered: bool, with_momentum: bool) -> Any:
    @jit
    def step(w: Array, v: Array, mean: Array, b: Array, dw: Array, hyper: Array) -> None:
        T = w.dtype.type
        w, v, mean, b, dw = w.ravel(), v.ravel(), mean.ravel(), b.ravel(), dw.ravel()
        decay = decay_of(hyper[0], hyper[5], hyper[6])
        lr, alpha, fresh, eps, momentum = T(hyper[0]), T(hyper[1]), T(1 - hyper[1]), T(hyper[2]), T(hyper[3])
        inside, coupled, keep = hyper[4] != 0, T(decay[0]), T(decay[1])
        for i in range(w.size):
            g = gradient(w[i], dw[i], coupled)
            v[i] = held(T, alpha * v[i] + fresh * g * g)
            square = v[i]
            if centered:
                mean[i] = settled(T, alpha * mean[i] + fresh * g)
                square = maximum(square - mean[i] * mean[i], T(0))
            u = g / (math.sqrt(square + eps) if inside else math.sqrt(square) + eps)
            if with_momentum:
                b[i] = settled(T, momentum * b[i] + u)
                u = b[i]
            w[i] = keep * w[i] - lr * u

    return step


@jit
def adagrad_step(w: Array, s: Array, dw: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    w, s, dw = w.ravel(), s.ravel(), dw.ravel()
    decay = decay_of(hyper[0], hyper[3], hyper[4])
    lr, eps, coupled, keep = T(hyper[0] / (1 + (step[0] - 1) * hyper[1])), T(hyper[2]), T(decay[0]), T(decay[1])
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        s[i] = held(T, s[i] + g * g)
        w[i] = keep * w[i] - lr * g / (math.sqrt(s[i]) + eps)


@jit
def adadelta_step(w: Array, v: Array, u: Array, dw: Array, hyper: Array) -> None:
    T = w.dtype.type
    w, v, u, dw = w.ravel(), v.ravel(), u.ravel(), dw.ravel()
    decay = decay_of(hyper[0], hyper[3], hyper[4])
    lr, rho, fresh, eps, coupled, keep = T(hyper[0]), T(hyper[1]), T(1 - hyper[1]), T(hyper[2]), T(decay[0]), T(decay[1])
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        v[i] = held(T, rho * v[i] + fresh * g * g)
        d = math.sqrt(u[i] + eps) / math.sqrt(v[i] + eps) * g
        u[i] = held(T, rho * u[i] + fresh * d * d)
        w[i] = keep * w[i] - lr * d


@jit
def lion_step(w: Array, m: Array, dw: Array, hyper: Array) -> None:
    T = w.dtype.type
    w, m, dw = w.ravel(), m.ravel(), dw.ravel()
    decay = decay_of(hyper[0], hyper[3], hyper[4])
    lr, beta1, fresh1, beta2, fresh2 = T(hyper[0]), T(hyper[1]), T(1 - hyper[1]), T(hyper[2]), T(1 - hyper[2])
    coupled, keep = T(decay[0]), T(decay[1])
    for i in range(w.size):
        g = gradient(w[i], dw[i], coupled)
        c = beta1 * m[i] + fresh1 * g
        sign = T(1) if c > 0 else T(-1) if c < 0 else c  # 0 and NaN stay
        w[i] = keep * w[i] - lr * sign
        mean = beta2 * m[i] + fresh2 * g
        m[i] = held(T, mean) if mean > 0 else -held(T, -mean) if mean < 0 else mean


@inline
def _warm(hyper: Array, t: Any) -> Any:
    """Return the learning rate of `schedule_free_step`, warming up."""
    return hyper[0] * (t / hyper[5]) if t < hyper[5] else hyper[0]


@jit
def schedule_free_weight(average: Array, hyper: Array, step: Array) -> None:
    for i in range(step.size):
        row, t = average[i], float(step[i])
        total, top = (row[0], row[1]) if t > 1 else (0.0, 0.0)
        top = max(top, _warm(hyper, t))
        weight = t ** hyper[6] * top ** hyper[7]
        total += weight
        row[0], row[1], row[2] = total, top, weight / total if total else 0.0


@jit
def schedule_free_step(w: Array, z: Array, v: Array, dw: Array, hyper: Array, average: Array, step: Array) -> None:
    T = w.dtype.type
    w, z, v, dw = w.ravel(), z.ravel(), v.ravel(), dw.ravel()
    rate, share = _warm(hyper, float(step[0])), average[0, 2]
    first = step[0] == 1
    beta2, fresh2, eps, weight_decay = T(hyper[2]), T(1 - hyper[2]), T(hyper[3]), T(hyper[4])
    lr, ahead, c = T(rate), T(rate * (1 - hyper[1] * (1 - share))), T(share)
    root = T(1 / math.sqrt(unbiased(hyper[2], step)))
    for i in range(w.size):
        old = w[i] if first else z[i]
        v[i] = held(T, beta2 * v[i] + fresh2 * dw[i] * dw[i])
        d = dw[i] / (math.sqrt(v[i]) * root + eps) + weight_decay * w[i]
        w[i] = w[i] + c * (old - w[i]) - ahead * d
        z[i] = old - lr * d


@jit
def muon_momentum(b: Array, u: Array, dw: Array, hyper: Array) -> None:
    T = b.dtype.type
    b, u, dw = b.ravel(), u.ravel(), dw.ravel()
    momentum, fresh, nesterov = T(hyper[1]), T(1 - hyper[1]), hyper[2] != 0
    for i in range(b.size):
        b[i] = settled(T, momentum * b[i] + fresh * dw[i])
        u[i] = momentum * b[i] + fresh * dw[i] if nesterov else b[i]


@jit
def muon_step(w: Array, u: Array, hyper: Array, scale: float) -> None:
    T = w.dtype.type
    w, u = w.ravel(), u.ravel()
    keep, rate = T(1 - hyper[0] * hyper[3]), T(hyper[0] * scale)
    for i in range(w.size):
        w[i] = keep * w[i] - rate * u[i]


@jit
def lerp(x: Array, y: Array, weight: Array) -> None:
    T = x.dtype.type
    x, y, share = x.ravel(), y.ravel(), T(weight[0])
    for i in range(x.size):
        x[i] = settled(T, x[i] + share * (y[i] - x[i]))


@jit
def ema_step(average: Array, w: Array, momentum: Array, step: Array) -> None:
    T = w.dtype.type
    average, w, kept, fresh, first = average.ravel(), w.ravel(), T(momentum[0]), T(1 - momentum[0]), step[0] == 1
    for i in range(w.size):
        average[i] = settled(T, w[i] if first else kept * average[i] + fresh * w[i])


@jit
def accumulate(mean: Array, x: Array, share: Array) -> None:
    mean, x, part = mean.ravel(), x.ravel(), x.dtype.type(share[0])
    for i in range(x.size):
        mean[i] += part * x[i]


@jit
def sum_squares(total: Array, x: Array) -> None:
    x = x.ravel()
    part = np.zeros(_LANES)
    for begin in range(0, x.size, _LANES):
        lanes = x[begin : begin + _LANES]
        for i in range(lanes.size):
            part[i] += np.float64(lanes[i]) * np.float64(lanes[i])
    total[0] += part.sum()


@jit
def clip_norm(x: Array, total: Array, limit: Array) -> None:
    scale = limit[0] / (math.sqrt(total[0]) + 1e-6)
    if scale >= 1:
        return
    x, share = x.ravel(), x.dtype.type(scale)
    for i in range(x.size):
        x[i] *= share


@jit
def unit_norm(x: Array, total: Array, eps: Array) -> None:
    x, norm = x.ravel(), x.dtype.type(maximum(math.sqrt(total[0]), eps[0]))
    for i in range(x.size):
        x[i] /= norm


@jit
def clip_value(x: Array, limit: Array) -> None:
    x, bound = x.ravel(), x.dtype.type(limit[0])
    for i in range(x.size):
        x[i] = minimum(maximum(x[i], -bound), bound)
