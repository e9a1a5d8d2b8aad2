"""What optimizers refuse, and how they say it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optimizers import parameters

import fastnn
import fastnn.nn as nn
from fastnn import optim

ONE = nn.Parameter(np.ones(3))
ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "lr": (lambda: optim.RMSprop([ONE], lr=-1), ValueError, "RMSprop: lr is -1"),
    "lr of a group": (lambda: optim.SGD([{"params": [ONE], "lr": "x"}]), ValueError, "SGD: lr is 'x'"),
    "betas": (lambda: optim.NAdam(betas=(1.0, 0.9)), ValueError, "betas"),
    "three betas": (lambda: optim.Lion(betas=(0.1, 0.9, 0.9)), ValueError, "two numbers"),
    "rho": (lambda: optim.Adadelta(rho=1.0), ValueError, "rho is 1.0, wanted a number from 0 to below 1"),
    "alpha": (lambda: optim.RMSprop(alpha=1.5), ValueError, "alpha is 1.5"),
    "accumulator": (lambda: optim.Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value is -1"),
    "unknown argument": (lambda: optim.Adam(learning=1), TypeError, "learning"),
    "empty list": (lambda: optim.Adamax([]), ValueError, "params is empty"),
    "empty group": (lambda: optim.Adam([{"params": []}]), ValueError, "params of a group is empty"),
    "no params": (lambda: optim.Adam([{"lr": 1.0}]), TypeError, "wanted a dict with params"),
    "mixed": (lambda: optim.Adam([{"params": [ONE]}, ONE]), TypeError, "wanted a dict with params"),
    "tensors": (lambda: optim.Adam([{"params": [fastnn.tensor([1.0])]}]), TypeError, "wanted parameters"),
    "twice in a group": (lambda: optim.Adam([{"params": [ONE, ONE]}]), ValueError, "given twice"),
    "in two groups": (lambda: optim.Adam([{"params": [ONE]}, {"params": ONE}]), ValueError, "given twice"),
    "late momentum": (
        lambda: optim.SGD([ONE]).param_groups[0].update(momentum=0.9),
        ValueError,
        "made without momentum_buffer",
    ),
    "options": (lambda: optim.Adam([ONE]).param_groups[0].update(amsgrad=True), ValueError, "amsgrad of a group is fixed"),
    "params of a group": (lambda: optim.Adam([ONE]).param_groups[0].update(params=[]), ValueError, "use add_param_group"),
    "nesterov": (lambda: optim.SGD(nesterov=True), ValueError, "nesterov needs momentum"),
    "accumulation": (lambda: optim.SGD(gradient_accumulation_steps=0), ValueError, "gradient_accumulation_steps is 0"),
    "ema": (lambda: optim.SGD(use_ema=True, ema_momentum=2), ValueError, "ema_momentum is 2"),
    "overwriting": (lambda: optim.SGD(ema_overwrite_frequency=2), ValueError, "needs use_ema"),
    "no averages": (lambda: optim.SGD([ONE]).averaged().__enter__(), ValueError, "keeps no averages"),
    "schedule-free": (lambda: optim.AdamWScheduleFree(betas=(0, 0.9)), ValueError, "above 0"),
    "schedule-free schedule": (lambda: optim.AdamWScheduleFree(betas=(lambda step: 0.9, 0.9)), ValueError, "first is a schedule"),
    "schedule-free averages": (lambda: optim.AdamWScheduleFree(use_ema=True), ValueError, "averages of its own"),
    "muon": (lambda: optim.Muon([{"params": [ONE], "use_muon": True}]), ValueError, "no matrices"),
    "muon's mixed group": (lambda: optim.Muon([{"params": [ONE, nn.Parameter([[1.0]])]}]), ValueError, "no matrices"),
    "muon's adjustment of a group": (
        lambda: optim.Muon([{"params": [nn.Parameter([[1.0]])], "adjust_lr_fn": 1}]),
        ValueError,
        "adjust_lr_fn is 1; there are: None, original",
    ),
    "muon's adjustment": (lambda: optim.Muon(adjust_lr_fn="x"), ValueError, "adjust_lr_fn is 'x'"),
    "muon's steps": (lambda: optim.Muon(ns_steps=0), ValueError, "ns_steps is 0"),
    "muon's coefficients": (lambda: optim.Muon(ns_coefficients=(1, 2)), ValueError, "three numbers"),
    "closure": (lambda: optim.LBFGS([ONE]).step(), ValueError, "the closure is missing"),
    "line search": (lambda: optim.LBFGS(line_search_fn="armijo"), ValueError, "line_search_fn"),
    "iterations": (lambda: optim.LBFGS(max_iter=0), ValueError, "max_iter is 0"),
    "one group": (lambda: optim.LBFGS([{"params": [ONE]}, {"params": [nn.Parameter([1.0])]}]), ValueError, "one group"),
    "state": (lambda: optim.Adam([ONE]).load_state_dict({}), TypeError, "state and param_groups"),
    "other groups": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.Adam(parameters()).state_dict()),
        ValueError,
        r"groups of \[3\] parameters came, wanted \[1\]",
    ),
    "other shapes": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.Adam([nn.Parameter(np.ones(4))]).state_dict()),
        ValueError,
        r"exp_avg of parameter 0 has shape \(4,\), wanted \(3,\)",
    ),
    "other options": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.Adam([ONE], amsgrad=True).state_dict()),
        ValueError,
        "amsgrad is True",
    ),
    "another optimizer": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.SGD([ONE], momentum=0.9).state_dict()),
        ValueError,
        "parameter 0 has step, .*, wanted exp_avg, exp_avg_sq, step; it is another optimizer's",
    ),
    "another optimizer with more numbers": (
        lambda: optim.Adam([ONE]).load_state_dict(optim.NAdam([ONE]).state_dict()),
        ValueError,
        "mu_product",
    ),
    "norm": (lambda: nn.utils.clip_grad_norm_([ONE], -1), ValueError, "max_norm is -1"),
    "norm type": (lambda: nn.utils.clip_grad_norm_([ONE], 1, 0), ValueError, "norm_type is 0"),
    "clipping of arrays": (lambda: nn.utils.clip_grad_value_([np.ones(2)], 1), TypeError, "ndarray"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        call()


def test_a_setting_that_is_refused_leaves_the_old_one() -> None:
    optimizer = optim.Adam([nn.Parameter([1.0])], betas=(0.8, 0.9))
    for value in ((0.5, 2.0), 0.5, (lambda step: 0.5, lambda step: 1.0)):
        with pytest.raises(ValueError, match="beta"):
            optimizer.param_groups[0]["betas"] = value
        assert optimizer.param_groups[0]["betas"] == (0.8, 0.9) and not optimizer.param_groups[0].schedules
