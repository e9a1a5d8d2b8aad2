"""Callbacks in fit: when they are called, and what they may stop."""

from typing import Any

import numpy as np
import pytest
from classifiers import LABELS, X, classifier

import fastnn
from fastnn.callbacks import Callback, EarlyStopping, TerminateOnNaN


class Log(Callback):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            self.calls.append(name)
        return super().__getattribute__(name)


def test_hooks_come_in_keras_order() -> None:
    class All(Log):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None: ...

    log = All()
    classifier().fit(
        X, LABELS, batch_size=25, epochs=2, validation_data=(X, LABELS), validation_batch_size=50, callbacks=[log], verbose=0
    )
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    epoch = ["on_epoch_begin", *batch, *batch, *test, "on_epoch_end"]
    calls = [c for c in log.calls if c not in ("on_batch_begin", "on_batch_end")]
    assert calls == ["on_train_begin", *epoch, *epoch, "on_train_end"]


def test_batch_hooks_do_not_change_the_result() -> None:
    class PerBatch(Callback):
        seen: list[float]

        def on_train_begin(self, logs: Any = None) -> None:
            self.seen = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen.append(logs["loss"])

    a, b, hook = classifier(), classifier(), PerBatch()
    fastnn.seed(1)
    ha = a.fit(X, LABELS, epochs=2, batch_size=8, verbose=0)
    fastnn.seed(1)
    hb = b.fit(X, LABELS, epochs=2, batch_size=8, verbose=0, callbacks=hook)
    assert ha.history == hb.history and len(hook.seen) == 14
    for v, u in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(v, u)


def test_a_callback_can_stop_at_a_batch() -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 2

    model = classifier()
    model.fit(X, LABELS, batch_size=8, epochs=5, callbacks=Stop(), verbose=0)
    assert model.optimizer.iterations == 3


def test_early_stopping_restores_the_best_weights() -> None:
    model = classifier(optimizer=fastnn.optim.SGD(lr=5.0))
    best: dict[str, Any] = {"loss": np.inf}

    class Best(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs["val_loss"] < best["loss"]:
                best.update(loss=logs["val_loss"], weights=self.model.get_weights())

    stop = EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    history = model.fit(X, LABELS, epochs=100, validation_data=(X, LABELS), callbacks=[Best(), stop], verbose=0)
    assert len(history.epoch) < 100
    for a, b in zip(model.get_weights(), best["weights"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_terminate_on_nan_stops() -> None:
    x = X.copy()
    x[3] = np.nan
    with pytest.warns(RuntimeWarning, match="TerminateOnNaN"):
        history = classifier().fit(x, LABELS, epochs=10, callbacks=TerminateOnNaN(), verbose=0, check_data=False)
    assert len(history.epoch) == 1


def test_stop_training_ends_an_epoch_that_python_does_not_watch() -> None:
    """As in Keras, it counts after each step; with recorded steps, after the slice of time in which it was set."""
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    stop = fastnn.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(model, "stop_training", True))
    history = model.fit([[1.0, 2.0, 3.0]] * 64, [1.0] * 64, batch_size=1, epochs=5, verbose=0, callbacks=stop)
    assert len(history.history["loss"]) == 1 and model.optimizer.iterations == 1  # the first slice is a step that is watched
