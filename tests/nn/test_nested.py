"""Nested inputs and outputs, everywhere that models take and give several: graphs, hand-written forwards, fit, files, freeze."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.autograd.tensor import Tensor
from fastnn.core import tree

rng = np.random.default_rng(0)
N = 8
X, H, C = (rng.standard_normal((N, n)).astype(np.float32) for n in (3, 2, 2))
Y = rng.standard_normal((N, 1)).astype(np.float32)


class State(NamedTuple):
    h: Any
    c: Any


@pytest.fixture(autouse=True)
def _seeded() -> None:
    fastnn.seed(0)


class Cell(nn.Module):
    """A step of a recurrent network: x and (h, c) give (y, (h, c))."""

    def __init__(self, state: Any = tuple) -> None:
        super().__init__()
        self.inner, self.out, self.state = fastnn.Dense(2), fastnn.Dense(1), state

    def forward(self, x: Any, state: Any) -> Any:
        h, c = state
        c = c + self.inner(fastnn.concatenate([x, h], 1)).tanh()
        made = (c.tanh(), c)
        return self.out(c), self.state(made) if self.state is tuple else self.state(*made)


def graph(nest: Any = tuple) -> fastnn.Model:
    x, h, c = fastnn.Input((3,), name="x"), fastnn.Input((2,), name="h"), fastnn.Input((2,), name="c")
    both = fastnn.Concatenate()([x, h])
    c1 = fastnn.Add(name="c1")([c, fastnn.Dense(2, "tanh")(both)])
    h1 = fastnn.Activation("tanh", name="h1")(c1)
    y = fastnn.Dense(1, name="y")(h1)
    if nest is dict:
        return fastnn.Model({"x": x, "state": {"h": h, "c": [c]}}, {"y": y, "state": {"h": h1, "c": [c1]}})
    return fastnn.Model([x, (h, c)], (y, (h1, c1)))


def nested(kind: Any) -> Any:
    return {"x": X, "state": {"h": H, "c": [C]}} if kind is dict else [X, (H, C)]


def leaves(value: Any) -> list[Any]:
    return tree.flatten(value)[1]


def same(a: Any, b: Any) -> None:
    assert tree.flatten(a)[0] == tree.flatten(b)[0]
    for one, other in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [tuple, dict])
def test_graphs(kind: Any, tmp_path: Any) -> None:
    m = graph(kind)
    data = nested(kind)
    wanted = tree.replace(m(data), lambda t: t.numpy())
    assert tree.flatten(wanted)[0] == tree.flatten({"y": 0, "state": {"h": 0, "c": [0]}} if kind is dict else (0, (0, 0)))[0]
    for _ in range(4):  # recorded from the third call on
        same(m.predict(data), wanted)
    same(m.predict(dict(zip(m.input_names, (X, H, C), strict=True))), wanted)
    same(m.freeze(batch_size=N)(data), wanted)
    m.save(tmp_path / "m.fastnn")
    same(fastnn.load(tmp_path / "m.fastnn").predict(data), wanted)
    same(fastnn.Model.from_config(m.get_config()).input_shape, m.input_shape)
    outer = fastnn.Model(m.inputs, m(tree.unflatten(m.input_structure.tree, m.inputs)))
    same(outer.predict([X, H, C]), wanted)


@pytest.mark.parametrize("kind", [tuple, dict])
def test_training(kind: Any) -> None:
    m = graph(kind)
    targets = {"y": Y, "state": {"h": H, "c": [C]}} if kind is dict else (Y, (H, C))
    m.compile("sgd", "mse")
    history = m.fit(nested(kind), targets, epochs=3, batch_size=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] and len(history) == 4
    first = [m.train_on_batch(nested(kind), targets) for _ in range(3)]
    assert first[-1][0] < first[0][0]
    assert np.isfinite(m.evaluate(nested(kind), targets, verbose=0)).all()
    m.compile("sgd", {"y": "mse"} if kind is dict else ["mse", None])
    history = m.fit(nested(kind), {"y": Y} if kind is dict else [Y], epochs=2, verbose=0).history
    assert list(history) == ["loss"] and history["loss"][1] < history["loss"][0]


def test_batches_from_an_iterable() -> None:
    torch = pytest.importorskip("torch")
    m = graph()
    m.compile("sgd", "mse")

    def batches(make: Any) -> Any:
        return iter([([make(X), (make(H), make(C))], (make(Y), (make(H), make(C))))] * 2)

    losses = [m.fit(batches(make), verbose=0).history["loss"][0] for make in (np.array, torch.tensor, np.array)]
    assert losses[2] < losses[1] < losses[0]
    named = State(torch.tensor(H), torch.tensor(C))
    assert np.isfinite(m.fit(iter([([X, named], (Y, named))]), verbose=0).history["loss"][0])


def test_lists_and_tuples_that_take_turns_have_their_own_steps() -> None:
    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = fastnn.Dense(1)

        def forward(self, x: Any, state: Any) -> Any:
            return self.inner(x) * (1.0 if isinstance(state, tuple) else 0.0)

    m = Kinds()
    m.compile(fastnn.optim.SGD(lr=0.0), "mse")
    both = [[m.train_on_batch([X, kind([H, C])], Y) for kind in (tuple, list)] for _ in range(3)]
    assert both[0] == both[1] == both[2] and both[0][0] != both[0][1]


def test_a_hand_written_forward(tmp_path: Any) -> None:
    m = Cell()
    wanted = m(fastnn.tensor(X), (fastnn.tensor(H), fastnn.tensor(C)))
    for _ in range(4):
        same(m.predict([X, (H, C)]), wanted)
    same(m.freeze(batch_size=N, input_shape=[(3,), ((2,), (2,))])(X, (H, C)), wanted)
    m.compile("sgd", ["mse", None])
    assert np.isfinite(m.fit([X, (H, C)], [Y, None], verbose=0).history["loss"][0])
    assert fastnn.gradcheck(Cell(), [X, (H, C)])


def test_a_hand_written_layer_in_a_graph() -> None:
    x, h, c = fastnn.Input((3,)), fastnn.Input((2,)), fastnn.Input((2,))
    cell = Cell(State)
    y, state = cell(x, (h, c))
    assert isinstance(state, State) and state.h.shape == (None, 2)
    y, state = cell(x, state)
    m = fastnn.Model([x, (h, c)], {"y": y, "state": state})
    made = m([X, (H, C)])
    tensors = [fastnn.tensor(a) for a in (X, H, C)]
    _, again = cell(tensors[0], tuple(tensors[1:]))
    wanted = cell(tensors[0], again)
    same(made, {"y": wanted[0], "state": wanted[1]})
    assert m.output_names == ["y", "state_h", "state_c"]
    h1, c1 = fastnn.Dense(2)(h), fastnn.Dense(2)(c)
    named = fastnn.Model([h, c], State(h1, c1))
    assert isinstance(named.predict([H, C]), State)
    with pytest.raises(TypeError, match="save: a State of inputs or outputs cannot be saved"):
        named.get_config()


def test_captured_functions() -> None:
    cell = Cell()

    def step(batch: Any) -> Any:
        y, state = cell(batch["x"], State(*batch["state"]))
        return {"y": y.detach(), "state": [State(*(s.detach() for s in state)), None]}

    captured = fastnn.capture(step)
    for i in range(5):
        batch = {"x": fastnn.tensor(X + i), "state": (fastnn.tensor(H), fastnn.tensor(C - i))}
        same(captured(batch), step(batch))
    assert not captured.captured.eager


ERRORS = {
    "kind": (lambda m: m([X, H]), ValueError, r"x\[1\] is a ndarray; wanted a list, tuple or dict of 2: h, c"),
    "number": (lambda m: m([X, (H,)]), ValueError, r"x\[1\] has 1 entries; wanted 2: h, c"),
    "name": (lambda m: m.predict({"x": X, "h": H, "z": C}), ValueError, r"unknown keys \['z'\]; wanted a dict with: x, h, c"),
    "target": (lambda m: m.fit([X, (H, C)], [Y, (H, C, C)], verbose=0), ValueError, r"fit: y\[1\] has 3 entries; wanted 2"),
    "shape": (lambda m: m([X, (H, X)]), ValueError, r"c has shape \(8, 3\), wanted \(n, 2\)"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_name_the_place(case: str) -> None:
    m = graph()
    m.compile("sgd", "mse")
    f, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        f(m)


def test_forwards_that_return_something_else_are_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            return {"y": x, "state": (x, [3])}

    with pytest.raises(TypeError, match=r"odd: forward returned a int at outputs\['state'\]\[1\]\[0\]; wanted a Tensor"):
        Odd()(fastnn.Input((3,)))
    inner, outer = fastnn.Input((3,)), fastnn.Input((3,))
    with pytest.raises(TypeError, match=r"Model: outputs\['a'\]\[1\] is a int; wanted symbols"):
        fastnn.Model(inner, {"a": (inner, 3)})
    with pytest.raises(TypeError, match="a symbol and a int came together"):
        Odd()([inner, (outer, 3)])


def test_what_changes_its_form_is_an_error() -> None:
    class Fickle(nn.Module):
        many = True

        def forward(self, x: Any) -> Any:
            return (x, (x, x)) if self.many else (x, x)

    layer, i = Fickle(), fastnn.Input((3,))
    y, (a, b) = layer(i)
    m = fastnn.Model(i, [y, a, b])
    layer.many = False
    with pytest.raises(ValueError, match=r"fickle: the output\[1\] is a Tensor; wanted a tuple of 2"):
        m(X)


def test_none_is_no_value() -> None:
    class Maybe(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2, None

    i = fastnn.Input((3,))
    y, nothing = Maybe()(i)
    assert nothing is None
    m = fastnn.Model(i, (y, None))
    made = m(X)
    assert isinstance(made[0], Tensor) and made[1] is None


@pytest.mark.parametrize(
    "damaged", [None, [None], {"tuple": [0, None]}, {"dict": [0]}, {"tuple": {}}, {"list": [0]}, {}, [99], [[-1]], ["0"]]
)
def test_damaged_places_are_refused(damaged: Any) -> None:
    config = graph().get_config()
    for broken in ({**config, "outputs": damaged}, {**config, "input_kind": damaged}):
        with pytest.raises(ValueError):
            fastnn.Model.from_config(broken)
