"""Models in files: one safetensors file with the weights, and the architecture as JSON in its metadata.

Files are read as hostile: safetensors checks the layout, the architecture is made of a closed list of layers, and no name in
it is ever imported or evaluated. Files are written beside their place and moved there, so that none is ever half-written.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

FORMAT = "fastnn"
VERSION = 1
MAX_ARCHITECTURE = 10_000_000
"""Bytes of JSON above which an architecture is refused."""
MAX_DEPTH = 100
"""Models inside models."""

MOST_LAYERS = 100_000
"""Layers of a model."""
MOST_INPUTS = 1 << 16
"""The size along one axis that an input of a graph may have however few weights there are."""

DAMAGE = (TypeError, KeyError, ValueError, IndexError, AttributeError, ArithmeticError, RuntimeError, SyntaxError)
"""What constructors raise where a file has other things than they expect; SyntaxError comes from dtypes."""

_shared: ContextVar[Any] = ContextVar("fastnn_shared_layers", default=None)


class Seen(list[Any]):
    """The layers so far, and how many layers each of those that were read has in it, counted as often as they stand there."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[Any, int] = {}


@contextlib.contextmanager
def shared_layers() -> Iterator[Seen]:
    """A block in which a layer that comes again is told of by its number: the layers so far, each after those inside it."""
    seen: Seen | None = _shared.get()
    if seen is not None:
        yield seen
        return
    token = _shared.set(seen := Seen())
    try:
        yield seen
    finally:
        _shared.reset(token)


def _registry() -> dict[str, Any]:
    """The layers that a file may name: those of `fastnn.nn` that can tell their constructor's arguments."""
    from . import nn
    from .nn import keras_activation, symbolic
    from .nn.loss import TorchLoss

    public = [getattr(nn, name) for name in nn.__all__]
    modules = [c for c in public if isinstance(c, type) and issubclass(c, nn.Module) and not issubclass(c, TorchLoss)]
    layers = [c for c in modules if c.get_config is not nn.Module.get_config]
    keras = keras_activation.ReLU, keras_activation.LeakyReLU, keras_activation.PReLU
    return {_name(c): c for c in (*layers, *keras, symbolic.Arithmetic, symbolic.Slice)}


def _name(layer: type) -> str:
    """What files call a class: its own name, unless another class has that too."""
    name: str = layer.__dict__.get("saved_as", layer.__name__)
    return name


SHARED = "Shared"
"""What stands for a layer that came before."""


def layer_config(layer: Any) -> dict[str, Any]:
    """A layer as JSON: its class's name and its arguments.

    Raises:
        TypeError: it is no layer of fastnn.
    """
    name = _name(type(layer))
    with shared_layers() as seen:
        for number, other in enumerate(seen):
            if other is layer:
                return {"class_name": SHARED, "config": {"number": number}}
        config = layer.get_config()
        seen.append(layer)
    if _registry().get(name) is not type(layer):
        raise TypeError(f"save: {name} is not one of fastnn's layers, so it cannot be put into a file; use save_weights()")
    return {"class_name": name, "config": config}


def layer_from_config(config: Any, depth: int = 0) -> Any:
    """The layer that `layer_config` told of.

    Raises:
        ValueError: this is no layer of fastnn.
    """
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError("load: the file's architecture is damaged: a layer has no class_name and config")
    registry = _registry()
    name = config.get("class_name")
    arguments = config["config"]
    with shared_layers() as seen:
        sizes = seen.sizes
        if name == SHARED:
            number = arguments.get("number")
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(seen):
                raise ValueError(
                    f"load: the file's architecture is damaged: it names layer {str(number)[:80]}, which does not come before"
                )
            return seen[number]
        if not isinstance(name, str) or name not in registry:
            raise ValueError(f"load: the file names a layer {str(name)[:80]!r}, which fastnn does not have")
        if depth > MAX_DEPTH:
            raise ValueError(f"load: the file's architecture is nested more than {MAX_DEPTH} deep")
        try:
            if hasattr(registry[name], "from_config"):
                layer = registry[name].from_config(arguments, lambda c: layer_from_config(c, depth + 1))
            else:
                layer = registry[name](**arguments)
        except DAMAGE as error:
            if str(error).startswith("load:"):
                raise
            raise ValueError(f"load: the file's architecture is damaged: {name}: {_short(error)}") from None
        # A layer that is told of by its number takes as much work as one that is written out.
        sizes[layer] = 1 + sum(sizes.get(m, 1) for m in layer.children())
        if sizes[layer] > MOST_LAYERS:
            raise ValueError(f"load: the file's architecture has more than {MOST_LAYERS} layers")
        seen.append(layer)
        return layer


