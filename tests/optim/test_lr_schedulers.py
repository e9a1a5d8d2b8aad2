"""Schedulers inside of schedulers against PyTorch's, step by step; schedules of an optimizer and what else sets its rate."""

import inspect
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.optim import lr_scheduler

Make = Callable[[Any, Any], Any]

EACH: dict[str, Make] = {
    "step": lambda of, o: of.StepLR(o, 2, 0.5),
    "multi step": lambda of, o: of.MultiStepLR(o, [2, 3], 0.5),
    "constant": lambda of, o: of.ConstantLR(o, 0.5, 3),
    "linear": lambda of, o: of.LinearLR(o, 0.25, 1.0, 4),
    "exponential": lambda of, o: of.ExponentialLR(o, 0.9),
    "polynomial": lambda of, o: of.PolynomialLR(o, 5, 2.0),
    "cosine": lambda of, o: of.CosineAnnealingLR(o, 4, 0.01),
    "restarts": lambda of, o: of.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "lambda": lambda of, o: of.LambdaLR(o, [lambda e: 1 / (e + 1), lambda e: 0.5**e]),
    "multiplicative": lambda of, o: of.MultiplicativeLR(o, lambda e: 0.9),
    "cyclic": lambda of, o: of.CyclicLR(o, [0.01, 0.02], [0.1, 0.2], 2, 3, "triangular2", base_momentum=[0.5, 0.6]),
    "one cycle": lambda of, o: of.OneCycleLR(o, [0.5, 1.0], total_steps=40, max_momentum=[0.95, 0.9]),
}
CASES: dict[str, Make] = {
    **EACH,
    **{
        f"{a}, then {b}": lambda of, o, a=a, b=b: of.SequentialLR(o, [EACH[a](of, o), EACH[b](of, o)], [4])
        for a, b in itertools.permutations(EACH, 2)
        if (a, b) != ("one cycle", "cyclic")  # PyTorch begins with the momentum of the second
    },
    **{
        f"{a} and {b}": lambda of, o, a=a, b=b: of.ChainedScheduler([EACH[a](of, o), EACH[b](of, o)])
        for a, b in itertools.permutations(EACH, 2)
        # PyTorch's CyclicLR does not begin with its base_lr after another scheduler, and two of its cosines go below 0.
        if b != "cyclic" and (a, b) not in (("cosine", "polynomial"), ("lambda", "cosine"))
    },
    "a sequence in a chain": lambda of, o: of.ChainedScheduler(
        [of.SequentialLR(o, [EACH["linear"](of, o), EACH["exponential"](of, o)], [3]), EACH["step"](of, o)]
    ),
}


def rates(torch: Any, make: Make) -> list[list[float]]:
    if torch:
        a, b = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
        optimizer, of = torch.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.3}], lr=0.1, momentum=0.9), None
        of = torch.optim.lr_scheduler
    else:
        a, b = (nn.Parameter([0.0, 0.0]) for _ in range(2))
        optimizer, of = fastnn.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.3}], lr=0.1, momentum=0.9), lr_scheduler
    scheduler, found = make(of, optimizer), []
    for _ in range(12):
        groups = optimizer.param_groups
        found.append([*[g["lr"] for g in groups], *[g["momentum"] for g in groups], *scheduler.get_last_lr()])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("case", CASES)
def test_schedulers_of_schedulers_as_pytorch(case: str) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = rates(torch, CASES[case])
    np.testing.assert_allclose(rates(None, CASES[case]), wanted, rtol=1e-6, atol=1e-12)


def test_a_sequence_in_a_sequence() -> None:
    optimizer = fastnn.optim.SGD([nn.Parameter([0.0])], lr=1.0)
    inner = lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer, 0.5, 9), lr_scheduler.ExponentialLR(optimizer, 0.5)], [2]
    )
    outer = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.LinearLR(optimizer, 0.25, 1.0, 3), inner], [3])
    found = []
    for _ in range(7):
        found += outer.get_last_lr()
        outer.step()
    assert found == pytest.approx([0.25, 0.5, 0.75, 0.5, 0.5, 1.0, 0.5])


def test_a_chain_goes_on_from_its_state() -> None:
    def make() -> tuple[Any, Any]:
        optimizer = fastnn.optim.SGD([nn.Parameter([0.0])], lr=1.0)
        parts = [EACH["multiplicative"](lr_scheduler, optimizer), lr_scheduler.ConstantLR(optimizer, 0.5, 3)]
        return optimizer, lr_scheduler.ChainedScheduler(parts)

    (first, a), (second, b) = make(), make()
    for _ in range(2):
        a.step()
    b.load_state_dict(a.state_dict())
    second.lr = first.lr
    for _ in range(4):
        a.step(), b.step()
        assert first.lr == second.lr


@pytest.mark.parametrize("kind", ["SequentialLR", "ChainedScheduler"])
def test_plateaus_are_no_part_of_others(kind: str) -> None:
    optimizer = fastnn.optim.SGD([nn.Parameter([0.0])], lr=1.0)
    parts = [lr_scheduler.ExponentialLR(optimizer, 0.5), lr_scheduler.ReduceLROnPlateau(optimizer)]
    with pytest.raises(ValueError, match=f"{kind}: ReduceLROnPlateau"):
        lr_scheduler.SequentialLR(optimizer, parts, [1]) if kind == "SequentialLR" else lr_scheduler.ChainedScheduler(parts)


# ---- a schedule, and what else sets the rate ----

DECAY = fastnn.schedules.ExponentialDecay(0.5, 10, 0.5)


