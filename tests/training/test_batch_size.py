"""Losses over a data set do not depend on the size of the batches, whichever rows count."""

import math
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.losses import LOSSES

N = 20
rng = np.random.default_rng(3)
X = rng.normal(size=(N, 4)).astype(np.float32)
LABELS = rng.integers(0, 3, N)
IGNORED = np.where(np.arange(N) < 7, -100, LABELS)  # the first batch of 7, and every batch of 1 of them, has nothing that counts
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
VALUES = rng.uniform(0.1, 0.9, (N, 3)).astype(np.float32)
SIGNS = np.where(VALUES > 0.5, 1, -1)
WEIGHTS = np.concatenate([np.zeros(7), rng.uniform(0.5, 2.0, N - 7)])
BY_CLASS = [0.2, 1.0, 5.0]


def _model(loss: Any, activation: Any = "softmax") -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(3, activation=activation, input_shape=(4,), kernel_initializer="he_normal")])
    model.compile(fastnn.optim.SGD(lr=0.0), loss)
    return model


def _keras(cls: Any) -> Any:
    kinds = {"sparse_categorical_crossentropy": LABELS, "categorical_crossentropy": ONE_HOT, "categorical_hinge": ONE_HOT}
    kinds["categorical_generalized_cross_entropy"] = LABELS
    if cls.name in ("dice", "tversky"):  # without axis they are one number for a batch
        return pytest.param(lambda: cls(axis=1), "softmax", VALUES, id=cls.name)
    if cls.name == "ctc":
        return pytest.param(cls, "ctc", rng.integers(1, 3, (N, 2)), id=cls.name)
    if cls.name == "gaussian_nll":
        return pytest.param(cls, "nll", VALUES[:, :1], id=cls.name)
    return pytest.param(cls, "softmax", kinds.get(cls.name, VALUES), id=cls.name)


TORCH = [
    (nn.CrossEntropyLoss, None, LABELS),
    (lambda: nn.CrossEntropyLoss(weight=BY_CLASS), None, LABELS),
    (lambda: nn.CrossEntropyLoss(weight=BY_CLASS, ignore_index=-100, label_smoothing=0.1), None, IGNORED),
    (nn.CrossEntropyLoss, None, ONE_HOT),
    (nn.CrossEntropyLoss, None, IGNORED),
    (lambda: nn.CrossEntropyLoss(reduction="sum"), None, IGNORED),
    (lambda: nn.NLLLoss(weight=BY_CLASS), "log_softmax", LABELS),
    (nn.NLLLoss, "log_softmax", IGNORED),
    (lambda: nn.MultiMarginLoss(weight=BY_CLASS), None, LABELS),
    (nn.MSELoss, None, VALUES),
    (lambda: nn.MSELoss(reduction="sum"), None, VALUES),
    (nn.L1Loss, None, VALUES),
    (nn.SmoothL1Loss, None, VALUES),
    (nn.HuberLoss, None, VALUES),
    (nn.BCELoss, "sigmoid", VALUES),
    (lambda: nn.BCEWithLogitsLoss(weight=BY_CLASS, pos_weight=BY_CLASS), None, VALUES),
    (nn.MultiLabelSoftMarginLoss, None, VALUES),
    (nn.KLDivLoss, "log_softmax", VALUES),
    (lambda: nn.KLDivLoss(reduction="batchmean"), "log_softmax", VALUES),
    (nn.PoissonNLLLoss, None, VALUES),
    (nn.HingeEmbeddingLoss, None, SIGNS),
    (nn.SoftMarginLoss, None, SIGNS),
]
KERAS_REDUCED = [
    (lambda: fastnn.losses.SparseCategoricalCrossentropy(ignore_class=-100), "softmax", IGNORED),
    (lambda: fastnn.losses.SparseCategoricalCrossentropy(ignore_class=1, reduction="mean_with_sample_weight"), "softmax", LABELS),
    (lambda: fastnn.losses.MeanSquaredError(reduction="mean_with_sample_weight"), None, VALUES),
    (lambda: fastnn.losses.MeanSquaredError(reduction="sum"), None, VALUES),
    (lambda: lambda t, p: (t - p) ** 2, None, VALUES),
    (lambda: fastnn.losses.CustomLoss(lambda t, p: abs(t - p), reduction="mean_with_sample_weight"), None, VALUES),
]


