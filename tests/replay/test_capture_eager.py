"""Functions under capture that cannot be recorded: they stay as they are, with one warning that says why."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn


def test_trap_branches_on_values_stay_eager() -> None:
    @fastnn.capture
    def step(x: Any) -> Any:
        return x * 2 if x.sum().item() > 0 else x * 3

    with pytest.warns(RuntimeWarning, match=r"step is not recorded.*item\(\).*test_capture_eager.py:\d+"):
        assert step(fastnn.tensor([1.0])).item() == 2
    for v in (1.0, -1.0, 1.0, -1.0):
        assert step(fastnn.tensor([v])).item() == (2 * v if v > 0 else 3 * v)


@pytest.mark.parametrize(
    "leave",
    [
        lambda t: t.item(),
        lambda t: float(t),
        lambda t: bool(t > 0),
        lambda t: t.numpy(),
        lambda t: np.asarray(t),
        lambda t: t.tolist(),
        lambda t: t.__dlpack__(),
    ],
)
def test_values_that_leave_make_the_recording_void_once(leave: Callable[..., Any]) -> None:
    step = fastnn.capture(lambda x: (leave(x), x * 2)[1])
    with pytest.warns(RuntimeWarning, match="Python reads a value"):
        step(fastnn.tensor([1.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for v in range(4):
            assert step(fastnn.tensor([float(v)])).item() == 2 * v


def test_trap_numpy_on_an_array_argument_stays_eager() -> None:
    step = fastnn.capture(lambda x: fastnn.tensor(x / 255) * 2)
    with pytest.warns(RuntimeWarning, match="numpy.divide"):
        step(np.array([255.0], np.float32))
    for v in (0.0, 255.0, 510.0):
        assert step(np.array([v], np.float32)).item() == 2 * v / 255


def test_trap_a_counter_in_the_closure_stays_eager() -> None:
    count = [0]

    @fastnn.capture
    def step(x: Any) -> Any:
        count[0] += 1
        return x * float(count[0])

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(1, 12):
            assert step(fastnn.tensor([1.0])).item() == i
    assert ["count[0] is changed" in str(w.message) or "count is changed" in str(w.message) for w in caught] == [True]


def test_trap_random_arrays_made_inside_stay_eager() -> None:
    generator = np.random.default_rng(0)
    made = []

    @fastnn.capture
    def step(x: Any) -> Any:
        made.append(generator.standard_normal(1).astype(np.float32))
        return x + fastnn.tensor(made[-1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for _ in range(10):
            assert step(fastnn.tensor([0.0])).item() == made[-1][0]


def test_trap_another_backend_inside() -> None:
    model = nn.Linear(2, 1)
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
    other = "cupy" if fastnn.get_backend() == "cupy" else "numpy"  # the others cannot use arrays of the GPU

    @fastnn.capture
    def step(x: Any, y: Any) -> Any:
        with fastnn.use_backend(other):
            optimizer.zero_grad()
            loss = nn.MSELoss()(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

    x, y = np.ones((1, 2), np.float32), np.full((1, 1), 3, np.float32)
    with pytest.warns(RuntimeWarning, match="use_backend"):
        losses = [step(x, y).item() for _ in range(6)]
    assert losses == sorted(losses, reverse=True) and len(set(losses)) == 6


def test_trap_fit_and_predict_inside() -> None:
    model = fastnn.Sequential([nn.Linear(2, 1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2), np.float32), np.full((4, 1), 3, np.float32)
    for f in (lambda: model.train_on_batch(x, y), lambda: model.fit(x, y, verbose=0).history["loss"][0]):
        step = fastnn.capture(f)
        with pytest.warns(RuntimeWarning, match="train_on_batch|fit"):
            losses = [step() for _ in range(6)]
        assert len(set(losses)) == 6
    step = fastnn.capture(lambda x: model.predict(x))
    with pytest.warns(RuntimeWarning, match="predict"):
        step(x)
    np.testing.assert_array_equal(step(x * 2), model.predict(x * 2))


READS: dict[str, Callable[[Any, Any], Any]] = {
    "element": lambda x, s: fastnn.tensor(x) * s[0],
    "float": lambda x, s: fastnn.tensor(x) * float(s[0]),
    "branch": lambda x, s: fastnn.tensor(x) * (2.0 if s[0] > 3 else 1.0),
    "fancy index": lambda x, s: fastnn.tensor(x[s.astype(int) % 3]),
    "method": lambda x, s: fastnn.tensor(x) * float(s.sum()),
    "asarray": lambda x, s: fastnn.tensor(np.asarray(s) * 2),
    "iteration": lambda x, s: fastnn.tensor(x) * sum(v for v in s),
    "list": lambda x, s: fastnn.tensor(list(s)),
    "stack": lambda x, s: fastnn.tensor(np.concatenate([s, s])),
    "arithmetic": lambda x, s: fastnn.tensor(s + 1),
}


@pytest.mark.parametrize("read", READS)
def test_trap_whatever_reads_an_array_argument_stays_eager(read: str) -> None:
    f = READS[read]
    step = fastnn.capture(f)
    x = np.array([1, 2, 3], np.float32)
    with pytest.warns(RuntimeWarning, match="Python reads a value"):
        step(x, np.array([2, 2], np.float32))
    for v in (2, 2, 5, 2):
        s = np.array([v, v], np.float32)
        np.testing.assert_array_equal(step(x, s).numpy(), f(x, s).numpy())
