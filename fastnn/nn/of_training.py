"""Placeholders for the training methods of modules until training is loaded: no layer imports it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

TRAINING = (
    *("compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch", "profile", "metrics"),
    *("optimizer", "train_step", "test_step", "predict_step", "compute_loss", "compute_metrics"),
)
"""The public names that training gives `Module`."""

if TYPE_CHECKING:
    from ..training.loop import Trainer as Trainer
else:

    class Trainer:
        """Base class of Module with its training methods: compile, fit, evaluate, predict."""

    class _OfTraining:
        """A name of `Trainer`, until it is first asked for: then training is loaded, which puts its own in the place of these."""

        def __init__(self, name: str) -> None:
            self.name = name

        def __get__(self, instance: Any, owner: type) -> Any:
            import_module("fastnn.training.loop")  # by its name, which makes no circle of imports
            return vars(Trainer)[self.name].__get__(instance, owner)

    for _name in TRAINING:
        setattr(Trainer, _name, _OfTraining(_name))
