"""Multi-layer perceptrons of scikit-learn as models of fastnn, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import activations
from ..nn.graph.sequential import Sequential
from ..nn.layers.activation import Softmax
from ..nn.layers.dense import Dense, Linear
from ..nn.layers.random import Dropout
from ..nn.layers.shape import Flatten, Identity
from ..nn.module import Module

_NAMES = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "softmax": "softmax", "exp": "exponential"}
"""Activations of fastnn, by scikit-learn's names."""


def from_sklearn(mlp: Any) -> Sequential:
    """Return the model of fastnn with the weights of a fitted MLPClassifier or MLPRegressor.

    Args:
        mlp: a fitted estimator of `sklearn.neural_network` or `fastnn.sklearn`.

    Returns:
        A Sequential of Dense layers, not compiled, in the dtype of the weights. Its `predict` returns, with an axis for the
        outputs, what `predict` of a regressor returns, or the probabilities of a classifier: a column for each class; for two
        classes one column, the probability of the second. `class_names` are the texts of `classes_`.

    Raises:
        TypeError: the argument has no `coefs_`: it is no multi-layer perceptron, or is not fitted.
        ValueError: it has an activation that fastnn does not have.

    >>> import sklearn
    >>> import fastnn
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier(20, early_stopping=True, random_state=0).fit(x, y)
    >>> model = fastnn.from_sklearn(mlp)
    >>> bool((abs(model.predict(x) - mlp.predict_proba(x)) < 1e-6).all())
    True
    """
    coefs, biases = getattr(mlp, "coefs_", None), getattr(mlp, "intercepts_", None)
    if not coefs or biases is None:
        raise TypeError(f"from_sklearn: {type(mlp).__name__} came, wanted a fitted MLPClassifier or MLPRegressor")
    names = [mlp.activation] * (len(coefs) - 1) + [mlp.out_activation_]
    if unknown := [name for name in names if name not in _NAMES]:
        raise ValueError(f"from_sklearn: the activation is {unknown[0]!r}, wanted one of {', '.join(_NAMES)}")
    dtype = "float64" if coefs[0].dtype == np.float64 else "float32"
    layers: list[Any] = [
        Dense(w.shape[1], _NAMES[name], input_shape=(w.shape[0],), dtype=dtype) for w, name in zip(coefs, names, strict=True)
    ]
    model = Sequential(layers)
    model.set_weights([a for pair in zip(coefs, biases, strict=True) for a in pair])
    if (classes := getattr(mlp, "classes_", None)) is not None and isinstance(classes, np.ndarray):
        model.class_names = [str(c) for c in classes]
    model.eval()
    return model


