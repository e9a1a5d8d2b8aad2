"""Optimizers of estimators, a new one for each fit."""

from __future__ import annotations

import copy
from typing import Any

from .. import optim


def made(optimizer: Any, rate: float) -> optim.Optimizer:
    """Return a new optimizer: a copy of an object, or one made from a name or class with this learning rate."""
    if isinstance(optimizer, optim.Optimizer):
        return copy.deepcopy(optimizer)
    if isinstance(optimizer, str) and optimizer.lower() == "lbfgs":
        return optim.get(optimizer)  # its line search finds the rate
    settings = {"lr": rate} if isinstance(optimizer, type) else {"learning_rate": rate}
    return optim.get(optimizer, **settings)
