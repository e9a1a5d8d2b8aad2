"""Unique names for the numbers in the logs."""

from __future__ import annotations

RESERVED = ("epoch", "lr", "learning_rate")
"""Names that callbacks add to the logs, or write next to them."""


class Names:
    """Generator of unique names for the logs and their validation counterparts. As in Keras, a second `precision` becomes
    `precision_1`.

    >>> names = Names()
    >>> [names.unique(n) for n in ("loss", "auc", "auc", "loss", "val_auc", "learning_rate")]
    ['loss', 'auc', 'auc_1', 'loss_1', 'val_auc_2', 'learning_rate_1']
    """

    def __init__(self) -> None:
        self._taken = set(RESERVED)

    def unique(self, name: str) -> str:
        """Return the name, with the first number appended that makes it unique."""
        own, number = name, 0
        while not self.free(own):
            number += 1
            own = f"{name}_{number}"
        self._taken |= {own, f"val_{own}"}
        return own

    def free(self, name: str) -> bool:
        """Return whether the name is unused."""
        return self._taken.isdisjoint((name, f"val_{name}"))
