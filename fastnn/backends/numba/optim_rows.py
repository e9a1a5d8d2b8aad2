"""Adam for tables in which few rows have a gradient."""

from __future__ import annotations

import math
from typing import Any

from .jit import jit
from .moments import gradient, held, moments, settled, unbiased

Array = Any


@jit
def adam_rows_step(w: Array, m: Array, v: Array, seen: Array, dw: Array, touched: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    beta1, fresh1, beta2, fresh2, eps, coupled, keep = moments(T, hyper, hyper[4], hyper[5])
    lr, root = T(hyper[0] / unbiased(hyper[1], step)), T(1 / math.sqrt(unbiased(hyper[2], step)))
    for b in range(len(w)):
        if not seen[b]:
            if not touched[b] and coupled == 0:
                if keep != 1:
                    for c in range(w.shape[1]):
                        w[b, c] *= keep
                continue
            seen[b] = True
            if step[0] > 1:
                for c in range(w.shape[1]):
                    v[b, c] = held(T, v[b, c])
        for c in range(w.shape[1]):
            g = gradient(w[b, c], dw[b, c] if touched[b] else T(0), coupled)
            m[b, c] = settled(T, beta1 * m[b, c] + fresh1 * g)
            v[b, c] = held(T, beta2 * v[b, c] + fresh2 * g * g)
            w[b, c] = keep * w[b, c] - lr * m[b, c] / (math.sqrt(v[b, c]) * root + eps)


@jit
def sparse_adam_step(w: Array, m: Array, v: Array, dw: Array, touched: Array, hyper: Array, step: Array) -> None:
    T = w.dtype.type
    fresh1, fresh2, eps = T(1 - hyper[1]), T(1 - hyper[2]), T(hyper[3])
    lr = T(hyper[0] * math.sqrt(unbiased(hyper[2], step)) / unbiased(hyper[1], step))
    for b in range(len(w)):
        if touched[b]:
            for c in range(w.shape[1]):
                g = dw[b, c]
                m[b, c] = settled(T, m[b, c] + fresh1 * (g - m[b, c]))
                v[b, c] = held(T, v[b, c] + fresh2 * (g * g - v[b, c]))
                w[b, c] -= lr * m[b, c] / (math.sqrt(v[b, c]) + eps)
