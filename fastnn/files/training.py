"""Training settings of a model in files: the arguments of compile, and the state of the optimizer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..core.registered import UnknownNameError, named, own_config, registered_name
from ..core.structure import users_level
from ..nn.parameter import stored
from .layers import DAMAGE, check_keys, message, plain, same
from .tensors import short

Array = np.ndarray[Any, Any]
STATE = ".optimizer"
"""Prefix of the names of an optimizer's tensors. Names of parameters never begin with it."""


_KEYS = {
    "optimizer": dict,
    "loss": object,
    "metrics": object,
    "weighted_metrics": object,
    "loss_weights": object,
    "capture": bool,
    "dtype": str,
    "parameters": list,
    "state": dict,
    "place": dict,
}
_LATER = ("weighted_metrics", "loss_weights", "capture", "dtype", "parameters", "state", "place")
"""Keys that files of version 1 may lack."""


def config_of(model: Any, tensors: dict[str, Array] | None) -> dict[str, Any]:
    """Return the arguments of compile and the state of the optimizer as JSON. Add the arrays of the state to `tensors`.

    If `tensors` is None, the state is left out.

    Raises:
        TypeError: a setting cannot be written as JSON.
    """
    config = _settings(model._compiled)
    optimizer = model.optimizer
    if tensors is not None and optimizer._pending is not None:
        optimizer.add(model.parameters())  # it has a loaded state that waits for parameters
    names = {stored(p): name for name, p in model.named_parameters()}
    own = [p for group in optimizer.param_groups for p in group.parameters]
    if others := [p for p in own if p not in names]:
        raise TypeError(f"the optimizer holds parameters of other models, {len(others)} of {len(own)}")
    if not optimizer.plain:
        config["parameters"] = [_group_config(group, names) for group in optimizer.param_groups]
    elif not model._compiled.owns_optimizer:
        config["parameters"] = [names[p] for p in own]
    if tensors is not None and own:
        state = packed(optimizer.state_dict(), STATE, tensors)
        config["state"] = {"parameters": [names[p] for p in own], "of_model": model._compiled.owns_optimizer, "values": state}
    if tensors is not None and (place := model._compiled.place) is not None:
        config["place"] = place_config(place if isinstance(place, dict) else place.config(), tensors)
    return config


def place_config(place: dict[str, Any], tensors: dict[str, Array]) -> dict[str, Any]:
    """Return the place that training has reached. The state of custom data is left out if it cannot be written to a file."""
    own: dict[str, Array] = {}
    try:
        source = packed(place["source"], f"{STATE}-source", own)
    except TypeError as error:
        text = f"save: the file has no state of the data: {message(error)}; wanted numbers, strings, arrays, lists and dicts"
        warnings.warn(text, UserWarning, stacklevel=users_level())
        return {**place, "source": None}
    tensors.update(own)
    return {**place, "source": source}


def _group_config(group: Any, names: dict[Any, str]) -> dict[str, Any]:
    """Return a group of parameters as JSON: the names of the parameters, and the settings of the group."""
    settings = {name: _setting_config(value) for name, value in group.settings().items()}
    if odd := [name for name, value in settings.items() if not _is_json(value)]:
        raise TypeError(f"a group of the optimizer has {odd[0]}, which is a {type(settings[odd[0]]).__name__}")
    return {"params": [names[p] for p in group.parameters], "settings": settings}


def _is_json(value: Any) -> bool:
    """Return whether a value can be written as JSON, with NumPy's numbers as Python's."""
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _settings(compiled: Any) -> dict[str, Any]:
    from .. import optim

    optimizer, given = compiled.optimizer, compiled.given
    name = registered_name(type(optimizer)) or type(optimizer).__name__
    if ">" not in name and type(optimizer) not in optim.OPTIMIZERS.values():
        raise TypeError(f"the optimizer {name} is none of fastnn's, and not registered by @fastnn.register")
    settings = {name: _setting_config(value) for name, value in optimizer.get_config().items()}
    return {
        "optimizer": {"class_name": name, "config": settings},
        "loss": _each(compiled.loss, _loss_config),
        "metrics": _each(given["metrics"], _metric_config),
        "weighted_metrics": _each(given["weighted_metrics"], _metric_config),
        "loss_weights": given["loss_weights"],
        "capture": compiled.capture,
        "dtype": compiled.dtype,
    }


