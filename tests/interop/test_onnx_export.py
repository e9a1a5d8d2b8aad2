"""Exported models have the same outputs in ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

pytest.importorskip("onnx", reason="onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
rng = np.random.default_rng(0)

DENSE = ["relu", "sigmoid", "tanh", "softplus", "softsign", "selu", "mish", "gelu", "silu", "elu", "leaky_relu", "log_softmax"]
MODELS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "dense": (
        (4,),
        lambda: [
            *(fastnn.Dense(5, name) for name in DENSE),
            *(fastnn.BatchNormalization(), fastnn.LayerNormalization(), fastnn.Dropout(0.5), fastnn.ReLU()),
            *(fastnn.Dense(3, use_bias=False), nn.Softmax()),
        ],
    ),
    "linear": ((4,), lambda: [nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ELU(0.5), nn.LayerNorm(5), nn.LeakyReLU(0.3)]),
    "images, channels first": (
        (2, 9, 9),
        lambda: [
            *(nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2, 1, padding=1)),
            *(nn.Conv2d(4, 3, 2, dilation=2, bias=False), nn.AvgPool2d(2, padding=1), nn.Flatten(), nn.Linear(27, 2)),
        ],
    ),
    "images, channels last": (
        (9, 9, 2),
        lambda: [
            *(fastnn.Conv2D(4, 3, padding="same", activation="relu"), fastnn.BatchNormalization(), fastnn.MaxPooling2D(2)),
            *(fastnn.Conv2D(3, 2, strides=2), fastnn.AveragePooling2D(2, 1, "same"), fastnn.GlobalAveragePooling2D()),
            *(fastnn.Dense(4), fastnn.Reshape((2, 2)), fastnn.Conv1D(3, 2), fastnn.GlobalMaxPooling1D()),
        ],
    ),
}


def outputs(path: Path, *inputs: Any) -> list[Any]:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, {given.name: x for given, x in zip(session.get_inputs(), inputs, strict=True)})
    return found


@pytest.mark.parametrize("name", MODELS)
def test_sequential(name: str, tmp_path: Path) -> None:
    shape, layers = MODELS[name]
    model = fastnn.Sequential([fastnn.Input(shape), *layers()]).eval()
    x = rng.standard_normal((3, *shape)).astype("float32")
    model.train()
    model(x)  # statistics of batch normalization other than those at the start
    model.eval()
    model.export(tmp_path / "m.onnx")
    for n in (3, 1):
        np.testing.assert_allclose(outputs(tmp_path / "m.onnx", x[:n])[0], model.predict(x[:n]), rtol=1e-4, atol=1e-5)


def test_graphs(tmp_path: Path) -> None:
    a, ids = fastnn.Input((3,), name="a"), fastnn.Input((4,), dtype="int64", name="ids")
    x = fastnn.Dense(2)(fastnn.Flatten()(fastnn.Embedding(7, 2)(ids)))
    shared = fastnn.Dense(2, "tanh")
    y = shared(fastnn.Sequential([fastnn.Dense(3, "relu")])(a)) * 2 + x
    z = fastnn.Concatenate()([fastnn.Add()([1 - y, y / 3]), fastnn.Multiply()([shared(a), y])])
    model = fastnn.Model([a, ids], [z, y])
    model.export(tmp_path / "m.onnx")
    data = [rng.standard_normal((5, 3)).astype("float32"), rng.integers(0, 7, (5, 4))]
    for found, wanted in zip(outputs(tmp_path / "m.onnx", *data), model.predict(data), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_errors(tmp_path: Path) -> None:
    dense = fastnn.Dense(2, input_shape=(3,))
    for layers, words in (
        ([dense, fastnn.Reshape((2, 1)), fastnn.LSTM(2)], "layer 2 is a LSTM, which is not exported"),
        ([dense, nn.Sparsemax()], "layer 1 is a Sparsemax, which is not exported"),
        ([fastnn.models.TabM(3, 2, k=2, width=4)], "layer 0 is a TabM, which is not exported"),
        ([fastnn.PiecewiseLinearEmbedding(bins=2, activation="relu", input_shape=(3,))], "layer 0 is a PiecewiseLinearEmbedding"),
        ([fastnn.Dense(2, fastnn.sine, input_shape=(3,))], "layer 0 has the activation"),
        ([nn.Conv2d(1, 2, 3)], "the shape of the input is unknown; give input_shape"),
        ([fastnn.Dense(2)], "the model has no weights yet"),
    ):
        with pytest.raises(ValueError, match=f"export: .*{words}"):
            fastnn.Sequential(layers).export(tmp_path / "m.onnx")
        assert not (tmp_path / "m.onnx").exists()
    with pytest.raises(ValueError, match=r"wanted a name that ends in \.onnx"):
        fastnn.Sequential([dense]).export(tmp_path / "m")
