"""Bad input gets a clear error that names what came; nothing is changed by it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

X = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
Y = np.arange(10) % 3


def model(**kwargs: Any) -> fastnn.Sequential:
    m = fastnn.Sequential([fastnn.Dense(5, activation="relu", input_shape=(4,)), fastnn.Dense(3, activation="softmax")])
    m.compile(**{"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", **kwargs})
    return m


def head(**kwargs: Any) -> nn.LinearCrossEntropyLoss:
    return nn.LinearCrossEntropyLoss(4, 3, **kwargs)


def tied(shape: tuple[int, ...]) -> nn.LinearCrossEntropyLoss:
    loss = head()
    loss.linear.weight = nn.Parameter(np.ones(shape, np.float32))
    return loss


def fused(x: Any, w: Any, b: Any = None, **kwargs: Any) -> Any:
    b = None if b is None else fastnn.tensor(b, "float32")
    return fastnn.ops.loss.linear_cross_entropy(fastnn.tensor(x), fastnn.tensor(w, "float32"), b, Y, **kwargs)


FIT: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "feature count": (lambda: model().fit(X[:, :3], Y), ValueError, r"^fit: x has shape \(10, 3\), wanted \(n, 4\)"),
    "feature count in predict": (lambda: model().predict(np.zeros((2, 784))), ValueError, r"^predict: x has .*, wanted \(n, 4\)"),
    "feature count in a call": (lambda: model()(fastnn.tensor([1.0, 2.0])), ValueError, "2 features.*built for 4"),
    "strings": (lambda: model().fit([["a", "b", "c", "d"]], [0]), TypeError, "fit: x.*str"),
    "objects": (lambda: model().fit(np.array([[object()] * 4]), [0]), TypeError, "fit: x"),
    "none": (lambda: model().fit(None, Y), TypeError, "fit: x"),
    "ragged": (lambda: model().fit([[1, 2, 3, 4], [1, 2]], [0, 1]), ValueError, "fit: x"),
    "labels too large": (lambda: model().fit(X, Y + 1), ValueError, r"fit: y\[2\] is 3.*3 outputs"),
    "negative labels": (lambda: model().fit(X, Y - 1), ValueError, r"fit: y\[0\] is -1"),
    "fractional labels": (lambda: model().fit(X, Y + 0.5), (TypeError, ValueError), "fit: y"),
    "empty": (lambda: model().fit(X[:0], Y[:0]), ValueError, "fit: x"),
    "empty batch": (lambda: model().train_on_batch(X[:0], Y[:0]), ValueError, "train_on_batch: x"),
    "empty evaluate": (lambda: model().evaluate(X[:0], Y[:0]), ValueError, "evaluate: x"),
    "lengths": (lambda: model().fit(X, Y[:9]), ValueError, "fit: x has 10 samples, but y has 9"),
    "weights": (lambda: model().fit(X, Y, sample_weight=np.ones(9)), ValueError, "fit: sample_weight.*9"),
    "weights NaN": (lambda: model().fit(X, Y, sample_weight=np.full(10, np.nan)), ValueError, "fit: sample_weight"),
    "missing y": (lambda: model().fit(X), ValueError, "fit: y is missing"),
    "validation": (lambda: model().fit(X, Y, validation_data=X), ValueError, "validation_data"),
    "validation lengths": (lambda: model().fit(X, Y, validation_data=(X, Y[:3])), ValueError, "validation y has 3"),
    "validation split": (lambda: model().fit(X, Y, validation_split=1.5), ValueError, "validation_split"),
    "batch size": (lambda: model().fit(X, Y, batch_size=0), ValueError, "fit: batch_size is 0"),
    "epochs": (lambda: model().fit(X, Y, epochs=1.5), ValueError, "fit: epochs is 1.5"),
    "verbose": (lambda: model().fit(X, Y, verbose=7), ValueError, "verbose"),
    "callbacks": (lambda: model().fit(X, Y, callbacks=[print]), TypeError, "callbacks"),
    "class weight": (lambda: model().fit(X, Y, class_weight=[1, 2]), TypeError, "class_weight"),
    "target shape": (lambda: model(loss="mse").fit(X, np.zeros((10, 2))), ValueError, r"\(10, 2\).*\(10, 3\)"),
    "loss": (
        lambda: model(loss="crossentropy"),
        ValueError,
        "unknown loss 'crossentropy'; did you mean 'binary_",
    ),
    "no loss": (lambda: model(loss=None), ValueError, "no loss"),
    "optimizer": (
        lambda: model(optimizer="adamm"),
        ValueError,
        "unknown optimizer 'adamm'; did you mean 'adam'",
    ),
    "optimizer type": (lambda: model(optimizer=3), TypeError, "optimizer: int"),
    "metric": (lambda: model(metrics=["acuracy"]), ValueError, "acuracy"),
    "activation": (
        lambda: fastnn.Dense(3, activation="rellu"),
        ValueError,
        "unknown activation 'rellu'; did you mean 'relu'\\? There are: linear, relu",
    ),
    "activation type": (lambda: fastnn.Dense(3, activation=3), TypeError, "activation: int"),
    "initializer": (lambda: fastnn.Dense(3, kernel_initializer="xavier"), ValueError, "xavier"),
    "units 0": (lambda: fastnn.Dense(0), ValueError, "Dense: units is 0, wanted a whole number"),
    "units -1": (lambda: fastnn.Dense(-1), ValueError, "units is -1"),
    "units 2.5": (lambda: fastnn.Dense(2.5), ValueError, "units is 2.5"),
    "units True": (lambda: fastnn.Dense(True), ValueError, "units is True"),
    "units string": (lambda: fastnn.Dense("15"), ValueError, "units is '15'"),
    "in_features": (lambda: nn.Linear(0, 3), ValueError, "in_features is 0"),
    "input_shape": (lambda: fastnn.Dense(3, input_shape=(0,)), ValueError, "input_shape is 0"),
    "dtype": (lambda: fastnn.Dense(3, dtype="int64"), TypeError, "int64"),
    "dropout": (lambda: fastnn.Dropout(1.5), ValueError, "rate is 1.5"),
    "layer": (lambda: fastnn.Sequential([3]), TypeError, "Sequential: int 3"),
    "predict before shapes": (lambda: fastnn.Sequential([fastnn.Dense(3)]).predict(X), RuntimeError, "input shape is unknown"),
    "optimizer before shapes": (
        lambda: fastnn.optim.Adam(fastnn.Sequential([fastnn.Dense(3)]).parameters()),
        RuntimeError,
        "has no shape yet",
    ),
    "optimizer of nothing": (lambda: fastnn.optim.Adam([]), ValueError, "params is empty"),
    "optimizer of tensors": (lambda: fastnn.optim.Adam([fastnn.tensor([1.0])]), TypeError, "wanted parameters"),
    "learning rate": (lambda: fastnn.optim.Adam(lr=-1), ValueError, "lr is -1"),
    "learning rate NaN": (lambda: fastnn.optim.SGD(lr=float("nan")), ValueError, "lr is nan"),
    "betas": (lambda: fastnn.optim.Adam(betas=(0.9, 1.0)), ValueError, "betas"),
    "two clips": (lambda: fastnn.optim.SGD(clipnorm=1, clipvalue=1), ValueError, "only one"),
    "seed": (lambda: fastnn.seed(-1), ValueError, "seed: -1"),
    "threads": (lambda: fastnn.set_num_threads(0), ValueError, "set_num_threads: 0"),
    "backend": (lambda: fastnn.use_backend("cuda"), ValueError, "unknown backend 'cuda'; there are: auto, cpp"),
    "state dict names": (lambda: model().load_state_dict({"x": X}), KeyError, "missing.*0.kernel.*unknown.*x"),
    "set_weights count": (lambda: model().set_weights([X]), ValueError, "1 arrays came, the model has 4"),
    "set_weights shape": (lambda: model().set_weights([X, X, X, X]), ValueError, "array 0 has shape"),
    "a forward that is missing": (lambda: nn.Module()(X), NotImplementedError, "defines no forward"),
    "wrong dtype of a Tensor": (lambda: model()(fastnn.tensor(X.astype(np.float64))), TypeError, "float64 and float32"),
    "loss labels": (lambda: nn.CrossEntropyLoss()(fastnn.tensor(X), [0] * 9 + [4]), ValueError, r"\[9\] is 4"),
    "loss lengths": (lambda: nn.CrossEntropyLoss()(fastnn.tensor(X), [0, 1]), ValueError, r"\(10,\)"),
    "loss targets": (lambda: nn.MSELoss()(fastnn.tensor(X), X[:, :2]), ValueError, "shape"),
    "head sizes": (lambda: nn.LinearCrossEntropyLoss(0, 3), ValueError, "LinearCrossEntropyLoss: in_features is 0"),
    "head classes": (lambda: nn.LinearCrossEntropyLoss(4, 1.5), ValueError, "LinearCrossEntropyLoss: num_classes is 1.5"),
    "head class weights": (lambda: head(weight=[1.0, 2.0]), ValueError, r"weight has shape \(2,\), wanted \(3,\)"),
    "head smoothing": (lambda: head(label_smoothing=1.5), ValueError, "label_smoothing is 1.5"),
    "head reduction": (lambda: head(reduction="average"), ValueError, "reduction='average'"),
    "head dtype": (lambda: head(dtype="int64"), TypeError, "int64 came, wanted float32 or float64"),
    "head features": (lambda: head()(X[:, :3], Y), ValueError, r"input has shape \(10, 3\), wanted \(..., 4\)"),
    "head number": (lambda: head()(fastnn.tensor(1.0), 0), ValueError, r"input has shape \(\), wanted \(..., 4\)"),
    "head tensor": (lambda: head()(fastnn.tensor(X.astype(np.float64)), Y), TypeError, "float64, linear.weight float32"),
    "head labels": (lambda: head()(X, [0] * 9 + [3]), ValueError, r"LinearCrossEntropyLoss: target\[9\] is 3"),
    "head lengths": (lambda: head()(X, Y[:9]), ValueError, r"labels of shape \(10,\), but has \(9,\)"),
    "head probabilities": (lambda: head()(X, np.zeros((10, 3))), ValueError, r"labels of shape \(10,\), but has \(10, 3\)"),
    "head label dtype": (lambda: head()(X, Y.astype(float)), TypeError, "labels of dtype float64"),
    "head row weights": (lambda: head()(X, Y, np.ones(9)), ValueError, r"sample_weight has shape \(9,\); wanted .*\(10,\)"),
    "head of another layer": (lambda: tied((4, 3))(X, Y), ValueError, r"linear.weight has shape \(4, 3\), wanted \(3, 4\)"),
    "head in compile": (lambda: model(loss=head()), ValueError, "compile: LinearCrossEntropyLoss has parameters of its own"),
    "fused x": (lambda: fused(X, np.ones((3, 4))), ValueError, r"x has shape \(10, 4\) and w \(3, 4\), wanted .* \(K, N\)"),
    "fused x, transposed": (lambda: fused(X, np.ones((4, 3)), transposed=True), ValueError, r"w \(4, 3\), .* \(N, K\)"),
    "fused w": (lambda: fused(X, np.ones(4)), ValueError, r"linear_cross_entropy: x has shape \(10, 4\) and w \(4,\)"),
    "fused b": (lambda: fused(X, np.ones((4, 3)), np.ones(4)), ValueError, r"b has shape \(4,\), wanted \(3,\)"),
    "fused dtypes": (lambda: fused(X.astype(np.float64), np.ones((4, 3))), TypeError, "float64 and float32"),
    "fused whole numbers": (lambda: fused(Y, np.ones((4, 3))), TypeError, "int64 came"),
    "loss reduction": (lambda: nn.MSELoss(reduction="average"), ValueError, "reduction"),
    "module without init": (
        lambda: type("Bad", (nn.Module,), {"__init__": lambda s: setattr(s, "a", fastnn.Dense(1))})(),
        AttributeError,
        "super",
    ),
}


@pytest.mark.parametrize("case", FIT)
def test_bad_input(case: str) -> None:
    f, kind, text = FIT[case]
    with pytest.raises(kind, match=text):
        f()


def test_an_error_leaves_the_model_as_it_was() -> None:
    m = model()
    before = m.get_weights()
    for bad in (lambda: m.fit(X, Y + 5), lambda: m.fit(X[:, :2], Y), lambda: m.set_weights([*before[:3], X])):
        with pytest.raises(ValueError):
            bad()
    state = m.state_dict()
    state["1.bias"] = np.zeros(9)
    with pytest.raises(ValueError, match=r"1.bias has shape \(9,\)"):
        m.load_state_dict(state)
    for a, b in zip(before, m.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    m.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("FASTNN_BACKEND", "cuda", "FASTNN_BACKEND=cuda: unknown backend"),
        ("FASTNN_BACKEND", "numba", "FASTNN_BACKEND=numba: backend 'numba' is not available"),
        ("FASTNN_ISA", "avx1024", "FASTNN_ISA=avx1024: unknown ISA"),
        ("FASTNN_BF16", "bf16", "FASTNN_BF16=bf16: unknown engine 'bf16'; there are: amx, avx512_bf16, float32"),
        ("FASTNN_WINOGRAD", "yes", "FASTNN_WINOGRAD=yes: wanted 0 or 1"),
        ("FASTNN_NUM_THREADS", "many", "FASTNN_NUM_THREADS=many"),
        ("FASTNN_NUM_THREADS", "0", "FASTNN_NUM_THREADS=0"),
    ],
)
def test_environment_variables_that_are_wrong(variable: str, value: str, text: str) -> None:
    import os
    import subprocess
    import sys

    env = {k: v for k, v in os.environ.items() if not k.startswith("FASTNN_")} | {"NUMBA_DISABLE_JIT": "1"}
    if variable != "FASTNN_BACKEND":
        if not fastnn.backends()["cpp"].available:
            pytest.skip("these variables concern the compiled kernels, which this installation does not have")
        env["FASTNN_BACKEND"] = "cpp"
    code = "import sys; sys.modules['numba'] = None; import fastnn; fastnn.tensor([1.0])"
    out = subprocess.run([sys.executable, "-c", code], env={**env, variable: value}, capture_output=True, text=True, check=False)
    assert out.returncode != 0 and text in out.stderr
    assert subprocess.run([sys.executable, "-c", "import fastnn"], env={**env, variable: value}, check=False).returncode == 0


# ---- model files ----


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    m = model()
    m.save(tmp_path / "model.fastnn")
    return tmp_path / "model.fastnn"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file .*no\.fastnn"):
        fastnn.load(tmp_path / "no.fastnn")


def test_truncated_at_every_place(saved: Path) -> None:
    content = saved.read_bytes()
    for n in [*range(0, len(content), 37), len(content) - 1]:
        saved.write_bytes(content[:n])
        with pytest.raises(ValueError, match="truncated or no safetensors file"):
            fastnn.load(saved)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"{}", b"\xff" * 64, b"\x08" + b"\0" * 7 + b"not json"])
def test_files_of_other_kinds(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.fastnn"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="load: "):
        fastnn.load(path)


def test_a_safetensors_file_that_is_not_ours(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": X}, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="no model that fastnn saved"):
        fastnn.load(tmp_path / "x.safetensors")


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(str(path), "np") as f:
        tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
        header = json.loads(f.metadata()["architecture"])
    change(header)
    save_file(tensors, path, {"format": "fastnn", "architecture": json.dumps(header)})


HOSTILE: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown layer": lambda h: h["model"].update(class_name="os.system"),
    "layer name no string": lambda h: h["model"].update(class_name=["Dense"]),
    "no config": lambda h: h["model"].pop("config"),
    "unknown argument": lambda h: h["model"]["config"]["layers"][0]["config"].update(evil=1),
    "wrong type": lambda h: h["model"]["config"]["layers"][0]["config"].update(units="many"),
    "too many units": lambda h: h["model"]["config"]["layers"][0]["config"].update(units=10**12),
    "too many inputs": lambda h: h["model"]["config"]["layers"][0]["config"].update(input_shape=[10**12]),
    "other units": lambda h: h["model"]["config"]["layers"][0]["config"].update(units=6),
    "unknown activation": lambda h: h["model"]["config"]["layers"][0]["config"].update(activation="__import__"),
    "unknown initializer": lambda h: h["model"]["config"]["layers"][0]["config"].update(kernel_initializer="eval"),
    "layers no list": lambda h: h["model"]["config"].update(layers={"a": 1}),
    "missing layer": lambda h: h["model"]["config"]["layers"].pop(),
    "no model": lambda h: h.pop("model"),
    "version": lambda h: h.update(version=99),
    "optimizer": lambda h: h["compile"]["optimizer"].update(class_name="Evil"),
    "loss": lambda h: h["compile"]["loss"].update(config={"x": 1}),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_architectures(saved: Path, case: str) -> None:
    rewrite(saved, HOSTILE[case])
    with pytest.raises(ValueError, match="load: "):
        fastnn.load(saved)


def test_deep_nesting_is_refused(saved: Path) -> None:
    def nest(h: dict[str, Any]) -> None:
        for _ in range(300):
            h["model"] = {"class_name": "Sequential", "config": {"layers": [h["model"]]}}

    rewrite(saved, nest)
    with pytest.raises(ValueError, match="deep"):
        fastnn.load(saved)


def test_every_flipped_byte_of_the_header_is_survived(saved: Path) -> None:
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, min(len(content), 2500), 300):
        bad = bytearray(content)
        bad[at] ^= 1 << rng.integers(8)
        saved.write_bytes(bytes(bad))
        try:
            fastnn.load(saved)
        except ValueError as error:
            assert str(error).startswith("load")


def test_ragged_targets() -> None:
    for loss in (nn.CrossEntropyLoss(), nn.LinearCrossEntropyLoss(4, 4)):
        with pytest.raises(ValueError, match=f"{type(loss).__name__}: target is a list whose parts have different lengths"):
            loss(fastnn.tensor(np.zeros((2, 4), np.float32)), [[1], [2, 3]])


def test_a_name_of_a_layer_or_parameter_takes_no_other_thing() -> None:
    m = nn.Linear(2, 3)
    outer = fastnn.Sequential([m])
    name = next(iter(outer._modules))
    with pytest.raises(TypeError, match="is a layer; int came, wanted a layer or None"):
        setattr(outer, name, 5)
    with pytest.raises(TypeError, match="bias is a parameter; ndarray came, wanted a parameter or None"):
        m.bias = np.zeros(3, np.float32)
    m.bias = None
    setattr(outer, name, None)
    assert not list(outer.parameters())


def test_misaligned_arrays_are_copied() -> None:
    raw = np.zeros(25, np.uint8)
    x = raw[1:].view(np.float32).reshape(2, 3)
    x[...] = [[1, 2, 3], [4, 5, 6]]
    np.testing.assert_array_equal(fastnn.matmul(x, np.eye(3, dtype=np.float32)).numpy(), x)
