"""Training and evaluation mode of a block, whatever the modules' own is."""

from __future__ import annotations

from contextvars import ContextVar

from ..core.block import Block

mode_override: ContextVar[bool | None] = ContextVar("fastnn_mode", default=None)
"""The mode that the block says; None outside of such blocks."""

sampled: ContextVar[bool] = ContextVar("fastnn_sampled", default=False)
"""Whether layers that are random in training are so in any mode."""


def mode(training: bool) -> Block:
    """Return a block in which all modules are in this mode, in this thread alone."""
    return Block(mode_override, bool(training))


def unsaid() -> Block:
    """Return a block in which no block around it says the mode."""
    return Block(mode_override, None)


def unsampled() -> Block:
    """Return a block in which random layers follow the mode, inside of `sampling` too."""
    return Block(sampled, False)


def sampling() -> Block:
    """Return a block in which dropout and noise are as in training, and all other layers in their own mode."""
    return Block(sampled, True)
