"""Runs that end at any moment and continue from their backup, as if there had been no break."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


class CrashError(Exception):
    pass


class CrashAt(callbacks.Callback):
    """Draws random numbers, and ends the run at its batch of this number."""

    def __init__(self, batch: int | None) -> None:
        super().__init__()
        self.left = batch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        fastnn.rand(2)
        fastnn.Dense(2, input_shape=(3,))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        np.random.rand()  # noqa: NPY002
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise CrashError


class Batches:
    """Batches with noise from numpy.random."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        noise = np.random.standard_normal((8, 4))  # noqa: NPY002
        return X[8 * i : 8 * i + 8] + noise, Y[8 * i : 8 * i + 8]


class Counted(fastnn.metrics.Metric):
    """A custom metric with all kinds of state."""

    def __init__(self) -> None:
        super().__init__("counted")
        self.sum, self.seen, self.times = self.add_weight(), np.zeros(2), 0
        self.inner = fastnn.metrics.MeanSquaredError()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.sum.assign_add(y_pred.sum())
        self.seen = self.seen + float(y_true.sum().item())
        self.times += 1
        self.inner.update_state(y_true.numpy(), y_pred.numpy())

    def result(self) -> Any:
        return float(self.sum.item() + self.seen.sum() * self.times + self.inner.result())

    def reset_state(self) -> None:
        super().reset_state()
        self.seen, self.times = np.zeros(2), 0
        self.inner.reset_state()


class Own(fastnn.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = fastnn.Dense(1, input_shape=(4,))

    def forward(self, x: Any) -> Any:
        return self.dense(x)

    def train_step(self, data: Any) -> dict[str, Any]:
        return {**super().train_step(data), "mine": data[0].sum()}


def net() -> Any:
    return fastnn.Sequential(
        [
            fastnn.Dense(5, "tanh", input_shape=(4,), kernel_regularizer="l2"),
            fastnn.BatchNormalization(),
            fastnn.Dropout(0.3),
            fastnn.Dense(1),
        ]
    )


def stateful() -> Any:
    x = fastnn.Input((4,))
    return fastnn.Model(x, fastnn.Dense(1)(fastnn.LSTM(3, stateful=True)(fastnn.Reshape((4, 1))(x))))


CASES: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "adam": (net, "adam", {}),
    "average": (net, "ema", {"validation_split": 0.2}),
    "schedule-free": (net, "schedulefreeadamw", {}),
    "passes": (net, "adam", {"steps_per_epoch": 4}),
    "noise": (net, "sgd", {"data": Batches}),
    "custom": (Own, "adam", {}),
    "stateful": (stateful, "adam", {"batch_size": 10}),
}


def run(folder: Any, case: str, crash: int | None, **backup: Any) -> list[Any]:
    """Train, until a crash or to the end; return what must not depend on crashes."""
    make, optimizer, settings = CASES[case]
    fit: dict[str, Any] = {"epochs": 7, "verbose": 0, "batch_size": 8, **settings}
    fastnn.seed(1)
    np.random.seed(1)  # noqa: NPY002
    model = make()
    ema = fastnn.optim.SGD(lr=fastnn.schedules.CosineDecay(0.1, 30), use_ema=True, momentum=0.9)
    model.compile(ema if optimizer == "ema" else optimizer, "mse", ["mae", Counted()])
    data: tuple[Any, ...] = (X, Y)
    if "data" in fit:
        data = (fit.pop("data")(),)
        del fit["batch_size"]
    calls: list[Any] = [
        callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True, start_from_epoch=1),
        callbacks.CSVLogger(Path(folder) / "log.csv"),
        CrashAt(crash),
    ]
    if optimizer == "ema":
        calls.append(callbacks.SwapEMAWeights(swap_on_epoch=True))
    else:  # without a schedule
        calls += [callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.9), callbacks.ReduceLROnPlateau("loss", patience=0)]
    calls.insert(0, callbacks.BackupAndRestore(Path(folder) / "backup", **backup))
    history = model.fit(*data, callbacks=calls, **fit)
    weights = [w.tolist() for w in model.get_weights()]
    draws = [*fastnn.rand(2).tolist(), np.random.rand(), *fastnn.Dense(2, input_shape=(3,)).get_weights()[0].ravel()]  # noqa: NPY002
    return [history.epoch, history.history, weights, draws, (Path(folder) / "log.csv").read_text()]


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("case", CASES)
def test_crashes_change_no_bit(case: str, save_freq: Any, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole", case, None, save_freq=save_freq)
    for crash in (9, 11, 4):
        with pytest.raises(CrashError):
            run(tmp_path, case, crash, save_freq=save_freq)
    assert run(tmp_path, case, None, save_freq=save_freq) == whole
    assert not (tmp_path / "backup").exists()


def test_a_backup_in_an_epoch_serves_a_run_that_backs_up_after_epochs(tmp_path: Path) -> None:
    with pytest.raises(CrashError):
        run(tmp_path, "adam", 9, save_freq=3)
    whole = (tmp_path / "whole").mkdir() or run(tmp_path / "whole", "adam", None)
    assert run(tmp_path, "adam", None) == whole


def small(units: int = 2) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(units, "tanh", input_shape=(4,)), fastnn.Dense(1)])
    model.compile("adam", "mse")
    return model


