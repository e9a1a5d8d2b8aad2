"""Models beyond Sequential: graphs, merges, several inputs and outputs, shared and tied layers, modules as users of Keras
and PyTorch write them."""

import copy
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
A = rng.standard_normal((20, 3)).astype(np.float32)
B = rng.standard_normal((20, 2)).astype(np.float32)
VALUES = rng.standard_normal((20, 1)).astype(np.float32)
LABELS = np.arange(20) % 3


def two_by_two(dtype: str = "float32") -> fastnn.Model:
    """Two inputs, two outputs, a layer used twice, a nested model and arithmetic."""
    a, b = fastnn.Input(shape=(3,), name="a", dtype=dtype), fastnn.Input(shape=(2,), name="b", dtype=dtype)
    shared = fastnn.Dense(4, activation="tanh", name="shared")
    inner_in = fastnn.Input(shape=(4,), dtype=dtype)
    inner = fastnn.Model(inner_in, fastnn.Residual(fastnn.Dense(4))(inner_in), name="inner")
    x = fastnn.Concatenate(name="joined")([inner(shared(a)), 2 * b - 1])
    price = fastnn.Dense(1, name="price")(x)
    kind = fastnn.Dense(3, activation="softmax", name="kind")(fastnn.Add()([x[:, :4], shared(a)]))
    return fastnn.Model([a, b], [price, kind])


