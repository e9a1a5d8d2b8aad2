"""Keras's pretrained models, which fastnn does not have."""

from __future__ import annotations

from typing import Any

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__.copy()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(
        f"keras.applications.{name}: fastnn has no pretrained networks and downloads nothing; build the network of layers, and "
        "copy weights into it by set_weights(keras_model.get_weights())"
    )
