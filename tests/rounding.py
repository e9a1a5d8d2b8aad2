"""What the tests of mixed precision share: numbers with few bits, a classifier and its data."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn

Array = np.ndarray[Any, Any]
rng = np.random.default_rng(0)
DTYPES = ("float32", "float64")
PLAIN, SHORT = 1 / 9, 0.333984375**2
"""1/3 squared, and what is left of it in bfloat16."""


def normal(*shape: int, dtype: str = "float32") -> Array:
    return rng.standard_normal(shape).astype(dtype)


X = normal(96, 20)
LABELS = (X @ normal(20, 4)).argmax(1)


def rounded(a: Array, significant: int = 8) -> Array:
    """To that many significant bits, in float64."""
    m, e = np.frexp(a.astype(np.float64))
    return np.ldexp(np.round(np.ldexp(m, significant)), e - significant)


def check(value: Any, want: Array, other: Array | None = None) -> None:
    """Check that a result is what is wanted, up to rounding of float32, and far from what another precision gives."""
    got = value if isinstance(value, np.ndarray) else value.numpy()
    scale = np.abs(want).max()
    assert np.abs(got - want).max() <= 1e-5 * scale
    if other is not None:
        assert np.abs(got - other).max() > 1e-3 * scale


def product_of_third() -> float:
    """1/3 squared, or what is left of it."""
    return fastnn.matmul([[1 / 3]], [[1 / 3]]).item()


def classifier(dtype: str = "bfloat16", **args: Any) -> fastnn.Sequential:
    fastnn.seed(0)
    layers = [fastnn.Dense(40, activation="relu", input_shape=(20,)), fastnn.Dense(30, activation="tanh")]
    model = fastnn.Sequential([*layers, fastnn.Dense(4, activation="softmax")])
    model.compile(fastnn.optim.Adam(lr=0.01), "sparse_categorical_crossentropy", ["accuracy"], dtype=dtype, **args)
    return model


def bits(model: Any) -> list[bytes]:
    return [w.tobytes() for w in model.get_weights()]
