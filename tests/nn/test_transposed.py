"""The weight of `nn.Linear` and its gradient: (out, in) to the user, stored (in, out)."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
W, G = (rng.standard_normal((2, 3)).astype(np.float32) for _ in range(2))

READS: dict[str, Callable[[Any], Any]] = {
    "mul": lambda t: t * 2,
    "negate": lambda t: -t,
    "power": lambda t: (t**2).sum(),
    "norm": lambda t: t.norm(),
    "largest": lambda t: t.abs().max(),
    "product": lambda t: t @ fastnn.tensor(W.T.copy()),
    "transposed": lambda t: t.T * 1,
    "sum": lambda t: t + t,
    "mean of columns": lambda t: t.mean(axis=0),
    "row": lambda t: t[0],
    "reshape": lambda t: t.reshape(-1),
    "clone": lambda t: t.clone(),
    "detach": lambda t: t.detach() * 1,
    "cat": lambda t: fastnn.cat([t, t]),
    "stack": lambda t: fastnn.stack([t]),
    "where": lambda t: fastnn.where(t > 0, t, t * 2),
    "cast": lambda t: t.double(),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "mul_": lambda t: t.mul_(0.5),
    "add_": lambda t: t.add_(fastnn.tensor(W), alpha=0.5),
    "copy_": lambda t: t.copy_(W * 3),
    "fill_": lambda t: t.fill_(2.0),
    "zero_": lambda t: t.zero_(),
    "element": lambda t: t.__setitem__((0, 1), 7.0),
}


def _linear() -> Any:
    layer = nn.Linear(3, 2, bias=False)
    with fastnn.no_grad():
        layer.weight.copy_(W)
    layer.weight.grad = G
    return layer


@pytest.mark.parametrize("read", READS)
def test_weight_and_gradient_are_read_as_other_tensors(read: str) -> None:
    layer, f = _linear(), READS[read]
    with fastnn.no_grad():
        np.testing.assert_array_equal(f(layer.weight).numpy(), f(fastnn.tensor(W)).numpy())
        np.testing.assert_array_equal(f(layer.weight.grad).numpy(), f(fastnn.tensor(G)).numpy())


@pytest.mark.parametrize("write", WRITES)
def test_gradient_is_changed_in_place(write: str) -> None:
    """As gradients are clipped, scaled or masked by hand; the optimizer finds what was written."""
    layer, other = _linear(), fastnn.tensor(G)
    WRITES[write](layer.weight.grad)
    WRITES[write](other)
    np.testing.assert_array_equal(layer.weight.grad.numpy(), other.numpy())
    fastnn.optim.SGD(layer.parameters(), lr=1.0).step()
    np.testing.assert_allclose(layer.weight.numpy(), W - other.numpy(), rtol=1e-6)


def test_gradient_that_is_set_has_the_shape_that_the_user_sees() -> None:
    layer = _linear()
    layer.weight.grad = fastnn.tensor(G * 2)
    np.testing.assert_array_equal(layer.weight.grad.numpy(), G * 2)
    with pytest.raises(ValueError, match=r"grad: .*\(3, 2\)"):
        layer.weight.grad = G.T
    layer.weight.grad = None
    assert layer.weight.grad is None


def test_gradients_changed_in_place_are_recorded() -> None:
    results = []
    for wrap in (lambda f: f, fastnn.capture):
        layer = _linear()
        optimizer = fastnn.optim.SGD(layer.parameters(), lr=0.1)

        @wrap
        def step(x: Any, layer: Any = layer, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (layer(x) ** 2).mean()
            loss.backward()
            norm = (layer.weight.grad**2).sum() ** 0.5
            layer.weight.grad.mul_(0.5)
            layer.weight.grad = layer.weight.grad / (norm + 1)
            optimizer.step()
            return loss.detach()

        results.append([step(fastnn.tensor([[1.0, float(v), 2.0]])).item() for v in range(6)])
    assert step.captured._steps
    assert results[0] == results[1]


@pytest.mark.parametrize("key", [0, -1, (slice(None), 1), (1, 2), slice(None, None, -1), (..., 0), (slice(1), slice(None, 2))])
def test_item_assignment_on_weights_that_are_stored_transposed(key: Any) -> None:
    layer = nn.Linear(3, 2)
    wanted = layer.weight.numpy().copy()
    value = np.arange(wanted[key].size, dtype=np.float32).reshape(wanted[key].shape)
    wanted[key] = value
    with pytest.raises(RuntimeError, match="no_grad"):
        layer.weight[key] = value
    x = fastnn.tensor([1.0, 2.0, 3.0])
    y = layer(x)
    with fastnn.no_grad():
        layer.weight[key] = value
    np.testing.assert_array_equal(layer.weight.numpy(), wanted)
    np.testing.assert_allclose(layer(x).numpy(), wanted @ x.numpy() + layer.bias.numpy(), rtol=1e-6)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
    with fastnn.no_grad():
        layer.weight[:] = layer.weight
        layer.weight[1] = layer.weight[0]
    np.testing.assert_array_equal(layer.weight.numpy(), wanted[[0, 0]])


def test_copies_share_nothing_and_detached_views_all() -> None:
    layer = _linear()
    (layer(W) ** 2).sum().backward()
    for t in (layer.weight, layer.weight.grad):
        values = t.numpy().copy()
        for copied in (copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t)), lambda t: t.clone()):
            with fastnn.no_grad():
                other = copied(t).fill_(0.0)
            assert other.shape == (2, 3) and (t.numpy() == values).all()
        t.detach().fill_(2.0)
        assert (t.numpy() == 2).all()
    y = layer(W)
    layer.weight.detach()[0] = 1.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()
