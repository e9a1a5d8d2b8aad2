"""A frozen model for batches of any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from .frozen import Snapshot

MOST_SIZES = 32
"""Batch sizes whose recordings are kept: those that were made last."""
_TRIED = 7
"""The batch size that is recorded at once, so that what cannot be frozen is found; few other axes have that size."""


class FrozenBatches:
    """Calls a frozen model that is recorded for each batch size at its first call.

    Sizes are not padded: what reduces over the batch sees the caller's rows alone.
    """

    batch_size = None

    def __init__(self, snapshot: Snapshot, max_batch_size: int | None) -> None:
        self.max_batch_size = max_batch_size
        self._snapshot = snapshot
        self._sizes = {_TRIED: snapshot.record(_TRIED, any_rows=True)}
        assert snapshot.ports is not None
        self._ports = snapshot.ports
        self._by_shape: dict[tuple[int, ...], Any] = {}  # by the shape of the first input

    def __call__(self, *x: Any, out: Any = None) -> Any:
        try:
            frozen = self._by_shape[x[0].shape]
        except (KeyError, IndexError, AttributeError, TypeError):  # a new size, or no array
            frozen = self._of(x)
        return frozen(*x, out=out)

    def _of(self, x: tuple[Any, ...]) -> Any:
        """Return the frozen model for inputs like these."""
        first, rows = self._ports.rows(x)
        if self.max_batch_size is not None and rows > self.max_batch_size:
            raise ValueError(f"frozen model: {rows} samples came; it was frozen with max_batch_size={self.max_batch_size}")
        with self._snapshot.lock:
            if rows not in self._sizes:
                self._sizes[rows] = self._snapshot.record(rows, any_rows=True)
                if len(self._sizes) > MOST_SIZES:
                    oldest = self._sizes.pop(next(iter(self._sizes)))
                    self._by_shape = {shape: f for shape, f in self._by_shape.items() if f is not oldest}
            frozen = self._sizes[rows]
            if isinstance(first, np.ndarray):
                self._by_shape[first.shape] = frozen
        return frozen

    def update(self, weights: Any) -> None:
        """Take the weights of a model of the same structure, or of a state_dict: calls see the old ones or the new ones."""
        with self._snapshot.lock:
            self._snapshot.update(list(self._sizes.values()), weights)

    @property
    def state(self) -> dict[str, Any]:
        """Nothing: a state belongs to the samples of one batch."""
        return {}

    def __reduce__(self) -> Any:
        return self._snapshot.reduce(self)

    def __repr__(self) -> str:
        return str(self._ports)
