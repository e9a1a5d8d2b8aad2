"""Names in the logs: each stands for one number."""

from __future__ import annotations

RESERVED = ("epoch", "lr", "learning_rate")
"""What callbacks add to the logs, or write beside them."""


class Names:
    """Gives out names that no other entry of the logs has, nor its counterpart from validation: as in Keras, a second `precision`
    is `precision_1`.

    >>> names = Names()
    >>> [names.unique(n) for n in ("loss", "auc", "auc", "loss", "val_auc", "learning_rate")]
    ['loss', 'auc', 'auc_1', 'loss_1', 'val_auc_2', 'learning_rate_1']
    """

    def __init__(self) -> None:
        self._taken = set(RESERVED)

    def unique(self, name: str) -> str:
        """Return the name, with the first number behind it that makes it one of its own."""
        own, number = name, 0
        while not self.free(own):
            number += 1
            own = f"{name}_{number}"
        self._taken |= {own, f"val_{own}"}
        return own

    def free(self, name: str) -> bool:
        """Return whether nothing has the name."""
        return self._taken.isdisjoint((name, f"val_{name}"))
