"""Models in files: one safetensors file with the weights, and the architecture as JSON in its metadata.

Files are not trusted. files/tensors.py checks the layout. files/layers.py makes the architecture from layers of fastnn and from
registered classes; no name in a file is imported or evaluated. files/versions.py upgrades descriptions of older versions.
files/place.py writes a file under another name and then renames it, so that no file is incomplete. files/training.py reads and
writes the arguments of compile and the state of the optimizer.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

from ..core.registered import UnknownNameError
from ..core.seeding import undisturbed
from ..nn.classes import encoder_or_none, names_or_none, text_or_none, tokenizer_or_none
from ..nn.parameter import LoadLimit, filling, stored
from ..nn.parameter_view import ParameterView, order_of
from . import keras_weights
from . import tensors as tensors_py
from .keras_file import KerasFile
from .layers import DAMAGE, Reader, Writer, check_keys, layer_config, layer_from_config, message, number
from .names import name_of
from .states import contents, weights
from .tensors import parsed, short
from .training import STATE, compile_from, config_of
from .versions import VERSION, upgraded

FORMAT, WEIGHTS = "fastnn", "fastnn-weights"
MAX_ARCHITECTURE = 50_000_000
"""Largest size of an architecture, in bytes of JSON."""
MOST_INPUTS = 1 << 16
"""Size that an input of a graph may always have along one axis, even if the model has few weights."""
MOST_TIES = 256
"""Tied parameters are made separately before they are tied. They may take this many times the size of the file's weights."""


def save(model: Any, path: Any, include_optimizer: bool = True) -> None:
    """Write a model to one file, which `load` reads."""
    if not model.built:
        raise RuntimeError("save: the model has no weights yet, because no shape is known; give input_shape, or call it first")
    header: dict[str, Any] = {"version": VERSION, "model": layer_config(model)}
    if ties := _ties(model):
        header["ties"] = ties
    if frozen := [name for name, p in model.named_parameters() if not p.requires_grad]:
        header["frozen"] = frozen
    if random := {name: m._state.tolist() for name, m in model.named_modules() if m._draws}:
        header["random"] = random
    for key, (check, write) in _NOTES.items():
        if (value := check(getattr(model, key), f"save: {key}")) is not None:
            header[key] = write(value)
    tensors, state = model.state_dict(), dict[str, Any]()
    if model._compiled is not None:
        try:
            header["compile"] = config_of(model, state if include_optimizer else None)
        except TypeError as error:
            state = {}
            text = f"save: the file has no training settings: {message(error)}; compile the model again once it is loaded"
            warnings.warn(text, UserWarning, stacklevel=3)
    text = json.dumps(header, default=number)
    structure = hash((model._version, *((name, a.shape, a.dtype) for name, a in tensors.items())))
    if model._loadable != structure:  # only once for each structure: checkpoints are written after every epoch
        with undisturbed():
            copy_context().run(_check_loadable, json.loads(text), tensors)
        model._loadable = structure
    if len(text) > MAX_ARCHITECTURE:
        raise ValueError(f"save: the architecture has {len(text)} bytes, more than the {MAX_ARCHITECTURE} that load reads")
    tensors_py.save(path, tensors | state, {"format": FORMAT, "architecture": text}, "save")