def by_hand(m: fastnn.Model, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in NumPy."""
    w = {k: v.astype(np.float64) for k, v in m.state_dict().items()}
    h = np.tanh(a @ w["shared.kernel"] + w["shared.bias"])
    x = np.concatenate([h + h @ w["inner.residual.0.kernel"] + w["inner.residual.0.bias"], 2 * b - 1], 1)
    z = (x[:, :4] + h) @ w["kind.kernel"] + w["kind.bias"]
    e = np.exp(z - z.max(1, keepdims=True))
    return x @ w["price.kernel"] + w["price.bias"], e / e.sum(1, keepdims=True)


def compiled(m: Any, **kwargs: Any) -> Any:
    losses = {"price": "mse", "kind": "sparse_categorical_crossentropy"}
    m.compile(**{"optimizer": fastnn.optim.Adam(lr=0.01), "loss": losses, "metrics": {"kind": ["accuracy"]}, **kwargs})
    return m


# ---- graphs ----


def test_a_graph_computes_what_it_says() -> None:
    m = two_by_two()
    for got, want in zip(m.predict([A, B]), by_hand(m, A, B), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert list(m.state_dict())[:2] == ["shared.kernel", "shared.bias"]
    assert m.layers[0].name == "shared" and len(list(m.parameters())) == 8
    assert m.get_layer("price") is m.price and m.input_names == ["a", "b"] and m.output_names == ["price", "kind"]


@pytest.mark.parametrize("form", ["list", "tuple", "dict", "tensors", "arguments"])
def test_inputs_come_in_each_form(form: str) -> None:
    m = two_by_two()
    want = [y.numpy() for y in m([fastnn.tensor(A), fastnn.tensor(B)], training=False)]
    if form == "arguments":
        got = [y.numpy() for y in m(fastnn.tensor(A), fastnn.tensor(B))]
    else:
        x: Any = {"list": [A.tolist(), B.astype(np.float64)], "tuple": (A, B), "dict": {"b": B, "a": A}}.get(
            form, [fastnn.tensor(A), fastnn.tensor(B)]
        )
        got = m.predict(x)
        for y, v in zip(m(x), want, strict=True):
            np.testing.assert_allclose(y.numpy(), v, rtol=1e-6)
    for y, v in zip(got, want, strict=True):
        np.testing.assert_allclose(y, v, rtol=1e-6)


def test_dicts_of_inputs_and_outputs() -> None:
    a, b = fastnn.Input((3,)), fastnn.Input((2,))
    m = fastnn.Model({"left": a, "right": b}, {"sum": fastnn.Dense(1)(a) + fastnn.Dense(1)(b), "copy": a})
    y = m.predict({"right": B, "left": A})
    assert list(y) == ["sum", "copy"] and (y["copy"] == A).all()
    m.compile("adam", {"sum": "mse"})
    history = m.fit({"left": A, "right": B}, {"sum": VALUES}, epochs=3, verbose=0).history
    assert list(history) == ["loss"] and history["loss"][2] < history["loss"][0]
    assert not np.shares_memory(m.predict({"right": B, "left": A})["copy"], A)


def test_gradients_of_a_graph() -> None:
    m = two_by_two("float64")
    assert m.dtype == np.float64

    def f(a: Any, b: Any) -> Any:
        price, kind = m([a, b])
        return price.sum() + (kind * kind).sum()

    assert fastnn.gradcheck(f, [A[:4].astype(np.float64), B[:4].astype(np.float64)])
    kernel = m.shared.kernel
    start = kernel.numpy().copy()
    m.zero_grad()
    f(fastnn.tensor(A.astype(np.float64)), fastnn.tensor(B.astype(np.float64))).backward()
    analytic, direction = kernel.grad.numpy().copy(), rng.standard_normal(kernel.shape)
    sides = []
    with fastnn.no_grad():
        for eps in (1e-6, -1e-6):
            kernel.copy_(start + eps * direction)
            sides.append(f(fastnn.tensor(A.astype(np.float64)), fastnn.tensor(B.astype(np.float64))).item())
    assert (analytic * direction).sum() == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("copied", ["saved", "deepcopy", "pickle"])
def test_copies_of_a_graph(copied: str, tmp_path: Path) -> None:
    m = compiled(two_by_two(), loss_weights={"price": 0.5, "kind": 2.0})
    m.fit([A, B], [VALUES, LABELS], epochs=2, verbose=0)
    if copied == "saved":
        m.save(tmp_path / "m")
        twin = fastnn.load(tmp_path / "m")
        assert json.dumps(twin.get_config()) == json.dumps(m.get_config())
    else:
        twin = copy.deepcopy(m) if copied == "deepcopy" else pickle.loads(pickle.dumps(m))
    assert list(twin.state_dict()) == list(m.state_dict()) and twin.output_names == m.output_names
    assert twin.evaluate([A, B], [VALUES, LABELS]) == m.evaluate([A, B], [VALUES, LABELS])
    assert len(twin.shared.weights) == 2 and twin.shared is not m.shared
    if copied != "saved":  # the optimizer's state is not in files
        assert twin.train_on_batch([A, B], [VALUES, LABELS]) == m.train_on_batch([A, B], [VALUES, LABELS])
        for a, b in zip(twin.get_weights(), m.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    head = fastnn.Model(twin.inputs, fastnn.Dense(2)(twin.outputs[0]))  # a copy has symbols too
    assert head.predict([A, B]).shape == (20, 2)


def test_a_part_of_a_model_is_a_model() -> None:
    m = two_by_two()
    features = fastnn.Model(m.inputs, m.get_layer("joined")([m.outputs[0], m.outputs[1]]))
    assert features.predict([A, B]).shape == (20, 4)
    x = fastnn.Input((3,))
    h = fastnn.Dense(4, activation="relu")(x)
    whole = fastnn.Model(x, fastnn.Dense(1)(h))
    tail = fastnn.Model(h, whole.outputs[0])
    np.testing.assert_allclose(tail.predict(fastnn.Model(x, h).predict(A)), whole.predict(A), rtol=1e-6)


def test_hand_written_modules_in_a_graph() -> None:
    class Split(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return {"left": x * 2, "right": (x[:, :2] + y).max(1, keepdims=True)}

    a, b = fastnn.Input((3,)), fastnn.Input((2,))
    parts = Split()(a, b)
    assert parts["left"].shape == (None, 3) and parts["right"].shape == (None, 1)
    m = fastnn.Model([a, b], fastnn.Dense(1)(fastnn.Concatenate()([parts["left"], parts["right"]])))
    m.compile("sgd", "mse")
    assert np.isfinite(m.fit([A, B], VALUES, verbose=0).history["loss"][0])
    with pytest.raises(TypeError, match="hand-written"):
        m.get_config()


def test_summary_of_a_graph() -> None:
    lines: list[str] = []
    two_by_two().summary(print_fn=lines.append)
    text = lines[0]
    for part in ("a (Input)", "(None, 6)", "joined (Concatenate)", "inner, sub", "shared  a", "Called on", "58 parameters"):
        assert part in text, (part, text)


def test_whole_number_inputs_keep_their_dtype() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.Parameter(np.eye(5, dtype=np.float32))

        def forward(self, i: Any) -> Any:
            return fastnn.take(self.rows, i)

    i, x = fastnn.Input((), dtype="int64", name="i"), fastnn.Input((5,), name="x")
    m = fastnn.Model([i, x], Table()(i) * x)
    m.compile("sgd", "mse")
    index = np.arange(20) % 5
    x_values = rng.standard_normal((20, 5)).astype(np.float32)
    np.testing.assert_array_equal(m.predict([index, x_values]), np.eye(5, dtype=np.float32)[index] * x_values)
    m.fit([index.astype(np.int16), x_values], x_values, verbose=0)


# ---- merges ----

X2, Y2 = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
MERGES: dict[str, tuple[Callable[[], Any], Callable[..., Any]]] = {
    "Add": (fastnn.Add, lambda x, y: x + y),
    "Subtract": (fastnn.Subtract, lambda x, y: x - y),
    "Multiply": (fastnn.Multiply, lambda x, y: x * y),
    "Average": (fastnn.Average, lambda x, y: (x + y) / 2),
    "Maximum": (fastnn.Maximum, np.maximum),
    "Minimum": (fastnn.Minimum, np.minimum),
    "Concatenate": (fastnn.Concatenate, lambda x, y: np.concatenate([x, y], -1)),
    "Dot": (lambda: fastnn.Dot(axes=1), lambda x, y: (x * y).sum(1, keepdims=True)),
    "cosine": (
        lambda: fastnn.Dot(axes=1, normalize=True),
        lambda x, y: ((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1))[:, None],
    ),
}


@pytest.mark.parametrize("name", MERGES)
def test_merges(name: str) -> None:
    make, want = MERGES[name]
    layer = make()
    got = layer([fastnn.tensor(X2), fastnn.tensor(Y2)])
    np.testing.assert_allclose(got.numpy(), want(X2, Y2), rtol=1e-12)
    assert layer.output_shape([(3,), (3,)]) == got.shape[1:]
    assert fastnn.gradcheck(lambda x, y: layer([x, y]), [X2, Y2])
    assert type(layer)(**layer.get_config()).get_config() == layer.get_config()


def test_merges_of_more_inputs_and_other_axes() -> None:
    three = [fastnn.tensor(v) for v in (X2, Y2, X2 * Y2)]
    np.testing.assert_allclose(fastnn.Average()(three).numpy(), (X2 + Y2 + X2 * Y2) / 3)
    np.testing.assert_allclose(fastnn.Maximum()(three).numpy(), np.maximum(np.maximum(X2, Y2), X2 * Y2))
    cube = fastnn.tensor(rng.standard_normal((2, 3, 4)))
    assert fastnn.Concatenate(axis=1)([cube, cube]).shape == (2, 6, 4)
    assert fastnn.Concatenate(axis=1).output_shape([(3, 4), (3, 4)]) == (6, 4)
    np.testing.assert_allclose(fastnn.Add()([fastnn.tensor(X2), fastnn.tensor(Y2[:, :1])]).numpy(), X2 + Y2[:, :1])
    assert fastnn.Add()([X2.tolist(), Y2.tolist()]).shape == (4, 3)
    np.testing.assert_array_equal(fastnn.Sequential([fastnn.Concatenate()]).predict([A, B]), np.concatenate([A, B], 1))


def test_residual_blocks_train_and_come_back(tmp_path: Path) -> None:
    m = fastnn.Sequential(
        [fastnn.Dense(4, input_shape=(3,)), fastnn.Residual(fastnn.Dense(6, "relu"), fastnn.Dense(4)), fastnn.Dense(1)]
    )
    assert m.built
    w = m.get_weights()
    h = A @ w[0] + w[1]
    want = (h + np.maximum(h @ w[2] + w[3], 0) @ w[4] + w[5]) @ w[6] + w[7]
    np.testing.assert_allclose(m.predict(A), want, rtol=1e-4, atol=1e-5)
    m.compile("adam", "mse")
    losses = m.fit(A, VALUES, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    m.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert repr(twin) == repr(m)
    np.testing.assert_array_equal(twin.predict(A), m.predict(A))
    np.testing.assert_array_equal(m.freeze(20)(A), m.predict(A))


# ---- several inputs and outputs in training ----


class Pair(nn.Module):
    """A hand-written module with two inputs and two outputs."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.left, self.right, self.kind = nn.Linear(3, 1), nn.Linear(2, 3), kind

    def forward(self, a: Any, b: Any) -> Any:
        y = self.left(a), self.right(b)
        return dict(zip(("price", "kind"), y, strict=True)) if self.kind is dict else self.kind(y)


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_hand_written_modules_with_several_inputs_and_outputs(kind: Any) -> None:
    m = Pair(kind)
    losses = [fastnn.losses.MeanSquaredError(), fastnn.nn.CrossEntropyLoss()]
    m.compile(fastnn.optim.SGD(lr=0.1), losses if kind is not dict else dict(zip(("price", "kind"), losses, strict=True)))
    y = [VALUES, LABELS] if kind is not dict else {"kind": LABELS, "price": VALUES}
    history = m.fit([A, B], y, epochs=4, verbose=0, validation_data=({"a": A, "b": B}, y)).history
    names = ("price", "kind") if kind is dict else ("output_1", "output_2")
    assert list(history)[:3] == ["loss", f"{names[0]}_loss", f"{names[1]}_loss"]
    assert history["loss"][-1] < history["loss"][0] and f"val_{names[0]}_loss" in history
    out = m.predict((A, B))
    assert type(out) is kind and m.predict((A, B), batch_size=7)[0 if kind is not dict else "price"].shape == (20, 1)


def test_a_forward_that_takes_a_list_or_dict() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = fastnn.Dense(1), fastnn.Dense(1)

        def call(self, inputs: Any) -> Any:
            a, b = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
            return self.a(a) + self.b(b)

    m = Both()
    m.compile("sgd", "mse")
    m.fit([A, B], VALUES, verbose=0)
    np.testing.assert_array_equal(m.predict([A, B]), m.predict({"b": B, "a": A}))


def test_recorded_training_of_a_graph_is_eager_bit_for_bit() -> None:
    recorded, eager = compiled(two_by_two()), compiled(two_by_two())
    eager.set_weights(recorded.get_weights())
    eager._ours = lambda: False
    weights = {"price": np.linspace(0, 2, 20), "kind": None}
    kwargs: dict[str, Any] = {"batch_size": 8, "epochs": 4, "shuffle": False, "verbose": 0, "sample_weight": weights}
    histories = [m.fit([A, B], [VALUES, LABELS], **kwargs).history for m in (recorded, eager)]
    assert histories[0] == histories[1]
    for a, b in zip(recorded.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for _ in range(5):
        assert recorded.train_on_batch([A, B], [VALUES, LABELS]) == eager.train_on_batch([A, B], [VALUES, LABELS])
    (step,) = recorded._compiled.batch_steps.values()
    assert step.recorded is not None and next(iter(eager._compiled.batch_steps.values())).recorded is None


def test_losses_weights_and_logs_are_the_sum_of_the_outputs() -> None:
    m = compiled(two_by_two(), loss_weights=[0.25, 3.0])
    price, kind = m.predict([A, B])
    mse = ((price - VALUES) ** 2).mean()
    cross = -np.log(kind[np.arange(20), LABELS]).mean()
    logs = m.evaluate([A, B], {"price": VALUES, "kind": LABELS}, return_dict=True)
    assert list(logs) == ["loss", "price_loss", "kind_loss", "kind_accuracy"]
    assert logs["price_loss"] == pytest.approx(mse, rel=1e-5) and logs["kind_loss"] == pytest.approx(cross, rel=1e-5)
    assert logs["loss"] == pytest.approx(0.25 * mse + 3 * cross, rel=1e-5)
    assert logs["kind_accuracy"] == pytest.approx((kind.argmax(1) == LABELS).mean())
    w = np.linspace(0, 1, 20)
    one = m.test_on_batch([A, B], [VALUES, LABELS], sample_weight=w, return_dict=True)
    each = m.test_on_batch([A, B], [VALUES, LABELS], sample_weight=[w, None], return_dict=True)
    assert one["price_loss"] == each["price_loss"] == pytest.approx((((price - VALUES) ** 2)[:, 0] * w).mean(), rel=1e-5)
    assert each["kind_loss"] == pytest.approx(cross, rel=1e-5) != one["kind_loss"]


def test_an_output_without_a_loss_is_not_trained() -> None:
    m = two_by_two()
    m.compile("sgd", ["mse", None])
    before = m.kind.kernel.numpy().copy()
    for y in ([VALUES, None], {"price": VALUES}, [VALUES]):
        assert list(m.fit([A, B], y, verbose=0).history) == ["loss"]
    np.testing.assert_array_equal(m.kind.kernel.numpy(), before)
    m.compile("sgd", {"price": "mse"}, {"kind": "accuracy"})
    assert list(m.fit([A, B], [VALUES, LABELS], verbose=0).history) == ["loss", "kind_accuracy"]


def test_one_loss_for_all_and_early_stopping_by_an_output() -> None:
    a = fastnn.Input((3,))
    m = fastnn.Model(a, [fastnn.Dense(1, name="p")(a), fastnn.Dense(1, name="q")(a)])
    m.compile("adam", "mse", [["mae"], ["mae"]])
    stop = fastnn.callbacks.EarlyStopping("val_q_mae", patience=1)
    h = m.fit(A, [VALUES, VALUES], epochs=3, validation_split=0.2, verbose=0, callbacks=[stop]).history
    assert {"p_loss", "q_loss", "p_mae", "val_q_mae"} <= set(h) and stop._direction() == "min"
    assert m.profile(A, [VALUES, VALUES], print_fn=None).rows


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
    mixed[1].weight = nn.parameter.TransposedParameter(mixed[0].kernel)
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


# ---- frozen models ----


def test_frozen_graphs() -> None:
    m = two_by_two()
    f = m.freeze(batch_size=20)
    want = m.predict([A, B])
    for got in (f([A, B]), f(A, B), f({"a": A, "b": B}), pickle.loads(pickle.dumps(f))([A, B])):
        for y, v in zip(got, want, strict=True):
            np.testing.assert_array_equal(y, v)
    one = m.freeze()
    assert one([A[0], B[0]])[0].shape == (1, 1)
    assert Pair(dict).freeze(20, input_shape=[(3,), (2,)])(A, B)["kind"].shape == (20, 3)
    assert Pair(dict).freeze(20, input_shape={"a": 3, "b": (2,)})(A, B)["kind"].shape == (20, 3)
    with pytest.raises(ValueError, match=r"b has shape \(19, 2\), but it was frozen for \(20, 2\)"):
        f([A, B[:19]])
    with pytest.raises(ValueError, match="3 entries; wanted 2: a, b"):
        f(A, B, B)


def test_threads_call_one_frozen_graph() -> None:
    m = two_by_two()
    f = m.freeze(5)
    parts = [slice(5 * i, 5 * i + 5) for i in range(4)]
    want = [m.predict([A[p], B[p]]) for p in parts]

    def call(i: int) -> bool:
        return all((y == v).all() for _ in range(200) for y, v in zip(f([A[parts[i]], B[parts[i]]]), want[i], strict=True))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(4)))


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


