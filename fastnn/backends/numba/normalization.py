"""Normalization: sums in float64, channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import LINEAR, Activation
from .functions import in_place_loop
from .jit import jit

Array = Any


def norm_forward(
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
    averages = _like(mean.ravel(), running_mean), _like(mean.ravel(), running_var)
    _forward(y, mean, rstd, *averages, x, _like(mean, gamma), _like(mean, beta), epsilon, momentum, unbiased, center, relu)


def _like(a: Array, optional: Array) -> Array:
    """Return the array, or an empty one of the type of `a`: code is compiled once, whatever is absent."""
    return optional if optional.size else np.empty((0,) * a.ndim, a.dtype)


@jit
def _forward(
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
    A, B, C, D = x.shape
    n = B * D
    T = y.dtype.type
    totals, squares = np.empty(C, np.float64), np.empty(C, np.float64)
    for a in range(A):
        totals[:] = 0
        squares[:] = 0
        if center:
            for b in range(B):
                for c in range(C):
                    for d in range(D):
                        totals[c] += x[a, b, c, d]
            for c in range(C):
                totals[c] /= n
        for b in range(B):
            for c in range(C):
                for d in range(D):
                    off = x[a, b, c, d] - totals[c]
                    squares[c] += off * off
        for c in range(C):
            variance = squares[c] / n
            mean[a, c] = totals[c]
            rstd[a, c] = 1 / np.sqrt(variance + epsilon)
            if running_mean.size:
                running_mean[c] = (1 - momentum) * running_mean[c] + momentum * totals[c]
            if running_var.size:
                running_var[c] = (1 - momentum) * running_var[c] + momentum * variance * (n / max(1, n - 1) if unbiased else 1.0)
        for b in range(B):
            for c in range(C):
                for d in range(D):
                    value = T((x[a, b, c, d] - mean[a, c]) * rstd[a, c])
                    if gamma.size:
                        value *= gamma[c, d]
                    if beta.size:
                        value += beta[c, d]
                    y[a, b, c, d] = T(0) if relu and value < 0 else value


def norm_backward(
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
    if dgamma.size and not add & 2:
        dgamma[...] = 0
    if dbeta.size and not add & 4:
        dbeta[...] = 0
    outputs = _like(dy, dx), _like(mean, dgamma), _like(mean, dbeta)
    _backward(*outputs, dy, x, mean, rstd, _like(mean, gamma), _like(dy, y), center, relu)


@jit
def _backward(
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
) -> None:
    A, B, C, D = x.shape
    n = B * D
    T = dy.dtype.type
    totals, products = np.empty(C, np.float64), np.empty(C, np.float64)
    of_gamma, of_beta = np.zeros((C, D), np.float64), np.zeros((C, D), np.float64)
    for a in range(A):
        totals[:] = 0
        products[:] = 0
        for b in range(B):
            for c in range(C):
                for d in range(D):
                    normal = (x[a, b, c, d] - mean[a, c]) * rstd[a, c]
                    slope = T(0) if relu and y[a, b, c, d] <= 0 else dy[a, b, c, d]
                    of_beta[c, d] += slope
                    of_gamma[c, d] += slope * normal
                    if gamma.size:
                        slope *= gamma[c, d]
                    totals[c] += slope
                    products[c] += slope * normal
        if dx.size:
            for c in range(C):
                totals[c] = totals[c] / n if center else 0.0
                products[c] /= n
            for b in range(B):
                for c in range(C):
                    for d in range(D):
                        normal = (x[a, b, c, d] - mean[a, c]) * rstd[a, c]
                        slope = T(0) if y.size and y[a, b, c, d] <= 0 else dy[a, b, c, d]
                        if gamma.size:
                            slope *= gamma[c, d]
                        dx[a, b, c, d] = rstd[a, c] * (slope - T(totals[c]) - normal * T(products[c]))
    for c in range(C):
        for d in range(D):
            if dgamma.size:
                dgamma[c, d] += of_gamma[c, d]
            if dbeta.size:
                dbeta[c, d] += of_beta[c, d]


def norm_fold(
    scale: Array, shift: Array, mean: Array, var: Array, gamma: Array, beta: Array, bias: Array, epsilon: float
) -> None:
    _fold(scale, shift, mean, var, _like(mean, gamma), _like(mean, beta), _like(mean, bias), epsilon)


@jit
def _fold(scale: Array, shift: Array, mean: Array, var: Array, gamma: Array, beta: Array, bias: Array, epsilon: float) -> None:
    for c in range(scale.size):
        by = 1 / np.sqrt(var[c] + epsilon)
        if gamma.size:
            by *= gamma[c]
        to = -mean[c] * by
        if bias.size:
            to += bias[c] * by
        if beta.size:
            to += beta[c]
        scale[c] = by
        shift[c] = to


def norm_apply(y: Array, x: Array, scale: Array, shift: Array, act: Activation) -> None:
    _apply(y, x, scale, _like(scale, shift))
    if act.id != LINEAR.id:
        in_place_loop(act.id)(y.ravel(), act.p0, act.p1)


@jit
def _apply(y: Array, x: Array, scale: Array, shift: Array) -> None:
    for a in range(x.shape[0]):
        for c in range(x.shape[1]):
            value = x[a, c] * scale[c]
            y[a, c] = value + shift[c] if shift.size else value
