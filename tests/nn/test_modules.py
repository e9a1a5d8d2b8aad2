"""Shared and tied layers, and modules as users of Keras and PyTorch write them."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import LABELS, VALUES, A, B, compiled, two_by_two

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)

# ---- shared and tied ----


def test_a_shared_layer_adds_up_its_gradients(tmp_path: Path) -> None:
    layer = fastnn.Dense(3, activation="tanh", input_shape=(3,), dtype="float64")
    m = fastnn.Sequential([layer, nn.ReLU(), layer])
    assert len(list(m.parameters())) == 2

    def f(x: Any, kernel: Any, bias: Any) -> Any:
        dense = fastnn.ops.dense.dense
        return fastnn.tanh(dense(fastnn.relu(fastnn.tanh(dense(x, kernel, bias))), kernel, bias))

    x = A.astype(np.float64)
    kernel = fastnn.tensor(layer.kernel.numpy(), requires_grad=True)
    f(fastnn.tensor(x), kernel, fastnn.tensor(layer.bias.numpy())).sum().backward()
    m(fastnn.tensor(x)).sum().backward()
    np.testing.assert_allclose(layer.kernel.grad.numpy(), kernel.grad.numpy(), rtol=1e-12)
    assert fastnn.gradcheck(f, [x[:3], layer.kernel.numpy(), layer.bias.numpy()])
    m.compile(fastnn.optim.SGD(lr=1.0), "mse")
    m.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin[0] is twin[2] and len(twin.get_weights()) == 2
    assert m.fit(A, A, epochs=3, verbose=0, shuffle=False).history == twin.fit(A, A, epochs=3, verbose=0, shuffle=False).history


def test_layers_shared_across_nested_models_come_back(tmp_path: Path) -> None:
    layer = fastnn.Dense(3, input_shape=(3,))
    m = fastnn.Sequential([layer, fastnn.Sequential([nn.ReLU(), layer]), fastnn.Residual(layer)])
    m.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin[0] is twin[1][1] is twin[2][0] and list(twin.state_dict()) == ["0.kernel", "0.bias"]
    np.testing.assert_array_equal(twin.predict(A), m.predict(A))


def test_tied_weights(tmp_path: Path) -> None:
    m = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    m[2].weight = m[0].weight
    assert [n for n, _ in m.named_parameters()] == ["0.weight", "0.bias", "2.bias"]
    optimizer = fastnn.optim.SGD(m.parameters(), lr=0.1)
    assert len(optimizer.params) == 3
    (m(A) ** 2).sum().backward()
    optimizer.step()
    assert m[2].kernel is m[0].kernel
    m.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin[2].kernel is twin[0].kernel
    np.testing.assert_array_equal(twin.predict(A), m.predict(A))
    assert copy.deepcopy(m)[0].kernel is not m[0].kernel
    again = pickle.loads(pickle.dumps(m))
    assert again[2].kernel is again[0].kernel
    state = m.state_dict()
    m.load_state_dict({**state, "2.weight": state["0.weight"]})  # as PyTorch has it
    mixed = fastnn.Sequential([fastnn.Dense(3, input_shape=(3,)), nn.Linear(3, 3)])
    mixed[1].weight = nn.ParameterView(mixed[0].kernel, (1, 0))
    mixed.save(tmp_path / "mixed")
    back = fastnn.load(tmp_path / "mixed")
    assert back[1].kernel is back[0].kernel
    np.testing.assert_array_equal(back.predict(A), mixed.predict(A))


def test_tied_weights_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours, theirs = (lib.Sequential(lib.Linear(3, 3), lib.Tanh(), lib.Linear(3, 3)) for lib in (nn, torch.nn))
    for m in (ours, theirs):
        m[2].weight = m[0].weight
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()}, strict=False)
    a, b = fastnn.optim.Adam(ours.parameters(), lr=0.05), torch.optim.Adam(theirs.parameters(), lr=0.05)
    for _ in range(5):
        for optimizer, loss in ((a, (ours(fastnn.tensor(A)) ** 2).mean()), (b, (theirs(torch.tensor(A)) ** 2).mean())):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(value, theirs.state_dict()[name].numpy(), rtol=1e-4, atol=1e-5)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})


def test_a_plain_parameter_as_the_weight_of_a_linear_layer_is_out_by_in() -> None:
    table = nn.Parameter(rng.standard_normal((5, 3)).astype(np.float32))
    layer = nn.Linear(3, 5)
    layer.weight = table
    np.testing.assert_allclose(layer(A).numpy(), A @ table.numpy().T + layer.bias.numpy(), rtol=1e-4, atol=1e-5)
    layer(A).sum().backward()
    np.testing.assert_allclose(table.grad.numpy(), np.tile(A.sum(0), (5, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("when", ["before", "after"])
def test_frozen_layers_of_a_graph(when: str) -> None:
    m = two_by_two()
    if when == "before":
        m.shared.trainable = False
    compiled(m)
    m.train_on_batch([A, B], [VALUES, LABELS])
    for _ in range(3):
        m.train_on_batch([A, B], [VALUES, LABELS])
    m.shared.requires_grad_(False)
    before, price = m.shared.kernel.numpy().copy(), m.price.kernel.numpy().copy()
    m.fit([A, B], [VALUES, LABELS], verbose=0)
    np.testing.assert_array_equal(m.shared.kernel.numpy(), before)
    assert (m.price.kernel.numpy() != price).any()


# ---- modules as Keras and PyTorch users write them ----


class Scale(fastnn.Layer):
    """A layer as Keras users write it."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units, self.calls = units, []

    def build(self, input_shape: Any) -> None:
        self.calls.append(input_shape)
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="glorot_uniform")
        self.b = self.add_weight((self.units,), "zeros", name="offset")
        self.fixed = self.add_weight((self.units,), "ones", trainable=False, name="fixed")

    def call(self, x: Any) -> Any:
        return x @ self.w * self.fixed + self.b


