"""Initialisers have the distributions that their names promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import initializers

SHAPE = (300, 200)
# name: (bound of the values or None, standard deviation)
EXPECTED: dict[str, tuple[float | None, float]] = {
    "random_normal": (None, 0.05),
    "truncated_normal": (0.1, 0.05 * 0.8796256610),
    "random_uniform": (0.05, 0.05 / math.sqrt(3)),
    "glorot_uniform": (math.sqrt(6 / 500), math.sqrt(2 / 500)),
    "glorot_normal": (2 * math.sqrt(2 / 500) / 0.8796256610, math.sqrt(2 / 500)),
    "he_uniform": (math.sqrt(6 / 300), math.sqrt(2 / 300)),
    "he_normal": (2 * math.sqrt(2 / 300) / 0.8796256610, math.sqrt(2 / 300)),
    "lecun_uniform": (math.sqrt(3 / 300), math.sqrt(1 / 300)),
    "lecun_normal": (2 * math.sqrt(1 / 300) / 0.8796256610, math.sqrt(1 / 300)),
    "linear_weight": (1 / math.sqrt(300), 1 / math.sqrt(900)),
    "variance_scaling": (2 * math.sqrt(1 / 300) / 0.8796256610, math.sqrt(1 / 300)),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_distribution(name: str) -> None:
    bound, stddev = EXPECTED[name]
    a = initializers.get(name)(SHAPE, np.float32, np.random.default_rng(0))
    assert a.shape == SHAPE and a.dtype == np.float32 and a.flags.c_contiguous
    assert abs(a.mean(dtype=float)) < 4 * stddev / math.sqrt(a.size)
    assert a.std(dtype=float) == pytest.approx(stddev, rel=0.02)
    if bound is not None:
        assert 0.99 * bound < np.abs(a).max() <= bound * 1.000001


def test_constants() -> None:
    rng = np.random.default_rng(0)
    assert (initializers.get("zeros")((2, 3), np.float64, rng) == np.zeros((2, 3))).all()
    assert (initializers.get("ones")((2,), np.float32, rng) == 1).all()
    assert (initializers.Constant(0.5)((2,), np.float32, rng) == 0.5).all()


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
def test_every_initializer(name: str) -> None:
    init = initializers.get(name)
    a, b = (init((7, 5), np.float32, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(init((7, 5), np.float64, np.random.default_rng(3)).astype(np.float32), a)
    assert init((0, 5), np.float32, np.random.default_rng(0)).shape == (0, 5)
    again = initializers.get(initializers.serialize(init))
    assert again == init and hash(again) == hash(init) and again is not init
    assert type(init)(**init.get_config()) == init


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("GlorotUniform", initializers.GlorotUniform),
        ("glorotuniform", initializers.GlorotUniform),
        ("HE_NORMAL", initializers.HeNormal),
        ("normal", initializers.RandomNormal),
        ("uniform", initializers.RandomUniform),
        ("zero", initializers.Zeros),
        ("one", initializers.Ones),
        (initializers.LecunNormal, initializers.LecunNormal),
    ],
)
def test_names(name: Any, cls: type) -> None:
    assert type(initializers.get(name)) is cls


def test_instances_stay_themselves() -> None:
    init = initializers.HeUniform(seed=1)
    assert initializers.get(init) is init


def test_seed_repeats() -> None:
    init, rng = initializers.RandomNormal(seed=5), np.random.default_rng(0)
    np.testing.assert_array_equal(init((3,), np.float32, rng), init((3,), np.float32, rng))


def test_linear_bias_takes_the_bound_of_its_layer() -> None:
    bias = initializers.LinearBias(fan_in=4)
    assert 0.49 < np.abs(bias((1000,), np.float32, np.random.default_rng(0))).max() <= 0.5
    assert (initializers.LinearBias(fan_in=0)((3,), np.float32, np.random.default_rng(0)) == 0).all()
    assert initializers.get(initializers.serialize(bias)) == bias


def test_functions() -> None:
    rng = np.random.default_rng(0)
    ours = initializers.get(lambda shape, dtype, rng: rng.normal(size=shape))
    kerass = initializers.get(lambda shape, dtype=None: np.full(shape, 2))
    assert ours((2, 3), np.float32, rng).dtype == np.float32
    assert (kerass((2, 3), np.float32, rng) == 2).all()
    with pytest.raises(ValueError, match=r"gave shape \(3,\); wanted \(2, 3\)"):
        initializers.get(lambda shape, dtype: np.zeros(3))((2, 3), np.float32, rng)
    with pytest.raises(TypeError, match="takes neither"):
        initializers.get(lambda: 0)
    with pytest.raises(TypeError, match="cannot be saved"):
        initializers.serialize(ours)


@pytest.mark.parametrize(
    ("identifier", "error", "words"),
    [
        ("glorot", ValueError, "unknown initializer 'glorot'; there are: constant, glorot_normal, glorot_uniform"),
        ("", ValueError, "unknown initializer ''"),
        (None, TypeError, "None is a NoneType; wanted a name"),
        (3, TypeError, "3 is a int"),
        ({"config": {}}, ValueError, "needs a class_name"),
        ({"class_name": "Zeros", "config": 1}, ValueError, "needs a class_name and a config"),
        ({"class_name": "Zeros", "config": {"seed": 1}}, ValueError, "Zeros cannot be made from {'seed': 1}"),
    ],
)
def test_unknown(identifier: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        initializers.get(identifier)


@pytest.mark.parametrize("arguments", [{"scale": 0}, {"mode": "fan"}, {"distribution": "normal"}])
def test_bad_variance_scaling(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="VarianceScaling: "):
        initializers.VarianceScaling(**arguments)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6), (3, 2, 5)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    a = initializers.Orthogonal(2.0)(shape, np.float64, np.random.default_rng(0)).reshape(-1, shape[-1])
    small = a.T @ a if a.shape[0] >= a.shape[1] else a @ a.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)
    with pytest.raises(ValueError, match="wanted two dimensions or more"):
        initializers.Orthogonal()((3,), np.float32, np.random.default_rng(0))


def test_identity() -> None:
    a = initializers.get({"class_name": "Identity", "config": {"gain": 0.5}})((2, 3), np.float32, np.random.default_rng(0))
    assert a.tolist() == [[0.5, 0, 0], [0, 0.5, 0]] and a.dtype == np.float32
    with pytest.raises(ValueError, match="wanted that of a matrix"):
        initializers.Identity()((3,), np.float32, np.random.default_rng(0))


# ---- PyTorch's functions ----

INIT: dict[str, dict[str, Any]] = {
    "uniform_": {"a": -0.5, "b": 2.0},
    "normal_": {"mean": 0.5, "std": 2.0},
    "trunc_normal_": {"std": 0.5, "a": -1.0, "b": 0.25},
    "trunc_normal_-narrow": {"a": 0.1, "b": 0.2},
    "xavier_uniform_": {"gain": 2.0},
    "xavier_normal_": {},
    "kaiming_uniform_": {"a": math.sqrt(5)},
    "kaiming_uniform_-out": {"mode": "fan_out", "nonlinearity": "relu"},
    "kaiming_normal_": {"nonlinearity": "tanh"},
    "orthogonal_": {"gain": 3.0},
    "sparse_": {"sparsity": 0.13, "std": 0.5},
    "eye_": {},
    "ones_": {},
    "zeros_": {},
    "constant_": {"val": 0.25},
}


@pytest.mark.parametrize("name", INIT)
def test_pytorchs_functions(name: str) -> None:
    """The same mean, deviation and bounds as PyTorch's, on the (out, in) weight of a Linear layer."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    fastnn.seed(0)
    layer, f = nn.Linear(300, 200), name.partition("-")[0]
    theirs = getattr(torch.nn.init, f)(torch.empty(200, 300), **INIT[name]).numpy()
    assert getattr(nn.init, f)(layer.weight, **INIT[name]) is layer.weight
    ours = layer.weight.numpy()
    np.testing.assert_array_equal(layer.kernel.numpy(), ours.T)
    deviation = theirs.std()
    assert abs(ours.mean() - theirs.mean()) <= 0.02 * deviation and abs(ours.std() - deviation) <= 0.02 * deviation
    if f in ("eye_", "ones_", "zeros_", "constant_"):
        np.testing.assert_array_equal(ours, theirs)
    elif "uniform" in f or f == "trunc_normal_":
        np.testing.assert_allclose([ours.min(), ours.max()], [theirs.min(), theirs.max()], rtol=0.02)
    if f == "sparse_":
        assert ((ours == 0).sum(0) == (theirs == 0).sum(0)).all()
    if f == "orthogonal_":
        np.testing.assert_allclose(ours @ ours.T, 9 * np.eye(200), atol=1e-4)


