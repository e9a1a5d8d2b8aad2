"""Matrix products and the dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.dense import inputs_of, of_net, rounded
from ..spec import LINEAR, Activation
from .functions import backward_loop, forward_loop, in_place_loop
from .gemm import product
from .jit import jit

Array = Any


def matmul_nn(c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None:
    product(c, c, rounded(np, a, precision), rounded(np, b, precision), 0, 0, alpha, beta)


def matmul_nt(c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None:
    product(c, c, rounded(np, a, precision), rounded(np, b, precision), 0, 1, alpha, beta)


def matmul_tn(c: Array, a: Array, b: Array, alpha: float, beta: float, precision: int) -> None:
    product(c, c, rounded(np, a, precision), rounded(np, b, precision), 1, 0, alpha, beta)


def dense_forward(y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None:
    x, w = rounded(np, x, precision), rounded(np, w, precision)
    z = aux.reshape(y.shape) if aux.size else y
    if b.size:
        product(z, b.reshape(1, -1), x, w, 0, 0, 1.0, 1.0)
    else:
        product(z, z, x, w, 0, 0, 1.0, 0.0)
    if aux.size:
        forward_loop(act.id)(y.ravel(), aux.ravel(), act.p0, act.p1)
    elif act.id != LINEAR.id:
        in_place_loop(act.id)(y.ravel(), act.p0, act.p1)


def dense_backward(
    dx: Array,
    dw: Array,
    db: Array,
    dz: Array,
    dy: Array,
    x: Array,
    w: Array,
    y: Array,
    aux: Array,
    act: Activation,
    add: int,
    precision: int,
) -> None:
    if act.id == LINEAR.id:
        dz = dy
    else:
        outputs = y.ravel()
        backward_loop(act.id)(dz.ravel(), dy.ravel(), aux.ravel() if act.saves_z else outputs, outputs, act.p0, act.p1)
    if db.size:
        column_sums(db, dz, add & 4)
    dz = rounded(np, dz, precision)
    if dw.size:
        product(dw, dw, rounded(np, x, precision), dz, 1, 0, 1.0, 1.0 if add & 2 else 0.0)
    if dx.size:
        product(dx, dx, dz, rounded(np, w, precision), 0, 1, 1.0, 0.0)


def dense_nets_forward(y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation, precision: int) -> None:
    for g, inputs in enumerate(inputs_of(x, len(w))):
        dense_forward(y[g], of_net(aux, g), inputs, w[g], of_net(b, g), act, precision)


def dense_nets_backward(
    dx: Array,
    dw: Array,
    db: Array,
    dz: Array,
    dy: Array,
    x: Array,
    w: Array,
    y: Array,
    aux: Array,
    act: Activation,
    add: int,
    precision: int,
) -> None:
    for g, inputs in enumerate(inputs_of(x, len(w))):
        own = of_net(dx, g), of_net(dw, g), of_net(db, g), of_net(dz, g)
        dense_backward(*own, dy[g], inputs, w[g], y[g], of_net(aux, g), act, add, precision)


@jit
def column_sums(sums: Array, x: Array, add: int) -> None:
    """Set the sums to those of the columns, or add these."""
    if not add:
        sums[:] = 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            sums[j] += x[i, j]
