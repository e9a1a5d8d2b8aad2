"""Second derivatives (create_graph=True): what is kept, freed, recorded and refused."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.autograd.second import entry
from fastnn.autograd.second.rules import RULES
from fastnn.backends.spec import activation
from fastnn.ops.dense import dense

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((2, 3, 4))
P = rng.uniform(0.5, 2.0, (3, 4))
B = rng.standard_normal(4)
CUBE, OTHER = rng.standard_normal((2, 2, 3, 4))
INDEX = np.array([[0, 1], [2, 2], [3, 3]])
IMAGES = rng.standard_normal((2, 5, 6, 2))
W = np.array([0.5, 0.0, 2.0])
LABELS = np.array([0, 3, 1])
POSITIVE = ("log", "sqrt", "log1p")


def own(a: np.ndarray) -> Any:
    """Return an array of the backend."""
    return fastnn.tensor(a).data


def check(fn: Callable[..., Any], *inputs: Any) -> None:
    assert fastnn.gradgradcheck(fn, list(inputs), atol=1e-6)


def test_derivatives_of_higher_order() -> None:
    x = fastnn.tensor(X, requires_grad=True)
    y = fastnn.sin(x)
    for wanted in (np.cos(X), -np.sin(X), -np.cos(X), np.sin(X)):
        (y,) = fastnn.grad(y.sum(), x, create_graph=True)
        np.testing.assert_allclose(y.numpy(), wanted, atol=1e-12)
    y = fastnn.tanh(x)
    for _ in range(3):
        (y,) = fastnn.grad(y.sum(), x, create_graph=True)
    t = np.tanh(X)
    np.testing.assert_allclose(y.numpy(), (1 - t**2) * (6 * t**2 - 2), atol=1e-12)


def test_gradients_are_those_without_a_graph() -> None:
    fastnn.seed(0)
    net = fastnn.nn.Sequential(fastnn.nn.Linear(4, 8), fastnn.nn.GELU(), fastnn.nn.Linear(8, 3))
    parameters = list(net.parameters())
    loss = fastnn.nn.CrossEntropyLoss()(net(fastnn.tensor(X.astype(np.float32))), fastnn.tensor(LABELS % 3))
    plain = fastnn.grad(loss, parameters, retain_graph=True)
    with_graph = fastnn.grad(loss, parameters, create_graph=True)
    for p, mine, theirs in zip(parameters, with_graph, plain, strict=True):
        assert mine.shape == p.shape and mine.requires_grad and not theirs.requires_grad
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=1e-6)


def test_only_what_is_wanted_is_computed() -> None:
    x, w = (fastnn.tensor(a, requires_grad=True) for a in (X, Y))
    h, _ = fastnn.nn.GRU(4, 2).double()(w.reshape(1, 3, 4))  # has no second derivative, and is not on the way to x
    y = (x * x * h.sum()).sum() + h.sum()
    (dx,) = fastnn.grad(y, x, create_graph=True)
    np.testing.assert_allclose(dx.numpy(), 2 * X * h.sum().item())
    with pytest.raises(NotImplementedError, match="grad: create_graph=True: gru has no second derivative"):
        fastnn.grad(y, w, create_graph=True)
    with pytest.raises(RuntimeError, match="do not depend on input 0"):
        fastnn.grad((x * x).sum(), w, create_graph=True)
    assert fastnn.grad((x * x).sum(), (x, w), create_graph=True, allow_unused=True)[1] is None


def test_equal_elements_of_a_window() -> None:
    x = fastnn.tensor(rng.integers(0, 2, (2, 6, 6, 3)).astype(np.float64), requires_grad=True)
    y = fastnn.MaxPooling2D(3, strides=2)(x).square().sum()
    (plain,) = fastnn.grad(y, x, retain_graph=True)
    (with_graph,) = fastnn.grad(y, x, create_graph=True)
    np.testing.assert_array_equal(plain.numpy(), with_graph.numpy())


def test_graph_is_kept_unless_it_is_freed() -> None:
    x = fastnn.tensor(X, requires_grad=True)
    y = (x * x).sum()
    fastnn.grad(y, x, create_graph=True)
    fastnn.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="grad: this graph was freed"):
        fastnn.grad(y, x, create_graph=True)
    y = (x * x).sum()
    with fastnn.no_grad():
        x.fill_(0.0)
        with pytest.raises(RuntimeError, match="changed in place"):
            fastnn.grad(y, x, create_graph=True)


def test_gradient_of_grad_outputs() -> None:
    x, v = (fastnn.tensor(a, requires_grad=True) for a in (X, Y))
    (g,) = fastnn.grad(x**3, x, v, create_graph=True)
    (dv,) = fastnn.grad(g.sum(), v)
    np.testing.assert_allclose(dv.numpy(), 3 * X**2)
    with pytest.raises(ValueError, match="pass its gradient"):
        fastnn.grad(x**3, x, create_graph=True)


def test_backward_with_a_graph() -> None:
    x = fastnn.tensor([1.0, 2.0], requires_grad=True)
    h = x * x
    h.retain_grad()
    (h * x).sum().backward(create_graph=True)
    assert x.grad.tolist() == [3.0, 12.0] and h.grad.tolist() == [1.0, 2.0]
    (h * x).sum().backward(create_graph=True)
    assert x.grad.tolist() == [6.0, 24.0]  # gradients accumulate, and so do their graphs
    (second,) = fastnn.grad(x.grad.sum(), x, retain_graph=True)
    assert second.tolist() == [12.0, 24.0]
    total = x.grad.sum()
    x.zero_grad()
    total.backward()
    assert x.grad.tolist() == [12.0, 24.0] and not x.grad.requires_grad
    x.zero_grad()
    (2 * x).sum().backward(create_graph=True)
    assert x.grad.tolist() == [2.0, 2.0] and not x.grad.requires_grad


def test_backward_with_a_graph_of_a_layer() -> None:
    layer = fastnn.nn.Linear(4, 2)
    optimizer = fastnn.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.numpy().copy()
    layer(fastnn.tensor(X.astype(np.float32))).square().sum().backward(create_graph=True)
    gradient = layer.weight.grad.numpy().copy()
    assert layer.weight.grad.shape == (2, 4)
    size = layer.weight.grad.square().sum()
    optimizer.step()
    np.testing.assert_allclose(layer.weight.numpy(), before - 0.1 * gradient, rtol=1e-5)
    with pytest.raises(RuntimeError, match="changed in place"):
        size.backward()


def test_custom_functions() -> None:
    class Exp(fastnn.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y, None)
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * ctx.saved_tensors[0]

    class Both(fastnn.Function):
        @staticmethod
        def forward(ctx: Any, inputs: Any, factor: float) -> Any:
            ctx.factor = factor
            ctx.save_for_backward(*inputs)
            return inputs[0] * inputs[1], inputs[1] * factor

        @staticmethod
        def backward(ctx: Any, da: Any, db: Any) -> Any:
            x, y = ctx.saved_tensors
            return [da * y, da * x + db * ctx.factor], None

    check(Exp.apply, X)
    check(lambda x, y: Both.apply([x, y], 2.0)[0] * x, X, Y)


def test_capture_records_it() -> None:
    fastnn.seed(0)
    net = fastnn.nn.Sequential(fastnn.nn.Linear(2, 8), fastnn.nn.Tanh(), fastnn.nn.Linear(8, 1))
    optimizer = fastnn.optim.SGD(net.parameters(), lr=0.1)
    x = fastnn.rand(16, 2, requires_grad=True)

    def step() -> Any:
        (dx,) = fastnn.grad(net(x).sum(), x, create_graph=True)
        penalty = (dx.norm(axis=1) - 1).square().mean()
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
        return penalty

    start = [p.numpy().copy() for p in net.parameters()]
    eager = [step().item() for _ in range(6)]
    for p, a in zip(net.parameters(), start, strict=True):
        with fastnn.no_grad():
            p.copy_(a)
    recorded = fastnn.capture(step)
    np.testing.assert_allclose([recorded().item() for _ in range(6)], eager, rtol=1e-5)
    assert recorded.captured._steps and not recorded.captured.eager

    def refused() -> None:
        optimizer.zero_grad()
        net(x).sum().backward(create_graph=True)

    with pytest.warns(RuntimeWarning, match=r"backward\(create_graph=True\)"):
        captured = fastnn.capture(refused)
        for _ in range(3):
            captured()


def test_wrong_second_derivatives_are_found() -> None:
    class Wrong(fastnn.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            (x,) = ctx.saved_tensors
            return dy * 3 * x * x.detach()  # right, but its derivative is half of what it should be

    fastnn.gradcheck(Wrong.apply, X)
    with pytest.raises(AssertionError, match="gradcheck: the gradient of apply: gradient of argument 0"):
        fastnn.gradgradcheck(Wrong.apply, X)


WITHOUT = {"ctc", "gru", "lstm", "normalize_together", "rnn"}
"""Operations without second derivatives, by their backward functions or files; docs/tensor.md lists them."""


def test_every_operation_has_a_rule_or_is_listed() -> None:
    assert entry
    missing = set()
    for module in pkgutil.iter_modules(fastnn.ops.__path__):
        names = vars(importlib.import_module(f"fastnn.ops.{module.name}"))
        for name, value in names.items():
            if name.endswith("_backward") and callable(value) and value.__module__.endswith(f"ops.{module.name}"):
                own = name.removesuffix("_backward").strip("_") or module.name
                missing |= {own} if value not in RULES and own != "rows" else set()  # `rows` makes backward functions
    assert missing == WITHOUT


def test_on_the_reference_backend() -> None:
    with fastnn.use_backend("numpy"):
        check(lambda x, w: dense(x, w, None, activation("tanh")).softmax().log(), X, Y.T.copy())


def test_plain_backward_adds_to_a_gradient_with_a_graph() -> None:
    table = fastnn.tensor(P, requires_grad=True)
    (fastnn.take(table, [1]) ** 2).sum().backward(create_graph=True)
    (fastnn.take(table, [1]) ** 2).sum().backward()
    fastnn.ops.regularization.penalty(table, np.array([0.0, 1.0])).backward(create_graph=True)
    fastnn.ops.regularization.penalty(table, np.array([0.0, 1.0])).backward()
    np.testing.assert_allclose(table.grad.numpy(), 4 * P * (1 + np.array([[0.0], [1.0], [0.0]])))


def test_the_checks_are_also_in_autograd() -> None:
    assert fastnn.autograd.gradcheck is fastnn.gradcheck and fastnn.autograd.gradgradcheck is fastnn.gradgradcheck


@pytest.mark.parametrize("name", ["Dropout", "GaussianDropout", "AlphaDropout", "GaussianNoise"])
def test_random_layers_use_the_same_numbers_again(name: str) -> None:
    fastnn.seed(0)
    layer = getattr(fastnn, name)(0.4).train()
    x, v = fastnn.tensor(X, requires_grad=True), fastnn.tensor(Y)
    y = layer(x)
    (slope,) = fastnn.grad(y.sum(), x, retain_graph=True)
    (dx,) = fastnn.grad((y**3 * v).sum(), x, create_graph=True)
    np.testing.assert_allclose(dx.numpy(), 3 * y.numpy() ** 2 * slope.numpy() * Y, atol=1e-12)
    (ddx,) = fastnn.grad(dx.sum(), x)
    np.testing.assert_allclose(ddx.numpy(), 6 * y.numpy() * slope.numpy() ** 2 * Y, atol=1e-12)


def test_factors_are_rounded_as_in_the_forward_pass() -> None:
    x, w = (fastnn.tensor(a, requires_grad=True) for a in (X, Y.T.copy()))
    with fastnn.autocast("bfloat16"):
        y = fastnn.tanh(x @ w)
    plain = fastnn.grad(y.sum(), (x, w), retain_graph=True)
    for mine, theirs in zip(fastnn.grad(y.sum(), (x, w), create_graph=True), plain, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-12)
