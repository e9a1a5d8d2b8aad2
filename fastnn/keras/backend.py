"""The functions of Keras's backend that programs still use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.lazy import guessing
from . import absent
from .config import epsilon, floatx, image_data_format
from .utils import clear_session

__all__ = ["backend", "clear_session", "epsilon", "floatx", "image_data_format"]


def __dir__() -> list[str]:
    return __all__.copy()


if not TYPE_CHECKING:  # which report unknown names themselves
    __getattr__ = guessing(__name__, __all__, absent.BACKEND)


def backend() -> str:
    """Return "fastnn"."""
    return "fastnn"
