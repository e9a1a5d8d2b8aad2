"""Frozen models with a state that is carried from call to call."""

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest
from frozen_models import HOSTS, Cell, changed, values

import fastnn
import fastnn.nn as nn


@pytest.fixture(params=HOSTS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


def unrolled(cell: Cell, xs: Any, h: Any) -> tuple[list[Any], Any]:
    ys = []
    with fastnn.no_grad():
        for x in xs:
            result = cell(fastnn.tensor(x), fastnn.tensor(h))
            y, h = (result, result) if cell.alone else result
            ys.append(y.numpy().copy())
            h = h.numpy().copy()
    return ys, h


@pytest.mark.parametrize("names", [{"h": "output_2"}, {1: 1}, {"h": -1}])
def test_state_is_carried_from_call_to_call(backend: str, names: Any) -> None:
    cell = Cell()
    f = cell.freeze(2, input_shape=[(3,), (4,)], state=names)
    assert repr(f) == "FrozenModel(x: float32 (2, 3) -> float32 (2, 4), state h: float32 (2, 4))"
    xs, zero = values(5, 2, 3), np.zeros((2, 4), "f4")
    want, h = unrolled(cell, xs, zero)
    for _ in range(2):
        np.testing.assert_array_equal(f.state["h"], zero)
        for x, y in zip(xs, want, strict=True):
            np.testing.assert_allclose(f(x), y, rtol=1e-6)
        np.testing.assert_allclose(f.state["h"], h, rtol=1e-6)
        f.reset()
    f.state = {"h": (start := values(2, 4))}
    np.testing.assert_array_equal(f.state["h"], start)
    out = np.empty((2, 4), "f4")
    assert f(xs[0], out=out) is out
    np.testing.assert_allclose(out, unrolled(cell, xs[:1], start)[0][0], rtol=1e-6)
    f.state["h"][...] = 0  # a copy
    for copied in (copy.copy(f), pickle.loads(pickle.dumps(f))):
        np.testing.assert_array_equal(copied.state["h"], f.state["h"])
        np.testing.assert_array_equal(copied(xs[1]), copy.copy(f)(xs[1]))
    f.update(changed(cell))
    before = f.state["h"]
    np.testing.assert_allclose(f(xs[2]), unrolled(cell, xs[2:3], before)[0][0], rtol=1e-5)


class State(NamedTuple):
    h: Any
    c: Any


class Pair(nn.Module):
    """y and a state of two arrays, nested as it is given."""

    def __init__(self, outputs: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.layer, self.outputs = nn.Linear(3, 4), outputs

    def forward(self, x: Any, state: Any) -> Any:
        h, c = state
        c = c * 0.5 + self.layer(x)
        h = fastnn.tanh(h + c)
        return self.outputs(h * 2, State(h, c))


NESTED: dict[str, tuple[Callable[[Any, Any], Any], dict[Any, Any], Callable[[Any, Any, Any], Any]]] = {
    "a tuple in a tuple": (lambda y, s: (y, tuple(s)), {"state": 1}, lambda y, h, c: y),
    "each by its name": (
        lambda y, s: (y, tuple(s)), {"state_1": "output_2_1", "state_2": "output_2_2"}, lambda y, h, c: y
    ),
    "a named tuple": (lambda y, s: (y, s), {1: -1}, lambda y, h, c: y),
    "a dict": (lambda y, s: {"y": y, "new": {"h": s.h, "c": s.c}}, {"state": "new"}, lambda y, h, c: {"y": y}),
    "others stay nested": (
        lambda y, s: [(y, y + 1), s, {"h": s.h}], {"state": 1}, lambda y, h, c: [(y, y + 1), {"h": h}]
    ),
    "a part of a named tuple": (
        lambda y, s: (y, s, s), {"state_1": "output_2_h", "state_2": "output_3_c"},
        lambda y, h, c: (y, {"c": c}, {"h": h}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_nested_states(backend: str, name: str) -> None:
    outputs, state, rest = NESTED[name]
    model = Pair(outputs)
    f = model.freeze(2, input_shape=[(3,), [(4,), (4,)]], state=state)
    h = c = np.zeros((2, 4), "f4")
    layer = model.layer.freeze(2)
    for _ in range(3):
        x = values(2, 3)
        c = c * np.float32(0.5) + layer(x)
        h = np.tanh(h + c)
        got, want = (fastnn.core.tree.flatten(v) for v in (f(x), rest(h * 2, h, c)))
        assert got[0] == want[0]
        for a, b in zip(got[1], want[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(f.state["state_2"], c, rtol=1e-5, atol=1e-6)


def test_the_only_output_is_given_and_carried(backend: str) -> None:
    cell = Cell(alone=True)
    f = cell.freeze(1, input_shape=[(3,), (4,)], state={"h": 0})
    xs = values(4, 1, 3)
    for x, y in zip(xs, unrolled(cell, xs, np.zeros((1, 4), "f4"))[0], strict=True):
        np.testing.assert_allclose(f(x[0]), y[0], rtol=1e-6)  # one sample without the dimension of the batch


@pytest.mark.parametrize("dtype", ["int64", "bool", "float64"])
def test_state_of_any_dtype(backend: str, dtype: str) -> None:
    class Toggle(nn.Module):
        def forward(self, seen: Any, x: Any, total: Any) -> Any:
            total = total + x
            return {"mean": total, "seen": fastnn.logical_or(seen.astype("bool"), x > 2).astype(dtype), "total": total}

    f = Toggle().freeze(
        2, {"seen": (1,), "x": (1,), "total": (1,)}, {"seen": dtype, "x": "float32", "total": "float32"},
        state={"total": "total", "seen": "seen"},
    )  # fmt: skip
    for i, want in enumerate((1.0, 3.0, 6.0), 1):
        got = f(np.full((2, 1), i, "f4"))
        assert list(got) == ["mean"] and (got["mean"] == want).all()
    assert f.state["seen"].dtype == dtype and (f.state["seen"] == 1).all() and (f.state["total"] == 6).all()


def test_a_model_of_its_state_alone(backend: str) -> None:
    class Counter(nn.Module):
        def forward(self, n: Any) -> Any:
            return n + 1

    f = Counter().freeze(1, input_shape=1, input_dtype="int64", state={0: 0})
    assert [f().item() for _ in range(3)] == [1, 2, 3]


def test_threads_take_turns() -> None:
    """Also where calls let the GIL go: no call is lost, none reads a state that is half written."""

    class Sum(nn.Module):
        def forward(self, x: Any, total: Any) -> Any:
            return x, total + x

    for n in (2, 100_000):
        f = Sum().freeze(1, input_shape=[(n,), (n,)], state={"total": 1})
        x = np.ones((1, n), "f4")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: f(x), range(40)))  # noqa: B023
        assert (f.state["total"] == 40).all()


STATES: dict[str, tuple[Any, type[Exception], str]] = {
    "an unknown input": ({"z": 1}, ValueError, "input 'z'.*x, h"),
    "an unknown output": ({"h": "z"}, ValueError, "output 'z'.*output_1, output_2"),
    "a number": ({"h": 2}, ValueError, "output 2"),
    "another shape": ({"x": 1}, ValueError, r"output_2 is float32 \(2, 4\), but the input x .* float32 \(2, 3\)"),
    "two arrays for one": ({"h": "both"}, ValueError, "output 'both'"),
    "no dict": ("h", TypeError, "is a str"),
}


@pytest.mark.parametrize("name", STATES)
def test_wrong_states(name: str) -> None:
    state, kind, text = STATES[name]
    with pytest.raises(kind, match="freeze: state.*" + text):
        Cell().freeze(2, input_shape=[(3,), (4,)], state=state)


def test_states_that_are_set_wrongly(backend: str) -> None:
    f = Cell().freeze(2, input_shape=[(3,), (4,)], state={"h": 1})
    for wrong in ({"h": np.zeros((2, 5))}, {}, {"h": values(2, 4), "x": 1}, None, {"h": np.zeros((1, 4))}):
        with pytest.raises(ValueError, match="frozen model: state"):
            f.state = wrong
    with pytest.raises(ValueError, match="no state"):
        nn.Linear(3, 2).freeze().state = {"h": 1}
    assert nn.Linear(3, 2).freeze().state == {}
    with pytest.raises(ValueError, match="needs a batch_size"):
        Cell().freeze(None, input_shape=[(3,), (4,)], state={"h": 1})
