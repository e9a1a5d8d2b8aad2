"""What fit, evaluate and predict show on a terminal, in a notebook, and in a file."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks
from fastnn.training.callbacks import progress as progress_py
from fastnn.training.callbacks.notebook import ROWS, Table, in_notebook
from fastnn.training.callbacks.progress import Progress, shown, watched

X = np.random.default_rng(0).random((40, 4), np.float32)


@pytest.fixture
def model() -> Any:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(4,))])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def show(progress: Progress) -> None:
    for epoch in range(2):
        progress.epoch_begin(epoch)
        progress.update(5, {"loss": 0.5})
        progress.epoch_end(epoch, {"loss": 0.25, "lr": 1e-5}, 0.04)
    progress.close()


LINES = "Epoch 1/2  0.04 s  loss 0.2500  lr 1e-05\nEpoch 2/2  0.04 s  loss 0.2500  lr 1e-05\n"


def test_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose in (0, False):
        show(Progress(verbose, 2, 5))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [2, "auto"])
def test_lines_in_a_file(verbose: int | str, capsys: pytest.CaptureFixture[str]) -> None:
    show(Progress(verbose, 2, 5))
    assert capsys.readouterr() == (LINES, "")


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    show(Progress("auto", 2, 5))
    out, err = capsys.readouterr()
    assert out == "" and "Epoch 2/2  0.04 s  loss 0.2500" in err and "0/10" in err


def test_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert shown("auto", "fit") == 2


def test_the_bar_as_a_callback(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model.fit(X, X[:, 0], epochs=2, verbose=0, callbacks=callbacks.ProgressBar())
    out, err = capsys.readouterr()
    assert out == "" and "Epoch 2/2" in err and callbacks.ProgbarLogger is callbacks.ProgressBar


def test_bad_verbose(model: Any) -> None:
    for op in ("fit", "evaluate"):
        with pytest.raises(ValueError, match=f"{op}: verbose is 3; wanted 'auto', 0, 1 or 2"):
            getattr(model, op)(X, X[:, :1], verbose=3)


def test_evaluate_prints_a_line(model: Any, capsys: pytest.CaptureFixture[str]) -> None:
    loss, mae = model.evaluate(X, X[:, :1])
    assert capsys.readouterr().out == f"loss {loss:.4f}  mae {mae:.4f}\n"
    model.evaluate(X, X[:, :1], verbose=0)
    model.predict(X)
    assert capsys.readouterr() == ("", "")


def test_long_work_shows_a_bar(model: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(watched(range(3), 1, "predict")) == [0, 1, 2]
    assert capsys.readouterr().err == "", "the work was over before the delay"
    monkeypatch.setattr(progress_py, "DELAY", 0.0)
    model.predict(X, batch_size=10, verbose=1)
    assert "predict: " in capsys.readouterr().err
    model.evaluate(X, X[:, :1], batch_size=10, verbose=1)
    assert "evaluate: " in capsys.readouterr().err


class Notebook:
    """What IPython has in the kernel of a notebook, as far as fastnn needs it: the versions of each display, in order."""

    def __init__(self) -> None:
        self.displays: list[list[dict[str, str]]] = []

    def display(self, data: dict[str, str], raw: bool, display_id: bool) -> Any:
        assert raw and display_id
        versions = [data]
        self.displays.append(versions)
        return types.SimpleNamespace(update=lambda data, raw: versions.append(data))


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    notebook = Notebook()
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.ModuleType("IPython")
    vars(ipython).update(get_ipython=lambda: shell)
    display = types.ModuleType("IPython.display")
    vars(display).update(display=notebook.display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    yield notebook


def test_only_a_kernel_is_a_notebook(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_notebook() and shown("auto", "fit") == 1
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace())
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook() and "IPython" not in sys.modules


def test_a_table_in_a_notebook(model: Any, notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    model.fit(X, X[:, :1], epochs=ROWS + 3, validation_split=0.2)
    [versions] = notebook.displays
    last = versions[-1]
    assert "<progress" in versions[0]["text/html"] and "<progress" not in last["text/html"]
    assert last["text/html"].count("<tr>") == 1 + ROWS and "3 earlier epochs are not shown" in last["text/html"]
    assert all(f">{name}</th>" in last["text/html"] for name in ("epoch", "time", "loss", "mae", "val_loss", "val_mae"))
    assert re.fullmatch(r"Epoch 13/13  .* s  loss .*  mae .*  val_loss .*  val_mae .*", last["text/plain"])
    assert capsys.readouterr() == ("", "")


def test_a_table_is_not_updated_for_each_batch(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastnn.training.callbacks.notebook.PAUSE", 3600.0)
    table = Table(2)
    for i in range(100):
        table.batches(0, i, 100, {"loss": 1.0})
    table.epoch(0, 100, {"loss": float("nan"), "<b>": 2.0}, 0.1)
    table.close()
    [versions] = notebook.displays
    assert len(versions) == 2 and "&lt;b&gt;" in versions[1]["text/html"]
