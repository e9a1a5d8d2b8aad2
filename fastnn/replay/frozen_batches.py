"""A frozen model for batches of any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from .frozen import Snapshot

MOST_SIZES = 32
"""Maximal number of batch sizes whose recordings are kept; the newest ones are kept."""
_TRIED = 7
"""Batch size that is recorded first, to find models that cannot be frozen. Other axes rarely have this size."""


class FrozenBatches:
    """Frozen model for any batch size. It makes a recording at the first call with each batch size.

    Batches are not padded: reductions over the batch axis see only the caller's rows.
    """

    batch_size = None

    def __init__(self, snapshot: Snapshot, max_batch_size: int | None) -> None:
        self.max_batch_size = max_batch_size
        self._snapshot = snapshot
        self._sizes = {_TRIED: snapshot.record(_TRIED, any_rows=True)}
        assert snapshot.ports is not None
        self._ports = snapshot.ports
        self._by_shape: dict[tuple[int, ...], Any] = {}  # shape of the first input -> frozen model

    def __call__(self, *x: Any, out: Any = None) -> Any:
        try:
            frozen = self._by_shape[x[0].shape]
        except (KeyError, IndexError, AttributeError, TypeError):  # a new batch size, or not an array
            frozen = self._of(x)
        return frozen(*x, out=out)

    def _of(self, x: tuple[Any, ...]) -> Any:
        """Return the frozen model for the batch size of these inputs; record it if it is new."""
        first, rows = self._ports.rows(x)
        if self.max_batch_size is not None and rows > self.max_batch_size:
            raise ValueError(f"frozen model: got {rows} samples, but it was frozen with max_batch_size={self.max_batch_size}")
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
        """Copy the weights of a model with the same structure, or of a state_dict.

        A call in another thread sees only old or only new weights.
        """
        with self._snapshot.lock:
            self._snapshot.update(list(self._sizes.values()), weights)

    @property
    def state(self) -> dict[str, Any]:
        """Return an empty dict: only models that are frozen for one batch size carry a state."""
        return {}

    def reset(self) -> None:
        """Do nothing, since no state is carried."""

    def __reduce__(self) -> Any:
        return self._snapshot.reduce(self)

    def __repr__(self) -> str:
        return str(self._ports)