def compile_from(model: Any, config: Any, tensors: dict[str, Array], path: Any) -> None:
    """Compile a model with the settings of its file, and restore the state of the optimizer.

    Raises:
        ValueError: the settings are damaged, or the state does not fit the model.
    """
    from .. import losses
    from ..training.data.order import Resumed

    try:
        kinds: dict[str, Any] = {key: [kind] if key in _LATER else kind for key, kind in _KEYS.items()}
        check_keys(config, "compile", **kinds)
        given = config["optimizer"]
        check_keys(given, "compile.optimizer", class_name=str, config=dict)
        own = dict(model.named_parameters())
        parameters = None if config.get("parameters") is None else [_parameters(item, own) for item in config["parameters"]]
        settings = {name: _setting(value) for name, value in given["config"].items()}
        optimizer = _optimizer(given["class_name"])(parameters, **settings)
        loss, metrics = _each_back(config["loss"], losses.deserialize), _each_back(config["metrics"], _metric)
        state = config.get("state")
        if state is not None:
            check_keys(state, "compile.state", parameters=list, of_model=bool, values=object)
            members = [stored(own[name]) for name in state["parameters"]]
        _compile(model, optimizer, loss, metrics, config, path)
        made = plain(_settings(model._compiled))
        for key in made.keys() & config.keys() - {"dtype"}:
            if not same(config[key], made[key]):
                raise ValueError(f"{key} is {short(repr(config[key]))}, which is taken for {short(repr(made[key]))}")
        if not optimizer.plain:
            names = {stored(p): name for name, p in own.items()}
            groups = plain([_group_config(group, names) for group in optimizer.param_groups])
            if not same(config["parameters"], groups):
                raise ValueError(f"parameters are {short(repr(config['parameters']))}, which are taken for {short(repr(groups))}")
        if state is not None:
            optimizer.add(members)
            model._compiled.owns_optimizer = state["of_model"]
            optimizer.load_state_dict(unpacked(state["values"], tensors))
        if (place := config.get("place")) is not None:
            keys: dict[str, Any] = {"epoch": int, "steps": int, "at": int, "size": list, "stream": object, "source": object}
            check_keys(place, "compile.place", **keys)
            place = {**place, "source": unpacked(place["source"], tensors)}
            model._compiled.place, model._compiled.resumed = place, Resumed(place)
    except UnknownNameError as error:
        text = f"load: {path}: its training settings: {error}; or give compile=False, which leaves them out"
        raise UnknownNameError(text) from None
    except DAMAGE as error:
        raise ValueError(f"load: {path} is damaged: its training settings: {message(error)}") from None
    if tensors:
        raise ValueError(f"load: {path} is damaged: no parameter and no optimizer has {short(next(iter(tensors)))!r}")


def _optimizer(name: str) -> Any:
    """Return the optimizer class with this name."""
    from .. import optim

    cls = named(name) if ">" in name else optim.OPTIMIZERS[name]
    if not isinstance(cls, type) or not issubclass(cls, optim.Optimizer):
        raise ValueError(f"{short(name)!r} is registered, but it is no Optimizer")
    return cls


def _parameters(given: Any, own: dict[str, Any]) -> Any:
    """Return the parameter with this name, or the group of parameters that `_group_config` wrote."""
    if isinstance(given, str):
        return stored(own[given])
    check_keys(given, "compile.parameters", params=list, settings=dict)
    settings = {name: _setting(value) for name, value in given["settings"].items()}
    return {**settings, "params": [stored(own[name]) for name in given["params"]]}


def _compile(model: Any, optimizer: Any, loss: Any, metrics: Any, config: dict[str, Any], path: Any) -> None:
    dtype = config.get("dtype") or "float32"
    others: dict[str, Any] = {"capture": config.get("capture"), "loss_weights": config.get("loss_weights")}
    others["weighted_metrics"] = _each_back(config.get("weighted_metrics"), _metric)
    if others["loss_weights"] is not None:
        _check_weights(others["loss_weights"])
    try:
        model.compile(optimizer, loss, metrics, dtype=dtype, **others)
    except RuntimeError as error:
        text = f"load: {path}: the model was compiled with dtype={dtype!r}, and goes on in float32 here: {message(error)}"
        warnings.warn(text, UserWarning, stacklevel=4)
        model.compile(optimizer, loss, metrics, **others)


