"""Large arrays that are cast batch by batch, since a cast of the whole array would need as much memory again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...core.tree import Tree, flatten, unflatten
from .arrays import Array, check_same_length, validation_split
from .checks import inputs_given
from .feed import PLAIN, Rows

LARGE = 1 << 30
"""Size in bytes above which an array is not cast as a whole. Memory maps are never cast as a whole."""


def by_batch(model: Any, op: str, x: Any, y: Any, weight: Any, batch_size: int | None) -> ArrayRows | None:
    """Return a feed that casts each batch, if one of the arrays is large and needs a cast; else None.

    Raises:
        ValueError: the arrays have different lengths.
    """
    trees, parts = [], []
    for value in (x, y, weight):
        tree, leaves = flatten(value, _is_rows)
        trees.append(tree)
        parts.append(leaves)
    dtype = np.dtype(model.dtype)
    wanted = [(a, spec.cast(a.dtype, dtype)) for a, spec in inputs_given(model, x, op, "x")[1] if isinstance(a, np.ndarray)]
    wanted += [(a, np.dtype(np.int64) if i == 1 and a.dtype == np.int64 else dtype) for i in (1, 2) for a in _arrays(parts[i])]
    if not any(_is_large(a, d) for a, d in wanted):
        return None
    arrays = [[np.asarray(a) for a in leaves] for leaves in parts]
    names = ("x", "y", "sample_weight")
    named = [(name, a) for name, leaves in zip(names, arrays, strict=True) for a in leaves]
    for name, a in named:
        check_same_length(op, **{"x": named[0][1], name if name != "x" else "x[1]": a})
    return ArrayRows(trees, arrays, PLAIN if batch_size is None else batch_size)


class ArrayRows(Rows):
    """Feed of batches from arrays of x, y and the weights, each flattened to a list of arrays."""

    own = False

    def __init__(self, trees: list[Tree], arrays: list[list[Array]], batch_size: int) -> None:
        super().__init__(arrays[0][0], "x", len(arrays[0][0]), self._rows, batch_size)
        self.trees, self.arrays = trees, arrays

    def _rows(self, places: Any) -> Any:
        parts = zip(self.trees, self.arrays, strict=True)
        return tuple(unflatten(tree, [a[places] for a in arrays]) for tree, arrays in parts)

    def split(self, fraction: float, batch_size: int) -> tuple[ArrayRows, ArrayRows]:
        """Return a feed for training, and a feed for validation with the last samples in batches of this size."""
        parts = [validation_split(arrays, fraction) if arrays else ((), ()) for arrays in self.arrays]
        first, last = ([list(part[i]) for part in parts] for i in (0, 1))
        return ArrayRows(self.trees, first, self.batch_size), ArrayRows(self.trees, last, batch_size)  # type: ignore[arg-type]


def _is_rows(value: Any) -> bool:
    """Return whether a list contains rows of numbers, and no arrays or dicts."""
    return isinstance(value, list | tuple) and not any(isinstance(item, np.ndarray | Mapping) for item in value)


def _arrays(leaves: list[Any]) -> list[Array]:
    return [a for a in leaves if isinstance(a, np.ndarray)]


def _is_large(a: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether the array needs a cast and the result would be large."""
    if a.dtype.kind not in "fiub" or not a.ndim or (a.flags.c_contiguous and a.flags.aligned and a.dtype == dtype):
        return False
    return isinstance(a, np.memmap) or a.size * dtype.itemsize > LARGE
