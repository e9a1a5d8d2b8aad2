"""Estimators with scikit-learn's interface: its multi-layer perceptrons, and estimators around any model of fastnn.

scikit-learn is imported when the first of them is used; the extra `sklearn` installs it.
"""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    ".mlp": "MLPClassifier MLPRegressor",
    ".net": "NetClassifier NetRegressor",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
