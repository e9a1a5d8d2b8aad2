"""Element-wise functions, gated and with learned slopes; softmax and its kin are in softmax.py."""

from __future__ import annotations

import functools
from typing import Any

from ..spec import ACTIVATIONS, Activation
from .functions import backward_loop, forward_loop, named
from .jit import jit
from .rows import add
from .softmax import (
    log_softmax_backward,
    log_softmax_forward,
    softmax_backward,
    softmax_forward,
    sparsemax_backward,
    sparsemax_forward,
)
from .unary import SLOPES, VALUES, Function
from .vmath import inline

__all__ = [
    "activation_backward",
    "activation_forward",
    "glu_backward",
    "glu_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "prelu_backward",
    "prelu_forward",
    "softmax_backward",
    "softmax_forward",
    "sparsemax_backward",
    "sparsemax_forward",
]

Array = Any


def activation_forward(y: Array, x: Array, act: Activation) -> None:
    forward_loop(act.id)(y.ravel(), x.ravel(), act.p0, act.p1)


def activation_backward(dx: Array, dy: Array, x: Array, y: Array, act: Activation) -> None:
    y = y.ravel()
    z = x.ravel() if act.saves_z else y
    backward_loop(act.id)(dx.ravel(), dy.ravel(), z, y, act.p0, act.p1)


# ---- gated: one half of x times a function of the other ----


def glu_forward(y: Array, x: Array, act: Activation) -> None:
    _glu_loop(act.id)(y, x, act.p0, act.p1)


def glu_backward(dx: Array, dy: Array, x: Array, act: Activation) -> None:
    _glu_slope_loop(act.id)(dx, dy, x, act.p0, act.p1)


@functools.cache
def _glu_loop(act_id: int) -> Any:
    name = ACTIVATIONS[act_id].name
    return _glu(name, VALUES[name])


@functools.cache
def _glu_slope_loop(act_id: int) -> Any:
    name = ACTIVATIONS[act_id].name
    return _glu_slope(name, VALUES[name], SLOPES[name])


def _glu(name: str, f: Function) -> Any:
    def loop(y: Array, x: Array, p0: float, p1: float) -> None:
        T = y.dtype.type
        p, q = T(p0), T(p1)
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                y[i, j] = x[i, 0, j] * f(T, x[i, 1, j], p, q)

    return named(loop, "glu_forward", name)


def _glu_slope(name: str, f: Function, slope: Function) -> Any:
    def loop(dx: Array, dy: Array, x: Array, p0: float, p1: float) -> None:
        T = dy.dtype.type
        p, q = T(p0), T(p1)
        for i in range(dy.shape[0]):
            for j in range(dy.shape[1]):
                b = x[i, 1, j]
                gate = f(T, b, p, q)
                dgate = dy[i, j] * x[i, 0, j]
                dx[i, 0, j] = dy[i, j] * gate
                dx[i, 1, j] = slope(T, dgate, b, gate, p, q)

    return named(loop, "glu_backward", name)


# ---- prelu: the slope is learned; one for each column, or one for all ----


def prelu_forward(y: Array, x: Array, slope: Array) -> None:
    _prelu(y, x, x, slope)  # it is what becomes of dy = x


def prelu_backward(dx: Array, dslope: Array, dy: Array, x: Array, slope: Array, add: int) -> None:
    if dx.size:
        _prelu(dx, dy, x, slope)
    if dslope.size:
        sums = _one_slope_sum if slope.size == 1 else _column_slope_sums
        sums(dslope, dy, x, add & 2)


def _prelu(dx: Array, dy: Array, x: Array, slope: Array) -> None:
    if slope.size == 1:
        _one_slope(dx.ravel(), dy.ravel(), x.ravel(), slope)
    else:
        _column_slopes(dx, dy, x, slope)


@jit
def _one_slope(dx: Array, dy: Array, x: Array, slope: Array) -> None:
    T, s = x.dtype.type, slope[0]
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > T(0) else s * dy[i]


@jit
def _column_slopes(dx: Array, dy: Array, x: Array, slope: Array) -> None:
    T = x.dtype.type
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = dy[i, j] if x[i, j] > T(0) else slope[j] * dy[i, j]


@inline
def _below(dy: Array, x: Array, i: int) -> Any:
    """Return the sum of x dy in row i where x is not positive."""
    T = x.dtype.type
    total = T(0)
    for j in range(x.shape[1]):
        total = add(total, T(0) if x[i, j] > T(0) else x[i, j] * dy[i, j])
    return total


@jit
def _one_slope_sum(dslope: Array, dy: Array, x: Array, adds: int) -> None:
    total = 0.0
    for i in range(x.shape[0]):
        total += _below(dy, x, i)
    dslope[0] = dslope[0] + total if adds else total


@jit
def _column_slope_sums(dslope: Array, dy: Array, x: Array, adds: int) -> None:
    T = x.dtype.type
    if not adds:
        dslope[:] = T(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dslope[j] += T(0) if x[i, j] > T(0) else x[i, j] * dy[i, j]
