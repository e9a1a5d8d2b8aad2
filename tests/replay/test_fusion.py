"""Calls that recorded forward passes join, and what frozen models compute from their weights once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from frozen_models import HOSTS, changed, values

import fastnn
import fastnn.nn as nn
from fastnn.backends import current
from fastnn.core.structure import ONE
from fastnn.replay import plan
from fastnn.replay.folding import Folded
from fastnn.replay.forward_pass import record
from fastnn.replay.fused_step import fused_step
from fastnn.replay.fusion import fused


@pytest.fixture(params=HOSTS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


class Net(nn.Module):
    """A forward pass from a function of the module and its input."""

    def __init__(self, fn: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.fn = fn
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        return self.fn(self, x)


def trained(model: nn.Module, *shape: int) -> nn.Module:
    """Give the weights and the averages other values than the first ones."""
    model.train()
    for _ in range(3):
        model(fastnn.tensor(2 * values(*shape) + 1))
    return model.eval()


def names(model: nn.Module, *shape: int, fold: bool = True) -> list[str]:
    """The kernels of a frozen model, after those that run only once."""
    k = current()
    recorded = record(model, ONE, [k.empty(shape, np.dtype("float32"))])
    calls = fused(recorded, recorded.outs, fold)
    return [
        name
        for name, _ in (Folded(k, list(dict.fromkeys(model.weights))).take(calls, recorded, recorded.outs) if fold else calls)
    ]


def check(model: nn.Module, *shape: int) -> Any:
    """Compare a frozen model, before and after new weights, with the model itself."""
    x = values(*shape)
    frozen = model.freeze(batch_size=shape[0], input_shape=shape[1:])
    any_size = model.freeze(batch_size=None, input_shape=shape[1:])
    for _ in range(2):
        want = model(fastnn.tensor(x)).numpy()
        np.testing.assert_allclose(frozen(x), want, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(any_size(x), want, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(any_size(x[:1]), want[:1], rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(model.predict(x), want, rtol=2e-5, atol=2e-6)
        trained(model, *shape)
        with fastnn.no_grad():
            for p in model.parameters():
                p.mul_(1.25)
        frozen.update(model)
        any_size.update(model.state_dict())
    return frozen


def test_a_convolution_takes_its_normalization_and_activation(backend: str) -> None:
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.BatchNorm2d(8), nn.SiLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)),
    )
    trained(net, 4, 3, 6, 6)
    kernels = names(net, 4, 3, 6, 6)
    assert [n for n in kernels if n != "strided_copy"] == ["conv_forward", "conv_forward", "avg_pool_forward"] + 2 * [
        "dense_forward"
    ]
    check(net, 4, 3, 6, 6)


def test_layers_of_keras(backend: str) -> None:
    net = fastnn.Sequential(
        [
            fastnn.Conv2D(4, 3, input_shape=(6, 6, 2)),
            fastnn.BatchNormalization(scale=False),
            fastnn.Activation("relu"),
            fastnn.GlobalAveragePooling2D(),
            fastnn.Dense(6, use_bias=False),
            fastnn.BatchNormalization(center=False),
            fastnn.Dense(3, activation="softmax"),
        ]
    )
    assert "norm_apply" not in names(trained(net, 5, 6, 6, 2), 5, 6, 6, 2)
    check(net, 5, 6, 6, 2)


def test_a_normalization_of_reshaped_outputs_stays_by_itself(backend: str) -> None:
    layers = [fastnn.Dense(12, input_shape=(4,)), fastnn.Reshape((2, 6)), fastnn.BatchNormalization(), fastnn.Flatten()]
    net = trained(fastnn.Sequential([*layers, fastnn.Dense(2)]), 5, 4)
    assert names(net, 5, 4).count("norm_apply") == 1
    check(net, 5, 4)


def test_predict_does_not_scale_filters_in_each_call(backend: str) -> None:
    net = trained(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()), 5, 3)
    assert names(net, 5, 3, fold=False) == ["dense_forward", "norm_fold", "norm_apply"]


def test_what_is_used_twice_is_not_joined(backend: str) -> None:
    block = Net(
        lambda m, x: (lambda h: fastnn.relu(m.norm(h)) + h)(m.conv(x)),
        conv=nn.Conv2d(2, 4, 1),
        norm=nn.BatchNorm2d(4),
    )
    kernels = names(trained(block, 3, 2, 5, 5), 3, 2, 5, 5)
    assert kernels.count("norm_apply") == 1  # with its ReLU
    assert "activation_forward" not in kernels
    check(block, 3, 2, 5, 5)


def test_an_output_that_something_reads_is_not_joined(backend: str) -> None:
    both = Net(lambda m, x: (lambda h: (h, fastnn.relu(h)))(m.linear(x)), linear=nn.Linear(3, 4)).eval()
    x = values(2, 3)
    for y, want in zip(both.freeze(batch_size=2, input_shape=(3,))(x), both(fastnn.tensor(x)), strict=True):
        np.testing.assert_array_equal(y, want.numpy())


def test_an_output_may_be_the_input_itself(backend: str) -> None:
    """Outputs are written when nothing needs the inputs any more."""
    x = values(2, 3)
    for net in (
        Net(lambda m, x: fastnn.relu(m.linear(x)), linear=nn.Linear(3, 3)),
        Net(lambda m, x: m.linear(fastnn.tanh(x)) * x, linear=nn.Linear(3, 3)),
        nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)),
    ):
        own, want = x.copy(), net.eval()(fastnn.tensor(x)).numpy()
        net.freeze(batch_size=2, input_shape=(3,))(own, out=own)
        np.testing.assert_allclose(own, want, rtol=2e-5, atol=2e-6)


def test_what_follows_from_weights_alone_is_computed_once(backend: str) -> None:
    class Normed(nn.Module):
        """A linear layer whose weights have the length that it learns."""

        def __init__(self) -> None:
            super().__init__()
            self.v, self.g = nn.Parameter(values(3, 4)), nn.Parameter(values(1, 4))

        def forward(self, x: Any) -> Any:
            return x @ (self.v * self.g / (self.v * self.v).sum(0, keepdims=True).sqrt())

    net = Normed().eval()
    assert names(net, 5, 3) == ["matmul_nn", "activation_forward"]  # the product, and the copy to the output
    check(net, 5, 3)


def test_state_that_a_pass_changes_is_not_folded(backend: str) -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n", fastnn.zeros(1))

        def forward(self, x: Any) -> Any:
            self.n.add_(1.0)
            return x * (self.n * 2)

    frozen = Counter().freeze(batch_size=1, input_shape=(2,))
    got = [float(frozen(np.ones((1, 2), "f4"))[0, 0]) for _ in range(3)]
    assert np.diff(got).tolist() == [2, 2]


def test_copies_share_nothing(backend: str) -> None:
    import copy
    import pickle

    net = trained(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()), 5, 3)
    x, frozen = values(5, 3), net.freeze(batch_size=5, input_shape=(3,))
    want = frozen(x).copy()
    copies = copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))
    frozen.update(changed(net))
    assert not np.allclose(frozen(x), want)
    for other in copies:
        np.testing.assert_array_equal(other(x), want)


# ---- training steps ----


def layers(kind: str) -> tuple[list[nn.Module], tuple[int, ...]]:
    """Layers with activations of their own, as PyTorch has them, and the shape of a sample."""
    images = {
        "conv": [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.GELU(), nn.Flatten()],
        "norm": [nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten()],
        "frozen": [nn.Conv2d(2, 4, 3).requires_grad_(False), nn.ReLU(), nn.Conv2d(4, 3, 2), nn.Tanh(), nn.Flatten()],
    }
    dense = {
        "dense": [nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8), nn.Sigmoid()],
        "dense norm": [nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5), nn.LayerNorm(5), nn.ReLU()],
    }
    return (images[kind], (2, 5, 5)) if kind in images else (dense[kind], (6,))


FUSED = {"conv": 4, "norm": 4, "frozen": 3, "dense": 2, "dense norm": 4}
"""The calls that a step has less. A dense layer keeps what the SiLU and the sigmoid need in a form of its own."""


def fitted(kind: str, eager: bool) -> list[Any]:
    """Train and return the weights."""
    fastnn.seed(3)
    made, shape = layers(kind)
    model = nn.Sequential(*made, fastnn.Dense(3))
    x = np.random.default_rng(1).standard_normal((32, *shape)).astype("f4")
    y = np.arange(32) % 3
    model(fastnn.tensor(x[:2]))
    model.compile(fastnn.optim.SGD(lr=0.05, momentum=0.9), nn.CrossEntropyLoss())
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, check_finite=eager)  # such steps are not recorded
    return model.get_weights()


@pytest.mark.parametrize("kind", FUSED)
def test_a_fused_step_gives_the_same_bits(backend: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spared = []

    def counted(recorder: Any, kept: Any) -> Any:
        found = fused_step(recorder, kept)
        spared.append(len(recorder.calls) - len(found[0]))
        return found

    monkeypatch.setattr(plan, "fused_step", counted)
    weights = fitted(kind, eager=False)
    assert spared.pop() == FUSED[kind]
    spared.clear()
    for a, b in zip(weights, fitted(kind, eager=True), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not spared, "the steps that are compared were recorded, too"


def test_what_a_step_returns_is_kept(backend: str) -> None:
    """Outputs before an activation, activations that are used again, and gradients that two layers share."""
    conv = nn.Conv2d(1, 2, 3)

    def both(x: Any) -> Any:
        h = conv(x)
        y = fastnn.relu(h)
        z = fastnn.relu(y * 2) + y
        conv.zero_grad()
        z.sum().backward()
        return h.detach(), y.detach(), z.detach(), conv.weight.grad

    def before(x: Any) -> Any:
        h = conv(x)
        y = fastnn.tanh(h) + h
        conv.zero_grad()
        y.sum().backward()
        return y.detach(), conv.weight.grad

    for step in (both, before):
        captured = fastnn.capture(step)
        for _ in range(5):
            x = fastnn.tensor(values(2, 1, 5, 5))
            for got, want in zip(captured(x), step(x), strict=True):
                np.testing.assert_array_equal(got.numpy(), want.numpy())
