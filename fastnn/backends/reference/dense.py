"""Matrix products and the dense layer."""

from __future__ import annotations

from typing import Any

from ..spec import ADD_DB, ADD_DW, LINEAR, NEED_DB, NEED_DW, NEED_DX, Activation
from .activation import backward, forward

Array = Any  # numpy.ndarray or cupy.ndarray


def matmul_nn(xp: Any, c: Array, a: Array, b: Array, alpha: float, beta: float) -> None:
    """c = alpha a b + beta c; with beta = 0, c is only written."""
    _update(c, a @ b, alpha, beta)


def matmul_nt(xp: Any, c: Array, a: Array, b: Array, alpha: float, beta: float) -> None:
    """c = alpha a b^T + beta c; with beta = 0, c is only written."""
    _update(c, a @ b.T, alpha, beta)


def matmul_tn(xp: Any, c: Array, a: Array, b: Array, alpha: float, beta: float) -> None:
    """c = alpha a^T b + beta c; with beta = 0, c is only written."""
    _update(c, a.T @ b, alpha, beta)


def _update(c: Array, product: Array, alpha: float, beta: float) -> None:
    c[...] = alpha * product if beta == 0 else alpha * product + beta * c


def dense_forward(xp: Any, y: Array, aux: Array, x: Array, w: Array, b: Array, act: Activation) -> None:
    """y = act(x w + b): x (M, K), w (K, N), b (N,) or absent. Where aux is present it gets z = x w + b."""
    z = x @ w
    if b.size:
        z = z + b
    y[...] = forward(xp, z, act)
    if aux.size:
        aux[...] = z


def dense_backward(
    xp: Any,
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
    need: int,
) -> None:
    """dz = dy act'(z); dx = dz w^T, dw = x^T dz, db = column sums of dz.

    ``need`` says which of dx, dw, db are wanted, and whether dw and db are set or added to (`spec.NEED_DX` and its kin).
    z is aux for the functions that save it, else recovered from y. dz is scratch, absent for a linear layer (dz is dy).
    """
    if act.id == LINEAR.id:
        dz = dy
    else:
        dz[...] = backward(xp, dy, aux if act.saves_z else y, y, act)
    if need & NEED_DX:
        dx[...] = dz @ w.T
    if need & NEED_DW:
        _update(dw, x.T @ dz, 1.0, 1.0 if need & ADD_DW else 0.0)
    if need & NEED_DB:
        _update(db, dz.sum(0), 1.0, 1.0 if need & ADD_DB else 0.0)
