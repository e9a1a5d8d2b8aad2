"""What all contenders are given: sizes, weights and samples, the same in every process."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

SEED = (400, 15, 15, 15, 10)
SMALL = (8, 64, 64, 4)
MEDIUM = (784, 512, 512, 10)
WIDE = (1024, 2048, 2048, 1024)

LR = 1e-3
STILL = 1e-6
"""The learning rate while training is timed: nothing is learnt, so gradients stay normal numbers however long it takes."""


def title(sizes: Sequence[int]) -> str:
    return "-".join(map(str, sizes))


def weights(sizes: Sequence[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(in, out) matrices and biases, ReLU between the layers."""
    rng = np.random.default_rng(1)
    return [
        ((rng.standard_normal((i, o)) * (2 / i) ** 0.5).astype(np.float32), (0.1 * rng.standard_normal(o)).astype(np.float32))
        for i, o in itertools.pairwise(sizes)
    ]


def batches(sizes: Sequence[int]) -> int:
    """Batches in the training data of a net: more than the second cache holds, and one sample of each class at least."""
    return {SEED: 125, SMALL: 125, MEDIUM: 32, WIDE: 4}[tuple(sizes)]


def samples(sizes: Sequence[int], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal inputs and random labels, of which each class has its share."""
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, sizes[0])).astype(np.float32), rng.permutation(np.arange(n) % sizes[-1])


def training_data(sizes: Sequence[int], batch: int, count: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of the training data, or its first ones."""
    x, y = samples(sizes, batch * batches(sizes))
    return [(x[i : i + batch], y[i : i + batch]) for i in range(0, batch * (count or batches(sizes)), batch)]


def head(features: int, classes: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hidden states (rows, features), a weight (features, classes), and labels."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((rows, features), np.float32)
    w = rng.standard_normal((features, classes), np.float32) * np.float32(features**-0.5)
    return x, w, rng.integers(0, classes, rows)


def matrices(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """a (m, k) and b (k, n), at multiples of 64 bytes, where the parameters of all libraries lie."""
    m, k, n = shape
    rng = np.random.default_rng(3)
    return _aligned(rng.standard_normal((m, k))), _aligned(rng.standard_normal((k, n)))


def _aligned(values: np.ndarray) -> np.ndarray:
    raw = np.empty(values.size + 16, np.float32)
    start = -raw.ctypes.data % 64 // 4
    a = raw[start : start + values.size].reshape(values.shape)
    a[...] = values
    return a
