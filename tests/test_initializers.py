"""Initialisers have the distributions that their names promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

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
    with pytest.raises(TypeError, match="cannot be written down"):
        initializers.serialize(ours)


@pytest.mark.parametrize(
    ("identifier", "error", "words"),
    [
        ("glorot", ValueError, "unknown initializer 'glorot'; there are constant, glorot_normal, glorot_uniform"),
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
