# Written by scripts/stubs.

from .mlp import MLPClassifier as MLPClassifier
from .mlp import MLPRegressor as MLPRegressor
from .model_selection import GridSearchCV as GridSearchCV
from .model_selection import cross_val_predict as cross_val_predict
from .model_selection import cross_val_score as cross_val_score
from .model_selection import cross_validate as cross_validate
from .net import NetClassifier as NetClassifier
from .net import NetRegressor as NetRegressor

__all__ = [
    "GridSearchCV",
    "MLPClassifier",
    "MLPRegressor",
    "NetClassifier",
    "NetRegressor",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
]
