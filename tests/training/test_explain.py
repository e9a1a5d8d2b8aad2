"""One training step with its numbers."""

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

X, Y = np.array([[0.2, -0.4]], np.float32), np.array([[1.0, 0.0]], np.float32)
FIRST, SECOND = np.array([[0.1, 0.3], [-0.2, 0.5]], np.float32), np.array([[0.7, -0.1], [0.4, 0.6]], np.float32)


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def two_layers(optimizer: Any) -> fastnn.Sequential:
    model = fastnn.Sequential([fastnn.Dense(2, "sigmoid", input_shape=(2,)), fastnn.Dense(2, "sigmoid")])
    model.set_weights([FIRST, [0.1, 0.1], SECOND, [0.2, 0.2]])
    model.compile(optimizer, "mse")
    return model


def test_the_numbers_are_those_of_backpropagation_by_hand() -> None:
    step = two_layers(fastnn.optim.SGD(lr=0.5)).explain(X, Y, print_fn=None)
    z1 = X @ FIRST + 0.1
    h = sigmoid(z1)
    z2 = h @ SECOND + 0.2
    p = sigmoid(z2)
    dz2 = (p - Y) * p * (1 - p)  # the mean over two outputs of (p - y)^2 has the gradient p - y
    dz1 = (dz2 @ SECOND.T) * h * (1 - h)
    first, second = step.layers
    for own, hand in (
        (first.z, z1),
        (first.y, h),
        (second.z, z2),
        (second.y, p),
        (second.dy, p - Y),
        (second.dz, dz2),
        (first.dz, dz1),
        (second.changes[0].gradient, h.T @ dz2),
        (first.changes[0].gradient, X.T @ dz1),
        (first.changes[0].after, FIRST - 0.5 * X.T @ dz1),
        (second.changes[1].after, 0.2 - 0.5 * dz2[0]),
        (step.loss, ((p - Y) ** 2).mean()),
    ):
        np.testing.assert_allclose(own, hand, rtol=1e-5, atol=1e-7)
    assert step.after < step.loss and step.rate == 0.5
    assert first.sum == "0.2 * 0.1 - 0.4 * -0.2 + 0.1 = 0.2000"


def test_the_text_has_the_numbers_and_the_model_is_not_changed() -> None:
    model = two_layers(fastnn.optim.SGD(lr=0.5))
    printed: list[Any] = []
    step = model.explain(X, Y, print_fn=printed.append)
    assert printed == [step]
    np.testing.assert_array_equal(model.get_weights()[0], FIRST)
    text = str(step)
    for line in (
        "  0: Dense(2, activation='sigmoid')",
        "    z = x kernel + bias, output = sigmoid(z)",
        "    z = [ 0.2000 -0.0400]",
        f"    MeanSquaredError = {step.loss:.4f}",
        f"The loss of the same samples is now {step.after:.4f}; it was {step.loss:.4f}.",
    ):
        assert line in text.split("\n")
    assert "the first number: 0.1 - 0.5 * " in text
    loss = model.train_on_batch(X, Y)
    assert loss == pytest.approx(step.loss, rel=1e-6)
    for own, done in zip([c.after for s in step.layers for c in s.changes], model.get_weights(), strict=True):
        np.testing.assert_allclose(own, done, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", fastnn.optim.SGD(lr=0.1, momentum=0.9, nesterov=True, dampening=0.0)])
def test_classes_and_other_optimizers(optimizer: Any) -> None:
    fastnn.seed(0)
    model = fastnn.Sequential([
        fastnn.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", input_shape=(6, 6, 1)),
        fastnn.BatchNormalization(),
        fastnn.Flatten(),
        fastnn.Dense(3, "softmax"),
    ])  # fmt: skip
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    x, y = np.random.default_rng(0).standard_normal((8, 6, 6, 1)), np.arange(8) % 3
    step = model.explain(x, y, print_fn=None)
    text = str(step)
    assert "SparseCategoricalCrossentropy + penalties = " in text and "64 numbers" not in text
    assert "kernel = 192 numbers of shape (64, 3), from -" in text
    last = step.layers[-1]
    onehot = np.eye(3)[y]
    np.testing.assert_allclose(last.dz, (last.y - onehot) / 8, atol=1e-6)
    assert step.rate is None and "the first number" not in text and not last.sum
    assert [c.gradient is None for c in step.layers[1].changes] == [False, False]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)
        self.first.requires_grad_(False)

    def forward(self, x: fastnn.Tensor) -> Any:
        return self.last(self.act(self.first(x)))


def test_modules_with_frozen_layers_by_their_names() -> None:
    model = Net()
    model.compile("sgd", nn.MSELoss())
    step = model.explain(X, [[1.0]], print_fn=None)
    assert [s.name for s in step.layers] == ["first", "act", "last"]
    assert step.layers[0].formula == "output = x weight^T + bias"
    assert all(c.gradient is None and (c.after == c.before).all() for c in step.layers[0].changes)
    assert "d loss / d weight" in str(step) and "MSELoss = " in str(step)


class OwnStepNet(Net):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def test_what_cannot_be_explained_says_why() -> None:
    own = OwnStepNet()
    own.compile("sgd", "mse")
    with pytest.raises(ValueError, match="explain: OwnStepNet has a train_step of its own"):
        own.explain(X, [[1.0]])
    with pytest.raises(ValueError, match="explain: a step of LBFGS computes several losses"):
        two_layers("lbfgs").explain(X, Y)
    with pytest.raises(RuntimeError, match="not compiled"):
        Net().explain(X, Y)
    with pytest.raises(ValueError, match="explain"):
        two_layers("sgd").explain(X, [[1.0, 0.0, 0.0]])
