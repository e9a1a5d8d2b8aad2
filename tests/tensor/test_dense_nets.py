"""Layers of many nets in one kernel: equal to the layers of each net, also their gradients, and their checks."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn.backends.spec import LINEAR, activation
from fastnn.ops.dense import dense, dense_nets

rng = np.random.default_rng(5)
W, B = rng.standard_normal((3, 4, 6)), rng.standard_normal((3, 6))


def tensors(*arrays):
    return [fastnn.tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("act", [LINEAR, activation("relu"), activation("gelu")])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_layers_of_each_net(shared, act, bias):
    x = rng.standard_normal((5, 4) if shared else (3, 5, 4))
    given = tensors(x, W, B)[: 3 if bias else 2]
    y = dense_nets(*given, activation=act)
    (y * y).sum().backward()
    of_x = np.zeros_like(x)
    for net in range(3):
        own = tensors(x if shared else x[net], W[net], B[net])[: 3 if bias else 2]
        one = dense(*own, activation=act)
        np.testing.assert_array_equal(y.numpy()[net], one.numpy())
        (one * one).sum().backward()
        for all_nets, single in zip(given[1:], own[1:], strict=True):
            np.testing.assert_allclose(all_nets.grad.numpy()[net], single.grad.numpy(), rtol=1e-12)
        if shared:
            of_x += own[0].grad.numpy()
        else:
            of_x[net] = own[0].grad.numpy()
    np.testing.assert_allclose(given[0].grad.numpy(), of_x, rtol=1e-12)


def test_gradients_of_gradients():
    x = rng.standard_normal((3, 5, 4))

    def f(x, w, b):
        return (dense_nets(x, w, b, activation("tanh")) ** 2).sum()

    assert fastnn.autograd.gradgradcheck(f, tensors(x, W, B))


def test_wrong_shapes():
    w = fastnn.tensor(W)
    for shape in ((5, 3), (2, 5, 4), (4,), (1, 3, 5, 4)):
        with pytest.raises(ValueError, match=r"dense_nets: x has shape .*; wanted \(3, M, 4\) or \(M, 4\)"):
            dense_nets(fastnn.tensor(np.zeros(shape)), w)
