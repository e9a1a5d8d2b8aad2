"""Makes a model of fastnn from a model of Keras 3, Sequential or functional."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..core.tree import flatten
from ..files.keras_weights import Layers, put
from ..files.tensors import short
from ..nn.graph.model import Model
from ..nn.graph.sequential import Sequential
from ..nn.graph.symbolic import Input, Symbol, arithmetic
from ..nn.layers.activation import Activation
from ..nn.module import Module
from .keras_layers import dtype_of, layer

OP = "from_keras"
_ARITHMETIC = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "TrueDivide": "div", "Divide": "div", "Power": "pow"}
_FUNCTIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Silu": "silu",
    "Swish": "silu",
    "Exp": "exponential",
    "Selu": "selu",
}
"""Activations, by the classes of keras.ops that compute them."""


class Made:
    """Hold a model that was made from an entry, and its layers in the order of the entry: Keras's class, its name, the layer."""

    def __init__(self) -> None:
        self.layers: dict[Module, Layers] = {}

    def model(self, entry: dict[str, Any]) -> Module:
        """Make the model of an entry with its class_name and config.

        Raises:
            ValueError: the model is neither Sequential nor functional, or fastnn does not have one of its layers.
        """
        kind, config = entry.get("class_name"), entry.get("config")
        if isinstance(config, dict) and isinstance(config.get("layers"), list):
            if kind == "Sequential":
                return self._sequential(config, entry.get("build_config") or {})
            if "input_layers" in config and "output_layers" in config:
                return self._functional(config)
        raise ValueError(f"the model is a {short(str(kind))}, wanted a Sequential or functional model; make its layers in fastnn")

    def _sequential(self, config: dict[str, Any], build: dict[str, Any]) -> Module:
        items: list[Any] = []
        own: list[tuple[str, str, Module]] = []
        for entry in config["layers"]:
            kind, name = entry["class_name"], entry["config"].get("name", "")
            if kind == "InputLayer":
                items.append(_input(entry["config"]))
                continue
            made = layer(entry, self.model, name)
            own.append((kind, name, made))
            items.append(made)
        shape = config.get("build_input_shape") or build.get("input_shape")
        if shape is not None and not isinstance(items[0] if items else None, Symbol):
            items.insert(0, Input(batch_shape=list(shape), dtype=dtype_of(config)))
        model = Sequential(items, name=config.get("name"))
        return self._finished(model, own, config)

    def _functional(self, config: dict[str, Any]) -> Module:
        values: dict[tuple[str, int], list[Any]] = {}
        """Symbols that each call of each layer returned, by the layer's name and the number of the call."""
        own: list[tuple[str, str, Module]] = []
        waiting: list[tuple[str, int, Any, Callable[..., Any]]] = []
        masks = _masks(config["layers"])
        models = {e["name"] for e in config["layers"] if e["class_name"] in ("Functional", "Model")}
        for entry in config["layers"]:
            kind, settings = entry["class_name"], entry["config"]
            name = entry.get("name") or settings["name"]
            if name in masks:
                continue
            if kind == "InputLayer":
                values[name, 0] = [_input(settings)]
                continue
            call: Any = _operation(entry, name)
            if call is None:
                call = layer(entry, self.model, name)
                own.append((kind, name, call))
            waiting += [(name, i, _without(node, masks), call) for i, node in enumerate(entry["inbound_nodes"])]
        while waiting:
            ready = [item for item in waiting if all(place[:2] in values for place in _places(item[2]))]
            if not ready:
                raise ValueError(f"the layer {waiting[0][0]} needs an input that no layer makes")
            for name, i, node, call in ready:
                args, options = _arguments(node, values)
                try:
                    values[name, i] = flatten(call(*args, **options))[1]
                except (TypeError, ValueError) as error:
                    raise ValueError(f"the layer {name}: {short(str(error))}") from None
            done = {item[:2] for item in ready}
            waiting = [item for item in waiting if item[:2] not in done]
        for name in models:  # Keras counts the making of a model as its first call, here only
            values |= {(name, call + 1): found for (called, call), found in list(values.items()) if called == name}
        inputs, outputs = (_ends(config[key], values) for key in ("input_layers", "output_layers"))
        return self._finished(Model(inputs, outputs, name=config.get("name")), own, config)

    def _finished(self, model: Module, own: list[tuple[str, str, Module]], config: dict[str, Any]) -> Module:
        self.layers[model] = own
        names = {name for _, name, _ in own}
        layers = [e for e in config["layers"] if e["config"].get("name") in names]
        for entry, (_, _, made) in zip(layers, own, strict=True):
            if entry["config"].get("trainable") is False:
                made.trainable = False
        return model


def _masks(entries: list[dict[str, Any]]) -> set[str]:
    """Return the names of the operations that only make the masks of Embedding and Masking, which fastnn's layers make."""
    masked = {
        place
        for entry in entries
        if entry["class_name"] == "Masking" or (entry["class_name"] == "Embedding" and entry["config"].get("mask_zero"))
        for place in _places(entry["inbound_nodes"])
    }
    found: set[str] = set()
    for entry in entries:
        kind, places = entry["class_name"], set(_places(entry.get("inbound_nodes")))
        of_mask = kind in ("Any", "Cast", "ConvertToTensor") and {name for name, *_ in places} <= found
        if places and (of_mask or (kind == "NotEqual" and places <= masked)):
            found.add(entry["name"])
    return found


