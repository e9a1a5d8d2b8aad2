"""Computes the right results in float64 with NumPy, and bounds the errors of each precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import nets
from .numpy import Net

MOST = {
    "train": {"float32": 1e-4, "tf32": 5e-3, "bfloat16": 3e-2},
    "matmul": {"float32": 1e-5, "tf32": 1e-3, "bfloat16": 1e-2},
    "predict": {"float32": 1e-5},
    "head": {"float32": 1e-5},
    "adam": {"float32": 1e-6},
}
"""Largest allowed error by kind of work and precision.

Losses: relative to each. Arrays: the norm of the error relative to that of the right result and, in float32, the largest error
relative to the largest value.
"""
MOST_ON_CPU = {"train": {"bfloat16": 1e-2}}
"""Bounds that are smaller on a CPU, where only factors are rounded."""

ACCURACY = 0.03
"""How far mean test accuracies of the digits may lie apart: a seed more or less moves one by 0.02."""
ADAM_STEPS = 3


class WrongResultError(Exception):
    """A contender computed something else."""


def rows_of(shape: tuple[int, int, int]) -> np.ndarray:
    """Return the rows of a product that are compared: all of them, or of a large one some that are spread over all."""
    m, _, n = shape
    return np.arange(m) if m * n <= 1 << 22 else np.unique(np.linspace(0, m - 1, 64).astype(int))


def expected(kind: str, args: tuple[Any, ...]) -> list[np.ndarray]:
    """Return the result in float64, as a list of arrays."""
    if kind == "matmul":
        a, b = nets.matrices(*args[0])
        return [a[rows_of(args[0])].astype(np.float64) @ b.astype(np.float64)]
    if kind == "head":
        return _head(*args)
    if kind == "adam":
        return _adam(*args)
    sizes, batch = args
    if kind == "predict":
        return [Net(sizes, batch, np.float64).forward(nets.samples(sizes, batch)[0])]
    few = nets.distinct(sizes, batch)[: nets.checked(sizes)]
    return Net(sizes, len(few[0][0]), np.float64).after(few)


def _head(features: int, classes: int, rows: int) -> list[np.ndarray]:
    x, w, labels = (a.astype(np.float64) if a.dtype.kind == "f" else a for a in nets.head(features, classes, rows))
    z = x @ w
    z -= z.max(1, keepdims=True)
    at = np.arange(rows), labels
    chosen = z[at]
    p = np.exp(z, out=z)
    total = p.sum(1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - chosen)
    p /= total
    p[at] -= 1
    p /= rows
    return head_result(loss, p @ w.T, x.T @ p)


def head_result(loss: Any, dx: np.ndarray, dw: np.ndarray) -> list[np.ndarray]:
    """Return what is compared of a head's loss and gradients: dw (features, classes) is too large to be sent, so its products
    with a random vector on each side, in which every element takes part, and some of its columns."""
    rng = np.random.default_rng(5)
    k, n = dw.shape
    right, left = rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, k)
    blocks = [(slice(i, i + 4096), dw[:, i : i + 4096].astype(np.float64)) for i in range(0, n, 4096)]
    rows, columns = sum(block @ right[at] for at, block in blocks), np.concatenate([left @ block for _, block in blocks])
    return [np.asarray(loss), np.asarray(dx), np.asarray(rows), columns, dw[:, rng.integers(0, n, 64)]]


def _adam(n: int) -> list[np.ndarray]:
    """Return what `ends` returns: the weights from the first one on; then, up to the last one, weights and both moments."""
    w, g = (a.astype(np.float64) for a in nets.flat(min(n, 1 << 20)))
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, ADAM_STEPS + 1):
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        w -= nets.LR / (1 - 0.9**t) * m / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return [w, w, m, v]


def ends(host: Callable[[Any], np.ndarray], w: Any, m: Any, v: Any) -> list[np.ndarray]:
    """Return what is compared of Adam's arrays: at most 2^20 elements of each, which `nets.flat` then repeats.

    Args:
        host: turns an array of the device into one of NumPy.
        w: the weights; m and v: the moments.
    """
    n = len(w)
    few = min(n, 1 << 20)
    return [host(w[:few]), *(np.roll(host(a[n - few :]), (n - few) % few) for a in (w, m, v))]


def probabilities(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(p / p.sum(1, keepdims=True))


def check(kind: str, precision: str, got: Sequence[Any], want: Sequence[np.ndarray], device: str = "cuda") -> float:
    """Return the largest of the errors of the parts.

    Raises:
        WrongResultError: it is larger than rounding explains, or the parts are other ones or have other shapes.
    """
    shapes = [np.shape(g) for g in got], [w.shape for w in want]
    if shapes[0] != shapes[1]:
        raise WrongResultError(f"shapes {shapes[0]}, wanted {shapes[1]}")
    found = float(np.max([_error(kind, precision, np.asarray(g, np.float64), w) for g, w in zip(got, want, strict=True)]))
    most = MOST[kind][precision]
    if device == "cpu":
        most = MOST_ON_CPU.get(kind, {}).get(precision, most)
    if not found <= most:
        raise WrongResultError(f"an error of {found:.1e}, wanted {most:.0e} at most")
    return found


def _error(kind: str, precision: str, got: np.ndarray, want: np.ndarray) -> float:
    """Return one part's error; NaN where there is one in it."""
    difference = got - want
    if kind == "train":
        return float(np.abs(difference / want).max())
    error = float(np.linalg.norm(difference) / (np.linalg.norm(want) or 1.0))
    if precision == "float32":
        error = float(np.maximum(error, np.abs(difference).max() / (np.abs(want).max() or 1.0)))
    return error


def check_accuracies(accuracy: dict[str, float]) -> None:
    """Compare mean test accuracies of the digits.

    Raises:
        WrongResultError: fastnn's is lower than that of the others.
    """
    for name, value in accuracy.items():
        if accuracy["fastnn"] < value - ACCURACY:
            raise WrongResultError(f"the digits: fastnn's test accuracy is {accuracy['fastnn']:.3f}, that of {name} {value:.3f}")
