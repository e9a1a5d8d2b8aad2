"""Soft updates of target networks: values, layouts, buffers, recorded ones, and what is refused."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current, recording
from fastnn.replay.recorder import Recorder


def net(dtype: Any = "float32") -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 7, dtype=dtype), nn.Tanh(), nn.Linear(7, 3, dtype=dtype))


def kernels_of(f: Callable[[], Any]) -> list[str]:
    recorder = Recorder(current())
    with recording(recorder):
        f()
    return [name for name, _ in recorder.calls]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tau", [0.0, 0.005, 0.5, 1.0])
def test_values(dtype: str, tau: float) -> None:
    source, target = net(dtype), net(dtype)
    before, goal = target.state_dict(), source.state_dict()
    fastnn.soft_update(target, source, tau)
    eps = np.finfo(dtype).eps
    for name, value in target.state_dict().items():
        x, y = before[name].astype(np.float64), goal[name].astype(np.float64)
        np.testing.assert_allclose(value, x + tau * (y - x), rtol=0, atol=4 * eps * max(abs(x).max(), abs(y).max()))
        np.testing.assert_array_equal(source.state_dict()[name], goal[name])
        if tau in (0, 1):
            np.testing.assert_array_equal(value, (before, goal)[int(tau)][name])


def test_values_that_are_not_finite_are_copied_with_tau_1() -> None:
    source, target = nn.Parameter([np.inf, 1.0]), nn.Parameter([np.inf, np.nan])
    fastnn.soft_update([target], [source], 1)
    assert target.tolist() == [np.inf, 1.0]


def test_models_of_one_structure_take_one_kernel_call() -> None:
    source, target = net(), net()
    fastnn.soft_update(target, source, 0.5)
    assert kernels_of(lambda: fastnn.soft_update(target, source, 0.5)) == ["lerp"]
    assert kernels_of(lambda: fastnn.soft_update(target, source, 1.0)) == ["strided_copy"]


def test_other_layouts_of_the_flat_buffers() -> None:
    source, target = net(), net()
    fastnn.optim.SGD(source[2].parameters(), lr=0.1)  # which gives them a home of their own
    fastnn.optim.SGD([target[2].bias, target[0].weight], lr=0.1)
    before, goal = target.state_dict(), source.state_dict()
    fastnn.soft_update(target, source, 0.25)
    for name, value in target.state_dict().items():
        np.testing.assert_allclose(value, 0.75 * before[name] + 0.25 * goal[name], rtol=1e-5, atol=1e-7)
    part = [source[0].bias, source[2].weight]
    kept = target[0].weight.numpy().copy()
    fastnn.soft_update([target[0].bias, target[2].weight], part, 1.0)
    np.testing.assert_array_equal(target[2].weight.numpy(), source[2].weight.numpy())
    np.testing.assert_array_equal(target[0].weight.numpy(), kept)


def test_weights_that_are_stored_in_other_orders() -> None:
    linear, dense = nn.Linear(3, 3), fastnn.Dense(3, input_shape=(3,))
    fastnn.soft_update([dense.kernel], [linear.weight], 1.0)
    np.testing.assert_array_equal(dense.kernel.numpy(), linear.weight.numpy())
    with fastnn.no_grad():
        linear.weight.fill_(0.0)
    fastnn.soft_update([linear.weight], [dense.kernel], 0.5)
    np.testing.assert_allclose(linear.weight.numpy(), dense.kernel.numpy() / 2, rtol=1e-6)


def test_frozen_targets_move_and_keep_no_gradient() -> None:
    source, target = net(), net().requires_grad_(False)
    fastnn.soft_update(target, source, 1.0)
    np.testing.assert_array_equal(target[0].weight.numpy(), source[0].weight.numpy())
    assert not any(p.requires_grad for p in target.parameters())


def test_gradients_of_what_was_computed_before_are_refused() -> None:
    source, target = net(), net()
    loss = (target(fastnn.ones((2, 4))) ** 2).sum()
    fastnn.soft_update(target, source, 0.5)
    with pytest.raises(RuntimeError, match="changed"):
        loss.backward()


class Counting(nn.Module):
    """A model with buffers of float and whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("mean", fastnn.randn(3))
        self.register_buffer("count", fastnn.tensor(np.array([7])))

    def forward(self, x: Any) -> Any:
        return self.layer(x)


