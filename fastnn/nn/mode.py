"""Blocks that set training or evaluation mode, regardless of the modes of the modules."""

from __future__ import annotations

from contextvars import ContextVar

from ..core.block import Block

mode_override: ContextVar[bool | None] = ContextVar("fastnn_mode", default=None)
"""Mode that the block sets; None outside of such blocks."""

sampled: ContextVar[bool] = ContextVar("fastnn_sampled", default=False)
"""Whether layers that are random in training are random in every mode."""


tried: ContextVar[bool] = ContextVar("fastnn_tried", default=False)
"""Whether a call only looks at a model, so that its layers neither use nor keep states of other calls."""


def mode(training: bool) -> Block:
    """Return a block in which all modules are in this mode, only in this thread."""
    return Block(mode_override, bool(training))


def unsaid() -> Block:
    """Return a block in which outer `mode` blocks have no effect."""
    return Block(mode_override, None)


def unsampled() -> Block:
    """Return a block in which random layers follow the mode, even inside of `sampling`."""
    return Block(sampled, False)


def trying() -> Block:
    """Return a block for calls that only look at a model, such as those that find out the shapes of outputs."""
    return Block(tried, True)


def sampling() -> Block:
    """Return a block in which dropout and noise work as in training, and all other layers keep their mode."""
    return Block(sampled, True)
