"""Keras's optimizers, with Keras's defaults; `schedules` has those of learning rates."""

from __future__ import annotations

from ...core.lazy import lazily as _lazily
from .. import absent

_NAMES = {
    ".": "schedules",
    ".named": "Adadelta Adagrad Adam AdamW Adamax Lion LossScaleOptimizer Muon Nadam RMSprop SGD",
    "...optim": "Optimizer get",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES, absent=absent.OPTIMIZERS)
