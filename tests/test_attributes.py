"""Attributes that are set after construction do what the constructor's arguments do, or are refused."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.initializers import INITIALIZERS
from fastnn.losses.torch.base import TorchLoss
from fastnn.losses.torch.pairs import PairLoss
from fastnn.nn.layers import keras_activation
from fastnn.training.step import TrainStep

rng = np.random.default_rng(0)
X = rng.standard_normal((6, 4)).astype(np.float32)

BASE: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "relu"},
    "CosineDecay": {"initial_learning_rate": 0.5, "decay_steps": 8, "warmup_target": 1.0, "warmup_steps": 3},
    "CosineDecayRestarts": {"initial_learning_rate": 0.5, "first_decay_steps": 3},
    "Cyclic": {"base_learning_rate": 0.1, "max_learning_rate": 1.0, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9},
    "Dense": {"units": 3, "activation": "relu", "input_shape": (4,)},
    "Dot": {"axes": 1},
    "ExponentialDecay": {"initial_learning_rate": 0.5, "decay_steps": 3, "decay_rate": 0.5},
    "GaussianDropout": {"rate": 0.5, "seed": 1},
    "GaussianNoise": {"stddev": 0.5, "seed": 1},
    "InverseTimeDecay": {"initial_learning_rate": 0.5, "decay_steps": 3, "decay_rate": 0.5},
    "Join": {"schedules": [fastnn.schedules.Constant(1.0), fastnn.schedules.Constant(2.0)], "boundaries": [5]},
    "Linear": {"in_features": 4, "out_features": 3},
    "LinearWarmupDecay": {"peak": 1.0, "warmup_steps": 3, "total_steps": 9},
    "Maxout": {"num_pieces": 2},
    "OneCycle": {"max_learning_rate": 1.0, "total_steps": 10},
    "PiecewiseConstantDecay": {"boundaries": [3], "values": [1.0, 0.5]},
    "PolynomialDecay": {"initial_learning_rate": 0.5, "decay_steps": 6, "power": 2.0},
    "StepDecay": {"initial_learning_rate": 0.5, "step_size": 3},
    "Threshold": {"threshold": 0.1, "value": 0.3},
    "WarmupStableDecay": {"peak": 1.0, "warmup_steps": 3, "stable_steps": 2, "decay_steps": 3},
    "Constant": {"value": 0.5},
    "Dropout": {"seed": 1},
    "AlphaDropout": {"seed": 1},
    "BinaryFocalCrossentropy": {"apply_class_balancing": True},
}
"""Arguments that an object is made with before one of them changes; the defaults where there are none."""
OTHER: dict[str, Any] = {}
OTHER |= {"activation": "tanh", "activity_regularizer": "l2", "adjust_lr_fn": "match_rms_adamw", "approximate": "tanh"}
OTHER |= {"alpha": 0.7, "axes": -1, "axis": 0, "beta": 3.0, "betas": (0.5, 0.5), "boundaries": [2], "curve": "PR"}
OTHER |= {"decay": "cosine", "decay_steps": 5, "delta": 0.3, "distribution": "uniform", "first_decay_steps": 5}
OTHER |= {"function": np.tanh, "gamma": 0.6, "ignore_class": 1, "ignore_index": 1, "initial_learning_rate": 0.75}
OTHER |= {"input_shape": (5,), "k": 2, "lambd": 0.2, "margin": 0.7, "max_val": 0.5, "max_value": 0.6, "min_value": 0.2}
OTHER |= {"min_val": -0.2, "mode": "fan_out", "negative_slope": 0.6, "num_pieces": 4, "num_parameters": 4, "omega": 2.0}
OTHER |= {"p": 0.25, "pos_weight": [2.0], "power": 1.25, "quantile": 0.9, "rate": 0.25, "reduction": "sum"}
OTHER |= {"schedules": ["constant"], "seed": 7, "shape": "linear", "shared_axes": 1, "stable_steps": 4, "step_size": 4}
OTHER |= {"step_size_down": 2, "step_size_up": 2, "threshold": 0.25, "total_steps": 8, "units": 5, "value": 0.2}
OTHER |= {"values": [1.0, 0.25], "warmup_steps": 2, "warmup_target": 0.8, "weight": [1.0, 2.0, 0.5, 0.25], "start_dim": 0}
OTHER |= {"end_dim": 1, "init": 0.5, "max_learning_rate": 0.8, "eps": 0.3, "t_mul": 1.5, "div_factor": 5.0}
OTHER |= {"kernel_initializer": "ones", "bias_initializer": "ones", "kernel_regularizer": "l2", "bias_regularizer": "l2"}
OTHER |= {"kernel_constraint": "non_neg", "bias_constraint": "non_neg", "alpha_initializer": "ones", "pct_start": 0.5}
OTHER |= {"scale": 2.0, "mean": 1.0, "stddev": 0.7, "minval": -0.5, "maxval": 0.7, "gain": 2.0, "factor": 0.5, "l1": 0.3}
OTHER |= {"l2": 0.2}
OTHER_OF: dict[tuple[str, str], Any] = {
    ("MultiMarginLoss", "p"): 2,
    ("TripletMarginLoss", "p"): 1.0,
    ("Cyclic", "mode"): "triangular",
    ("OrthogonalRegularizer", "mode"): "columns",
    ("Tweedie", "power"): 2.0,
    ("CategoricalFocalCrossentropy", "alpha"): [1.0, 2.0, 0.5, 0.25],
    ("Join", "schedules"): [fastnn.schedules.Constant(3.0), fastnn.schedules.Constant(2.0)],
    ("Concatenate", "axis"): 1,
    ("GaussianNLL", "epsilon"): 2.0,
    ("MinMaxNorm", "max_value"): 0.5,
    **{(name, "axis"): 1 for name in ("MaxNorm", "MinMaxNorm", "UnitNorm")},
}
UNKEPT = frozenset({"name", "inplace", "size_average", "reduce", "device", "dtype"})
"""Arguments that are no settings of what an object does."""


def other(cls: type, name: str, value: Any) -> Any:
    """Another value of an argument."""
    if (cls.__name__, name) in OTHER_OF:
        return OTHER_OF[cls.__name__, name]
    if isinstance(value, bool):
        return not value
    if name in OTHER:
        return OTHER[name]
    assert isinstance(value, int | float), f"the test needs another value of {cls.__name__}.{name}"
    return value + 0.125 if isinstance(value, float) else value + 1


def arguments(cls: type) -> dict[str, Any]:
    base = BASE.get(cls.__name__, {})
    own = {p.name: base.get(p.name, p.default) for p in inspect.signature(cls).parameters.values() if p.kind != p.VAR_POSITIONAL}
    return {name: value for name, value in own.items() if name not in UNKEPT}


def layer_does(layer: Any) -> list[Any]:
    """What a layer computes in training and evaluation, eager and recorded, and what its repr and config say."""
    fastnn.seed(3)
    several = isinstance(layer, nn.Add | nn.Concatenate | nn.Dot | nn.Subtract)
    x: Any = [fastnn.tensor(X), fastnn.tensor(X[::-1])] if several else fastnn.tensor(np.stack([X, -X], 1))
    results = []
    for _ in range(2):
        for mode in (True, False):
            layer.train(mode)
            results.append(layer(x).numpy())
    if not several:
        captured = fastnn.capture(lambda x: layer(x).detach())
        results += [captured(x).numpy() for _ in range(3)]
    layer.apply_constraints()
    return [*results, *[p.item() for p in layer.losses], *layer.get_weights(), repr(layer), layer.get_config()]


def loss_does(loss: Any) -> list[Any]:
    probabilities = fastnn.softmax(fastnn.tensor(X)).detach()
    classes = isinstance(
        loss, nn.CrossEntropyLoss | nn.NLLLoss | nn.MultiMarginLoss | fastnn.losses.SparseCategoricalCrossentropy
    )
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
LAYERS = [c for c in _modules if not issubclass(c, TorchLoss) and c not in _containers]
LAYERS += [keras_activation.ReLU, keras_activation.LeakyReLU, keras_activation.PReLU]
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
        return cls(**{**BASE.get(cls.__name__, {}), **settings})

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


def test_attributes_of_ones_own_are_free() -> None:
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


@pytest.mark.parametrize("setting", ["activation", "alpha", "delta", "kernel_regularizer"])
def test_recorded_steps_and_frozen_models_follow(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, list[Any]] = {
        "activation": ["tanh", fastnn.silu, nn.ELU(0.5)],
        "alpha": [1.0, 0.5, 3.0],
        "delta": [1.0, 0.1, 0.3],
        "kernel_regularizer": [None, "l2", fastnn.regularizers.L1(0.1)],
    }

    def trained() -> list[np.ndarray]:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(5, "tanh", input_shape=(4,)), nn.ELU(), fastnn.Dense(1)])
        loss = fastnn.losses.Huber()
        model.compile(fastnn.optim.SGD(lr=0.1), loss)
        of = {"alpha": model.layers[1], "delta": loss}.get(setting, model.layers[0])

        def change(epoch: int, logs: Any) -> None:
            setattr(of, setting, values[setting][epoch])

        change_it = fastnn.callbacks.LambdaCallback(on_epoch_begin=change)
        model.fit(X, X[:, :1], batch_size=1, epochs=3, shuffle=False, verbose=0, callbacks=[change_it])
        return [*model.get_weights(), model.freeze(6)(X), model.predict(X)]

    recorded = trained()
    monkeypatch.setattr(TrainStep, "_watch", lambda self: self._step())
    for a, b in zip(recorded, trained(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(recorded[-1], recorded[-2], rtol=1e-6)


def test_a_regularizer_that_is_set_later_counts() -> None:
    layer = fastnn.Dense(1, input_shape=(4,), kernel_initializer="ones")
    assert not layer.losses
    layer.kernel_regularizer = "l2"
    assert layer.losses[0].item() == pytest.approx(0.04)


# ---- activations of layers ----


FUNCTIONS: list[Any] = [
    fastnn.relu,
    fastnn.leaky_relu,
    fastnn.softplus,
    fastnn.softmax,
    fastnn.quick_gelu,
    fastnn.sine,
    fastnn.exp,
]
FUNCTIONS += [lambda x: x * 2, nn.ELU(0.5), nn.Softmax(), nn.LogSoftmax(0), nn.PReLU(), fastnn.ReLU(max_value=6.0, threshold=0.5)]


@pytest.mark.parametrize("act", FUNCTIONS, ids=lambda act: getattr(act, "__name__", type(act).__name__))
@pytest.mark.parametrize("later", [False, True])
def test_functions_and_layers_as_activations(act: Any, later: bool) -> None:
    act = copy.deepcopy(act)
    layer = fastnn.Dense(3, None if later else act, input_shape=(4,))
    if later:
        layer.activation = act
    z = fastnn.tensor(X @ layer.kernel.numpy())
    np.testing.assert_allclose(layer(X).numpy(), act(z).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fastnn.Activation(act)(z).numpy(), act(z).numpy(), rtol=1e-6)
    fastnn.gradcheck(fastnn.Sequential([fastnn.Dense(3, copy.deepcopy(act), input_shape=(4,))], dtype="float64"), X.astype(float))
    repr(layer)


def test_every_function_that_layers_know_is_itself() -> None:
    from fastnn.activations import NAMED

    x = fastnn.tensor(X)
    for function in NAMED:
        np.testing.assert_array_equal(fastnn.Activation(function)(x).numpy(), function(x).numpy(), err_msg=function.__name__)


def test_an_activation_with_parameters_is_a_layer_of_the_layer() -> None:
    model = fastnn.Sequential([fastnn.Dense(3, fastnn.PReLU(), input_shape=(4,)), fastnn.Dense(1)])
    assert [name for name, _ in model.named_parameters()][2] == "0.activation.alpha"
    model.layers[0].activation = "relu"
    assert len(list(model.parameters())) == 4


def test_functions_of_ones_own_train_and_are_not_saved(tmp_path: Any) -> None:
    calls = []

    def twice(x: Any) -> Any:
        calls.append(1)
        return x * 2

    model = fastnn.Sequential([fastnn.Dense(1, twice, input_shape=(4,))])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], batch_size=2, epochs=4, verbose=0)
    assert len(calls) >= 12  # not recorded unasked
    with pytest.raises(TypeError, match="the activation twice has no name"):
        model.save(tmp_path / "m.fastnn")
    model.layers[0].activation = fastnn.relu
    model.save(tmp_path / "m.fastnn")
    assert fastnn.load(tmp_path / "m.fastnn").layers[0].activation.name == "relu"


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (nn.ReLU, TypeError, "the class ReLU came"),
        (3, TypeError, "int 3 came"),
        (lambda x: x.numpy(), TypeError, "gave ndarray, wanted a Tensor"),
        (nn.GLU(), ValueError, "made shape"),
    ],
)
def test_bad_activations(act: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fastnn.Dense(4, act, input_shape=(4,))(X)


# ---- optimizers ----


@pytest.mark.parametrize("name", fastnn.optim.OPTIMIZERS)
def test_what_an_optimizer_has_not_cannot_be_set(name: str) -> None:
    optimizer = fastnn.optim.OPTIMIZERS[name]([nn.Parameter(np.ones((2, 2)))])
    for attribute in ("epsilon", "beta_1", "momentun", "gradient_accumulation_steps", "maximize", "use_ema", "clipnorm", "lrr"):
        with pytest.raises(AttributeError, match=attribute):
            setattr(optimizer, attribute, 1)
    for attribute in optimizer.layout.keys[1:]:
        with pytest.raises(AttributeError, match=attribute):
            setattr(optimizer, attribute, 0.5)
    optimizer.learning_rate = 0.25
    assert optimizer.lr == optimizer.learning_rate == optimizer.param_groups[0]["lr"] == 0.25
    assert repr(optimizer).startswith(f"{name}(lr=0.25")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("epsilon", r"Adam: epsilon, here eps, belongs to groups.*group\['eps'\] = \.\.\."),
        ("beta_1", "here betas"),
        ("amsgrad", "is fixed once the optimizer is made"),
        ("weight_decy", "did you mean weight_decay"),
        ("clipvalue", "fixed.*make another one"),
    ],
)
def test_messages_name_what_to_do(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        setattr(fastnn.optim.Adam(clipnorm=1.0), name, 0.5)


def test_optimizers_of_ones_own_have_their_own_attributes() -> None:
    class Mine(fastnn.optim.SGD):
        def __init__(self, params: Any) -> None:
            super().__init__(params, lr=0.1)
            self.calls = 0

    optimizer = Mine([nn.Parameter([1.0])])
    optimizer.calls += 1
    with pytest.raises(AttributeError, match="there is no attribute 'epsilon'"):
        optimizer.epsilon = 0.1


@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm", "clipvalue", "ema_momentum"])
def test_limits_and_averages_may_change(name: str) -> None:
    def steps(value: float, later: float | None) -> np.ndarray:
        p = nn.Parameter([1.0, -2.0])
        more = {"use_ema": True} if name == "ema_momentum" else {}
        optimizer = fastnn.optim.SGD([p], lr=1.0, **{name: value}, **more)
        step = fastnn.capture(lambda: (optimizer.step(), None)[1])
        for i in range(5):
            if i == 3 and later:
                setattr(optimizer, name, later)
            p.grad = [3.0, -4.0]
            step()
        assert getattr(optimizer, name) == (later or value)
        optimizer.finalize()
        return p.numpy()

    assert not np.array_equal(steps(0.5, 0.25), steps(0.5, None))
    with pytest.raises(ValueError, match=name):
        steps(0.5, -1.0)


def test_groups_know_their_names() -> None:
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    with pytest.raises(ValueError, match="learning_rate of a group is named lr"):
        fastnn.optim.SGD([{"params": [a], "learning_rate": 0.1}])
    with pytest.raises(ValueError, match="maximize holds for all groups"):
        fastnn.optim.SGD([{"params": [a], "maximize": True}])
    optimizer = fastnn.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.1, "name": "b"}], maximize=True)
    assert "(1): Group(lr=0.1" in repr(optimizer)
    with pytest.raises(ValueError, match="epsilon of a group is named eps"):
        fastnn.optim.Adam([a]).param_groups[0]["epsilon"] = 0.1
    for name, value in (("maximize", False), ("clipnorm", 1.0)):
        with pytest.raises(ValueError, match=f"{name} holds for all groups"):
            optimizer.param_groups[1][name] = value
    optimizer.param_groups[1]["maximize"] = True  # as the optimizer has it


def test_groups_refuse_settings_that_they_do_not_have() -> None:
    adam = fastnn.optim.Adam([nn.Parameter([1.0])])
    group = adam.param_groups[0]
    for name, match in (
        ("momentum", "Adam: momentum is no setting of this group; there are: lr, betas, eps"),
        ("weigth_decay", "did you mean weight_decay"),
        ("use_muon", "use_muon is no setting"),
    ):
        for put in (group.__setitem__, lambda name, value: group.update({name: value}), group.setdefault):
            with pytest.raises(ValueError, match=match):
                put(name, 0.5)
        with pytest.raises(ValueError, match=match):
            adam.add_param_group({"params": [nn.Parameter([1.0])], name: 0.5})
        with pytest.raises(ValueError, match=match):
            fastnn.optim.Adam([{"params": [nn.Parameter([1.0])], name: 0.5}])
    with pytest.raises(ValueError, match="momentum is no setting"):
        fastnn.optim.Muon([{"params": [nn.Parameter([1.0])], "use_muon": False, "momentum": 0.5}])
    assert len(adam.param_groups) == 1
    group["initial_lr"] = group["lr_scale"] = 0.5  # the user's own
    group["beta1"] = 0.7
    assert group["betas"] == (0.7, 0.999) and group.pop("lr_scale") == 0.5 and group.pop("lr_scale", None) is None

    class Own(fastnn.optim.SGD):
        pass

    assert Own([{"params": [nn.Parameter([1.0])], "alpha": 0.5}]).param_groups[0]["alpha"] == 0.5


def test_a_group_that_is_refused_changes_nothing() -> None:
    optimizer = fastnn.optim.SGD(lr=0.1)
    with pytest.raises(ValueError, match="lr is -1"):
        optimizer.add_param_group({"params": [nn.Parameter([1.0])], "lr": -1})
    assert optimizer.lr == 0.1 and optimizer.plain and not optimizer.params


def test_settings_of_groups_are_not_taken_away() -> None:
    group = fastnn.optim.SGD([nn.Parameter([1.0])]).param_groups[0]
    before = dict(group)
    for take in (
        group.clear,
        group.popitem,
        lambda: group.pop("lr"),
        lambda: group.pop("params"),
        lambda: group.__delitem__("lr"),
    ):
        with pytest.raises(TypeError, match=r"SGD: (lr|params) of a group cannot be removed"):
            take()
    assert dict(group) == before


def test_groups_are_neither_replaced_nor_taken_away() -> None:
    optimizer = fastnn.optim.SGD([nn.Parameter([1.0])])
    with pytest.raises(AttributeError, match="add_param_group"):
        optimizer.param_groups = []
    with pytest.raises(AttributeError):
        optimizer.param_groups.clear()
    assert len(optimizer.param_groups) == 1


def test_gradients_of_zero() -> None:
    layer = nn.Linear(2, 1)
    optimizer = fastnn.optim.SGD(layer.parameters(), lr=0.1)
    for zero in (optimizer.zero_grad, layer.zero_grad):
        layer(X[:, :2]).sum().backward()
        zero(set_to_none=False)
        assert not layer.weight.grad.numpy().any() and not layer.bias.grad.numpy().any()
        zero()
        assert layer.weight.grad is None


# ---- metrics ----


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (fastnn.metrics.BinaryAccuracy, "threshold", 0.9),
        (lambda: fastnn.metrics.SparseTopKCategoricalAccuracy(k=1), "k", 2),
        (fastnn.metrics.AUC, "curve", "PR"),
    ],
)
def test_settings_of_metrics(make: Callable[[], Any], name: str, value: Any) -> None:
    labels = name == "k"
    y = np.arange(6) % 4 if labels else (X[:, :1] > 0).astype(float)

    def evaluated(change: bool) -> float:
        fastnn.seed(0)
        last = fastnn.Dense(4, "softmax", input_shape=(4,)) if labels else fastnn.Dense(1, "sigmoid", input_shape=(4,))
        model, metric = fastnn.Sequential([last]), make()
        model.compile(fastnn.optim.SGD(lr=0.5), "sparse_categorical_crossentropy" if labels else "binary_crossentropy", [metric])
        model.fit(X, y, batch_size=1, epochs=2, verbose=0, shuffle=False)
        if change:
            setattr(metric, name, value)
            history = model.fit(X, y, batch_size=1, epochs=2, verbose=0, shuffle=False).history
            return float(next(v for key, v in history.items() if key != "loss")[-1])
        other = make()
        setattr(other, name, value)
        model.compile(fastnn.optim.SGD(lr=0.5), model._compiled.loss, [other])
        history = model.fit(X, y, batch_size=1, epochs=2, verbose=0, shuffle=False).history
        return float(next(v for key, v in history.items() if key != "loss")[-1])

    assert evaluated(True) == evaluated(False)
    with pytest.raises((ValueError, TypeError)):
        setattr(make(), name, object())


def test_settings_of_f_scores_keep_each_other() -> None:
    y, p = np.array([[1.0], [0.0], [1.0], [1.0]]), np.array([[0.6], [0.6], [0.9], [0.3]])

    def score(metric: Any) -> float:
        metric.update_state(y, p)
        return float(metric.result())

    metric = fastnn.metrics.FBetaScore(threshold=0.5)
    metric.beta = 2.0
    assert score(metric) == score(fastnn.metrics.FBetaScore(beta=2.0, threshold=0.5))
    metric.threshold = 0.7
    assert score(metric) == score(fastnn.metrics.FBetaScore(beta=2.0, threshold=0.7))
    f1 = fastnn.metrics.F1Score(threshold=0.5)
    f1.threshold = 0.7
    assert score(f1) == 0.5


@pytest.mark.parametrize("name", ["size_average", "reduce"])
def test_older_arguments_of_losses_are_no_attributes(name: str) -> None:
    with pytest.raises(AttributeError, match="set reduction"):
        setattr(nn.MSELoss(), name, False)
