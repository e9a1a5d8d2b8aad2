"""The curves of a training, drawn without a display."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import plot
from fastnn.callbacks import History


def make_history() -> History:
    h = History()
    for epoch in range(3):
        h.on_epoch_end(epoch, {"loss": 1.0 - epoch / 4, "accuracy": epoch / 4, "val_loss": 1.0, "val_accuracy": 0.5})
    return h


def test_history(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    ax = plot.history(make_history(), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    legend = ax.figure.axes[1].get_legend()
    assert legend is not None and [t.get_text() for t in legend.get_texts()] == ["loss", "accuracy", "val_loss", "val_accuracy"]
    loss, val_loss = ax.get_lines()
    assert np.array_equal(loss.get_xydata(), [[1, 1.0], [2, 0.75], [3, 0.5]])
    assert loss.get_color() == val_loss.get_color() and val_loss.get_linestyle() == "--"


def test_history_on_given_axes() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = figure.subplots()
    assert plot.history({"loss": [1.0]}, ax=ax) is ax and len(figure.axes) == 1


@pytest.mark.parametrize("h", [{}, {"loss": []}, [1.0]])
def test_nothing_to_draw(h: object) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"plot\.history: there is no epoch"):
        plot.history(h)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="needs Matplotlib, the extra 'plot'"):
        plot.history(make_history())
