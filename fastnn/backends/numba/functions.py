"""The table of activations, values and slopes, and the loops over one of them."""

from __future__ import annotations

import functools
from typing import Any

from ..spec import ACTIVATIONS
from . import activation_functions as network  # noqa: F401 (its functions enter the table)
from .jit import jit
from .unary import NEAR, SLOPES, VALUES, Function


@functools.cache
def forward_loop(act_id: int) -> Any:
    """``f(y, x, p0, p1)``: y = act(x), on 1-D contiguous arrays; compiled at its first call. Fast where y is not x."""
    name = ACTIVATIONS[act_id].name
    return _forward_near(name, *NEAR[name][:2], VALUES[name]) if name in NEAR else _forward(name, VALUES[name])


@functools.cache
def in_place_loop(act_id: int) -> Any:
    """``f(y, p0, p1)``: y = act(y), on a 1-D contiguous array."""
    name = ACTIVATIONS[act_id].name
    return _in_place(name, VALUES[name])


@functools.cache
def backward_loop(act_id: int) -> Any:
    """``f(dx, dy, x, y, p0, p1)``: dx = dy act'(x), where y = act(x); pass y as x where the activation does not save z."""
    name = ACTIVATIONS[act_id].name
    return _backward_near(name, *NEAR[name][::2], SLOPES[name]) if name in NEAR else _backward(name, SLOPES[name])


def named(loop: Function, kind: str, name: str) -> Any:
    """Compiled; the name is that of its file on disk."""
    loop.__qualname__ = f"{kind}_{name}"
    return jit(loop)


def _forward(name: str, f: Function) -> Any:
    def loop(y: Any, x: Any, p0: float, p1: float) -> None:
        T = y.dtype.type
        p, q = T(p0), T(p1)
        for i in range(y.size):
            y[i] = f(T, x[i], p, q)

    return named(loop, "forward", name)


def _in_place(name: str, f: Function) -> Any:
    def loop(y: Any, p0: float, p1: float) -> None:
        T = y.dtype.type
        p, q = T(p0), T(p1)
        for i in range(y.size):
            y[i] = f(T, y[i], p, q)

    return named(loop, "in_place", name)


def _backward(name: str, f: Function) -> Any:
    def loop(dx: Any, dy: Any, x: Any, y: Any, p0: float, p1: float) -> None:
        T = dx.dtype.type
        p, q = T(p0), T(p1)
        for i in range(dx.size):
            dx[i] = f(T, dy[i], x[i], y[i], p, q)

    return named(loop, "backward", name)


# Functions that vectorise on a part of the numbers only: mostly all of them lie there. Each element is the same in both loops.


def _forward_near(name: str, inside: Function, near: Function, f: Function) -> Any:
    def loop(y: Any, x: Any, p0: float, p1: float) -> None:
        T = y.dtype.type
        p, q = T(p0), T(p1)
        outside = 0
        for i in range(y.size):
            outside += 0 if inside(T, x[i], p, q) else 1
        if outside:
            for i in range(y.size):
                y[i] = f(T, x[i], p, q)
        else:
            for i in range(y.size):
                y[i] = near(T, x[i], p, q)

    return named(loop, "forward", name)


def _backward_near(name: str, inside: Function, near: Function, f: Function) -> Any:
    def loop(dx: Any, dy: Any, x: Any, y: Any, p0: float, p1: float) -> None:
        T = dx.dtype.type
        p, q = T(p0), T(p1)
        outside = 0
        for i in range(dx.size):
            outside += 0 if inside(T, x[i], p, q) else 1
        if outside:
            for i in range(dx.size):
                dx[i] = f(T, dy[i], x[i], y[i], p, q)
        else:
            for i in range(dx.size):
                dx[i] = near(T, dy[i], x[i], y[i], p, q)

    return named(loop, "backward", name)
