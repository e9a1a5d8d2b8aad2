"""Optimizers in recorded steps: schedules, groups, averages and accumulation."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from optimizers import EACH, NOISE, descend, parameters

import fastnn
import fastnn.nn as nn
from fastnn import optim
from fastnn.backends import current, get_isa, recording
from fastnn.optim import group as group_py
from fastnn.replay.recorder import Recorder

rng = np.random.default_rng(0)
# ---- recorded steps ----

X = rng.standard_normal((14, 8, 5)).astype(np.float32)
Y = rng.integers(0, 3, (14, 8))
FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "up": {"maximize": True, "clipnorm": 0.5},
    "schedule": {"schedule": True},
    "accumulation": {"gradient_accumulation_steps": 3},
    "average": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 4},
    "all": {
        "schedule": True,
        "gradient_accumulation_steps": 2,
        "global_clipnorm": 0.3,
        "use_ema": True,
        "ema_momentum": 0.5,
        "ema_overwrite_frequency": 3,
    },
}


def trained(name: str, feature: str, wrap: Callable[..., Any]) -> tuple[list[np.ndarray], Any]:
    fastnn.seed(1)
    model = fastnn.Sequential([nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)])
    settings = dict(FEATURES[feature])
    scheduled = settings.pop("schedule", False)
    if name == "AdamWScheduleFree":
        settings = {key: value for key, value in settings.items() if "ema" not in key}
    optimizer = EACH[name](model.parameters(), **settings)
    if scheduled:
        optimizer.lr = lambda step: 0.02 / (1 + step)

    def train_step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step = wrap(train_step)
    for x, y in zip(X, Y, strict=True):
        step(x, y)
    return model.get_weights(), step


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("feature", FEATURES)
def test_replay_equals_eager_to_the_bit(name: str, feature: str) -> None:
    eager, _ = trained(name, feature, lambda f: f)
    replayed, step = trained(name, feature, fastnn.capture)
    assert step.captured.eager == "" and step.captured._steps
    for a, b in zip(eager, replayed, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(get_isa() == "none", reason="no compiled kernels")
@pytest.mark.parametrize("name", ["Adam", "Muon", "NAdam"])
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    from fastnn import _core

    threads, share, patience = fastnn.get_num_threads(), _core.share(), _core.patience()
    try:
        _core.set_share(1)  # small calls on all workers too
        _core.set_patience(1e8)
        results = []
        for n in (1, 2, 3, 4):
            fastnn.set_num_threads(n)
            results.append(trained(name, "all", fastnn.capture)[0])
    finally:
        fastnn.set_num_threads(threads)
        _core.set_share(share)
        _core.set_patience(patience)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_plain_steps_are_two_calls() -> None:
    for make, kernel in ((optim.SGD, "sgd_step"), (optim.Adam, "adam_step"), (optim.AdamW, "adam_step")):
        params = parameters()
        optimizer = make(params, lr=0.1)
        for p in params:
            p.grad = p.numpy()
        recorder = Recorder(current())
        with recording(recorder):
            optimizer.step()
        assert [name for name, _ in recorder.calls] == ["advance", kernel] and not recorder.flags and not recorder.prepare


# ---- schedules ----


def test_any_hyper_parameter_follows_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_py, "RING", 8)
    seen = []

    def rate(step: int) -> float:
        seen.append(step)
        return 0.1 / (1 + step)

    schedules: dict[str, Any] = {"lr": rate, "weight_decay": lambda step: 0.01 * step, "momentum": lambda step: 0.9}
    x, y = X.reshape(-1, 5), Y.reshape(-1)
    weights = []
    for fit in (True, False):
        fastnn.seed(0)
        model = fastnn.Sequential([nn.Linear(5, 4), nn.Linear(4, 3)])
        given = schedules if fit else {"lr": 0.0, "momentum": 0.9}
        model.compile(optim.SGD(**given), nn.CrossEntropyLoss())
        if fit:
            model.fit(x, y, batch_size=4, epochs=3, shuffle=False, verbose=0)
            assert model.optimizer.lr == pytest.approx(rate(83)) and sorted(set(seen)) == list(range(84))
        else:
            for step in range(84):
                for name in ("lr", "weight_decay"):
                    model.optimizer.param_groups[0][name] = schedules[name](step)
                i = step % 28 * 4
                model.train_on_batch(x[i : i + 4], y[i : i + 4])
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_several_steps_by_a_schedule_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_py, "RING", 4)
    [p] = params = parameters(names=["one"])
    optimizer = optim.SGD(params, lr=lambda step: 1.0 / (1 + step))
    start = p.item()

    def three_steps() -> None:
        for _ in range(3):
            optimizer.step()

    p.grad = [1.0]
    captured = fastnn.capture(three_steps)
    for _ in range(5):
        captured()
    assert captured.captured._steps and start - p.item() == pytest.approx(sum(1 / i for i in range(1, 16)))
    five = fastnn.capture(lambda: [optimizer.step() for _ in range(5)] and None)
    with pytest.raises(RuntimeError, match="more scheduled steps"):
        for _ in range(3):
            five()


def test_a_schedule_may_come_and_go() -> None:
    [p] = params = parameters(names=["one"])
    optimizer = optim.SGD(params, lr=1.0)
    for lr in (lambda step: 0.5 + step, 0.25, lambda step: 2.0):
        with nullcontext() if callable(lr) else pytest.warns(UserWarning, match="ends the schedule"):
            optimizer.lr = lr
        before = p.item()
        p.grad = [1.0]
        optimizer.step()
        wanted = lr(0) if callable(lr) else lr
        assert before - p.item() == pytest.approx(wanted) and optimizer.lr == wanted


def test_a_schedule_that_gives_nonsense_is_an_error() -> None:
    params = parameters(names=["one"])
    optimizer = optim.SGD(params, lr=lambda step: 1.0 - step)
    with pytest.raises(ValueError, match=r"lr at step 2 is -1\.0"):
        descend(optimizer, params, 3, names=["one"])
    with pytest.raises(ValueError, match="lr at step 0 is nan"):
        optim.SGD(lr=lambda step: float("nan"))


# ---- groups ----


def test_settings_of_groups_reach_recorded_steps() -> None:
    params = parameters()
    optimizer = optim.SGD([{"params": params[:1], "lr": 0.1}, {"params": params[1:], "lr": 0.01, "name": "rest"}])
    step = fastnn.capture(lambda: (optimizer.step(), None)[1])
    for lr in (0.1, 0.1, 0.1, 0.5, 0.0):
        optimizer.param_groups[1]["lr"] = lr
        before = [p.numpy().copy() for p in params]
        for p in params:
            p.grad = np.ones(p.shape)
        step()
        for p, old, rate in zip(params, before, (0.1, lr, lr), strict=True):
            np.testing.assert_allclose(old - p.numpy(), rate, atol=1e-12)
    optimizer.lr = 0.2  # twice the first group's: the second follows
    optimizer.param_groups[1]["lr"] = 0.3
    optimizer.lr = 0.4
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.4, 0.6])
    assert optimizer.param_groups[1]["name"] == "rest" and dict(optimizer.param_groups[0])["momentum"] == 0


def test_groups_in_compile_and_groups_that_come_later() -> None:
    model = fastnn.Sequential([nn.Linear(5, 4), nn.Linear(4, 3)])
    slow, fast = (list(layer.parameters()) for layer in model.layers)
    optimizer = optim.SGD([{"params": slow, "lr": 0.0}], lr=0.1)
    model.compile(optimizer, nn.CrossEntropyLoss())
    before = model.get_weights()
    model.fit(X[0], Y[0], epochs=3, verbose=0)
    np.testing.assert_array_equal(before[2], model.get_weights()[2])
    optimizer.add_param_group({"params": fast})
    model.fit(X[0], Y[0], epochs=3, verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    assert (before[2] != model.get_weights()[2]).any()


def test_groups_of_muon() -> None:
    params = parameters()
    optimizer = optim.Muon([{"params": params[0], "use_muon": False, "lr": 0.5}], lr=0.1)
    optimizer.add(params)
    assert [(g["use_muon"], len(g["params"]), g["lr"]) for g in optimizer.param_groups] == [(False, 3, 0.5)]
    other = optim.Muon([{"params": params[1:]}])
    other.add(params)
    assert [(g["use_muon"], len(g["params"]), g["lr"]) for g in other.param_groups] == [(False, 2, 1e-3), (True, 1, 1e-3)]


# ---- averages and accumulation ----


def test_averages_in_fit_and_by_hand() -> None:
    model = fastnn.Sequential([nn.Linear(5, 3)])
    model.compile(optim.SGD(lr=0.1, use_ema=True, ema_momentum=0.5), "mse")
    y = np.ones((8, 3), np.float32)
    during = []

    class Look(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            with self.model.optimizer.averaged():
                average = self.model.get_weights()[0]
            during.append((self.model.get_weights()[0], average))

    model.fit(X[0], y, epochs=4, batch_size=8, verbose=0, callbacks=[Look()])
    average = during[0][0]
    for weights, told in during:
        average = 0.5 * average + 0.5 * weights
        np.testing.assert_allclose(told, average, rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], during[-1][1])


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end"])
def test_schedule_free_weights_are_averages_outside_of_steps(hook: str) -> None:
    model = fastnn.Sequential([nn.Linear(5, 3)])
    optimizer = optim.AdamWScheduleFree(lr=0.1)
    model.compile(optimizer, nn.CrossEntropyLoss())
    seen: list[bool] = []
    look = type("Look", (fastnn.callbacks.Callback,), {hook: lambda self, i, logs=None: seen.append(optimizer._training)})
    model.fit(X[0], Y[0], epochs=3, batch_size=4, verbose=0, callbacks=[look()])
    model.train_on_batch(X[0], Y[0])
    assert seen and not any(seen) and not optimizer._training
    x = model.get_weights()[0]
    with pytest.raises(RuntimeError, match="call train"):
        optimizer.step()
    optimizer.train()
    y = model.get_weights()[0]
    optimizer.eval()
    assert (x != y).any()
    np.testing.assert_allclose(x, model.get_weights()[0], atol=1e-6)


def test_accumulation_takes_the_mean() -> None:
    [p] = params = parameters(names=["vector"])
    optimizer = optim.SGD(params, lr=1.0, gradient_accumulation_steps=3)
    expected = p.numpy().copy()
    for i in range(7):
        p.grad = NOISE[i]["vector"]
        optimizer.step()
        if i % 3 == 2:
            expected = expected - sum(NOISE[j]["vector"] for j in range(i - 2, i + 1)) / 3
        np.testing.assert_allclose(p.numpy(), expected, rtol=1e-12)
    assert optimizer.iterations == 2
