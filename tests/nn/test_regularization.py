"""Regularizers, constraints and random layers: against Keras and PyTorch, recorded and by hand."""

from __future__ import annotations

import copy
import os
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import constraints, regularizers

rng = np.random.default_rng(0)
X = rng.standard_normal((12, 5)).astype(np.float32)
Y = rng.standard_normal((12, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def keras() -> Any:
    if not find_spec("keras") or not (find_spec("torch") or find_spec("jax")):
        pytest.skip("Keras with PyTorch or JAX is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    import keras

    return keras


RULES: list[dict[str, Any]] = [
    {"kernel_regularizer": "l1"},
    {"kernel_regularizer": "l2", "bias_regularizer": ("L1L2", {"l1": 0.01, "l2": 0.01})},
    {"activity_regularizer": "l2"},
    {"kernel_regularizer": ("L1L2", {"l1": 0.03, "l2": 0.02}), "activity_regularizer": ("L1", {"l1": 0.1})},
    {"kernel_regularizer": ("OrthogonalRegularizer", {"factor": 0.5})},
    {"kernel_regularizer": ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"})},
    {"kernel_constraint": "max_norm", "bias_constraint": "non_neg"},
    {"kernel_constraint": ("MaxNorm", {"max_value": 0.8})},
    {"kernel_constraint": ("UnitNorm", {"axis": 1})},
    {"kernel_constraint": ("MinMaxNorm", {"min_value": 0.5, "max_value": 0.9, "rate": 0.3, "axis": [0, 1]})},
    {"kernel_constraint": "non_neg", "kernel_regularizer": "l1", "activity_regularizer": "l1"},
]


def made(rules: dict[str, Any], library: Any) -> dict[str, Any]:
    """The arguments with objects of fastnn's or Keras's modules."""
    modules = {"regularizer": library.regularizers, "constraint": library.constraints}
    return {k: v if isinstance(v, str) else getattr(modules[k.rpartition("_")[2]], v[0])(**v[1]) for k, v in rules.items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("rules", RULES, ids=str)
def test_training_as_in_keras(keras: Any, rules: dict[str, Any], optimizer: str) -> None:
    ours, theirs = (
        library.Sequential(
            [
                *first,
                layer(7, activation="tanh", **made(rules, library)),
                layer(1, kernel_regularizer="l2", bias_constraint="non_neg"),
            ]
        )
        for library, layer, first in (
            (fastnn, fastnn.Dense, [fastnn.Flatten(input_shape=(5,))]),
            (keras, keras.layers.Dense, [keras.layers.Input((5,))]),
        )
    )
    theirs.set_weights(ours.get_weights())
    assert float(ours.regularization_loss()) == pytest.approx(sum(float(v) for v in theirs.losses), rel=1e-5)
    for model in (ours, theirs):
        model.compile(optimizer=optimizer, loss="mse", metrics=["mae"])
    settings = {"batch_size": 4, "epochs": 4, "shuffle": False, "verbose": 0, "validation_split": 0.25}
    a, b = ours.fit(X, Y, **settings).history, theirs.fit(X, Y, **settings).history
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=2e-4, atol=2e-5, err_msg=name)
    for v, u in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(v, u, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_recorded_steps_do_what_steps_by_hand_do(rules: dict[str, Any]) -> None:
    a = fastnn.Sequential([fastnn.Dense(7, "tanh", input_shape=(5,), **made(rules, fastnn)), fastnn.Dense(1)], dtype="float64")
    b = copy.deepcopy(a)
    a.compile(fastnn.optim.SGD(lr=0.1), "mse")
    told = a.fit(X, Y, batch_size=4, epochs=5, shuffle=False).history["loss"]
    optimizer = fastnn.optim.SGD(b.parameters(), lr=0.1)
    found = []
    for _ in range(5):
        losses = []
        for i in range(0, 12, 4):
            optimizer.zero_grad()
            loss = nn.MSELoss()(b(X[i : i + 4]), fastnn.tensor(Y[i : i + 4]).double()) + b.regularization_loss()
            loss.backward()
            optimizer.step()
            b.apply_constraints()
            losses.append(loss.item())
        found.append(np.mean(losses))
    np.testing.assert_allclose(told, found, rtol=1e-12)
    for v, u in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, u, rtol=1e-12, atol=1e-14)


def test_a_regularized_model_is_recorded() -> None:
    from fastnn.training.step import TrainStep

    steps: list[TrainStep] = []
    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(5,), kernel_regularizer="l1", kernel_constraint="unit_norm")])
    model.compile("sgd", "mse")
    whole = TrainStep.__init__

    def watch(self: TrainStep, *args: Any, **kwargs: Any) -> None:
        whole(self, *args, **kwargs)
        steps.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "__init__", watch)
        model.fit(X, np.zeros((12, 3)), batch_size=4, epochs=3)
    assert steps and all(s.recorded is not None for s in steps)
    kernel, _ = model.get_weights()
    np.testing.assert_allclose((kernel**2).sum(0), 1, rtol=1e-5)


