"""Callbacks that change rates and write files, against Keras's; and lr_find."""

from __future__ import annotations

import csv
import os
import pickle
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, schedules

rng = np.random.default_rng(0)
X = rng.standard_normal((16, 4)).astype(np.float32)
Y = rng.standard_normal((16, 1)).astype(np.float32)
THRESHOLD = 1.22
"""A validation loss between those of the epochs below."""
FIT: dict[str, Any] = {"batch_size": 4, "shuffle": False, "verbose": 0, "validation_split": 0.25}


def small(optimizer: Any = "sgd", **layers: Any) -> fastnn.Sequential:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(3, "tanh", input_shape=(4,)), *layers.values(), fastnn.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


@pytest.fixture(scope="module")
def keras() -> Any:
    if not find_spec("keras") or not (find_spec("torch") or find_spec("jax")):
        pytest.skip("Keras with PyTorch or JAX is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    import keras

    return keras


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Where fastnn's and Keras's callbacks write."""
    before = Path.cwd()
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    yield tmp_path / "ours", tmp_path / "theirs"
    os.chdir(before)


def both(keras: Any, folders: tuple[Path, Path], name: str, epochs: int, *own_args: Any, **kwargs: Any) -> list[Any]:
    """What fit tells with fastnn's callback of that name, and with Keras's, each in its folder."""
    ours = small()
    theirs = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    theirs.set_weights(ours.get_weights())
    theirs.compile("sgd", "mse", metrics=["mae"])
    told = []
    for folder, model, module in zip(folders, (ours, theirs), (callbacks, keras.callbacks), strict=True):
        os.chdir(folder)
        suffix = ".fastnn" if module is callbacks else ".keras"
        args = [a.replace(".keras", suffix) if isinstance(a, str) else a for a in own_args]
        told.append(model.fit(X, Y, epochs=epochs, callbacks=[getattr(module, name)(*args, **kwargs)], **FIT).history)
    return told


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("LearningRateScheduler", (lambda epoch, lr: lr * 0.7 if epoch else 0.05,), {}),
        ("LearningRateScheduler", (lambda epoch: 0.1 / (1 + epoch),), {}),
        ("ReduceLROnPlateau", (), {"patience": 1, "factor": 0.5, "min_delta": 0.05}),
        ("ReduceLROnPlateau", ("mae",), {"patience": 2, "min_delta": 0.5, "cooldown": 3, "min_lr": 0.0005}),
        ("ReduceLROnPlateau", ("val_mae",), {"patience": 1, "mode": "max", "min_lr": 0.0005}),
    ],
)
def test_rates_as_in_keras(keras: Any, folders: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    a, b = both(keras, folders, name, 12, *args, **kwargs)
    assert set(a) == set(b) and len(set(a["learning_rate"])) > 2
    for key in a:
        np.testing.assert_allclose(a[key], b[key], rtol=2e-4, atol=1e-6, err_msg=key)


def lines(path: Path, separator: str = ",") -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file, delimiter=separator))


@pytest.mark.parametrize("split", [0.25, 0.0])
def test_the_log_as_in_keras(keras: Any, folders: Any, split: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIT, "validation_split", split)
    both(keras, folders, "CSVLogger", 3, "log.csv", separator=";")
    ours, theirs = (lines(folder / "log.csv", ";") for folder in folders)
    assert [list(row) for row in ours] == [list(row) for row in theirs] and len(ours) == 3
    for row, want in zip(ours, theirs, strict=True):
        for name, value in row.items():
            assert value == want[name] if value == "NA" else float(value) == pytest.approx(float(want[name]), rel=1e-3)


def test_the_log_goes_on(tmp_path: Path) -> None:
    model, path = small(), tmp_path / "log.csv"
    model.fit(X, Y, epochs=2, callbacks=callbacks.CSVLogger(path), **FIT)
    model.fit(X, Y, epochs=4, initial_epoch=2, callbacks=callbacks.CSVLogger(path, append=True), **FIT)
    assert [row["epoch"] for row in lines(path)] == ["0", "1", "2", "3"]
    model.fit(X, Y, epochs=1, callbacks=callbacks.CSVLogger(path), **FIT)
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"save_best_only": True},
        {"save_best_only": True, "monitor": "mae", "mode": "max"},
        {"save_best_only": True, "initial_value_threshold": THRESHOLD},
        {"save_freq": 5},
    ],
    ids=str,
)
def test_checkpoints_as_in_keras(keras: Any, folders: Any, settings: dict[str, Any]) -> None:
    name = "{epoch:02d}-{batch}" if "save_freq" in settings else "{epoch:02d}"
    told, _ = both(keras, folders, "ModelCheckpoint", 6, f"models/{name}.keras", **settings)
    ours, theirs = ({p.stem for p in (folder / "models").glob("*")} for folder in folders)
    assert ours == theirs and len(ours) > 0, told


def test_checkpoints_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small()
    save = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.2f}", save_best_only=True, verbose=1)
    weights = callbacks.ModelCheckpoint(tmp_path / "w", save_weights_only=True)
    history = model.fit(X, Y, epochs=3, callbacks=[save, weights], **FIT).history
    best = int(np.argmin(history["val_loss"]))
    again = fastnn.load(tmp_path / f"{best + 1}-{history['val_loss'][best]:.2f}")
    assert again.evaluate(X[12:], Y[12:])[0] == pytest.approx(history["val_loss"][best], rel=1e-6)
    twin = small()
    twin.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert "Epoch 1: saved model to" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"ModelCheckpoint: .*\.h5 are Keras's"):
        callbacks.ModelCheckpoint("{epoch}.weights.h5", save_weights_only=True)
    with pytest.raises(KeyError, match="names 'acc'; there are loss"):
        model.fit(X, Y, callbacks=callbacks.ModelCheckpoint(tmp_path / "{acc}"), **FIT)
    with pytest.warns(RuntimeWarning, match="val_acc is not in the logs, so each model is saved"):
        model.fit(X, Y, callbacks=callbacks.ModelCheckpoint(tmp_path / "x", "val_acc", save_best_only=True), **FIT)
    assert (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"keep": 2}, {2, 4}),
        ({"keep": 2, "mode": "max"}, {1, 3}),
        ({"keep": 2, "monitor": lambda logs: -logs["val_loss"], "mode": "min"}, {1, 3}),
        ({"keep": 2, "monitor": None}, {4, 5}),
        ({"keep": 1, "save_best_only": True}, {4}),
        ({"keep": 2, "save_best_only": True, "initial_value_threshold": 2.5}, {2, 4}),
        ({"keep": 9}, {1, 2, 3, 4, 5}),
    ],
)
def test_checkpoints_of_the_best_epochs(settings: dict[str, Any], kept: set[int], tmp_path: Path) -> None:
    save = callbacks.ModelCheckpoint(tmp_path / "{epoch}", **settings)
    save.set_model(small())
    for epoch, loss in enumerate([3.0, 2.0, 4.0, 1.0, 2.0]):  # of equal ones, the first is kept
        save.on_epoch_begin(epoch)
        save.on_epoch_end(epoch, {"val_loss": loss})
    assert {int(p.name) for p in tmp_path.iterdir()} == kept


def test_bad_checkpoints() -> None:
    with pytest.raises(ValueError, match=r"keep needs a filepath with a field, such as \{epoch\}"):
        callbacks.ModelCheckpoint("best", keep=2)
    with pytest.raises(ValueError, match="ModelCheckpoint: keep"):
        callbacks.ModelCheckpoint("{epoch}", keep=0)
    with pytest.raises(ValueError, match="needs a monitor, but monitor is None"):
        callbacks.ModelCheckpoint("{epoch}", None, save_best_only=True)


def test_hyperparameters_by_epoch_and_by_step() -> None:
    drop, seen = fastnn.Dropout(0.5), []
    model = small(fastnn.optim.SGD(lr=0.1, momentum=0.5), drop=drop)
    watch = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            (model.optimizer.lr, model.optimizer.get_config()["momentum"], drop.rate)
        )
    )
    line = schedules.PolynomialDecay(0.8, 8, 0.0)
    hyper = [
        callbacks.HyperparameterScheduler("lr", line, per="step"),
        callbacks.HyperparameterScheduler("momentum", lambda epoch: 0.9 - epoch / 10),
        callbacks.HyperparameterScheduler("rate", line, of=drop),
    ]
    model.fit(X, Y, epochs=2, callbacks=[*hyper, watch], batch_size=4)
    assert seen == [(pytest.approx(line(i)), pytest.approx(0.9 - i // 4 / 10), line(i // 4)) for i in range(8)]
    assert not hyper[1].wants_batches and hyper[0].wants_batches
    with pytest.raises(ValueError, match="SGD has no 'beta1'"):
        model.fit(X, Y, callbacks=callbacks.HyperparameterScheduler("beta1", line))
    with pytest.raises(ValueError, match="Dropout has no 'share'"):
        callbacks.HyperparameterScheduler("share", line, of=drop)


def test_functions_as_callbacks() -> None:
    log: list[Any] = []
    hooks = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: log.append(epoch), on_test_end=lambda logs: log.append("test")
    )
    assert not hooks.wants_batches
    assert callbacks.LambdaCallback(on_batch_end=lambda batch, logs: None).wants_batches
    small().fit(X, Y, epochs=2, callbacks=hooks, **FIT)
    assert log == ["test", 0, "test", 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: callbacks.LambdaCallback(on_epoch=print), "there is no hook 'on_epoch'"),
        (lambda: callbacks.ReduceLROnPlateau(factor=1.0), "factor is 1.0; wanted a number from 0 to below 1"),
        (lambda: callbacks.ReduceLROnPlateau(patience=-1), "patience is -1; wanted a number of epochs"),
        (lambda: callbacks.ReduceLROnPlateau(mode="up"), "mode is 'up'"),
        (lambda: callbacks.ModelCheckpoint("x", save_freq=0), "save_freq is 0; wanted 'epoch' or a number"),
        (lambda: callbacks.HyperparameterScheduler("lr", abs, per="batch"), "per is 'batch'"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_lr_find() -> None:
    model = small("adam", drop=fastnn.Dropout(0.2, seed=1))
    model.fit(X, Y, epochs=2, **FIT)
    before = pickle.dumps(model.get_weights()), model.optimizer.lr, model.optimizer.iterations
    lrs, losses = fastnn.lr_find(model, X, Y, min_lr=1e-4, max_lr=100.0, steps=60, batch_size=8)
    assert (pickle.dumps(model.get_weights()), model.optimizer.lr, model.optimizer.iterations) == before
    np.testing.assert_allclose(lrs[1:] / lrs[:-1], 1e6 ** (1 / 59))
    assert len(lrs) == len(losses) < 60 and losses[-1] > 4 * losses.min() and losses.min() < losses[0]
    again = fastnn.lr_find(model, X, Y, min_lr=1e-4, max_lr=100.0, steps=60, batch_size=8)
    np.testing.assert_array_equal(again[1], losses)
    with pytest.raises(ValueError, match=r"lr_find: max_lr is 0\.1"):
        fastnn.lr_find(model, X, Y, min_lr=1.0, max_lr=0.1)
    with pytest.raises(RuntimeError, match="not compiled"):
        fastnn.lr_find(fastnn.Sequential([fastnn.Dense(1, input_shape=(4,))]), X, Y)


def test_averages_are_evaluated_and_saved(tmp_path: Path) -> None:
    def fit(*calls: Any) -> tuple[Any, Any]:
        model = small(fastnn.optim.SGD(lr=0.05, use_ema=True, ema_momentum=0.8))
        return model, model.fit(X, Y, epochs=4, callbacks=list(calls), **FIT).history

    model, plain = fit()
    measured: list[float] = []

    def average(epoch: int, logs: Any) -> None:
        with watched.optimizer.averaged():
            measured.append(watched.evaluate(X[12:], Y[12:])[0])

    watched = small(fastnn.optim.SGD(lr=0.05, use_ema=True, ema_momentum=0.8))
    watched.fit(X, Y, epochs=4, callbacks=callbacks.LambdaCallback(on_epoch_end=average), **FIT)
    save = callbacks.ModelCheckpoint(tmp_path / "{epoch}")
    for swap, others in ((callbacks.SwapEMAWeights(), []), (callbacks.SwapEMAWeights(swap_on_epoch=True), [save])):
        other, history = fit(swap, *others)
        assert history["loss"] == plain["loss"] and history["val_loss"] == measured != plain["val_loss"]
        assert not other.optimizer.swapped
        for a, b in zip(model.get_weights(), other.get_weights(), strict=True):  # fit ends with the averages
            np.testing.assert_array_equal(a, b)
    assert fastnn.load(tmp_path / "2").evaluate(X[12:], Y[12:])[0] == pytest.approx(measured[1], rel=1e-6)
    assert other.evaluate(X, Y, callbacks=callbacks.SwapEMAWeights()) == other.evaluate(X, Y)
    with pytest.raises(ValueError, match="SwapEMAWeights: the optimizer SGD keeps no averages"):
        small().fit(X, Y, callbacks=callbacks.SwapEMAWeights(), **FIT)
    with pytest.raises(ValueError, match="swap_averages: it keeps no averages"):
        fastnn.optim.SGD().swap_averages()
