"""Files of Keras: models and weights."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn

h5py = pytest.importorskip("h5py", reason="h5py is not installed")
RNG = np.random.default_rng(0)


def keras() -> Any:
    return pytest.importorskip("keras", reason="Keras is not installed")


def numbers(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype("float32")


def theirs() -> Any:
    k = keras()
    L, i = k.layers, k.Input((6, 4))
    shared = L.Dense(4, name="shared")
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(shared(shared(i)))
    x = L.Dropout(0.2)(L.MultiHeadAttention(2, 3)(x, x))
    x = L.TimeDistributed(L.Dense(2))(L.BatchNormalization()(x))
    x = k.Sequential([L.Dense(3), L.Dense(2, name="last")], name="inner")(x) * 2 + 1
    x = L.RNN([L.LSTMCell(2), L.GRUCell(2)])(L.GRU(3, return_sequences=True)(x))
    return k.Model(i, L.Dense(1)(x))


def ours() -> Any:
    i = fastnn.Input((6, 4))
    shared = fastnn.Dense(4)
    x = fastnn.Bidirectional(fastnn.LSTM(3, return_sequences=True))(shared(shared(i)))
    x = fastnn.Dropout(0.2)(fastnn.MultiHeadAttention(2, 3)(x, x))
    x = fastnn.TimeDistributed(fastnn.Dense(2))(fastnn.BatchNormalization()(x))
    x = fastnn.Sequential([fastnn.Dense(3), fastnn.Dense(2)])(x) * 2 + 1
    x = fastnn.RNN([fastnn.LSTMCell(2), fastnn.GRUCell(2)])(fastnn.GRU(3, return_sequences=True)(x))
    return fastnn.Model(i, fastnn.Dense(1)(x))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_models_and_weights(tmp_path: Path, recwarn: Any) -> None:
    model, x = theirs(), numbers(3, 6, 4)
    model.compile("adam", "mse")
    for w in model.weights:
        w.assign(np.abs(numbers(*w.shape)) + 0.1 if "moving" in w.path else numbers(*w.shape))
    wanted = model.predict(x, verbose=0)
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "w.weights.h5")
    for name in ("m.keras", "m.h5"):
        np.testing.assert_allclose(fastnn.load(tmp_path / name).predict(x), wanted, rtol=1e-4, atol=1e-5)
    for name in ("m.keras", "m.h5", "w.weights.h5"):
        own = ours()
        own.load_weights(tmp_path / name)
        np.testing.assert_allclose(own.predict(x), wanted, rtol=1e-4, atol=1e-5)
    state = fastnn.load_state(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(state["layers/dense/vars/1"], model.get_layer("shared").get_weights()[1])
    with pytest.raises(ValueError, match=r"w.weights.h5: it is a Keras file with weights, but no layers; make the model"):
        fastnn.load(tmp_path / "w.weights.h5")


def dense(path: Path, kernel: Any, units: int = 2, **config: Any) -> Path:
    """Write a model of one Dense layer of 3 inputs as Keras does."""
    with h5py.File(path.with_suffix(".part"), "w") as f:
        f["layers/dense/vars/0"] = kernel
        f["layers/dense/vars/1"] = np.zeros(2, np.float32)
    layer = {"class_name": "Dense", "config": {"name": "dense", "units": units, "activation": "linear", **config}}
    given = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3], "dtype": "float32", "name": "x"}}
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [given, layer]}}
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("config.json", json.dumps(model))
        z.write(path.with_suffix(".part"), "model.weights.h5")
    return path


def test_a_file_without_keras(tmp_path: Path) -> None:
    kernel = numbers(3, 2)
    x = numbers(2, 3)
    np.testing.assert_allclose(fastnn.load(dense(tmp_path / "m.keras", kernel)).predict(x), x @ kernel, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"units": 10**9}, "the layer dense is a Dense that fastnn cannot make|a parameter of shape"),
        ({"units": 3}, r"a parameter of shape \(3, 3\), but 8 weights in all"),
        ({"units": 1}, r"the weights of the layer dense \(layers/dense\): set_weights: array 0 has shape \(3, 2\)"),
        ({"units": "x"}, "the layer dense is a Dense that fastnn cannot make"),
        ({"activation": "posix.system"}, "the layer dense is a Dense that fastnn cannot make: .*posix.system"),
        ({"activation": {"class_name": "Lambda", "config": {"name": "l"}}}, "the layer l is a Lambda, which is code"),
        ({"own": 3}, "the layer dense is a Dense with own=3, which fastnn does not have"),
        ({"kernel_regularizer": {"class_name": "__import__", "config": {}}}, "cannot make"),
    ],
)
def test_damaged_models(config: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"load: .*m\.keras: .*({words})"):
        fastnn.load(dense(tmp_path / "m.keras", numbers(3, 2), **config))


def test_damaged_files(tmp_path: Path) -> None:
    content = dense(tmp_path / "m.keras", numbers(3, 2)).read_bytes()
    for n in range(1, len(content), 97):
        (tmp_path / "m.keras").write_bytes(content[:n])
        with pytest.raises(ValueError, match=r"m\.keras: it "):
            fastnn.load(tmp_path / "m.keras")


def test_hostile_arrays(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    with h5py.File(tmp_path / "other", "w") as f:
        f["secret"] = np.zeros((3, 2))
    (tmp_path / "raw").write_bytes(bytes(48))
    makes = {
        "link": lambda f: f.__setitem__("layers/dense/vars/0", h5py.ExternalLink(str(tmp_path / "other"), "secret")),
        "soft": lambda f: f.__setitem__("layers/dense/vars/0", h5py.SoftLink("/layers")),
        "external": lambda f: f.create_dataset("a", (3, 2), "f8", external=[(str(tmp_path / "raw"), 0, 48)]),
        "large": lambda f: f.create_dataset("a", (10**6, 10**3), "f8", compression="gzip"),
        "text": lambda f: f.__setitem__("a", "text"),
    }
    for name, make in makes.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as f:
            make(f)
        with pytest.raises(ValueError, match=r"load_weights: .*\.h5: .*(a link|no array of numbers|larger than the file)"):
            model.load_weights(tmp_path / f"{name}.h5")


def test_other_layers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.weights.h5", "w") as f:
        f["layers/conv2d/vars/0"] = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"load_weights: .*the layer dense \(layers/dense\): set_weights: 0 arrays"):
        fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))]).load_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match="the model is a Linear; files of Keras fit"):
        fastnn.nn.Linear(3, 2).load_weights(tmp_path / "w.weights.h5")
