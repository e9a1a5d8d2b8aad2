"""Layers of Keras, described by their configs, as layers of fastnn, which have the same names and arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import fastnn

from ..files.tensors import short
from ..nn.module import Module

_KERAS = (
    ["Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average"]
    + [f"{kind}{d}D" for kind in ("AveragePooling", "MaxPooling", "GlobalAveragePooling", "GlobalMaxPooling") for d in (1, 2, 3)]
    + [f"{kind}{d}D" for kind in ("Conv", "Cropping", "SpatialDropout", "UpSampling", "ZeroPadding") for d in (1, 2, 3)]
    + [f"Conv{d}DTranspose" for d in (1, 2, 3)]
    + [f"{kind}{d}D" for kind in ("DepthwiseConv", "SeparableConv") for d in (1, 2)]
    + ["BatchNormalization", "Bidirectional", "Concatenate", "Dense", "Dot", "Dropout", "ELU", "Embedding", "Flatten"]
    + ["GRU", "GRUCell", "GaussianDropout", "GaussianNoise", "GroupNormalization", "GroupQueryAttention", "Identity", "LSTM"]
    + ["LSTMCell", "LayerNormalization", "LeakyReLU", "Masking", "Maximum", "Minimum", "MultiHeadAttention", "Multiply"]
    + ["Normalization", "PReLU", "Permute", "RMSNormalization", "RNN", "RandomFlip", "RandomRotation", "RandomTranslation"]
    + ["RandomZoom", "RandomContrast", "RandomBrightness", "RandomCrop", "RandomErasing", "ReLU", "Rescaling", "Reshape"]
    + ["ReversibleEmbedding", "SimpleRNN", "SimpleRNNCell", "Softmax", "StackedRNNCells", "Subtract", "TimeDistributed"]
)
"""Layers that both libraries have, with equal outputs."""
_OTHER_NAMES = {"GroupedQueryAttention": "GroupQueryAttention"}
_WITHOUT_EFFECT = frozenset(
    [
        "trainable",
        "seed",
        "autocast",
        "unit_forget_bias",
        "renorm_clipping",
        "renorm_momentum",
        "batch_input_shape",
        "input_length",
    ]
    + ["flash_attention", "use_cudnn", "implementation", "time_major", "ragged", "sparse", "lora_alpha", "data_format"]
    + ["synchronized", "zero_output_for_mask"]
)
"""Settings that fastnn may lack, because they do not change what a layer computes from its weights."""


def layer(entry: dict[str, Any], model: Callable[[dict[str, Any]], Module], where: str) -> Module:
    """Make the layer of an entry, which has its class_name and config.

    Args:
        entry: the layer, as Keras writes it.
        model: makes a model from its entry.
        where: the layer's name, for messages.

    Raises:
        ValueError: fastnn does not have the layer, or one of its settings.
    """
    name, config = entry.get("class_name"), entry.get("config")
    if name in ("Sequential", "Functional", "Model"):
        return model(entry)
    name = _OTHER_NAMES.get(str(name), name)
    if name not in _KERAS or not isinstance(config, dict):
        code = ", which is code" if name in ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer") else ""
        raise ValueError(f"the layer {where} is a {short(str(name))}{code}, which fastnn does not have")
    cls: Any = getattr(fastnn, name)
    known = inspect.signature(cls.__init__).parameters
    given: dict[str, Any] = {}
    for key, value in config.items():
        if key.endswith("_initializer") or key in ("name", "dtype"):
            continue
        if key in known and key not in ("seed", "weights", "input_shape"):
            given[key] = _value(key, value, model, where)
        elif key not in _WITHOUT_EFFECT and value not in (None, False, [], {}, 0):
            raise ValueError(f"the layer {where} is a {name} with {short(f'{key}={value!r}')}, which fastnn does not have")
    if config.get("data_format") == "channels_first" and "data_format" not in known:
        raise ValueError(f"the layer {where} is a {name} with data_format='channels_first', wanted 'channels_last'")
    if isinstance(shape := config.get("noise_shape"), list) and shape:
        raise ValueError(f"the layer {where} is a {name} with noise_shape={short(str(shape))}, which fastnn does not have")
    if (dtype := dtype_of(config)) is not None and "dtype" in known:
        given["dtype"] = dtype
    if "name" in known:
        given["name"] = where
    try:
        own: Module = cls(**given)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ValueError(f"the layer {where} is a {name} that fastnn cannot make: {short(str(error))}") from None
    return own


def dtype_of(config: dict[str, Any]) -> str | None:
    """Return "float64" for a layer that computes in it; None for other dtypes, for which fastnn computes in float32."""
    dtype = config.get("dtype")
    name = dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype
    return "float64" if name == "float64" else None


def _value(key: str, value: Any, model: Callable[[dict[str, Any]], Module], where: str) -> Any:
    """Return the argument for a setting: a number, a text, a list, a layer, an activation, a regularizer or a constraint."""
    if key in ("layer", "backward_layer", "cell") and isinstance(value, dict):
        return layer(value, model, _name(value, where))
    if key in ("cell", "cells") and isinstance(value, list):
        return [layer(item, model, _name(item, where)) for item in value]
    if key.endswith("activation") and isinstance(value, dict):
        if value.get("class_name") == "function":
            return _function(value.get("config"), where)
        return layer(value, model, _name(value, where))
    if key.endswith("activation"):
        return _function(value, where)
    if isinstance(value, dict):
        if key.endswith(("_regularizer", "_constraint")):
            return {"class_name": value.get("class_name"), "config": value.get("config")}
        raise ValueError(f"the layer {where} has {short(f'{key}={value!r}')}, which fastnn does not read")
    return value


def _function(name: Any, where: str) -> Any:
    """Return the name of an activation; None for no activation."""
    if name is not None and not isinstance(name, str):
        raise ValueError(f"the layer {where} has the activation {short(repr(name))}, wanted its name")
    return name


def _name(entry: dict[str, Any], where: str) -> str:
    config = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(config, dict):
        raise ValueError(f"the layer {where} is damaged")
    return str(config.get("name", where))
