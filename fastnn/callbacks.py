"""Callbacks, whose hooks fit, evaluate and predict call; see `Callback`."""

from __future__ import annotations

from .training.callbacks.averages import SwapEMAWeights
from .training.callbacks.backup import BackupAndRestore
from .training.callbacks.base import Callback, CallbackList, LambdaCallback
from .training.callbacks.files import CSVLogger, ModelCheckpoint
from .training.callbacks.history import History
from .training.callbacks.progress import ProgressBar
from .training.callbacks.rates import HyperparameterScheduler, LearningRateScheduler, ReduceLROnPlateau
from .training.callbacks.stopping import EarlyStopping, TerminateOnNaN
from .training.callbacks.tensorboard import TensorBoard

ProgbarLogger = ProgressBar

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "HyperparameterScheduler",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]


def __dir__() -> list[str]:
    return sorted(__all__)
