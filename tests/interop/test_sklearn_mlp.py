"""Multi-layer perceptrons of scikit-learn as models of fastnn, and back."""

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.neural_network import MLPClassifier, MLPRegressor

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
CLASSES = np.array(["b", "a", "c"])[np.argmax(X[:, :3], 1)]


def fitted(mlp: Any, y: Any, x: Any = X) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it did not converge
        return mlp.fit(x, y)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_from_classifiers(activation: str) -> None:
    mlp = fitted(MLPClassifier((5, 3), activation=activation, max_iter=5, random_state=0), CLASSES)
    model = fastnn.from_sklearn(mlp)
    assert model.class_names == ["a", "b", "c"] and model.dtype == np.float64
    np.testing.assert_allclose(model.predict(X), mlp.predict_proba(X), rtol=1e-10)
    back = fastnn.to_sklearn(model)
    np.testing.assert_allclose(back.predict_proba(X), mlp.predict_proba(X), rtol=1e-10)
    np.testing.assert_array_equal(back.predict(X), mlp.predict(X))


def test_from_other_estimators() -> None:
    two = fitted(MLPClassifier(5, max_iter=5, random_state=0), CLASSES == "a")
    np.testing.assert_allclose(fastnn.from_sklearn(two).predict(X)[:, 0], two.predict_proba(X)[:, 1], rtol=1e-10)
    labels = fitted(MLPClassifier(5, max_iter=5, random_state=0), X[:, :3] > 0)
    np.testing.assert_allclose(fastnn.from_sklearn(labels).predict(X), labels.predict_proba(X), rtol=1e-10)
    for y in (X[:, 0], X[:, :2]):
        regressor = fitted(MLPRegressor(hidden_layer_sizes=5, max_iter=5, random_state=0), y, X.astype("float32"))
        model = fastnn.from_sklearn(regressor)
        assert model.dtype == np.float32
        np.testing.assert_allclose(
            model.predict(X).reshape(y.shape), regressor.predict(X.astype("float32")), rtol=1e-4, atol=1e-6
        )
    own = fastnn.sklearn.MLPClassifier((5,), max_iter=5, random_state=0)
    fitted(own, CLASSES)
    np.testing.assert_allclose(fastnn.from_sklearn(own).predict(X), own.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_to_classifiers() -> None:
    layers = [nn.Linear(4, 6), nn.Tanh(), fastnn.Dropout(0.5), nn.Linear(6, 3)]
    probabilities = fastnn.Sequential([*layers, nn.Softmax()]).eval().predict(X)
    model = fastnn.Sequential(layers).eval()
    for classes in (["a", "b", "c"], ["c", "a", "b"], [5, 7, 6]):
        mlp = fastnn.to_sklearn(model, classes=classes)
        assert list(mlp.classes_) == sorted(classes)
        np.testing.assert_array_equal(mlp.predict(X), np.array(classes)[probabilities.argmax(1)])
        np.testing.assert_allclose(mlp.predict_proba(X)[:, np.argsort(np.argsort(classes))], probabilities, rtol=1e-4, atol=1e-6)
    twin = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(twin.predict(X), mlp.predict(X))
    fitted(mlp.set_params(max_iter=3), CLASSES)
    assert mlp.score(X, CLASSES) >= 0

    one = fastnn.Sequential(
        [fastnn.Dense(5, fastnn.nn.ReLU(), input_shape=(4,)), fastnn.Dense(1, "sigmoid", bias_initializer="ones")]
    )
    for classes in ([0, 1], ["yes", "no"]):
        mlp = fastnn.to_sklearn(one, classes=classes)
        np.testing.assert_array_equal(mlp.predict(X), np.array(classes)[(one.predict(X)[:, 0] > 0.5).astype(int)])
    labels = fastnn.Sequential([fastnn.Dense(3, "sigmoid", input_shape=(4,))])
    mlp = fastnn.to_sklearn(labels)
    np.testing.assert_array_equal(mlp.predict(X), labels.predict(X) > 0.5)


def test_to_regressors() -> None:
    model = fastnn.Sequential([fastnn.Dense(5, "relu", use_bias=False, input_shape=(4,)), fastnn.ReLU(), fastnn.Dense(2)])
    with pytest.raises(ValueError, match="to_sklearn: layer 1 is an activation that does not follow"):
        fastnn.to_sklearn(model)
    model = fastnn.Sequential([fastnn.Dense(5, use_bias=False, input_shape=(4,)), fastnn.ReLU(), fastnn.Dense(2)])
    np.testing.assert_allclose(fastnn.to_sklearn(model).predict(X), model.predict(X), rtol=1e-4, atol=1e-6)


def test_errors() -> None:
    with pytest.raises(TypeError, match="from_sklearn: MLPClassifier came, wanted a fitted MLPClassifier"):
        fastnn.from_sklearn(MLPClassifier())
    with pytest.raises(TypeError, match="to_sklearn: Dense came, wanted a Sequential"):
        fastnn.to_sklearn(fastnn.Dense(2))
    for layers, words in (
        ([fastnn.Dense(2, "gelu", input_shape=(4,)), fastnn.Dense(2)], "have the activations gelu; wanted"),
        ([fastnn.Dense(2, "relu", input_shape=(4,)), fastnn.Dense(2, "tanh"), fastnn.Dense(2)], "activations relu, tanh; wanted"),
        ([fastnn.Dense(2, "relu", input_shape=(4,))], "the last layer has the activation relu"),
        ([fastnn.Dense(2, input_shape=(4,)), nn.LeakyReLU(0.3)], "layer 1 is a LeakyReLU"),
        ([fastnn.Dense(2, input_shape=(4,)), fastnn.BatchNormalization()], "layer 1 is a BatchNormalization"),
        ([fastnn.Dense(1, "softmax", input_shape=(4,))], "always 1"),
        ([fastnn.Dense(2)], "has no weights yet"),
    ):
        with pytest.raises(ValueError, match=f"to_sklearn: .*{words}"):
            fastnn.to_sklearn(fastnn.Sequential(layers))
    with pytest.raises(ValueError, match=r"classes are \['a'\], wanted 2 different ones"):
        fastnn.to_sklearn(fastnn.Sequential([fastnn.Dense(2, "softmax", input_shape=(4,))]), classes=["a"])
