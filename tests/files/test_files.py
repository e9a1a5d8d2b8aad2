"""Reading files: what is refused, and in which words; what other libraries' are called; time and memory."""

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupt import Interrupt

import fastnn
import fastnn.nn as nn
from fastnn.files import layers, tensors

RNG = np.random.default_rng(0)


def small() -> fastnn.Sequential:
    return fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])


def archive(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as z:
        for name in names:
            z.writestr(name, b"\x80\x02.")


def test_files_of_others_are_named(tmp_path: Path) -> None:
    def write(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)

    archive(tmp_path / "torch", "archive/data.pkl", "archive/version")
    np.savez(tmp_path / "arrays", a=np.zeros(2))
    np.save(tmp_path / "array", np.zeros(2))
    write("pickle", pickle.dumps({"a": 1}))
    write("x.joblib", pickle.dumps({"a": 1}))
    write("old.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
    write("broken.pt", b"PK\x03\x04" + bytes(100))
    write("onnx", b"\x08\x0a\x12\x07pytorch" + bytes(100))
    write("gguf", b"GGUF\x03\0\0\0" + bytes(100))
    write("tflite", b"\x1c\0\0\0TFL3" + bytes(100))
    write("lfs.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    known = {
        "torch": "PyTorch",
        "broken.pt": "PyTorch",
        "old.pth": "PyTorch",
        "onnx": "ONNX",
        "gguf": "GGUF",
        "pickle": "pickle",
        "x.joblib": "joblib",
        "arrays.npz": "NumPy",
        "array.npy": "NumPy",
        "tflite": "TensorFlow",
        "lfs.safetensors": "Git LFS",
    }
    hints = {
        "pickle": "never unpickles",
        "Git LFS": "git lfs pull",
    }
    for name, library in known.items():
        if library == "PyTorch":  # these are read
            continue
        for read in (fastnn.load, small().load_weights):
            with pytest.raises(ValueError, match=f"it is a {library} file; .*{hints.get(library, '')}"):
                read(tmp_path / name)


def test_files_of_pytorch_are_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(2)}, tmp_path / "zip")
    torch.save({"a": torch.zeros(2)}, tmp_path / "old", _use_new_zipfile_serialization=False)
    for name in ("zip", "old"):
        assert fastnn.load(tmp_path / name)["a"].tolist() == [0.0, 0.0]


def test_what_cannot_be_read_is_said_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for path, error, words in (
        ("pipe", OSError, "is a pipe"),
        (".", IsADirectoryError, "is a folder"),
        ("none", FileNotFoundError, "there is no file"),
        ("empty", ValueError, "it is empty"),
    ):
        with pytest.raises(error, match=words):
            fastnn.load(tmp_path / path)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    small().save(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    for i in range(0, len(content), 7):
        (tmp_path / "m").write_bytes(content[:i] + bytes([content[i] ^ 4]) + content[i + 1 :])
        with pytest.raises(ValueError, match="load: "):
            fastnn.load(tmp_path / "m")


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fastnn.Sequential([fastnn.Dense(10_000, input_shape=(3,))]).save(tmp_path / "m")  # larger than a buffer of Python
    read = tensors.read

    def shorten(*args: Any) -> Any:
        os.truncate(tmp_path / "m", 400)
        return read(*args)

    monkeypatch.setattr(tensors, "read", shorten)
    with pytest.raises(ValueError, match="it was shortened while it was read"):
        fastnn.load(tmp_path / "m")


def test_the_library_safetensors_reads_and_writes_the_same(tmp_path: Path) -> None:
    import safetensors.numpy as library

    values = {"a": RNG.standard_normal((3, 2)), "b": np.arange(3), "c": np.array(True), "d": np.zeros((0, 4), np.float32)}
    values |= {"e": np.arange(5, dtype=np.uint8), "f": np.arange(2, dtype=np.float16), "g": np.float32([1]).reshape(())}
    tensors.save(tmp_path / "ours", values, {"k": "v"}, "save")
    library.save_file(values, tmp_path / "theirs", {"k": "v"})
    for found in (library.load_file(tmp_path / "ours"), tensors.load(tmp_path / "theirs", "load")[0]):
        assert found.keys() == values.keys()
        for name, a in values.items():
            np.testing.assert_array_equal(found[name], a, strict=True)
    assert tensors.load(tmp_path / "theirs", "load")[1] == {"k": "v"}


DAMAGED = r"it is truncated or no safetensors file \("


def header(path: Path, change: Any, values: bytes = bytes(8)) -> None:
    entries = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = change if isinstance(change, str) else json.dumps(change(entries) or entries)
    path.write_bytes(struct.pack("<Q", len(text)) + text.encode() + values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e["a"].update(dtype="F8_E4M3", shape=[8]), "dtype F8_E4M3; fastnn reads F64"),
        *((lambda e, s=shape: e["a"].update(shape=s), DAMAGED) for shape in ([3], [-2], [True, 2], [1 << 61, 1 << 61], [2.0], 2)),
        (lambda e: e["a"].update(shape=[2] + [1] * 40), "has 41 dimensions"),
        (
            lambda e: e.update(b={"dtype": "F32", "shape": [1 << 62, 0], "data_offsets": [8, 8]}),
            r"'b' has the shape \[46\d+, 0\]",
        ),
        *((lambda e, o=offsets: e["a"].update(data_offsets=o), DAMAGED) for offsets in ([8, 0], [8, 16], [0], [0, 1 << 65])),
        (lambda e: e["a"].update(other=1), "'a' has the keys data_offsets, dtype, other, shape"),
        (lambda e: e.update(b=e["a"]), DAMAGED),
        (lambda e: e.update(b={"dtype": "F32", "shape": [1 << 40], "data_offsets": [8, 8 + (1 << 42)]}), DAMAGED),
        (lambda e: e.update(__metadata__={"a": 1}), "metadata is no dict of texts"),
        (lambda e: e.clear(), DAMAGED),
        ('{"a": {"dtype": "F32", "dtype": "F32"}}', "a has the key 'dtype' twice"),
        ('{"a": ' + "[" * 100_000, "no JSON"),
    ],
)
def test_damaged_headers(change: Any, words: str, tmp_path: Path) -> None:
    header(tmp_path / "m", change)
    with pytest.raises(ValueError, match=words):
        small().load_weights(tmp_path / "m")


