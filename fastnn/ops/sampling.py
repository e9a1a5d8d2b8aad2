"""Random numbers of several distributions, made of uniform and normal ones, with PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, no_grad
from ..core.device import check_device
from .cast import astype
from .checks import as_tensor, check_number, floating, whole_number
from .create import rand, rand_like, randn, randn_like
from .elementwise import add, div, log1p, maximum, mul, neg
from .reduce import argmax
from .shape import unsqueeze
from .sort import argsort, topk

_TINY = 1e-30


def randperm(n: int, *, device: Any = None, generator: np.random.Generator | None = None) -> Tensor:
    """Return the whole numbers from 0 to n - 1 in random order.

    Args:
        n: how many.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        generator: a `fastnn.Generator` or one of NumPy; without it, the order depends on `fastnn.seed`.

    >>> import fastnn
    >>> sorted(fastnn.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    check_device(device, "randperm")
    n = whole_number(n, "randperm: n", 0)
    if generator is not None:
        return as_tensor(generator.permutation(n), "randperm")
    return argsort(rand(n, dtype=np.float64), 0)


def bernoulli(p: Any) -> Tensor:
    """Return 1 with the given probabilities, else 0, in their dtype.

    >>> import fastnn
    >>> fastnn.bernoulli(fastnn.tensor([0.0, 1.0])).tolist()
    [0.0, 1.0]
    """
    p = floating("bernoulli", as_tensor(p, "bernoulli")).detach()
    return astype(rand_like(p) < p, p.dtype)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None) -> Tensor:
    """Return normally distributed numbers.

    Args:
        mean, std: numbers, with a size; or a Tensor and a number or Tensor, which broadcast.
        size: shape of the result if both are numbers.

    >>> import fastnn
    >>> fastnn.normal(0.0, 1.0, (2, 3)).shape, fastnn.normal(fastnn.zeros(4), 0.1).shape
    ((2, 3), (4,))
    """
    if size is not None:
        return add(mul(randn(size), check_number(std, "normal: std", 0)), check_number(mean, "normal: mean", float("-inf")))
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        raise TypeError("normal: two numbers came without a size")
    with no_grad():
        center = add(mean, mul(std, 0.0))
        return add(mul(randn_like(center), std), mean)


def multinomial(input: Any, num_samples: int, replacement: bool = False) -> Tensor:
    """Draw indices of the last axis, with probabilities in the ratio of the elements.

    Args:
        input: weights (n,) or (m, n), which need not add up to 1.
        num_samples: number of indices for each row.
        replacement: whether an index can be drawn again.

    Returns:
        int64 (num_samples,) or (m, num_samples).

    Raises:
        ValueError: a weight is negative or not finite, a row has too few weights above 0, or the shape does not fit.

    >>> import fastnn
    >>> fastnn.multinomial(fastnn.tensor([0.0, 3.0, 1.0]), 2).tolist() in ([1, 2], [2, 1])
    True
    """
    w = floating("multinomial", as_tensor(input, "multinomial")).detach()
    count = whole_number(num_samples, "multinomial: num_samples", 1)
    if w.ndim not in (1, 2):
        raise ValueError(f"multinomial: shape {w.shape} came, wanted (n,) or (m, n)")
    values = w.data
    if w.size and not (values.min() >= 0 and values.max() < float("inf")):
        raise ValueError("multinomial: a weight is negative or not finite")
    least = (values > 0).sum(-1)
    if least.size and least.min() < (1 if replacement else count):
        raise ValueError(f"multinomial: a row has {least.min()} weights above 0, wanted {1 if replacement else count}")
    if replacement:
        w = unsqueeze(w, -2)
        noise = rand(*w.shape[:-2], count, w.shape[-1], dtype=w.dtype)
    else:
        noise = rand_like(w)
    # The greatest of weight / e, with exponentially distributed e, belongs to an index with the probability of its weight.
    keys = div(w, maximum(neg(log1p(neg(noise))), _TINY))
    return argmax(keys, -1) if replacement else topk(keys, count, -1).indices


def normal_like(x: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Return normally distributed numbers with the shape and dtype of x."""
    return add(mul(randn_like(x), check_number(std, "normal_: std", 0)), check_number(mean, "normal_: mean", float("-inf")))


def uniform_like(x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return uniform random numbers from [low, high) with the shape and dtype of x."""
    return add(mul(rand_like(x), high - low), low)
