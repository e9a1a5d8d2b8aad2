"""What notebooks show of models, histories and other objects; and fit in the kernel of a notebook, if Jupyter is installed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import nn

X = np.random.default_rng(0).random((40, 4), np.float32)


def model_of(layers: list[Any]) -> Any:
    model = fastnn.Sequential(layers)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def texts(html: str) -> list[str]:
    """The texts of the cells, of HTML that is well-formed."""
    tree = ET.fromstring(f"<div>{html}</div>")
    return ["".join(cell.itertext()) for cell in tree.iter() if cell.tag in ("td", "th", "div", "pre")]


def test_models() -> None:
    model = model_of([fastnn.Dense(3, input_shape=(4,)), fastnn.Dense(1)])
    cells = texts(model._repr_html_())
    assert {"Layer", "Output shape", "Parameters", "(None, 3)", "15", "19 parameters, 76 B"} <= set(cells)
    a = fastnn.Input((4,), name="<a>")
    cells = texts(fastnn.Model(a, fastnn.Dense(1)(a))._repr_html_())
    assert "Called on" in cells and "<a> (Input)" in cells
    assert "not built yet" in texts(fastnn.Sequential([fastnn.Dense(2)])._repr_html_())
    assert "linear (Linear)" in texts(nn.Sequential(nn.Linear(4, 2))._repr_html_())


def test_histories() -> None:
    model = model_of([fastnn.Dense(1, input_shape=(4,))])
    history = model.fit(X, X[:, :1], epochs=3, verbose=0, validation_data=(X, X[:, :1]), validation_freq=2)
    cells = texts(history._repr_html_())
    assert {"epoch", "loss", "mae", "val_loss"} <= set(cells) and cells.count("") >= 2
    history = model.fit(X, X[:, :1], epochs=30, verbose=0)
    assert "20 earlier epochs are not shown" in texts(history._repr_html_())
    assert texts(type(history)()._repr_html_())[1:] == ["epoch"]


def test_info() -> None:
    info = fastnn.info()
    assert repr(info) == str(info)
    assert [str(info)] == texts(info._repr_html_())[1:]


def test_profiles() -> None:
    model = model_of([fastnn.Dense(1, input_shape=(4,))])
    profile = model.profile(X, X[:, :1], print_fn=None)
    cells = texts(profile._repr_html_())
    assert "kernel" in cells and {row.name for row in profile.rows} <= set(cells)


def test_figures() -> None:
    pytest.importorskip("matplotlib")
    assert fastnn.plot.history({"loss": [0.5, 0.25]})._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


PROGRAM = """
import numpy as np, fastnn
x = np.random.default_rng(0).random((64, 4))
model = fastnn.Sequential([fastnn.Dense(1, input_shape=(4,))])
model.compile("adam", "mse")
history = model.fit(x, x[:, :1], epochs=12)
"""


def test_a_notebook_in_a_kernel() -> None:
    """fit has one display, which ends as a table; a model and a figure are the results of their cells."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    cells = ["%matplotlib inline" + PROGRAM, "model", "history", "fastnn.plot.history(history)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    fitted, model, history, figure = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in fitted] == ["display_data"]
    assert "2 earlier epochs are not shown" in fitted[0].data["text/html"] and "<progress" not in fitted[0].data["text/html"]
    assert "Parameters" in model[0].data["text/html"] and "epoch" in history[0].data["text/html"]
    assert [set(output.data) for output in figure] == [{"image/png", "text/plain"}], "one picture, shown once"