def saved(path: Path, change: Any, values: Any = None) -> None:
    """A saved model whose architecture was changed."""
    model = fastnn.Sequential([fastnn.Dense(1, use_bias=False, input_shape=(2,)), fastnn.Dropout(0.5)])
    model.compile("adam", "mse", ["mae"], loss_weights=[0.5])
    model.save(path)
    arrays, metadata = tensors.load(path, "load")
    config = json.loads(metadata["architecture"])
    change(config)
    tensors.save(path, arrays | (values or {}), {"format": "fastnn", "architecture": json.dumps(config)}, "save")


def dense(config: Any) -> Any:
    return config["model"]["config"]["layers"][0]["config"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: dense(c).update(use_bias=0), r"model\.layers\[0\]: Dense: use_bias is 0, which is taken for False"),
        (lambda c: dense(c).update(use_bias="false"), r"model\.layers\[0\]: Dense: "),
        (lambda c: dense(c).update(units=True), "units"),
        (lambda c: dense(c).update(units=1.0), "units"),
        (lambda c: dense(c).update(use_bais=True), "use_bais"),
        (lambda c: c["model"]["config"].update(lyers=[]), r"model: Sequential: .*unknown key 'lyers'"),
        (lambda c: c["model"].update(extra=1), "a layer has the unknown key 'extra'"),
        (lambda c: c["model"].update(name=1), "name is 1, wanted a str"),
        (lambda c: c.update(version=True), "format version True"),
        (lambda c: c.update(version=3), "format version 3"),
        (lambda c: c.update(extra=1), "unknown key 'extra'"),
        (lambda c: c.update(compile="adam"), "compile is 'adam', wanted a dict"),
        (lambda c: c["compile"].update(losss="mse"), "unknown key 'losss'"),
        (lambda c: c["compile"].pop("loss"), "lacks the key 'loss'"),
        (lambda c: c["compile"].update(capture=1), "capture is 1, wanted a bool"),
        (lambda c: c["compile"].update(loss_weights=["a"]), "loss_weights has 'a'"),
        (lambda c: c["compile"]["optimizer"]["config"].update(lr=True), "which is taken for"),
        (lambda c: c["compile"]["optimizer"]["config"].update(larning_rate=1), "larning_rate"),
        (lambda c: c.update(frozen=["none"]), "do not fit: there is no 'none'"),
        (lambda c: c["compile"]["optimizer"].update(class_name="Adan"), "training settings: there is no 'Adan'"),
        (lambda c: c["compile"].update(parameters=["1.kernel"]), "training settings: there is no '1.kernel'"),
        (lambda c: c["compile"].update(parameters=[{"params": ["0.kernel"]}]), "compile.parameters lacks the key 'settings'"),
        (lambda c: c["compile"].update(parameters=[{"params": ["0.kernel"], "settings": {"use_bias": {}}}]), "schedule"),
        (
            lambda c: c["compile"].update(parameters=[{"params": ["0.kernel"], "settings": {"eps": True}}]),
            "eps|which are taken for",
        ),
        (lambda c: c.update(random={"1": [1, -1]}), "wanted two whole numbers"),
        (lambda c: c.update(random={"0": [1, 1]}), "there is no random layer 0"),
        (lambda c: c.update(class_names="cat"), "class_names is 'cat', wanted a list"),
        (lambda c: c.update(class_names=["cat", 1]), "damaged: Sequential: class_names is .*wanted a list of strings"),
        (lambda c: c.update(class_names=["cat", "cat"]), "class_names has 'cat' twice"),
        (lambda c: c.update(class_names=["c\x1b[2J"]), "wanted a name of at most 1000 letters"),
        (lambda c: c.update(class_names=["c" * 1001]), "wanted a name of at most 1000 letters"),
        (lambda c: c.update(trained_on=["mnist"]), "trained_on is .*wanted a str"),
        (lambda c: c.update(trained_on=""), "trained_on has ''"),
        (lambda c: c.update(tokenizer="char"), "tokenizer is 'char', wanted a dict"),
        (lambda c: c.update(tokenizer={"kind": "chars"}), "damaged: tokenizer: the kind is 'chars'"),
        (lambda c: c.update(tokenizer={"kind": "char", "characters": [1]}), "characters are .*wanted a list of strings"),
    ],
)
def test_what_a_file_says_is_what_the_model_is(change: Any, words: str, tmp_path: Path) -> None:
    saved(tmp_path / "m", change)
    with pytest.raises(ValueError, match=words):
        fastnn.load(tmp_path / "m")


