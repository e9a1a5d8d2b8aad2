"""Estimators with scikit-learn's interface: its multi-layer perceptrons, estimators around any model of fastnn, and
cross-validation that trains several of them at the same time.

scikit-learn is imported when the first of them is used; the extra `sklearn` installs it.
"""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    ".mlp": "MLPClassifier MLPRegressor",
    ".model_selection": "GridSearchCV cross_val_predict cross_val_score cross_validate",
    ".net": "NetClassifier NetRegressor",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
