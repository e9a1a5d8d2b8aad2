"""Memory of recorded steps: arrays that are never in use at the same time share it, and replays are still equal to eager."""

import sys
import weakref
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current, recording
from fastnn.replay import arena
from fastnn.replay.arena import STEP, Use, in_arena, layout
from fastnn.replay.memory import OFTEN
from fastnn.replay.recorder import Recorder

LAYERS, BATCH, WIDTH = 10, 32, 64
X = np.random.default_rng(0).standard_normal((5, BATCH, WIDTH)).astype(np.float32)


def deep() -> tuple[nn.Module, Any]:
    """Returns a deep net, and a training step of it that returns its loss and its first output."""
    fastnn.seed(3)
    model = fastnn.Sequential([fastnn.Dense(WIDTH, activation="tanh", input_shape=(WIDTH,)) for _ in range(LAYERS)])
    optimizer = fastnn.optim.Adam(model.parameters(), lr=1e-3)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        first = model[0](x)
        y = first
        for layer in model[1:]:
            y = layer(y)
        loss = ((y - x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach(), first.detach()

    return model, step


def test_a_recorded_step_needs_less_memory_than_its_arrays_and_computes_the_same() -> None:
    eager, step = deep()
    recorded, captured = deep()
    captured = fastnn.capture(captured)
    for x in X:
        for a, b in zip(step(fastnn.tensor(x)), captured(fastnn.tensor(x)), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(eager.get_weights(), recorded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    ((plan,),) = captured.captured._steps.values()
    outputs_and_gradients = 2 * LAYERS * X[0].nbytes
    assert 0 < plan.arena_bytes < 0.75 * outputs_and_gradients


@pytest.mark.parametrize(
    "settings", [{}, {"global_clipnorm": 0.1}, {"gradient_accumulation_steps": 2}, {"use_ema": True}], ids=str
)
def test_fit_computes_the_same_as_eager_steps(settings: dict[str, Any]) -> None:
    results = []
    for eager in (False, True):
        model, _ = deep()
        model.compile(fastnn.optim.Adam(lr=1e-3, **settings), "mse", metrics=["mae"])
        x = X.reshape(-1, WIDTH)
        history = model.fit(x, x, batch_size=BATCH, epochs=2, verbose=0, check_finite=eager)  # such steps are not recorded
        results.append([*model.get_weights(), *map(np.array, history.history.values())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def places(overlaps: bool) -> list[int]:
    """Returns where two arrays lie in an arena that are written one after the other, and the size of the arena."""
    k = current()
    recorder = Recorder(k)
    with recording(recorder):
        own: Any = current()
        a, b = own.empty(1000, np.float32), own.empty(1000, np.float32)
        if overlaps:
            with own.overlap():
                own.fill(a, 1.0)
        else:
            own.fill(a, 1.0)
        own.fill(b, 2.0)
    calls, nbytes = in_arena(recorder, recorder.calls, recorder.overlapping, ())
    return [*(k.address(args[0]) for _, args in calls), nbytes]


def test_calls_that_overlap_with_later_ones_share_no_memory_with_them() -> None:
    a, b, nbytes = places(overlaps=False)
    assert a == b
    assert nbytes < 5000
    a, b, nbytes = places(overlaps=True)
    assert abs(a - b) >= 4000
    assert nbytes >= 8000


def test_arrays_that_others_use_stay_where_they_are() -> None:
    k = current()
    given = k.empty(100, np.float32)
    recorder = Recorder(k, (given,))
    with recording(recorder):
        own: Any = current()
        read, held, other = (own.empty(100, np.float32) for _ in range(3))
        own.fill(held, 1.0)
        own.cast(other, read, 0)
        own.cast(other, held, 0)
        own.cast(given, other, 0)
    calls, _ = in_arena(recorder, recorder.calls, (), recorder.memory.blocks[2:3])
    moved = {k.address(a) for _, args in calls for a in args if hasattr(a, "shape")}
    assert {k.address(given), k.address(read), k.address(held)} <= moved
    assert k.address(other) not in moved


def test_the_memory_of_a_recording_is_freed_before_its_arena_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[tuple[int, int]] = []

    def held(self: Recorder) -> Any:
        blocks.extend(weakref.ref(b.root) for b in self.memory.blocks[self.inputs :] if b.root is not None)
        return own_held(self)

    def aligned(k: Any, *args: Any) -> Any:
        k.wait()  # a device may still run the recorded step
        alive.append((len(blocks), sum(block() is not None for block in blocks)))
        return own_aligned(k, *args)

    own_held, own_aligned = Recorder.held, arena.aligned
    blocks: list[Any] = []
    monkeypatch.setattr(arena, "aligned", aligned)
    monkeypatch.setattr(Recorder, "held", held)
    model, _ = deep()
    model.compile("sgd", "mse")
    model.fit(X.reshape(-1, WIDTH), X.reshape(-1, WIDTH), batch_size=BATCH, epochs=1, verbose=0)
    ((of_step, left),) = alive
    assert of_step > 2 * LAYERS
    assert left == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_two_arrays_overlap_in_memory_and_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    uses = []
    for _ in range(60):
        first = int(rng.integers(100))
        uses.append(Use(int(rng.integers(1, 100_000)), first, first + int(rng.integers(30))))
    offsets, nbytes = layout(uses)
    for i, (a, p) in enumerate(zip(uses, offsets, strict=True)):
        assert p % STEP == 0
        assert p + a.nbytes <= nbytes
        for b, q in zip(uses[:i], offsets[:i], strict=True):
            together = a.first <= b.last and b.first <= a.last
            assert not (together and p < q + b.nbytes and q < p + a.nbytes)
    live = max(sum(u.nbytes for u in uses if u.first <= t <= u.last) for t in range(130))
    assert nbytes < 1.3 * live


def test_a_step_without_memory_of_its_own_has_an_empty_arena() -> None:
    assert layout([]) == ([], 0)


def on_the_host() -> Any:
    """Returns a block that computes on the host: the system takes no memory back from a device."""
    name = fastnn.get_backend()
    return fastnn.use_backend("numpy" if name == "cupy" else name)


def test_a_recording_gives_back_the_memory_of_arrays_that_the_step_has_dropped() -> None:
    with on_the_host():
        recorder = Recorder(current())
        with recording(recorder):
            own: Any = current()
            shape = (OFTEN // 4,)
            kept, dropped, by_host = (own.empty(shape, np.float32) for _ in range(3))
            own.fill(kept, 1.0)
            own.fill(dropped, 1.0)
            by_host[:] = 1.0
            kept = kept.reshape(2, -1)[1]
            del dropped, by_host
            own.empty(shape, np.float32)
        first, second, third, last = recorder.owned
        assert first.all() and kept.all() and third.all()
        assert second.any() == (sys.platform != "linux")  # pages that Linux took back are 0 when they are read again
        assert len({a.ctypes.data for a in (first, second, third, last)}) == 4


def test_a_recorded_step_computes_the_same_as_an_eager_one_while_its_memory_is_given_back() -> None:
    def chain(x: Any, w: Any) -> Any:
        y = x
        for _ in range(6):
            y = (y * w).tanh() + x
        y.sum().backward()
        return y.detach(), w.grad.detach()

    given = np.linspace(-1, 1, OFTEN // 4, dtype=np.float32)
    results = []
    with on_the_host():
        for wrap in (lambda f: f, fastnn.capture):
            w = fastnn.tensor(given[::-1].copy(), requires_grad=True)
            step = wrap(chain)
            results.append([t.numpy().copy() for i in range(3) for t in step(fastnn.tensor(given * (i + 1)), w)])
    assert step.captured._steps
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