def test_build_runs_once_at_the_first_call() -> None:
    layer = Scale(4)
    assert not layer.built
    for _ in range(2):
        assert layer(A).shape == (20, 4)
    assert layer.calls == [(3,)] and layer.built
    assert list(layer.state_dict()) == ["w", "offset", "fixed"]
    assert [p.requires_grad for p in layer.parameters()] == [True, True, False]
    assert Scale(4)(A.tolist()).shape == (20, 4)


def test_layers_with_build_in_models() -> None:
    m = fastnn.Sequential([fastnn.Input((3,)), Scale(4), fastnn.Dense(1)])
    assert m.input_shape == (3,)
    m.compile("adam", "mse")
    losses = m.fit(A, VALUES, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and m[0].calls == [(3,)] and m[1].kernel.shape == (4, 1)
    x = fastnn.Input((3,))
    graph = fastnn.Model(x, fastnn.Dense(1)(Scale(4)(x)))
    assert graph.predict(A).shape == (20, 1)
    twin = copy.deepcopy(graph)
    twin.fit_calls = 0
    np.testing.assert_array_equal(twin.predict(A), graph.predict(A))


def test_call_is_told_the_mode() -> None:
    class Noisy(fastnn.Layer):
        def call(self, x: Any, training: Any = None) -> Any:
            assert isinstance(training, bool)
            return x + 1.0 if training else x

    m = fastnn.Sequential([fastnn.Input((3,)), Noisy(), fastnn.Dense(1)])
    assert (m[0](A).numpy() == A + np.float32(1)).all() and (m[0](A, training=False).numpy() == A).all()
    m.compile("sgd", "mse")
    m.fit(A, VALUES, verbose=0)
    np.testing.assert_array_equal(m.predict(A), m[1](A).numpy())


def test_a_model_written_as_a_class() -> None:
    class Net(fastnn.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = fastnn.Dense(4, "relu"), fastnn.Dense(1)

        def call(self, x: Any) -> Any:
            return self.out(self.hidden(x))

    m = Net()
    m.compile("adam", "mse")
    assert m.fit(A, VALUES, verbose=0).history and m.predict(A).shape == (20, 1)


def test_buffers_are_saved_and_not_trained(tmp_path: Path) -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", np.zeros(3, np.float32))
            self.layer = nn.Linear(3, 1)

        def forward(self, x: Any) -> Any:
            if self.training:
                with fastnn.no_grad():
                    self.mean.copy_(0.5 * self.mean + 0.5 * x.detach().mean(0))
            return self.layer(x - self.mean)

    m = Mean()
    m.compile("sgd", "mse", capture=True)
    m.fit(A, VALUES, batch_size=20, epochs=4, verbose=0)
    np.testing.assert_allclose(m.mean.numpy(), (1 - 0.5**4) * A.mean(0), rtol=1e-5, atol=1e-6)
    assert list(m.state_dict()) == ["layer.weight", "layer.bias", "mean"] and len(list(m.parameters())) == 2
    assert len(m.get_weights()) == 3 and [n for n, _ in m.named_buffers()] == ["mean"]
    twin = Mean()
    m.save_weights(tmp_path / "w")
    twin.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(twin.predict(A), m.predict(A))
    twin = pickle.loads(pickle.dumps(copy.deepcopy(nn.Sequential(nn.Linear(3, 3)))))
    twin.register_buffer("steps", [1, 2])
    assert pickle.loads(pickle.dumps(twin)).steps.tolist() == [1, 2]


def test_lists_and_dicts_of_modules() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
            self.heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 2)})

        def forward(self, x: Any) -> Any:
            for layer in self.body:
                x = fastnn.relu(layer(x))
            return {name: head(x) for name, head in self.heads.items()}

    m = Heads()
    assert list(m.state_dict())[:3] == ["body.0.weight", "body.0.bias", "body.1.weight"] and "heads.b.bias" in m.state_dict()
    m.compile("sgd", {"a": "mse", "b": "mse"})
    assert "b_loss" in m.fit(A, {"a": VALUES, "b": B}, verbose=0).history
    m.body.append(nn.Linear(3, 3))
    m.body.insert(0, nn.Linear(3, 3))
    m.body[0] = nn.Linear(3, 3)
    assert len(m.body) == 4 and len(m.body[1:]) == 3 and m.body[-1] is list(m.body)[3]
    assert "a" in m.heads and list(m.heads) == ["a", "b"] and len(m.heads) == 2
    del m.heads["a"]
    assert [n for n, _ in m.named_children()] == ["body", "heads"] and list(m.heads.keys()) == ["b"]
    names: list[str] = []
    assert m.apply(lambda module: names.append(type(module).__name__)) is m
    assert names == [*["Linear"] * 4, "ModuleList", "Linear", "ModuleDict", "Heads"]
    assert m.get_parameter("body.0.weight") is m.body[0].weight


def _buffer() -> nn.Module:
    m = nn.Sequential()
    m.register_buffer("mean", [1.0])
    return m


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "list of layers": (lambda: nn.ModuleList([3]), TypeError, "int came, wanted a module"),
    "name of a layer": (lambda: nn.ModuleDict({"fit": nn.ReLU()}), KeyError, "cannot be a name"),
    "list index": (lambda: nn.ModuleList()[0], IndexError, "index 0 of 0"),
    "no parameter": (lambda: two_by_two().get_parameter("x"), AttributeError, "no parameter 'x'"),
    "name of a property": (lambda: setattr(nn.Module(), "weights", nn.Parameter([1.0])), AttributeError, "property of modules"),
    "buffer": (lambda: _buffer().__setattr__("mean", 3), TypeError, "mean is a buffer"),
    "weight twice": (
        lambda: (lambda s: s.build((3,)) or s.build((3,)))(Scale(1)),
        ValueError,
        "already has a parameter 'offset'",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input(case: str) -> None:
    f, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        f()