def save(model: Any, path: Any) -> None:
    """Writes architecture and weights into one file; `load` makes the model again."""
    import json

    if not model.built:
        raise RuntimeError("save: the model has no weights yet, because no shape is known; give input_shape, or call it first")
    header: dict[str, Any] = {"version": VERSION, "model": layer_config(model)}
    if ties := _ties(model):
        header["ties"] = ties
    if model._compiled is not None:
        try:
            header["compile"] = _compile_config(model._compiled)
        except TypeError as error:
            message = f"save: the file has no training settings: {_short(error)}; compile the model again once it is loaded"
            warnings.warn(message, UserWarning, stacklevel=3)
    _write(path, model.state_dict(), {"format": FORMAT, "architecture": json.dumps(header, default=_number)})


def load(path: Any) -> Any:
    """The model in a file that `Module.save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, damaged, or no model of fastnn.

    >>> import fastnn, tempfile, os
    >>> model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.fastnn")
    >>> model.save(path)
    >>> bool((fastnn.load(path).predict([[1, 2, 3]]) == model.predict([[1, 2, 3]])).all())
    True
    """
    import json

    from .nn.parameter import Room, filled_later

    tensors, metadata = _read(path, "load")
    if metadata.get("format") != FORMAT or "architecture" not in metadata:
        raise ValueError(f"load: {path} is a safetensors file, but no model that fastnn saved; load_weights() reads its tensors")
    text = metadata["architecture"]
    if len(text) > MAX_ARCHITECTURE:
        raise ValueError(f"load: {path} has an architecture of {len(text)} bytes, more than {MAX_ARCHITECTURE}")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"load: {path} is damaged: its architecture is no JSON") from None
    if not isinstance(header, dict) or header.get("version") != VERSION:
        version = header.get("version") if isinstance(header, dict) else None
        raise ValueError(f"load: {path} has format version {str(version)[:80]}; this fastnn reads version {VERSION}")
    numbers, ties = sum(a.size for a in tensors.values()), header.get("ties", {})
    _check_inputs(header.get("model"), numbers, path)
    # Tied parameters, which the file holds once, are made apart.
    with filled_later(Room(numbers, numbers * (1 + len(ties) if isinstance(ties, dict) else 1))):
        model = layer_from_config(header.get("model"))
    try:
        _tie(model, ties)
        model.load_state_dict(tensors)
    except DAMAGE as error:
        raise ValueError(f"load: {path}: weights and architecture do not fit: {_short(error)}") from None
    if isinstance(header.get("compile"), dict):
        _compile(model, header["compile"], path)
    return model


def _number(value: Any) -> Any:
    """A number of NumPy's as JSON."""
    return value.item() if isinstance(value, np.generic) else float(value)


def _short(error: Exception) -> str:
    """The message, which may hold what the file says, without the middle of a long one."""
    text = str(error)
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


def _ties(model: Any) -> dict[str, list[Any]]:
    """The parameters that have further names: each of those, the first name, and whether it is a transposed view there."""
    from .nn.parameter import TransposedParameter, stored

    first: dict[Any, str] = {}
    ties: dict[str, list[Any]] = {}
    for name, p in model._all_parameters():
        if stored(p) in first:
            ties[name] = [first[stored(p)], isinstance(p, TransposedParameter)]
        first.setdefault(stored(p), name)
    return ties


def _tie(model: Any, ties: Any) -> None:
    """Makes parameters one again."""
    from .nn.parameter import TransposedParameter, stored

    if not isinstance(ties, dict):
        raise ValueError("the ties are no dict")
    modules, own = dict(model.named_modules()), dict(model._all_parameters())
    for name, tie in ties.items():
        first, transposed = tie
        value = TransposedParameter(stored(own[first])) if transposed else stored(own[first])
        if value.shape != own[name].shape or value.dtype != own[name].dtype:
            raise ValueError(f"{name} and {first} have different shapes or dtypes")
        module, _, attribute = name.rpartition(".")
        setattr(modules[module], attribute, value)


def save_weights(model: Any, path: Any) -> None:
    """Writes a model's state_dict into a safetensors file."""
    _write(path, model.state_dict(), {"format": "fastnn-weights"})


def load_weights(model: Any, path: Any) -> None:
    """Reads a safetensors file into a model's parameters by name."""
    tensors, _ = _read(path, "load_weights")
    model.load_state_dict(tensors)


