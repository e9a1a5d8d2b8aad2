"""Random Tensors with Keras's names and arguments; `fastnn.keras.random` has them.

With ``seed=None`` they come from the stream of `fastnn.seed`, with a number they are the same in each call, and a `SeedGenerator`
continues a stream of its own. The draws of recorded steps are new in each replay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current, shared_array
from ..core.seeding import stream
from ..ops import elementwise, reduce, shape
from ..ops import random as draw
from ..ops.checks import as_tensor


class SeedGenerator:
    """Stream of random numbers with a seed.

    >>> import fastnn.keras as keras
    >>> seed = keras.random.SeedGenerator(1)
    >>> a, b = keras.random.normal((2,), seed=seed), keras.random.normal((2,), seed=seed)
    >>> bool((a == b).all())
    False
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self.name = name or "seed_generator"
        first = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
        self.state = shared_array(np.array([first, 0], np.uint64), np.uint64)


def _state(seed: Any) -> Array:
    if seed is None:
        return stream(current())
    return (seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed)).state


def _sizes(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int) else tuple(int(n) for n in shape)


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Return normal random numbers.

    >>> import fastnn.keras as keras
    >>> keras.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    unit = draw.normal(_state(seed), _sizes(shape), np.dtype(dtype or "float32"))
    return unit if (mean, stddev) == (0.0, 1.0) else unit * stddev + mean


def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """Return uniform random numbers from minval to maxval."""
    drawn = draw.uniform(_state(seed), _sizes(shape), minval, maxval)
    return elementwise.astype(drawn, np.dtype(dtype or "float32"))


def randint(shape: Any, minval: int, maxval: int, dtype: Any = "int64", seed: Any = None) -> Tensor:
    """Return whole random numbers from minval to maxval - 1, as int64."""
    if np.dtype(dtype).kind != "i":
        raise TypeError(f"randint: dtype is {dtype}; wanted int32 or int64, and the result has int64")
    drawn = draw.uniform(_state(seed), _sizes(shape), minval, maxval)
    return elementwise.astype(elementwise.floor(drawn), np.dtype("int64"))


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    """Return the inputs divided by 1 - rate, a share of ``rate`` of them replaced by 0."""
    if noise_shape is not None:
        raise ValueError(f"dropout: noise_shape is {noise_shape}; wanted None")
    return draw.dropout(as_tensor(inputs, "dropout"), _state(seed), shared_array([float(rate)]))


def categorical(logits: Any, num_samples: int, dtype: Any = "int64", seed: Any = None) -> Tensor:
    """Return num_samples draws of a class for each row of logits (n, C), as int64 (n, num_samples)."""
    if np.dtype(dtype).kind != "i":
        raise TypeError(f"categorical: dtype is {dtype}; wanted int32 or int64, and the result has int64")
    logits = as_tensor(logits, "categorical")
    if logits.ndim != 2:
        raise ValueError(f"categorical: logits have shape {logits.shape}; wanted (n, C)")
    u = elementwise.astype(draw.uniform(_state(seed), (logits.shape[0], num_samples, logits.shape[1]), 1e-20, 1.0), logits.dtype)
    noise = elementwise.neg(elementwise.log(elementwise.neg(elementwise.log(u))))
    return reduce.argmax(shape.reshape(logits, (logits.shape[0], 1, -1)) + noise, axis=-1)