def test_truncated_normal_numbers_are_distributed_as_they_should() -> None:
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed")
    for low, high in ((-2, 2), (0.1, 0.3), (3, 50), (-40, -4), (-0.05, 30)):
        values = initializers.truncated_normal((4000,), low, high, np.random.default_rng(1))
        assert low <= values.min() and values.max() <= high
        assert stats.kstest(values, stats.truncnorm(low, high).cdf).pvalue > 0.01, (low, high)


def test_gains_and_what_is_refused() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert nn.init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))
    p, g = nn.Parameter([1.0, 2.0]), np.random.default_rng(0)
    assert nn.init.normal_(p, generator=g) is p and p.tolist() == pytest.approx(np.random.default_rng(0).normal(size=2).tolist())
    for call, words in (
        (lambda: nn.init.calculate_gain("swish"), "unknown nonlinearity 'swish'"),
        (lambda: nn.init.xavier_normal_(p), r"xavier_normal_: shape \(2,\); wanted two dimensions"),
        (lambda: nn.init.eye_(p), "eye_: shape"),
        (lambda: nn.init.kaiming_normal_(nn.Parameter(np.ones((2, 2))), mode="fan"), "mode is 'fan'"),
        (lambda: nn.init.trunc_normal_(p, a=2, b=1), "wanted std > 0 and a < b"),
        (lambda: nn.init.sparse_(nn.Parameter(np.ones((2, 2))), 2.0), "sparsity is 2.0"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
