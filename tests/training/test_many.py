"""Training of many nets at once: equal to training them alone, with settings of their own, weights, and patience."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fastnn
from fastnn import nn

rng = np.random.default_rng(3)
X = rng.standard_normal((70, 3)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:2]).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0.5)


def regressor(**how):
    return fastnn.Sequential([fastnn.Dense(8, "tanh", input_shape=(3,), **how), nn.ReLU(), fastnn.Dense(1)])


def classifier(last="softmax"):
    return fastnn.Sequential([nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 3), *([fastnn.Activation(last)] if last else [])])


def trained_alone(model, optimizer, loss, y, epochs=4, weight=None):
    model.compile(optimizer, loss)
    history = model.fit(X, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0, sample_weight=weight)
    return model, history.history["loss"]


def assert_equal(a, b):
    for p, q in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(p, q, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("make", "loss", "y"),
    [
        (regressor, "mse", Y),
        (lambda: regressor(kernel_regularizer="l2"), "mae", Y),
        (classifier, "sparse_categorical_crossentropy", LABELS),
        (lambda: classifier(None), nn.CrossEntropyLoss(), LABELS),
        (lambda: classifier("sigmoid"), "binary_crossentropy", np.eye(3)[LABELS]),
    ],
)
def test_nets_learn_what_each_learns_alone(make, loss, y):
    models = [make() for _ in range(3)]
    alone = [trained_alone(copy.deepcopy(m), fastnn.optim.Adam(lr=0.01), loss, y) for m in models]
    how = {"loss": loss, "optimizer": fastnn.optim.Adam(lr=0.01), "batch_size": 32, "epochs": 4, "shuffle": False}
    many = fastnn.fit_many(models, X, y, **how)
    for i, (model, losses) in enumerate(alone):
        assert_equal(models[i], model)
        if not isinstance(make(), fastnn.Sequential) or models[i].layers[0].kernel_regularizer is None:  # fit adds penalties
            np.testing.assert_allclose(many.history["loss"][:, i], losses, rtol=1e-4)
    np.testing.assert_allclose(many.predict(X), [m.predict(X, verbose=0) for m in models], rtol=1e-5, atol=1e-6)


def test_the_compiled_kernels_give_the_same_bits_as_for_each_net_alone():
    with fastnn.use_backend("cpp"):
        models = [regressor() for _ in range(3)]
        alone = [trained_alone(copy.deepcopy(m), "adam", "mse", Y)[0] for m in models]
        fastnn.fit_many(models, X, Y, loss="mse", epochs=4, shuffle=False)
    for model, own in zip(models, alone, strict=True):
        for p, q in zip(model.get_weights(), own.get_weights(), strict=True):
            np.testing.assert_array_equal(p, q)


def test_settings_of_each_net():
    models, rates, decays = [regressor() for _ in range(4)], [0.01, 0.1, 0.01, 0.03], [0.0, 0.0, 0.0, 0.5]
    alone = [
        trained_alone(copy.deepcopy(m), fastnn.optim.get("adamw", learning_rate=rate, weight_decay=decay), "mse", Y)
        for m, rate, decay in zip(models, rates, decays, strict=True)
    ]
    how = {"loss": "mse", "optimizer": "adamw", "epochs": 4, "shuffle": False}
    many = fastnn.fit_many(models, X, Y, learning_rate=rates, weight_decay=decays, **how)
    for i, (model, losses) in enumerate(alone):
        assert_equal(models[i], model)
        np.testing.assert_allclose(many.history["loss"][:, i], losses, rtol=1e-4)


def test_samples_of_weight_0_are_not_seen():
    models, other = [regressor(), regressor()], X.copy()
    twins = copy.deepcopy(models)
    weight = np.ones((2, len(X)))
    weight[0, ::3] = weight[1, 1::3] = 0
    other[::3] = 100
    how = {"loss": "mse", "epochs": 3, "shuffle": False, "sample_weight": weight}
    fastnn.fit_many(models, X, Y, **how)
    fastnn.fit_many(twins, other, Y, **how)
    assert_equal(models[0], twins[0])
    assert np.abs(models[1].get_weights()[0] - twins[1].get_weights()[0]).max() > 1e-3


def test_the_weighted_loss_is_that_of_the_weights():
    model, weight = regressor(), np.linspace(0.1, 2, len(X))
    before = ((model.predict(X, verbose=0) - Y) ** 2)[:, 0]
    frozen = fastnn.optim.SGD(lr=0.0)
    many = fastnn.fit_many([model], X, Y, loss="mse", optimizer=frozen, sample_weight=weight, batch_size=16)
    np.testing.assert_allclose(many.history["loss"][0, 0], np.average(before, weights=weight), rtol=1e-5)


def test_patience_keeps_the_best_weights():
    models = [regressor() for _ in range(3)]
    many = fastnn.fit_many(
        models, X, Y, loss="mse", learning_rate=[0.01, 3.0, 0.001], epochs=60, validation_data=(X[:20], Y[:20]), patience=4
    )
    losses = many.history["val_loss"]
    assert losses.shape[1] == 3 and len(losses) <= 60
    np.testing.assert_array_equal(many.best_epoch, losses.argmin(0))
    found = [((m.predict(X[:20], verbose=0) - Y[:20]) ** 2).mean() for m in models]
    np.testing.assert_allclose(found, losses.min(0), rtol=1e-4)


def test_dropout_is_drawn_in_training_only():
    model = fastnn.Sequential([fastnn.Flatten(input_shape=(3,)), fastnn.Dense(16, "relu"), fastnn.Dropout(0.5), fastnn.Dense(1)])
    models = [model, copy.deepcopy(model)]
    many = fastnn.fit_many(models, X, Y, loss="mse", epochs=2)
    assert np.abs(models[0].get_weights()[0] - models[1].get_weights()[0]).max() > 1e-4
    np.testing.assert_array_equal(many.predict(X), many.predict(X))


def test_folds_hold_each_sample_out_once():
    found = fastnn.cross_validate(
        classifier, X, LABELS, 4, loss="sparse_categorical_crossentropy", epochs=30, learning_rate=0.02, patience=10
    )
    sizes = np.array([[np.sum((found.fold == f) & (c == LABELS)) for c in range(3)] for f in range(4)])
    assert (np.ptp(sizes, axis=0) <= 1).all()
    assert (found.predictions.argmax(1) == LABELS).mean() > 0.7
    outputs = found.many.predict(X)
    for fold in range(4):
        rows = found.fold == fold
        np.testing.assert_array_equal(found.predictions[rows], outputs[fold, rows])
        loss = -np.log(found.predictions[rows, LABELS[rows]]).mean()
        np.testing.assert_allclose(found.val_loss[fold], loss, rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"models": []}, ValueError, "models is empty"),
        ({"models": [fastnn.Sequential([fastnn.Dense(1)])]}, ValueError, "no weights yet"),
        ({"models": [regressor(), classifier()]}, ValueError, r"have \[3, 4\] layers"),
        ({"models": [regressor(), regressor(use_bias=False)]}, ValueError, "differ in layer 0"),
        ({"models": [fastnn.Sequential([fastnn.Dense(1, input_shape=(3,)), fastnn.BatchNormalization()])]}, TypeError, "layer 1"),
        ({"models": [nn.Linear(3, 1)]}, TypeError, r"models\[0\] is a Linear"),
        ({"learning_rate": [0.1]}, ValueError, "learning_rate has 1 numbers for 2 models"),
        ({"optimizer": fastnn.optim.SGD(lr=0.1, clipnorm=1.0)}, ValueError, "clips norms"),
        ({"optimizer": "lbfgs"}, TypeError, "evaluates the loss"),
        ({"sample_weight": np.ones((3, 70))}, ValueError, r"wanted \(n,\) or \(2, n\)"),
        ({"sample_weight": -np.ones(70)}, ValueError, "negative"),
        ({"x": X[:, :2]}, ValueError, r"x has shape \(70, 2\)"),
        ({"y": Y[:60]}, ValueError, "y has 60"),
        ({"validation_data": X}, ValueError, "validation_data"),
        ({"patience": 0}, ValueError, "patience"),
        ({"loss": "mice"}, ValueError, "mice"),
        ({"loss": fastnn.losses.MeanSquaredError(reduction="sum")}, ValueError, "reduction='sum'"),
    ],
)
def test_errors(change, error, message):
    given = {"models": [regressor(), regressor()], "x": X, "y": Y, "loss": "mse"} | change
    with pytest.raises(error, match=message):
        fastnn.fit_many(given.pop("models"), given.pop("x"), given.pop("y"), **given)


@pytest.mark.parametrize(
    ("folds", "error"), [(1, ValueError), (71, ValueError), ([0] * 69, ValueError), (np.full(70, 2), ValueError)]
)
def test_errors_of_folds(folds, error):
    with pytest.raises(error, match="fold"):
        fastnn.cross_validate(regressor, X, Y, folds, loss="mse")


def test_folds_need_no_weights():
    with pytest.raises(TypeError, match="follows from the folds"):
        fastnn.cross_validate(regressor, X, Y, loss="mse", sample_weight=np.ones(70))
