"""The dtype of a model: its parameters and floating buffers have it, wherever it was said."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

HOSTS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]
rng = np.random.default_rng(0)
X, Y = rng.standard_normal((12, 3)), rng.standard_normal((12, 1))


class Norm(nn.Module):
    """Batch normalization with running statistics, and a count of the batches."""

    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.scale = nn.Parameter(np.ones(size, "f4"))
        self.register_buffer("mean", np.zeros(size, "f4"))
        self.register_buffer("var", np.ones(size, "f4"))
        self.register_buffer("batches", np.zeros(1, np.int64))

    def forward(self, x: Any) -> Any:
        mean, var = self.mean, self.var
        if self.training:
            mean = x.mean(axis=0)
            var = ((x - mean) ** 2).mean(axis=0)
            with fastnn.no_grad():
                self.mean.copy_(0.5 * self.mean + 0.5 * mean.detach())
                self.var.copy_(0.5 * self.var + 0.5 * var.detach())
                self.batches.copy_(self.batches + 1)
        return self.scale * (x - mean) / (var + 1e-3).sqrt()


class Shift(nn.Module):
    """Buffers alone."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("by", np.full(3, 0.1, "f4"))

    def forward(self, x: Any) -> Any:
        return x - self.by


def sequential() -> Any:
    return fastnn.Sequential([fastnn.Dense(3, input_shape=(3,)), Norm(), Shift(), fastnn.Dense(1)], dtype="float64")


def graph() -> Any:
    x = fastnn.Input((3,), dtype="float64")
    return fastnn.Model(x, fastnn.Dense(1)(Shift()(Norm()(fastnn.Dense(3)(x)))))


def afterwards(model: Any) -> Any:
    model.set_dtype("float64")
    return model


def set_graph() -> Any:
    x = fastnn.Input((3,))
    return afterwards(fastnn.Model(x, fastnn.Dense(1)(Shift()(Norm()(fastnn.Dense(3)(x))))))


MODELS: dict[str, Callable[[], Any]] = {
    "Sequential": sequential,
    "a graph": graph,
    "set": lambda: afterwards(fastnn.Sequential([nn.Linear(3, 3), Norm(), Shift(), nn.Linear(3, 1)])),
    "set before it is built": lambda: afterwards(fastnn.Sequential([fastnn.Dense(3), Norm(), Shift(), fastnn.Dense(1)])),
    "a graph that is set": set_graph,
}


@pytest.mark.parametrize(("name", "backend"), [*((m, HOSTS[0]) for m in MODELS), *(("Sequential", b) for b in HOSTS[1:])])
def test_a_model_in_double_trains_freezes_and_loads(name: str, backend: str, tmp_path: Path) -> None:
    with fastnn.use_backend(backend):
        fastnn.seed(0)
        model = MODELS[name]()
        model.compile("adam", "mse", capture=True)
        model.fit(X, Y, epochs=3, batch_size=4, verbose=0)
        kinds = {name: b.dtype for name, b in model.named_buffers()}
        assert sorted(map(str, kinds.values())) == ["float64", "float64", "float64", "int64"]
        assert {p.dtype for p in model.parameters()} == {np.dtype("float64")} == {model.dtype}
        (counted,) = (b for b in model.buffers() if b.dtype == np.int64)
        assert counted.item() == 9
        want = model.predict(X)
        assert want.dtype == np.float64
        np.testing.assert_array_equal(model.freeze(12, input_shape=(3,))(X), want)
        model.save_weights(tmp_path / "w.safetensors")
        for other in (MODELS[name](), MODELS[name]()):
            other(X)
            other.load_weights(tmp_path / "w.safetensors")
            np.testing.assert_array_equal(other.predict(X), want)
            state = other.state_dict()
            assert {n: a.dtype for n, a in state.items()} == {n: a.dtype for n, a in model.state_dict().items()}
        np.testing.assert_array_equal(copy.deepcopy(model).predict(X), want)


def test_back_to_float32() -> None:
    model = sequential()
    model(X)
    model.set_dtype("float32")
    assert {t.dtype.name for t in model.weights} == {"float32", "int64"}
    assert model.predict(X).dtype == np.float32
    model.add(Shift())
    assert model.layers[-1].by.dtype == np.float32


