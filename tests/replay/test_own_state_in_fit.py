"""Python's state that code of the user's own changes in fit, which a replay would omit, is found wherever it is kept."""

import datetime
import functools
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
import fastnn.training.step
from fastnn.training.step import TrainStep

X = np.random.default_rng(0).standard_normal((46, 3)).astype(np.float32)


class Net(nn.Module):
    """What runs in forward beside its layer, in training."""

    def __init__(self, act: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.act, self._private, self.held = act, 0, [0]

    def forward(self, x: Any) -> Any:
        return self.layer(x) * self.act(self, x) if self.training else self.layer(x)


def fitted(act: Callable[[Any, Any], Any], epochs: int, monkeypatch: pytest.MonkeyPatch) -> list[TrainStep]:
    """The steps of a fit whose epochs have few steps, which are recorded nevertheless."""
    monkeypatch.setattr(fastnn.training.step, "FEW", 4)
    model, steps = Net(act), []
    own = model._train_step
    object.__setattr__(model, "_train_step", lambda *args: steps.append(own(*args)) or steps[-1])
    model.compile("sgd", "mse")
    model.fit(X, X[:, 0], epochs=epochs, batch_size=5, verbose=0, validation_data=(X[:7], X[:7, 0]))
    return steps


class Slotted:
    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0


class ByClass:
    n = 0


class Nested:
    def __init__(self, depth: int) -> None:
        self.n, self.inner = 0, Nested(depth - 1) if depth else None


SLOTTED, NESTED, NUMBERS, LARGE, BYTES = Slotted(), Nested(3), iter(range(10**6)), np.zeros(10**5), bytearray(1)
METRIC = fastnn.metrics.Mean("m")
MODULE = types.ModuleType("settings")
MODULE.n = 0  # type: ignore[attr-defined]


def _outer() -> Callable[[Any], None]:
    n = 0

    def change(self: Any) -> None:
        nonlocal n
        n += 1

    return change


def _private(self: Any) -> None:
    self._private += 1


def _slot(self: Any) -> None:
    SLOTTED.n += 1


def _class(self: Any) -> None:
    ByClass.n += 1


def _own_class(self: Any) -> None:
    type(self).total = getattr(type(self), "total", 0) + 1


def _nested(self: Any) -> None:
    NESTED.inner.inner.n += 1  # type: ignore[union-attr]


def _module(self: Any) -> None:
    MODULE.n += 1  # type: ignore[attr-defined]


def _function(self: Any) -> None:
    _function.n = getattr(_function, "n", 0) + 1  # type: ignore[attr-defined]


def _iterator(self: Any) -> None:
    for _ in NUMBERS:
        break


def _large(self: Any) -> None:
    LARGE[0] += 1


def _bytes(self: Any) -> None:
    BYTES[0] = (BYTES[0] + 1) % 256


def _fastnns(self: Any) -> None:
    METRIC.n = getattr(METRIC, "n", 0) + 1  # type: ignore[attr-defined]


def _date(self: Any) -> None:
    datetime.datetime.now()


def _helped(by: list[int]) -> None:
    by[0] += 1


def _default(self: Any, store: list[int] = [0]) -> None:  # noqa: B006
    store[0] += 1


def _passed(self: Any) -> None:
    _helped(self.held)


def _partial(self: Any) -> None:
    PARTIAL()


PARTIAL = functools.partial(_helped, [0])
CHANGES = (
    *(_default, _passed, _partial, _private, _slot, _class, _own_class, _nested),
    *(_module, _function, _iterator, _large, _bytes, _fastnns, _date),
)


@pytest.mark.parametrize("change", [*CHANGES, _outer()])
def test_python_state_is_seen_wherever_it_lies(change: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def act(self: Any, x: Any) -> Any:
        change(self)
        return 1.0

    with pytest.warns(RuntimeWarning, match="which a replay would omit"):
        fitted(act, 1, monkeypatch)


def test_state_that_only_lives_inside_of_a_step_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pair:
        def __init__(self, a: Any, b: Any) -> None:
            self.a, self._b = a, b

    def act(self: Any, x: Any) -> Any:
        pair, total = Pair(x, 1.0), 0.0
        pair.a, pair._b = pair.a * 0.0, 2.0

        def add(v: float) -> None:
            nonlocal total
            total += v

        _helped(made := [1])
        pair._b += made[0] - 2
        for v in (v for v in range(3)):
            add(v)
        return total + pair.a.sum() + pair._b

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        steps = fitted(act, 2, monkeypatch)
    assert steps[0].recorded is not None
