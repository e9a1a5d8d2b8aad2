"""Named layers of Sequential, layers of several axes after Linear, hooks of Tensors, and vectors of parameters, as in PyTorch."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn


def named(n: Any) -> Any:
    return n.Sequential(OrderedDict([("fc1", n.Linear(4, 3)), ("act", n.ReLU()), ("out", n.Linear(3, 2))]))


def test_sequential_of_names(tmp_path: Path) -> None:
    model = named(nn)
    assert list(model.state_dict()) == ["fc1.weight", "fc1.bias", "out.weight", "out.bias"]
    assert model[0] is model.fc1 and model[:2].act is model.act
    model.save(tmp_path / "m.fnn")
    loaded = fastnn.load(tmp_path / "m.fnn")
    assert repr(loaded) == repr(model)
    x = fastnn.randn(5, 4)
    np.testing.assert_array_equal(loaded(x).detach().numpy(), model(x).detach().numpy())
    model.add_module("last", nn.Tanh())
    model.append(nn.ReLU())
    assert [name for name, _ in model.named_children()] == ["fc1", "act", "out", "last", "4"]
    assert isinstance(model.pop(), nn.ReLU) and isinstance(model.pop(), nn.Tanh) and len(model) == 3
    for name in ("fit", "a.b", "fc1", ""):
        with pytest.raises(KeyError, match="cannot be a name"):
            model.add_module(name, nn.ReLU())


def test_sequential_of_names_as_pytorch_s() -> None:
    torch = pytest.importorskip("torch")
    model, theirs = named(nn), named(torch.nn)
    model.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 4)
    np.testing.assert_allclose(model(x.numpy()).detach().numpy(), theirs(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert repr(model) == repr(theirs)


def test_an_input_may_be_the_first_of_the_names(tmp_path: Path) -> None:
    model = nn.Sequential({"images": fastnn.Input((4,)), "a": fastnn.Dense(3)})
    assert model.built and list(model.state_dict()) == ["a.kernel", "a.bias"]
    model.save(tmp_path / "m.fnn")
    assert fastnn.load(tmp_path / "m.fnn").a.units == 3


def test_layers_of_several_axes_after_linear(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((5, 3, 8)).astype(np.float32)
    model = nn.Sequential(nn.Linear(8, 4), nn.Conv1d(3, 2, 2), nn.Linear(3, 6), nn.MaxPool1d(2))
    assert model.predict(x).shape == (5, 2, 3) and model.input_shape is None
    assert nn.Sequential(nn.Linear(8, 4), nn.Conv2d(3, 2, 2))(fastnn.randn(5, 3, 6, 8)).shape == (5, 2, 5, 3)
    model.compile("adam", "mse")
    model.fit(x, np.zeros((5, 2, 3), np.float32), verbose=0)
    model.save(tmp_path / "m.fnn")
    np.testing.assert_allclose(fastnn.load(tmp_path / "m.fnn").predict(x), model.predict(x), rtol=1e-6)
    with pytest.raises(RuntimeError, match="freeze: the input shape is unknown"):
        model.freeze()
    np.testing.assert_allclose(model.freeze(5, input_shape=(3, 8))(x), model.predict(x), rtol=1e-5)


def hooks_of(m: Any) -> list[Any]:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y, log = x * 3, []
    before = (y * y).sum()
    y.register_hook(lambda g: log.append(g.tolist()))
    handle = y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: log.append(g.tolist()))
    (before + y.sum()).backward(retain_graph=True)
    handle.remove()
    (before + y.sum()).backward()
    return [log, x.grad.tolist()]


def second_of(m: Any, grad: Any) -> list[Any]:
    x = m.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    with y.register_hook(lambda g: g * 2):
        (dx,) = grad((y * y).sum(), x, create_graph=True)
        (ddx,) = grad(dx.sum(), x)
    return [dx.tolist(), ddx.tolist()]


def test_hooks_of_tensors() -> None:
    torch = pytest.importorskip("torch")
    assert hooks_of(fastnn) == hooks_of(torch)
    assert second_of(fastnn, fastnn.grad) == second_of(torch, torch.autograd.grad)


def test_hooks_and_fused_losses() -> None:
    x, labels = fastnn.randn(4, 3, dtype="float64").requires_grad_(), [0, 2, 1, 1]
    nn.NLLLoss()(x.log_softmax(1), labels).backward()
    plain = x.grad.clone().numpy()
    x.grad = None
    y = x.log_softmax(1)
    seen: list[Any] = []
    y.register_hook(seen.append)
    nn.NLLLoss()(y, labels).backward()
    np.testing.assert_allclose(x.grad.numpy(), plain)
    assert len(seen) == 1 and seen[0].sum().item() == pytest.approx(-1)


def test_hooks_run_in_every_step() -> None:
    calls: list[Any] = []

    @fastnn.capture
    def step(x: Any) -> Any:
        y = x * 2
        y.register_hook(calls.append)
        (dx,) = fastnn.grad(y.sum(), x)
        return dx

    x = fastnn.ones(3, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="a hook of a Tensor"):
        for _ in range(5):
            assert step(x).tolist() == [2.0] * 3
    assert len(calls) == 5


def test_where_hooks_cannot_be() -> None:
    x = fastnn.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf came"):
        x.register_hook(print)
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        x.detach().register_hook(print)
    y = x * 2
    with fastnn.no_grad(), pytest.raises(RuntimeError, match="inside of no_grad"):
        y.register_hook(print)


def test_nodes_are_shown() -> None:
    y = fastnn.ones(2, requires_grad=True) * 2
    assert repr(y) == "tensor([2., 2.], grad_fn=<mul>)"
    assert y.grad_fn is y.node and y.grad_fn.name() == "mul" and y.detach().grad_fn is None


def test_parameters_as_a_vector() -> None:
    layer = nn.Linear(3, 2)
    vector = nn.utils.parameters_to_vector(layer.parameters())
    np.testing.assert_array_equal(vector.detach().numpy(), np.append(layer.weight.numpy(), layer.bias.numpy()))
    (vector * vector).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), 2 * layer.weight.numpy())
    nn.utils.vector_to_parameters(fastnn.arange(8.0), layer.parameters())
    assert layer.weight.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] and layer.bias.tolist() == [6.0, 7.0]
    with pytest.raises(ValueError, match=r"shape \(7,\) came, wanted 8 elements"):
        nn.utils.vector_to_parameters(fastnn.zeros(7), layer.parameters())


def test_layers_that_compare() -> None:
    torch = pytest.importorskip("torch")
    a, b = np.random.default_rng(0).standard_normal((2, 5, 3))
    for make in (
        lambda n: n.CosineSimilarity(), lambda n: n.CosineSimilarity(dim=0, eps=1e-3), lambda n: n.PairwiseDistance(),
        lambda n: n.PairwiseDistance(1, keepdim=True), lambda n: n.PairwiseDistance(float("inf")),
    ):  # fmt: skip
        x, y = fastnn.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        found, wanted = make(nn)(x, fastnn.tensor(b)), make(torch.nn)(y, torch.tensor(b))
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-12)
        found.sum().backward()
        wanted.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-12)
    first, second = fastnn.Input((3,)), fastnn.Input((3,))
    model = fastnn.Model([first, second], nn.PairwiseDistance(keepdim=True)(first, second))
    np.testing.assert_allclose(model.predict([a, b]), np.linalg.norm(a - b + 1e-6, axis=1, keepdims=True), rtol=1e-5)
    with pytest.raises(ValueError, match="p is 3, wanted 1, 2 or inf"):
        nn.PairwiseDistance(3)


def test_unflatten(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(8, 12), nn.Unflatten(1, (3, -1)), nn.Conv1d(3, 2, 2))
    assert model(fastnn.randn(5, 8)).shape == (5, 2, 3) and model.shapes() == [(12,), (3, 4), (2, 3)]
    model.save(tmp_path / "m.fnn")
    assert repr(fastnn.load(tmp_path / "m.fnn")) == repr(model)
    with pytest.raises(ValueError, match="dim is 0"):
        nn.Unflatten(0, (1, -1)).output_shape((3,))


@fastnn.register(package="torch_names")
class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ParameterList([fastnn.ones(3), nn.Parameter([2.0, 2.0, 2.0])])
        self.shifts = nn.ParameterDict({"a": fastnn.zeros(3)})

    def forward(self, x: Any) -> Any:
        for scale in self.scales:
            x = x * scale
        return x + self.shifts["a"]


def test_lists_and_dicts_of_parameters() -> None:
    model = Scaled()
    assert list(model.state_dict()) == ["scales.0", "scales.1", "shifts.a"] and len(list(model.parameters())) == 3
    optimizer = fastnn.optim.SGD(model.parameters(), 0.1)
    x = fastnn.ones(2, 3)
    for _ in range(30):
        loss = (model(x) - 5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3
    model.scales[0] = fastnn.zeros(3)
    assert model.scales[-2].tolist() == [0.0] * 3 and len(model.scales[:1]) == 1 and "a" in model.shifts
    model.shifts.update({"b": fastnn.ones(1)})
    del model.shifts["b"]
    assert [(name, p.shape) for name, p in model.shifts.items()] == [("a", (3,))]
    with pytest.raises(IndexError, match="index 2 of 2"):
        model.scales[2]
    with pytest.raises(KeyError, match="cannot be a name"):
        model.shifts["forward"] = fastnn.ones(1)


def test_lists_of_parameters_are_saved(tmp_path: Path) -> None:
    model = Scaled()
    model.shifts["a"] = fastnn.tensor([1.0, 2.0, 3.0])
    model.save(tmp_path / "m.fnn")
    loaded = fastnn.load(tmp_path / "m.fnn")
    np.testing.assert_array_equal(loaded(fastnn.ones(2, 3)).detach().numpy(), [[3.0, 4.0, 5.0]] * 2)
    assert list(loaded.state_dict()) == list(model.state_dict())


def test_lists_of_parameters_as_pytorch_s() -> None:
    torch = pytest.importorskip("torch")
    own, theirs = nn.ParameterList([fastnn.ones(2)]), torch.nn.ParameterList([torch.ones(2)])
    own.append(fastnn.zeros(3)), theirs.append(torch.zeros(3))
    assert list(own.state_dict()) == list(theirs.state_dict()) and len(own) == len(theirs)