def test_factors_may_change_in_recorded_steps() -> None:
    penalty = regularizers.L2(0.0)
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(5,), use_bias=False, kernel_regularizer=penalty)])
    model.compile(fastnn.optim.SGD(lr=0.0), "mse")
    without = model.fit(X, Y, batch_size=12, epochs=4).history["loss"][-1]
    penalty.l2 = 2.0
    with_it = model.fit(X, Y, batch_size=12, epochs=1).history["loss"][-1]
    assert with_it - without == pytest.approx(2 * float((model.get_weights()[0] ** 2).sum()), rel=1e-4)


@pytest.mark.parametrize("rule", [regularizers.L1(0.3), regularizers.L2(0.3), regularizers.L1L2(0.1, 0.2)], ids=repr)
@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_gradients_of_penalties(rule: Any, mode: str) -> None:
    x = fastnn.tensor(rng.standard_normal((4, 3)), requires_grad=True)
    assert fastnn.gradcheck(lambda x: rule(x) + regularizers.OrthogonalRegularizer(0.7, mode)(x) + rule(x * x), [x])


def test_penalties_in_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    w = rng.standard_normal((6, 4))
    ours, theirs = fastnn.tensor(w, requires_grad=True), torch.tensor(w, requires_grad=True)
    a = regularizers.L1L2(0.1, 0.2)(ours)
    b = 0.1 * theirs.abs().sum() + 0.2 * theirs.square().sum()
    a.backward()
    b.backward()
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12)


def test_functions_and_frozen_layers() -> None:
    model = fastnn.Sequential(
        [
            fastnn.Dense(2, input_shape=(5,), kernel_regularizer=lambda w: (w * w).sum(), kernel_constraint=lambda w: w * 0.5),
            fastnn.Dense(1, kernel_regularizer="l2"),
        ]
    )
    before = model.get_weights()[0]
    assert model.losses[0].item() == pytest.approx((before**2).sum(), rel=1e-5) and len(model.losses) == 2
    model.apply_constraints()
    np.testing.assert_array_equal(model.get_weights()[0], before / 2)
    model.layers[0].trainable = False
    assert len(model.losses) == 1
    model.apply_constraints()
    np.testing.assert_array_equal(model.get_weights()[0], before / 2)
    assert fastnn.Dense(1, input_shape=(2,)).regularization_loss() == 0.0
    assert regularizers.get("l1_l2") == regularizers.L1L2(0.01, 0.01) and regularizers.get("L2") == regularizers.L2(0.01)
    with pytest.raises(TypeError, match="wanted a Tensor with one element"):
        regularizers.get(lambda w: w)(fastnn.tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="is not registered and cannot be saved"):
        model.get_config()


