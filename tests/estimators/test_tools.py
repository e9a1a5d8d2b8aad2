"""scikit-learn's tools take the estimators: pipelines, searches, calibration, copies, files, frames."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
import joblib
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn.sklearn import MLPClassifier, MLPRegressor, NetClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
IRIS, KINDS = load_iris(return_X_y=True)
NET = MLPClassifier((16,), learning_rate_init=0.02, max_iter=60, random_state=0)


def test_pipeline_and_cross_validation() -> None:
    assert cross_val_score(make_pipeline(StandardScaler(), NET), IRIS, KINDS, cv=3).mean() > 0.9


def test_search_in_two_processes() -> None:
    search = GridSearchCV(NET, {"hidden_layer_sizes": [(4,), (16,)], "dropout": [0.0, 0.1]}, cv=2, n_jobs=2).fit(IRIS, KINDS)
    alone = clone(search.best_estimator_).fit(IRIS, KINDS)
    np.testing.assert_array_equal(search.predict_proba(IRIS), alone.predict_proba(IRIS))


def test_threads() -> None:
    with joblib.parallel_backend("threading"):
        scores = cross_val_score(NET, IRIS, KINDS, cv=4, n_jobs=2)
    np.testing.assert_array_equal(scores, cross_val_score(NET, IRIS, KINDS, cv=4))


def test_calibration_votes_and_importance() -> None:
    assert CalibratedClassifierCV(NET, cv=2).fit(IRIS, KINDS).score(IRIS, KINDS) > 0.9
    votes = VotingClassifier([("net", NET), ("line", LogisticRegression(max_iter=500))], voting="soft").fit(IRIS, KINDS)
    assert votes.score(IRIS, KINDS) > 0.9
    importance = permutation_importance(clone(NET).fit(IRIS, KINDS), IRIS, KINDS, random_state=0).importances_mean
    assert importance[2:].max() > importance[:2].max()
    several = MultiOutputRegressor(MLPRegressor(max_iter=5)).fit(IRIS[:, :2], IRIS[:, 2:])
    assert several.predict(IRIS[:, :2]).shape == (150, 2)


def copies(e: Any, folder: Path) -> list[Any]:
    joblib.dump(e, folder / "net")
    return [pickle.loads(pickle.dumps(e)), joblib.load(folder / "net"), joblib.load(folder / "net", mmap_mode="r")]


@pytest.mark.parametrize("settings", [{}, {"solver": "sgd"}, {"dropout": 0.2, "batch_norm": True}])
def test_copies_go_on_as_the_original(settings: dict[str, Any], tmp_path: Path) -> None:
    net = clone(NET).set_params(**settings).partial_fit(IRIS, KINDS, classes=[0, 1, 2])
    others = copies(net, tmp_path)
    expected = net.partial_fit(IRIS, KINDS).predict_proba(IRIS)
    for other in others:
        np.testing.assert_array_equal(other.partial_fit(IRIS, KINDS).predict_proba(IRIS), expected)


def test_clone_has_the_arguments_and_no_weights() -> None:
    net = clone(clone(NET).fit(IRIS, KINDS))
    assert net.get_params() == NET.get_params() and not hasattr(net, "coefs_") and not hasattr(net, "classes_")


def test_frames_keep_their_names() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    net = clone(NET).fit(frame, pd.Series(KINDS).map({0: "x", 1: "y", 2: "z"}))
    assert (
        list(net.feature_names_in_) == ["a", "b", "c", "d"] and net.n_features_in_ == 4 and set(net.predict(frame)) <= set("xyz")
    )
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame[["b", "a", "c", "d"]])


@pytest.mark.parametrize("values", [["ant", "bee"] * 75, np.arange(150).astype("datetime64[D]")])
def test_errors_name_the_column_without_numbers(values: Any) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"]).assign(kind=values)
    for net in (MLPClassifier(max_iter=2), NetClassifier(max_iter=2)):
        net.fit(frame.assign(kind=1.0), KINDS)
        with pytest.raises(ValueError, match=rf"{type(net).__name__}: column 'kind' of X .* holds no numbers; .*encode"):
            net.predict(frame)
        with pytest.raises(ValueError, match="NaN"):
            net.predict(frame.assign(kind=np.nan))


def test_sparse_matrices() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense, thin = clone(NET).fit(IRIS, KINDS), clone(NET).fit(sparse.csr_matrix(IRIS), KINDS)
    np.testing.assert_array_equal(dense.predict_proba(IRIS), thin.predict_proba(sparse.csc_array(IRIS)))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        NetClassifier().fit(sparse.csr_matrix(IRIS), KINDS)


def test_bad_arguments_are_named() -> None:
    for name, value in (("dropout", 1.0), ("solver", "newton"), ("batch_size", 0), ("class_weight", "even"), ("dtype", "int8")):
        with pytest.raises(ValueError, match=f"'{name}' parameter of MLPClassifier"):
            MLPClassifier(**{name: value}).fit(IRIS, KINDS)
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        MLPClassifier((4, 0)).fit(IRIS, KINDS)
    with pytest.raises(ValueError, match="unknown activation"):
        MLPClassifier(activation="nonsense").fit(IRIS, KINDS)
