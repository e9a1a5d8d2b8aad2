"""Keras's functions that save, load and copy models. Files are fastnn's: they end in .fastnn or .safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import files
from ..core.lazy import guessing
from ..core.registered import register
from ..files.layers import layer_config, layer_from_config
from ..nn.module import Module
from . import absent

__all__ = ["clone_model", "load_model", "model_from_json", "register_keras_serializable", "save_model"]


def __dir__() -> list[str]:
    return __all__.copy()


if not TYPE_CHECKING:  # which report unknown names themselves
    __getattr__ = guessing(__name__, __all__, absent.SAVING)


def load_model(
    filepath: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """Return the model that `save_model` or `model.save` wrote: `fastnn.load`, which never runs code of a file.

    With compile=False, the settings of training are dropped.
    """
    if not safe_mode:
        raise ValueError("load_model: safe_mode=False came; fastnn never runs code of a file, pass custom_objects instead")
    model = files.load(filepath, custom_objects=custom_objects)
    if not compile:
        model._compiled = None
    return model


def save_model(model: Module, filepath: Any, overwrite: bool = True) -> None:
    """Write a model to a file, as `model.save` does."""
    model.save(filepath, overwrite=overwrite)


def clone_model(model: Module) -> Any:
    """Return a model of the same architecture, with new initial weights.

    >>> import fastnn.keras as keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> keras.models.clone_model(model).count_params()
    10
    """
    return layer_from_config(layer_config(model))


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the model that `model.to_json` described, with new initial weights.

    >>> import fastnn.keras as keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> keras.models.model_from_json(model.to_json()).count_params()
    10
    """
    from ..core.block import Finally
    from ..core.registered import checked
    from ..core.registered import custom_objects as given

    token = given.set(checked(custom_objects))
    with Finally(lambda: given.reset(token)):
        return layer_from_config(json.loads(json_string))


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """Return a decorator that registers a class or function for files: `fastnn.register`.

    >>> import fastnn.keras as keras
    >>> @keras.saving.register_keras_serializable(package="docs")
    ... class Twice(keras.layers.Layer):
    ...     def call(self, inputs):
    ...         return inputs * 2
    """
    return register(name=name, package=package)