def test_fit_resumes_from_a_folder(tmp_path: Path) -> None:
    other = small()
    whole = other.fit(X, Y, epochs=5, verbose=0).history
    assert small().fit(X, Y, epochs=3, verbose=0, resume=tmp_path / "run").history["loss"] == whole["loss"][:3]
    for _ in range(2):  # the second time, it is complete
        model = small()
        assert model.fit(X, Y, epochs=5, verbose=0, resume=tmp_path / "run").history == whole
        for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_run_that_a_callback_stopped_is_complete(tmp_path: Path) -> None:
    def fit() -> Any:
        stop = callbacks.EarlyStopping(rule=lambda logs: True, patience=1)
        return small().fit(X, Y, epochs=9, verbose=0, callbacks=stop, resume=tmp_path).history

    first = fit()
    assert len(first["loss"]) == 2 and fit() == first


def test_damaged_backups(tmp_path: Path) -> None:
    whole = small().fit(X, Y, epochs=4, verbose=0).history
    small().fit(X, Y, epochs=3, verbose=0, resume=tmp_path)
    newest = tmp_path / "newest.safetensors"
    content = newest.read_bytes()
    newest.write_bytes(content[:-9] + b"x" + content[-8:])
    with pytest.warns(RuntimeWarning, match=r"newest\.safetensors: .*damaged.* continues from the backup before it"):
        assert small().fit(X, Y, epochs=4, verbose=0, resume=tmp_path).history == whole
    for name in ("newest", "before"):
        (tmp_path / f"{name}.safetensors").write_bytes(content[:500])
    with pytest.raises(ValueError, match=r"BackupAndRestore: .*newest\.safetensors.*truncated"):
        small().fit(X, Y, epochs=4, verbose=0, resume=tmp_path)
    small().save(newest)
    (tmp_path / "before.safetensors").unlink()
    with pytest.raises(ValueError, match=r"newest\.safetensors is no backup"):
        small().fit(X, Y, epochs=4, verbose=0, resume=tmp_path)


def test_a_backup_with_hostile_content(tmp_path: Path) -> None:
    from fastnn.files import tensors

    small().fit(X, Y, epochs=1, verbose=0, resume=tmp_path)
    arrays, metadata = tensors.load(tmp_path / "newest.safetensors", "load")
    content = json.loads(metadata["content"])
    state = dict(map(tuple, content["state"]["dict"]))
    edits: list[Callable[[], Any]] = [
        lambda: content.update(version=2),
        lambda: content["place"].update(epoch=-1),
        lambda: content["place"].update(epoch="1"),
        lambda: content["place"].update(stream=[1] * 12),
        lambda: state["streams"]["dict"][1].__setitem__(1, [-1, 0]),
        lambda: state["streams"]["dict"][2][1].__setitem__(1, 10**6),
        lambda: state.pop("optimizer_state"),
        lambda: state.update(weights={"tensor": "nothing"}),
        lambda: state.update(callbacks=3),
        lambda: state.pop("totals"),
        lambda: state["callbacks"][0].__setitem__(1, {"dict": [["epoch", [0]], ["history", {"dict": [["loss", 1]]}]]}),
        lambda: state["callbacks"][0].__setitem__(1, {"dict": [["epoch", 1], ["history", {"dict": []}]]}),
    ]
    for edit in edits:
        content = json.loads(metadata["content"])
        state = dict(map(tuple, content["state"]["dict"]))
        edit()
        content["state"] = {"dict": [[key, value] for key, value in state.items()]}
        tensors.save(tmp_path / "newest.safetensors", arrays, {"format": "fastnn-backup", "content": json.dumps(content)}, "save")
        with pytest.raises(ValueError, match=r"BackupAndRestore: .*newest\.safetensors"):
            small().fit(X, Y, epochs=2, verbose=0, resume=tmp_path)


