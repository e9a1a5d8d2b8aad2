"""User code that changes memory of gradients between kernels, without a Tensor in sight, is never left out by a replay."""

import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current

X = np.random.default_rng(0).standard_normal((64, 5)).astype(np.float32)
Y = X[:, :2] * 3


def halve(memory: Any) -> None:
    grads = np.frombuffer(memory, np.float32)
    np.multiply(grads, np.float32(0.5), out=grads)


class ByFlat(fastnn.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        for flat in dict.fromkeys(p.flat for p in self.params):
            assert flat is not None
            flat.grads *= np.float32(0.5)
        return super().step(closure)


class ByMemory(fastnn.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        halve(memoryview(self.segments[0].flat.grads))
        return super().step(closure)


class ByRun(fastnn.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        for run in self.segments[0].runs(current()):
            run.dw *= np.float32(0.5)
        return super().step(closure)


class ByGradBuffer(fastnn.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        for p in self.params:
            np.multiply(p.grad_buffer(), np.float32(0.5), out=p.grad_buffer())
        return super().step(closure)


def net() -> fastnn.Sequential:
    fastnn.seed(1)
    return fastnn.Sequential([nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2)])


def weights_after_fit(cls: Any, capture: bool | None) -> list[Any]:
    model = net()
    model.compile(cls(None, lr=0.05), "mse", capture=capture)
    model.fit(X, Y, batch_size=16, epochs=10, verbose=0, shuffle=False)
    return model.get_weights()


@pytest.mark.parametrize("cls", [ByFlat, ByMemory, ByRun, ByGradBuffer])
@pytest.mark.parametrize("capture", [None, True])
def test_optimizers_of_the_user_in_fit(cls: Any, capture: bool | None) -> None:
    with pytest.warns(RuntimeWarning, match="Python changes memory of parameters or gradients") as warned:
        given = weights_after_fit(cls, capture)
    assert len(warned) == 1
    for a, b in zip(given, weights_after_fit(cls, False), strict=True):
        np.testing.assert_array_equal(a, b)


def weights_after_steps(wrap: Any) -> list[Any]:
    model = net()
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.05)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        halve(memoryview(optimizer.segments[0].flat.grads))
        optimizer.step()
        return loss

    taken = wrap(step)
    for _ in range(10):
        taken(X, Y)
    return model.get_weights()


def test_code_between_backward_and_step_of_a_captured_function() -> None:
    with pytest.warns(RuntimeWarning, match="Python changes memory of parameters or gradients") as warned:
        given = weights_after_steps(fastnn.capture)
    assert len(warned) == 1
    for a, b in zip(given, weights_after_steps(lambda step: step), strict=True):
        np.testing.assert_array_equal(a, b)


class Plain(fastnn.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def test_optimizers_without_such_code_are_replayed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights_after_fit(Plain, None)
