"""Keras's callbacks: those of `fastnn.callbacks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..callbacks import *  # noqa: F403
from ..callbacks import __all__ as __all__
from ..core.lazy import guessing
from . import absent


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # which report unknown names themselves
    __getattr__ = guessing(__name__, __all__, absent.CALLBACKS)
