"""The estimators take frames with categories, texts, booleans and missing values."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import cross_val_score  # noqa: E402

from fastnn.sklearn import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
GIVEN: dict[str, Any] = {"max_iter": 60, "learning_rate_init": 0.01, "random_state": 0}


def table(n: int = 240, seed: int = 0) -> tuple[Any, Any]:
    """A frame of mixed columns, and numbers that follow from all of them."""
    rng = np.random.default_rng(seed)
    size, place, town = rng.uniform(0, 1, n), rng.choice(["a", "b", "c"], n), rng.integers(0, 20, n)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "place": pd.Categorical(place),
            "town": [f"town {i}" for i in town],
            "new": rng.random(n) < 0.5,
            "heating": pd.Series(rng.choice(["gas", "oil"], n)).where(rng.random(n) < 0.9),
        }
    )
    return frame, size + 2 * (place == "a") + frame.new.to_numpy() + 0.1 * town


X, Y = table()


@pytest.mark.parametrize("kind", [MLPRegressor, NetRegressor])
def test_numbers(kind: Any) -> None:
    net = kind(**GIVEN).fit(X[:180], Y[:180])
    assert net.score(X[180:], Y[180:]) > 0.7
    assert list(net.feature_names_in_) == list(X.columns) and net.n_features_in_ == 5
    assert len(net.encoder_.embedded) == 1, "20 towns"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))


@pytest.mark.parametrize("kind", [MLPClassifier, NetClassifier])
def test_classes_validation_and_cross_validation(kind: Any) -> None:
    labels = np.where(np.median(Y) < Y, "high", "low")
    net = kind(**GIVEN, early_stopping=True).fit(X, labels)
    assert net.predict_proba(X).shape == (240, 2) and net.score(X, labels) > 0.8
    assert kind(**GIVEN).fit(X, labels, validation_data=(X, labels)).validation_scores_[-1] > 0.8
    assert cross_val_score(kind(**GIVEN), X, labels, cv=3).mean() > 0.75
    parts = kind(**GIVEN).partial_fit(X, labels, classes=["high", "low"])
    assert len(parts.partial_fit(X, labels).loss_curve_) == 2


def test_values_that_fit_has_not_seen() -> None:
    net = MLPRegressor(**GIVEN).fit(X, Y)
    new = X.iloc[:2].assign(town=["nowhere", "town 1"])
    with pytest.warns(UserWarning, match="MLPRegressor: 'town' has values that training has not seen: 'nowhere'"):
        assert np.isfinite(net.predict(new)).all()


def test_other_columns_are_an_error() -> None:
    net = MLPRegressor(**GIVEN).fit(X, Y)
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
        net.predict(X.iloc[:, ::-1])
    with pytest.raises(ValueError, match="Feature names unseen at fit time"):
        net.predict(X.rename(columns={"size": "sizes"}))
    with pytest.raises(TypeError, match="was fitted to a data frame with columns that it encodes; X is a ndarray"):
        net.predict(np.ones((3, 5)))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net.fit(X, Y[:-1])
    with pytest.warns(UserWarning, match="'same' is ignored"), pytest.raises(ValueError, match=r"must be finite|contains NaN"):
        net.fit(X.assign(same="x"), np.where(Y > 2, np.nan, Y))


def test_frames_of_numbers_are_not_encoded() -> None:
    numbers = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40) % 7})
    net = MLPRegressor(**GIVEN).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        net.fit(numbers, numbers.a)
        assert not hasattr(net, "encoder_")
        same = clone(net).fit(numbers.to_numpy(), numbers.a.to_numpy())
    np.testing.assert_array_equal(net.predict(numbers), same.predict(numbers.to_numpy()))
    with pytest.raises(ValueError, match="contains NaN"):
        net.predict(numbers.mask(numbers == 3))
