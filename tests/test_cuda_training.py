"""Training on the cupy backend, on the emulated device: launches recorded as graphs, numbers shared with Python."""

from __future__ import annotations

from typing import Any

import emulator
import numpy as np
import pytest

import fastnn

pytestmark = pytest.mark.skipif(not emulator.runs_here(), reason="needs Linux and a C++ compiler")

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (96, 12)).astype(np.float32)
LABELS = rng.integers(0, 5, 96)
TARGETS = rng.uniform(-1, 1, (96, 2)).astype(np.float32)


def _classifier() -> tuple[Any, Any]:
    model = fastnn.Sequential([fastnn.Dense(9, activation="relu", input_shape=(12,)), fastnn.Dropout(0.25), fastnn.Dense(5)])
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model, LABELS


def _regression() -> tuple[Any, Any]:
    model = fastnn.Sequential([fastnn.Dense(7, activation="silu", input_shape=(12,)), fastnn.Dense(2)])
    model.compile(optimizer="sgd", loss="huber", metrics=["mae"])
    return model, TARGETS


def _trained(make: Any) -> tuple[dict[str, list[float]], np.ndarray[Any, Any], list[float]]:
    """The history of a training, what the model predicts then, and how it is rated."""
    fastnn.seed(0)
    model, y = make()
    history = model.fit(X, y, batch_size=20, epochs=2, verbose=0, validation_split=0.25).history
    return history, model.predict(X), model.evaluate(X, y, verbose=0)


@pytest.mark.parametrize("make", [_classifier, _regression])
@pytest.mark.parametrize("target", emulator.TARGETS)
def test_training_is_as_on_the_reference(target: str, make: Any) -> None:
    with fastnn.use_backend("numpy"):
        history, predicted, rated = _trained(make)
    with emulator.using(target):
        got = _trained(make)
    assert got[0].keys() == history.keys()
    for name, values in history.items():
        np.testing.assert_allclose(got[0][name], values, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(got[1], predicted, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(got[2], rated, rtol=1e-4)


def test_the_same_training_gives_the_same_bits() -> None:
    with emulator.using("emulated"):
        first, second = (_trained(_classifier) for _ in range(2))
    assert first[0] == second[0] and first[2] == second[2]
    assert first[1].tobytes() == second[1].tobytes()
