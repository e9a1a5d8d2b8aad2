"""Models in files: one safetensors file with the weights, and the architecture as JSON in its metadata.

Files are read as hostile: safetensors checks the layout, the architecture is made of a closed list of layers, and no name in
it is ever imported or evaluated. Files are written beside their place and moved there, so that none is ever half-written.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

FORMAT = "fastnn"
VERSION = 1
MAX_ARCHITECTURE = 10_000_000
"""Bytes of JSON above which an architecture is refused."""
MAX_DEPTH = 100
"""Models inside models."""


def _registry() -> dict[str, Any]:
    """The layers that a file may name."""
    from . import nn

    layers = (
        *(nn.Sequential, nn.Dense, nn.Linear, nn.Activation, nn.Dropout, nn.Flatten),
        *(nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.Softmax, nn.LogSoftmax),
    )
    return {c.__name__: c for c in layers}


def layer_config(layer: Any) -> dict[str, Any]:
    """A layer as JSON: its class's name and its arguments.

    Raises:
        TypeError: it is no layer of fastnn.
    """
    name = type(layer).__name__
    config = layer.get_config()
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
    if not isinstance(name, str) or name not in registry:
        raise ValueError(f"load: the file names a layer {str(name)[:80]!r}, which fastnn does not have")
    if depth > MAX_DEPTH:
        raise ValueError(f"load: the file's architecture is nested more than {MAX_DEPTH} deep")
    arguments = config["config"]
    try:
        if name == "Sequential":
            layers = arguments["layers"]
            if not isinstance(layers, list):
                raise ValueError("layers is no list")
            return registry[name]([layer_from_config(c, depth + 1) for c in layers], name=arguments.get("name"))
        return registry[name](**arguments)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        if str(error).startswith("load:"):
            raise
        raise ValueError(f"load: the file's architecture is damaged: {name}: {error}") from None


def save(model: Any, path: Any) -> None:
    """Writes architecture and weights into one file; `load` makes the model again."""
    import json

    if not model.built:
        raise RuntimeError("save: the model has no weights yet, because no shape is known; give input_shape, or call it first")
    _check_unshared(model)
    header: dict[str, Any] = {"version": VERSION, "model": layer_config(model)}
    compiled = model._compiled
    if compiled is not None:
        header["compile"] = _compile_config(compiled)
    _write(path, model.state_dict(), {"format": FORMAT, "architecture": json.dumps(header, default=float)})


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
        raise ValueError(f"load: {path} has format version {version!r}; this fastnn reads version {VERSION}")
    _check_size(header.get("model"), sum(a.size for a in tensors.values()), path)
    model = layer_from_config(header.get("model"))
    try:
        model.load_state_dict(tensors)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"load: {path}: weights and architecture do not fit: {error}") from None
    if isinstance(header.get("compile"), dict):
        _compile(model, header["compile"], path)
    return model


def _check_unshared(model: Any) -> None:
    """ValueError where a layer stands in two places: the file would hold two layers."""
    seen, stack = set(), [model]
    while stack:
        layer = stack.pop()
        if layer in seen:
            raise ValueError(f"save: {type(layer).__name__} {layer.name!r} stands in two places of the model; use save_weights()")
        seen.add(layer)
        stack += layer.children()


def save_weights(model: Any, path: Any) -> None:
    """Writes a model's state_dict into a safetensors file."""
    _write(path, model.state_dict(), {"format": "fastnn-weights"})


def load_weights(model: Any, path: Any) -> None:
    """Reads a safetensors file into a model's parameters by name."""
    tensors, _ = _read(path, "load_weights")
    model.load_state_dict(tensors)


def _check_size(config: Any, numbers: int, path: Any) -> None:
    """Refuses an architecture whose layers would need far more memory than the file's weights have."""
    stack, units = [config], 0
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
            sizes = [item.get("units"), item.get("out_features"), item.get("in_features")]
            shape = item.get("input_shape")
            sizes += shape if isinstance(shape, list) else []
            units = max(units, *(s for s in (0, *sizes) if isinstance(s, int)))
        elif isinstance(item, list):
            stack += item
    if units > max(numbers, 1):
        raise ValueError(f"load: {path} is damaged: a layer of {units} units, but {numbers} weights in all")


def _compile_config(compiled: Any) -> dict[str, Any] | None:
    """What compile was given, where names and numbers can say it."""
    from . import optim
    from .losses import LOSSES

    try:
        metrics = [_metric_config(m) for m in compiled.given["metrics"]]
    except TypeError:  # a function
        return None
    optimizer, loss = compiled.optimizer, compiled.loss
    if type(optimizer) not in optim.OPTIMIZERS.values() or LOSSES.get(loss.name) is not type(loss):
        return None
    return {
        "optimizer": {"class_name": type(optimizer).__name__, "config": optimizer.get_config()},
        "loss": {"class_name": loss.name, "config": loss.get_config()},
        "metrics": metrics,
    }


def _metric_config(metric: Any) -> Any:
    """A metric's name, or its class and arguments; TypeError for a function."""
    from .training.metrics import CLASSES

    if metric in CLASSES:
        metric = metric()
    if type(metric) in CLASSES:
        return {"class_name": type(metric).__name__, "config": metric.get_config()}
    if not isinstance(metric, str):
        raise TypeError(f"{metric} is neither a name nor a metric of fastnn")
    return metric


def _metric(config: Any) -> Any:
    from .training.metrics import CLASSES

    if isinstance(config, str):
        return config
    return {cls.__name__: cls for cls in CLASSES}[config["class_name"]](**config["config"])


def _compile(model: Any, config: dict[str, Any], path: Any) -> None:
    from . import optim
    from .losses import LOSSES

    try:
        o, loss = config["optimizer"], config["loss"]
        optimizer = optim.OPTIMIZERS[o["class_name"]](**o["config"])
        model.compile(optimizer, LOSSES[loss["class_name"]](**loss["config"]), [_metric(m) for m in config["metrics"]])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"load: {path} is damaged: its training settings: {error}") from None


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
