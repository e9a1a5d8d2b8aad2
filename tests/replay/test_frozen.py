"""Frozen models: equal to predict, the caller's own results, threads, pickles, errors."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)


def model(dtype: str = "float32") -> fastnn.Sequential:
    fastnn.seed(0)
    layers = [fastnn.Dense(9, activation="gelu", input_shape=(5,)), fastnn.Dropout(0.5), fastnn.Dense(4, activation="sigmoid")]
    return fastnn.Sequential([*layers, fastnn.Dense(3, activation="softmax")], dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 2, 33])
def test_equal_to_predict(batch_size: int, dtype: str) -> None:
    m = model(dtype)
    f = m.freeze(batch_size)
    assert f.batch_size == batch_size
    for _ in range(3):
        x = rng.standard_normal((batch_size, 5)).astype(dtype)
        np.testing.assert_array_equal(f(x), m.predict(x))
        assert f(x).dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(40, 512, 70), (1030, 1024, 2053), (600, 16, 1024)])
def test_packed_weights_give_the_same_bits(sizes: tuple[int, int, int], dtype: str) -> None:
    """Sizes at which products pack the weights: blocks of K, groups of columns, rests of vectors."""
    inputs, hidden, outputs = sizes
    layers = [fastnn.Dense(hidden, activation="relu", input_shape=(inputs,)), fastnn.Dense(outputs, activation="tanh")]
    m = fastnn.Sequential(layers, dtype=dtype)
    x = rng.standard_normal((70, inputs)).astype(dtype)
    f, want = m.freeze(70), m.predict(x)
    for _ in range(2):
        np.testing.assert_array_equal(f(x), want)
    with fastnn.no_grad():
        m.weights[0].fill_(0.0)
    np.testing.assert_array_equal(f(x), want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(1, 128, 129), (3, 300, 1), (131, 520, 4200), (2100, 70, 129)])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 16])
def test_packed_weights_of_few_rows_give_the_same_bits(rows: int, sizes: tuple[int, int, int], dtype: str) -> None:
    """Panels of columns with rests of vectors, rests of rows, more columns than a piece has, and a long K that is split."""
    inputs, hidden, outputs = sizes
    layers = [fastnn.Dense(hidden, activation="relu", input_shape=(inputs,)), fastnn.Dense(outputs, activation="tanh")]
    m = fastnn.Sequential(layers, dtype=dtype)
    f = m.freeze(rows)
    for _ in range(2):
        x = rng.standard_normal((rows, inputs)).astype(dtype)
        want = m(fastnn.tensor(x), training=False).numpy()
        np.testing.assert_array_equal(f(x), want)
        m.set_weights([rng.standard_normal(w.shape) for w in m.weights])
        f.update(m)


def test_weights_that_are_computed_are_not_packed() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(64, 512)

        def forward(self, x: Any) -> Any:
            return fastnn.ops.dense.dense(self.a(x), self.a(x).T)

    m = Net()
    f = m.freeze(64, input_shape=(64,))
    for _ in range(3):
        x = rng.standard_normal((64, 64)).astype(np.float32)
        np.testing.assert_array_equal(f(x), m.predict(x))


@pytest.mark.parametrize("layers", [[fastnn.Flatten(input_shape=(2, 3))], [fastnn.Flatten(input_shape=(2, 3)), nn.Linear(6, 2)]])
def test_models_that_only_reshape(layers: list[Any]) -> None:
    m = fastnn.Sequential(layers)
    f = m.freeze(4)
    x = rng.standard_normal((4, 2, 3)).astype(np.float32)
    y = f(x)
    np.testing.assert_array_equal(y, m.predict(x))
    y[:] = 7
    assert (x != 7).all()


def test_hand_written_models() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(5, 4)

        def forward(self, x: Any) -> Any:
            return fastnn.concatenate([self.a(x), x * 2], 1).max(axis=1, keepdims=True)

    m = Net()
    f = m.freeze(3, input_shape=(5,))
    x = rng.standard_normal((3, 5)).astype(np.float32)
    np.testing.assert_array_equal(f(x), m.predict(x))
    with pytest.raises(RuntimeError, match="input_shape"):
        m.freeze()


def test_a_value_that_is_read_cannot_be_frozen() -> None:
    class Net(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2 if x.sum().item() > 0 else x

    with pytest.raises(RuntimeError, match=r"cannot be frozen.*item"):
        Net().freeze(1, input_shape=(2,))


def test_results_are_the_caller_s_own_unless_out_is_given() -> None:
    f = model().freeze(2)
    x = rng.standard_normal((2, 5)).astype(np.float32)
    a, b = f(x), f(x * 2)
    assert not np.shares_memory(a, b) and (a != b).any()
    out = np.empty((2, 3), np.float32)
    assert f(x, out=out) is out
    np.testing.assert_array_equal(out, a)


@pytest.mark.parametrize("shown", [lambda x: x, lambda x: x.reshape(4, 2)], ids=["itself", "view"])
def test_out_may_be_the_memory_of_an_input(shown: Any) -> None:
    class Net(fastnn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2, shown(x)

    x = rng.standard_normal((2, 4)).astype(np.float32)
    given, other = x.copy(), np.empty(shown(x).shape, np.float32)
    Net().freeze(2, input_shape=(4,))(given, out=[given, other])
    np.testing.assert_array_equal(given, x * 2)
    np.testing.assert_array_equal(other, shown(x))


def test_single_samples() -> None:
    f = model().freeze()
    x = rng.standard_normal(5).astype(np.float32)
    assert f(x).shape == (3,) and f(x[None]).shape == (1, 3)
    np.testing.assert_array_equal(f(x), f(x[None])[0])


@pytest.mark.parametrize("backend", [b.name for b in fastnn.backends().values() if b.available])
def test_single_samples_of_one_number_each(backend: str) -> None:
    class Policy(fastnn.Module):
        def forward(self, x: Any) -> Any:
            return x.argmax(1)

    with fastnn.use_backend(backend):
        f = Policy().freeze(input_shape=(3,))
    place, out = f(np.array([1.0, 5.0, 2.0], np.float32)), np.zeros((), np.int64)
    assert place.shape == () and place.dtype == np.int64 and place == 1
    assert f(np.array([1.0, 5.0, 2.0], np.float32), out=out) is out and out == 1


def test_other_arrays_are_cast_at_the_door() -> None:
    f = model().freeze(2)
    x = rng.standard_normal((2, 5)).astype(np.float32)
    for given in (x.astype(np.float64), x.tolist(), np.asfortranarray(x), x[:, ::-1][:, ::-1]):
        np.testing.assert_allclose(f(given), f(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "kind", "text"),
    [
        (np.zeros((3, 5)), ValueError, r"shape \(3, 5\).*frozen for \(2, 5\)"),
        (np.zeros((2, 4)), ValueError, r"\(2, 4\)"),
        ("abc", TypeError, "frozen model"),
        (None, TypeError, "frozen model"),
        ([[1.0], [2.0, 3.0]], ValueError, "frozen model"),
    ],
)
def test_bad_input(x: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        model().freeze(2)(x)


def test_bad_calls() -> None:
    f = model().freeze(2)
    x = np.zeros((2, 5), np.float32)
    for out in (np.empty((2, 4), np.float32), np.empty((2, 3)), x):
        with pytest.raises(ValueError, match="out"):
            f(x, out=out)
    for call in (lambda: f(), lambda: f(x, x, x), lambda: f(x, axis=1)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(RuntimeError, match="input shape is unknown"):
        fastnn.Sequential([fastnn.Dense(2)]).freeze()
    with pytest.raises(ValueError, match="batch_size"):
        model().freeze(0)


def test_later_training_does_not_change_it() -> None:
    m = model()
    m.compile("adam", "sparse_categorical_crossentropy")
    f = m.freeze(2)
    x = rng.standard_normal((2, 5)).astype(np.float32)
    before = f(x)
    m.fit(x, [0, 1], epochs=3, verbose=0)
    np.testing.assert_array_equal(f(x), before)
    assert (m.freeze(2)(x) != before).any()
    m.fit(x, [0, 1], verbose=0)


def test_pickle() -> None:
    f = model().freeze(2)
    x = rng.standard_normal((2, 5)).astype(np.float32)
    twin = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(twin(x), f(x))


def test_several_threads_call_one() -> None:
    m = fastnn.Sequential([fastnn.Dense(64, activation="tanh", input_shape=(32,)), fastnn.Dense(16)])
    f = m.freeze(8)
    inputs = [rng.standard_normal((8, 32)).astype(np.float32) for _ in range(4)]
    expected = [m.predict(x) for x in inputs]
    wrong: list[int] = []

    def call(i: int) -> None:
        for _ in range(500):
            if (f(inputs[i]) != expected[i]).any():
                wrong.append(i)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))  # raises what a thread raised
    assert not wrong


def test_frozen_models_are_freed() -> None:
    import gc
    import weakref

    m = model()
    before = {id(o) for o in gc.get_objects() if type(o) is fastnn.Sequential}  # other tests' models among them
    f = m.freeze(2)
    x = rng.standard_normal((2, 5)).astype(np.float32)
    f(x)
    copies = [o for o in gc.get_objects() if type(o) is fastnn.Sequential and id(o) not in before]
    assert copies
    refs = [weakref.ref(o) for o in copies]
    del f, copies
    gc.collect()
    assert all(r() is None for r in refs)


def test_a_model_is_frozen_while_others_use_it() -> None:
    m = model()
    m.compile("adam", "mse")
    optimizer = m.optimizer
    with ThreadPoolExecutor(4) as pool:
        for frozen in pool.map(lambda _: m.freeze(2), range(40)):
            assert frozen.batch_size == 2
            assert m.optimizer is optimizer