def load(path: Any, tensors: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str], compiled: bool) -> Any:
    """Make the model of the contents of a file; `fastnn.load` calls this in a separate context."""
    if metadata.get("format") != FORMAT or "architecture" not in metadata:
        raise ValueError(f"load: {path} is a safetensors file, but no model that fastnn saved; load_weights() reads its tensors")
    text = metadata["architecture"]
    if len(text) > MAX_ARCHITECTURE:
        raise ValueError(f"load: {path} has an architecture of {len(text)} bytes, more than {MAX_ARCHITECTURE}")
    try:
        if unknown := metadata.keys() - {"format", "architecture"}:
            raise ValueError(f"it is damaged: its metadata has the unknown key {short(repr(min(unknown)))}")
        header = upgraded(parsed(text, "the architecture"))
        check_keys(header, "the architecture", version=int, model=dict, **{key: [kind] for key, kind in _PARTS.items()})
        state = {name: tensors.pop(name) for name in [*tensors] if name.startswith(STATE)}
        _make_room(header, tensors)
    except ValueError as error:
        raise ValueError(f"load: {path}: {error}") from None
    try:
        model = Reader().layer(header["model"])
    except UnknownNameError as error:
        raise UnknownNameError(f"load: {path}: {str(error).removeprefix('load: ')}") from None
    try:
        _tie(model, header.get("ties") or {})
        filling.set(None)
        _put(model, tensors)
        _freeze(model, header.get("frozen") or [])
        _continue(model, header.get("random") or {})
    except DAMAGE as error:
        raise ValueError(f"load: {path}: weights and architecture do not fit: {message(error)}") from None
    try:
        _note(model, header)
    except DAMAGE as error:
        raise ValueError(f"load: {path}: it is damaged: {message(error)}") from None
    if compiled and header.get("compile") is not None:
        compile_from(model, header["compile"], state, path)
    return model.eval()


