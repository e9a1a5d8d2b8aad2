"""Saving and loading: what comes back, and that no file is ever half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import (
    a_graph,
    every_layer,
    every_layer_of_images,
    every_layer_of_sequences,
    every_model,
    every_table_model,
    more_layers_of_images,
    write,
)

import fastnn
import fastnn.nn as nn
from fastnn.core.registered import LAYERS
from fastnn.files import layers

X = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)


def test_every_layer_comes_back(tmp_path: Path) -> None:
    model = every_layer()
    model.save(tmp_path / "m.fastnn")
    twin = fastnn.load(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(twin.predict(X.reshape(10, 2, 2)), model.predict(X.reshape(10, 2, 2)))
    assert json.dumps(layers.layer_config(twin)) == json.dumps(layers.layer_config(model))
    assert repr(twin) == repr(model)


def test_float64_and_what_compile_was_told_come_back(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(3, activation="softmax", input_shape=(4,))], dtype="float64")
    model.compile(fastnn.optim.AdamW(lr=0.02, clipnorm=1.0), fastnn.losses.SparseCategoricalCrossentropy(), ["accuracy"])
    model.fit(X, np.arange(10) % 3, verbose=0)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin.dtype == np.float64 and twin.optimizer.get_config() == model.optimizer.get_config()
    assert twin.evaluate(X, np.arange(10) % 3) == model.evaluate(X, np.arange(10) % 3)


def test_names_and_dtypes_come_back(tmp_path: Path) -> None:
    inner = fastnn.Sequential([nn.Linear(5, 5), fastnn.Residual(fastnn.Dense(5), name="skip")], name="block")
    model = fastnn.Sequential([fastnn.Dense(5, input_shape=(4,), name="hidden"), fastnn.Dropout(0.5), inner], dtype="float64")
    model[1].name, inner[0].name = "drop", "linear of mine"
    model(X)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    found = [getattr(m, "name", None) for m in twin.modules()]
    assert found == [getattr(m, "name", None) for m in model.modules()]
    assert {"hidden", "drop", "block", "linear of mine", "skip"} < {*found}
    twin.add(fastnn.Dense(2))
    twin(X)
    assert {p.dtype for p in twin.parameters()} == {np.dtype(np.float64)}


def test_names_in_graphs_come_back(tmp_path: Path) -> None:
    x = fastnn.Input((4,))
    a, b = fastnn.Dense(4, name="same"), fastnn.Dense(4, name="same")
    model = fastnn.Model(x, b(a(x) + a(2 * x)))
    a.name = "renamed"
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert [m.name for m in twin.layers] == [m.name for m in model.layers]
    assert list(twin.state_dict()) == list(model.state_dict())


def test_a_dtype_that_weights_cannot_have_is_refused() -> None:
    config = {"class_name": "Sequential", "config": {"layers": [], "dtype": "int64"}}
    with pytest.raises(ValueError, match="dtype is 'int64', wanted float32 or float64"):
        layers.layer_from_config(config)


def test_weights_alone(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.a(x)

    a, b = Net(), Net()
    with pytest.raises(TypeError, match="save_weights"):
        a.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())
    a.save_weights(tmp_path / "w.safetensors")
    b.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(a(X).numpy(), b(X).numpy())
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.numpy import load_file

    other = torch.nn.ModuleDict({"a": torch.nn.Linear(4, 2)})
    other.load_state_dict({k: torch.tensor(v) for k, v in load_file(tmp_path / "w.safetensors").items()})
    np.testing.assert_allclose(other["a"](torch.tensor(X)).detach().numpy(), a(X).numpy(), rtol=1e-5, atol=1e-6)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = every_layer()
    model.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        every_layer().save(tmp_path / "nowhere" / "m")


def test_a_killed_process_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "m.fastnn"
    code = (
        "import fastnn, sys\n"
        "m = fastnn.Sequential([fastnn.Dense(400, input_shape=(400,))])\n"
        "m.save(sys.argv[1]); print('go', flush=True)\n"
        "while True: m.save(sys.argv[1])"
    )
    for i in range(4):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"go\n"
        time.sleep(0.02 + 0.013 * i)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert fastnn.load(path).predict(np.zeros((1, 400))).shape == (1, 400)


def test_the_file_is_safetensors_without_pickle(tmp_path: Path) -> None:
    from safetensors import safe_open

    model = every_layer()
    model.save(tmp_path / "m")
    with safe_open(str(tmp_path / "m"), "np") as f:
        assert set(f.keys()) == set(model.state_dict())
        assert f.metadata()["format"] == "fastnn"


def test_numbers_of_numpy_in_settings(tmp_path: Path) -> None:
    fastnn.Sequential([fastnn.Dropout(np.float32(0.5)), fastnn.Dense(np.int64(3), input_shape=(4,))]).save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m").predict(X).shape == (10, 3)


def test_a_graph_of_every_layer_comes_back(tmp_path: Path) -> None:
    model = a_graph()
    models = (model, every_layer(), every_layer_of_images(), more_layers_of_images(), every_layer_of_sequences())
    roots = (*models, *every_model(), *every_table_model())
    kinds = {layers.name_of(type(m)) for root in roots for m in root.modules()} - {None}  # own parts
    kinds |= {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"}  # PyTorch's return states with another axis first
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")  # imports all layers
    assert kinds | {"ModuleList", "ModuleDict", "ParameterList", "ParameterDict"} == {
        name for name in LAYERS if not name.startswith("nn.")
    }
    for a, b in zip(twin.predict([X, 2 * X]), model.predict([X, 2 * X]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert json.dumps(layers.layer_config(twin)) == json.dumps(layers.layer_config(model))
    assert list(twin.state_dict()) == list(model.state_dict()) and len(twin.get_weights()) == 2


@pytest.mark.parametrize("make", [every_layer_of_images, more_layers_of_images, every_layer_of_sequences])
def test_a_graph_of_many_inputs_comes_back(make: Any, tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    rng = np.random.default_rng(0)
    whole = {True: lambda size: rng.integers(0, 5, size), False: lambda size: rng.standard_normal(size).astype(np.float32)}
    x = [whole[np.dtype(i.dtype).kind == "i"]((3, *i.shape[1:])) for i in model.inputs]
    for a, b in zip(twin.predict(x), model.predict(x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert json.dumps(layers.layer_config(twin)) == json.dumps(layers.layer_config(model))


def test_models_of_sequences_come_back(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 4, (3, 5))
    for model in every_model():
        x = [ids, ids[:, :4]] if isinstance(model, fastnn.models.EncoderDecoder) else ids
        model.save(tmp_path / "m")
        twin = fastnn.load(tmp_path / "m")
        np.testing.assert_array_equal(twin.predict(x), model.predict(x))
        assert repr(twin) == repr(model) and twin.get_config() == model.get_config()
        block = model.blocks[0].eval()
        block.save(tmp_path / "block")
        if block.cross_attention is None:
            h = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
            np.testing.assert_array_equal(fastnn.load(tmp_path / "block").eval()(h).numpy(), block(h).numpy())


def test_losses_and_metrics_by_output_come_back(tmp_path: Path) -> None:
    a = fastnn.Input((4,))
    model = fastnn.Model(a, [fastnn.Dense(1, name="p")(a), fastnn.Dense(3, activation="softmax", name="q")(a)])
    losses = {"p": "mse", "q": fastnn.losses.SparseCategoricalCrossentropy(ignore_class=1)}
    y = {"p": np.ones((10, 1)), "q": np.arange(10) % 3}
    for loss, metrics in ((losses, {"q": ["accuracy"]}), (list(losses.values()), [["mae"], []]), (["mse", None], None)):
        model.compile("sgd", loss, metrics, loss_weights=[1.0, 0.5])
        model.save(tmp_path / "m")
        twin = fastnn.load(tmp_path / "m")
        assert twin.evaluate(X, y, return_dict=True) == model.evaluate(X, y, return_dict=True)


def test_numbers_of_numpy_stay_whole_in_files(tmp_path: Path) -> None:
    seed = np.int64(2**62 + 1)
    fastnn.Sequential([nn.Softmax(np.int64(-1)), fastnn.Dropout(0.5, seed=seed)]).save(tmp_path / "m")
    softmax, dropout = fastnn.load(tmp_path / "m").layers
    assert softmax.axis == -1 and dropout.seed == seed


@pytest.mark.parametrize(
    ("optimizer", "loss", "metrics", "message"),
    [
        ("sgd", lambda y_true, y_pred: abs(y_true - y_pred), None, "the loss <lambda>"),
        ("sgd", "mse", [lambda y_true, y_pred: abs(y_true - y_pred)], "the metric <function"),
        (fastnn.optim.SGD(lr=lambda step: 0.1), "mse", None, "schedule"),
    ],
)
def test_training_settings_that_are_left_out_are_told_of(
    optimizer: Any, loss: Any, metrics: Any, message: str, tmp_path: Path
) -> None:
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    model.compile(optimizer, loss, metrics)
    with pytest.warns(UserWarning, match=f"save: the file has no training settings: .*{message}"):
        model.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m")._compiled is None


# What version 0.1 wrote: after two epochs of fit, with the outputs that it had then.
OF_0_1 = {
    "sequential": [
        [0.4734432101249695, 0.2483011931180954, 0.27825555205345154],
        [0.37676697969436646, 0.31118497252464294, 0.3120480179786682],
        [0.322299063205719, 0.3183395266532898, 0.3593614399433136],
        [0.30024462938308716, 0.27726542949676514, 0.4224899411201477],
    ],
    "graph": [[0.974349319934845], [0.29275527596473694], [-0.59353107213974], [-1.745310664176941]],
}


def test_ties_of_version_1(tmp_path: Path) -> None:
    """A tie of version 1 says whether it is transposed."""
    model = fastnn.Sequential([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)])
    model[2].weight = model[0].weight
    config, values = layers.layer_config(model), model.state_dict()
    for ties, twice in (({"2.weight": ["0.weight", True]}, True), ({"2.weight": ["0.weight", False]}, False)):
        write(tmp_path / "m", values, {"version": 1, "model": config, "ties": ties})
        twin = fastnn.load(tmp_path / "m")
        same = np.array_equal(twin.predict(X), model.predict(X))
        assert same == twice and len(list(twin.parameters())) == 3


@pytest.mark.parametrize(("version", "words"), [(3, "3 of a newer fastnn"), (0, "0;"), ("2", "2;"), (None, "")])
def test_other_versions_are_refused(version: Any, words: str, tmp_path: Path) -> None:
    write(tmp_path / "m", {}, {"version": version, "model": {}})
    with pytest.raises(ValueError, match=f"load: .*m: it has format version {words}"):
        fastnn.load(tmp_path / "m")


@pytest.mark.parametrize("name", OF_0_1)
def test_files_of_version_0_1(name: str, tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    model = fastnn.load(Path(__file__).parents[1] / "files_of_0.1" / f"{name}.fastnn")
    np.testing.assert_allclose(model.predict(x), OF_0_1[name], rtol=1e-5, atol=1e-6)
    rate = model.optimizer.get_config()["lr"]
    assert rate == (0.01 if name == "graph" else fastnn.schedules.ExponentialDecay(0.01, 5, 0.9))
    y = x[:, :1] if name == "graph" else np.array([0, 1, 2, 1])
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "new.fastnn")
    np.testing.assert_array_equal(fastnn.load(tmp_path / "new.fastnn").predict(x), model.predict(x))
