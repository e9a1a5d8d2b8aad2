"""Rules of reductions, and of functions of whole rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...ops import activation, reduce, regularization
from ...ops.create import eye
from ...ops.elementwise import abs, astype, div, exp, mul, square, sub
from ...ops.index import getitem
from ...ops.logic import eq, gt, where
from ...ops.reduce import prod
from ...ops.reduce import sum as sum_of
from ...ops.shape import broadcast_to, reshape, transpose
from ..tensor import Node, Tensor
from .rules import Wanted, linked, rule
from .run import composed

# ---- reductions ----


@rule(reduce._reduce_backward)
def _reduce(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    x, op, (_, y) = node.inputs[0], node.op, node.saved

    def gradient() -> Tensor:
        g = reshape(dy, y.shape)
        if op == "mean":
            g = div(g, max(x.size // max(y.size, 1), 1))
        if op in ("sum", "mean"):
            return broadcast_to(g, x.shape)
        if op == "prod":
            return mul(_others(x, y.shape), g)
        ones = astype(eq(x, Tensor(y)), x.dtype)
        return mul(ones, div(g, sum_of(ones, _reduced(x, y.shape), True)))

    return (gradient,)


def _reduced(x: Tensor, kept: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(d for d, n in enumerate(kept) if n != x.shape[d])


def _others(x: Tensor, kept: tuple[int, ...]) -> Tensor:
    """Return for each element the product of the others. It takes n^2 numbers for n factors, but has derivatives at 0, too."""
    axes = _reduced(x, kept)
    order = [d for d in range(x.ndim) if d not in axes] + list(axes)
    n = math.prod(x.shape[d] for d in axes)
    moved = transpose(x, tuple(order))
    rows = reshape(moved, (x.size // n if n else 0, 1, n))
    products = prod(where(eye(n, dtype=np.bool_), 1, rows), 2)
    return transpose(reshape(products, moved.shape), tuple(order.index(d) for d in range(x.ndim)))


@rule(reduce._norm_backward)
def _norm(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    x, data = node.inputs[0], node.saved[1]
    y = reshape(linked(node, data.reshape(dy.shape)), data.shape)
    nothing = eq(y, 0)  # there, the gradient counts as 0
    return (lambda: mul(x, where(nothing, 0, div(reshape(dy, y.shape), where(nothing, 1, y)))),)


@rule(reduce._logsumexp_backward)
def _logsumexp(node: Node, dy: Tensor) -> Sequence[Wanted]:
    assert node.saved is not None
    x, data = node.inputs[0], node.saved[1]
    y = reshape(linked(node, data.reshape(dy.shape)), data.shape)
    y = where(eq(y, float("-inf")), 0, y)
    return (lambda: mul(exp(sub(x, y)), reshape(dy, y.shape)),)


@composed(regularization._penalty_backward)
def _penalty(node: Node) -> Tensor:
    assert node.saved is not None
    x, weights = node.inputs[0], astype(Tensor(node.saved[1]), node.inputs[0].dtype)
    return sum_of(abs(x)) * getitem(weights, 0) + sum_of(square(x)) * getitem(weights, 1)


# ---- functions of whole rows ----


def _row_sum(x: Tensor) -> Tensor:
    return sum_of(x, -1, True)


@rule(activation._ROWS_BACKWARD["softmax"])
def _softmax(node: Node, dy: Tensor) -> Sequence[Wanted]:
    y = _rows_of(node, dy)
    return (lambda: mul(y, sub(dy, _row_sum(mul(dy, y)))),)


@rule(activation._ROWS_BACKWARD["log_softmax"])
def _log_softmax(node: Node, dy: Tensor) -> Sequence[Wanted]:
    y = _rows_of(node, dy)
    return (lambda: sub(dy, mul(exp(y), _row_sum(dy))),)


@rule(activation._ROWS_BACKWARD["sparsemax"])
def _sparsemax(node: Node, dy: Tensor) -> Sequence[Wanted]:
    support = gt(_rows_of(node, dy), 0)
    one = astype(support, dy.dtype)
    return (lambda: mul(one, sub(dy, div(_row_sum(mul(one, dy)), _row_sum(one)))),)


def _rows_of(node: Node, dy: Tensor) -> Tensor:
    assert node.saved is not None
    return linked(node, node.saved[0].reshape(dy.shape))
