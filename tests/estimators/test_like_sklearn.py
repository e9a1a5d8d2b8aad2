"""The perceptrons train as scikit-learn's do: from the same weights, in the same order, to the same losses."""

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn import neural_network as sk
from sklearn.exceptions import ConvergenceWarning

from fastnn.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 5))
CLASSES = np.array(["ant", "bee", "cow"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
PAIR = np.where(X[:, 0] > X[:, 1], "yes", "no")
LABELS = (X[:, :3] > 0).astype(int)
NUMBER = X[:, 0] * X[:, 1] + X[:, 2]
COUNTS = RNG.poisson(np.exp(0.5 * X[:, 0]))


def both(kind: str, y: Any, epochs: int = 15, weights: Any = None, **kwargs: Any) -> tuple[Any, Any]:
    """Fit both libraries' perceptrons from the same weights."""
    kwargs = {"hidden_layer_sizes": (7, 6), "random_state": 0, "activation": "tanh", "warm_start": True, **kwargs}
    kwargs = {"shuffle": False, "tol": 0.0, **kwargs}
    ours: Any = (MLPClassifier if kind == "classifier" else MLPRegressor)(dtype="float64", **kwargs)
    theirs: Any = (sk.MLPClassifier if kind == "classifier" else sk.MLPRegressor)(**kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for e in (ours, theirs):
            e.set_params(max_iter=1).fit(X, y)
        pairs = zip(theirs.coefs_, theirs.intercepts_, strict=True)
        ours.model_.set_weights([w for pair in pairs for w in pair])
        ours.loss_curve_, theirs.loss_curve_ = [], []
        for e in (ours, theirs):
            e.best_loss_ = np.inf
            e.set_params(max_iter=epochs).fit(X, y, *([] if weights is None else [weights]))
    return ours, theirs


CASES: dict[str, Any] = {
    "classes": ("classifier", CLASSES, {}),
    "two classes": ("classifier", PAIR, {"alpha": 0.1}),
    "labels": ("classifier", LABELS, {"alpha": 0.01}),
    "sgd": ("classifier", CLASSES, {"solver": "sgd", "learning_rate_init": 0.1}),
    "plain momentum": ("classifier", CLASSES, {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False}),
    "no momentum": ("classifier", PAIR, {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.0}),
    "invscaling": (
        "classifier",
        CLASSES,
        {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "invscaling", "momentum": 0.0},
    ),
    "adaptive": (
        "classifier",
        CLASSES,
        {
            "solver": "sgd",
            "learning_rate_init": 0.2,
            "learning_rate": "adaptive",
            "momentum": 0.0,
            "tol": 0.05,
            "n_iter_no_change": 2,
        },
    ),
    "number": ("regressor", NUMBER, {"activation": "logistic", "alpha": 0.5}),
    "relu": ("classifier", CLASSES, {"activation": "relu", "alpha": 0.3}),
    "identity": ("regressor", NUMBER, {"activation": "identity"}),
    "counts": ("regressor", COUNTS, {"loss": "poisson"}),
    "batches": ("regressor", NUMBER, {"batch_size": 35}),
}


@pytest.mark.parametrize("case", CASES)
def test_losses_are_the_same(case: str) -> None:
    kind, y, kwargs = CASES[case]
    ours, theirs = both(kind, y, **kwargs)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert (ours.n_iter_, ours.t_, ours.n_layers_, ours.n_outputs_) == (
        theirs.n_iter_,
        theirs.t_,
        theirs.n_layers_,
        theirs.n_outputs_,
    )
    assert ours.out_activation_ == theirs.out_activation_
    assert ours.best_loss_ == pytest.approx(theirs.best_loss_)
    assert ours.loss_ == pytest.approx(theirs.loss_)
    np.testing.assert_array_equal(
        ours.predict(X) if kind == "classifier" else ours.predict(X).round(4),
        theirs.predict(X).round(4) if kind != "classifier" else theirs.predict(X),
    )
    if kind == "classifier":
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), atol=1e-4)


@pytest.mark.parametrize("case", ["classes", "labels", "number"])
def test_weights_of_samples(case: str) -> None:
    kind, y, kwargs = CASES[case]
    weights = RNG.uniform(0.1, 2, len(X))
    ours, theirs = both(kind, y, weights=weights, **kwargs)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)


def test_several_numbers_have_the_same_weights_and_a_summed_loss() -> None:
    ours, theirs = both("regressor", np.stack([NUMBER, X[:, 3]], axis=1), alpha=0.0)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.loss_curve_, 2 * np.array(theirs.loss_curve_), rtol=1e-6)
    assert ours.predict(X).shape == (70, 2)


def test_every_argument_of_theirs_has_its_default() -> None:
    for ours, theirs in ((MLPClassifier(), sk.MLPClassifier()), (MLPRegressor(), sk.MLPRegressor())):
        own = ours.get_params()
        assert {name: own[name] for name in theirs.get_params()} == theirs.get_params()


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_partial_fit(kind: str) -> None:
    y = CLASSES if kind == "classifier" else NUMBER
    given = {"hidden_layer_sizes": (6,), "random_state": 0, "shuffle": False}
    ours: Any = (MLPClassifier if kind == "classifier" else MLPRegressor)(dtype="float64", **given)
    theirs: Any = (sk.MLPClassifier if kind == "classifier" else sk.MLPRegressor)(**given)
    extra = {"classes": ["ant", "bee", "cow"]} if kind == "classifier" else {}
    theirs.partial_fit(X[:40], y[:40], **extra)
    start = [w.copy() for pair in zip(theirs.coefs_, theirs.intercepts_, strict=True) for w in pair]
    ours.partial_fit(X[:40], y[:40], **extra).model_.set_weights(start)
    for part in (slice(0, 30), slice(30, 70), slice(0, 30), slice(30, 70)):
        for e in (ours, theirs):
            e.partial_fit(X[part], y[part])
    np.testing.assert_allclose(ours.loss_curve_[1:], theirs.loss_curve_[1:], rtol=0.05)
    assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_)


def test_early_stopping_keeps_the_best_weights() -> None:
    e = MLPClassifier(random_state=0, early_stopping=True, n_iter_no_change=3, max_iter=300, learning_rate_init=0.05)
    e.fit(X, CLASSES)
    assert e.n_iter_ < 300 and len(e.validation_scores_) == e.n_iter_ == len(e.loss_curve_)
    assert e.best_validation_score_ == max(e.validation_scores_) and e.best_loss_ is None
    held = MLPRegressor(random_state=0, early_stopping=True, max_iter=60, tol=0, learning_rate_init=0.05, n_iter_no_change=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        held.fit(X[:50], NUMBER[:50], validation_data=(X[50:], NUMBER[50:]))
    assert held.score(X[50:], NUMBER[50:]) == pytest.approx(max(held.validation_scores_), abs=1e-5)


def test_lbfgs_reaches_the_same_loss() -> None:
    given = {"solver": "lbfgs", "hidden_layer_sizes": (), "random_state": 0, "alpha": 0.1, "max_iter": 500}
    for ours, theirs, y in (
        (MLPClassifier(**given), sk.MLPClassifier(**given), CLASSES),
        (MLPRegressor(**given), sk.MLPRegressor(**given), NUMBER),
    ):
        assert ours.fit(X, y).loss_ == pytest.approx(theirs.fit(X, y).loss_, abs=1e-5)
        np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], atol=0.05)


def test_max_iter_warns() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\)"):
        MLPRegressor(max_iter=3).fit(X, NUMBER)
