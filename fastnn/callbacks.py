"""What fit, evaluate and predict call on the way; see `Callback`."""

from __future__ import annotations

from .training.callbacks import Callback, CallbackList, EarlyStopping, TerminateOnNaN
from .training.history import History

__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "TerminateOnNaN"]
