"""The stream of random numbers behind initialisation, shuffling and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

_generator: Any = None


def seed(n: int) -> None:
    """Makes everything random from here on repeatable: initial weights, the order of batches, dropout.

    >>> import fastnn
    >>> fastnn.seed(0); a = fastnn.Dense(2, input_shape=(3,)).get_weights()[0]
    >>> fastnn.seed(0); b = fastnn.Dense(2, input_shape=(3,)).get_weights()[0]
    >>> bool((a == b).all())
    True
    """
    global _generator
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise ValueError(f"seed: {n!r}, wanted a whole number of at least 0")
    _generator = np.random.Generator(np.random.Philox(int(n)))


def generator() -> np.random.Generator:
    """The stream itself; unpredictable until `seed` is called."""
    global _generator
    if _generator is None:
        _generator = np.random.Generator(np.random.Philox())
    result: np.random.Generator = _generator
    return result
