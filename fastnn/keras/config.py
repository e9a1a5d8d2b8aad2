"""Keras's settings, as far as fastnn has them: they are fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.lazy import guessing
from . import absent

__all__ = [
    "backend",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_traceback_filtering",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]


def __dir__() -> list[str]:
    return __all__.copy()


if not TYPE_CHECKING:  # which report unknown names themselves
    __getattr__ = guessing(__name__, __all__, absent.CONFIG)


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


def dtype_policy() -> str:
    """Return the precision of models that `compile` gives none, "float32"."""
    return "float32"


def set_dtype_policy(policy: str) -> None:
    """Do nothing for "float32"; fastnn has no switch for all models.

    Raises:
        ValueError: another policy came.

    >>> import fastnn.keras as keras
    >>> keras.mixed_precision.set_global_policy("mixed_bfloat16")
    Traceback (most recent call last):
    ValueError: set_dtype_policy: 'mixed_bfloat16' came; wanted 'float32': use compile(dtype="bfloat16") for each model
    """
    if policy != "float32":
        use = "dtype='float64' of Input or Sequential" if policy == "float64" else 'compile(dtype="bfloat16")'
        raise ValueError(f"set_dtype_policy: {policy!r} came; wanted 'float32': use {use} for each model")


def set_image_data_format(data_format: str) -> None:
    """Do nothing for "channels_last".

    Raises:
        ValueError: another layout came.
    """
    if data_format != "channels_last":
        raise ValueError(f"set_image_data_format: {data_format!r} came; wanted 'channels_last'; fastnn.nn has the other layout")


def set_epsilon(value: float) -> None:
    """Do nothing for 1e-7.

    Raises:
        ValueError: another number came.
    """
    if value != epsilon():
        raise ValueError(f"set_epsilon: {value} came; wanted 1e-7: give epsilon to the layer or optimizer")


def enable_traceback_filtering() -> None:
    """Do nothing: fastnn shortens no tracebacks."""


disable_traceback_filtering = enable_traceback_filtering
