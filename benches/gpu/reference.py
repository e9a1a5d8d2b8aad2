"""What is right, in float64 by NumPy on the host, and how far each precision may be from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from peers.nets import matrices, samples
from peers.numpy import Net
from peers.numpy import reference as on_host

from . import nets

ROWS = 64
"""Of a product, spread over all, that are compared."""

MOST = {
    "train": {"float32": 1e-4, "tf32": 5e-3, "bfloat16": 3e-2},
    "matmul": {"float32": 1e-5, "tf32": 1e-3, "bfloat16": 1e-2},
    "predict": {"float32": 1e-5},
    "head": {"float32": 1e-5},
    "adam": {"float32": 1e-6},
}
"""The largest error by kind of work and precision: of losses relative to each, of arrays their norm's relative to the right
one's."""

ADAM_STEPS = 3


class WrongResultError(Exception):
    """A contender computed something else."""


def rows_of(m: int) -> np.ndarray:
    """The rows of a product that are compared."""
    return np.unique(np.linspace(0, m - 1, min(m, ROWS)).astype(int))


def expected(kind: str, args: tuple[Any, ...]) -> list[np.ndarray]:
    """The result in float64, as a list of arrays."""
    if kind == "matmul":
        a, b = matrices(*args[0])
        return [a[rows_of(args[0][0])].astype(np.float64) @ b.astype(np.float64)]
    if kind == "head":
        return [np.asarray(part) for part in on_host("head", args)]
    if kind == "adam":
        return _adam(*args)
    sizes, batch = args
    if kind == "predict":
        x = samples(sizes, batch)[0]
        return [_net(sizes, batch).forward(x)]
    few = nets.distinct(sizes, batch)[: nets.checked(sizes)]
    net = _net(sizes, len(few[0][0]))
    for x, y in few:
        net.step(x, y)
    return [np.array([net.loss(x, y) for x, y in few])]


def _net(sizes: tuple[int, ...], rows: int) -> Net:
    return Net(sizes, rows, nets.lr(sizes), np.float64)


def _adam(n: int) -> list[np.ndarray]:
    """As `ends` has it: the weights, from the first one on; then, up to the last one, weights and both moments."""
    w, g = (a.astype(np.float64) for a in nets.flat(min(n, 1 << 20)))
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, ADAM_STEPS + 1):
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        w -= nets.LR / (1 - 0.9**t) * m / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return [w, w, m, v]


def ends(host: Callable[[Any], np.ndarray], w: Any, m: Any, v: Any) -> list[np.ndarray]:
    """What is compared of Adam's arrays: no more than 2^20 elements of each, which `nets.flat` then repeats.

    Args:
        host: an array of the device as one of NumPy.
        w: the weights; m and v: the moments.
    """
    n = len(w)
    few = min(n, 1 << 20)
    return [host(w[:few]), *(np.roll(host(a[n - few :]), (n - few) % few) for a in (w, m, v))]


def error(kind: str, got: Sequence[Any], want: Sequence[np.ndarray]) -> float:
    """The largest of the errors of the parts; NaN where there is one in them.

    Raises:
        WrongResultError: another number of parts, or other shapes.
    """
    shapes = [np.shape(g) for g in got], [w.shape for w in want]
    if shapes[0] != shapes[1]:
        raise WrongResultError(f"shapes {shapes[0]}, wanted {shapes[1]}")
    errors = []
    for g, w in zip(got, want, strict=True):
        difference = np.asarray(g, np.float64) - w
        if kind == "train":
            errors.append(np.abs(difference / w).max())
        else:
            errors.append(np.linalg.norm(difference) / (np.linalg.norm(w) or 1.0))
    return float(np.max(errors))


def check(kind: str, precision: str, got: Sequence[Any], want: Sequence[np.ndarray]) -> float:
    """The error.

    Raises:
        WrongResultError: it is larger than rounding explains.
    """
    most, found = MOST[kind][precision], error(kind, got, want)
    if not found <= most:
        raise WrongResultError(f"an error of {found:.1e}, wanted {most:.0e} at most")
    return found