def test_saving_copies_and_pickles(tmp_path: Path) -> None:
    layer = fastnn.Dense(
        2,
        input_shape=(5,),
        kernel_regularizer=regularizers.L1L2(0.1, 0.2),
        activity_regularizer="l2",
        bias_constraint=constraints.MinMaxNorm(0.1, 0.5, 0.5),
    )
    model = fastnn.Sequential([layer, fastnn.ActivityRegularization(l1=0.5)])
    model(X)
    assert len(model.losses) == 3
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert len(twin.losses) == 1  # no output yet
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin[0].kernel_regularizer == layer.kernel_regularizer and twin[0].bias_constraint == layer.bias_constraint
    twin(X)
    assert [v.item() for v in twin.losses] == [v.item() for v in model.losses]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: regularizers.L1(-1), "L1: l1 is -1, wanted a finite number of at least 0"),
        (lambda: regularizers.get("l3"), "unknown regularizer 'l3'; there are: L1, L2, L1L2, OrthogonalRegularizer"),
        (lambda: regularizers.OrthogonalRegularizer(mode="both"), "mode is 'both'"),
        (lambda: regularizers.OrthogonalRegularizer()(fastnn.tensor([1.0])), r"shape \(1,\) came, wanted a matrix"),
        (lambda: constraints.MinMaxNorm(2.0, 1.0), "max_value is 1.0"),
        (lambda: constraints.MaxNorm(axis=[0, 2])(nn.Parameter(np.zeros((2, 2, 2)))), "wanted axes that are neighbours"),
        (lambda: constraints.MaxNorm(axis=2)(nn.Parameter([1.0])), "MaxNorm: axis 2 of a Tensor with 1 dimensions"),
        (lambda: fastnn.Dense(2, kernel_constraint="small"), "unknown constraint 'small'; there are: MaxNorm"),
        (lambda: fastnn.GaussianDropout(1.0), "GaussianDropout: rate is 1.0, wanted a number from 0 to below 1"),
        (lambda: fastnn.GaussianNoise(-0.1), "GaussianNoise: stddev is -0.1, wanted a number of at least 0"),
        (lambda: fastnn.AlphaDropout(True), "AlphaDropout: rate is True"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


# ---- random layers ----

MANY = 40000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("layer", "mean", "variance"),
    [  # of the output where the input is normal of mean 0.5 and variance 1
        (lambda: fastnn.Dropout(0.4, seed=1), 0.5, 1.25 / 0.6 - 0.25),
        (lambda: fastnn.GaussianDropout(0.4, seed=1), 0.5, 1.25 / 0.6 - 0.25),
        (lambda: fastnn.GaussianNoise(0.7, seed=1), 0.5, 1.49),
    ],
)
def test_moments(layer: Any, mean: float, variance: float, dtype: str) -> None:
    x = (np.random.default_rng(5).standard_normal(MANY) + 0.5).astype(dtype)
    y = layer()(fastnn.tensor(x)).numpy()
    assert y.dtype == dtype and abs(y.mean() - mean) < 0.03 and abs(y.var() - variance) < 0.06 * variance


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(5).standard_normal(MANY)
    for rate in (0.1, 0.5):
        y = fastnn.AlphaDropout(rate, seed=2)(fastnn.tensor(x)).numpy()
        assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.03
        dropped = np.unique(y, return_counts=True)
        kept = y != dropped[0][dropped[1].argmax()]
        assert abs(kept.mean() - 1 + rate) < 0.01
        slope, shift = np.polyfit(x[kept], y[kept], 1)
        assert fastnn.AlphaDropout(p=rate).rate == rate
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        theirs = torch.nn.AlphaDropout(rate)(torch.tensor(x)).numpy()
        kept = abs(theirs - y[~kept][0]) > 1e-6
        assert abs(kept.mean() - 1 + rate) < 0.01
        assert np.polyfit(x[kept], theirs[kept], 1) == pytest.approx([slope, shift], rel=1e-5)


def test_noise_is_normal() -> None:
    z = np.sort(fastnn.GaussianNoise(1.0, seed=3)(fastnn.tensor(np.zeros(MANY))).numpy())
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    assert stats.kstest(z, "norm").pvalue > 0.01
    assert abs(z).max() > 3.5