OF_SAMPLES = [cls for cls in LOSSES.values() if cls is not fastnn.losses.Circle]  # which is a loss of the pairs in a batch


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("make, activation, y", [*map(_keras, OF_SAMPLES), *TORCH, *KERAS_REDUCED])
def test_evaluate_is_the_loss_of_the_data_set(make: Any, activation: Any, y: Any, weights: Any) -> None:
    if activation == "nll":  # means and variances
        model = fastnn.Sequential([fastnn.Dense(2, input_shape=(4,))])
        model.compile(fastnn.optim.SGD(lr=0.0), make())
    elif activation == "ctc":  # four time steps, three classes
        model = fastnn.Sequential([fastnn.Dense(12, input_shape=(4,)), fastnn.Reshape((4, 3))])
        model.compile(fastnn.optim.SGD(lr=0.0), make())
    else:
        model = _model(make(), activation)
    values = [model.evaluate(X, y, batch_size=b, sample_weight=weights) for b in (N, 7, 1)]
    assert all(map(math.isfinite, values))
    np.testing.assert_allclose(values[1:], values[0], rtol=2e-6)
    before = model.get_weights()
    history = model.fit(X, y, batch_size=7, epochs=2, sample_weight=weights, validation_data=(X, y, weights), verbose=0).history
    np.testing.assert_allclose(history["loss"] + history["val_loss"], [values[0]] * 4, rtol=2e-6)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_value_is_that_of_one_call() -> None:
    for make, y in ((lambda: nn.CrossEntropyLoss(weight=BY_CLASS), IGNORED), (lambda: nn.MSELoss(reduction="sum"), VALUES)):
        model = _model(make(), None)
        z = fastnn.tensor(model.predict(X))
        assert model.evaluate(X, y, batch_size=3) == pytest.approx(make()(z, y).item(), rel=1e-6)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), fastnn.losses.SparseCategoricalCrossentropy(True, ignore_class=-100)])
def test_batches_in_which_nothing_counts_change_nothing(loss: Any) -> None:
    model = _model(loss, None)
    model.optimizer.lr = 0.1
    y = np.full(8, -100)
    history = model.fit(X[:8], y, epochs=3, batch_size=4, verbose=0).history
    assert history["loss"] == [0.0] * 3
    assert np.isfinite(model.predict(X)).all()
    assert model.train_on_batch(X[:8], y) == 0.0 == model.evaluate(X[:8], y)
    if isinstance(loss, nn.CrossEntropyLoss):  # by hand as in PyTorch
        assert math.isnan(loss(fastnn.zeros((2, 3)), [-100, -100]).item())


def test_several_outputs_and_penalties() -> None:
    x = fastnn.Input((4,))
    outs = [fastnn.Dense(3, name=name, kernel_regularizer=fastnn.regularizers.L2(0.1))(x) for name in ("a", "b")]
    model = fastnn.Model(x, outs)
    losses = {"a": nn.CrossEntropyLoss(weight=BY_CLASS), "b": "mse"}
    model.compile(fastnn.optim.SGD(lr=0.0), losses, loss_weights={"a": 2.0})
    y = {"a": IGNORED, "b": VALUES}
    whole = model.evaluate(X, y, return_dict=True)
    assert whole["loss"] == pytest.approx(2 * whole["a_loss"] + whole["b_loss"] + model.regularization_loss().item(), rel=1e-6)
    for b in (1, 7):
        assert model.evaluate(X, y, batch_size=b, return_dict=True) == pytest.approx(whole, rel=2e-6)
    history = model.fit(X, y, batch_size=7, verbose=0).history
    assert {k: v[0] for k, v in history.items()} == pytest.approx(whole, rel=2e-6)


def test_lbfgs_counts_the_loss_before_each_step_once() -> None:
    x = fastnn.Input((4,))
    model = fastnn.Model(x, [fastnn.Dense(3, name="a")(x), fastnn.Dense(3, name="b")(x)])
    model.compile("lbfgs", "mse")
    before = model.evaluate(X, [VALUES, VALUES], return_dict=True)
    after = model.train_on_batch(X, [VALUES, VALUES], return_dict=True)
    assert after == pytest.approx(before, rel=1e-6)


# ---- what belongs to training alone ----


def test_weights_of_classes_do_not_reach_validation() -> None:
    y = (np.arange(N) % 4 == 0).astype(int)

    def fit(**how: Any) -> Any:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(1, "sigmoid", input_shape=(4,))])
        model.compile(fastnn.optim.SGD(lr=0.0), "binary_crossentropy")
        return model, model.fit(how.pop("x"), how.pop("y"), class_weight={0: 1.0, 1: 10.0}, verbose=0, **how).history

    model, split = fit(x=X, y=y, validation_split=0.3)
    _, given = fit(x=X[:14], y=y[:14], validation_data=(X[14:], y[14:]))
    assert split == given
    assert split["val_loss"] == [model.evaluate(X[14:], y[14:])]
    assert split["loss"][0] > 1.5 * model.evaluate(X[:14], y[:14])
    # sample_weight is the data's own, and is divided
    weights = rng.uniform(0.5, 2.0, N)
    _, weighted = fit(x=X, y=y, validation_split=0.3, sample_weight=weights)
    assert weighted["val_loss"] == [model.evaluate(X[14:], y[14:], sample_weight=weights[14:])]


