"""What all contenders are given on the GPU: the sizes, weights and samples of the CPU's comparison, and a larger net."""

from __future__ import annotations

import functools

import numpy as np
from peers import nets
from peers.nets import MEDIUM, SEED, SMALL, STILL, WIDE, title

__all__ = ["LARGE", "MEDIUM", "SEED", "SMALL", "STILL", "WIDE", "checked", "data", "distinct", "flat", "lr", "title", "weights"]

LARGE = (4096, 4096, 4096, 4096)
BATCHES = 4
"""Of the large net."""
DISTINCT = 512
"""Rows of a large net's batch that differ; the others repeat them, so that mean losses and gradients are those of these rows,
and the reference needs no more of them."""


@functools.lru_cache(maxsize=2)
def weights(sizes: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    return nets.weights(sizes)


@functools.lru_cache(maxsize=2)
def distinct(sizes: tuple[int, ...], batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of the training data, without the rows that repeat others."""
    if sizes != LARGE:
        return nets.training_data(sizes, batch)
    rows = min(batch, DISTINCT)
    x, y = nets.samples(sizes, rows * BATCHES)
    return [(x[i : i + rows], y[i : i + rows]) for i in range(0, len(x), rows)]


@functools.lru_cache(maxsize=2)
def data(sizes: tuple[int, ...], batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of the training data."""
    return [(np.resize(x, (batch, sizes[0])), np.resize(y, batch)) for x, y in distinct(sizes, batch)]


def lr(sizes: tuple[int, ...]) -> float:
    """The learning rate of these steps. Adam moves a weight by the sign of its gradient, however small, which rounding may turn:
    with many weights the losses after large steps differ by more than the rounding of the products explains."""
    return 1e-4 if sizes in (WIDE, LARGE) else 1e-3


def checked(sizes: tuple[int, ...]) -> int:
    """Training steps after which losses are compared."""
    return 3 if sizes == LARGE else 4


LR = 1e-3
"""Of Adam on one flat buffer."""


def flat(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and gradients of n parameters, which repeat after 2^20."""
    rng = np.random.default_rng(6)
    w, dw = (rng.standard_normal(1 << 20, np.float32) for _ in range(2))
    return np.resize(w, n), np.resize(dw, n)
