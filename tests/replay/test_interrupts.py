"""Ctrl-C at the places where Python delivers it, the beginnings of functions: afterwards all is as before, or done as a whole."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import host_only
from interrupt import Interrupt

import fastnn
import fastnn.nn as nn

pytestmark = [
    host_only("what is interrupted is Python, the same for all backends"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # it comes in a generator that is closed
]
X = np.random.default_rng(0).random((12, 4)).astype("f4")
Y = np.random.default_rng(1).random((12, 2)).astype("f4")


def context() -> dict[str, Any]:
    """Fastnn's context variables, as they are."""
    return {v.name: value for v, value in contextvars.copy_context().items() if v.name.startswith("fastnn")}


def model(*layers: Any, optimizer: Any = "adam", **kwargs: Any) -> Any:
    fastnn.seed(1)
    layers = layers or (fastnn.Dense(3, activation="relu", input_shape=(4,)), fastnn.Dropout(0.5))
    m = fastnn.Sequential([*layers, fastnn.Dense(2)])
    m.compile(optimizer, "mse", **kwargs)
    return m


def later(tmp: Path) -> list[bytes]:
    """An unrelated program: its bits."""
    m = model()
    optimizer, loss = fastnn.optim.SGD(m.parameters(), lr=0.1), nn.MSELoss()
    m.train()
    for _ in range(2):
        optimizer.zero_grad()
        loss(m(fastnn.tensor(X)), fastnn.tensor(Y)).backward()
        optimizer.step()
    m.fit(X, Y, verbose=0, batch_size=6)
    m.save(tmp / "later")
    return [a.tobytes() for a in (*m.get_weights(), m.predict(X), fastnn.load(tmp / "later").predict(X))]


def shape(m: Any) -> Any:
    """What of a model no interrupted call may change: its modes, what is trained, its arrays' dtypes, patched attributes."""
    modules = [(m._training, m._frozen, "forward" in vars(m), sorted(m._parameters)) for m in m.modules()]
    return modules, [(p.requires_grad, p.dtype, p.shape) for p in m.weights]


def weights(m: Any) -> list[bytes]:
    return [w.tobytes() for w in m.get_weights()]


def _trained(**kwargs: Any) -> Any:
    m = model(**kwargs)
    m.fit(X, Y, verbose=0, batch_size=4, epochs=2)
    return m


def _evaluate() -> tuple[Any, Any, Any]:
    m = model(fastnn.Dense(3, input_shape=(4,)), metrics=["mae", fastnn.metrics.R2Score()])
    for _ in range(4):
        m.train_on_batch(X, Y)

    def goes_on() -> Any:
        return [m.train_on_batch(X, Y) for _ in range(2)]

    before = [w.copy() for w in m.get_weights()]
    state = m.optimizer.state_dict()

    def check() -> None:
        found = goes_on()
        m.set_weights(before)
        m.optimizer.load_state_dict(state)
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    expected = goes_on()
    m.set_weights(before)
    m.optimizer.load_state_dict(state)
    return m, lambda: m.evaluate(X, Y, verbose=0, batch_size=6), check


def _averages(optimizer: Any) -> tuple[Any, Any, Any]:
    m = _trained(optimizer=optimizer)

    def run() -> None:
        with m.optimizer.averaged():
            pass

    before = weights(m)

    def check() -> None:
        assert weights(m) == before

    return m, run, check


def _schedule_free() -> tuple[Any, Any, Any]:
    m = _trained(optimizer=fastnn.optim.AdamWScheduleFree(lr=0.01))

    def check() -> None:
        assert not m.optimizer._training
        steps = [s for seg in m.optimizer.segments for s in seg.steps.tolist()]
        assert len(set(steps)) == 1

    return m, lambda: m.train_on_batch(X, Y), check


def _whole(m: Any, run: Callable[[], Any], change: Callable[[], Any]) -> tuple[Any, Any, Any]:
    """A call that changes weights, all of them or none."""
    before = weights(m)
    run()
    after = weights(m)
    change()

    def check() -> None:
        assert weights(m) in (before, after)
        change()
        assert weights(m) == before

    return m, run, check


def _set_weights() -> tuple[Any, Any, Any]:
    m = _trained()
    old = m.get_weights()
    return _whole(m, lambda: m.set_weights([w + 1 for w in old]), lambda: m.set_weights(old))


