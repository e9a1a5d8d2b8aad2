"""Gradients of any Tensors, and what belongs to the tape: fastnn.grad, retained gradients, modes, changes in place."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn.autograd.tensor import Tensor

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4))
Y = rng.standard_normal((3, 4))


def test_grad_of_inputs_and_results() -> None:
    x = fastnn.tensor(X, requires_grad=True)
    w = fastnn.tensor(Y, requires_grad=True)
    h = x * w
    loss = (h * h).sum() + x.sum()
    dx, dh, dw = fastnn.grad(loss, (x, h, w))
    np.testing.assert_allclose(dx.numpy(), 2 * X * Y**2 + 1)
    np.testing.assert_allclose(dh.numpy(), 2 * X * Y)
    np.testing.assert_allclose(dw.numpy(), 2 * X**2 * Y)
    assert x.grad is None and w.grad is None and h.grad is None
    with pytest.raises(RuntimeError, match="grad: this graph was freed"):
        fastnn.grad(loss, x)


def test_grad_with_several_outputs_and_starts() -> None:
    x = fastnn.tensor(X, requires_grad=True)
    y, z = x * 2, x.sum() * 3
    (dx,) = fastnn.grad([y, z], [x], grad_outputs=[Y, None], retain_graph=True)
    np.testing.assert_allclose(dx.numpy(), 2 * Y + 3)
    (dx,) = fastnn.grad(z, x, retain_graph=True)
    z.backward()
    assert dx.tolist() == x.grad.tolist()
    y = x * 3
    (itself,) = fastnn.grad(y, y, grad_outputs=Y)
    assert itself.tolist() == Y.tolist()


def test_grad_refuses() -> None:
    x, other = (fastnn.tensor([1.0], requires_grad=True) for _ in range(2))
    plain = fastnn.tensor([1.0])
    with pytest.raises(RuntimeError, match="grad: the outputs do not depend on input 1"):
        fastnn.grad(x * x, (x, other))
    dx, none = fastnn.grad(x * x, (x, other), allow_unused=True)
    assert dx.tolist() == [2.0] and none is None
    with pytest.raises(RuntimeError, match="input 0 does not require a gradient"):
        fastnn.grad(x * plain, plain)
    with pytest.raises(RuntimeError, match="grad: the Tensor does not require a gradient"):
        fastnn.grad(plain * 2, x)
    with pytest.raises(ValueError, match="2 grad_outputs came for 1"):
        fastnn.grad(x * x, x, grad_outputs=(None, None))


def test_grad_of_a_layer() -> None:
    layer = fastnn.nn.Linear(3, 2)
    x = fastnn.tensor(rng.standard_normal((5, 3)).astype(np.float32), requires_grad=True)
    dx, dw, db = fastnn.grad(layer(x).sum(), (x, layer.weight, layer.bias))
    assert layer.weight.grad is None
    layer(x).sum().backward()
    for mine, theirs in ((dx, x.grad), (dw, layer.weight.grad), (db, layer.bias.grad)):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_retain_grad() -> None:
    x = fastnn.tensor([3.0], requires_grad=True)
    y = x * x
    y.retain_grad()
    z = y * 2
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.tolist() == [4.0] and x.grad.tolist() == [24.0]
    with pytest.raises(RuntimeError, match="retain_grad"):
        fastnn.tensor([1.0]).retain_grad()


def test_enable_grad() -> None:
    x = fastnn.tensor([1.0], requires_grad=True)

    @fastnn.enable_grad()
    def f() -> Tensor:
        return x * 2

    with fastnn.no_grad():
        assert f().requires_grad and not (x * 2).requires_grad
        with fastnn.enable_grad():
            assert (x * 2).requires_grad
    assert x.is_leaf and not f().is_leaf and not x.detach().requires_grad


def test_in_place_methods() -> None:
    p = fastnn.tensor([2.0, 4.0], requires_grad=True)
    with fastnn.no_grad():
        assert p.mul_(2).sub_(1).add_(fastnn.tensor([1.0, 1.0])).div_(4) is p
    assert p.tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="sub_: a leaf that requires a gradient"):
        p.sub_(1)
    with pytest.raises(RuntimeError, match="mul_: only leaves"):
        (p * 2).mul_(2)


def test_item_assignment() -> None:
    p, a = fastnn.tensor(X, requires_grad=True), X.copy()
    with fastnn.no_grad():
        for key, value in ((1, 0.0), ((slice(None), 2), Y[:, 0]), ((slice(None, None, -2), slice(1, 3)), Y[:2, :2]), (..., 4.0)):
            p[key] = value
            a[key] = value
            np.testing.assert_array_equal(p.numpy(), a)
        for wrong, error in (((0, [1.0, 2.0]), ValueError), (([0, 1], 1.0), TypeError), ((0, fastnn.tensor([1.0])), TypeError)):
            with pytest.raises(error, match="item assignment"):
                p[wrong[0]] = wrong[1]
    with pytest.raises(RuntimeError, match="item assignment: a leaf that requires a gradient"):
        p[0] = 1.0
    with pytest.raises(RuntimeError, match="item assignment: only leaves"):
        (p * 2)[0] = 1.0


def test_gradients_of_inputs_in_a_recorded_step() -> None:
    """A step that takes the gradient of its input, as adversarial examples do, and one that keeps that of a result."""
    w = fastnn.tensor(rng.standard_normal((4, 2)), requires_grad=True)

    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        h = (x @ w).tanh()
        h.retain_grad()
        loss = h.square().sum()
        (dx,) = fastnn.grad(loss, x, retain_graph=True)
        w.zero_grad()
        loss.backward()
        return dx, h.grad

    captured = fastnn.capture(step)
    for i in range(5):
        x = fastnn.tensor(np.random.default_rng(i).standard_normal((3, 4)))
        got, want = captured(x), step(x)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not captured.captured.eager