def _check_weights(given: Any) -> None:
    """Raise ValueError unless the loss weights are numbers; there may be one for each output."""
    values = given.values() if isinstance(given, dict) else given if isinstance(given, list) else [given]
    for value in values:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"loss_weights has {short(repr(value))}, wanted numbers")


def packed(value: Any, name: str, tensors: dict[str, Array]) -> Any:
    """Return a state as JSON: numbers, lists and dicts. Arrays are moved to `tensors`, and their names are written."""
    if isinstance(value, np.ndarray):
        while name in tensors:  # another key has a point in its name
            name += "'"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, packed(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [packed(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return value
    raise TypeError(f"{'the optimizer' if name.startswith(f'{STATE}.') else 'its'} state has a {type(value).__name__}")


def unpacked(config: Any, tensors: dict[str, Array]) -> Any:
    """Return the state that `packed` wrote, and remove its arrays from `tensors`."""
    if isinstance(config, list):
        return [unpacked(item, tensors) for item in config]
    if not isinstance(config, dict):
        return config
    if config.keys() == {"tensor"}:
        return tensors.pop(config["tensor"])
    check_keys(config, "compile.state", dict=list)
    return {key: unpacked(item, tensors) for key, item in config["dict"]}


def _each(value: Any, f: Any) -> Any:
    """Apply f to a setting, or to the setting of each output, and return the result as JSON."""
    if isinstance(value, list | tuple):
        return [_each(item, f) for item in value]
    if isinstance(value, dict):
        return {"by_output": {name: _each(item, f) for name, item in value.items()}}
    return None if value is None else f(value)


def _each_back(value: Any, f: Any) -> Any:
    """Return the setting that `_each` wrote, with f applied to each part."""
    if isinstance(value, list):
        return [_each_back(item, f) for item in value]
    if isinstance(value, dict) and "by_output" in value:
        return {name: _each_back(item, f) for name, item in value["by_output"].items()}
    return None if value is None else f(value)


def _setting_config(value: Any) -> Any:
    """Return a setting of an optimizer as JSON: a number, a flag, a schedule, or a list of these."""
    from .. import schedules

    if isinstance(value, list | tuple):
        return [_setting_config(item) for item in value]
    return schedules.serialize(value) if callable(value) else value


def _setting(config: Any) -> Any:
    """Return the setting that `_setting_config` wrote."""
    from .. import schedules

    if isinstance(config, list):
        return [_setting(item) for item in config]
    return schedules.get(config) if isinstance(config, dict) else config


def _loss_config(loss: Any) -> dict[str, Any]:
    from .. import losses

    config = losses.serialize(loss)
    if config is None:
        raise TypeError(
            f"the loss {loss.name or type(loss).__name__} is none of fastnn's, and not registered by @fastnn.register"
        )
    return config


def _metric_config(metric: Any) -> Any:
    """Return the name of a metric, or its class and arguments. Raise TypeError if it has no name in files."""
    from ..training.metrics import CLASSES, MeanMetricWrapper, Metric

    if isinstance(metric, type) and issubclass(metric, Metric):
        metric = metric()
    if type(metric) in CLASSES:
        return {"class_name": type(metric).__name__, "config": metric.get_config()}
    function = metric.fn if type(metric) is MeanMetricWrapper else metric
    if (name := registered_name(function)) is not None:
        return {"class_name": name, "config": {"name": metric.name} if isinstance(metric, Metric) else {}}
    if (name := registered_name(type(metric))) is not None:
        return {"class_name": name, "config": own_config(metric)}
    if not isinstance(metric, str):
        raise TypeError(f"the metric {metric} is neither a name nor one of fastnn's, and not registered by @fastnn.register")
    return metric


def _metric(config: Any) -> Any:
    """Return the metric that `_metric_config` wrote."""
    from ..training.metrics import CLASSES, MeanMetricWrapper, Metric

    if isinstance(config, str):
        return config
    name, arguments = config["class_name"], config["config"]
    if ">" not in name:
        return {cls.__name__: cls for cls in CLASSES}[name](**arguments)
    found = named(name)
    if isinstance(found, type):
        if not issubclass(found, Metric):
            raise ValueError(f"{short(name)!r} is registered, but it is no Metric")
        return found(**arguments)
    return MeanMetricWrapper(found, **arguments) if arguments else found