def _finalize() -> tuple[Any, Any, Any]:
    m = model(optimizer=fastnn.optim.SGD(lr=0.1, use_ema=True))
    for _ in range(3):
        m.train_on_batch(X, Y)
    old = m.get_weights()
    return _whole(m, m.optimizer.finalize, lambda: m.set_weights(old))


def _lbfgs() -> tuple[Any, Any, Any]:
    m = nn.Linear(4, 2)
    optimizer = fastnn.optim.LBFGS(m.parameters(), max_iter=1, line_search_fn="strong_wolfe")
    x, y, mse = fastnn.tensor(X), fastnn.tensor(Y), nn.MSELoss()

    def closure() -> Any:
        optimizer.zero_grad()
        loss = mse(m(x), y)
        loss.backward()
        return loss

    losses = [float(closure())]

    def check() -> None:
        losses.append(float(closure()))
        assert losses[-1] <= losses[-2] * (1 + 1e-6)

    return m, lambda: optimizer.step(closure), check


def _gradcheck() -> tuple[Any, Any, Any]:
    m = fastnn.Sequential([fastnn.Dense(2, activation="tanh", input_shape=(4,))])
    before = weights(m), [p.data for p in m.weights]

    def check() -> None:
        assert weights(m) == before[0] and all(p.data is a for p, a in zip(m.weights, before[1], strict=True))

    return m, lambda: fastnn.gradcheck(m, X[:2]), check


def _check_finite() -> tuple[Any, Any, Any]:
    m = _trained()
    return m, lambda: m.fit(X, Y, verbose=0, batch_size=6, check_finite=True), lambda: None


def _modes() -> tuple[Any, Any, Any]:
    m = _trained().train()

    def check() -> None:
        assert len({layer._training for layer in m.modules()}) == 1 and len({p.requires_grad for p in m.parameters()}) == 1
        m.train().requires_grad_(True)

    return m, lambda: m.eval().requires_grad_(False), check


def _fit() -> tuple[Any, Any, Any]:
    m = _trained()
    stop = fastnn.callbacks.EarlyStopping(restore_best_weights=True)
    run = lambda: m.fit(X, Y, verbose=0, batch_size=4, validation_split=0.25, epochs=2, callbacks=[stop])  # noqa: E731
    return m, run, lambda: None


def _plain(run: Callable[[Any], Any]) -> Callable[[], tuple[Any, Any, Any]]:
    def made() -> tuple[Any, Any, Any]:
        m = _trained()
        before = weights(m)

        def check() -> None:
            assert weights(m) == before

        return m, lambda: run(m), check

    return made


PROGRAMS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "fit": _fit,
    "fit, check_finite": _check_finite,
    "evaluate": _evaluate,
    "predict": _plain(lambda m: m.predict(X)),
    "predict, mc": _plain(lambda m: m.predict(X, mc=2)),
    "freeze": _plain(lambda m: m.freeze()(X[0])),
    "summary": _plain(lambda m: m.summary(lambda _: None)),
    "averages": lambda: _averages(fastnn.optim.SGD(lr=0.1, use_ema=True, ema_momentum=0.5)),
    "averages, schedule-free": lambda: _averages(fastnn.optim.AdamWScheduleFree(lr=0.01)),
    "schedule-free step": _schedule_free,
    "finalize": _finalize,
    "set_weights": _set_weights,
    "lbfgs": _lbfgs,
    "gradcheck": _gradcheck,
    "modes": _modes,
}
POINTS = 40
"""At most so many places in each program; all of them with FASTNN_ALL_INTERRUPTS=1."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_all_is_as_before(name: str, tmp_path: Path) -> None:
    m, run, check = PROGRAMS[name]()
    check()
    before, like = context(), shape(m)
    counted = Interrupt()
    counted.run(run)
    check()
    points = range(1, counted.count + 1)
    if not os.environ.get("FASTNN_ALL_INTERRUPTS"):
        rng = np.random.default_rng(0)
        points = sorted(rng.choice(points, min(POINTS, len(points)), replace=False).tolist())
    expected = later(tmp_path)
    for n in points:
        Interrupt(n).run(run)
        assert context() == before, f"interrupt {n}"
        check()
        assert shape(m) == like, f"interrupt {n}"
    run()
    assert later(tmp_path) == expected


class Lazy(nn.Module):
    """A layer whose build makes two parameters and a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.units = 2

    def build(self, input_shape: Any) -> None:
        self.a = self.add_weight((input_shape[-1], self.units))
        self.inner = fastnn.Dense(self.units, input_shape=(self.units,))
        self.b = self.add_weight((self.units,), name="b")

    def forward(self, x: Any) -> Any:
        return self.inner(x @ self.a) + self.b