def test_a_number_that_ends_a_schedule_warns() -> None:
    optimizer = fastnn.optim.SGD([nn.Parameter([0.0])], lr=DECAY)
    with pytest.warns(UserWarning, match=r"SGD: lr was set to 0.1, which ends the schedule"):
        optimizer.lr = 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.lr = 0.2
        optimizer.lr = DECAY
        optimizer.lr = fastnn.schedules.Constant(0.3)
        optimizer.param_groups[0].release("lr")
        optimizer.lr = 0.4
    assert optimizer.lr == 0.4


@pytest.mark.parametrize(
    "callback",
    [
        fastnn.callbacks.LearningRateScheduler(lambda epoch: 0.1),
        fastnn.callbacks.ReduceLROnPlateau("loss"),
        fastnn.callbacks.HyperparameterScheduler("lr", lambda epoch: 0.1),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_callbacks_do_not_end_a_schedule(callback: Any) -> None:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    model.compile(fastnn.optim.SGD(lr=DECAY), "mse")
    with pytest.raises(ValueError, match=f"{type(callback).__name__}: lr of SGD follows a schedule"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), callbacks=[callback], verbose=0)
    assert model.optimizer.iterations == 0
    model.optimizer.param_groups[0].release("lr")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), callbacks=[callback], verbose=0)


def test_schedulers_do_not_end_a_schedule() -> None:
    parameter = nn.Parameter([0.0])
    with pytest.raises(ValueError, match="StepLR: lr of SGD follows a schedule"):
        lr_scheduler.StepLR(fastnn.optim.SGD([parameter], lr=DECAY), 2)
    with pytest.raises(ValueError, match="OneCycleLR: momentum of SGD follows a schedule"):
        lr_scheduler.OneCycleLR(fastnn.optim.SGD([parameter], lr=0.1, momentum=lambda step: 0.9), 0.1, 10)


def test_a_schedule_whose_numbers_change_is_followed() -> None:
    schedule = fastnn.schedules.ExponentialDecay(0.5, 10, 0.5)
    parameter = nn.Parameter([0.0])
    optimizer = fastnn.optim.SGD([parameter], lr=schedule)
    step = fastnn.capture(lambda: (optimizer.step(), None)[1])
    for i in range(6):
        schedule.initial_learning_rate = 0.5 + i
        before, parameter.grad = parameter.item(), [1.0]
        step()
        assert before - parameter.item() == pytest.approx(schedule(i), rel=1e-5)


SETTINGS: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 2, "gamma": 0.5},
    "MultiStepLR": {"milestones": [2, 5], "gamma": 0.5},
    "ConstantLR": {"factor": 0.5, "total_iters": 3},
    "LinearLR": {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 4},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {"total_iters": 9, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 4, "eta_min": 0.01},
    "CosineAnnealingWarmRestarts": {"T_0": 3, "T_mult": 2, "eta_min": 0.01},
    "LambdaLR": {"lr_lambda": lambda e: 1 / (e + 1)},
    "MultiplicativeLR": {"lr_lambda": lambda e: 0.9},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "step_size_down": 3, "mode": "exp_range", "gamma": 0.9},
    "OneCycleLR": {"max_lr": 0.5, "total_steps": 40, "pct_start": 0.25},
    "ReduceLROnPlateau": {"patience": 1, "threshold": 0.1, "factor": 0.5, "min_lr": 0.01},
}
OTHERS: dict[str, Any] = {"lr_lambda": lambda e: 0.5**e, "milestones": [1, 4], "factor": 0.75, "mode": "max", "min_lr": 0.05}
OTHERS |= {"scale_fn": lambda cycle: 0.5, "anneal_strategy": "linear", "threshold_mode": "abs", "epochs": 5, "steps_per_epoch": 9}
OTHERS |= {
    "start_factor": 0.5,
    "end_factor": 0.5,
    "pct_start": 0.5,
    "cycle_momentum": False,
    "scale_mode": "iterations",
    "eps": 0.04,
}
OTHERS |= {"threshold": 0.05}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in SETTINGS
        for name in inspect.signature(getattr(lr_scheduler, kind)).parameters
        if name not in ("optimizer", "last_epoch")
    ],
)
def test_a_setting_of_a_scheduler_takes_effect_or_is_refused(kind: str, name: str) -> None:
    def make(**settings: Any) -> Any:
        optimizer = fastnn.optim.SGD([nn.Parameter([0.0])], lr=0.4, momentum=0.85)
        return getattr(lr_scheduler, kind)(optimizer, **{**SETTINGS[kind], **settings})

    def does(scheduler: Any) -> list[Any]:
        found = []
        for i in range(12):
            scheduler.step(*([5.0 - 0.3 * (i // 6)] if kind == "ReduceLROnPlateau" else []))
            group = scheduler.optimizer.param_groups[0]
            found.append((group["lr"], group["momentum"]))
        return found

    scheduler = make()
    value = OTHERS.get(name, getattr(scheduler, name, 0) or 1)
    if name not in OTHERS and isinstance(value, int | float):
        value += 0.0625 if isinstance(value, float) else 1
    try:
        setattr(scheduler, name, value)
    except AttributeError as error:
        assert f"{kind}: {name} is fixed" in str(error)
        assert does(scheduler) == does(make())
        return
    found = does(scheduler)
    assert found == does(make(**{name: value}))
    assert found != does(make())


def test_a_threshold_of_checkpoints_may_change(tmp_path: Any) -> None:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    checkpoint = fastnn.callbacks.ModelCheckpoint(tmp_path / "a.fastnn", save_best_only=True, initial_value_threshold=0.1)
    checkpoint.set_model(model)
    checkpoint.on_epoch_end(0, {"val_loss": 0.5})
    assert not list(tmp_path.iterdir())
    checkpoint.initial_value_threshold = 0.6
    checkpoint.on_epoch_end(1, {"val_loss": 0.5})
    assert [f.name for f in tmp_path.iterdir()] == ["a.fastnn"]
