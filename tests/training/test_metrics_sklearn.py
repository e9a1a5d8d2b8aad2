"""Metrics against scikit-learn's values: in batches, weighted, in fit and evaluate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import metrics
from fastnn.backends import current
from fastnn.core import versions
from fastnn.training.metrics import CLASSES

sk: Any = pytest.importorskip("sklearn.metrics")

rng = np.random.default_rng(0)
N, C = 203, 4
LABELS = rng.integers(0, C, N)
PROBABILITIES = rng.dirichlet(np.ones(C), N)
PROBABILITIES[::3] = np.eye(C)[LABELS[::3]] * 0.7 + 0.075
ONE_HOT = np.eye(C)[LABELS]
BITS = rng.integers(0, 2, N)
SCORES = (rng.integers(0, 12, N) + 3 * BITS) / 16  # many are equal
VALUES = rng.standard_normal((N, 3)) + 100
PREDICTED = VALUES + 0.3 * rng.standard_normal((N, 3))
WEIGHTS = rng.uniform(0, 2, N)

M = metrics
Row = tuple[Callable[[], Any], Any, Any, Callable[[Any], Any]]
MULTI = PROBABILITIES.argmax(1)


def by_hand(values: np.ndarray) -> Callable[[Any], Any]:
    return lambda w: np.average(values, weights=w)


def per_class(f: Callable[..., Any], **kwargs: Any) -> Callable[[Any], Any]:
    return lambda w: f(LABELS, MULTI, sample_weight=w, zero_division=0, **kwargs)


SHARES = 100 * np.abs(VALUES - PREDICTED) / np.abs(VALUES)
COSINES = (VALUES * PREDICTED).sum(1) / np.linalg.norm(VALUES, axis=1) / np.linalg.norm(PREDICTED, axis=1)

TABLE: dict[str, Row] = {
    "accuracy": (
        M.SparseCategoricalAccuracy,
        LABELS,
        PROBABILITIES,
        lambda w: sk.accuracy_score(LABELS, MULTI, sample_weight=w),
    ),
    "top 2": (
        lambda: M.SparseTopKCategoricalAccuracy(2),
        LABELS,
        PROBABILITIES,
        lambda w: sk.top_k_accuracy_score(LABELS, PROBABILITIES, k=2, sample_weight=w),
    ),
    "top 3, one-hot": (
        lambda: M.TopKCategoricalAccuracy(3),
        ONE_HOT,
        PROBABILITIES,
        lambda w: sk.top_k_accuracy_score(LABELS, PROBABILITIES, k=3, sample_weight=w),
    ),
    "binary accuracy": (
        lambda: M.BinaryAccuracy(threshold=0.4),
        BITS,
        SCORES,
        lambda w: sk.accuracy_score(BITS, SCORES > 0.4, sample_weight=w),
    ),
    "precision": (M.Precision, BITS, SCORES, lambda w: sk.precision_score(BITS, SCORES > 0.5, sample_weight=w)),
    "recall": (lambda: M.Recall(0.25), BITS, SCORES, lambda w: sk.recall_score(BITS, SCORES > 0.25, sample_weight=w)),
    "f1": (M.F1Score, BITS[:, None], SCORES[:, None], lambda w: sk.f1_score(BITS, SCORES > 0.5, sample_weight=w)),
    "fbeta": (
        lambda: M.FBetaScore("macro", beta=2.0, threshold=0.3),
        BITS,
        SCORES,
        lambda w: sk.fbeta_score(BITS, SCORES > 0.3, beta=2.0, sample_weight=w),
    ),
    "precision of one class": (
        lambda: M.Precision(class_id=2),
        LABELS,
        PROBABILITIES,
        lambda w: sk.precision_score(LABELS == 2, MULTI == 2, sample_weight=w),
    ),
    "precision above 0.5": (
        M.Precision,
        ONE_HOT,
        PROBABILITIES,
        lambda w: sk.precision_score(ONE_HOT, PROBABILITIES > 0.5, average="micro", sample_weight=w),
    ),
    "recall of labels above 0.3": (
        lambda: M.Recall(0.3, average="macro"),
        ONE_HOT,
        PROBABILITIES,
        lambda w: sk.recall_score(ONE_HOT, PROBABILITIES > 0.3, average="macro", sample_weight=w),
    ),
    "f1 of labels": (lambda: M.F1Score(), ONE_HOT, PROBABILITIES, per_class(sk.f1_score, average=None)),
    "confusion matrix": (
        M.ConfusionMatrix,
        LABELS,
        PROBABILITIES,
        lambda w: sk.confusion_matrix(LABELS, MULTI, sample_weight=w),
    ),
    "confusion of one-hot": (
        M.ConfusionMatrix,
        ONE_HOT,
        PROBABILITIES,
        lambda w: sk.confusion_matrix(LABELS, MULTI, sample_weight=w),
    ),
    "roc auc": (M.AUC, BITS, SCORES, lambda w: sk.roc_auc_score(BITS, SCORES, sample_weight=w)),
    "pr auc": (lambda: M.AUC("PR"), BITS, SCORES, lambda w: sk.average_precision_score(BITS, SCORES, sample_weight=w)),
    "roc auc of two outputs": (
        M.AUC,
        BITS,
        np.stack([1 - SCORES, SCORES], 1),
        lambda w: sk.roc_auc_score(BITS, SCORES, sample_weight=w),
    ),
    "roc auc of many outputs": (
        M.AUC,
        ONE_HOT,
        PROBABILITIES,
        lambda w: sk.roc_auc_score(ONE_HOT, PROBABILITIES, average="micro", sample_weight=w),
    ),
    "r2": (M.R2Score, VALUES, PREDICTED, lambda w: sk.r2_score(VALUES, PREDICTED, sample_weight=w)),
    "mse": (M.MeanSquaredError, VALUES, PREDICTED, lambda w: sk.mean_squared_error(VALUES, PREDICTED, sample_weight=w)),
    "mae": (M.MeanAbsoluteError, VALUES, PREDICTED, lambda w: sk.mean_absolute_error(VALUES, PREDICTED, sample_weight=w)),
    "rmse": (
        M.RootMeanSquaredError,
        VALUES,
        PREDICTED,
        lambda w: sk.mean_squared_error(VALUES, PREDICTED, sample_weight=w) ** 0.5,
    ),
    "mape": (M.MeanAbsolutePercentageError, VALUES, PREDICTED, by_hand(SHARES.mean(1))),
    "cosine": (M.CosineSimilarity, VALUES, PREDICTED, by_hand(COSINES)),
    "log loss": (
        M.SparseCategoricalCrossentropy,
        LABELS,
        PROBABILITIES,
        lambda w: sk.log_loss(LABELS, PROBABILITIES, sample_weight=w),
    ),
    "log loss of one-hot": (
        M.CategoricalCrossentropy,
        ONE_HOT,
        PROBABILITIES,
        lambda w: sk.log_loss(LABELS, PROBABILITIES, sample_weight=w),
    ),
    "log loss of bits": (M.BinaryCrossentropy, BITS, SCORES, lambda w: sk.log_loss(BITS, SCORES, sample_weight=w)),
    "log loss of logits": (
        lambda: M.SparseCategoricalCrossentropy(from_logits=True),
        LABELS,
        np.log(PROBABILITIES) + 3,
        lambda w: sk.log_loss(LABELS, PROBABILITIES, sample_weight=w),
    ),
    "perplexity": (
        M.Perplexity,
        LABELS,
        PROBABILITIES,
        lambda w: np.exp(sk.log_loss(LABELS, PROBABILITIES, sample_weight=w)),
    ),
    **{
        f"{name} {average}": (
            lambda cls=cls, average=average: cls(average=average),
            LABELS,
            PROBABILITIES,
            per_class(f, average=average),
        )
        for name, cls, f in (
            ("precision", M.Precision, sk.precision_score),
            ("recall", M.Recall, sk.recall_score),
            ("f1", M.F1Score, sk.f1_score),
        )
        for average in ("micro", "macro", "weighted", None)
    },
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", TABLE)
def test_scikit_learn_agrees(name: str, weighted: bool) -> None:
    make, y, p, expected = TABLE[name]
    m = make()
    w = WEIGHTS if weighted else None
    for _ in range(2):  # the second time after a reset
        for a in range(0, N, 50):
            part = slice(a, a + 50)
            m.update_state(y[part], p[part], None if w is None else w[part])
        np.testing.assert_allclose(m.result(), expected(w), rtol=1e-9, atol=1e-12)
        m.reset_state()
    m.update_state(y, p.astype(np.float32), w)
    np.testing.assert_allclose(m.result(), expected(w), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 2])
def test_auc_at_random(bits: int) -> None:
    for seed in range(30):
        r = np.random.default_rng(seed)
        n = int(r.integers(2, 40))
        y = np.concatenate([[0, 1], r.integers(0, 2, n)])
        p, w = r.integers(0, bits, n + 2) / bits, r.uniform(0.1, 2, n + 2)
        for curve, f in (("ROC", sk.roc_auc_score), ("PR", sk.average_precision_score)):
            m = M.AUC(curve)  # type: ignore[arg-type]
            m.update_state(y, p, w)
            assert m.result() == pytest.approx(f(y, p, sample_weight=w), rel=1e-12)


def test_thresholds_in_a_list() -> None:
    m = M.Recall([0.2, 0.5, 0.8])
    m.update_state(BITS, SCORES)
    np.testing.assert_allclose(m.result(), [sk.recall_score(BITS, t < SCORES) for t in (0.2, 0.5, 0.8)])


def test_what_cannot_be_told() -> None:
    for curve in ("ROC", "PR"):
        m = M.AUC(curve)  # type: ignore[arg-type]
        assert np.isnan(m.result())  # nothing came
        m.update_state([0, 0], [0.1, 0.2])
        assert np.isnan(m.result())  # one class
        m.update_state([1, 1], [np.nan, 0.3])
        assert np.isnan(m.result())
    for cls in (M.Precision, M.Recall, lambda: M.F1Score("macro"), M.R2Score, M.MeanSquaredError, M.BinaryCrossentropy):
        assert cls().result() == 0.0
    m = M.Precision()
    m.update_state([1, 0], [0.1, np.nan])
    assert m.result() == 0.0  # no positives: NaN is none
    for y, p in (([2.0, 2.0], [2.0, 2.0]), ([2.0, 2.0], [2.0, 3.0])):
        r2 = M.R2Score()
        r2.update_state(y, p)
        assert r2.result() == sk.r2_score(y, p)
    e = M.MeanAbsolutePercentageError()
    e.update_state([0.0], [np.nan])
    assert np.isnan(e.result())


def model(units: int, activation: str, x: np.ndarray) -> Any:
    m = fastnn.Sequential(
        [fastnn.Dense(8, activation="tanh", input_shape=x.shape[1:]), fastnn.Dense(units, activation=activation)]
    )
    m(x[:1])
    return m


X = rng.standard_normal((N, 5)).astype(np.float32)


@pytest.mark.parametrize("batch_size", [32, 203])
def test_in_fit_and_evaluate(batch_size: int) -> None:
    """With a learning rate of 0 all batches of an epoch are predicted by the same weights."""
    net = model(1, "sigmoid", X)
    named = ["auc", "precision", "recall", "f1_score", "binary_accuracy", "log_loss", "r2_score", "rmse"]
    named += [M.AUC("PR", name="pr"), M.F1Score(name="f1")]
    net.compile(fastnn.optim.SGD(lr=0.0), "binary_crossentropy", metrics=named)
    history = net.fit(X, BITS, batch_size=batch_size, epochs=4, validation_split=0.2, verbose=0).history
    p = net.predict(X).reshape(-1).astype(np.float64)
    n = N - len(X[int(N * 0.8) :])
    for prefix, part in (("", slice(0, n)), ("val_", slice(n, N))):
        y, q = BITS[part], p[part]
        expected = {
            "auc": sk.roc_auc_score(y, q),
            "pr": sk.average_precision_score(y, q),
            "precision": sk.precision_score(y, q > 0.5, zero_division=0),
            "recall": sk.recall_score(y, q > 0.5),
            "f1_score": sk.f1_score(y, q > 0.5),
            "f1": sk.f1_score(y, q > 0.5),
            "binary_accuracy": sk.accuracy_score(y, q > 0.5),
            "log_loss": sk.log_loss(y, q),
            "r2_score": sk.r2_score(y, q),
            "rmse": sk.mean_squared_error(y, q) ** 0.5,
        }
        for name, value in expected.items():
            assert history[prefix + name] == pytest.approx([value] * 4, rel=1e-5), prefix + name
    assert net.evaluate(X, BITS, return_dict=True)["auc"] == pytest.approx(sk.roc_auc_score(BITS, p))
    for part in (slice(0, 40), slice(40, 140), slice(0, 40)):  # each batch by itself, recorded after the second
        for _ in range(3):
            logs = net.train_on_batch(X[part], BITS[part], return_dict=True)
            assert logs["auc"] == pytest.approx(sk.roc_auc_score(BITS[part], p[part]))


def test_in_fit_with_labels() -> None:
    net = model(C, "softmax", X)
    named = [
        "accuracy",
        "crossentropy",
        "sparse_top_k_categorical_accuracy",
        "perplexity",
        M.Precision(average="macro"),
        "f1_score",
    ]
    net.compile(fastnn.optim.SGD(lr=0.0), "sparse_categorical_crossentropy", metrics=named)
    history = net.fit(X, LABELS, epochs=3, verbose=0).history
    p = net.predict(X)
    loss = sk.log_loss(LABELS, p.astype(np.float64) / p.sum(1, keepdims=True, dtype=np.float64))
    expected = {
        "accuracy": sk.accuracy_score(LABELS, p.argmax(1)),
        "crossentropy": loss,
        "perplexity": np.exp(loss),
        "sparse_top_k_categorical_accuracy": 1.0,
        "precision": sk.precision_score(LABELS, p.argmax(1), average="macro", zero_division=0),
        "f1_score": sk.f1_score(LABELS, p.argmax(1), average="macro"),
    }
    for name, value in expected.items():
        assert history[name] == pytest.approx([value] * 3, rel=1e-5), name


def test_steps_with_metrics_are_recorded() -> None:
    net = model(2, "softmax", X)
    net.compile("sgd", "sparse_categorical_crossentropy", metrics=["auc", "recall", "perplexity", "f1_score"])
    net.fit(X, BITS, batch_size=29, epochs=2, verbose=0)
    batch = X[:29].copy(), BITS[:29].copy(), np.empty(0, np.float32)
    step = net._train_step([*map(current().asarray, batch)], None)
    for _ in range(3):
        step.run()
    assert step.recorded is not None and not step.why_eager


def test_an_evaluation_of_more_samples_leaves_recorded_steps_alone() -> None:
    net = model(1, "sigmoid", X)
    net.compile("sgd", "binary_crossentropy", metrics=["auc"])
    net.fit(X[:40], BITS[:40], batch_size=20, epochs=2, verbose=0)
    before = structure()
    p = net.predict(X).reshape(-1)
    assert net.evaluate(X, BITS)[1] == pytest.approx(sk.roc_auc_score(BITS, p))
    assert structure() == before


def structure() -> int:
    return versions.settings


def test_metrics_are_saved_with_a_model(tmp_path: Any) -> None:
    net = model(1, "sigmoid", X)
    given = [
        "auc",
        M.AUC("PR", name="pr"),
        M.Precision(0.4),
        M.FBetaScore("macro", 2.0),
        M.F1Score("micro"),
        M.R2Score,
    ]
    net.compile("adam", "binary_crossentropy", metrics=given)
    before = net.evaluate(X, BITS, return_dict=True)
    net.save(tmp_path / "m.fastnn")
    assert fastnn.load(tmp_path / "m.fastnn").evaluate(X, BITS, return_dict=True) == before


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_metric_is_made_again_from_its_config(cls: Any) -> None:
    required = {
        "num_classes": 3,
        "target_class_ids": [0],
        "recall": 0.5,
        "precision": 0.5,
        "specificity": 0.5,
        "sensitivity": 0.5,
    }
    parameters = inspect.signature(cls).parameters.values()
    m = cls(name="other", **{p.name: required[p.name] for p in parameters if p.default is p.empty})
    again = cls(**m.get_config())
    assert again.name == "other" and again.get_config() == m.get_config()
    assert getattr(metrics, cls.__name__) is cls
    assert np.isnan(m.result()).all() or np.size(m.result()) <= 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: metrics.get(M.F1Score(), "labels", 3), "f1_score has several results"),
        (lambda: metrics.get(M.ConfusionMatrix(), "labels", 3), "confusion_matrix has several results"),
        (lambda: metrics.get(M.Recall([0.1, 0.2]), "values", 1), "recall has several results"),
        (lambda: M.Recall(average="binary"), "Recall: average is 'binary'"),
        (lambda: M.AUC("roc"), "AUC: curve is 'roc'"),
        (lambda: M.FBetaScore(beta=0), "beta is 0"),
        (lambda: M.TopKCategoricalAccuracy(0), "k is 0"),
        (lambda: M.AUC().update_state([0, 1], np.ones((2, 3))), "does not fit"),
        (lambda: M.Precision(class_id=3).result(), "class_id is 3"),
    ],
)
def test_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_other_outputs_than_before() -> None:
    for m in (M.ConfusionMatrix(), M.F1Score()):
        m.update_state(LABELS, PROBABILITIES)
        with pytest.raises(ValueError, match=r"2 outputs came, earlier batches had 4"):
            m.update_state(BITS, np.eye(2)[BITS])
