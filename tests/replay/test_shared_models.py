"""Models, captured functions and frozen models that several threads use at once, and that a process forks with."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import unavailable

X = np.random.default_rng(0).random((16, 4)).astype("f4")
Y = np.random.default_rng(1).random((16, 2)).astype("f4")


@pytest.fixture(autouse=True)
def many_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls return, each on a thread of its own; raises what they raise."""
    start, results, errors = threading.Barrier(len(calls)), [None] * len(calls), []

    def run(i: int) -> None:
        start.wait()
        try:
            results[i] = calls[i]()
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a call hangs"
    if errors:
        raise errors[0]
    return results


class Lazy(nn.Module):
    def build(self, input_shape: Any) -> None:
        self.a = self.add_weight((input_shape[-1], 2))
        self.inner = fastnn.Dense(2)

    def forward(self, x: Any) -> Any:
        return self.inner(x @ self.a)


@pytest.mark.parametrize(
    "make", [Lazy, lambda: fastnn.Sequential([fastnn.Dense(8, activation="relu"), fastnn.PReLU(), fastnn.Dense(3)])]
)
def test_threads_that_call_a_new_model_find_one_set_of_weights(make: Callable[[], Any]) -> None:
    for _ in range(20):
        model = make()
        a, b, c = at_once(*[lambda model=model: model(X).numpy()] * 3)
        assert np.array_equal(a, b) and np.array_equal(a, c) and np.array_equal(a, model(X).numpy())


def test_threads_that_call_a_captured_function_get_their_own_results() -> None:
    function = fastnn.capture(lambda x: (x * 2 + 1).sum(axis=1))

    def calls(first: int) -> None:
        for n in range(first, first + 100):
            x = np.full((5 + n % 2, 3), n, np.float32)
            assert np.array_equal(function(fastnn.tensor(x)).numpy(), (x * 2 + 1).sum(axis=1))

    at_once(*[lambda i=i: calls(1000 * i) for i in range(3)])
    assert not function.captured.eager  # type: ignore[attr-defined]


def test_threads_that_call_a_captured_step_take_all_steps() -> None:
    p = nn.Parameter(np.zeros(3, np.float32))
    optimizer = fastnn.optim.SGD([p], lr=1.0)

    @fastnn.capture
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (p * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    def calls() -> None:
        for n in range(100):
            step(fastnn.tensor(np.full(3, 1 + n % 2, np.float32)))

    at_once(calls, calls)
    assert p.numpy().tolist() == [-300.0] * 3 and not step.captured.eager  # type: ignore[attr-defined]


def test_a_captured_function_may_call_itself() -> None:
    @fastnn.capture
    def power(x: Any, n: int) -> Any:
        return x if n == 0 else x * power(x, n - 1)

    for _ in range(4):
        assert power(fastnn.tensor([2.0, 3.0]), 2).tolist() == [8.0, 27.0]


def test_predict_beside_fit() -> None:
    """Weights of different steps may mix in it, but none that never were; afterwards it gives what the model gives."""
    for _ in range(4):
        model = fastnn.Sequential([fastnn.Dense(16, activation="relu", input_shape=(4,)), fastnn.Dense(2)])
        model.compile("adam", "mse")
        done = threading.Event()

        def fit(model: Any = model, done: Any = done) -> None:
            try:
                model.fit(X, Y, batch_size=4, epochs=20, verbose=0)
            finally:
                done.set()

        def predict(model: Any = model, done: Any = done) -> None:
            while not done.is_set():
                assert np.abs(model.predict(X)).max() < 10
                assert np.abs(model(X).numpy()).max() < 10

        at_once(fit, predict)
        assert np.array_equal(model.predict(X), model(X).numpy())


def test_a_model_that_training_moves_is_predicted_from_where_it_lies() -> None:
    """The optimizer puts weights side by side while another thread records a forward pass."""

    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(4,)), fastnn.Dense(2)])
    last, plain = model.layers[-1], type(model.layers[-1]).forward
    calls = []

    def forward(x: Any) -> Any:
        calls.append(None)
        y = plain(last, x)
        if len(calls) == 2:  # the second batch is recorded
            model.compile("sgd", "mse")
            model.optimizer.add(model.parameters())
        return y

    object.__setattr__(last, "forward", forward)
    for _ in range(4):
        model.predict(X)
    model.set_weights([w + 1 for w in model.get_weights()])
    assert np.array_equal(model.predict(X), model(X).numpy())


_FORKS = """
import os, signal, sys, threading
import numpy as np, fastnn
x = np.ones((64, 100), np.float32)
m = fastnn.Sequential([fastnn.Dense(100, activation="relu", input_shape=(100,)), fastnn.Dropout(0.5), fastnn.Dense(10)])
f = m.freeze(batch_size=64)
step = fastnn.capture(lambda x: m(x, training=True).sum())
t = fastnn.tensor(x)
def work():
    while True:
        f(x), step(t)
wanted, _, predicted = f(x), [step(t) for _ in range(4)], m.predict(x)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
for i in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        right = np.array_equal(f(x), wanted) and np.array_equal(m.predict(x), predicted) and np.isfinite(step(t).item())
        fastnn.Sequential([fastnn.Dense(2)])(x)
        os._exit(0 if right else 3)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, (i, status)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")
def test_a_process_may_fork_while_threads_use_what_the_child_uses() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKS, "10"],
        env={**os.environ, "FASTNN_BACKEND": "cpp", "PYTHONPATH": str(Path(fastnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
