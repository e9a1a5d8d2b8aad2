"""Callbacks on several ranks: files and lines of rank 0, the same decisions on all ranks, backups, and ends by errors."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
from fastnn import callbacks


def _model(comm: Any, dropout: float = 0.0) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(4, "tanh", input_shape=(3,)), fastnn.Dropout(dropout), fastnn.Dense(1)])
    model.compile(fastnn.optim.Adam(lr=0.05), "mse", ["mae"], distribute=comm)
    return model


def _data() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x = rng.random((24, 3)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def _files(folder: str) -> list[Any]:
    comm = fastnn.distributed.init()
    model, (x, y) = _model(comm), _data()
    own = Path(folder) / f"rank{comm.rank}"  # as on machines with separate disks
    own.mkdir()
    given = [
        callbacks.ModelCheckpoint(own / "{epoch}.fastnn", monitor="val_loss", keep=2),
        callbacks.CSVLogger(own / "log.csv"),
        callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10.0, verbose=1),
        callbacks.EarlyStopping("val_mae", patience=2, min_delta=10.0, restore_best_weights=True, verbose=1),
    ]
    history = model.fit(x, y, batch_size=8, epochs=6, validation_data=(x, y), callbacks=given, verbose=2)
    files = sorted(path.name for path in own.iterdir())
    rows = list(csv.DictReader((own / "log.csv").open())) if comm.rank == 0 else []
    weights = [w.tolist() for w in model.get_weights()]
    return [history.history, model.optimizer.lr, files, len(rows), weights]


@ranks.needed
def test_files_are_those_of_rank_0(tmp_path: Path) -> None:
    job = ranks.Job(2, __file__, "_files", str(tmp_path))
    first, second = job.wait()
    assert list(first[0]) == list(second[0]) and first[:2] == second[:2]
    epochs = len(first[0]["loss"])
    assert epochs < 6 and first[3] == epochs and len(first[2]) == 3 and not second[2]


def _continued(folder: str, stop_after: int, dropout: float = 0.0) -> list[Any]:
    """Train with backups; end the run without a word after a number of batches."""
    comm = fastnn.distributed.init()
    model, (x, y) = _model(comm, dropout), _data()

    class Ends(fastnn.callbacks.Callback):
        done = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            if self.done == stop_after:
                raise KeyboardInterrupt

    own = Path(folder) / f"rank{comm.rank}"
    backup = callbacks.BackupAndRestore(own, save_freq=2, delete_checkpoint=False)
    try:
        history = model.fit(x, y, batch_size=8, epochs=3, callbacks=[backup, Ends()], verbose=0)
    except KeyboardInterrupt:
        return [sorted(path.name for path in own.iterdir()) if own.exists() else []]
    return [history.history, [w.tolist() for w in model.get_weights()]]


@ranks.needed
def test_backups_go_on(tmp_path: Path) -> None:
    whole = ranks.run(2, __file__, "_continued", str(tmp_path / "whole"), 0, 0.2)
    (files,), (none,) = ranks.run(2, __file__, "_continued", str(tmp_path / "a"), 6, 0.2)
    assert files and not none
    assert ranks.run(2, __file__, "_continued", str(tmp_path / "a"), 0, 0.2) == whole


@ranks.needed
def test_backups_go_on_with_another_number_of_ranks(tmp_path: Path) -> None:
    (history, weights), *_ = ranks.run(2, __file__, "_continued", str(tmp_path / "whole"), 0)
    ranks.run(2, __file__, "_continued", str(tmp_path / "a"), 6)  # in the middle of an epoch
    (one,) = ranks.run(1, __file__, "_continued", str(tmp_path / "a"), 0)
    assert one[0].keys() == history.keys()
    for name in history:
        np.testing.assert_allclose(one[0][name], history[name], rtol=1e-5)
    for a, b in zip(one[1], weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def _fails(where: str) -> None:
    comm = fastnn.distributed.init()
    model, (x, y) = _model(comm), _data()
    here = comm.rank == 1

    def fail(*_: Any) -> None:
        if here:
            raise KeyboardInterrupt if where == "interrupt" else ValueError("only here")

    def source() -> Any:
        for i in range(3):
            if i == 1 and where == "source":
                fail()
            yield x[:4], y[:4]

    given = [callbacks.LambdaCallback(on_epoch_end=fail)] if where != "source" else []
    if where == "fit" and here:
        x = x[:, :2]
    if where == "source":
        model.fit(source(), epochs=1, verbose=0)
    else:
        model.fit(x, y, batch_size=8, epochs=2, callbacks=given, verbose=0)


@ranks.needed
@pytest.mark.parametrize("where", ["fit", "callback", "source", "interrupt"])
def test_an_error_on_one_rank_ends_all(where: str) -> None:
    with pytest.raises(ranks.RankError) as caught:
        ranks.run(2, __file__, "_fails", where, seconds=30)
    assert "Traceback" in caught.value.outputs[1]
    assert ("KeyboardInterrupt" if where == "interrupt" else "ValueError") in caught.value.outputs[1]
