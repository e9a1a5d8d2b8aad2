"""What differs between the two libraries, and data of the programs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Side(NamedTuple):
    """One of the two libraries."""

    keras: Any
    begin: Any
    """Sets the weights of a model to those that the first side began with."""
    folder: Path
    file: str
    """Ending of files of models."""
    weights_file: str
    """Ending of files of weights."""
    no_grad: type[AbstractContextManager[Any]]


def pictures(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 12x12 in which the class is the place of a bright square."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    x = rng.integers(0, 80, (n, 12, 12)).astype("uint8")
    for i, c in enumerate(y):
        x[i, 6 * (c // 2) + 1 : 6 * (c // 2) + 5, 6 * (c % 2) + 1 : 6 * (c % 2) + 5] += 150
    return x, y
