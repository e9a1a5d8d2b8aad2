"""Callbacks: the order of hooks, early stopping, and what fit records and shows."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from fastnn.callbacks import BackupAndRestore, Callback, CallbackList, EarlyStopping, History, LambdaCallback, TerminateOnNaN


class Model:
    """As much of a model as callbacks touch; its weights are the number of the epoch."""

    def __init__(self) -> None:
        self.stop_training = False
        self.weights = -1

    def get_weights(self) -> Any:
        return self.weights

    def set_weights(self, weights: Any) -> None:
        self.weights = weights


def train(callback: Callback, values: Sequence[float], name: str = "val_loss") -> tuple[Model, int]:
    """Runs the epochs until the callback stops them; gives the model and the number of epochs run."""
    model = Model()
    callbacks = CallbackList([callback], model)
    callbacks.on_train_begin()
    epochs = 0
    for epoch, value in enumerate(values):
        model.weights = epoch
        callbacks.on_epoch_begin(epoch)
        callbacks.on_epoch_end(epoch, {name: value})
        epochs += 1
        if model.stop_training:
            break
    callbacks.on_train_end()
    return model, epochs


class Recorder(Callback):
    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__()
        self.name, self.log = name, log

    def on_train_begin(self, logs: Any = None) -> None:
        self.log.append(f"{self.name} train")

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.log.append(f"{self.name} batch {batch} {logs}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.log.append(f"{self.name} epoch {epoch} {logs}")
        logs[self.name] = 1


def test_order_and_shared_logs() -> None:
    log: list[str] = []
    model = Model()
    callbacks = CallbackList([Recorder("a", log), Recorder("b", log)], model, {"epochs": 1})
    assert all(c.model is model and c.params == {"epochs": 1} for c in callbacks.callbacks)
    callbacks.on_train_begin()
    callbacks.on_train_batch_begin(0)
    callbacks.on_train_batch_end(0, {"loss": 2.0})
    callbacks.on_epoch_end(0)
    assert log == [
        "a train",
        "b train",
        "a batch 0 {'loss': 2.0}",
        "b batch 0 {'loss': 2.0}",
        "a epoch 0 {}",
        "b epoch 0 {'a': 1}",
    ]


def test_every_hook_reaches_the_callbacks() -> None:
    called: list[str] = []
    hooks = [name for name in dir(Callback) if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end")]
    spy = type("Spy", (Callback,), {h: (lambda self, *args, _h=h: called.append(_h)) for h in hooks})()
    callbacks = CallbackList(spy)
    for hook in hooks:
        getattr(callbacks, hook)(*([] if hook.split("_")[1] in ("train", "test", "predict") and "batch" not in hook else [0]))
    assert called == hooks


def test_wants_batches() -> None:
    class PerBatch(Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None: ...

    assert not CallbackList(None).wants_batches
    assert not CallbackList([History(), EarlyStopping(), TerminateOnNaN()]).wants_batches
    assert CallbackList([History(), PerBatch()]).wants_batches
    assert CallbackList(Recorder("a", [])).wants_batches  # by the older name


@pytest.mark.parametrize(("bad", "words"), [([History], "contains the class History"), ([print], "contains a builtin_function")])
def test_bad_callbacks(bad: Any, words: str) -> None:
    with pytest.raises(TypeError, match=f"fit: callbacks {words}"):
        CallbackList(bad)


def test_history() -> None:
    history = History()
    callbacks = CallbackList([history], Model(), {"epochs": 2})
    callbacks.on_epoch_end(0, {"loss": 2.0})
    callbacks.on_epoch_end(1, {"loss": 1.0, "val_loss": 3.0})
    assert history.epoch == [0, 1] and history.history == {"loss": [2.0, 1.0], "val_loss": [3.0]}
    copy = pickle.loads(pickle.dumps(history))
    assert copy.history == history.history and copy.params == {"epochs": 2} and copy.model is None


NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "values", "epochs", "best"),
    [
        ({}, [3, 2, 2, 1], 3, 1),  # patience 0: the first epoch that is no better
        ({"patience": 2}, [3, 2, 2.5, 2.4, 1], 4, 1),
        ({"patience": 2}, [3, 2, 2.5, 1, 2, 0], 6, 5),
        ({"min_delta": 0.5}, [3, 2.7, 1], 2, 0),
        ({"min_delta": -0.5}, [3, 2.7, 1], 2, 0),
        ({"mode": "max"}, [1, 2, 3, 2, 5], 4, 2),
        ({"baseline": 1.5, "patience": 2}, [3, 2, 1.8, 1.9, 1], 4, 2),  # better, but never than the baseline
        ({"baseline": 2.5, "patience": 2}, [3, 2, 2.2, 2.1, 1], 4, 1),
        ({"start_from_epoch": 2}, [1, 2, 3, 2.5, 2.6], 5, 3),
        ({"patience": 1}, [NAN, NAN, 1, 0], 2, 0),
        ({"patience": 3}, [NAN, 2, NAN, 1], 4, 3),
    ],
)
def test_early_stopping(arguments: dict[str, Any], values: list[float], epochs: int, best: int) -> None:
    stop = EarlyStopping(restore_best_weights=True, **arguments)
    model, run = train(stop, values)
    assert run == epochs
    assert stop.stopped_epoch == (epochs - 1 if model.stop_training else 0)
    assert model.weights == best  # also where training ran to its end


def test_early_stopping_keeps_the_last_weights_unless_told() -> None:
    stop = EarlyStopping(patience=1)
    model, _ = train(stop, [1, 2, 3])
    assert model.weights == 1 and (stop.best, stop.best_epoch) == (1, 0)


def test_early_stopping_can_be_used_again() -> None:
    stop = EarlyStopping(patience=1)
    assert train(stop, [1, 2])[1] == 2
    assert train(stop, [9, 8, 7])[1] == 3


def test_early_stopping_finds_the_direction() -> None:
    assert train(EarlyStopping("val_accuracy"), [0.5, 0.6, 0.5], "val_accuracy")[1] == 3
    assert train(EarlyStopping("mse"), [0.5, 0.6, 0.5], "mse")[1] == 2
    with pytest.raises(ValueError, match="should val_f1 rise or fall"):
        train(EarlyStopping("val_f1"), [1, 2], "val_f1")


def test_early_stopping_direction_of_the_models_own_metric() -> None:
    class Score:
        name, direction = "score", "max"

    stop = EarlyStopping("val_score", min_delta=0.1)
    stop.set_model(type("WithMetric", (Model,), {"metrics": [Score()]})())
    for epoch, value in enumerate((1.0, 2.0)):
        stop.on_epoch_end(epoch, {"val_score": value})
    assert stop.best == 2.0


def test_early_stopping_without_its_number() -> None:
    with pytest.warns(RuntimeWarning, match="val_loss is not in the logs, which contain: loss"):
        assert train(EarlyStopping(), [1.0], "loss")[1] == 1


@pytest.mark.parametrize("arguments", [{"mode": "best"}, {"patience": -1}, {"patience": 1.5}])
def test_bad_early_stopping(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="EarlyStopping: "):
        EarlyStopping(**arguments)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_terminate_on_nan(loss: float) -> None:
    with pytest.warns(RuntimeWarning, match=f"the loss is {loss} at epoch 2") as warned:
        assert train(TerminateOnNaN(), [1.0, loss, 1.0], "loss")[1] == 2
    assert len(warned) == 1


def test_terminate_on_nan_at_a_batch() -> None:
    model = Model()
    callbacks = CallbackList(TerminateOnNaN(), model)
    callbacks.on_train_batch_end(0, {"loss": 1.0})
    assert not model.stop_training
    with pytest.warns(RuntimeWarning, match="at batch 1"):
        callbacks.on_train_batch_end(1, {"loss": float("nan")})
    assert model.stop_training


def test_early_stopping_by_a_rule() -> None:
    stop = EarlyStopping(rule=lambda logs: logs["val_loss"] > 2, patience=1, restore_best_weights=True)
    model, epochs = train(stop, [3, 1, 3, 2, 3, 4, 5])
    assert epochs == 6 and stop.stopped_epoch == 5 and stop.wait == 2
    assert model.weights == 1 and stop.best == 1  # the monitored number selects them
    assert train(EarlyStopping(rule=lambda logs: True), [1, 2])[1] == 1
    assert train(EarlyStopping("nothing", rule=lambda logs: False), [1, 2])[1] == 2  # which needs no monitored number
    with pytest.raises(TypeError, match="rule is a bool; wanted a function"):
        EarlyStopping(rule=True)  # type: ignore[arg-type]


def test_early_stopping_by_a_function_of_the_logs() -> None:
    stop = EarlyStopping(lambda logs: -logs["val_loss"], mode="max")
    assert train(stop, [3, 2, 4])[1] == 3 and stop.best == -2
    with pytest.raises(ValueError, match="should <lambda> rise or fall"):
        train(EarlyStopping(lambda logs: logs["val_loss"]), [1, 2])


def test_what_is_printed() -> None:
    assert repr(EarlyStopping("loss", patience=3)) == "EarlyStopping(monitor='loss', patience=3)"
    assert repr(EarlyStopping(rule=max)) == "EarlyStopping(rule=max)"
    assert repr(History()) == "History()"
    assert repr(LambdaCallback(on_epoch_end=print, on_train_end=None)) == "LambdaCallback(on_epoch_end=print)"
    assert repr(BackupAndRestore("run", save_freq=5)) == "BackupAndRestore(backup_dir='run', save_freq=5)"
    assert repr(Recorder("a", [])) == "Recorder(name='a', log=[])" and repr(TerminateOnNaN()) == "TerminateOnNaN()"
