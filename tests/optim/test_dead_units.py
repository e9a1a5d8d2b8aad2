"""Parameters whose gradients are 0 from some step on, as those of dead units: their averages never become denormal."""

from typing import Any

import numpy as np
import pytest
from optimizers import EACH, NOISE, SHAPES, gradient, parameters

from fastnn.backends.reference.optim import LEAST, SMALL

DECAY: dict[str, Any] = {"betas": (0.6, 0.6), "momentum": 0.6, "alpha": 0.6, "rho": 0.6, "weight_decay": 0.0, "eps": 0.0}
"""Settings with which averages decay fast, but not to 0, and with which no eps hides a divisor that is 0."""
STEPS = {"float32": 260, "float64": 1500}
SQUARES = {"exp_avg_sq", "max_exp_avg_sq", "square_avg", "acc_delta", "exp_inf", "sum"}
GROWING = {"max_exp_avg_sq", "sum"}


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", EACH)
def test_averages_of_dead_units_are_not_denormal(name: str, dtype: str) -> None:
    params = parameters(dtype)
    optimizer = EACH[name](params)
    for group in optimizer.param_groups:
        for key in DECAY.keys() & set(group):
            group[key] = DECAY[key]
    dead = {shape: np.arange(np.prod(size)).reshape(size) % 3 == 0 for shape, size in SHAPES.items()}
    for i in range(STEPS[dtype]):
        for p, shape in zip(params, SHAPES, strict=True):
            p.grad = gradient(p.numpy(), NOISE[i % 50][shape])
            if i > 2:
                p.grad = np.where(dead[shape], 0, p.grad).astype(dtype)
        optimizer.step()
    for p, shape, state in zip(params, SHAPES, optimizer.state_dict()["state"].values(), strict=True):
        assert np.isfinite(p.numpy()).all()
        averages = {key: a for key, a in state.items() if isinstance(a, np.ndarray) and key != "z"}
        assert averages
        for key, a in averages.items():
            assert not ((a != 0) & (np.abs(a) < np.finfo(dtype).tiny)).any(), f"{key} of {shape}"
            decayed = np.abs(a[dead[shape]])
            if key in SQUARES or name == "Lion":
                assert (decayed >= np.array(LEAST[dtype], dtype)).all(), f"{key} of {shape}"
            if key not in GROWING:
                assert (decayed < np.array(SMALL[dtype], dtype)).all(), f"{key} of {shape}"
            if key not in SQUARES and name != "Lion":
                assert not decayed.any(), f"{key} of {shape}"
