"""What the tests of optimizers share: small problems, and one optimizer of each kind."""

from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn.nn as nn
from fastnn import optim

_rng = np.random.default_rng(0)
SHAPES = {"matrix": (5, 7), "vector": (19,), "one": (1,)}
START = {name: _rng.standard_normal(shape) for name, shape in SHAPES.items()}
NOISE = [{name: _rng.standard_normal(shape) for name, shape in SHAPES.items()} for _ in range(50)]

# One of each, with all that it has of its own.
EACH: dict[str, Callable[..., optim.Optimizer]] = {
    "SGD": lambda p, **a: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, **a),
    "Adam": lambda p, **a: optim.Adam(p, lr=0.01, weight_decay=0.01, **a),
    "AMSGrad": lambda p, **a: optim.Adam(p, lr=0.01, amsgrad=True, **a),
    "AdamW": lambda p, **a: optim.AdamW(p, lr=0.01, **a),
    "RMSprop": lambda p, **a: optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5, **a),
    "Adagrad": lambda p, **a: optim.Adagrad(p, lr=0.05, **a),
    "Adadelta": lambda p, **a: optim.Adadelta(p, **a),
    "Adamax": lambda p, **a: optim.Adamax(p, lr=0.01, **a),
    "NAdam": lambda p, **a: optim.NAdam(p, lr=0.01, **a),
    "RAdam": lambda p, **a: optim.RAdam(p, lr=0.01, betas=(0.9, 0.9), **a),
    "Lion": lambda p, **a: optim.Lion(p, lr=1e-3, weight_decay=0.1, **a),
    "Muon": lambda p, **a: optim.Muon(p, lr=0.02, **a),
    "AdamWScheduleFree": lambda p, **a: optim.AdamWScheduleFree(p, lr=0.02, weight_decay=0.01, warmup_steps=3, **a),
}


def parameters(dtype: str = "float64", names: Any = SHAPES) -> list[nn.Parameter]:
    return [nn.Parameter(START[name].astype(dtype)) for name in names]


def gradient(w: Any, noise: np.ndarray) -> np.ndarray:
    """That of a quadratic bowl, and noise."""
    return 0.5 * np.asarray(w) + noise.astype(w.dtype)


def descend(optimizer: Any, params: list[nn.Parameter], steps: int = 50, first: int = 0, names: Any = SHAPES) -> list[np.ndarray]:
    for noise in NOISE[first : first + steps]:
        for p, name in zip(params, names, strict=True):
            p.grad = gradient(p.numpy(), noise[name])
        optimizer.step()
    return [p.numpy().copy() for p in params]