def _make_room(header: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    """Limit the size of the layers of an architecture by the weights in its file. Parameters are 0 at first."""
    ties, numbers = header.get("ties") or {}, sum(a.size for a in tensors.values())
    _check_inputs(header["model"], numbers)
    filling.set(LoadLimit(numbers, numbers * (1 + min(len(ties), MOST_TIES))))


def _check_loadable(header: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    """Raise ValueError unless `load` can make a model of this architecture with these weights."""
    try:
        _make_room(header, tensors)
        model = Reader().layer(header["model"])
        _tie(model, header.get("ties") or {})
        made = {name: (t.shape, t.dtype) for name, t in [*model.named_parameters(), *model.named_buffers()]}
        own = {name: (a.shape, a.dtype) for name, a in tensors.items()}
        for name in {**own, **made}:
            if made.get(name) != own.get(name):
                here, there = (f"{at[name][1]} of shape {at[name][0]}" if name in at else "missing" for at in (own, made))
                raise ValueError(f"{name} is {here}, and would be {there}")
        _freeze(model, header.get("frozen") or [])
        _continue(model, header.get("random") or {})
        _note(model, header)
    except DAMAGE as error:
        why = message(error).removeprefix("load: ").removeprefix("the file's architecture is damaged: ")
        raise ValueError(f"save: load could not make the model again: {why}; use save_weights()") from None


_PARTS = {
    "ties": dict,
    "frozen": list,
    "random": dict,
    "compile": dict,
    "class_names": list,
    "trained_on": str,
    "tokenizer": dict,
    "table_encoder": dict,
}
_NOTES: dict[str, tuple[Callable[[Any, str], Any], Callable[[Any], Any]]] = {
    "class_names": (names_or_none, list),
    "trained_on": (text_or_none, str),
    "tokenizer": (tokenizer_or_none, lambda tokenizer: tokenizer.get_config()),
    "table_encoder": (encoder_or_none, lambda encoder: encoder.get_config()),
}
"""Attributes of a model that are stored, with their checks and what makes JSON of them."""


def _put(model: Any, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    """Load the values of a file into a model. Their dtypes must be those of the parameters or safe to cast to them."""
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        if name in tensors and not np.can_cast(tensors[name].dtype, p.dtype, "safe"):
            raise ValueError(f"{name} is {tensors[name].dtype} in the file, which does not fit {p.dtype}")
    model.load_state_dict(tensors)


def _ties(model: Any) -> dict[str, list[Any]]:
    """Find parameters that have several names. Return the first name and, for a view, the order of axes, by each later name.

    If a view has its blocks in another order, that order and its axis follow.
    """
    first: dict[Any, str] = {}
    ties: dict[str, list[Any]] = {}
    for name, p in model._all_parameters():
        if stored(p) in first:
            order = order_of(p)
            tie = [first[stored(p)], None if order is None else list(order.axes)]
            ties[name] = [*tie, list(order.blocks), order.axis] if order is not None and order.blocks else tie
        first.setdefault(stored(p), name)
    return ties


def _tie(model: Any, ties: dict[str, Any]) -> None:
    """Tie parameters again."""
    modules, own = dict(model.named_modules()), dict(model._all_parameters())
    for name, tie in ties.items():
        first, axes, *blocks = tie
        plain = axes is None or all(type(n) is int for n in (*axes, *(b for part in blocks[:1] for b in part), *blocks[1:]))
        if not plain or len(blocks) not in (0, 2):
            raise ValueError(f"the tie of {short(name)} is {short(str(tie))}")
        value = stored(own[first]) if axes is None else ParameterView(stored(own[first]), axes, *blocks)
        if value.shape != own[name].shape or value.dtype != own[name].dtype:
            raise ValueError(f"{name} and {first} have different shapes or dtypes")
        module, _, attribute = name.rpartition(".")
        setattr(modules[module], attribute, value)


def _freeze(model: Any, names: list[Any]) -> None:
    own = dict(model.named_parameters())
    for name in names:
        stored(own[name]).requires_grad = False


def _continue(model: Any, states: dict[str, Any]) -> None:
    """Set the streams of random layers to their saved states."""
    modules = dict(model.named_modules())
    for name, state in states.items():
        if name not in modules or not modules[name]._draws:
            raise ValueError(f"there is no random layer {short(name)}")
        if not isinstance(state, list) or len(state) != 2 or not all(type(n) is int and 0 <= n < 1 << 64 for n in state):
            raise ValueError(f"the random state of {short(name)} is {short(str(state))}, wanted two whole numbers")
        modules[name]._state[:] = state
    for name, module in modules.items():
        if name not in states and module._draws:
            module.seed = module.seed  # files of version 1 have no states: the streams start again


def _note(model: Any, header: dict[str, Any]) -> None:
    """Set the attributes that are stored, which check their values."""
    for key in _NOTES:
        if header.get(key) is not None:
            setattr(model, key, header[key])


def save_weights(model: Any, path: Any) -> None:
    """Write the state_dict of a model to a safetensors file."""
    tensors_py.save(path, model.state_dict(), {"format": WEIGHTS}, "save_weights")


def load_weights(model: Any, path: Any) -> None:
    """Read a file of weights, or the weights of a saved model, into a model's parameters by name."""
    held, metadata = contents(path, "load_weights")
    if isinstance(held, KerasFile):
        try:
            keras_weights.load_weights(model, held)
        except ValueError as error:
            raise ValueError(f"load_weights: {name_of(path, 'load_weights')}: {error}") from None
        return
    if metadata.get("format") == FORMAT:
        held = {name: a for name, a in held.items() if not name.startswith(STATE)}
    own = model.state_dict()
    model.load_state_dict(weights(held, own, f"load_weights: {name_of(path, 'load_weights')}") if held or own else {})


def _check_inputs(config: Any, numbers: int) -> None:
    """Refuse a graph with inputs that are much larger than the file's weights, because layers are called with such inputs."""
    stack, inputs = [config], 0
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
            given = item.get("inputs")  # in a graph: name, shape and dtype
            entries = given if isinstance(given, list) else []
            shapes = [entry[1] for entry in entries if isinstance(entry, list) and len(entry) == 3]
            inputs = max(inputs, *(s for shape in shapes if isinstance(shape, list) for s in shape if isinstance(s, int)), 0)
        elif isinstance(item, list):
            stack += item
    if inputs > max(numbers, MOST_INPUTS):
        raise ValueError(f"it is damaged: an input of size {inputs}, but {numbers} weights in all")


__all__ = ["FORMAT", "VERSION", "Writer", "layer_config", "layer_from_config", "load", "load_weights", "save", "save_weights"]
