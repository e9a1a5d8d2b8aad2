"""Keras's callbacks: those of `fastnn.callbacks`."""

from ..callbacks import *  # noqa: F403
from ..callbacks import __all__ as __all__


def __dir__() -> list[str]:
    return sorted(__all__)