@pytest.mark.parametrize(
    "layer", [fastnn.Dropout(0.5), fastnn.AlphaDropout(0.5), fastnn.GaussianDropout(0.5), fastnn.GaussianNoise(0.5)], ids=repr
)
def test_random_layers_in_every_mode(layer: Any) -> None:
    x = fastnn.tensor(np.r_[np.full(200, 2.0), np.nan], requires_grad=True)
    assert layer(x, training=False) is x
    a, b = layer(x), layer(x)
    assert (a.numpy() != b.numpy()).any(), "the stream does not move on"
    a.sum().backward()
    if isinstance(layer, fastnn.GaussianNoise):
        assert (x.grad.numpy() == 1).all() and np.isnan(a.numpy()[-1])
    elif isinstance(layer, fastnn.GaussianDropout):
        np.testing.assert_allclose(x.grad.numpy()[:-1], a.numpy()[:-1] / 2)
        assert np.isnan(a.numpy()[-1])
    else:
        kept = a.numpy()[:-1] != a.numpy()[:-1].min()
        assert ((x.grad.numpy()[:-1] != 0) == kept).all()
    fastnn.seed(7)
    first = type(layer)(0.5)(x).numpy()
    fastnn.seed(7)
    np.testing.assert_array_equal(type(layer)(0.5)(x).numpy(), first)
    assert layer(fastnn.tensor(np.empty((0, 3), np.float32))).shape == (0, 3)


def test_noise_in_recorded_training_is_new_in_each_step() -> None:
    model = fastnn.Sequential([fastnn.GaussianNoise(1.0, seed=0), fastnn.Dense(1, input_shape=(5,))])
    model.compile(fastnn.optim.SGD(lr=0.0), "mse")
    losses = model.fit(X, Y, batch_size=12, epochs=8).history["loss"]
    assert len(set(losses)) == 8
    model.layers[0].stddev = 0.0
    losses = model.fit(X, Y, batch_size=12, epochs=3, shuffle=False).history["loss"]
    assert len(set(losses)) == 1


def test_predictions_with_dropout() -> None:
    model = fastnn.Sequential([fastnn.Dropout(0.25, seed=1), fastnn.Dense(1, input_shape=(5,), dtype="float64")])
    plain = model.predict(X)
    for _ in range(3):  # also where a forward pass has been recorded
        np.testing.assert_array_equal(model.predict(X), plain)
        many = model.predict(X, mc=400)
        assert many.shape == (400, 12, 1)
    np.testing.assert_allclose(many.mean(0), plain, atol=0.2)
    deviation = np.sqrt(((X * model.get_weights()[0].T) ** 2).sum(1) * 0.25 / 0.75)
    np.testing.assert_allclose(many.std(0)[:, 0], deviation, rtol=0.15)
    with pytest.raises(ValueError, match="predict: mc is 0"):
        model.predict(X, mc=0)


def test_captured_steps_with_penalties_and_constraints() -> None:
    def make() -> Any:
        fastnn.seed(3)
        model = fastnn.Sequential(
            [fastnn.Dense(4, "tanh", input_shape=(5,), kernel_regularizer="l2", activity_regularizer="l1"), fastnn.Dense(1)]
        )
        model[1].kernel_constraint = constraints.UnitNorm()
        optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = nn.MSELoss()(model(x), y) + model.regularization_loss()
            loss.backward()
            optimizer.step()
            model.apply_constraints()
            return loss

        return model, step

    (a, eager), (b, step) = make(), make()
    captured = fastnn.capture(step)
    for _ in range(6):
        assert eager(fastnn.tensor(X), fastnn.tensor(Y)).item() == captured(fastnn.tensor(X), fastnn.tensor(Y)).item()
    assert not captured.captured.eager
    for v, u in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(v, u)
    assert np.linalg.norm(b.get_weights()[2]) == pytest.approx(1, rel=1e-5)
