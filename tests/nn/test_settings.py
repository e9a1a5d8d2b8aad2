"""Settings of losses, regularizers, constraints and optimizers that change while a model trains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.training.step import TrainStep

rng = np.random.default_rng(0)
x = rng.standard_normal((24, 4))
y = (x[:, :1] > 0).astype(float)


def trained(settings: dict[str, Any], loss: Any, change: Callable[[int], None]) -> list[np.ndarray]:
    fastnn.seed(0)
    model = fastnn.Sequential(
        [fastnn.Dense(5, "tanh", input_shape=(4,), **settings), fastnn.Dense(1, activation="sigmoid")], dtype="float64"
    )
    model.compile(fastnn.optim.SGD(lr=0.5), loss)
    model.fit(x, y, batch_size=4, epochs=3, callbacks=[fastnn.callbacks.LambdaCallback(on_epoch_begin=lambda e, _: change(e))])
    return model.get_weights()


CASES: dict[str, tuple[Callable[[], Any], str, list[float]]] = {
    "kernel_regularizer": (lambda: fastnn.regularizers.OrthogonalRegularizer(0.1), "factor", [0.1, 1.0, 2.0]),
    "kernel_constraint": (lambda: fastnn.constraints.MaxNorm(1.0), "max_value", [1.0, 0.5, 0.1]),
    "focal": (lambda: fastnn.losses.BinaryFocalCrossentropy(gamma=2.0), "gamma", [2.0, 1.0, 4.0]),
    "smoothing": (lambda: fastnn.losses.BinaryCrossentropy(), "label_smoothing", [0.0, 0.1, 0.3]),
}


@pytest.mark.parametrize("case", CASES)
def test_recorded_steps_follow_a_setting(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, name, values = CASES[case]

    def run(follow: bool) -> list[np.ndarray]:
        thing = make()
        settings, loss = ({case: thing}, "mse") if case.startswith("kernel") else ({}, thing)
        return trained(settings, loss, lambda epoch: setattr(thing, name, values[epoch]) if follow else None)

    recorded, still = run(True), run(False)
    monkeypatch.setattr(TrainStep, "_watch", lambda self: self._step())
    for a, b in zip(run(True), recorded, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(recorded, still, strict=True))


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (fastnn.optim.SGD(momentum=0.9), "momentum"),
        (fastnn.optim.Adam(), "betas"),
        (fastnn.optim.Adam(), "clipnorm"),
        (fastnn.optim.Adam(), "use_ema"),
    ],
)
def test_what_would_have_no_effect_is_an_error(thing: Any, name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        setattr(thing, name, 0.5)


def test_metrics_go_on_after_an_evaluation_that_was_broken_off() -> None:
    model = fastnn.Sequential([fastnn.Dense(1, activation="sigmoid", input_shape=(4,))])
    model.compile("sgd", "binary_crossentropy", ["accuracy"])
    for _ in range(4):
        model.train_on_batch(x, y)

    class Broken(fastnn.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.evaluate(x, y, callbacks=[Broken()])
    wanted = model.evaluate(x, y)
    assert model.train_on_batch(x, y) == pytest.approx(wanted)
