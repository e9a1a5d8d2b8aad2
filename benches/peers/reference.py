"""Computes the correct results in float64 with NumPy, and defines bounds for the errors of each precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import cnn, image_reference, images, nets, sequence_reference
from .numpy import Net

MOST = {
    "train": {"float32": 1e-4, "tf32": 5e-3, "bfloat16": 3e-2},
    "matmul": {"float32": 1e-5, "tf32": 1e-3, "bfloat16": 1e-2},
    "predict": {"float32": 1e-5},
    "latency": {"float32": 1e-5},
    "head": {"float32": 1e-5},
    "adam": {"float32": 1e-6},
    "cnn_train": {"float32": 1e-4},
    "cnn_predict": {"float32": 1e-5},
    "net_train": {"float32": 1e-4},
    "convolution": {"float32": 1e-5},
    "convolution_gradients": {"float32": 1e-5},
    "text_train": {"float32": 1e-4},
    "text_predict": {"float32": 1e-5},
    "stream": {"float32": 1e-5},
    "generate": {"float32": 1e-5},
    "attention_gradients": {"float32": 1e-5},
    "embedding": {"float32": 1e-6},
    "sparse_embedding": {"float32": 1e-6},
}
"""Largest allowed error by kind of work and precision.

For losses: the relative error of each loss. For arrays: the norm of the error relative to that of the correct result and, in
float32, the largest error relative to the largest value, too.
"""
MOST_ON_CPU = {"train": {"bfloat16": 1e-2}}
"""Smaller bounds for a CPU, on which only the factors of products are rounded."""

ACCURACY = 0.03
"""Largest allowed difference of mean test accuracies on the digits. One more or one less seed changes a mean by 0.02."""
ADAM_STEPS = 3


class WrongResultError(Exception):
    """Error of a contender that computes a wrong result."""


def rows_of(shape: tuple[int, int, int]) -> np.ndarray:
    """Return the indices of the rows of a product that are compared: all rows, or rows spread over a large product."""
    m, _, n = shape
    return np.arange(m) if m * n <= 1 << 22 else np.unique(np.linspace(0, m - 1, 64).astype(int))


def expected(kind: str, args: tuple[Any, ...]) -> list[np.ndarray]:
    """Return the result in float64, as a list of arrays."""
    if kind == "matmul":
        shape, layout, _ = args
        a, b = nets.factors(*shape, layout)
        return [a[rows_of(shape)].astype(np.float64) @ b.astype(np.float64)]
    if kind == "head":
        return _head(*args)
    if kind == "adam":
        return _adam(*args)
    if kind == "cnn_predict":
        return [probabilities(cnn.Net().forward(cnn.data(*args)[0][0]))]
    if kind == "cnn_train":
        return cnn.Net().after(cnn.data(*args)[: cnn.CHECKED])
    if kind == "net_train":
        return image_reference.Net(args[0]).after(images.data(*args)[: images.CHECKED])
    if kind.startswith("convolution"):
        return image_reference.convolution(*args, gradients=kind.endswith("gradients"))
    if kind in sequence_reference.KINDS:
        return sequence_reference.expected(kind, args)
    sizes, batch = (args[0], 1) if kind == "latency" else args
    if kind in ("predict", "latency"):
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
    """Return the arrays that are compared for the loss and gradients of a head. The matrix dw (features, classes) is too large to
    be sent to another process. It is replaced by its products with a random vector on each side, which depend on every element,
    and by some of its columns."""
    rng = np.random.default_rng(5)
    k, n = dw.shape
    right, left = rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, k)
    blocks = [(slice(i, i + 4096), dw[:, i : i + 4096].astype(np.float64)) for i in range(0, n, 4096)]
    rows, columns = sum(block @ right[at] for at, block in blocks), np.concatenate([left @ block for _, block in blocks])
    return [np.asarray(loss), np.asarray(dx), np.asarray(rows), columns, dw[:, rng.integers(0, n, 64)]]


def _adam(n: int) -> list[np.ndarray]:
    """Return the correct result of `ends`: the first weights, then the last weights and both moments."""
    w, g = (a.astype(np.float64) for a in nets.flat(min(n, 1 << 20)))
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, ADAM_STEPS + 1):
        nets.adam(w, m, v, g, t, nets.LR)
    return [w, w, m, v]


def ends(host: Callable[[Any], np.ndarray], w: Any, m: Any, v: Any) -> list[np.ndarray]:
    """Return the parts of Adam's arrays that are compared: at most 2^20 elements of each, because `nets.flat` repeats them.

    Args:
        host: converts an array of the device to a NumPy array.
        w: the weights.
        m: the first moments.
        v: the second moments.
    """
    n = len(w)
    few = min(n, 1 << 20)
    return [host(w[:few]), *(np.roll(host(a[n - few :]), (n - few) % few) for a in (w, m, v))]


def probabilities(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(p / p.sum(1, keepdims=True))


def check(kind: str, precision: str, got: Sequence[Any], want: Sequence[np.ndarray], device: str = "cuda") -> float:
    """Return the largest error of all arrays.

    Raises:
        WrongResultError: the error is larger than rounding explains, or the number of arrays or their shapes are wrong.
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
    """Return the error of one array; NaN if the array contains NaN."""
    difference = got - want
    if kind.endswith("train"):
        return float(np.abs(difference / want).max())
    error = float(np.linalg.norm(difference) / (np.linalg.norm(want) or 1.0))
    if precision == "float32":
        error = float(np.maximum(error, np.abs(difference).max() / (np.abs(want).max() or 1.0)))
    return error


def check_accuracies(accuracy: dict[str, float]) -> None:
    """Compare mean test accuracies of the digits.

    Raises:
        WrongResultError: the accuracy of fastnn is lower than that of another contender by more than `ACCURACY`.
    """
    for name, value in accuracy.items():
        if accuracy["fastnn"] < value - ACCURACY:
            raise WrongResultError(f"the digits: fastnn's test accuracy is {accuracy['fastnn']:.3f}, that of {name} {value:.3f}")
