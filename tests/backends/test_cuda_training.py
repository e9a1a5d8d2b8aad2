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


def _slowly() -> tuple[Any, Any]:
    """A step of the optimizer, and one of its averages, every few batches: the first after the recording begins."""
    model = fastnn.Sequential([fastnn.Dense(9, activation="tanh", input_shape=(12,)), fastnn.Dense(2)])
    optimizer = fastnn.optim.RMSprop(
        lr=0.01, momentum=0.5, gradient_accumulation_steps=3, use_ema=True, ema_overwrite_frequency=2
    )
    model.compile(optimizer=optimizer, loss="mse")
    return model, TARGETS


@pytest.mark.parametrize("target", emulator.TARGETS)
def test_what_runs_for_the_first_time_in_a_replay(target: str) -> None:
    with fastnn.use_backend("numpy"):
        history, predicted, _ = _trained(_slowly)
    device = emulator.EmulatedDevice(*emulator.TARGETS[target])
    token = emulator._local.set(emulator.CupyBackend(device, emulator.cupy.kernels(device)))  # that has no program yet
    try:
        got = _trained(_slowly)
    finally:
        emulator._local.reset(token)
    np.testing.assert_allclose(got[0]["loss"], history["loss"], rtol=1e-4)
    np.testing.assert_allclose(got[1], predicted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("target", emulator.TARGETS)
def test_data_that_the_device_has_no_room_for(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays in page-locked memory, and each batch is fetched while the one before is used."""
    with emulator.using(target):
        want = _trained(_regression)
    monkeypatch.setattr(emulator.cupy, "SURELY_FITS", 0)
    monkeypatch.setattr(emulator.EmulatedDevice, "free", lambda self: 0)
    with emulator.using(target):
        got = _trained(_regression)
    assert got[0] == want[0] and got[1].tobytes() == want[1].tobytes()
