"""Everything with a name and arguments comes back from a file with all of them."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import activations, constraints, initializers, losses, optim, regularizers, schedules
from fastnn.core.registered import LAYERS
from fastnn.files.layers import layer_config, plain
from fastnn.files.training import _settings
from fastnn.training.metrics import CLASSES

TORCH_LOSSES = [c for name, c in LAYERS.items() if name.startswith("nn.") and not c.not_in_fit]


def others(cls: Any) -> dict[str, Any]:
    """Arguments that are none of the defaults."""
    found: dict[str, Any] = {}
    for name, p in inspect.signature(cls).parameters.items():
        if name == "differentiable":  # refused, unless it is False
            continue
        if isinstance(p.default, bool):
            found[name] = not p.default
        elif isinstance(p.default, float):
            found[name] = p.default / 2 or 0.25
        elif isinstance(p.default, int):
            found[name] = p.default + 1
    return found


def kinds(classes: Any, **own: Any) -> list[Any]:
    """Each class as it is, and with other arguments: those that are given here for some, else `others`."""
    made = []
    for cls in classes:
        needed = [p for p in inspect.signature(cls).parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
        for arguments in ({}, own.get(cls.__name__, others(cls))):
            if arguments or not needed:
                made.append(pytest.param(cls, arguments, id=f"{cls.__name__}-{len(arguments)}"))
    return made


def comes_back(model: Any, folder: Path) -> Any:
    model.save(folder / "m")
    twin = fastnn.load(folder / "m")
    assert plain(layer_config(twin)) == plain(layer_config(model))
    return twin


def trained(folder: Path, optimizer: Any = "sgd", loss: Any = "mse", metrics: Any = None) -> None:
    model = fastnn.Sequential([fastnn.Dense(4, "softmax", input_shape=(4,))])
    model.compile(optimizer, loss, metrics)
    assert plain(_settings(comes_back(model, folder)._compiled)) == plain(_settings(model._compiled))


INITIALIZERS = [*initializers.INITIALIZERS.values(), initializers.LinearBias]
RULES = [c for c in vars(regularizers).values() if isinstance(c, type) and issubclass(c, regularizers.Regularizer)]
LIMITS = [c for c in vars(constraints).values() if isinstance(c, type) and issubclass(c, constraints.Constraint)]


@pytest.mark.parametrize(("cls", "arguments"), kinds(INITIALIZERS, LinearBias={"fan_in": 4}))
def test_initializers(cls: Any, arguments: Any, tmp_path: Path) -> None:
    made = cls(**arguments)
    kernel = {} if cls is initializers.LinearBias else {"kernel_initializer": made}
    bias = {} if cls in (initializers.Orthogonal, initializers.Identity) else {"bias_initializer": made}
    comes_back(fastnn.Sequential([fastnn.Dense(4, input_shape=(4,), **kernel, **bias)]), tmp_path)


@pytest.mark.parametrize(("cls", "arguments"), kinds(c for c in RULES if c.__name__ not in ("Regularizer", "FromFunction")))
def test_regularizers(cls: Any, arguments: Any, tmp_path: Path) -> None:
    rules = {f"{part}_regularizer": cls(**arguments) for part in ("kernel", "activity")}
    comes_back(fastnn.Sequential([fastnn.Dense(4, input_shape=(4,), **rules)]), tmp_path)


@pytest.mark.parametrize(("cls", "arguments"), kinds(c for c in LIMITS if c.__name__ not in ("Constraint", "FromFunction")))
def test_constraints(cls: Any, arguments: Any, tmp_path: Path) -> None:
    comes_back(fastnn.Sequential([fastnn.Dense(4, input_shape=(4,), kernel_constraint=cls(**arguments))]), tmp_path)


@pytest.mark.parametrize("name", [*activations.NAMES, *activations.ROWS])
def test_activations(name: str, tmp_path: Path) -> None:
    comes_back(fastnn.Sequential([fastnn.Dense(4, name, input_shape=(4,)), fastnn.Activation(name)]), tmp_path)


@pytest.mark.parametrize(
    ("cls", "arguments"), kinds([*losses.LOSSES.values(), *TORCH_LOSSES], Tweedie={"power": 1.25, "name": "own"})
)
def test_losses(cls: Any, arguments: Any, tmp_path: Path) -> None:
    trained(tmp_path, loss=cls(**arguments))


OWN: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 4, "target_class_ids": [1, 2], "sparse_y_true": False, "sparse_y_pred": False},
    "MeanIoU": {"num_classes": 4, "ignore_class": 1, "sparse_y_true": False, "sparse_y_pred": False},
    "OneHotIoU": {"num_classes": 4, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 4, "name": "own"},
    "BinaryIoU": {"target_class_ids": [1], "threshold": 0.25},
    "PrecisionAtRecall": {"recall": 0.25, "num_thresholds": 9},
    "RecallAtPrecision": {"precision": 0.25, "class_id": 1},
    "SensitivityAtSpecificity": {"specificity": 0.25},
    "SpecificityAtSensitivity": {"sensitivity": 0.25},
}


@pytest.mark.parametrize(("cls", "arguments"), kinds(CLASSES, **OWN))
def test_metrics(cls: Any, arguments: Any, tmp_path: Path) -> None:
    trained(tmp_path, metrics=[cls(**arguments), *([] if arguments is OWN.get(cls.__name__) else [cls])])


@pytest.mark.parametrize(("cls", "arguments"), kinds(optim.OPTIMIZERS.values(), SGD={"momentum": 0.5, "dampening": 0.5}))
def test_optimizers(cls: Any, arguments: Any, tmp_path: Path) -> None:
    trained(tmp_path, optimizer=cls(**arguments))


@pytest.mark.parametrize("cls", schedules.SCHEDULES.values())
def test_schedules(cls: Any, tmp_path: Path) -> None:
    own: dict[str, Any] = {"Join": ([schedules.Constant(0.1), schedules.CosineDecay(0.1, 9)], [3])}
    own["LinearWarmupDecay"] = (0.1, 3, 9)
    own["PiecewiseConstantDecay"] = (np.array([1, 2]), np.array([0.1, 0.2, 0.3]))
    count = sum(p.default is p.empty for p in inspect.signature(cls).parameters.values())
    schedule = cls(*own.get(cls.__name__, (0.1, 9, 0.5, 9, 9)[:count] if count else ()))
    trained(tmp_path, optimizer=optim.SGD(lr=schedule, momentum=schedule))


def test_arrays_among_arguments(tmp_path: Path) -> None:
    constant = initializers.Constant(np.arange(16.0).reshape(4, 4))
    twin = comes_back(fastnn.Sequential([fastnn.Dense(4, input_shape=(4,), kernel_initializer=constant)]), tmp_path)
    assert twin[0].kernel_initializer.value == constant.value.tolist()
    trained(tmp_path, loss=nn.CrossEntropyLoss(weight=np.ones(4, np.float32)))
    trained(tmp_path, loss=losses.Quantile(np.array([0.1, 0.2, 0.3, 0.4])))


def test_an_initializer_that_is_a_function(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(4, input_shape=(4,), kernel_initializer=lambda shape, dtype: np.full(shape, 0.5))])
    with pytest.warns(UserWarning, match="the initializer <function .* cannot be written, so 'glorot_uniform' replaces it"):
        model.save(tmp_path / "m")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "m").get_weights()[0], np.full((4, 4), 0.5))