def _check_inputs(config: Any, numbers: int, path: Any) -> None:
    """Refuses a graph whose inputs, which layers are tried on, are far greater than the file's weights."""
    stack, inputs = [config], 0
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
            given = item.get("inputs")  # of a graph: name, shape and dtype
            shapes = (
                [entry[1] for entry in given if isinstance(entry, list) and len(entry) == 3] if isinstance(given, list) else []
            )
            inputs = max(inputs, *(s for shape in shapes if isinstance(shape, list) for s in shape if isinstance(s, int)), 0)
        elif isinstance(item, list):
            stack += item
    if inputs > max(numbers, MOST_INPUTS):
        raise ValueError(f"load: {path} is damaged: an input of size {inputs}, but {numbers} weights in all")


def _compile_config(compiled: Any) -> dict[str, Any]:
    """What compile was given; TypeError where names and numbers cannot say it."""
    from . import optim

    given = compiled.given
    optimizer = compiled.optimizer
    if type(optimizer) not in optim.OPTIMIZERS.values():
        raise TypeError(f"the optimizer {type(optimizer).__name__} is none of fastnn's")
    if not optimizer.plain:
        raise TypeError("the optimizer was given groups of parameters")
    settings = {name: _setting_config(value) for name, value in optimizer.get_config().items()}
    config = {
        "optimizer": {"class_name": type(optimizer).__name__, "config": settings},
        "loss": _each(compiled.loss, _loss_config),
        "metrics": _each(given["metrics"], _metric_config),
    }
    return config if given["loss_weights"] is None else {**config, "loss_weights": given["loss_weights"]}


def _each(value: Any, f: Any) -> Any:
    """A setting by output, with f of what is inside."""
    if isinstance(value, list | tuple):
        return [_each(item, f) for item in value]
    if isinstance(value, dict):
        return {"by_output": {name: _each(item, f) for name, item in value.items()}}
    return None if value is None else f(value)


def _each_back(value: Any, f: Any) -> Any:
    """The setting that `_each` made this of."""
    if isinstance(value, list):
        return [_each_back(item, f) for item in value]
    if isinstance(value, dict) and "by_output" in value:
        return {name: _each_back(item, f) for name, item in value["by_output"].items()}
    return None if value is None else f(value)


def _setting_config(value: Any) -> Any:
    """A setting of an optimizer as JSON: a number, a flag, a schedule, or some of these."""
    from . import schedules

    if isinstance(value, list | tuple):
        return [_setting_config(item) for item in value]
    return schedules.serialize(value) if callable(value) else value


def _setting(config: Any) -> Any:
    """The setting that `_setting_config` made this of."""
    from . import schedules

    if isinstance(config, list):
        return [_setting(item) for item in config]
    return schedules.get(config) if isinstance(config, dict) else config


def _loss_config(loss: Any) -> dict[str, Any]:
    from . import losses

    config = losses.serialize(loss)
    if config is None:
        raise TypeError(f"the loss {loss.name or type(loss).__name__} is none of fastnn's")
    return config


def _metric_config(metric: Any) -> Any:
    """A metric's name, or its class and arguments; TypeError for a function."""
    from .training.metrics import CLASSES

    if metric in CLASSES:
        metric = metric()
    if type(metric) in CLASSES:
        return {"class_name": type(metric).__name__, "config": metric.get_config()}
    if not isinstance(metric, str):
        raise TypeError(f"the metric {metric} is neither a name nor one of fastnn's")
    return metric


def _metric(config: Any) -> Any:
    from .training.metrics import CLASSES

    if isinstance(config, str):
        return config
    return {cls.__name__: cls for cls in CLASSES}[config["class_name"]](**config["config"])


def _compile(model: Any, config: dict[str, Any], path: Any) -> None:
    from . import losses, optim

    try:
        o = config["optimizer"]
        optimizer = optim.OPTIMIZERS[o["class_name"]](**{name: _setting(value) for name, value in o["config"].items()})
        loss = _each_back(config["loss"], losses.deserialize)
        metrics = _each_back(config["metrics"], _metric)
        model.compile(optimizer, loss, metrics, loss_weights=config.get("loss_weights"))
    except DAMAGE as error:
        raise ValueError(f"load: {path} is damaged: its training settings: {_short(error)}") from None


def _read(path: Any, op: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f"{op}: there is no file {path}")
    try:
        with safe_open(str(path), framework="np") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, dict(f.metadata() or {})  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{op}: {path} is truncated or no safetensors file ({error})") from None


def _write(path: Any, tensors: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> None:
    """Writes into a file of its own, syncs it, and moves it to its place."""
    import tempfile
    from pathlib import Path

    from safetensors.numpy import save

    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"save: there is no folder {target.parent}")
    content = save(tensors, metadata)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
