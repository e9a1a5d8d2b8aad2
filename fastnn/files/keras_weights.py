"""Puts the weights in files of Keras into models of fastnn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .keras_file import KerasFile
from .tensors import Array, short

if TYPE_CHECKING:
    from ..nn.module import Module

_PARTS = ("forward_layer", "backward_layer", "query_dense", "key_dense", "value_dense", "output_dense", "cell", "layer")
"""Parts of layers that have weights, in the order in which Keras counts these."""
Layers = list[tuple[str, str, "Module"]]
"""Keras's class, Keras's name, and the layer, of the layers of a model."""


def load_weights(model: Module, file: KerasFile) -> None:
    """Put the weights of a file into a model of the same layers.

    The layers are found by their classes and their order, as Keras does; in files before Keras 3, by their order alone.

    Raises:
        ValueError: the layers or their weights differ.
    """
    fill(model, file, {})


def fill(model: Module, file: KerasFile, made: Mapping[Module, Layers]) -> None:
    """Put the weights of a file into a model. `made` has the layers of the models that were made from the file."""
    layers = made.get(model) or _layers(model)
    if file.lists is not None:
        _by_order(layers, file.lists)
        return
    found = list(_container(layers, file.tree.get("layers", {}), made, "layers"))
    for item, kind, name, arrays in found:
        put(item, kind, name, arrays)


def _layers(model: Module) -> Layers:
    """Return Keras's class, name and layer of each layer of a model of fastnn."""
    children = model.layers if hasattr(model, "layers") else None
    if children is None:
        raise ValueError(f"the model is a {type(model).__name__}; files of Keras fit Sequential and functional models")
    return [(_kind(item), str(getattr(item, "name", "")), item) for item in children]


def _kind(item: Module) -> str:
    return {"Model": "Functional", "GroupedQueryAttention": "GroupQueryAttention"}.get(type(item).__name__, type(item).__name__)


def _by_order(layers: Layers, lists: dict[str, list[Array]]) -> None:
    with_weights = [(kind, name, item) for kind, name, item in layers if item.weights]
    arrays = {name: own for name, own in lists.items() if own}
    if len(with_weights) != len(arrays):
        theirs = short(", ".join(arrays))
        raise ValueError(f"it has weights of {len(arrays)} layers ({theirs}), but the model has {len(with_weights)} with weights")
    by_name = {name for _, name, _ in with_weights} == set(arrays)
    for (kind, name, item), (theirs, own) in zip(with_weights, arrays.items(), strict=True):
        put(item, kind, name if by_name else theirs, arrays[name] if by_name else own)


def _container(
    layers: Layers, tree: Any, made: Mapping[Module, Layers], path: str
) -> Iterator[tuple[Module, str, str, list[Array]]]:
    """Yield each layer with its class, name and arrays. Keras names the layers of a model by class and number."""
    counts: dict[str, int] = {}
    for kind, name, item in layers:
        own = _snake(kind)
        counts[own] = counts.get(own, -1) + 1
        key = f"{own}_{counts[own]}" if counts[own] else own
        part = tree.get(key, {}) if isinstance(tree, dict) else {}
        if isinstance(part, dict) and "layers" in part and (item in made or hasattr(item, "layers")):
            yield from _container(made.get(item) or _layers(item), part["layers"], made, f"{path}/{key}/layers")
        elif item.weights or part:
            yield item, kind, f"{name or key} ({path}/{key})", _arrays(part, item, f"{path}/{key}")


def _arrays(part: Any, item: Any, path: str) -> list[Array]:
    """Return the arrays of a layer and of the layers in it, in Keras's order."""
    if not isinstance(part, dict):
        raise ValueError(f"it is damaged: {short(path)} is an array")
    own = part.get("vars", {})
    names = sorted(own, key=lambda name: int(name) if name.isdecimal() else -1) if isinstance(own, dict) else []
    arrays = [own[name] for name in names]
    if any(isinstance(a, dict) for a in arrays):
        raise ValueError(f"it is damaged: {short(path)}/vars has groups")
    for name in (*_PARTS, *(f"_{name}" for name in _PARTS)):
        if name in part:
            arrays += _arrays(part[name], getattr(item, name, None), f"{path}/{name}")
    if "cells" in part:
        cells = [(_kind(cell), "", cell) for cell in getattr(item, "cells", ())]
        for _, _, _, more in _container(cells, part["cells"], {}, f"{path}/cells"):
            arrays += more
    return arrays


def _snake(name: str) -> str:
    """Return the name of a class as Keras writes it in files: multi_head_attention, conv2d."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def put(item: Module, kind: str, name: str, arrays: list[Any]) -> None:
    """Copy the weights of a layer of Keras.

    Raises:
        ValueError: the layer has other weights.
    """
    if kind == "Normalization":
        arrays = arrays[:2]  # the third is a count, which only adapt of Keras uses; there are none if the config has the values
    if not arrays and (kind == "Normalization" or not item.weights):
        return
    try:
        item.set_weights(arrays)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"the weights of the layer {name}: {error}") from None