def test_buffers_are_copied() -> None:
    source, target = Counting(), Counting()
    mean = target.mean
    source.count.copy_(np.array([9]))
    fastnn.soft_update(target, source, 0.5)
    assert target.mean is mean and target.count.tolist() == [9]
    np.testing.assert_array_equal(target.mean.numpy(), source.mean.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_recorded_updates_have_the_bits_of_eager_ones(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 8, 4)).astype(dtype), rng.standard_normal((6, 8, 3)).astype(dtype)
    ends = []
    for wrap in (lambda f: f, fastnn.capture):
        fastnn.seed(3)
        source, target = net(dtype), net(dtype)
        optimizer = fastnn.optim.Adam(source.parameters(), lr=0.01)

        def step(x: Any, y: Any, source: Any = source, target: Any = target, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = nn.MSELoss()(source(x), y + target(x).detach())
            loss.backward()
            optimizer.step()
            fastnn.soft_update(target, source, 0.005)
            return loss

        run = wrap(step)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            losses = [run(a, b).item() for a, b in zip(x, y, strict=True)]
        ends.append([losses, *source.state_dict().values(), *target.state_dict().values()])
    assert run.captured.eager == "" and run.captured._steps
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_recorded_updates_follow_tau() -> None:
    source, target = nn.Parameter([1.0]), nn.Parameter([0.0])
    step = fastnn.capture(lambda tau: fastnn.soft_update([target], [source], tau))
    for tau in (0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.5):
        with fastnn.no_grad():
            target.fill_(0.0)
        step(tau)
        assert target.tolist() == [tau]


@pytest.mark.parametrize(
    ("target", "source", "tau", "error", "message"),
    [
        (net, net, 1.5, ValueError, r"soft_update: tau is 1\.5, wanted a finite number from 0 to 1"),
        (net, net, float("nan"), ValueError, "soft_update: tau is nan"),
        (net, net, "0.5", ValueError, "soft_update: tau is '0.5'"),
        (net, lambda: nn.Linear(4, 7), 0.5, ValueError, "soft_update: the target has 4 parameters, the source 2"),
        (
            lambda: nn.Linear(4, 7),
            lambda: nn.Linear(4, 6),
            0.5,
            ValueError,
            r"parameter weight of the target has shape \(7, 4\) and dtype float32, weight of the source \(6, 4\)",
        ),
        (net, lambda: net("float64"), 0.5, ValueError, "dtype float32, 0.weight of the source .* and float64; wanted the same"),
        (Counting, lambda: nn.Linear(2, 2), 0.5, ValueError, "the target has 2 buffers, the source 0"),
        (lambda: nn.Parameter([1.0]), net, 0.5, TypeError, "target is a Parameter, wanted a Module or a list of parameters"),
        (lambda: [fastnn.ones(2)], net, 0.5, TypeError, "target holds a Tensor, wanted parameters only"),
        (net, lambda: 3, 0.5, TypeError, "source is a int, wanted a Module"),
        (lambda: fastnn.Dense(3), lambda: fastnn.Dense(3), 0.5, RuntimeError, "has no shape yet"),
        (lambda: [nn.Parameter([1.0])] * 2, lambda: [nn.Parameter([1.0])] * 2, 0.5, ValueError, "stands twice in the target"),
    ],
)
def test_what_is_refused(target: Any, source: Any, tau: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        fastnn.soft_update(target(), source(), tau)


def test_a_shared_parameter_is_refused_and_nothing_is_changed() -> None:
    shared = nn.Linear(2, 2)
    target, source = nn.Sequential(nn.Linear(2, 2), shared), nn.Sequential(nn.Linear(2, 2), shared)
    before = target[0].weight.numpy().copy()
    with pytest.raises(ValueError, match="a parameter is in both the target and the source"):
        fastnn.soft_update(target, source, 0.5)
    np.testing.assert_array_equal(target[0].weight.numpy(), before)