def test_backups_of_other_runs(tmp_path: Path) -> None:
    small().fit(X, Y, epochs=1, verbose=0, resume=tmp_path)
    with pytest.raises(ValueError, match=r"does not fit this run: load_state_dict: .* has shape"):
        small(3).fit(X, Y, epochs=2, verbose=0, resume=tmp_path)
    with pytest.raises(ValueError, match=r"50 samples in batches of 32, but x has 50 samples in batches of 10"):
        small().fit(X, Y, epochs=2, verbose=0, batch_size=10, resume=tmp_path)
    other = small()
    other.compile("sgd", "mse")
    with pytest.raises(ValueError, match="its optimizer is Adam, but that of the model is SGD"):
        other.fit(X, Y, epochs=2, verbose=0, resume=tmp_path)
    unbuilt = fastnn.Sequential([fastnn.Dense(1)])
    unbuilt.compile("adam", "mse")
    with pytest.raises(RuntimeError, match="no weights yet"):
        unbuilt.fit(Batches(), verbose=0, resume=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is a file; wanted a folder"):
        small().fit(X, Y, verbose=0, resume=tmp_path / "file")
    with pytest.raises(ValueError, match="save_freq is 0"):
        callbacks.BackupAndRestore(tmp_path, save_freq=0)
    with pytest.raises(ValueError, match="name of the folder is empty"):
        callbacks.BackupAndRestore("")


def test_data_without_a_position_begin_again_with_a_warning(tmp_path: Path) -> None:
    def endless() -> Any:
        while True:
            yield X[:8], Y[:8]

    small().fit(endless(), epochs=2, steps_per_epoch=3, verbose=0, resume=tmp_path)
    with pytest.warns(RuntimeWarning, match="position in x, a generator, is unknown; epoch 3 begins"):
        assert len(small().fit(endless(), epochs=3, steps_per_epoch=3, verbose=0, resume=tmp_path).epoch) == 3


def test_the_state_of_a_custom_callback(tmp_path: Path) -> None:
    class Counts(callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.epochs: Any = 0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.epochs += 1

        def state_dict(self) -> dict[str, Any]:
            return {"epochs": self.epochs}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.epochs = state["epochs"]

    for epochs in (2, 5):
        count = Counts()
        small().fit(X, Y, epochs=epochs, verbose=0, callbacks=count, resume=tmp_path)
        assert count.epochs == epochs
    count.epochs = 1j
    count.on_epoch_end = lambda epoch, logs: None  # type: ignore[method-assign]
    count.load_state_dict = lambda state: None  # type: ignore[method-assign]
    with pytest.raises(TypeError, match="BackupAndRestore: the state of the callback Counts has a complex"):
        small().fit(X, Y, epochs=6, verbose=0, callbacks=count, resume=tmp_path)


PROGRAM = """
import json, os, pathlib, random, sys, threading, time
import numpy as np
import fastnn
from fastnn import callbacks

folder, save_freq, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
rng = np.random.default_rng(0)
x = rng.standard_normal((96, 4)).astype(np.float32)
y = (x.sum(1) > 0).astype(np.int64)
fastnn.seed(1)
layers = [fastnn.Dense(8, "relu", input_shape=(4,)), fastnn.BatchNormalization(), fastnn.Dropout(0.2), fastnn.Dense(2, "softmax")]
model = fastnn.Sequential(layers)
model.compile(fastnn.optim.Adam(lr=0.02, use_ema=True), "sparse_categorical_crossentropy", ["accuracy"])
calls = [
    callbacks.BackupAndRestore(folder / "backup", save_freq=save_freq if save_freq == "epoch" else int(save_freq)),
    callbacks.ReduceLROnPlateau("val_loss", patience=1, factor=0.5),
    callbacks.EarlyStopping("val_loss", patience=20, restore_best_weights=True),
    callbacks.ModelCheckpoint(folder / "{epoch}.fastnn", keep=2),
    callbacks.CSVLogger(folder / "log.csv"),
    callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: time.sleep(0.002)),
]
if seconds:
    def end():
        time.sleep(seconds)
        os.kill(os.getpid(), 9)
    threading.Thread(target=end, daemon=True).start()
history = model.fit(x, y, epochs=8, batch_size=8, validation_split=0.2, verbose=0, callbacks=calls)
result = [history.history, [w.tolist() for w in model.get_weights()], sorted(p.name for p in folder.glob("*.fastnn"))]
(folder / "result.json").write_text(json.dumps([*result, (folder / "log.csv").read_text()]))
"""


def killed(folder: Path, save_freq: str, kills: int) -> str:
    """Run the program until it has been killed this many times, at random moments, and then to its end; return its result."""
    folder.mkdir()
    moments = random.Random(save_freq)
    environment = {**os.environ, "FASTNN_NUM_THREADS": "1"}
    while not (folder / "result.json").exists():
        seconds = moments.uniform(0.001, 0.1) if kills else 0.0
        command = [sys.executable, "-c", PROGRAM, str(folder), save_freq, str(seconds)]
        ended = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert ended.returncode in (0, -9), ended.stderr
        kills -= ended.returncode == -9
    assert kills == 0 and not (folder / "backup").exists()
    return (folder / "result.json").read_text()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    ("save_freq", "kills"),
    [("3", 3), pytest.param("1", 25, marks=pytest.mark.slow), pytest.param("epoch", 25, marks=pytest.mark.slow)],
)
def test_kills_change_no_bit(save_freq: str, kills: int, tmp_path: Path) -> None:
    assert killed(tmp_path / "killed", save_freq, kills) == killed(tmp_path / "whole", save_freq, 0)
