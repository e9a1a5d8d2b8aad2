"""Training and evaluation mode of a block, whatever the modules' own is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

said: ContextVar[bool | None] = ContextVar("fastnn_mode", default=None)
"""The mode that the block says; None outside of such blocks."""


class mode:  # noqa: N801 (a function to its users)
    """A block in which all modules are in this mode, in this thread alone."""

    def __init__(self, training: bool) -> None:
        self._training = bool(training)

    def __enter__(self) -> None:
        self._token = said.set(self._training)

    def __exit__(self, *_: object) -> None:
        said.reset(self._token)


sampled: ContextVar[bool] = ContextVar("fastnn_sampled", default=False)
"""Whether layers that are random in training are so in any mode."""


@contextmanager
def sampling() -> Iterator[None]:
    """A block in which dropout and noise are as in training, and all other layers in their own mode."""
    token = sampled.set(True)
    try:
        yield
    finally:
        sampled.reset(token)