# ---- errors ----


def sym(*shape: int) -> Any:
    return fastnn.Input(shape=shape, name="x")


def fit(**kwargs: Any) -> Any:
    m = compiled(two_by_two(), **kwargs)
    return lambda x, y, **more: m.fit(x, y, verbose=0, **more)


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "unconnected": (lambda: fastnn.Model(sym(3), fastnn.Dense(1)(sym(3))), ValueError, "'x'.* is not among the inputs"),
    "unused input": (
        lambda: (lambda x: fastnn.Model([x, fastnn.Input((2,), name="z")], x))(sym(3)),
        ValueError,
        "'z' leads to none",
    ),
    "no outputs": (lambda: fastnn.Model(sym(3), []), ValueError, "no outputs"),
    "outputs of numbers": (lambda: fastnn.Model(sym(3), [3.0]), TypeError, "outputs has a float"),
    "inputs of numbers": (lambda: fastnn.Model(3, sym(3)), TypeError, "inputs has a int"),
    "an input twice": (lambda: (lambda x: fastnn.Model([x, x], x))(sym(3)), ValueError, "each once"),
    "two inputs of one name": (lambda: (lambda x, y: fastnn.Model([x, y], x + y))(sym(3), sym(3)), ValueError, "different ones"),
    "neither": (lambda: fastnn.Model(), TypeError, "no inputs and outputs"),
    "float": (lambda: float(sym(3)), TypeError, "float: .* is symbolic"),
    "bool": (lambda: bool(sym(3)), TypeError, "bool: .* is symbolic"),
    "numpy": (lambda: np.asarray(sym(3)), TypeError, "is symbolic"),
    "operation": (lambda: fastnn.relu(sym(3)), TypeError, "is symbolic"),
    "with a Tensor": (lambda: fastnn.tensor([1.0]) + sym(3), TypeError, "is symbolic"),
    "with an array": (lambda: A + sym(3), TypeError, "add: a symbol and a ndarray"),
    "layers in a layer": (lambda: fastnn.Add()([sym(3), A]), TypeError, "a symbol and a ndarray came together"),
    "iteration": (lambda: list(sym(3)), TypeError, "iteration: .* is symbolic"),
    "features": (lambda: fastnn.Dense(2, input_shape=(4,))(sym(3)), ValueError, "3 features .*built for 4"),
    "batch axis": (lambda: sym(3)[0], TypeError, "first axis of a symbol is the batch"),
    "mask": (lambda: sym(3)[:, [1, 2]], TypeError, "whole numbers and slices"),
    "shapes of a sum": (lambda: sym(3) + sym(2), ValueError, r"add: symbols of shapes \(None, 3\) and \(None, 2\)"),
    "lost batch": (lambda: type("M", (nn.Module,), {"forward": lambda s, x: x.sum()})()(sym(3)), ValueError, "is not the batch"),
    "no tensor": (lambda: type("M", (nn.Module,), {"forward": lambda s, x: 3})()(sym(3)), TypeError, "returned a int"),
    "Input without shape": (lambda: fastnn.Input(), ValueError, "no shape"),
    "Input of size 0": (lambda: fastnn.Input((0,)), ValueError, "Input: shape is 0"),
    "get_layer": (lambda: two_by_two().get_layer("no"), ValueError, "there is no layer 'no'; there are: shared"),
    "one merge input": (lambda: fastnn.Add()([fastnn.tensor(A)]), ValueError, "1 inputs came, wanted two or more"),
    "a Tensor to merge": (lambda: fastnn.Add()(fastnn.tensor(A)), ValueError, "wanted a list of inputs"),
    "three to subtract": (lambda: fastnn.Subtract()([A, A, A]), ValueError, "3 inputs came, wanted 2"),
    "merge shapes": (lambda: fastnn.Multiply()([A, B]), ValueError, r"Multiply: inputs of shapes \(20, 3\) and \(20, 2\)"),
    "merge ranks": (lambda: fastnn.Add()([A, A[0]]), ValueError, "as many dimensions"),
    "merge dtypes": (lambda: fastnn.Add()([fastnn.tensor(A), fastnn.tensor(A.astype("d"))]), TypeError, "one dtype"),
    "concatenate shapes": (lambda: fastnn.Concatenate(axis=1)([A, A[:3]]), ValueError, "differ in more than axis 1"),
    "concatenate batch": (lambda: fastnn.Concatenate(axis=0), ValueError, "0 is the batch"),
    "concatenate -2": (lambda: fastnn.Concatenate(axis=-2)([A, A]), ValueError, "is the batch"),
    "dot shapes": (lambda: fastnn.Dot()([A, B]), ValueError, "two of one shape"),
    "dot axes": (lambda: fastnn.Dot(axes=2), ValueError, "axes is 2"),
    "residual": (lambda: fastnn.Residual(fastnn.Dense(2))(A), ValueError, r"make shape \(20, 2\) of \(20, 3\)"),
    "number of inputs": (lambda: two_by_two().predict([A]), ValueError, "x has 1 entries; wanted 2: a, b"),
    "one array": (lambda: two_by_two().predict(A), ValueError, "x is a ndarray; wanted a list, tuple or dict of 2: a, b"),
    "input shape": (lambda: two_by_two()([A, A]), ValueError, r"b has shape \(20, 3\), wanted \(n, 2\)"),
    "missing input": (lambda: two_by_two().predict({"a": A}), ValueError, r"missing keys \['b'\]"),
    "unknown input": (lambda: two_by_two().predict({"a": A, "b": B, "c": B}), ValueError, r"unknown keys \['c'\]"),
    "input lengths": (lambda: fit()([A, B[:9]], [VALUES, LABELS]), ValueError, r"x\['a'\] has 20 samples, but x\['b'\] has 9"),
    "target lengths": (lambda: fit()([A, B], [VALUES, LABELS[:9]]), ValueError, r"y\['kind'\] has 9"),
    "number of targets": (lambda: fit()([A, B], [VALUES]), ValueError, "y has 1 entries; wanted 2: price, kind"),
    "one target": (lambda: fit()([A, B], VALUES), ValueError, "y is a ndarray"),
    "missing target": (lambda: fit()([A, B], {"price": VALUES}), ValueError, r"y\['kind'\] is missing"),
    "unknown target": (lambda: fit()([A, B], {"price": VALUES, "sort": LABELS}), ValueError, r"unknown keys \['sort'\]"),
    "labels": (lambda: fit()([A, B], [VALUES, LABELS + 1]), ValueError, r"y\['kind'\]\[2\] is 3"),
    "weights": (lambda: fit()([A, B], [VALUES, LABELS], sample_weight=[np.ones(20)] * 3), ValueError, "sample_weight has 3"),
    "class weights": (lambda: fit()([A, B], [VALUES, LABELS], class_weight={0: 1}), ValueError, "models with one output"),
    "number of losses": (lambda: fit(loss=["mse"])([A, B], [VALUES, LABELS]), ValueError, "loss has 1 entries; wanted 2"),
    "unknown loss": (lambda: fit(loss={"prize": "mse"})([A, B], [VALUES, LABELS]), ValueError, r"unknown keys \['prize'\]"),
    "no loss": (lambda: fit(loss=[None, None])([A, B], [VALUES, LABELS]), ValueError, "no output has a loss"),
    "loss name": (lambda: fit(loss=["mse", "crossentropie"]), ValueError, "unknown loss"),
    "metrics": (lambda: fit(metrics=["mae"])([A, B], [VALUES, LABELS]), ValueError, "metrics has 1 entries"),
    "loss weights": (lambda: fit(loss_weights=[1, 2, 3])([A, B], [VALUES, LABELS]), ValueError, "loss_weights has 3"),
    "loss weight": (lambda: fit(loss_weights=[1, "x"])([A, B], [VALUES, LABELS]), ValueError, "loss_weights of kind"),
    "two losses, one output": (
        lambda: fastnn.Sequential([fastnn.Dense(1)]).compile("sgd", ["mse", "mse"]) or _fit_one(["mse", "mse"]),
        ValueError,
        "2 entries",
    ),
    "forward's arguments": (lambda: Pair(dict).predict([A]), ValueError, "1 inputs; Pair.forward takes a, b"),
    "forward's names": (lambda: Pair(dict).predict({"a": A, "c": B}), ValueError, "forward takes a, b"),
    "list of layers": (lambda: nn.ModuleList([3]), TypeError, "int came, wanted a module"),
    "name of a layer": (lambda: nn.ModuleDict({"fit": nn.ReLU()}), KeyError, "cannot be a name"),
    "list index": (lambda: nn.ModuleList()[0], IndexError, "index 0 of 0"),
    "no parameter": (lambda: two_by_two().get_parameter("x"), AttributeError, "no parameter 'x'"),
    "name of a property": (lambda: setattr(nn.Module(), "weights", nn.Parameter([1.0])), AttributeError, "property of modules"),
    "buffer": (lambda: _buffer().__setattr__("mean", 3), TypeError, "mean is a buffer"),
    "weight twice": (lambda: (lambda s: s.build((3,)) or s.build((3,)))(Scale(1)), ValueError, "a parameter 'offset' already"),
}


def _fit_one(loss: Any) -> None:
    m = fastnn.Sequential([fastnn.Dense(1)])
    m.compile("sgd", loss)
    m.fit(A, VALUES)


def _buffer() -> nn.Module:
    m = nn.Sequential()
    m.register_buffer("mean", [1.0])
    return m


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input(case: str) -> None:
    f, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        f()
