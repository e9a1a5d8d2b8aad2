"""Sizes, weights and samples for all contenders, the same in every process."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np

SEED = (400, 15, 15, 15, 10)
SMALL = (8, 64, 64, 4)
MEDIUM = (784, 512, 512, 10)
WIDE = (1024, 2048, 2048, 1024)
LARGE = (4096, 4096, 4096, 4096)

BATCHES = {SEED: 125, SMALL: 125, MEDIUM: 32, WIDE: 4, LARGE: 4}
"""Batches in the training data of a net: more than the second-level cache holds, and at least one sample of each class."""
DISTINCT = 512
"""Rows of the large net's batch that differ; the others repeat them, so that mean losses and gradients are those of these rows,
and the reference needs no more of them."""
LR = 1e-3
STILL = 1e-6
"""The learning rate while training is timed: nothing is learnt, so gradients stay normal numbers however long it takes."""


def title(sizes: Sequence[int]) -> str:
    return "-".join(map(str, sizes))


def lr(sizes: tuple[int, ...]) -> float:
    """Return the learning rate of steps that are checked.

    Adam moves a weight by the sign of its gradient, however small, which rounding may turn: with many weights the losses after
    large steps differ by more than the rounding of the products explains.
    """
    return 1e-4 if sizes in (WIDE, LARGE) else LR


def checked(sizes: tuple[int, ...]) -> int:
    """Return the number of training steps after which losses are compared."""
    return 3 if sizes == LARGE else 4


@functools.lru_cache(maxsize=2)
def weights(sizes: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (in, out) matrices and biases; there is a ReLU between the layers."""
    rng = np.random.default_rng(1)
    return [
        ((rng.standard_normal((i, o)) * (2 / i) ** 0.5).astype(np.float32), (0.1 * rng.standard_normal(o)).astype(np.float32))
        for i, o in itertools.pairwise(sizes)
    ]


def samples(sizes: Sequence[int], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return normal inputs and random labels, with an equal share of each class."""
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, sizes[0])).astype(np.float32), rng.permutation(np.arange(n) % sizes[-1])


def distinct(sizes: tuple[int, ...], batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of the training data, without the rows that repeat others."""
    rows = min(batch, DISTINCT) if sizes == LARGE else batch
    x, y = samples(sizes, rows * BATCHES[sizes])
    return [(x[i : i + rows], y[i : i + rows]) for i in range(0, len(x), rows)]


@functools.lru_cache(maxsize=2)
def data(sizes: tuple[int, ...], batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of the training data, views of one array where no rows repeat."""
    few = distinct(sizes, batch)
    return few if len(few[0][0]) == batch else [(np.resize(x, (batch, sizes[0])), np.resize(y, batch)) for x, y in few]


def flat(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and gradients of n parameters, which repeat after 2^20."""
    rng = np.random.default_rng(6)
    w, dw = (rng.standard_normal(1 << 20, np.float32) for _ in range(2))
    return np.resize(w, n), np.resize(dw, n)


def head(features: int, classes: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hidden states (rows, features), a weight (features, classes), and labels."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((rows, features), np.float32)
    w = rng.standard_normal((features, classes), np.float32) * np.float32(features**-0.5)
    return x, w, rng.integers(0, classes, rows)


def matrices(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a (m, k) and b (k, n), at multiples of 64 bytes, where all libraries put their parameters."""
    m, k, n = shape
    rng = np.random.default_rng(3)
    return _aligned(rng.standard_normal((m, k))), _aligned(rng.standard_normal((k, n)))


def _aligned(values: np.ndarray) -> np.ndarray:
    raw = np.empty(values.size + 16, np.float32)
    start = -raw.ctypes.data % 64 // 4
    a = raw[start : start + values.size].reshape(values.shape)
    a[...] = values
    return a