def test_layers_with_a_dtype_of_their_own_keep_it() -> None:
    layer = fastnn.Dense(2, input_shape=(3,), dtype="float32")
    fastnn.Sequential([layer], dtype="float64")
    assert layer.dtype == np.float32
    layer.set_dtype("float64")
    assert layer.kernel.dtype == np.float64


def test_shared_parameters_change_once() -> None:
    model = fastnn.Sequential([nn.Linear(3, 3), nn.Linear(3, 3)])
    model.layers[1].weight = model.layers[0].weight
    model.set_dtype("float64")
    assert model.layers[1].weight is model.layers[0].weight
    assert {p.dtype for p in model.parameters()} == {np.dtype("float64")}


def test_what_is_trained_stays() -> None:
    model = fastnn.Sequential([nn.Linear(3, 1), Shift()])
    fastnn.optim.SGD(model.parameters(), lr=0.1)
    model.set_dtype("float32")
    with pytest.raises(RuntimeError, match="being trained"):
        model.set_dtype("float64")
    assert {t.dtype.name for t in model.weights} == {"float32"}
    with pytest.raises(TypeError, match="int64 came, wanted float32 or float64"):
        nn.Linear(3, 1).set_dtype("int64")


def test_recordings_of_the_other_dtype_are_void() -> None:
    model = fastnn.Sequential([nn.Linear(3, 1), Shift()])
    step = fastnn.capture(lambda x: model(x).detach())
    for _ in range(3):
        step(fastnn.tensor(X.astype("f4")))
        model.predict(X)
    model.set_dtype("float64")
    for _ in range(3):
        assert step(fastnn.tensor(X)).dtype == np.float64
        assert model.predict(X).dtype == np.float64


def test_a_new_parameter_of_a_build_has_the_dtype() -> None:
    class Scale(nn.Module):
        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(input_shape, "ones")

        def forward(self, x: Any) -> Any:
            return x * self.scale

    model = fastnn.Sequential([Scale()], dtype="float64")
    assert model(X).dtype == model.layers[0].scale.dtype == np.float64


def test_gradients_of_layers_with_buffers_are_checked() -> None:
    fastnn.gradcheck(Norm().eval(), X)
    layer = fastnn.Sequential([nn.Linear(3, 2), nn.PReLU()])
    fastnn.gradcheck(layer, X)
    assert {p.dtype for p in layer.parameters()} == {np.dtype("float32")}


@fastnn.register(name="Norm", package="test_dtype")
class Saved(Norm):
    def get_config(self) -> dict[str, Any]:
        return {"size": 3}


@pytest.mark.parametrize("name", MODELS)
def test_files_of_models_in_double(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "Norm", Saved)
    monkeypatch.setitem(globals(), "Shift", Saved)
    model = MODELS[name]()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m.fastnn")
    other = fastnn.load(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    assert {n: t.dtype for n, t in other.named_buffers()} == {n: t.dtype for n, t in model.named_buffers()}
    assert other.predict(X).dtype == np.float64


def test_buffers_that_keep_their_dtype(tmp_path: Path) -> None:
    """Sums that kernels want in float64 stay so in models of either dtype, in copies and after loading."""

    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(np.ones(3, "f4"))
            self.register_buffer("sums", np.zeros(2), keep_dtype=True)
            self.register_buffer("mean", np.zeros(3, "f4"))

        def forward(self, x: Any) -> Any:
            return x * self.scale

    for model in (Sums(), copy.deepcopy(Sums())):
        for dtype in ("float64", "float32"):
            model.set_dtype(dtype)
            assert model.scale.dtype == model.mean.dtype == dtype and model.sums.dtype == "float64"


def test_a_buffer_that_keeps_its_dtype_says_nothing_of_the_layer() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", np.zeros(2), keep_dtype=True)

        def forward(self, x: Any) -> Any:
            return x * 2.0

    assert Counts().dtype == np.float32
    model = fastnn.Sequential([Counts(), fastnn.Dense(1)])
    assert model(np.ones((2, 3), np.float32)).dtype == np.float32
    model.set_dtype("float64")
    assert model(np.ones((2, 3), np.float32)).dtype == np.float64
    layer = model.layers[0]
    layer.register_buffer("seen", np.zeros(2))  # without keep_dtype it follows
    layer.set_dtype("float32")
    assert layer.seen.dtype == np.float32
