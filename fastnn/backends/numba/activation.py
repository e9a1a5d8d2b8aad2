"""Element-wise functions, gated and with learned slopes, and softmax and its kin."""

from __future__ import annotations

from typing import Any

from ..spec import Activation
from .functions import backward_loop, forward_loop

Array = Any


def activation_forward(y: Array, x: Array, act: Activation) -> None:
    forward_loop(act.id)(y.ravel(), x.ravel(), act.p0, act.p1)


def activation_backward(dx: Array, dy: Array, x: Array, y: Array, act: Activation) -> None:
    y = y.ravel()
    z = x.ravel() if act.saves_z else y
    backward_loop(act.id)(dx.ravel(), dy.ravel(), z, y, act.p0, act.p1)
