"""Host calls: functions of Python between the kernels of a recorded step, which every replay runs again."""

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current, unavailable
from fastnn.distributed import Comm
from fastnn.replay.recorder import Recorder

BACKENDS = [name for name in ("cpp", "numba", "numpy") if not unavailable(name)]
X = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32)
Y = X[:, :2] * 3


class Halving(Comm):
    """Ranks whose sum halves the array."""

    size = 2
    calls = 0

    def sum(self, array: Any) -> None:
        self.calls += 1
        array *= 0.5


def trained(wrap: Any, steps: int, accumulated: int | None = None) -> tuple[list[Any], int, Any]:
    """Train a net whose gradients a host call halves; return its weights, the number of calls, and the step."""
    fastnn.seed(1)
    model = fastnn.Sequential([nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2)])
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1, gradient_accumulation_steps=accumulated)
    optimizer.distribute = halving = Halving()

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    taken = wrap(step)
    losses = [taken(X, Y).item() for _ in range(steps)]
    return [*model.get_weights(), np.array(losses)], halving.calls, taken


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("accumulated", [None, 3])
def test_replays_run_the_host_call(backend: str, accumulated: int | None) -> None:
    with fastnn.use_backend(backend):
        eager, calls, _ = trained(lambda step: step, 10, accumulated)
        replayed, calls_replayed, step = trained(fastnn.capture, 10, accumulated)
    assert step.captured.eager == "" and step.captured._steps
    assert calls == calls_replayed == 10 // (accumulated or 1)
    for a, b in zip(eager, replayed, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_flag_decides_whether_it_runs(backend: str) -> None:
    ran: list[int] = []
    with fastnn.use_backend(backend):
        k = current()
        count, flag = k.shared_array([0], np.int64), k.shared_array([0], np.int64)

        def call() -> None:
            ran.append(int(count[0]))

        def step(k: Any) -> None:
            k.advance(count, 1)
            k.every(flag, count, 3)
            with k.when(flag) as block:
                block.host_call(call)
                block.advance(count, 10)

        step(k)
        recorder = Recorder(k)
        step(recorder)
        plan = k.plan(recorder.calls, recorder.flags)
        plan.run(7)
        # Each third count, after which the block has added 10.
        assert ran == [3, 15, 27, 39] and count[0] == 49
        assert len(plan.profile(3)) == 4


def test_many_replays_in_one_call_and_times() -> None:
    k = current()
    counted, places = k.shared_array([0], np.int64), list[int]()

    def call() -> None:
        places.append(int(counted[0]))

    recorder = Recorder(k)
    recorder.advance(counted, 1)
    recorder.host_call(call)
    recorder.advance(counted, 1)
    recorder.host_call(call)
    assert places == [1, 2] and [entry[0] for entry in recorder.signature] == ["advance", "host_call"] * 2
    plan = k.plan(recorder.calls)
    plan.run(2)
    assert places == [1, 2, 3, 4, 5, 6]
    k.run_in_turn(((plan, 1), (k.plan(recorder.calls[:1]), 2)), 2)
    assert places[6:] == [7, 8, 11, 12] and counted[0] == 14
    assert len(plan.profile(5)) == 4 and len(places) == 20


def test_other_functions_are_other_steps() -> None:
    signatures = []
    for fn in (print, print, len):
        recorder = Recorder(current())
        with current().when(np.zeros(1, np.int64)) as k:
            k.host_call(fn)  # does not run
        with recorder.when(np.zeros(1, np.int64)) as k:
            k.host_call(fn)
        signatures.append(recorder.signature)
    assert signatures[0] == signatures[1] != signatures[2]


class Calling(fastnn.Layer):
    def forward(self, x: Any) -> Any:
        current().host_call(print)
        return x


def test_frozen_models_have_no_host_calls() -> None:
    model = fastnn.Sequential([nn.Linear(5, 2), Calling()])
    with pytest.raises(Exception, match="no place for a host call"):
        model.freeze(4)
