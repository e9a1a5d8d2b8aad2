"""Attributes that are set after construction do what the constructor's arguments do, or are refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attribute_values import arguments, base_of, other

import fastnn
import fastnn.nn as nn
from fastnn.core.tree import flatten
from fastnn.initializers import INITIALIZERS
from fastnn.losses.torch.base import TorchLoss
from fastnn.losses.torch.pairs import PairLoss
from fastnn.nn.layers import embedding as keras_embedding
from fastnn.nn.layers import keras_activation
from fastnn.nn.layers.recurrent_cell import Cell
from fastnn.nn.layers.recurrent_layer import Recurrent
from fastnn.nn.layers.torch_recurrent import RNNBase
from fastnn.nn.layers.torch_recurrent_cells import RNNCellBase

rng = np.random.default_rng(0)
X = rng.standard_normal((6, 4)).astype(np.float32)


def joined(results: Any) -> Any:
    """Return all numbers of several Tensors."""
    return fastnn.concatenate([t.reshape(-1) for t in flatten(results)[1]])


def layer_does(layer: Any) -> list[Any]:
    """What a layer computes in training and evaluation, eager and recorded, and what its repr and config say."""
    fastnn.seed(3)
    recurrent = isinstance(layer, Cell | Recurrent | RNNBase | RNNCellBase)
    several = isinstance(layer, nn.Add | nn.Concatenate | nn.Dot | nn.Subtract)
    x: Any = [fastnn.tensor(X), fastnn.tensor(X[::-1])] if several else fastnn.tensor(np.stack([X, -X], 1))
    name = type(layer).__name__
    if axes := getattr(layer, "_axes", 0) or (int(name[-2]) if name.startswith("BatchNorm") and name.endswith("d") else 0):
        shape = (2, 4, *(8,) * axes) if name.endswith("d") else (2, *(8,) * axes, 4)
        x = fastnn.tensor(np.random.default_rng(2).standard_normal(shape).astype(np.float32))
    elif name.startswith("Pixel"):
        x = fastnn.tensor(np.random.default_rng(2).standard_normal((2, 36, 6, 6)).astype(np.float32))
    elif "Embedding" in name and name not in ("PositionEmbedding", "PiecewiseLinearEmbedding"):
        x = fastnn.tensor([[0, 1, 1], [3, 1, 4]])
    elif name in ("RepeatVector", "PiecewiseLinearEmbedding", "QuantileNormalization"):
        x = fastnn.tensor(X)
    elif name == "GroupNorm":
        x = fastnn.tensor(np.random.default_rng(2).standard_normal((2, 4, 3)).astype(np.float32))
    does: Callable[[Any], Any] = layer
    if isinstance(layer, nn.MixUp):
        does = lambda x: fastnn.concatenate(layer(x, -x))  # noqa: E731
    elif isinstance(layer, nn.MultiheadAttention):
        does = lambda x: layer(x, x, x)[0]  # noqa: E731
    elif isinstance(layer, nn.CosineSimilarity | nn.PairwiseDistance):
        does = lambda x: layer(x, x + X[0])  # noqa: E731
    elif isinstance(layer, nn.Attention | nn.AdditiveAttention):
        does = lambda x: layer([x, x])  # noqa: E731
    elif isinstance(layer, nn.MultiHeadAttention | nn.GroupedQueryAttention):
        does = lambda x: layer(x, x)  # noqa: E731
    elif isinstance(layer, nn.TransformerDecoderLayer | nn.Transformer):
        does = lambda x: layer(x, -x)  # noqa: E731
    elif recurrent:
        cell = isinstance(layer, Cell)
        x = x[:, 0] if isinstance(layer, RNNCellBase) else x
        does = lambda x: joined(layer(x[:, 0], layer.get_initial_state(len(x))) if cell else layer(x))  # noqa: E731
    results = []
    for _ in range(2):
        for mode in (True, False):
            layer.train(mode)
            results.append(does(x).numpy())
    if not several:
        captured = fastnn.capture(lambda x: does(x).detach())
        results += [captured(x).numpy() for _ in range(3)]
    if isinstance(layer, nn.ReversibleEmbedding):
        results.append(layer(X[:, :4], reverse=True).numpy())
    layer.apply_constraints()
    return [*results, *[p.item() for p in layer.losses], *layer.get_weights(), repr(layer), layer.get_config()]


def loss_does(loss: Any) -> list[Any]:
    if isinstance(loss, nn.CTCLoss | fastnn.losses.CTC):
        x = fastnn.tensor(np.stack([X, -X], 1))
        if isinstance(loss, nn.CTCLoss):  # the second sample has too few steps for its labels
            return [loss(fastnn.log_softmax(x), [[2, 3], [3, 3]], [6, 2], [2, 2]).numpy(), repr(loss), loss.get_config()]
        return [loss([[1, 2], [3, 0]], x.transpose((1, 0, 2))).numpy(), loss.get_config()]
    probabilities = fastnn.softmax(fastnn.tensor(X)).detach()
    torch_classes = nn.CrossEntropyLoss | nn.NLLLoss | nn.MultiMarginLoss
    classes = isinstance(loss, torch_classes) or loss.targets == "labels" or isinstance(loss, fastnn.losses.Circle)
    x = fastnn.tensor(probabilities.numpy(), requires_grad=True)
    if isinstance(loss, PairLoss):
        t = [1.0, -1.0] * 3 if isinstance(loss, nn.CosineEmbeddingLoss) else np.tile([1.0, -1.0], (6, 2))
        return [loss(x, X, t).numpy(), repr(loss), loss.get_config()]
    t = np.arange(6) % 4 if classes else np.tile([[1.0, 0.0, 1.0, 0.0]], (6, 1))
    if isinstance(loss, fastnn.losses.GaussianNLL):
        t = t[:, :2]
    value = loss(x, t) if isinstance(loss, TorchLoss) else loss(t, x)
    value.sum().backward()
    return [value.numpy(), x.grad.numpy(), loss.get_config()]


def schedule_does(schedule: Any) -> list[Any]:
    return [schedule(np.arange(12)), schedule.get_config()]


def regularizer_does(rule: Any) -> list[Any]:
    return [rule(fastnn.tensor(X)).numpy(), rule.get_config()]


def constraint_does(rule: Any) -> list[Any]:
    p = nn.Parameter(X.copy())
    rule(p)
    return [p.numpy(), rule.get_config()]


def initializer_does(make: Any) -> list[Any]:
    return [make((4, 4), np.float32, np.random.default_rng(1)), make.get_config()]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return bool(a == b)


_classes = [getattr(nn, name) for name in nn.__all__]
_modules = [c for c in _classes if isinstance(c, type) and issubclass(c, nn.Module)]
_containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Model, nn.Residual, nn.Module)
_containers += (nn.ParameterList, nn.ParameterDict, nn.StackedRNNCells, nn.Bidirectional, nn.TimeDistributed)
_containers += (nn.TransformerEncoder, nn.TransformerDecoder)
LAYERS = [c for c in _modules if not issubclass(c, TorchLoss) and c not in _containers]
LAYERS += [keras_embedding.Embedding, keras_activation.ReLU, keras_activation.LeakyReLU, keras_activation.PReLU]
LAYERS += [fastnn.LSTM, fastnn.GRU, fastnn.LSTMCell, fastnn.GRUCell]
LOSSES = [c for c in _modules if issubclass(c, TorchLoss) and c is not nn.LinearCrossEntropyLoss]

KINDS: list[tuple[list[Any], Callable[[Any], list[Any]]]] = [
    (LAYERS, layer_does),
    (LOSSES, loss_does),
    ([*fastnn.losses.LOSSES.values()], loss_does),
    ([*fastnn.schedules.SCHEDULES.values()], schedule_does),
    ([fastnn.regularizers.L1, fastnn.regularizers.L1L2, fastnn.regularizers.OrthogonalRegularizer], regularizer_does),
    ([fastnn.constraints.MaxNorm, fastnn.constraints.MinMaxNorm, fastnn.constraints.UnitNorm], constraint_does),
    ([*INITIALIZERS.values()], initializer_does),
]
CASES = [(cls, name, does) for classes, does in KINDS for cls in classes for name in arguments(cls)]


@pytest.mark.parametrize(
    ("cls", "name", "does"), CASES, ids=[f"{c.__module__.split('.')[1]}-{c.__name__}-{n}" for c, n, _ in CASES]
)
def test_a_setting_takes_effect_or_is_refused(cls: type, name: str, does: Callable[[Any], list[Any]]) -> None:
    def make(**settings: Any) -> Any:
        fastnn.seed(0)
        return cls(**{**base_of(cls), **settings})

    value, changed = other(cls, name, arguments(cls)[name]), make()
    before = does(make())
    try:
        setattr(changed, name, value)
    except (AttributeError, TypeError) as error:
        assert cls.__name__ in str(error) and name in str(error)
        assert same(does(changed), before)
        return
    got = does(changed)
    assert same(got, does(make(**{name: value})))
    assert not same(got, before)
    try:
        make(**{name: object()})
    except (ValueError, TypeError):  # what the constructor refuses is refused, and nothing is changed by it
        changed = make(**{name: value})
        with pytest.raises((ValueError, TypeError)):
            setattr(changed, name, object())
        assert same(does(changed), got)


@pytest.mark.parametrize(
    ("thing", "name", "take"),
    [
        (nn.ELU(), "activation", "Activation"),
        (fastnn.initializers.GlorotUniform(), "scale", "VarianceScaling"),
        (fastnn.constraints.UnitNorm(), "max_value", "MinMaxNorm"),
        (fastnn.regularizers.L1(), "l2", "L1L2"),
    ],
)
def test_what_a_class_stands_for_is_fixed(thing: Any, name: str, take: str) -> None:
    with pytest.raises(AttributeError, match=f"{type(thing).__name__}: {name} is fixed.*{take}"):
        setattr(thing, name, 0.5)


@pytest.mark.parametrize(
    ("layer", "name", "meant", "value"),
    [
        (nn.LeakyReLU(), "alpha", "negative_slope", 0.5),
        (fastnn.LeakyReLU(), "alpha", "negative_slope", 0.5),
        (nn.Softmax(), "dim", "axis", 0),
        (nn.GLU(), "dim", "axis", 0),
        (fastnn.Dropout(), "p", "rate", 0.25),
    ],
)
def test_other_names_of_settings(layer: Any, name: str, meant: str, value: Any) -> None:
    setattr(layer, name, value)
    assert getattr(layer, name) == getattr(layer, meant) == layer.get_config()[meant] == value


def test_custom_attributes_are_free() -> None:
    class Scaled(fastnn.losses.Huber):
        def __init__(self, scale: float) -> None:
            super().__init__(delta=1.0)
            self.scale = scale
            self.delta = 2.0

    loss, layer = Scaled(3.0), nn.ELU()
    loss.scale, layer.mark = 4.0, "mine"
    assert loss.delta == 2.0 and loss.scale == 4.0 and layer.mark == "mine"
    assert loss([[0.0]], fastnn.tensor([[4.0]])).item() == fastnn.losses.Huber(2.0)([[0.0]], fastnn.tensor([[4.0]])).item()


# ---- in training ----


@pytest.mark.parametrize("name", ["size_average", "reduce"])
def test_older_arguments_of_losses_are_no_attributes(name: str) -> None:
    with pytest.raises(AttributeError, match="set reduction"):
        setattr(nn.MSELoss(), name, False)
