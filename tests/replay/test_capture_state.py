"""What a captured step finds outside of it: the same memory in each call, or noticed; and what it leaves there."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
import fastnn.training.step
from fastnn.replay.capture import MOST_PLANS

rng = np.random.default_rng(0)
X = rng.standard_normal((8, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets epochs of a few steps be recorded."""
    monkeypatch.setattr(fastnn.training.step, "FEW", 4)


PARTS: dict[str, Callable[[Any, Any, int], Any]] = {
    "slice": lambda x, p, i: x[i : i + 2],
    "row": lambda x, p, i: x[i],
    "column": lambda x, p, i: x[:, i // 2 % 2],
    "split": lambda x, p, i: x.split(2)[i // 2],
    "unbind": lambda x, p, i: x.unbind(0)[i],
    "index tensor": lambda x, p, i: x[p[i : i + 2]],
    "take": lambda x, p, i: fastnn.take(x, p[i : i + 2]),
    "step": lambda x, p, i: x[:: 1 + i // 2 % 2][:4],
    "detached": lambda x, p, i: x.detach()[i],
    "reshaped": lambda x, p, i: x.reshape(-1)[i : i + 3],
}


@pytest.mark.parametrize("part", PARTS)
def test_another_part_of_a_tensor_each_time_is_noticed(part: str) -> None:
    x, p, at = fastnn.tensor(X), fastnn.tensor(np.arange(8)[::-1].copy()), [0]

    @fastnn.capture
    def step() -> Any:
        i = at[0] % 4 * 2
        at[0] += 1
        return PARTS[part](x, p, i) * 2

    with pytest.warns(RuntimeWarning, match="is not recorded"):
        for i in range(9):
            np.testing.assert_array_equal(step().numpy(), PARTS[part](x, p, i % 4 * 2).numpy() * 2)


def test_the_same_part_of_a_tensor_is_recorded_and_followed() -> None:
    x = fastnn.tensor(X)
    step = fastnn.capture(lambda: x[2:4] * 2)
    for v in range(5):
        x.fill_(v)
        assert (step().numpy() == 2 * v).all()
    assert step.captured._steps


def test_operands_that_change_places_are_noticed() -> None:
    pair = [fastnn.tensor([1.0]), fastnn.tensor([5.0])]

    @fastnn.capture
    def step() -> Any:
        pair.reverse()
        return pair[0] - pair[1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert [step().item() for _ in range(10)] == [4.0, -4.0] * 5


class Keeps(nn.Module):
    """A hidden state in a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.state = fastnn.zeros(2)

    def forward(self, x: Any) -> Any:
        self.state = self.state * 0.5 + x
        return self.state * 1.0


def _attribute() -> Callable[[Any], Any]:
    return Keeps()


def _list() -> Callable[[Any], Any]:
    held = [fastnn.zeros(2)]

    def step(x: Any) -> Any:
        held[0] = held[0] * 0.5 + x
        return held[0] * 1.0

    return step


def _dict() -> Callable[[Any], Any]:
    held = {"h": fastnn.zeros(2)}

    def step(x: Any) -> Any:
        held["h"] = held["h"] * 0.5 + x
        return held["h"] * 1.0

    return step


def _closure() -> Callable[[Any], Any]:
    h = fastnn.zeros(2)

    def step(x: Any) -> Any:
        nonlocal h
        h = h * 0.5 + x
        return h * 1.0

    return step


@pytest.mark.parametrize("make", [_attribute, _list, _dict, _closure])
def test_a_state_that_is_assigned_is_noticed(make: Callable[[], Callable[[Any], Any]]) -> None:
    eager, step = make(), fastnn.capture(make())
    with pytest.warns(RuntimeWarning, match="kept outside of it|other memory|is changed|is set in"):
        for v in range(9):
            x = fastnn.tensor([float(v), 1.0])
            np.testing.assert_array_equal(step(x).numpy(), eager(x).numpy())


def test_what_only_leaves_by_the_side_is_noticed() -> None:
    seen: dict[str, Any] = {}

    @fastnn.capture
    def step(x: Any) -> Any:
        seen["double"] = x * 2
        return x + 1

    with pytest.warns(RuntimeWarning, match="kept outside|is changed"):
        for v in range(6):
            kept = seen.get("double")
            step(fastnn.tensor([float(v)]))
            assert seen["double"].item() == 2 * v
            assert kept is None or kept.item() == 2 * (v - 1)


class Center(nn.Module):
    """Half of a batch normalisation, with its mean assigned."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", fastnn.zeros(3))
        self.register_buffer("calls", fastnn.zeros(()))

    def forward(self, x: Any) -> Any:
        if not self.training:
            return x - self.mean
        m = x.mean(axis=0)
        y = (x - m) * self.mean  # backward needs the mean of before
        with fastnn.no_grad():
            self.mean = 0.9 * self.mean + 0.1 * m.detach()
            self.calls = self.calls + 1.0
            self.calls = self.calls + 1.0
        return y + 0.1 * (x - m)


@pytest.mark.parametrize("how", ["capture", "fit"])
def test_buffers_may_be_assigned(how: str) -> None:
    x, y = rng.standard_normal((24, 3)).astype(np.float32) * 3 + 5, np.ones((24, 1), np.float32)
    results = []
    for recorded in (False, True):
        fastnn.seed(0)
        net = nn.Sequential(Center(), nn.Linear(3, 1))
        optimizer = fastnn.optim.SGD(net.parameters(), lr=0.01)
        held = net[0].mean
        if how == "fit":
            net.compile(optimizer, "mse", capture=recorded)
            net.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        else:

            def step(a: Any, b: Any, net: Any = net, optimizer: Any = optimizer) -> Any:
                optimizer.zero_grad()
                loss = nn.MSELoss()(net(a), b)
                loss.backward()
                optimizer.step()
                return loss

            run = fastnn.capture(step) if recorded else step
            for i in range(12):
                run(x[i % 6 * 4 : i % 6 * 4 + 4], y[:4])
            assert not recorded or run.captured._steps
        assert net[0].calls.item() == 24 and net.state_dict()["0.calls"].item() == 24
        assert not recorded or net[0].mean is held
        results.append([net[0].mean.numpy(), *net.get_weights()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_buffer_set_between_steps_is_seen() -> None:
    layer = Center().eval()
    step = fastnn.capture(fastnn.no_grad()(lambda x: layer(x)))
    for v in (0.0, 0.0, 0.0, 4.0, 4.0, 4.0):
        if v != layer.mean.numpy()[0]:
            layer.mean = fastnn.full((3,), v)
        np.testing.assert_array_equal(step(X).numpy(), X - v)


def test_a_parameter_given_other_memory_is_seen() -> None:
    layer = nn.Linear(3, 1, bias=False)
    step = fastnn.capture(fastnn.no_grad()(lambda x: layer(x)))
    for _ in range(3):
        step(X)
    layer.kernel.data = layer.kernel.data * 2
    np.testing.assert_array_equal(step(X).numpy(), layer(X).numpy())


def test_python_values_changed_in_place_inside_are_noticed() -> None:
    @fastnn.capture
    def step(x: Any) -> Any:
        total = fastnn.tensor([0.0, 0.0])
        total.add_(x)
        return total * 1.0

    with pytest.warns(RuntimeWarning, match=r"changed in place.*fastnn.zeros"):
        for v in range(6):
            assert step(fastnn.tensor([float(v), 1.0])).tolist() == [v, 1.0]


def test_gradients_of_a_leaf_without_a_home_are_followed() -> None:
    results = []
    for wrap in (lambda f: f, fastnn.capture):
        w = fastnn.tensor([1.0, 2.0], requires_grad=True)

        @wrap
        def step(x: Any, w: Any = w) -> Any:
            w.zero_grad()
            ((w * x).sum() ** 2).backward()
            with fastnn.no_grad():
                w.sub_(w.grad, alpha=0.1)
            return w.detach().sum()

        results.append([step(fastnn.tensor([0.5, v / 9])).item() for v in range(8)])
    assert results[0] == results[1] and step.captured._steps


@pytest.mark.parametrize("layer", [nn.Linear, lambda n, m: nn.Sequential(fastnn.Dense(m, input_shape=(n,)))])
def test_parameters_changed_in_place_are_recorded(layer: Any) -> None:
    results = []
    for wrap in (lambda f: f, fastnn.capture):
        fastnn.seed(3)
        net, target = layer(3, 2), layer(3, 2)

        @wrap
        def step(net: Any = net, target: Any = target) -> None:
            with fastnn.no_grad():
                for p, w in zip(target.parameters(), net.parameters(), strict=True):
                    p.mul_(0.5).add_(w, alpha=0.5).sub_(0.01).div_(1.5)
                    p -= 0.1 * w
                    p.copy_(p * w)

        for _ in range(5):
            step()
        results.append(target.get_weights())
    assert step.captured._steps
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_strangers_cost_no_recording() -> None:
    net, other = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), nn.Linear(2, 2)
    ran: list[int] = []
    x = fastnn.tensor(X)

    class Counts(nn.Module):
        def forward(self, x: Any) -> Any:
            ran.append(1)
            return x

    model = nn.Sequential(net, Counts())
    step = fastnn.no_grad()(lambda x: model(x))
    step = fastnn.capture(step)
    for _ in range(3):
        step(x)
    strangers: list[Callable[[], Any]] = [
        lambda: nn.Linear(1, 1),
        lambda: setattr(other, "factor", 3),
        lambda: fastnn.optim.SGD(other.parameters(), lr=0.1),
        lambda: other.requires_grad_(False),
        lambda: other.register_buffer("seen", [1.0]),
        lambda: nn.Sequential(nn.Linear(1, 1), nn.ReLU()),
    ]
    before = [s for steps in step.captured._steps.values() for s in steps]
    for stranger in strangers:
        stranger()
        step(x)
    assert before and all(s.fits() for s in before)
    assert len(ran) == 2


def test_changes_below_are_seen_from_above() -> None:
    inner = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    model = nn.Sequential(nn.ModuleList([inner]), nn.Linear(3, 1))
    before = model._version
    inner[0].bias = None
    assert model._version > before
    import copy

    twin = copy.deepcopy(model)
    own = model._version
    before = twin._version
    twin[0][0][0].factor = 2
    assert twin._version > before and model._version == own


def test_more_shapes_than_recordings_keep_the_newest() -> None:
    step = fastnn.capture(lambda x: (x * 2).sum())
    with pytest.warns(RuntimeWarning, match="only the ones used last are kept") as caught:
        for n in range(1, MOST_PLANS + 6):
            for _ in range(3):
                assert step(fastnn.ones(n)).item() == 2 * n
    assert len(caught) == 1 and step.captured.eager == ""
    kept = step.captured._steps
    assert len(kept) == MOST_PLANS and {s.buffers[0].size for steps in kept.values() for s in steps} == set(
        range(6, MOST_PLANS + 6)
    )


def test_shapes_that_take_turns_are_recorded() -> None:
    step = fastnn.capture(lambda x: (x * 2).sum())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            for n in range(1, 26):
                assert step(fastnn.ones(n)).item() == 2 * n
    assert len(step.captured._steps) == 25


def test_messages_point_to_the_callers_line() -> None:
    step = fastnn.capture(lambda x: fastnn.tensor(np.clip(1 - x, 0, 1)))
    with pytest.warns(RuntimeWarning, match=r"numpy.subtract, .*test_capture_state.py:\d+"):
        step(np.array([0.5], np.float32))
