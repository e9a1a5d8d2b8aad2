# Written by scripts/stubs.

from .mlp import MLPClassifier as MLPClassifier
from .mlp import MLPRegressor as MLPRegressor
from .net import NetClassifier as NetClassifier
from .net import NetRegressor as NetRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "NetClassifier",
    "NetRegressor",
]
