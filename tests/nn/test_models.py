"""Functional models and merging layers."""

import copy
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import LABELS, VALUES, A, B, Pair, by_hand, compiled, two_by_two

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)

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
            return {"left": x * 2, "right": (x[:, :2] + y).max(axis=1, keepdims=True)}

    a, b = fastnn.Input((3,)), fastnn.Input((2,))
    parts = Split()(a, b)
    assert parts["left"].shape == (None, 3) and parts["right"].shape == (None, 1)
    m = fastnn.Model([a, b], fastnn.Dense(1)(fastnn.Concatenate()([parts["left"], parts["right"]])))
    m.compile("sgd", "mse")
    assert np.isfinite(m.fit([A, B], VALUES, verbose=0).history["loss"][0])
    with pytest.raises(TypeError, match=r"Split is not one of .* layers, and not registered"):
        m.get_config()


def test_an_input_that_a_call_makes_too_is_the_one_that_is_given() -> None:
    class Twice(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2, x * 3

    x = fastnn.Input((3,), name="x")
    double, triple = Twice()(x)
    m = fastnn.Model([x, double], [double - triple, triple])
    for got, want in zip(m.predict([A, 0 * A]), (-3 * A, 3 * A), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)


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
            return fastnn.take(self.rows, i, 0)

    i, x = fastnn.Input((), dtype="int64", name="i"), fastnn.Input((5,), name="x")
    m = fastnn.Model([i, x], Table()(i) * x)
    m.compile("sgd", "mse")
    index = np.arange(20) % 5
    x_values = rng.standard_normal((20, 5)).astype(np.float32)
    np.testing.assert_array_equal(m.predict([index, x_values]), np.eye(5, dtype=np.float32)[index] * x_values)
    m.fit([index.astype(np.int16), x_values], x_values, verbose=0)


def test_a_graph_in_sequential_and_in_a_captured_step(tmp_path: Path) -> None:
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((2,), name="b")
    inner = fastnn.Model([a, b], fastnn.Dense(4)(fastnn.Concatenate()([a, b])))
    m = fastnn.Sequential([inner, nn.ReLU(), fastnn.Dense(1)])
    np.testing.assert_array_equal(m([A, B]).numpy(), m.predict({"b": B, "a": A}))
    np.testing.assert_array_equal(m.freeze(20)([A, B]), m.predict([A, B]))
    m.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    np.testing.assert_array_equal(twin.predict([A, B]), m.predict([A, B]))
    losses = []
    for model, wrap in ((m, fastnn.capture), (twin, lambda step: step)):
        optimizer = fastnn.optim.Adam(model.parameters(), lr=0.1)

        def train_step(x: Any, y: Any, t: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = nn.MSELoss()(model([x, y]), t)
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(train_step)
        losses.append([step(*map(fastnn.tensor, (A, B, VALUES))).item() for _ in range(5)])
        assert wrap is not fastnn.capture or not step.captured.eager
    assert losses[0] == losses[1]


def test_one_input_may_come_in_a_list() -> None:
    x = fastnn.Input((3,))
    y = fastnn.Dense(1)(x)
    alone, listed = fastnn.Model(x, y), fastnn.Model([x], [y])
    for data in (A, [A], A.tolist(), {x.name: A}):
        np.testing.assert_allclose(alone.predict(data), listed.predict(data)[0], rtol=1e-6)


def test_what_is_not_finite_is_named_by_the_layer() -> None:
    m = compiled(two_by_two())
    with fastnn.no_grad():
        m.price.kernel.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="output of layer price"):
        m.fit([A, B], [VALUES, LABELS], check_finite=True, verbose=0)


def test_a_model_that_shares_layers_with_another_trains_its_own() -> None:
    maker, judge = fastnn.Sequential([fastnn.Dense(3, input_shape=(2,))]), fastnn.Sequential([fastnn.Dense(1, input_shape=(3,))])
    z = fastnn.Input((2,))
    both = fastnn.Model(z, judge(maker(z)))
    judge.compile("adam", "mse")
    judge.train_on_batch(A, VALUES)
    judge.trainable = False
    both.compile("adam", "mse")
    before = [m.get_weights()[0] for m in (maker, judge)]
    both.fit(B, VALUES, verbose=0)
    changed = [(m.get_weights()[0] != w).any() for m, w in zip((maker, judge), before, strict=True)]
    assert changed == [True, False]


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


# ---- frozen models ----


def test_frozen_graphs() -> None:
    m = two_by_two()
    f = m.freeze(batch_size=20)
    want = m.predict([A, B])
    for got in (f([A, B]), f(A, B), f({"a": A, "b": B}), pickle.loads(pickle.dumps(f))([A, B])):
        for y, v in zip(got, want, strict=True):
            np.testing.assert_array_equal(y, v)
    one = m.freeze()
    assert one([A[0], B[0]])[0].shape == (1,) and one([A[:1], B[:1]])[0].shape == (1, 1)
    x = fastnn.Input((3,))
    alone = fastnn.Model([x], {"y": fastnn.Dense(2)(x)})
    for got in (alone.freeze(20)([A]), alone.freeze(20)(A), alone.freeze(20, input_shape=[(3,)])({x.name: A})):
        np.testing.assert_array_equal(got["y"], alone.predict(A)["y"])
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


# ---- errors ----


def sym(*shape: int) -> Any:
    return fastnn.Input(shape=shape, name="x")


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "unconnected": (lambda: fastnn.Model(sym(3), fastnn.Dense(1)(sym(3))), ValueError, "'x'.* is not among the inputs"),
    "unused input": (
        lambda: (lambda x: fastnn.Model([x, fastnn.Input((2,), name="z")], x))(sym(3)),
        ValueError,
        "none of the outputs depends on the input 'z'",
    ),
    "no outputs": (lambda: fastnn.Model(sym(3), []), ValueError, "no outputs"),
    "outputs of numbers": (lambda: fastnn.Model(sym(3), [3.0]), TypeError, r"outputs\[0\] is a float"),
    "inputs of numbers": (lambda: fastnn.Model(3, sym(3)), TypeError, "inputs is a int"),
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
    "features": (lambda: fastnn.Dense(2, input_shape=(4,))(sym(3)), ValueError, r"\(None, 3\), wanted \(n, 4\)"),
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
    "merge ranks": (lambda: fastnn.Add()([A, A[0]]), ValueError, "the same number of dimensions"),
    "merge dtypes": (lambda: fastnn.Add()([fastnn.tensor(A), fastnn.tensor(A.astype("d"))]), TypeError, "one dtype"),
    "concatenate shapes": (lambda: fastnn.Concatenate(axis=1)([A, A[:3]]), ValueError, "differ in more than axis 1"),
    "concatenate batch": (lambda: fastnn.Concatenate(axis=0), ValueError, "0 is the batch"),
    "concatenate -2": (lambda: fastnn.Concatenate(axis=-2)([A, A]), ValueError, "is the batch"),
    "dot shapes": (lambda: fastnn.Dot()([A, B]), ValueError, "two of one shape"),
    "dot axes": (lambda: fastnn.Dot(axes=2), ValueError, "axes is 2"),
    "residual": (lambda: fastnn.Residual(fastnn.Dense(2))(A), ValueError, r"change the shape from \(20, 3\) to \(20, 2\)"),
    "number of inputs": (lambda: two_by_two().predict([A]), ValueError, "x has 1 entries; wanted 2: a, b"),
    "one array": (lambda: two_by_two().predict(A), ValueError, "x is a ndarray; wanted a list, tuple or dict of 2: a, b"),
    "input shape": (lambda: two_by_two()([A, A]), ValueError, r"b has shape \(20, 3\), wanted \(n, 2\)"),
    "missing input": (lambda: two_by_two().predict({"a": A}), ValueError, r"missing keys \['b'\]"),
    "unknown input": (lambda: two_by_two().predict({"a": A, "b": B, "c": B}), ValueError, r"unknown keys \['c'\]"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input(case: str) -> None:
    f, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        f()
