"""gradcheck: what it says of right gradients, of wrong ones, of kinks, and that it leaves everything as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.autograd.check import GradcheckError
from fastnn.autograd.tensor import Gradients, Node, Tensor, result

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4))


def _halved_backward(grads: Gradients, node: Node, dy: Any) -> None:
    grads.add(node.inputs[0], dy * 0.5)


def _tripled_backward(grads: Gradients, node: Node, dy: Any) -> None:
    dx = dy * 3
    dx[1, 2] += node.saved[0]
    grads.add(node.inputs[0], dx)


def halved(x: Tensor) -> Tensor:
    """x, in plain NumPy, with half the gradient."""
    return result("halved", x.data * 1.0, _halved_backward, (x,))


def tripled(x: Tensor, wrong: float) -> Tensor:
    """3 x, whose gradient is wrong in one place."""
    return result("tripled", x.data * 3, _tripled_backward, (x,), (wrong,))


def test_right_gradients() -> None:
    assert fastnn.gradcheck(lambda x, y: (x @ y).tanh().sum(), [X, X.T.copy()])
    assert fastnn.gradcheck(lambda x: x * 2, fastnn.tensor(X.astype(np.float32)))
    assert fastnn.gradcheck(lambda x, i: x[i], (X, [1, 0]))
    assert fastnn.gradcheck(lambda x: tripled(x, 0.0), X)


def test_the_operation_the_argument_and_the_element_are_named() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        z = x.exp() * y
        return (tripled(z.log_softmax(), 2.5) + y).square().sum()

    with pytest.raises(GradcheckError) as caught:
        fastnn.gradcheck(f, [X, X + 1])
    first, second = str(caught.value).splitlines()
    assert first.startswith("gradcheck: f: gradient of argument 0[")
    assert second.startswith("backward of 'tripled' (operation 4 of 7): gradient of its argument 0[1, 2] is ")


@pytest.mark.parametrize("other", [lambda x: x * 2, lambda x: x.reshape(-1), lambda x: x.exp().sum(1), lambda x: x[1:]])
def test_it_is_found_whatever_stands_around_it(other: Any) -> None:
    for f in (lambda x: halved(other(x)), lambda x: other(halved(x)), lambda x: other(x).sum() + halved(x).sum()):
        with pytest.raises(GradcheckError, match=r"backward of 'halved' \(operation \d of \d\): gradient of its argument 0"):
            fastnn.gradcheck(f, X)


def test_an_input_that_comes_twice() -> None:
    assert fastnn.gradcheck(lambda x: (x * x) @ x.T, X)
    with pytest.raises(GradcheckError, match="backward of 'halved'"):
        fastnn.gradcheck(lambda x: x * x * halved(x), X)


def test_what_is_not_on_the_tape() -> None:
    with pytest.raises(GradcheckError, match=r"each of the 1 operations on the tape is right[^$]*detach"):
        fastnn.gradcheck(lambda x: x * x.detach(), X)
    with pytest.raises(GradcheckError, match=r"argument 1.* is 0, by finite differences [01]\.?"):
        fastnn.gradcheck(lambda x, y: x + y.detach(), [np.array(1.0), np.array(2.0)])


def test_kinks_are_told_from_mistakes() -> None:
    with pytest.raises(GradcheckError, match=r"argument 0\[1\] is .*there is a kink there, with slope 0 to the left"):
        fastnn.gradcheck(lambda x: x.clip(0).sum() * 3, [[1.0, 0.0, -2.0]], seed=2)
    with pytest.raises(GradcheckError, match="a kink there, with slope 0 to the left and"):
        fastnn.gradcheck(fastnn.relu, [[0.0, 1.0]])


def test_modules_are_checked_by_their_parameters_and_left_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
    model(X.astype(np.float32)).sum().backward()
    before = [(p.data, p.dtype, p.grad.numpy().copy()) for p in model.weights]
    assert fastnn.gradcheck(model, X)
    for p, (data, dtype, grad) in zip(model.weights, before, strict=True):
        assert p.data is data and p.dtype == dtype == np.float32
        np.testing.assert_array_equal(p.grad.numpy(), grad)
    optimizer.step()


class Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.layer.weight.T
        return halved(y) if self.training else y + halved(self.layer.bias)


def test_a_module_with_a_wrong_gradient() -> None:
    model = Broken()
    with pytest.raises(GradcheckError, match=r"Broken: gradient of argument 0\[\d, \d\].*\nbackward of 'halved'"):
        fastnn.gradcheck(model, X)
    assert model.layer.weight.dtype == np.float32
    with pytest.raises(GradcheckError, match=r"Broken: gradient of parameter layer.bias\[\d\]"):
        fastnn.gradcheck(model.eval(), X)


def test_layers_without_a_shape_get_one() -> None:
    assert fastnn.gradcheck(fastnn.Dense(2, activation="sigmoid"), X)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss()])
def test_losses(loss: Any) -> None:
    target = np.array([0, 2, 3]) if isinstance(loss, nn.CrossEntropyLoss) else (X > 0).astype(np.int64)
    if isinstance(loss, nn.CrossEntropyLoss):
        assert fastnn.gradcheck(loss, [X, target])
    else:
        assert fastnn.gradcheck(lambda x: loss(x, target.astype(np.float64)), X)


def test_what_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="another result when it is called again"):
        fastnn.gradcheck(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), X)
    with pytest.raises(TypeError, match="returned a float, wanted a Tensor"):
        fastnn.gradcheck(lambda x: 1.0, X)
    with pytest.raises(TypeError, match="returned dtype float32"):
        fastnn.gradcheck(lambda x: x.float(), X)


def test_an_operation_that_cannot_be_checked_alone() -> None:
    with pytest.raises(GradcheckError, match=r"these cannot be checked separately, the others are right: alone\."):
        fastnn.gradcheck(lambda x: result("alone", x.data * 1.0, _alone(), (x,)).sum(), X)


def _alone() -> Any:
    """A backward that works where the gradient is that of the whole function, which is 1."""

    def backward(grads: Gradients, node: Node, dy: Any) -> None:
        if not (dy == 1).all():
            raise TypeError("wanted several gradients")
        grads.add(node.inputs[0], dy * 0.5)

    return backward


class ProductAndSum(fastnn.Function):
    """Two outputs, of which the second one's gradient can be wrong."""

    factor = 1.0

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        return a * b, a + b, a.argmax()

    @classmethod
    def backward(cls, ctx: Any, dp: Any, ds: Any, di: Any) -> Any:
        a, b = ctx.saved_tensors
        return dp * b + ds, dp * a + ds * cls.factor


def test_several_outputs() -> None:
    rng = np.random.default_rng(0)
    a, b, x = rng.standard_normal(3), rng.standard_normal(3), rng.standard_normal((5, 3))
    assert fastnn.gradcheck(ProductAndSum.apply, [a, b])
    wrong = type("Wrong", (ProductAndSum,), {"factor": 2.0})
    with pytest.raises(GradcheckError, match="gradient of argument 1"):
        fastnn.gradcheck(wrong.apply, [a, b])
    i = fastnn.Input((3,))
    h = fastnn.PReLU()(fastnn.Dense(4, kernel_regularizer="l2")(i))
    outputs = [fastnn.Dense(2, activation="softmax")(h), fastnn.Dense(1, activation="mish")(h)]
    for model in (fastnn.Model(i, outputs), fastnn.Model(i, {"a": outputs[0], "b": outputs[1]})):
        assert fastnn.gradcheck(model, x)
