"""Modules and layers: registration, names, shapes, initial values, dropout, sharing."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current
from fastnn.replay.memory import Memory

X = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.scale = nn.Parameter(np.ones(8, np.float32))
        self.second = fastnn.Dense(2)

    def forward(self, x: Any) -> Any:
        return self.second(fastnn.relu(self.first(x)) * self.scale)


def test_parameters_have_names_and_come_in_order() -> None:
    model = Block()
    with pytest.raises(RuntimeError, match=r"second.*has no shape yet"):
        list(model.parameters())
    model(X)
    names = [n for n, _ in model.named_parameters()]
    assert names == ["scale", "first.weight", "first.bias", "second.kernel", "second.bias"]
    assert [p.shape for p in model.parameters()] == [(8,), (8, 4), (8,), (8, 2), (2,)]
    assert next(iter(model.first.parameters())) is model.first.weight


def test_repr_is_pytorch_like() -> None:
    assert repr(Block()).splitlines()[:2] == ["Block(", "  (first): Linear(in_features=4, out_features=8, bias=True)"]


def test_linear_weight_is_a_view_written_through() -> None:
    layer = nn.Linear(4, 3)
    assert layer.weight.shape == (3, 4) and layer.kernel.shape == (4, 3)
    with fastnn.no_grad():
        layer.weight.copy_(np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(layer.kernel.numpy(), np.arange(12.0).reshape(3, 4).T)
    (layer(X) ** 2).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), layer.kernel.grad.numpy().T)
    optimizer = fastnn.optim.SGD([layer.weight], lr=0.1)
    before = layer.weight.numpy().copy()
    optimizer.step()
    assert (layer.weight.numpy() != before).any()
    np.testing.assert_array_equal(layer.weight.numpy(), layer.kernel.numpy().T)
    assert current().xp.shares_memory(layer.weight.data, layer.kernel.data)


def test_the_transposed_view_takes_part_in_operations() -> None:
    layer = nn.Linear(4, 3, dtype="float64")
    x = fastnn.tensor(X.astype(np.float64))
    np.testing.assert_allclose((x @ layer.weight.T + layer.bias).numpy(), layer(x).numpy(), rtol=1e-12)
    (layer.weight * layer.weight).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), 2 * layer.weight.numpy())


def test_inputs_are_cast_at_the_door() -> None:
    layer = nn.Linear(4, 2)
    expected = layer(fastnn.tensor(X)).numpy()
    for x in (X, X.astype(np.float64), X.tolist(), np.asfortranarray(X), X[::-1][::-1]):
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-6)
    assert layer([1, 2, 3, 4]).shape == (2,)
    assert layer(np.zeros((2, 3, 4), np.uint8)).shape == (2, 3, 2)


def test_batches_of_size_zero_and_one() -> None:
    layer = fastnn.Dense(3, activation="gelu", input_shape=(4,))
    assert layer(X[:0]).shape == (0, 3)
    (layer(X[:0]).sum() + layer(X[:1]).sum()).backward()
    assert layer.kernel.grad.shape == (4, 3)


@pytest.mark.parametrize(
    "activation", [None, "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "exponential", "softmax", "log_softmax"]
)
def test_dense_gradients(activation: str | None) -> None:
    fastnn.seed(0)
    layer = fastnn.Dense(3, activation=activation, input_shape=(4,), dtype="float64")
    w, b = layer.kernel.numpy().copy(), layer.bias.numpy().copy() + 0.1

    def f(x: Any, kernel: Any, bias: Any) -> Any:
        act = layer.activation
        if isinstance(act, str):
            return getattr(fastnn, act)(fastnn.ops.dense.dense(x, kernel, bias))
        return fastnn.ops.dense.dense(x, kernel, bias, act)

    assert fastnn.gradcheck(f, [X.astype(np.float64), w, b])


def test_gradcheck_finds_and_names_what_is_wrong() -> None:
    from fastnn.autograd.tensor import Gradients, Node, result

    def wrong(grads: Gradients, node: Node, dy: Any) -> None:
        d = 2 * node.saved[0] * dy
        d[1] *= 1.01
        grads.add(node.inputs[0], d)

    def square(x: Any) -> Any:
        return result("square", x.data**2, wrong, (x,), (x.data,))

    with pytest.raises(AssertionError, match=r"square: gradient of argument 0\[1\] is"):
        fastnn.gradcheck(square, np.array([1.0, 2.0, 3.0]))


def test_initial_values_are_keras_s() -> None:
    fastnn.seed(0)
    layer = fastnn.Dense(300, input_shape=(200,))
    limit = np.sqrt(6 / 500)
    k = layer.kernel.numpy()
    assert abs(k).max() <= limit and k.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert (layer.bias.numpy() == 0).all()


def test_dropout_scales_what_it_keeps() -> None:
    fastnn.seed(0)
    layer = fastnn.Dropout(0.4)
    y = layer(np.ones(100_000, np.float32)).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.6)}
    assert (y == 0).mean() == pytest.approx(0.4, abs=0.01)
    assert (layer.eval()(np.ones(10, np.float32)).numpy() == 1).all()
    for rate, value in ((0.0, 1.0), (1.0, 0.0)):
        assert (fastnn.Dropout(rate)(np.ones(10, np.float32)).numpy() == value).all()


def test_dropout_gradients_use_the_same_mask() -> None:
    layer = fastnn.Dropout(0.5)
    x = fastnn.tensor(np.ones(1000), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_freezing() -> None:
    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(4,)), fastnn.Dense(2, activation="softmax")])
    model[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(X, np.arange(10) % 2, epochs=2, verbose=0)
    after = model.get_weights()
    assert (before[0] == after[0]).all() and (before[2] != after[2]).any()
    assert "frozen" in _summary(model)


def _summary(model: fastnn.Module) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    return "\n".join(lines)


def test_summary() -> None:
    text = _summary(fastnn.Sequential([fastnn.Flatten(input_shape=(20, 20)), fastnn.Dense(15), fastnn.Dense(10)]))
    assert "(None, 400)" in text and "6,015" in text and "6,175 parameters" in text
    assert "not built yet" in _summary(fastnn.Sequential([fastnn.Dense(2)]))
    assert "Linear" in _summary(Block())


def test_two_optimizers_on_one_model() -> None:
    model = fastnn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    a, b = fastnn.optim.SGD(model[0].parameters(), lr=0.1), fastnn.optim.SGD(model[1].parameters(), lr=0.1)
    whole = fastnn.optim.Adam(model.parameters())
    (model(X) ** 2).sum().backward()
    first, second = model[0].kernel.numpy().copy(), model[1].kernel.numpy().copy()
    a.step()
    assert (model[0].kernel.numpy() != first).any() and (model[1].kernel.numpy() == second).all()
    b.step()
    assert (model[1].kernel.numpy() != second).any()
    whole.step()
    assert whole.iterations == 1


def test_an_optimizer_on_a_subset_leaves_its_neighbours_alone() -> None:
    model = fastnn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    fastnn.optim.SGD(model.parameters())  # one home for all
    subset = fastnn.optim.SGD([model[0].weight, model[2].weight], lr=0.1, weight_decay=0.5)
    (model(X) ** 2).sum().backward()
    before = model.get_weights()
    subset.step()
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [True, False, False, False, True, False]


def test_parameters_keep_identity_and_place() -> None:
    model = fastnn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    parameters = model.weights
    fastnn.optim.Adam(model.parameters())
    extent = Memory(current()).extent
    places = [extent(p.data) for p in parameters]
    assert all(begin % 64 == 0 for begin, _ in places)
    model.set_weights(model.get_weights())
    model.compile("adam", "mse")
    model.fit(X, np.zeros((10, 2)), verbose=0)
    model.load_state_dict(model.state_dict())
    assert all(a is b for a, b in zip(parameters, model.weights, strict=True))
    assert places == [extent(p.data) for p in parameters]


def test_one_tensor_as_input_and_weight_of_a_layer_gets_both_gradients() -> None:
    p, q = (fastnn.nn.Parameter(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)) for _ in range(2))
    fastnn.ops.dense.dense(p, p).sum().backward()
    (q @ q).sum().backward()
    assert p.grad is not None and q.grad is not None and p.grad.tolist() == q.grad.tolist()


def test_attributes_of_modules_follow_what_is_set() -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    first, second = nn.Linear(2, 3), nn.Linear(2, 4)
    model.head = first
    model.head = second
    assert model.head is second and list(model._modules) == ["0", "head"]
    assert copy.deepcopy(model).head.weight.shape == (4, 2)
    again = pickle.loads(pickle.dumps(model))
    assert again.head is list(again.children())[1] and again.head.bias is again.head._parameters["bias"]
    second.bias = None
    assert second.bias is None and [name for name, _ in second.named_parameters()] == ["weight"]
    del model.head
    assert not hasattr(model, "head") and list(model._modules) == ["0"]
    with pytest.raises(AttributeError, match="head"):
        del model.head


def test_the_first_layer_computes_no_dx() -> None:
    from fastnn.backends import current, recording
    from fastnn.replay.recorder import Recorder

    model = fastnn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    recorder = Recorder(current())
    with recording(recorder):
        model(fastnn.tensor(X)).sum().backward()
    computed = [args[0].size > 0 for name, args in recorder.calls if name == "dense_backward"]
    assert computed == [True, False]


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MSELoss])
def test_losses_take_sample_weights(loss: Any) -> None:
    rng = np.random.default_rng(0)
    x, target, weight = rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4)), np.array([0.0, 1.0, 2.5])
    labels = np.array([0, 1, 3]) if loss is nn.CrossEntropyLoss else target
    each = loss(reduction="none")(x, labels).numpy().reshape(3, -1) * weight[:, None]
    weighted = {how: loss(reduction=how)(x, labels, sample_weight=weight).numpy() for how in ("none", "sum", "mean")}
    np.testing.assert_allclose(weighted["none"].reshape(3, -1), each, rtol=1e-12)
    assert weighted["sum"] == pytest.approx(each.sum(), rel=1e-12)
    divisor = weight.sum() if loss is nn.CrossEntropyLoss else each.size
    assert weighted["mean"] == pytest.approx(each.sum() / divisor, rel=1e-12)
