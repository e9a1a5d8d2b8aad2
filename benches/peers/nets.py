"""Define sizes, weights and samples for all contenders, the same in every process; take the steps of Adam that check them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np

SEED = (400, 15, 15, 15, 10)
SMALL = (8, 64, 64, 4)
MEDIUM = (784, 512, 512, 10)
RL = (17, 256, 256, 6)
WIDE = (1024, 2048, 2048, 1024)
LARGE = (4096, 4096, 4096, 4096)
CPU = SEED, SMALL, RL, MEDIUM, WIDE
"""Nets of the rows of a CPU."""

BATCHES = {SEED: 125, SMALL: 125, MEDIUM: 32, WIDE: 4, LARGE: 4}
"""Number of batches in the training data of a net. The data exceed the second-level cache and have a sample of each class."""
DISTINCT = 512
"""Number of different rows in a batch of the large net. The other rows repeat them, so that mean losses and gradients are those
of the different rows, and the reference computes only these."""
LR = 1e-3
STILL = 1e-6
"""Learning rate while training is timed. It is so small that the net does not learn, so gradients remain normal numbers in long
runs, too."""


def title(sizes: Sequence[int]) -> str:
    return "-".join(map(str, sizes))


def lr(sizes: tuple[int, ...]) -> float:
    """Return the learning rate of the steps that are checked.

    In its first steps, Adam moves a weight by the sign of its gradient. Rounding can change the sign of a small gradient. With
    many weights and a large learning rate, the losses then differ by more than the rounding of the products explains.
    """
    return 1e-4 if sizes in (WIDE, LARGE) else LR


def checked(sizes: tuple[int, ...]) -> int:
    """Return the number of training steps after which losses are compared."""
    return 3 if sizes == LARGE else 4


@functools.lru_cache(maxsize=2)
def weights(sizes: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the weights (in, out) and biases of the layers, between which there are ReLUs."""
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
    """Return the batches of the training data without repeated rows."""
    rows = min(batch, DISTINCT) if sizes == LARGE else batch
    x, y = samples(sizes, rows * BATCHES[sizes])
    return [(x[i : i + rows], y[i : i + rows]) for i in range(0, len(x), rows)]


@functools.lru_cache(maxsize=2)
def data(sizes: tuple[int, ...], batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of the training data; they are views of one array if no rows repeat."""
    few = distinct(sizes, batch)
    return few if len(few[0][0]) == batch else [(np.resize(x, (batch, sizes[0])), np.resize(y, batch)) for x, y in few]


def flat(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and gradients of n parameters; the values repeat after 2^20 elements."""
    rng = np.random.default_rng(6)
    w, dw = (rng.standard_normal(1 << 20, np.float32) for _ in range(2))
    return np.resize(w, n), np.resize(dw, n)


def adam(w: np.ndarray, m: np.ndarray, v: np.ndarray, g: np.ndarray, t: int, lr: float, eps: float = 1e-8) -> None:
    """Take step t of Adam, from 1 on: change weights w and the averages m and v by the gradients g."""
    m += 0.1 * (g - m)
    v += 0.001 * (g * g - v)
    w -= lr / (1 - 0.9**t) * m / (np.sqrt(v / (1 - 0.999**t)) + eps)


def head(features: int, classes: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hidden states (rows, features), a weight (features, classes), and labels."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((rows, features), np.float32)
    w = rng.standard_normal((features, classes), np.float32) * np.float32(features**-0.5)
    return x, w, rng.integers(0, classes, rows)


def matrices(m: int, k: int, n: int, layout: str = "nn", start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors of a product (m, k) x (k, n), as they are stored: "t" in the layout stores the transpose of a factor.

    The arrays start `start` bytes after a multiple of 64. With 0 they are aligned as all libraries align their parameters.
    """
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    a, b = (a.T if layout[0] == "t" else a), (b.T if layout[1] == "t" else b)
    return placed(a, start), placed(b, start)


def placed(values: np.ndarray, start: int = 0) -> np.ndarray:
    """Return a contiguous copy in float32 that starts `start` bytes after a multiple of 64."""
    raw = np.empty(values.size + 32, np.float32)
    first = (start - raw.ctypes.data) % 64 // 4
    a = raw[first : first + values.size].reshape(values.shape)
    a[...] = values
    return a


def factors(m: int, k: int, n: int, layout: str = "nn", start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return views (m, k) and (k, n) of the arrays of `matrices`."""
    a, b = matrices(m, k, n, layout, start)
    return (a.T if layout[0] == "t" else a), (b.T if layout[1] == "t" else b)
