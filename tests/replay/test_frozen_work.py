"""What frozen models and the recorded predict take over: dtypes, several inputs and outputs, random numbers, buffers, state."""

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


class Net(nn.Module):
    """A forward pass from a function of the module and its inputs."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self.fn = fn
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Any) -> Any:
        return self.fn(self, x)


def values(dtype: str, shape: tuple[int, ...]) -> Any:
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.integers(0, 9, shape) if dtype == "int64" else rng.standard_normal(shape).astype(dtype)


# ---- dtypes ----

DTYPES = ("float32", "float64", "int64", "bool")


@pytest.mark.parametrize("batch_size", [1, 3, 70])
@pytest.mark.parametrize("to", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_input_and_output_have_their_own_dtypes(backend: str, dtype: str, to: str, batch_size: int) -> None:
    """Wider and narrower outputs: memory of the wrong size would be overrun."""
    f = Net(lambda _, x: x.astype(to)).freeze(batch_size, (5,), dtype)
    for _ in range(3):
        x = values(dtype, (batch_size, 5))
        got = f(x)
        assert got.dtype == to
        np.testing.assert_array_equal(got, x.astype(to))
        room = np.full(batch_size * 5 + 64, 1, to)
        out = room[32:-32].reshape(batch_size, 5)
        assert f(x, out=out) is out
        np.testing.assert_array_equal(out, got)
        assert (room[:32] == 1).all() and (room[-32:] == 1).all()


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(rng.standard_normal((10, 4)).astype("f4"))

    def forward(self, ids: Any) -> Any:
        return fastnn.take(self.table, ids, 0).sum(axis=1)


class Half(nn.Module):
    def forward(self, on: Any) -> Any:
        return on.astype("float32") * 0.5


def taken_for_fastnn_s(layer: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    """predict records layers of fastnn alone."""
    monkeypatch.setattr(layer, "__module__", "fastnn.nn.lookup")
    monkeypatch.setattr(layer.forward, "__module__", "fastnn.nn.lookup")


@pytest.mark.parametrize("kind", ["int64", "bool"])
def test_predict_records_inputs_of_other_dtypes(backend: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = {"int64": Lookup, "bool": Half}[kind]
    taken_for_fastnn_s(layer, monkeypatch)
    x = fastnn.Input((3,), dtype=kind)
    model = fastnn.Model(x, layer()(x))
    for rows in (4, 4, 4, 1, 1, 1):
        given = values(kind, (rows, 3))
        with fastnn.no_grad():
            want = model(fastnn.tensor(given), training=False).numpy()
        got = model.predict(given)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-6)
    assert model._predicted[1]
    np.testing.assert_allclose(model.freeze()(given), want, rtol=1e-6)


class Heads(nn.Module):
    def forward(self, scores: Any, on: Any) -> Any:
        return {"scores": scores, "best": scores.argmax(-1), "off": fastnn.logical_not(on)}


def mixed() -> fastnn.Model:
    """Three inputs of three dtypes; a dict of three outputs of three dtypes."""
    fastnn.seed(0)
    ids, x = fastnn.Input((2,), dtype="int64", name="ids"), fastnn.Input((3,), name="x")
    on = fastnn.Input((1,), dtype="bool", name="on")
    scores = fastnn.Dense(4)(fastnn.Concatenate()([Lookup()(ids), x]))
    return fastnn.Model([ids, x, on], Heads()(scores, on))


def test_several_inputs_and_outputs_of_mixed_dtypes(backend: str) -> None:
    model = mixed()
    f = model.freeze(6)
    text = "ids: int64 (6, 2), x: float32 (6, 3), on: bool (6, 1) -> scores: float32 (6, 4), best: int64 (6,), off: bool (6, 1)"
    assert repr(f) == f"FrozenModel({text})"
    for g in (f, copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        given = [values(dtype, (6, n)) for dtype, n in (("int64", 2), ("float32", 3), ("bool", 1))]
        want = model.predict(given)
        for got in (g(*given), g(given), g(dict(zip(("ids", "x", "on"), given, strict=True)))):
            for name, dtype in (("scores", "float32"), ("best", "int64"), ("off", "bool")):
                assert got[name].dtype == dtype
                np.testing.assert_array_equal(got[name], want[name])
        out = {name: np.empty_like(a) for name, a in want.items()}
        assert g(*given, out=out) is out
        for name, a in want.items():
            np.testing.assert_array_equal(out[name], a)


def test_the_recorded_predict_of_several(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    for layer in (Lookup, Heads):
        taken_for_fastnn_s(layer, monkeypatch)
    model = mixed()
    x = [[values(dtype, (6, n)) for dtype, n in (("int64", 2), ("float32", 3), ("bool", 1))] for _ in range(5)]
    want = [model.predict(a, batch_size=6) for a in x]
    for a, expected in zip(x, want, strict=True):
        for given in (a, {"x": a[1], "ids": a[0], "on": a[2]}):
            for _ in range(3):
                got = model.predict(given)
                assert got.keys() == expected.keys()
                for name in got:
                    np.testing.assert_array_equal(got[name], expected[name])
            assert model._predicted[1]


def test_inputs_of_a_hand_written_model(backend: str) -> None:
    class Pick(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 4)

        def forward(self, x: Any, action: Any) -> Any:
            q = self.linear(x)
            return fastnn.gather(q, 1, action), q.argmax(1)

    model = Pick()
    f = model.freeze(5, input_shape=[(3,), (1,)], input_dtype=["float32", "int64"])
    x, action = values("float32", (5, 3)), rng.integers(0, 4, (5, 1))
    with fastnn.no_grad():
        q, best = model(fastnn.tensor(x), fastnn.tensor(action))
    value, policy = f(x, action)
    np.testing.assert_allclose(value, q.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(policy, best.numpy())


def test_single_samples_in_any_form(backend: str) -> None:
    f = Net(lambda m, x: m.linear(x)).freeze(input_shape=3)
    x = values("float32", (1, 3))
    for given in (x[0], x[0].astype("f8"), x[0].tolist(), fastnn.tensor(x[0])):
        np.testing.assert_array_equal(f(given), f(x)[0])
    out = np.empty(4, "f4")
    np.testing.assert_array_equal(f(x[0].tolist(), out=out), f(x)[0])
    total = Net(lambda m, x: x.sum()).freeze(3, input_shape=2)
    assert total(np.ones((3, 2), "f4")).shape == () and total(np.ones((3, 2), "f4")) == 6


ids = np.zeros((2, 3), np.int64)
BAD: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "shape": (lambda f: f(ids[:1]), ValueError, r"x has shape \(1, 3\), but it was frozen for \(2, 3\), int64"),
    "fractions": (lambda f: f(ids + 0.5), ValueError, r"x\[0, 0\] is 0.5; wanted whole numbers of int64"),
    "NaN": (lambda f: f(ids + np.nan), ValueError, r"x\[0, 0\] is nan; wanted whole numbers"),
    "too large": (lambda f: f(ids.astype("u8") + np.uint64(2**63)), ValueError, r"x\[0, 0\] is 9223372036854775808; wanted"),
    "strings": (lambda f: f(["a"]), TypeError, "x holds strings"),
    "two": (lambda f: f(ids, ids), TypeError, "got 2 arguments, wanted x"),
    "out's dtype": (
        lambda f: f(ids, out=np.empty((2, 4), "i8")),
        ValueError,
        r"out is int64 \(2, 4\), wanted .* of float32 \(2, 4\)",
    ),
    "out's shape": (lambda f: f(ids, out=np.empty((4, 2), "f4")), ValueError, r"out is float32 \(4, 2\), wanted"),
    "out's order": (
        lambda f: f(ids, out=np.empty((4, 2), "f4").T),
        ValueError,
        r"out is float32 \(2, 4\) and not C-contiguous, wanted",
    ),
    "out is a list": (lambda f: f(ids, out=[]), ValueError, "out is a list, wanted"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_named(backend: str, name: str) -> None:
    call, kind, text = BAD[name]
    f = Lookup().freeze(2, 3, "int64")
    assert f(ids.astype("f4")).shape == f(ids.astype(np.longlong)).shape == f(ids.astype(">i4")).shape == (2, 4)
    with pytest.raises(kind, match="frozen model: " + text):
        call(f)


def test_several_outputs_do_not_fit(backend: str) -> None:
    f = Net(lambda _, x: (x, x > 0)).freeze(2, 3)
    x, good = values("float32", (2, 3)), np.empty((2, 3), bool)
    for out, text in (
        ([good], "out has 1 entries; wanted 2: output_1, output_2"),
        ((x, x), r"out\['output_2'\] is float32 \(2, 3\), wanted .* bool \(2, 3\)"),
        (good, "out is a ndarray; wanted a list, tuple or dict of 2"),
    ):
        with pytest.raises(ValueError, match="frozen model: " + text):
            f(x, out=out)
    for dtype in ("uint8", "complex64", "x"):
        with pytest.raises(TypeError, match=r"freeze: input_dtype: .* there are: float32"):
            Lookup().freeze(2, 3, dtype)
    with pytest.raises(TypeError, match="the model's output 'output_2' is a float, wanted a Tensor"):
        Net(lambda _, x: (x, 1.0)).freeze(2, 3)


# ---- random numbers ----

NOISY: dict[str, Callable[..., Any]] = {
    "randn_like": lambda m, x: m.linear(x) + fastnn.randn_like(m.linear(x)),
    "rand": lambda m, x: x + fastnn.rand(*x.shape),
    "randint": lambda m, x: fastnn.randint(0, 1 << 40, x.shape),
    "a sampled action": lambda m, x: (fastnn.softmax(m.linear(x)).cumsum(1) > fastnn.rand(len(x), 1)).argmax(1),
    "dropout": lambda m, x: m.drop(x + 1, training=True),
    "normal_": lambda m, x: x + nn.init.normal_(fastnn.zeros_like(x)),
}


@pytest.mark.parametrize("name", NOISY)
def test_random_numbers_are_drawn_anew(backend: str, name: str) -> None:
    model = Net(NOISY[name])
    model.drop = nn.Dropout(0.5)
    x = np.ones((40, 3), "f4")

    def calls(f: Any, n: int = 5) -> list[Any]:
        return [f(x) for _ in range(n)]

    f = model.freeze(40, 3, seed=7)
    first = calls(f)
    assert all((a != b).any() for i, a in enumerate(first) for b in first[:i])
    np.testing.assert_array_equal(first, calls(model.freeze(40, 3, seed=7)))
    np.testing.assert_array_equal(first, calls(copy.deepcopy(f)))  # which begins again
    assert (np.array(first) != calls(model.freeze(40, 3, seed=8))).any()
    fastnn.seed(5)
    a, b = model.freeze(40, 3), model.freeze(40, 3)
    of_a, of_b = calls(a), calls(b)
    assert (np.array(of_a) != of_b).any() and (np.array(of_a) != calls(copy.copy(a))).any()
    fastnn.seed(5)
    np.testing.assert_array_equal(of_a, calls(model.freeze(40, 3)))


def test_threads_of_a_random_model_share_its_numbers(backend: str) -> None:
    f = Net(lambda _, x: fastnn.randint(0, 1 << 60, (1, 4))).freeze(1, 3, seed=0)
    x = np.zeros((1, 3), "f4")
    alone = sorted(int(v) for _ in range(400) for v in f(x)[0])
    g = copy.copy(f)
    with ThreadPoolExecutor(4) as pool:
        together = sorted(int(v) for y in pool.map(lambda _: g(x), range(400)) for v in y[0])
    assert together == alone and len(set(alone)) == len(alone)


def test_freezing_does_not_draw_from_a_model_s_streams() -> None:
    model = Net(lambda m, x: m.drop(x, training=True))
    model.drop = nn.Dropout(0.5, seed=1)
    twin = copy.deepcopy(model)
    model.freeze(4, 3)(np.ones((4, 3), "f4"))
    x = fastnn.ones(4, 3)
    np.testing.assert_array_equal(model(x).numpy(), twin(x).numpy())


def test_the_recorded_predict_draws_anew(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Noise(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + fastnn.randn_like(x)

    taken_for_fastnn_s(Noise, monkeypatch)
    model = fastnn.Sequential([nn.Linear(3, 2), Noise()])
    x = np.ones((4, 3), "f4")

    def calls() -> list[Any]:
        return [model.predict(x) for _ in range(6)]

    calls()
    assert model._predicted[1]
    fastnn.seed(2)
    first = calls()
    assert all((a != b).all() for i, a in enumerate(first) for b in first[:i])
    fastnn.seed(2)
    np.testing.assert_array_equal(first, calls())


# ---- what a replay cannot do, and what it can ----

table = np.arange(12, dtype="f4").reshape(4, 3)


def hidden(m: Any, x: Any) -> Any:
    m.h = fastnn.tanh(x + 1 + getattr(m, "h", fastnn.zeros_like(x)))
    return m.h


def counted(m: Any, x: Any) -> Any:
    m.n = getattr(m, "n", 0) + 1
    return x * m.n


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "numpy.random": (lambda m, x: x + np.random.normal(size=x.shape).astype("f4"), r"test_frozen_work.py:\d+.*fastnn.randn"),  # noqa: NPY002
    "a generator": (lambda m, x: x + fastnn.tensor(rng.random(x.shape), "float32"), r"test_frozen_work.py:\d+.*differs"),
    "orthogonal_": (lambda m, x: x @ nn.init.orthogonal_(fastnn.zeros(3, 3)), "test_frozen_work.py.*differs from call to call"),
    "a hidden state": (hidden, "a result of the call before"),
    "a layer made in each call": (lambda m, x: nn.Dropout(0.5)(x, training=True), "changed in place"),
    "a counter": (counted, "not do the same work"),
    "a value": (lambda m, x: x * x.sum().item(), "Python reads"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_replayed_is_refused(backend: str, name: str) -> None:
    fn, text = REFUSED[name]
    with pytest.raises(RuntimeError, match="freeze: the model cannot be frozen.*" + text):
        Net(fn).freeze(4, 3)


def cached(m: Any, x: Any) -> Any:
    if not hasattr(m, "places"):
        m.places = fastnn.arange(3, dtype="float32") * 0.5
    return x + m.places


CONSTANT: dict[str, Callable[..., Any]] = {
    "an array": lambda m, x: x + table,
    "a list": lambda m, x: fastnn.where(x > 0, x, fastnn.tensor([1.0, 2.0, 3.0])),
    "made in the first call": cached,
    "a slice": lambda m, x: x[:, [0, 2]] + x[:, 1:],
}


@pytest.mark.parametrize("name", CONSTANT)
def test_constants_are_no_obstacle(backend: str, name: str) -> None:
    model = Net(CONSTANT[name])
    f = model.freeze(4, 3)
    x = values("float32", (4, 3))
    np.testing.assert_array_equal(f(x), model.predict(x))


def test_buffers_that_forward_changes(backend: str) -> None:
    """They are as they were when it was frozen, and go on from there; weights among them are read anew."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n", np.zeros(1, "f4"))
            self.register_buffer("w", np.zeros((64, 512), "f4"))

        def forward(self, x: Any) -> Any:
            self.n.copy_(self.n + 1)
            self.w.copy_(self.w + 1)
            return fastnn.ops.dense.dense(x, self.w) + self.n

    model = Counting()
    f = model.freeze(64, 64)
    x = np.ones((64, 64), "f4")
    assert [f(x)[0, 0] for _ in range(3)] == [65, 130, 195]
    assert model.n.item() == 0