def to_sklearn(model: Any, classes: Sequence[Any] | None = None) -> Any:
    """Return a fitted MLPClassifier or MLPRegressor of scikit-learn with the weights of a model.

    The model is a `Sequential` of Dense or Linear layers, all with the same activation (none, sigmoid, tanh or relu) but the
    last one. Activations may be layers; Dropout is left out, as it is in `predict`. A model that ends with softmax or sigmoid
    becomes a classifier, any other one a regressor.

    Args:
        model: the model, which does not change.
        classes: the classes, in the order of the outputs; by default `model.class_names`, or 0, 1, ... With classes, a model that
            ends without an activation becomes a classifier, too: its outputs are logits. A sigmoid of several outputs is that of
            labels that do not exclude each other.

    Raises:
        ImportError: scikit-learn is not installed.
        TypeError: the model is no Sequential.
        ValueError: a layer or an activation is none of scikit-learn's; or the number of classes is not that of the outputs.

    >>> import sklearn
    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(8, "relu", input_shape=(4,)), fastnn.Dense(3, "softmax")])
    >>> mlp = fastnn.to_sklearn(model, classes=["a", "b", "c"])
    >>> import numpy as np
    >>> x = np.ones((2, 4), np.float32)
    >>> bool((abs(mlp.predict_proba(x) - model.predict(x)) < 1e-6).all()), list(mlp.classes_) == ["a", "b", "c"]
    (True, True)
    """
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.preprocessing import LabelBinarizer
    except ImportError:
        raise ImportError("to_sklearn: scikit-learn is not installed: pip install 'fastnn[sklearn]'") from None

    coefs, biases, names = _parts(model)
    hidden, last = names[:-1], names[-1]
    if len(set(hidden)) > 1 or not set(hidden) <= {"linear", "sigmoid", "tanh", "relu"}:
        raise ValueError(
            f"to_sklearn: the hidden layers have the activations {', '.join(hidden)}; wanted the same one, of linear, sigmoid, "
            "tanh and relu"
        )
    if last not in ("linear", "sigmoid", "softmax"):
        raise ValueError(f"to_sklearn: the last layer has the activation {last}, wanted linear, sigmoid or softmax")
    outputs = coefs[-1].shape[1]
    classifies = last != "linear" or classes is not None
    cls = MLPClassifier if classifies else MLPRegressor
    theirs = {own: name for name, own in _NAMES.items()}
    sizes = tuple(w.shape[1] for w in coefs[:-1])
    mlp: Any = cls(hidden_layer_sizes=sizes, activation=theirs[hidden[0]] if hidden else "relu")
    mlp.coefs_, mlp.intercepts_ = coefs, biases
    mlp.n_layers_, mlp.n_outputs_, mlp.n_features_in_ = len(coefs) + 1, outputs, coefs[0].shape[0]
    mlp.n_iter_, mlp.t_, mlp.loss_curve_, mlp.loss_, mlp.best_loss_ = 0, 0, [], np.nan, np.inf
    mlp.out_activation_ = theirs[last]
    if not classifies:
        return mlp
    several = last == "sigmoid" and outputs > 1
    if outputs == 1 and last == "softmax":
        raise ValueError("to_sklearn: the softmax of one output is always 1; wanted sigmoid")
    if last == "linear":
        mlp.out_activation_ = "logistic" if outputs == 1 else "softmax"
    wanted = 2 if outputs == 1 else outputs
    given = list(range(wanted)) if classes is None and model.class_names is None else list(classes or model.class_names)
    if len(set(given)) != wanted or len(given) != wanted:
        raise ValueError(f"to_sklearn: classes are {given}, wanted {wanted} different ones")
    if not several and given != sorted(given):
        order = sorted(range(wanted), key=lambda i: given[i])  # scikit-learn keeps classes sorted
        if outputs == 1:
            mlp.coefs_[-1], mlp.intercepts_[-1] = -mlp.coefs_[-1], -mlp.intercepts_[-1]
        else:
            mlp.coefs_[-1], mlp.intercepts_[-1] = mlp.coefs_[-1][:, order], mlp.intercepts_[-1][order]
        given = sorted(given)
    mlp._label_binarizer = LabelBinarizer().fit(np.eye(wanted, dtype=int) if several else np.asarray(given))
    mlp.classes_ = mlp._label_binarizer.classes_
    return mlp


def _parts(model: Any) -> tuple[list[Any], list[Any], list[str]]:
    """Return the weights as (in, out), the biases, and the names of the activations of a Sequential."""
    if not isinstance(model, Sequential):
        raise TypeError(f"to_sklearn: {type(model).__name__} came, wanted a Sequential of Dense layers")
    if not model.built:
        raise ValueError("to_sklearn: the model has no weights yet; give it input_shape, or call it first")
    coefs: list[Any] = []
    biases: list[Any] = []
    names: list[str] = []
    for i, layer in enumerate(model.layers):
        if isinstance(layer, Dense | Linear):
            w, *b = layer.get_weights()
            coefs.append(w)
            biases.append(b[0] if b else np.zeros(w.shape[1], w.dtype))
            names.append(_name(layer, i) if isinstance(layer, Dense) else "linear")
        elif isinstance(layer, Dropout | Identity | Flatten):
            continue
        else:
            name = _name(layer, i)
            if not names or names[-1] != "linear":
                raise ValueError(f"to_sklearn: layer {i} is an activation that does not follow a Dense layer without one")
            names[-1] = name
    if not coefs:
        raise ValueError("to_sklearn: the model has no Dense layer")
    return coefs, biases, names


def _name(layer: Module, i: int) -> str:
    """Return the name of the activation of a layer."""
    if isinstance(layer, Softmax):
        return "softmax"
    own = vars(layer).get("activation")
    if own is None and len(steps := vars(layer).get("_steps", ())) == 1:  # Keras's ReLU
        own = steps[0]
    name = None if own is None else activations.config(own)
    if not isinstance(name, str):
        raise ValueError(f"to_sklearn: layer {i} is a {layer!r}, which scikit-learn does not have")
    return name
