"""A killed rank ends the job, and the same program goes on from the last backup with as many ranks or others."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
from fastnn import Dense, Dropout, Sequential, callbacks, optim

pytestmark = ranks.needed

_EPOCHS, _STEPS = 8, 5


class _Kill(callbacks.Callback):
    """Kills this rank some milliseconds after it has begun a step."""

    def __init__(self, step: int, delay: float) -> None:
        super().__init__()
        self.step, self.delay, self.steps = step, delay, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.steps == self.step:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        self.steps += 1


def _train(folder: str, dropout: float, victim: int = -1, step: int = -1, delay: float = 0.0) -> tuple[dict[str, Any], bytes]:
    """Return the history and the bytes of the weights."""
    comm = fastnn.distributed.init()
    fastnn.seed(3)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((81, 6)).astype("float32")
    model = Sequential([Dense(8, activation="tanh", input_shape=(6,)), Dropout(dropout), Dense(1)])
    model.compile(optim.Adam(lr=1e-2, global_clipnorm=1.0), "mse", metrics=["mae"], distribute=comm)
    backup = callbacks.BackupAndRestore(folder, save_freq=3)
    kill = _Kill(step if comm.rank == victim else -1, delay)
    history = model.fit(x, x[:, :1] ** 2, batch_size=20, epochs=_EPOCHS, verbose=0, callbacks=[kill, backup])
    return history.history, b"".join(w.tobytes() for w in model.get_weights())


def _kill_and_restart(tmp_path: Path, kills: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = ranks.run(2, __file__, "_train", str(tmp_path / "whole"), 0.2)
    others = ranks.run(2, __file__, "_train", str(tmp_path / "others"), 0.0)
    ended = 0
    for i in range(kills):
        folder, change = str(tmp_path / str(i)), i % 2 == 1
        dropout = 0.0 if change else 0.2  # its random numbers depend on the rank
        victim, step, delay = int(rng.integers(2)), int(rng.integers(3, 0.7 * _EPOCHS * _STEPS)), 0.02 * float(rng.random())
        try:
            ranks.run(2, __file__, "_train", folder, dropout, victim, step, delay)
        except ranks.RankError as error:
            assert "Traceback" not in "".join(error.outputs)
            ended += 1
        if change:
            (history, _), *_ = ranks.run(int(rng.choice([1, 3])), __file__, "_train", folder, dropout)
            for key, values in others[0][0].items():
                np.testing.assert_allclose(history[key], values, rtol=0, atol=1e-5, err_msg=key)
        else:
            assert ranks.run(2, __file__, "_train", folder, dropout) == whole
    assert ended >= 0.8 * kills


def test_restart_after_kills(tmp_path: Path) -> None:
    _kill_and_restart(tmp_path, 2, 0)


@pytest.mark.slow
def test_restart_after_25_kills(tmp_path: Path) -> None:
    _kill_and_restart(tmp_path, 25, 1)
