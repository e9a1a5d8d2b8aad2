"""Schedules against Keras and optax, and PyTorch's schedulers against PyTorch's own."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import schedules as s
from fastnn.optim import lr_scheduler
from fastnn.schedules import Schedule

STEPS = np.arange(131)

EVERY: list[Schedule] = [
    s.Constant(0.5),
    s.StepDecay(1.0, 30, 0.5),
    s.PiecewiseConstantDecay([10, 50, 51], [1.0, 0.5, 0.25, 0.1]),
    s.ExponentialDecay(0.1, 20, 0.5),
    s.ExponentialDecay(0.1, 20, 0.5, staircase=True),
    s.InverseTimeDecay(0.1, 20, 0.5),
    s.InverseTimeDecay(0.1, 20, 0.5, staircase=True),
    s.PolynomialDecay(0.1, 50, 0.01),
    s.PolynomialDecay(0.1, 50, 0.01, power=2.5),
    s.PolynomialDecay(0.1, 30, 0.01, cycle=True),
    s.CosineDecay(0.1, 60, 0.05),
    s.CosineDecay(0.01, 60, 0.1, warmup_target=0.2, warmup_steps=25),
    s.CosineDecayRestarts(0.1, 20, t_mul=2.0, m_mul=0.75, alpha=0.1),
    s.CosineDecayRestarts(0.1, 20, t_mul=1.0, m_mul=0.75),
    s.CosineDecayRestarts(0.1, 7, t_mul=1.3),
]
OURS: list[Schedule] = [
    s.LinearWarmupDecay(1.0, 20, 100, 0.1, 0.2),
    s.WarmupStableDecay(1.0, 20, 50, 40, 0.1, 0.2),
    s.WarmupStableDecay(1.0, 0, 50, 40, decay="sqrt"),
    s.OneCycle(1.0, 100),
    s.Cyclic(0.1, 1.0, 20, 10, "triangular2"),
    s.Cyclic(0.1, 1.0, 20, mode="exp_range", gamma=0.99),
    s.Join([s.Constant(1.0), s.PolynomialDecay(1.0, 20, 0.5), s.CosineDecay(0.5, 30)], [10, 40]),
]


@pytest.mark.parametrize("schedule", EVERY + OURS, ids=repr)
def test_arrays_numbers_and_files_agree(schedule: Schedule) -> None:
    values = schedule(STEPS)
    assert values.shape == STEPS.shape and np.isfinite(values).all()
    single = [schedule(int(i)) for i in STEPS]
    assert all(type(v) is float for v in single)
    np.testing.assert_allclose(values, single, rtol=1e-13, atol=1e-16)  # the last bit may differ
    assert schedule(STEPS.reshape(1, -1)).shape == (1, 131)
    again = s.get(json.loads(json.dumps(s.serialize(schedule))))
    assert again == schedule and again is not schedule and hash(again) == hash(schedule)
    np.testing.assert_array_equal(again(STEPS), values)


@pytest.mark.parametrize("schedule", EVERY[2:], ids=repr)
def test_kerass_schedules(schedule: Schedule) -> None:
    if not find_spec("keras") or not (find_spec("torch") or find_spec("jax")):
        pytest.skip("Keras with PyTorch or JAX is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch" if find_spec("torch") else "jax")
    import keras

    theirs = getattr(keras.optimizers.schedules, type(schedule).__name__)(**schedule.get_config())
    want = [float(keras.ops.convert_to_numpy(theirs(int(i)))) for i in STEPS]
    np.testing.assert_allclose(schedule(STEPS), want, rtol=2e-5, atol=1e-6)


OPTAX = {
    "warmup_cosine_decay_schedule": (
        {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 20, "decay_steps": 100, "end_value": 0.1},
        s.CosineDecay(0.0, 80, 0.1, warmup_target=1.0, warmup_steps=20),
    ),
    "piecewise_interpolate_schedule": (
        {"interpolate_type": "linear", "init_value": 0.1, "boundaries_and_scales": {20: 10.0, 100: 0.5}},
        s.LinearWarmupDecay(1.0, 20, 100, 0.1, 0.5),
    ),
    "sgdr_schedule": (
        {"cosine_kwargs": [{"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 10, "decay_steps": 60, "end_value": 0.0}] * 2},
        s.Join([s.CosineDecay(0.0, 50, warmup_target=1.0, warmup_steps=10)] * 2, [60]),
    ),
}


@pytest.mark.parametrize("name", OPTAX)
def test_optaxs_schedules(name: str) -> None:
    optax = pytest.importorskip("optax", reason="optax is not installed")
    arguments, ours = OPTAX[name]
    theirs = getattr(optax, name)(**arguments)
    np.testing.assert_allclose(ours(STEPS), [float(theirs(int(i))) for i in STEPS], rtol=2e-5, atol=1e-6)


def test_what_the_ends_are() -> None:
    wsd = s.WarmupStableDecay(1.0, 20, 50, 40, 0.1, 0.2, "cosine")
    np.testing.assert_allclose(wsd([0, 10, 20, 69, 70, 90, 110, 500]), [0.1, 0.55, 1, 1, 1, 0.6, 0.2, 0.2])
    np.testing.assert_allclose(s.WarmupStableDecay(1.0, 0, 0, 4, decay="sqrt")([0, 1, 4]), [1, 0.5, 0])
    np.testing.assert_allclose(s.WarmupStableDecay(1.0, 3, 4, 0)([2, 3, 6, 7]), [2 / 3, 1, 1, 0])
    assert s.Join([s.Constant(1.0), s.Constant(2.0), s.Constant(3.0)], [5, 5])([4, 5]).tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: s.Constant(np.nan), "Constant: value is nan, wanted a finite number"),
        (lambda: s.CosineDecay(0.1, 0), "CosineDecay: decay_steps is 0, wanted a number above 0"),
        (lambda: s.ExponentialDecay(-1, 10, 0.5), "initial_learning_rate is -1, wanted a finite number of at least 0"),
        (lambda: s.PiecewiseConstantDecay([1], [1.0]), "1 boundaries and 1 values, wanted one value more"),
        (lambda: s.PiecewiseConstantDecay([2, 1], [1.0, 2, 3]), "wanted numbers that rise"),
        (lambda: s.Cyclic(0.1, 1, 5, mode="square"), "Cyclic: mode is 'square'"),
        (lambda: s.OneCycle(1.0, 10, pct_start=2), "pct_start is 2, wanted a finite number from 0 to 1"),
        (lambda: s.WarmupStableDecay(1, 1, 1, 1, decay="exp"), "'exp' came, wanted one of linear, cosine, sqrt"),
        (lambda: s.Join([s.Constant(1)], [1]), "1 schedules and 1 boundaries"),
        (lambda: s.Constant(1.0)(-1), "Constant: step -1 came"),
        (lambda: s.get("cosine"), "unknown schedule 'cosine'; did you mean 'CosineDecay'\\? There are: Constant"),
        (lambda: s.get({"class_name": "Constant", "config": {"x": 1}}), "Constant cannot be made from"),
    ],
)
def test_bad_arguments(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_functions_are_no_schedules_of_this_module() -> None:
    with pytest.raises(TypeError, match="wanted a name, an object"):
        s.get(lambda step: 0.1)


# ---- PyTorch's schedulers ----

SCHEDULERS: dict[str, Any] = {
    "LambdaLR": {"lr_lambda": lambda epoch: 0.95**epoch},
    "StepLR": {"step_size": 30, "gamma": 0.5},
    "MultiStepLR": {"milestones": [30, 80, 80, 10], "gamma": 0.5},
    "ConstantLR": {"factor": 0.25, "total_iters": 10},
    "LinearLR": {"start_factor": 0.1, "end_factor": 0.9, "total_iters": 20},
    "ExponentialLR": {"gamma": 0.97},
    "PolynomialLR": {"total_iters": 60, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 30, "eta_min": 0.01},
    "CosineAnnealingWarmRestarts": {"T_0": 10, "T_mult": 2, "eta_min": 0.01},
    "CosineAnnealingWarmRestarts-1": {"T_0": 10},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 10, "step_size_down": 15},
    "CyclicLR-2": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 10, "mode": "triangular2", "cycle_momentum": False},
    "CyclicLR-3": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 10, "mode": "exp_range", "gamma": 0.98},
    "CyclicLR-4": {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 10, "scale_fn": lambda c: 1 / c},
    "OneCycleLR": {"max_lr": 0.3, "total_steps": 101},
    "OneCycleLR-2": {"max_lr": 0.3, "epochs": 11, "steps_per_epoch": 10, "anneal_strategy": "linear", "pct_start": 0.25},
    "OneCycleLR-3": {"max_lr": 0.3, "total_steps": 120, "three_phase": True, "cycle_momentum": False},
}


@pytest.mark.parametrize("adam", [False, True], ids=["sgd", "adam"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_pytorchs_schedulers(name: str, adam: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    momentum = {} if adam else {"momentum": 0.9}
    ours, theirs = (
        getattr(module, "Adam" if adam else "SGD")(p, lr=0.1, **momentum)
        for module, p in ((fastnn.optim, [nn.Parameter([1.0])]), (torch.optim, [torch.nn.Parameter(torch.ones(1))]))
    )
    cls = name.partition("-")[0]
    a, b = (getattr(m, cls)(o, **SCHEDULERS[name]) for m, o in ((lr_scheduler, ours), (torch.optim.lr_scheduler, theirs)))
    for step in range(100):
        group = theirs.param_groups[0]
        assert ours.lr == pytest.approx(group["lr"], rel=1e-9, abs=1e-15), step
        assert a.get_last_lr() == [ours.lr] and a.last_epoch == step
        heavy = ours.get_config()["betas"][0] if adam else ours.get_config()["momentum"]
        assert heavy == pytest.approx(group["betas"][0] if adam else group["momentum"], rel=1e-9), step
        theirs.step()
        a.step()
        b.step()


def test_pytorchs_sequence_of_schedulers() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rates = []
    for module, optimizer in (
        (lr_scheduler, fastnn.optim.SGD([nn.Parameter([1.0])], lr=0.1)),
        (torch.optim.lr_scheduler, torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)),
    ):
        parts = [
            module.LinearLR(optimizer, total_iters=10),
            module.ExponentialLR(optimizer, 0.9),
            module.CosineAnnealingLR(optimizer, 20),
        ]
        scheduler = module.SequentialLR(optimizer, parts, [10, 30])
        own = []
        for _ in range(100):
            own += scheduler.get_last_lr()
            optimizer.step()
            scheduler.step()
        rates.append(own)
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 3, "factor": 0.5},
        {"patience": 2, "cooldown": 4, "min_lr": 0.02},
        {"patience": 2, "mode": "max", "threshold": 0.05},
        {"patience": 2, "threshold_mode": "abs", "threshold": 0.5},
    ],
)
def test_pytorchs_plateau(settings: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = fastnn.optim.SGD([nn.Parameter([1.0])], lr=0.1)
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    a = lr_scheduler.ReduceLROnPlateau(ours, **settings)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
    values = 1 + np.exp(-np.arange(100) / 10) + 0.1 * np.random.default_rng(0).standard_normal(100)
    for value in values:
        a.step(fastnn.tensor(value))
        b.step(float(value))
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9)
    assert ours.lr < 0.1 and a.get_last_lr() == [ours.lr]


def test_schedulers_go_on_from_their_state() -> None:
    def make() -> tuple[Any, Any]:
        optimizer = fastnn.optim.SGD([nn.Parameter([1.0])], lr=0.1)
        parts = [lr_scheduler.LinearLR(optimizer), lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 7, 2)]
        return optimizer, lr_scheduler.SequentialLR(optimizer, parts, [5])

    (first, a), (second, b) = make(), make()
    for _ in range(12):
        a.step()
    b.load_state_dict(json.loads(json.dumps(a.state_dict())))
    a.step(), b.step()
    assert second.lr == first.lr != 0.1
    again = lr_scheduler.StepLR(first, 10, last_epoch=19)
    assert first.lr == pytest.approx(0.1 * 0.1**2) and again.last_epoch == 20
    plateau = lr_scheduler.ReduceLROnPlateau(first)
    plateau.load_state_dict(json.loads(json.dumps(plateau.state_dict() | {"best": 0.5})))
    assert plateau.best == 0.5


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda o: lr_scheduler.StepLR(3, 1), TypeError, "StepLR: int came, wanted an optimizer"),
        (lambda o: lr_scheduler.StepLR(o, 0), ValueError, "StepLR: step_size is 0"),
        (lambda o: lr_scheduler.StepLR(o, 1, last_epoch=3), ValueError, "had no scheduler"),
        (lambda o: lr_scheduler.LinearLR(o, 2.0), ValueError, "start_factor is 2.0, wanted a finite number from 0 to 1"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1), ValueError, "wanted total_steps, or epochs and steps_per_epoch"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, 10), ValueError, "the optimizer has no momentum"),
        (lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.2, mode="round"), ValueError, "mode is 'round'"),
        (lambda o: lr_scheduler.SequentialLR(o, [], [1]), ValueError, "0 schedulers and 1 milestones"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=2), ValueError, "factor is 2, wanted a number below 1"),
    ],
)
def test_bad_schedulers(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make(fastnn.optim.SGD([nn.Parameter([1.0])], lr=0.1))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_pytorchs_schedulers_with_groups(name: str) -> None:
    torch = pytest.importorskip("torch")
    cls, settings = name.partition("-")[0], dict(SCHEDULERS[name])
    if "max_lr" in settings:
        settings["max_lr"] = [settings["max_lr"], 0.4]
    if "lr_lambda" in settings:
        settings["lr_lambda"] = [settings["lr_lambda"], lambda epoch: 0.5**epoch]
    pairs = []
    for package, parameter in (
        (fastnn.optim, lambda: nn.Parameter([1.0])),
        (torch.optim, lambda: torch.nn.Parameter(torch.ones(1))),
    ):
        groups = [{"params": [parameter()], "lr": lr} for lr in (0.1, 0.2)]
        optimizer = package.SGD(groups, lr=0.05, momentum=0.9)
        pairs.append((optimizer, getattr(package.lr_scheduler, cls)(optimizer, **settings)))
    for _ in range(100):
        ours, theirs = ([(group["lr"], group["momentum"]) for group in optimizer.param_groups] for optimizer, _ in pairs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)
        pairs[1][0].step()
        for _, scheduler in pairs:
            scheduler.step()
