"""Frozen models go on: new weights without a new recording, batches of any size, a state that is carried from call to call."""

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

HOSTS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]
rng = np.random.default_rng(0)


@pytest.fixture(params=HOSTS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


def values(*shape: int) -> Any:
    return rng.standard_normal(shape).astype("f4")


# ---- new weights ----


class Net(nn.Module):
    """A weight that is read transposed, one that two layers share, a buffer, a slope."""

    def __init__(self, hidden: int = 4) -> None:
        super().__init__()
        self.a = nn.Linear(3, hidden)
        self.b = nn.Linear(hidden, hidden)
        self.c = nn.Linear(hidden, hidden)
        self.c.weight = self.b.weight
        self.act = nn.PReLU()
        self.register_buffer("mean", np.zeros(hidden, "f4"))

    def forward(self, x: Any) -> Any:
        return self.c(self.act(self.b(self.a(x) - self.mean))) @ self.a.weight


def changed(model: nn.Module) -> nn.Module:
    """Gives a model other values, as training does."""
    with fastnn.no_grad():
        for t in model.weights:
            t.copy_(rng.standard_normal(t.shape))
    return model


def test_update_takes_the_weights_of_a_model(backend: str) -> None:
    model = Net()
    f, x = model.freeze(2, 3), values(2, 3)
    old = f(x)
    for _ in range(3):
        changed(model)
        np.testing.assert_array_equal(f(x), old)
        f.update(model)
        old = f(x)
        np.testing.assert_array_equal(old, model.freeze(2, 3)(x))
    f.update(other := changed(Net()))
    np.testing.assert_array_equal(f(x), other.freeze(2, 3)(x))
    f.update(model.state_dict())
    np.testing.assert_array_equal(f(x), old)
    with fastnn.no_grad():
        model.a.weight.fill_(0.0)
    np.testing.assert_array_equal(f(x), old)


def test_models_that_gave_their_weights_are_freed() -> None:
    f, x = Net().freeze(2, 3), values(2, 3)
    model = changed(Net())
    f.update(model)
    f.update(model)
    want, held = f(x), [weakref.ref(t) for t in model.weights]
    del model
    gc.collect()
    assert not any(ref() for ref in held)
    np.testing.assert_array_equal(f(x), want)


@pytest.mark.parametrize("sizes", [(40, 512, 70), (64, 1024, 130)])
def test_packed_weights_are_packed_anew(sizes: tuple[int, int, int]) -> None:
    inputs, hidden, outputs = sizes
    layers = [fastnn.Dense(hidden, activation="relu", input_shape=(inputs,)), fastnn.Dense(outputs)]
    model = fastnn.Sequential(layers)
    f, x = model.freeze(70), values(70, inputs)
    for _ in range(2):
        changed(model)
        f.update(model)
        np.testing.assert_array_equal(f(x), model.predict(x))


def test_copies_have_their_own_weights(backend: str) -> None:
    model = Net()
    f, x = model.freeze(2, 3), values(2, 3)
    twin, old = copy.copy(f), f(x)
    f.update(changed(model))
    np.testing.assert_array_equal(twin(x), old)
    for copied in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        np.testing.assert_array_equal(copied(x), f(x))
        copied.update(changed(Net()))
    np.testing.assert_array_equal(f(x), model.freeze(2, 3)(x))


def test_buffers_that_forward_changes_take_the_new_values(backend: str) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n", np.zeros(1, "f4"))

        def forward(self, x: Any) -> Any:
            self.n.copy_(self.n + 1)
            return x + self.n

    model = Counting()
    f, x = model.freeze(1, 1), np.zeros((1, 1), "f4")
    assert [f(x).item() for _ in range(3)] == [1, 2, 3]
    with fastnn.no_grad():
        model.n.fill_(10.0)
    f.update(model)
    assert [f(x).item() for _ in range(3)] == [11, 12, 13]
    assert model.n.item() == 10


def renamed(model: Any) -> None:
    model.d, model.a = model.a, None


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a weight's size": (lambda m: Net(5), r"a.weight is float32 \(5, 3\), wanted float32 \(4, 3\)"),
    "a layer's class": (lambda m: setattr(m, "act", nn.ReLU()), "layer act is a ReLU, wanted a PReLU"),
    "one more layer": (lambda m: setattr(m, "d", nn.ReLU()), "layer d is a ReLU, wanted nothing"),
    "one less parameter": (lambda m: setattr(m.a, "bias", None), r"a.bias is missing, wanted float32 \(4,\)"),
    "a buffer": (lambda m: m.register_buffer("mean", np.zeros(4)), r"mean is float64 \(4,\), wanted float32 \(4,\)"),
    "no tie": (lambda m: setattr(m.c, "weight", nn.Linear(4, 4).weight), "weights are not tied or ordered as it was frozen"),
    "another order": (
        lambda m: setattr(m.c, "weight", nn.ParameterView(m.b.kernel)),
        "weights are not tied or ordered as it was frozen",
    ),
    "data": (lambda m: setattr(m.act.weight, "data", np.zeros(1)), r"act.weight is float64 \(1,\), wanted float32 \(1,\)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_structures_are_refused(change: str) -> None:
    make, text = CHANGES[change]
    f, x, model = Net().freeze(2, 3), values(2, 3), Net()
    f.update(model)
    old = f(x)
    model = make(model) or model
    with pytest.raises(ValueError, match=f"update: .*{text}.*"):
        f.update(model)
    np.testing.assert_array_equal(f(x), old)


def test_settings_of_layers_are_compared() -> None:
    model = fastnn.Sequential([fastnn.Dense(2, activation="relu", input_shape=(3,)), nn.Dropout(0.5)])
    f = model.freeze()
    model.layers[1].rate = 0.1  # which does nothing in evaluation
    f.update(model)
    model.layers[0].activation = "tanh"
    with pytest.raises(ValueError, match=r"update: .*activation.*freeze the model anew"):
        f.update(model)


def test_functions_are_the_same_where_their_code_is() -> None:
    def made() -> fastnn.Sequential:
        return fastnn.Sequential([fastnn.Dense(2, activation=lambda t: t * 2, input_shape=(3,))])

    f, x, other = made().freeze(), values(1, 3), made()
    f.update(other)
    np.testing.assert_array_equal(f(x), other.predict(x))
    with pytest.raises(ValueError, match="activation"):
        f.update(fastnn.Sequential([fastnn.Dense(2, activation=lambda t: t * 3, input_shape=(3,))]))


def test_what_is_no_model_is_refused() -> None:
    f = Net().freeze(2, 3)
    for wrong in (nn.Linear(3, 4), [1, 2], None):
        with pytest.raises(TypeError, match=r"update: a .* came, wanted a Net"):
            f.update(wrong)
    with pytest.raises(KeyError, match="missing"):
        f.update({})
    with pytest.raises(ValueError, match=r"mean has shape \(3,\)"):
        f.update({**Net().state_dict(), "mean": np.zeros(3)})


@pytest.mark.parametrize("size", [4, 600])
@pytest.mark.parametrize("batch_size", [2, None])
def test_a_call_sees_the_old_or_the_new_weights(backend: str, batch_size: int | None, size: int) -> None:
    """Small calls keep the GIL and large ones let it go; each output shows whether weights were mixed."""
    if backend != "cpp" and size > 4:
        pytest.skip("calls take turns there, whatever their size")
    model = fastnn.Sequential([nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)])

    def fill(value: float) -> nn.Module:
        with fastnn.no_grad():
            for p in model.parameters():
                p.fill_(value)
        return model

    f = fill(1.0).freeze(batch_size)
    x, done, wrong = np.ones((2, size), "f4"), threading.Event(), []

    def call() -> None:
        while not done.is_set():
            y = f(x)
            if not ((y == size**2).all() or (y == 4 * size**2).all()):
                wrong.append(y)

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(call) for _ in range(2)]
        for i in range(60):
            f.update(fill(1.0 + i % 2))
        done.set()
        for c in calls:
            c.result()
    assert not wrong
    assert (f(x) == 4 * size**2).all()


