"""The command line's tools for saved models: their speed, pictures of them, their weights in other files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fastnn
from fastnn import cli


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """one.fastnn has one input, two.fastnn has two."""
    monkeypatch.chdir(tmp_path)
    one = fastnn.Sequential([fastnn.Dense(3, activation="relu", input_shape=(4,)), fastnn.Dense(2)])
    one.compile("adam", "mse")
    one.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    one.save("one.fastnn")
    a, b = fastnn.Input((4,), name="a"), fastnn.Input((2,), name="b", dtype="int64")
    joined = fastnn.Concatenate()([a, fastnn.Flatten()(fastnn.Embedding(5, 3)(b))])
    fastnn.Model([a, b], fastnn.Dense(1)(joined)).save("two.fastnn")


@pytest.mark.parametrize("name", ["one.fastnn", "two.fastnn"])
def test_bench(name: str) -> None:
    report = json.loads(run("bench", name, "--batch-size", 1, "--batch-size", 8, "--json"))
    assert [row["batch_size"] for row in report["calls"]] == [1, 8]
    assert all(row["predict_us"] > 0 and row["frozen_us"] > 0 for row in report["calls"])
    assert report["backend"] == fastnn.get_backend()
    assert "frozen, samples a second" in run("bench", name, "--batch-size", 1)


def test_bench_of_a_model_of_unknown_shape() -> None:
    fastnn.Sequential([fastnn.Input((None, 4)), fastnn.LSTM(2)]).save("open.fastnn")
    assert "the shape of the model's inputs is not known" in run("bench", "open.fastnn", code=1)


def test_plot() -> None:
    pytest.importorskip("matplotlib")
    run("plot", "one.fastnn")
    run("plot", "two.fastnn", "--what", "weights", "-o", "weights.svg")
    assert Path("one.png").read_bytes().startswith(b"\x89PNG") and "<svg" in Path("weights.svg").read_text()
    assert "wanted the name of a .png, .pdf or .svg file" in run("plot", "one.fastnn", "-o", "a.txt", code=1)
    run("plot", "one.fastnn", "--what", "all", code=2)


def test_convert_to_onnx() -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    run("convert", "one.fastnn", "one.onnx")
    session, x = runtime.InferenceSession("one.onnx"), np.ones((2, 4), np.float32)
    [y] = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(y, fastnn.load("one.fastnn").predict(x), rtol=1e-5, atol=1e-6)


def test_convert() -> None:
    assert "saved 23 numbers in 4 arrays to one.npz" in run("convert", "one.fastnn", "one.npz")
    own = fastnn.load("one.fastnn")
    with np.load("one.npz") as arrays:
        assert {name: a.tolist() for name, a in arrays.items()} == {k: v.tolist() for k, v in own.state_dict().items()}
    run("convert", "one.fastnn", "one.safetensors")
    other = fastnn.Sequential([fastnn.Dense(3, activation="relu", input_shape=(4,)), fastnn.Dense(2)])
    other.load_weights("one.safetensors")
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(other.predict(x), own.predict(x))
    run("convert", "one.fastnn", "small.fastnn")
    assert Path("small.fastnn").stat().st_size < Path("one.fastnn").stat().st_size
    np.testing.assert_array_equal(fastnn.load("small.fastnn").predict(x), own.predict(x))
    assert "wanted a file that ends with .safetensors, .npz, .onnx or .fastnn" in run("convert", "one.fastnn", "one.pt", code=1)
    assert "--keep-optimizer goes with .fastnn" in run("convert", "one.fastnn", "a.npz", "--keep-optimizer", code=1)
    assert "is the same file as one.fastnn" in run("convert", "one.fastnn", "one.fastnn", code=1)
