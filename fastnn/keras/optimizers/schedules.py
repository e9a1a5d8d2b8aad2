"""Keras's schedules of learning rates."""

from __future__ import annotations

from ...core.lazy import lazily as _lazily

_NAMES = {
    "...schedules": (
        "CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay LearningRateSchedule=Schedule PiecewiseConstantDecay "
        "PolynomialDecay deserialize=get serialize"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
