"""The table of activations: of each its value f(x) and its slope dy f'(z), where y = f(z), and the loops over them.

A function takes T, the type of its numbers, first (see vmath.py), and the parameters p and q last. Where spec.ACTIVATIONS does not
say ``saves_z``, a slope must not look at z. What it computes is told in spec.py and backends/reference/activation.py; the
formulas here are those of csrc/functions.h, which keep to float32's range.

To add one: a line in spec.ACTIVATIONS, and here its value and its slope.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..spec import ACTIVATIONS
from .jit import jit
from . import vmath
from .vmath import exp, expm1, high, inline, low, normal_cdf, tanh

VALUES: dict[str, Callable[..., Any]] = {}
SLOPES: dict[str, Callable[..., Any]] = {}


def value(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates f(T, x, p, q), the value of the activation of its name; an underscore at the end is none of the name."""
    VALUES[function.__name__.rstrip("_")] = function
    return inline(function)  # type: ignore[no-any-return]


def slope(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates f(T, dy, z, y, p, q), the slope of these activations."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        SLOPES.update(dict.fromkeys(names, function))
        return inline(function)  # type: ignore[no-any-return]

    return decorate


# ---- the loops ----


@functools.cache
def forward_loop(act_id: int) -> Any:
    """``f(y, x, p0, p1)``: y = act(x), on 1-D contiguous arrays; compiled at its first call. Fast where y is not x."""
    return _forward(VALUES[ACTIVATIONS[act_id].name], ACTIVATIONS[act_id].name)


@functools.cache
def in_place_loop(act_id: int) -> Any:
    """``f(y, p0, p1)``: y = act(y), on a 1-D contiguous array."""
    return _in_place(VALUES[ACTIVATIONS[act_id].name], ACTIVATIONS[act_id].name)


@functools.cache
def backward_loop(act_id: int) -> Any:
    """``f(dx, dy, x, y, p0, p1)``: dx = dy act'(x), where y = act(x); pass y as x where the activation does not save z."""
    return _backward(SLOPES[ACTIVATIONS[act_id].name], ACTIVATIONS[act_id].name)


def _named(loop: Callable[..., Any], kind: str, name: str) -> Any:
    """Compiled; the name is that of its file on disk."""
    loop.__qualname__ = f"{kind}_{name}"
    return jit(loop)


def _forward(f: Callable[..., Any], name: str) -> Any:
    def loop(y: Any, x: Any, p0: float, p1: float) -> None:
        T = y.dtype.type
        p, q = T(p0), T(p1)
        for i in range(y.size):
            y[i] = f(T, x[i], p, q)

    return _named(loop, "forward", name)


def _in_place(f: Callable[..., Any], name: str) -> Any:
    def loop(y: Any, p0: float, p1: float) -> None:
        T = y.dtype.type
        p, q = T(p0), T(p1)
        for i in range(y.size):
            y[i] = f(T, y[i], p, q)

    return _named(loop, "in_place", name)


def _backward(f: Callable[..., Any], name: str) -> Any:
    def loop(dx: Any, dy: Any, x: Any, y: Any, p0: float, p1: float) -> None:
        T = dx.dtype.type
        p, q = T(p0), T(p1)
        for i in range(dx.size):
            dx[i] = f(T, dy[i], x[i], y[i], p, q)

    return _named(loop, "backward", name)


# ---- activations of networks ----


@value
def linear(T: Any, x: Any, p: Any, q: Any) -> Any:
    return x


@slope("linear")
def _linear(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy


@value
def relu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return high(x, T(0))


@slope("relu")
def _relu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return T(0) if y <= T(0) else dy


@value
def leaky_relu(T: Any, x: Any, p: Any, q: Any) -> Any:
    return x if x > T(0) else p * x


@slope("leaky_relu")
def _leaky_relu(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy if z > T(0) else p * dy


@value
def sigmoid(T: Any, x: Any, p: Any, q: Any) -> Any:
    return vmath.sigmoid(T, x)


@slope("sigmoid")
def _sigmoid(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * y * (T(1) - y)


@value
def tanh_(T: Any, x: Any, p: Any, q: Any) -> Any:
    return tanh(T, x)


@slope("tanh")
def _tanh(T: Any, dy: Any, z: Any, y: Any, p: Any, q: Any) -> Any:
    return dy * (T(1) - y * y)
