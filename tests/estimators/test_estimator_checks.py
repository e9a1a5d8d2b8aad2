"""scikit-learn's own checks of estimators, in full.

The estimators compute in float64 here: with float32, weights of samples and repeated samples differ by more than the 1e-7 that
one check allows.
"""

from typing import Any

import pytest

pytest.importorskip("sklearn")
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn.sklearn import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
GIVEN: dict[str, Any] = {"max_iter": 100, "dtype": "float64"}


@parametrize_with_checks([MLPClassifier(**GIVEN), NetRegressor(**GIVEN)])
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([MLPRegressor(**GIVEN), NetClassifier(**GIVEN)])
def test_check_of_the_others(estimator: Any, check: Any) -> None:
    check(estimator)