@pytest.mark.parametrize("make", [Lazy, lambda: fastnn.Dense(2), lambda: fastnn.PReLU(), lambda: model(fastnn.Dense(3))])
def test_a_layer_whose_first_call_was_interrupted_is_called_again(make: Callable[[], Any]) -> None:
    make()(X)
    counted = Interrupt()
    layer = make()
    counted.run(lambda: layer(X))
    expected = [(name, p.shape) for name, p in layer.named_parameters()]
    for n in range(1, counted.count + 1, 1 if os.environ.get("FASTNN_ALL_INTERRUPTS") else 3):
        layer = make()
        Interrupt(n).run(lambda layer=layer: layer(X))  # type: ignore[misc]
        layer(X)
        assert [(name, p.shape) for name, p in layer.named_parameters()] == expected, f"interrupt {n}"


def test_a_build_that_fails_is_called_again() -> None:
    class Picky(Lazy):
        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            if input_shape[-1] != 4:
                raise ValueError("four features are wanted")

    layer = Picky()
    with pytest.raises(ValueError, match="four features"):
        layer(np.ones((1, 3), np.float32))
    assert not layer.built and layer(X).shape == (12, 2)
    assert [name for name, _ in layer.named_parameters()] == ["a", "b", "inner.kernel", "inner.bias"]


def test_every_parameter_is_trained_after_a_first_fit_that_was_interrupted() -> None:
    """An optimizer takes parameters and makes the state for them together."""
    expected = model(fastnn.Dense(3, input_shape=(4,)))
    counted = Interrupt()
    counted.run(lambda: expected.optimizer.add(expected.parameters()))
    for n in range(1, counted.count + 1):
        m = model(fastnn.Dense(3, input_shape=(4,)))
        Interrupt(n).run(lambda m=m: m.optimizer.add(m.parameters()))  # type: ignore[misc]
        before = m.get_weights()
        m.fit(X, Y, verbose=0)
        changed = [not np.array_equal(a, b) for a, b in zip(before, m.get_weights(), strict=True)]
        assert all(changed) and sum(len(s.parameters) for s in m.optimizer.segments) == 4, f"interrupt {n}"


class Holder(nn.Module):
    """A module with all that recordings depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.w, self.factor = nn.Linear(4, 2), nn.Parameter(np.ones(2, np.float32)), 1.0
        self.register_buffer("shift", np.zeros(2, np.float32))

    def forward(self, x: Any) -> Any:
        y = self.layer(x) * self.factor + self.shift
        return y if self.w is None else y + self.w


CHANGES: dict[str, Callable[[Holder], Any]] = {
    "layer": lambda m: setattr(m, "layer", nn.Linear(4, 2)),
    "parameter": lambda m: setattr(m, "w", nn.Parameter(np.full(2, 3, np.float32))),
    "no parameter": lambda m: setattr(m, "w", None),
    "buffer": lambda m: setattr(m, "shift", fastnn.tensor([5.0, 6.0])),
    "registered buffer": lambda m: m.register_buffer("shift", np.ones(2, np.float32)),
    "setting": lambda m: setattr(m, "factor", 2.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_recordings_follow_a_change_that_was_interrupted(name: str) -> None:
    """The change is noted before it is made: a recording of what was before does not fit, whether or not it was made."""
    x, change = fastnn.tensor(X), CHANGES[name]
    counted = Interrupt()
    made = Holder()
    counted.run(lambda: change(made))
    for n in range(1, counted.count + 1):
        m = Holder()
        step = fastnn.capture(lambda x, m=m: m(x))
        with fastnn.no_grad():
            for _ in range(4):
                step(x)
            Interrupt(n).run(lambda m=m: change(m))  # type: ignore[misc]
            assert np.array_equal(step(x).numpy(), m(x).numpy()), f"interrupt {n}"
            m.layer.bias = nn.Parameter(np.full(2, 7, np.float32))
            assert np.array_equal(step(x).numpy(), m(x).numpy()), f"interrupt {n}"