# ---- any batch size ----


class Centered(nn.Module):
    """Reduces over the batch: rows that were padded would show."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        y = self.layer(x)
        return {"y": y - y.mean(axis=0, keepdims=True), "most": y.max(axis=0)}


def test_batches_of_any_size(backend: str) -> None:
    model = Centered()
    f = model.freeze(None, 3)
    assert repr(f) == "FrozenModel(x: float32 (None, 3) -> y: float32 (None, 2), most: float32 (2,))"
    assert f.batch_size is None
    for g in (f, copy.copy(f), pickle.loads(pickle.dumps(f))):
        for rows in (1, 5, 2, 33, 5, 1):
            x = values(rows, 3)
            want = model.freeze(rows, 3)(x)
            for got in (g(x), g(x.astype("f8")), g(x.tolist())):
                np.testing.assert_array_equal(got["y"], want["y"])
                np.testing.assert_array_equal(got["most"], want["most"])
            out = {name: np.empty_like(a) for name, a in want.items()}
            assert g(x, out=out) is out
            np.testing.assert_array_equal(out["y"], want["y"])
    single = values(3)
    assert f(single)["y"].shape == (2,)
    np.testing.assert_array_equal(f(single)["y"], f(single[None])["y"][0])


def test_new_weights_reach_all_sizes(backend: str) -> None:
    model = Centered()
    f = model.freeze(batch_size=None, input_shape=3)
    xs = [values(rows, 3) for rows in (1, 4, 7)]
    for x in xs[:2]:
        f(x)
    f.update(changed(model))
    for x in xs:
        np.testing.assert_array_equal(f(x)["y"], model.freeze(len(x), 3)(x)["y"])


def test_only_the_last_sizes_are_kept() -> None:
    from fastnn.replay.frozen_batches import MOST_SIZES

    f = nn.Linear(3, 2).freeze(None)
    for rows in [*range(1, MOST_SIZES + 9), 1, 2]:
        assert f(values(rows, 3)).shape == (rows, 2)
    assert len(f._sizes) == MOST_SIZES and len(f._by_shape) <= MOST_SIZES + 1


def test_a_bound_and_other_shapes() -> None:
    f = nn.Linear(3, 2).freeze(batch_size=None, max_batch_size=4)
    assert f(values(4, 3)).shape == (4, 2)
    with pytest.raises(ValueError, match=r"5 samples came.*max_batch_size=4"):
        f(values(5, 3))
    with pytest.raises(ValueError, match=r"x has shape \(4, 2\), but it was frozen for \(n, 3\)"):
        f(values(4, 2))
    both = Cell().freeze(None, input_shape=[(3,), (4,)])
    assert [y.shape for y in both(values(5, 3), values(5, 4))] == [(5, 4), (5, 4)]
    with pytest.raises(ValueError, match=r"h has shape \(2, 4\), wanted \(5, 4\), float32, with as many samples as x"):
        both(values(5, 3), values(2, 4))
    for call in (lambda: f(), lambda: f(values(4, 3), values(4, 3))):
        with pytest.raises(TypeError, match="arguments came"):
            call()
    with pytest.raises(ValueError, match="max_batch_size is for batch_size=None"):
        nn.Linear(3, 2).freeze(4, max_batch_size=4)
    with pytest.raises(ValueError, match="max_batch_size"):
        nn.Linear(3, 2).freeze(None, max_batch_size=0)


def test_what_cannot_be_frozen_is_found_at_once() -> None:
    class Reads(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * x.sum().item()

    with pytest.raises(RuntimeError, match="cannot be frozen"):
        Reads().freeze(None, 3)


def test_random_numbers_go_on_over_sizes(backend: str) -> None:
    class Noise(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + fastnn.randn_like(x)

    def calls() -> list[Any]:
        f = Noise().freeze(None, 1, seed=3)
        return [f(np.zeros((rows, 1), "f4")) for rows in (1, 4, 1, 4)]

    got = calls()
    assert len({float(a[0, 0]) for a in got}) == 4
    for a, b in zip(got, calls(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sizes_are_recorded_from_any_thread_as_they_were_frozen() -> None:
    """Whatever block the thread is in: another backend, training, a step that is recorded."""
    model = fastnn.Sequential([nn.Linear(3, 2), nn.Dropout(0.5)])
    f = model.freeze(None)
    want = model.predict(x := values(6, 3))
    with fastnn.use_backend("numpy"):
        np.testing.assert_array_equal(f(x), want)
    with ThreadPoolExecutor(4) as pool:
        for rows, y in zip((3, 4) * 8, pool.map(lambda rows: f(x[:rows]), (3, 4) * 8), strict=True):
            np.testing.assert_array_equal(y, model.predict(x[:rows]))


# ---- carried state ----


class Cell(nn.Module):
    """h = tanh(x W + h U)."""

    def __init__(self, size: int = 4, alone: bool = False) -> None:
        super().__init__()
        self.w, self.u = nn.Linear(3, size), nn.Linear(size, size)
        self.alone = alone

    def forward(self, x: Any, h: Any) -> Any:
        h = fastnn.tanh(self.w(x) + self.u(h))
        return h if self.alone else (h * 2, h)


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
