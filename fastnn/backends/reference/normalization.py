"""Normalization: numbers with mean 0 and variance 1, by channel, by sample or by group.

x has the shape (A, B, C, D). For each index of A and C, the numbers along B and D are normalized together. Batch norm has
(1, samples and pixels, channels, 1); instance norm (samples, pixels, channels, 1); group norm (samples, pixels, groups, channels
of a group); layer norm (samples, 1, 1, features).
"""

from __future__ import annotations

from typing import Any

from ..spec import Activation, activation
from .activation import backward, forward

Array = Any

RELU = activation("relu")


def norm_forward(
    xp: Any,
    y: Array,
    mean: Array,
    rstd: Array,
    running_mean: Array,
    running_var: Array,
    x: Array,
    gamma: Array,
    beta: Array,
    epsilon: float,
    momentum: float,
    unbiased: int,
    center: int,
    relu: int,
) -> None:
    """y = (x - mean) rstd gamma + beta, rstd = 1 / sqrt(variance + epsilon); without ``center``, mean is 0, and the variance is
    that around 0. With ``relu``, what is below 0 becomes 0.

    The running averages, where they are present, move towards mean and variance by the share ``momentum``. With ``unbiased``,
    they get the variance of a sample, divided by n - 1, or by n if n is 1. They need A = 1.
    """
    n = x.shape[1] * x.shape[3]
    mean[...] = x.mean((1, 3)) if center else 0
    deviation = x - mean[:, None, :, None]
    variance = (deviation * deviation).mean((1, 3))
    rstd[...] = 1 / xp.sqrt(variance + epsilon)
    scaled = deviation * rstd[:, None, :, None]
    if gamma.size:
        scaled = scaled * gamma
    if beta.size:
        scaled = scaled + beta
    y[...] = forward(xp, scaled, RELU) if relu else scaled
    if running_mean.size:
        running_mean[...] = (1 - momentum) * running_mean + momentum * mean[0]
    if running_var.size:
        running_var[...] = (1 - momentum) * running_var + momentum * variance[0] * (n / max(1, n - 1) if unbiased else 1)


def norm_backward(
    xp: Any,
    dx: Array,
    dgamma: Array,
    dbeta: Array,
    dy: Array,
    x: Array,
    mean: Array,
    rstd: Array,
    gamma: Array,
    y: Array,
    center: int,
    relu: int,
    add: int,
) -> None:
    """Compute the gradients of `norm_forward`; mean and rstd are functions of x. y may be absent without ``relu``.

    Those that are absent are not wanted; bits 1 and 2 of ``add`` add dgamma and dbeta to what is there.
    """
    if relu:
        dy = backward(xp, dy, y, y, RELU)
    scale = rstd[:, None, :, None]
    normal = (x - mean[:, None, :, None]) * scale
    if dgamma.size:
        total = (dy * normal).sum((0, 1))
        dgamma[...] = dgamma + total if add & 2 else total
    if dbeta.size:
        total = dy.sum((0, 1))
        dbeta[...] = dbeta + total if add & 4 else total
    if dx.size:
        slope = dy * gamma if gamma.size else dy
        part = normal * (slope * normal).mean((1, 3), keepdims=True)
        dx[...] = scale * (slope - slope.mean((1, 3), keepdims=True) - part if center else slope - part)


def norm_fold(
    xp: Any, scale: Array, shift: Array, mean: Array, var: Array, gamma: Array, beta: Array, bias: Array, epsilon: float
) -> None:
    """Set scale = gamma / sqrt(var + epsilon) and shift = (bias - mean) scale + beta.

    With them x scale + shift is x + bias normalized by a given mean and variance. gamma counts as 1 where it is absent, beta and
    bias as 0.
    """
    scale[...] = (gamma if gamma.size else 1) / xp.sqrt(var + epsilon)
    shift[...] = ((bias if bias.size else 0) - mean) * scale + (beta if beta.size else 0)


def norm_apply(xp: Any, y: Array, x: Array, scale: Array, shift: Array, act: Activation) -> None:
    """y = act(x scale + shift), where shift may be absent."""
    z = x * scale
    y[...] = forward(xp, z + shift if shift.size else z, act)
