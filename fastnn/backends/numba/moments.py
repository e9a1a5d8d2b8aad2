"""Compute what several optimizers need: averages as they are stored, weight decay, and Adam's settings."""

from __future__ import annotations

from typing import Any

from .vmath import f32, inline, of_type

Array = Any

SMALL, SMALL32 = 1e-300, f32(1e-30)
"""Bound below which an average is stored as 0."""
LEAST, LEAST32 = 1e-306, f32(1e-36)
"""Least value of an average of squares."""


def settled32(T: Any, x: Any) -> Any:
    return f32(0) if abs(x) < SMALL32 else x


@of_type
def settled(T: Any, x: Any) -> Any:
    """Return an average of gradients, steps or weights as it is stored."""
    return 0.0 if abs(x) < SMALL else x


def held32(T: Any, x: Any) -> Any:
    return LEAST32 if abs(x) < LEAST32 else x


@of_type
def held(T: Any, x: Any) -> Any:
    """Return an average of squares as it is stored."""
    return LEAST if abs(x) < LEAST else x


@inline
def decay_of(lr: float, weight_decay: float, decoupled: float) -> tuple[float, float]:
    """Return how much of w the gradient takes up, and how much w keeps."""
    return (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)


@inline
def gradient(w: Any, dw: Any, coupled: Any) -> Any:
    """Return the gradient with weight decay. Without decay, w is not used: it may be infinite."""
    return dw + coupled * w if coupled != 0 else dw


@inline
def moments(T: Any, hyper: Array, weight_decay: float, decoupled: float) -> Any:
    """Return beta1, 1 - beta1, beta2, 1 - beta2, eps and the two of `decay_of`; hyper begins with lr, beta1, beta2, eps."""
    lr, beta1, beta2, eps = hyper[0], hyper[1], hyper[2], hyper[3]
    coupled, keep = decay_of(lr, weight_decay, decoupled)
    return T(beta1), T(1 - beta1), T(beta2), T(1 - beta2), T(eps), T(coupled), T(keep)


@inline
def unbiased(beta: float, step: Array) -> Any:
    """Return 1 - beta^t, the share of gradients in a running mean that began with 0."""
    return 1 - beta ** float(step[0])
