"""Hooks of modules: they see and change what those of PyTorch do."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

WEIGHTS = [np.linspace(-1, 1, 12).reshape(4, 3), np.zeros(4), np.linspace(0, 1, 8).reshape(2, 4), np.ones(2)]


def made(t: Any) -> Any:
    model = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2))
    for p, values in zip(model.parameters(), WEIGHTS, strict=True):
        with t.no_grad():
            p.copy_(t.tensor(values.astype(np.float32)))
    return model


def seen(t: Any) -> list[Any]:
    """What hooks get, and the gradients with them."""
    model, log = made(t), []

    def listed(grads: Any) -> list[Any]:
        return [None if g is None else g.tolist() for g in grads]

    def doubled(module: Any, grad_input: Any, grad_output: Any) -> Any:
        log.append(listed(grad_input))
        return (grad_input[0] * 2,)

    model[0].register_full_backward_hook(lambda module, dx, dy: log.append([listed(dx), listed(dy)]))
    model[2].register_full_backward_hook(doubled)
    model[1].register_forward_pre_hook(lambda module, args: args[0] + 1)
    handle = model[1].register_forward_hook(lambda module, args, output: output * 2)
    model[1].register_forward_hook(lambda module, args, output: log.append(output.tolist()), prepend=True)
    model(t.ones(2, 3)).sum().backward()
    log.append(model[0].weight.grad.tolist())
    handle.remove()
    handle.remove()
    x = t.ones(2, 3, requires_grad=True)
    model(x).sum().backward()
    return [*log, x.grad.tolist()]


def flat(value: Any) -> list[Any]:
    return [item for part in value for item in flat(part)] if isinstance(value, list) else [value]


def test_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, that no input requires a gradient
        expected = flat(seen(torch))
    found = flat(seen(fastnn))
    assert len(found) == len(expected) > 50
    for a, b in zip(found, expected, strict=True):
        assert a is b is None or a == pytest.approx(b, rel=1e-5, abs=1e-6)


def test_keyword_arguments() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Any, *, by: float = 1.0) -> Any:
            return x * by

    layer = Scaled()
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"by": 3.0}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, y: y + kwargs["by"], with_kwargs=True)
    assert layer(fastnn.ones(1), by=2.0).tolist() == [6.0]


def test_hooks_run_in_every_step_of_fit_and_of_a_captured_function() -> None:
    model, shapes = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,)), fastnn.Dense(1)]), []
    model.compile("sgd", "mse")
    x, y = np.ones((8, 3), np.float32), np.ones((8, 1), np.float32)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    with model.layers[0].register_forward_hook(lambda module, args, output: shapes.append(output.shape)):
        model.fit(x, y, batch_size=4, epochs=3, verbose=0)
        assert shapes.count((4, 2)) >= 6
    shapes.clear()
    model.fit(x, y, batch_size=4, verbose=0)
    assert not shapes and model.layers[0]._hooks is None


def test_freeze_says_why_it_cannot() -> None:
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    handle = model.layers[0].register_forward_hook(lambda module, args, output: None)
    with pytest.raises(RuntimeError, match="a hook of Dense"):
        model.freeze()
    handle.remove()
    assert model.freeze()([1.0, 2.0, 3.0]).shape == (2,)


def test_copies_have_the_hooks_and_others_are_refused() -> None:
    layer, calls = nn.Linear(2, 1), []
    layer.register_forward_hook(lambda module, args, output: calls.append(module))
    other = copy.deepcopy(layer)
    other(fastnn.ones(1, 2))
    assert calls == [other]
    with pytest.raises(TypeError, match="a int came as a hook"):
        layer.register_forward_hook(3)
