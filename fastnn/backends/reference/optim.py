"""Optimizer steps over flat buffers, and gradient clipping.

Everything that changes from step to step lies in memory: ``hyper`` holds the hyper-parameters and ``step`` the number of the
current step (one count a parameter; a call covers parameters with equal counts).
"""

from __future__ import annotations

from typing import Any

Array = Any


def advance(xp: Any, step: Array, by: int) -> None:
    """step += by."""
    step += by


def sgd_step(xp: Any, w: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    """Stochastic gradient descent; hyper = lr, momentum, dampening, nesterov, weight_decay, decoupled.

    g = dw + weight_decay w (or w *= 1 - lr weight_decay where decoupled is not 0). With momentum: v = momentum v +
    (1 - dampening) g, at step 1 v = g; then g = v, or g + momentum v with nesterov. w -= lr g. Without momentum v is absent.
    """
    lr, momentum, dampening, nesterov, weight_decay, decoupled = hyper.tolist()
    g = _decay(w, dw, lr, weight_decay, decoupled)
    if v.size:
        v[...] = g if int(step[0]) == 1 else momentum * v + (1 - dampening) * g
        g = g + momentum * v if nesterov else v
    w -= lr * g


def adam_step(xp: Any, w: Array, m: Array, v: Array, dw: Array, hyper: Array, step: Array) -> None:
    """Adam (Kingma and Ba, arXiv 1412.6980) and AdamW (arXiv 1711.05101); hyper = lr, beta1, beta2, eps, weight_decay, decoupled.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    w -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps), t = step[0]. Weight decay as in `sgd_step`.
    """
    lr, beta1, beta2, eps, weight_decay, decoupled = hyper.tolist()
    t = int(step[0])
    g = _decay(w, dw, lr, weight_decay, decoupled)
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g * g
    w -= lr / (1 - beta1**t) * m / (xp.sqrt(v) / (1 - beta2**t) ** 0.5 + eps)


def _decay(w: Array, dw: Array, lr: float, weight_decay: float, decoupled: float) -> Array:
    if weight_decay and decoupled:
        w *= 1 - lr * weight_decay
    elif weight_decay:
        return dw + weight_decay * w
    return dw


def sum_squares(xp: Any, total: Array, x: Array) -> None:
    """total += sum(x^2), summed in float64."""
    total += (x.astype(xp.float64) ** 2).sum()


def clip_norm(xp: Any, x: Array, total: Array, limit: Array) -> None:
    """x *= min(1, limit / (norm + 1e-6)), norm = sqrt(total): clipping by the norm of which x is all or a part."""
    x *= xp.minimum(1, limit / (xp.sqrt(total) + 1e-6)).astype(x.dtype)


def clip_value(xp: Any, x: Array, limit: Array) -> None:
    """x = min(max(x, -limit), limit)."""
    bound = limit.astype(x.dtype)
    x[...] = xp.minimum(xp.maximum(x, -bound), bound)
