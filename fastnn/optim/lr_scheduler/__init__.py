"""PyTorch's learning rate schedulers: objects that set the learning rate of an optimizer at each `step`.

Their learning rates are those of `torch.optim.lr_scheduler` for the same arguments. Each scheduler computes the rate of a group
from the number of the step and the initial rate of the group. A rate that the user sets is valid until the next step.

>>> import fastnn
>>> model = fastnn.nn.Linear(2, 1)
>>> optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
>>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
>>> rates = []
>>> for epoch in range(4):
...     rates += scheduler.get_last_lr()  # the training steps of the epoch come here
...     scheduler.step()
>>> rates
[0.1, 0.1, 0.05, 0.05]
"""

from __future__ import annotations

from .base import LRScheduler
from .composed import ChainedScheduler, SequentialLR
from .cycles import CyclicLR, OneCycleLR
from .rules import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    ReduceLROnPlateau,
    StepLR,
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


def __dir__() -> list[str]:
    return sorted(__all__)