def test_validation_knows_no_noise_and_no_rounding() -> None:
    fastnn.seed(0)
    model = fastnn.Sequential(
        [fastnn.Dense(8, input_shape=(4,)), fastnn.Dropout(0.5), fastnn.GaussianNoise(1.0), fastnn.Dense(3)]
    )
    model.compile(fastnn.optim.SGD(lr=0.0), "mse")
    history = model.fit(X, VALUES, validation_data=(X, VALUES), epochs=2, verbose=0, check_finite=True).history
    assert history["val_loss"] == [model.evaluate(X, VALUES)] * 2
    assert history["loss"][0] != history["val_loss"][0]


# ---- labels that the loss ignores ----

METRICS = ["accuracy", "log_loss", "perplexity", fastnn.metrics.SparseTopKCategoricalAccuracy(2)]
METRICS += [fastnn.metrics.F1Score(average="macro"), fastnn.metrics.Recall(average="macro")]


@pytest.mark.parametrize(
    ("make", "ignored", "activation"),
    [
        (nn.CrossEntropyLoss, -100, None),
        (lambda: nn.CrossEntropyLoss(ignore_index=0), 0, None),
        (nn.NLLLoss, -100, "log_softmax"),
        (lambda: fastnn.losses.SparseCategoricalCrossentropy(ignore_class=-1), -1, "softmax"),
        (lambda: fastnn.losses.SparseCategoricalCrossentropy(ignore_class=7), 7, "softmax"),
    ],
)
def test_ignored_labels_do_not_count_in_metrics(make: Any, ignored: int, activation: Any) -> None:
    y = LABELS if ignored == 0 else np.where(np.arange(N) < 7, ignored, LABELS)
    counts = y != ignored

    def values(x: Any, y: Any, b: int) -> Any:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(3, activation, input_shape=(4,))])
        model.compile(fastnn.optim.SGD(lr=0.0), make(), metrics=METRICS)
        given = [model.evaluate(x, y, batch_size=b), *model.train_on_batch(x, y, return_dict=True).items()]
        history = model.fit(x, y, batch_size=b, epochs=3, verbose=0, validation_data=(x, y)).history
        return given[0], [v for _, v in given[1:]], [[v[-1] for k, v in history.items() if k.startswith("val_")]], history

    whole, batch, _, _ = values(X[counts], y[counts], N)
    for b in (N, 7, 1):
        evaluated, once, validated, history = values(X, y, b)
        for v in (evaluated, once, *validated, [v[-1] for k, v in history.items() if not k.startswith("val_")]):
            np.testing.assert_allclose(v, whole, rtol=2e-6)
    np.testing.assert_allclose(batch, whole, rtol=2e-6)


def test_a_label_to_ignore_in_a_later_batch_is_seen_by_recorded_steps() -> None:
    model = _model(nn.CrossEntropyLoss(), None)
    model.compile(fastnn.optim.SGD(lr=0.0), nn.CrossEntropyLoss(), metrics=["accuracy", lambda t, p: (t == -100) * 1.0])
    plain = _model(nn.CrossEntropyLoss(), None)
    plain.compile(fastnn.optim.SGD(lr=0.0), nn.CrossEntropyLoss(), metrics=["accuracy"])
    for net in (model, plain):
        before = [net.train_on_batch(X, LABELS)[1] for _ in range(4)]
        right = np.mean(net.predict(X).argmax(1) == LABELS)
        assert before == pytest.approx([right] * 4)
        after = [net.train_on_batch(X, IGNORED)[1] for _ in range(4)]
        assert after == pytest.approx([np.mean((net.predict(X).argmax(1) == LABELS)[7:])] * 4)
        assert net.train_on_batch(X, LABELS)[1] == pytest.approx(right)
    assert model.evaluate(X, IGNORED)[2] == pytest.approx(7 / N)  # code of the user's own gets all rows


# ---- sizes ----


@pytest.mark.parametrize("size", [0, -1, 1.5, "a", True])
def test_sizes_that_are_none_are_refused_before_anything_runs(size: Any) -> None:
    model = _model("mse")
    before = model.get_weights()
    y = VALUES
    calls = {
        "fit: batch_size": lambda: model.fit(X, y, batch_size=size),
        "fit: validation_batch_size": lambda: model.fit(X, y, validation_split=0.5, validation_batch_size=size),
        "evaluate: batch_size": lambda: model.evaluate(X, y, batch_size=size),
        "predict: batch_size": lambda: model.predict(X, batch_size=size),
        "profile: batch_size": lambda: model.profile(X, y, batch_size=size, print_fn=None),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=rf"^{name} is {size!r}, wanted a whole number of at least 1"):
            call()
    with pytest.raises(ValueError, match=r"^predict: batch_size"):
        model.predict(X, mc=2, batch_size=size)
    with pytest.raises(ValueError, match=r"^evaluate: verbose is 3; wanted 'auto', 0, 1 or 2"):
        model.evaluate(X, y, verbose=3)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_outputs_without_a_row_for_each_sample_are_refused() -> None:
    class Sum(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.sum()

    for b in (None, 7):
        with pytest.raises(ValueError, match=r"^predict: an output has shape \(\) for \d+ samples, wanted a row for each"):
            Sum().predict(X, batch_size=b)
