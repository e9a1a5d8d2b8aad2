"""Dropout and noise, and numbers from a layer's stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..core import arrays
from .checks import as_tensor, floating
from .elementwise import mul


def dropout(x: Tensor, state: Array, rate: Array) -> Tensor:
    """Return x / (1 - rate) for elements that a random number stream keeps, else 0.

    Args:
        x: any shape.
        state: uint64 (2,), the stream's seed and offset; moves on.
        rate: float64 (1,), the fraction of dropped elements.
    """
    return _dropped("dropout", x, state, rate)


def channel_dropout(x: Tensor, state: Array, rate: Array, axis: int, batch: bool = True) -> Tensor:
    """Return x / (1 - rate) for the channels that a random number stream keeps, else 0; arguments as in `dropout`.

    Args:
        axis: the axis of the channels.
        batch: whether the first axis is that of samples, which each have channels of their own.
    """
    x = floating("channel_dropout", as_tensor(x, "channel_dropout"))
    shape = tuple(n if d == axis or (batch and d == 0) else 1 for d, n in enumerate(x.shape))
    kept = dropout(Tensor(arrays.filled(current(), shape, x.dtype, 1.0)), state, rate)
    return mul(x, kept)


def alpha_dropout(x: Tensor, state: Array, rate: Array) -> Tensor:
    """Drop elements to SELU's minimum; scale and shift to keep mean 0 and variance 1. The arguments are those of `dropout`."""
    return _dropped("alpha_dropout", x, state, rate)


def gaussian_dropout(x: Tensor, state: Array, rate: Array) -> Tensor:
    """x times normal numbers of mean 1 and variance rate / (1 - rate); arguments as in `dropout`."""
    return _dropped("gaussian_dropout", x, state, rate)


def _dropped(kind: str, x: Tensor, state: Array, rate: Array) -> Tensor:
    x = floating(kind, as_tensor(x, kind))
    k = current()
    y, aux = k.empty(x.shape, x.dtype), k.empty(2, "uint64")
    getattr(k, f"{kind}_forward")(y, aux, state, x.data, rate)
    return result(kind, y, _dropped_backward, (x,), (aux, rate), {"rate": rate})


def _dropped_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    aux, rate = node.saved
    dx = grads.k.empty(dy.shape, dy.dtype)
    getattr(grads.k, f"{node.op}_backward")(dx, dy, aux, rate)
    grads.add(node.inputs[0], dx)


def gaussian_noise(x: Tensor, state: Array, stddev: Array) -> Tensor:
    """x plus normal numbers of mean 0.

    Args:
        x: any shape.
        state: uint64 (2,), the stream's seed and offset; moves on.
        stddev: float64 (1,).
    """
    x = floating("gaussian_noise", as_tensor(x, "gaussian_noise"))
    k = current()
    y = k.empty(x.shape, x.dtype)
    k.gaussian_noise_forward(y, k.empty(2, "uint64"), state, x.data, stddev)
    return result("gaussian_noise", y, _noise_backward, (x,), (), {"stddev": stddev})


def _noise_backward(grads: Gradients, node: Node, dy: Array) -> None:
    grads.add(node.inputs[0], dy)


def uniform(state: Array, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return uniform random numbers from low to high, in float64.

    Args:
        state: uint64 (2,), the stream's seed and offset; moves on.
    """
    unit = _drawn("random_uniform", state, shape, np.dtype(np.float64))
    return unit if (low, high) == (0.0, 1.0) else unit * (high - low) + low


def normal(state: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    """Return random numbers from the standard normal distribution; `state` is that of `uniform`."""
    return _drawn("random_normal", state, shape, dtype)


def _drawn(kernel: str, state: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    k = current()
    y = k.empty(shape, dtype)
    getattr(k, kernel)(y, k.empty(2, "uint64"), state)
    return Tensor(y)
