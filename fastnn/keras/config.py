"""Keras's settings, as far as fastnn has them: they are fixed."""

from __future__ import annotations

__all__ = ["backend", "epsilon", "floatx", "image_data_format", "set_floatx"]


def __dir__() -> list[str]:
    return __all__.copy()


def backend() -> str:
    """Return "fastnn"."""
    return "fastnn"


def epsilon() -> float:
    """Return the small number that Keras adds to denominators, 1e-7."""
    return 1e-7


def floatx() -> str:
    """Return the default dtype of weights, "float32"."""
    return "float32"


def set_floatx(value: str) -> None:
    """Do nothing for "float32"; other dtypes are given to each model.

    Raises:
        ValueError: another dtype came.
    """
    if value != "float32":
        raise ValueError(f"set_floatx: {value!r} came; wanted 'float32': give dtype={value!r} to Input, a layer or Sequential")


def image_data_format() -> str:
    """Return "channels_last", the layout of images in layers with Keras's names."""
    return "channels_last"