def _without(node: Any, masks: set[str]) -> Any:
    """Return a call without an argument `mask` of these operations."""
    if not isinstance(node, dict) or not (places := list(_places(node["kwargs"].get("mask")))):
        return node
    if not {name for name, *_ in places} <= masks:
        return node
    return {**node, "kwargs": {key: value for key, value in node["kwargs"].items() if key != "mask"}}


def _input(config: dict[str, Any]) -> Symbol:
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    dtype = str(config.get("dtype", "float32"))
    own = "int64" if "int" in dtype else dtype if dtype in ("float64", "bool") else "float32"
    return Input(batch_shape=list(shape or ()), dtype=own, name=config.get("name"))


def _operation(entry: dict[str, Any], name: str) -> Callable[..., Any] | None:
    """Return what computes an operation on tensors that is no layer; None for layers."""
    kind, nodes = entry["class_name"], entry.get("inbound_nodes") or []
    first = nodes[0]["args"] if nodes and isinstance(nodes[0], dict) and nodes[0].get("args") else [None]
    if kind in _ARITHMETIC and not isinstance(first[0], list):
        return lambda x, y: arithmetic(_ARITHMETIC[kind], x, y)
    if kind == "GetItem":
        return lambda x, key: x[tuple(key) if isinstance(key, list) else key]
    if kind in _FUNCTIONS:
        return Activation(_FUNCTIONS[kind])
    if ".ops." in str(entry.get("module", "")):
        raise ValueError(f"the operation {name} is keras.ops' {short(str(kind))}, for which fastnn has no layer")
    return None


def _places(node: Any) -> Iterator[tuple[str, int, int]]:
    """Yield the places of the tensors in the arguments of a call: the layer, the number of its call, and of its output."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            name, call, output = item["config"]["keras_history"]
            yield name, call, output
        elif isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list | tuple):
            if len(item) in (3, 4) and isinstance(item[0], str) and all(type(n) is int for n in item[1:3]):
                yield item[0], item[1], item[2]
                stack += item[3:]
            else:
                stack += item


def _arguments(node: Any, values: dict[tuple[str, int], list[Any]]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call by position and by name."""
    if isinstance(node, dict):
        options = {key: _filled(value, values) for key, value in node["kwargs"].items() if value is not None}
        return [_filled(value, values) for value in node["args"]], options
    symbols = [values[name, call][output] for name, call, output, *_ in node]  # as Keras wrote before version 3
    options = {key: value for entry in node for key, value in (entry[3] if len(entry) > 3 else {}).items() if value is not None}
    return [symbols[0] if len(symbols) == 1 else symbols], options


def _filled(value: Any, values: dict[tuple[str, int], list[Any]]) -> Any:
    """Return an argument with the symbols of its tensors."""
    if isinstance(value, list | tuple):
        return [_filled(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        name, call, output = value["config"]["keras_history"]
        return values[name, call][output]
    if value.get("class_name") == "__slice__":
        return slice(*(value["config"][key] for key in ("start", "stop", "step")))
    if value.get("class_name") == "__ellipsis__":
        return ...
    return {key: _filled(item, values) for key, item in value.items()}


def _ends(places: Any, values: dict[tuple[str, int], list[Any]]) -> Any:
    """Return the symbols of the inputs or outputs of a model, in lists or dicts as in the config."""
    if isinstance(places, dict):
        return {key: _ends(item, values) for key, item in places.items()}
    if len(places) == 3 and isinstance(places[0], str):
        return values[places[0], places[1]][places[2]]
    symbols = [_ends(item, values) for item in places]
    return symbols


def from_keras(model: Any) -> Module:
    """Return the model of fastnn with the layers and weights of a model of Keras 3.

    Sequential and functional models are read, also with shared layers, models as layers, and several inputs and outputs. Each
    layer becomes the layer of the same name in fastnn. Arithmetic (+, -, *, /, **), slices and activations of `keras.ops`
    between layers are kept.

    Args:
        model: a built model of Keras; it does not change.

    Returns:
        A model with copies of the weights, not compiled. Layers with `trainable=False` are frozen.

    Raises:
        TypeError: the argument is no model of Keras.
        ValueError: fastnn does not have a layer or a setting of it; the message names it. Or the model is a custom class, or it
            has no weights yet.

    >>> import keras
    >>> import fastnn
    >>> theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)])
    >>> model = fastnn.from_keras(theirs)
    >>> import numpy as np
    >>> x = np.ones((1, 3), np.float32)
    >>> bool(np.allclose(model.predict(x), theirs.predict(x, verbose=0), atol=1e-6))
    True
    """
    keras: Any = sys.modules.get("keras")
    if keras is None or not isinstance(model, keras.Model):
        raise TypeError(f"{OP}: {type(model).__name__} came, wanted a model of Keras")
    if not model.built:
        raise ValueError(f"{OP}: the model {model.name} has no weights yet; give it a keras.Input, or call it first")
    made = Made()
    try:
        own = made.model(keras.saving.serialize_keras_object(model))
        _copy(made, own, model)
    except ValueError as error:
        raise ValueError(f"{OP}: {error}") from None
    return own.eval()


def _copy(made: Made, own: Module, model: Any) -> None:
    """Copy the weights of a model of Keras, also of the models in it."""
    theirs = {item.name: item for item in model.layers}
    for kind, name, item in made.layers[own]:
        if item in made.layers:
            _copy(made, item, theirs[name])
            continue
        put(item, kind, name, theirs[name].get_weights())
