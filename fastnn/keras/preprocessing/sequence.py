"""Sequences of different lengths."""

from ..utils import pad_sequences

__all__ = ["pad_sequences"]


def __dir__() -> list[str]:
    return __all__.copy()
