"""Memory that the code of a captured function changes in place: that of its arguments, and what NumPy does past the kernels."""

import gc
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn


@pytest.fixture(autouse=True)
def _host() -> Iterator[None]:
    """Computes on the host: NumPy changes no memory of a device."""
    name = fastnn.get_backend()
    with fastnn.use_backend("numpy" if name == "cupy" else name):
        yield


def _same(f: Callable[..., Any], *args: Callable[[int], Any], calls: int = 7) -> Any:
    """Calls f and its captured twin with the same arguments, which may be changed in place; returns the twin."""
    step = fastnn.capture(f)
    for i in range(calls):
        eager, captured = [a(i) for a in args], [a(i) for a in args]
        expected, got = f(*eager), step(*captured)
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
        for a, b in zip(captured, eager, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    return step.captured


def test_tensors_among_the_arguments_that_are_changed_in_place() -> None:
    def moved(x: Any, by: Any) -> Any:
        x.add_(by).mul_(2.0)
        return x * 1.0

    tensors = (lambda i: fastnn.tensor([i, 1.0]), lambda i: fastnn.tensor([1.0, 2.0]))
    assert _same(moved, *tensors)._steps

    def fails(x: Any) -> Any:
        x.fill_(3.0)
        raise KeyError("after it was changed")

    x = fastnn.zeros(2)
    with pytest.raises(KeyError):
        fastnn.capture(fails)(x)
    assert x.tolist() == [3.0, 3.0]


def _add(x: Any) -> None:
    x += 1


def _element(x: Any) -> None:
    x[0] = 5


def _view(x: Any) -> None:
    v = x[1:]
    v *= 2


def _out(x: Any) -> None:
    np.add(x, 1, out=x)


def _at(x: Any) -> None:
    np.add.at(x, [0, 0], 1)


def _method(x: Any) -> None:
    x.sort()


@pytest.mark.parametrize("change", [_add, _element, _view, _out, _at, _method])
def test_arrays_among_the_arguments_that_numpy_changes(change: Any) -> None:
    def step(x: Any) -> Any:
        change(x)
        return fastnn.tensor(x)

    with pytest.warns(RuntimeWarning, match="Python reads a value"):
        _same(step, lambda i: np.array([3.0, i, 1.0], np.float32))


def test_what_holds_no_arrays_is_the_callers_own() -> None:
    cache: dict[str, Any] = {}

    def step(x: Any, cache: dict[str, Any]) -> Any:
        cache["seen"] = cache.get("seen", 0) + 1
        return x * 2

    captured = fastnn.capture(step)
    with pytest.warns(RuntimeWarning):
        for i in range(8):
            captured(fastnn.tensor([1.0]), cache)
            assert cache == {"seen": i + 1}


class Holds:
    def __init__(self) -> None:
        self.w = fastnn.tensor([1.0, 1.0])
        self.data = fastnn.tensor([[1.0, 2.0], [3.0, 4.0]])


def _from_outside(x: Any, held: Holds) -> Any:
    held.w.data[...] = held.w.data * 2
    return x * held.w


def _intermediate(x: Any, held: Holds) -> Any:
    y = x * 2
    y.data[...] += 1
    return y * 1


def _rebound(x: Any, held: Holds) -> Any:
    y = x * 2
    y = y.data * x.shape[0]
    return fastnn.tensor(y)


def _constant(x: Any, held: Holds) -> Any:
    return fastnn.tensor((x * 1).data * 2)


def _assigned(x: Any, held: Holds) -> Any:
    held.w.data = np.float32([1.0, 3.0]) * held.w.data[0]
    return x * held.w


@pytest.mark.parametrize("f", [_from_outside, _intermediate, _rebound, _constant, _assigned])
def test_work_of_numpy_on_the_array_of_a_tensor_is_noticed(f: Any) -> None:
    step, values = fastnn.capture(f), (1.0, 1.0, 1.0, 4.0, 5.0)
    held, eager = Holds(), Holds()
    with pytest.warns(RuntimeWarning, match=r"\.data is used in _"):
        got = [step(fastnn.tensor([v, 1.0]), held).tolist() for v in values]
    assert got == [f(fastnn.tensor([v, 1.0]), eager).tolist() for v in values]


def test_work_of_numpy_in_a_loss_of_fit_is_noticed() -> None:
    def loss(y_true: Any, y_pred: Any) -> Any:
        error = (y_true - y_pred).data
        return ((y_true - y_pred) ** 2).mean() * float(np.abs(error).max())

    x = np.ones((64, 3), np.float32)
    model = nn.Sequential(nn.Linear(3, 1))
    model.compile("sgd", loss)
    with pytest.warns(RuntimeWarning, match=r"fit: steps are not recorded.*\.data is used in loss"):
        model.fit(x, x[:, :1], batch_size=2, epochs=1, verbose=0)


def test_attributes_of_that_name_are_no_arrays() -> None:
    held = Holds()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = fastnn.capture(lambda x: x @ held.data)
        for _ in range(4):
            step(fastnn.tensor([1.0, 2.0]))
    assert step.captured._steps


class Doubles(nn.Module):
    def forward(self, x: Any) -> Any:
        return fastnn.tensor(x.data * 2)


class Increments(nn.Module):
    def forward(self, x: Any) -> Any:
        y = x * 1.0
        y.data[...] += 1
        return y * 1.0


@pytest.mark.parametrize("layer", [Doubles, Increments])
def test_work_of_numpy_is_not_frozen(layer: Any) -> None:
    model = layer()
    with pytest.raises(RuntimeError, match=r"freeze: .*\.data is used in forward"):
        model.freeze(1, input_shape=(2,))
    for v in (1.0, 1.0, 3.0):
        x = np.full((1, 2), v, np.float32)
        np.testing.assert_array_equal(model.predict(x), model(fastnn.tensor(x)).numpy())


def test_a_step_that_is_not_replayed_leaves_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastnn.replay.memory.LARGE", 1 << 60)  # tracemalloc sees only memory that NumPy allocates
    model = fastnn.Sequential([fastnn.Dense(200, input_shape=(200,)) for _ in range(4)])
    model.compile("sgd", "mse")
    x = np.ones((10_000, 200), np.float32)
    used = []

    class Watch(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            used.append(tracemalloc.get_traced_memory()[0])

    gc.disable()
    tracemalloc.start()
    try:
        model.fit(x, x, batch_size=5000, epochs=2, verbose=0, callbacks=[Watch()])
    finally:
        tracemalloc.stop()
        gc.enable()
    step = 5000 * 200 * 4 * 8  # outputs of four layers, and their gradients
    assert used[0] < step / 2 < used[1], "the second step is replayed and has an arena, the first one leaves nothing"
    assert used[3] - used[1] < step / 10
