"""Placeholders for the training methods of modules. The module of training is imported at the first use of one of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

TRAINING = (
    *("compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch", "profile", "explain"),
    *("metrics", "optimizer", "train_step", "test_step", "predict_step", "compute_loss", "compute_metrics"),
    *("metrics_names", "reset_metrics"),
)
"""Public names that training adds to `Module`."""

if TYPE_CHECKING:
    from ..training.loop import Trainer as Trainer
else:

    class Trainer:
        """Base class of Module with its training methods: compile, fit, evaluate, predict."""

    class _OfTraining:
        """Placeholder for a name of `Trainer`. Its first use imports training, which replaces all placeholders."""

        def __init__(self, name: str) -> None:
            self.name = name

        def __get__(self, instance: Any, owner: type) -> Any:
            import_module("fastnn.training.loop")  # imported here to avoid a cycle of imports
            return vars(Trainer)[self.name].__get__(instance, owner)

    for _name in TRAINING:
        setattr(Trainer, _name, _OfTraining(_name))
