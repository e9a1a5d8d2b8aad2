"""Cross-validation and search on threads give the results of scikit-learn's, to the bit."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from joblib.parallel import get_active_backend, parallel_config
from sklearn import model_selection as sk
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import fastnn
from fastnn.sklearn import (
    GridSearchCV,
    MLPClassifier,
    MLPRegressor,
    NetClassifier,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from fastnn.sklearn.model_selection import Threads, at_once

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((101, 4))  # no number of folds divides it
CLASSES = np.array(["ant", "bee", "cow"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
NUMBER = X[:, 0] + 0.1 * RNG.standard_normal(101)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(2)
    yield
    fastnn.set_num_threads(before)


ESTIMATORS: dict[str, Any] = {
    "all samples in a batch": (MLPClassifier((8,), max_iter=40, random_state=0), CLASSES),
    "batches": (MLPClassifier((8,), batch_size=16, max_iter=10, random_state=0, dropout=0.1), CLASSES),
    "early stopping": (
        MLPClassifier((8,), early_stopping=True, n_iter_no_change=2, learning_rate_init=0.05, random_state=0),
        CLASSES,
    ),
    "stops at different epochs": (MLPRegressor(hidden_layer_sizes=(8,), tol=0.01, n_iter_no_change=1, random_state=0), NUMBER),
    "lbfgs": (MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=20, random_state=0), NUMBER),
    "a generator": (MLPClassifier((8,), max_iter=10, random_state=np.random.RandomState(3)), CLASSES),
    "any model": (
        NetClassifier(fastnn.Sequential([fastnn.Dense(8, "relu"), fastnn.Dense(3)]), max_iter=10, random_state=0),
        CLASSES,
    ),
    "callbacks": (MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0, callbacks=[]), NUMBER),
}


@pytest.mark.parametrize("case", ESTIMATORS)
def test_scores_are_scikit_learns(case: str) -> None:
    net, y = ESTIMATORS[case]
    model = make_pipeline(StandardScaler(), net)
    np.testing.assert_array_equal(cross_val_score(model, X, y, cv=4), sk.cross_val_score(model, X, y, cv=4))


def test_results_of_cross_validate_and_predictions() -> None:
    net, y = ESTIMATORS["early stopping"]
    how: dict[str, Any] = {"cv": 3, "scoring": ("accuracy", "neg_log_loss"), "return_train_score": True, "return_estimator": True}
    ours, theirs = cross_validate(net, X, y, **how), sk.cross_validate(net, X, y, **how)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if name.startswith(("test", "train")):
            np.testing.assert_array_equal(ours[name], theirs[name])
    assert [e.n_iter_ for e in ours["estimator"]] == [e.n_iter_ for e in theirs["estimator"]]
    for e, other in zip(ours["estimator"], theirs["estimator"], strict=True):
        np.testing.assert_array_equal(e.coefs_[0], other.coefs_[0])
    for method in ("predict", "predict_proba"):
        np.testing.assert_array_equal(
            cross_val_predict(net, X, y, cv=3, method=method), sk.cross_val_predict(net, X, y, cv=3, method=method)
        )


def test_search() -> None:
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=30, random_state=0))
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__learning_rate_init": [1e-5, 0.02]}
    ours, theirs = (kind(model, grid, cv=3).fit(X, CLASSES) for kind in (GridSearchCV, sk.GridSearchCV))
    assert ours.best_params_ == theirs.best_params_ and isinstance(ours, sk.GridSearchCV)
    for name in ("split0_test_score", "split2_test_score", "mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_folds_are_trained_on_threads_with_the_callers_backend() -> None:
    seen: list[tuple[str, str]] = []

    def look(x: Any) -> Any:
        seen.append((threading.current_thread().name, fastnn.get_backend()))
        return x

    net = MLPClassifier((4,), max_iter=2, random_state=0, backend="cpp")
    with fastnn.use_backend("numba"):
        cross_val_score(make_pipeline(FunctionTransformer(look), net), X, CLASSES, cv=2)
    assert len(seen) >= 4 and {backend for _, backend in seen} == {"numba"}
    assert "MainThread" not in {name for name, _ in seen}


def test_which_are_left_to_scikit_learn() -> None:
    def threads(estimator: Any, n_jobs: int | None = None) -> bool:
        with at_once(estimator, n_jobs):
            return isinstance(get_active_backend()[0], Threads)

    net = MLPClassifier((4,))
    assert threads(net) and threads(make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), net)))
    assert threads(NetClassifier()) and threads(MLPClassifier(loss=fastnn.losses.CategoricalHinge(), optimizer="adamw"))
    own_code: list[Any] = [{"activation": lambda x: x}, {"optimizer": type("Mine", (fastnn.optim.SGD,), {})}]
    for settings in [*own_code, {"callbacks": []}, {"verbose": True}, {"backend": "numba"}]:
        assert not threads(MLPClassifier(**settings))
    assert not threads(NetClassifier(lambda n, outputs: fastnn.Dense(outputs)))
    assert not threads(LogisticRegression()) and not threads(net, 1) and not threads(net, 2)
    with parallel_config(backend="loky", n_jobs=2):
        assert not threads(net)
    fastnn.set_num_threads(1)
    assert not threads(net)


def test_errors_in_a_fold_arrive() -> None:
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        cross_val_score(MLPClassifier((4, 0)), X, CLASSES, cv=4, error_score="raise")
    with pytest.raises(ValueError, match="All the 4 fits failed"):
        cross_val_score(MLPClassifier((4, 0)), X, CLASSES, cv=4)
