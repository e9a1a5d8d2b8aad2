# Written by scripts/stubs.

from ...schedules import CosineDecay as CosineDecay
from ...schedules import CosineDecayRestarts as CosineDecayRestarts
from ...schedules import ExponentialDecay as ExponentialDecay
from ...schedules import InverseTimeDecay as InverseTimeDecay
from ...schedules import PiecewiseConstantDecay as PiecewiseConstantDecay
from ...schedules import PolynomialDecay as PolynomialDecay
from ...schedules import Schedule as LearningRateSchedule
from ...schedules import get as deserialize
from ...schedules import serialize as serialize

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]
