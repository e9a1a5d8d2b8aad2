"""The functions of Keras's backend that programs still use."""

from __future__ import annotations

from .config import epsilon, floatx, image_data_format
from .utils import clear_session

__all__ = ["backend", "clear_session", "epsilon", "floatx", "image_data_format"]


def __dir__() -> list[str]:
    return __all__.copy()


def backend() -> str:
    """Return "fastnn"."""
    return "fastnn"