@pytest.mark.parametrize("value", [np.array([[1e300], [1]]), np.array([[2**53 + 1], [0]]), np.ones((2, 1), np.float64)])
def test_values_that_do_not_fit_the_weights(value: Any, tmp_path: Path) -> None:
    saved(tmp_path / "m", lambda c: None, {"0.kernel": value})
    with pytest.raises(ValueError, match=r"0\.kernel is .* in the file, which does not fit float32"):
        fastnn.load(tmp_path / "m")
    if value.max() > 1:
        with pytest.raises(ValueError, match="which float32 cannot hold"):
            fastnn.Sequential([fastnn.Dense(1, use_bias=False, input_shape=(2,))]).load_weights(tmp_path / "m")


def test_half_precision_is_widened(tmp_path: Path) -> None:
    saved(tmp_path / "m", lambda c: None, {"0.kernel": np.float16([[0.5], [3]])})
    assert fastnn.load(tmp_path / "m").get_weights()[0].tolist() == [[0.5], [3]]
    header(tmp_path / "w", lambda e: e["a"].update(dtype="BF16", shape=[4]), np.uint16([0x3F80, 0xC000, 0x7F80, 0]).tobytes())
    assert tensors.load(tmp_path / "w", "load")[0]["a"].tolist() == [1, -2, np.inf, 0]


def test_an_unknown_tensor_of_the_optimizer(tmp_path: Path) -> None:
    saved(tmp_path / "m", lambda c: None, {".optimizer.x": np.zeros(2)})
    with pytest.raises(ValueError, match="no parameter and no optimizer has"):
        fastnn.load(tmp_path / "m")


def counted(run: Any) -> int:
    """Return how many functions of fastnn's are called."""
    counter = Interrupt()
    counter.run(run)
    return counter.count


@pytest.mark.parametrize("kind", ["layers", "unbuilt", "graph", "shared"])
def test_work_grows_with_the_file(kind: str, tmp_path: Path) -> None:
    def write(n: int) -> Path:
        relu = {"class_name": "ReLU", "config": {}}
        if kind == "unbuilt":
            model: Any = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"units": 1}}] * n}}
        elif kind == "shared":
            again = {"class_name": "Shared", "config": {"number": 0}}
            model = {"class_name": "Sequential", "config": {"layers": [relu, *[again] * n]}}
        elif kind == "graph":
            x = fastnn.Input((2,))
            model = layers.layer_config(fastnn.Model(x, fastnn.Add()([nn.ReLU()(x) for _ in range(n)])))
        else:
            model = {"class_name": "Sequential", "config": {"layers": [relu] * n}}
        text = json.dumps({"version": 1, "model": model})
        tensors.save(tmp_path / f"{n}", {}, {"format": "fastnn", "architecture": text}, "save")
        return tmp_path / f"{n}"

    def load(path: Path) -> None:
        try:
            fastnn.load(path)
        except ValueError:
            assert kind == "unbuilt"

    one, ten = (counted(lambda n=n: load(write(n))) for n in (40, 400))
    assert ten < 13 * one


def test_graphs_do_not_ask_for_more_memory_than_their_file(tmp_path: Path) -> None:
    x = fastnn.Input((4,))
    fastnn.Model(x, fastnn.Concatenate()([x] * 500)).save(tmp_path / "m")
    arrays, metadata = tensors.load(tmp_path / "m", "load")
    text = metadata["architecture"].replace("[4]", "[65536]")
    tensors.save(tmp_path / "m", arrays, {"format": "fastnn", "architecture": text}, "save")
    with pytest.raises(ValueError, match="numbers to try, but there are 0 weights"):
        fastnn.load(tmp_path / "m")


def test_an_interrupted_load_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastnn.nn.parameter import filling

    x = fastnn.Input((4,))
    layer = fastnn.Dense(4)
    model = fastnn.Model(x, layer(x) + layer(2 * x))
    model.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()

    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    for name in ("Reader", "_tie", "_put"):
        with monkeypatch.context() as patch:
            patch.setattr(fastnn.files.models, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                fastnn.load(tmp_path / "m")
        assert filling.get() is None
    model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before
