"""Metrics with Keras's names: values of Keras, in training as alone."""

import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import keras as ours
from fastnn import metrics

rng = np.random.default_rng(0)
BITS, SCORES = rng.integers(0, 2, (60, 3)), rng.uniform(0, 1, (60, 3)).astype("float32")
VALUES, PREDICTED = (rng.standard_normal((60, 3)).astype("float32") for _ in range(2))
LABELS, PROBABILITIES = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[LABELS]
CLASSES = PROBABILITIES.argmax(1)
WEIGHTS = rng.uniform(0, 2, 60).astype("float32")

CASES: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    *((name, {}, ONE_HOT * 2 - 1, PREDICTED) for name in ("Hinge", "SquaredHinge")),
    ("CategoricalHinge", {}, ONE_HOT, PREDICTED),
    ("KLDivergence", {}, ONE_HOT, PROBABILITIES),
    ("LogCoshError", {}, VALUES, PREDICTED),
    *((name, {}, BITS.astype("float32"), SCORES) for name in ("MeanSquaredLogarithmicError", "Poisson")),
    ("Accuracy", {}, LABELS[:, None], CLASSES[:, None].astype("float32")),
    ("PearsonCorrelation", {}, VALUES, PREDICTED),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, LABELS, CLASSES),
    ("IoU", {"num_classes": 3, "target_class_ids": [1], "ignore_class": 0}, LABELS, CLASSES),
    ("IoU", {"num_classes": 2, "target_class_ids": [0]}, np.minimum(LABELS, 1), CLASSES),
    ("MeanIoU", {"num_classes": 3}, LABELS, CLASSES),
    ("MeanIoU", {"num_classes": 4, "sparse_y_pred": False}, LABELS, np.pad(PROBABILITIES, ((0, 0), (0, 1)))),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 1]}, ONE_HOT, PROBABILITIES),
    ("OneHotMeanIoU", {"num_classes": 3}, ONE_HOT, PROBABILITIES),
    ("BinaryIoU", {"threshold": 0.3}, BITS[:, 0], SCORES[:, 0]),
    *(
        (name, arguments, BITS[:, 0], SCORES[:, 0])
        for name, arguments in [
            ("PrecisionAtRecall", {"recall": 0.5}),
            ("RecallAtPrecision", {"precision": 0.55, "num_thresholds": 50}),
            ("SensitivityAtSpecificity", {"specificity": 0.4}),
            ("SpecificityAtSensitivity", {"sensitivity": 0.4, "num_thresholds": 1}),
        ]
    ),
    ("PrecisionAtRecall", {"recall": 0.3, "class_id": 1}, BITS, SCORES),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, VALUES, PREDICTED),
    ("R2Score", {"class_aggregation": None}, VALUES, PREDICTED),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "arguments", "y", "p"), CASES, ids=IDS)
def test_values_are_those_of_keras(name: str, arguments: dict[str, Any], y: np.ndarray, p: np.ndarray) -> None:
    if not find_spec("torch"):
        pytest.skip("PyTorch, a backend of Keras, is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras")
    for weights in (None, WEIGHTS):
        mine = getattr(metrics, name)(**arguments)
        theirs = getattr(keras.metrics, name)(**arguments, dtype="float32")  # that of IoU counts in whole numbers
        for part in (slice(0, 25), slice(25, 60)):
            for m in (mine, theirs):
                m.update_state(y[part], p[part], sample_weight=None if weights is None else weights[part])
        np.testing.assert_allclose(mine.result(), keras.ops.convert_to_numpy(theirs.result()), rtol=2e-5, atol=1e-6)
        mine.reset_state()
        mine.update_state(y, p, sample_weight=weights)
        np.testing.assert_allclose(mine.result(), keras.ops.convert_to_numpy(theirs.result()), rtol=2e-5, atol=1e-6)


def test_concordance() -> None:
    """That of Lin's paper; Keras 3.15 subtracts the mean of the outputs from the targets."""
    m = metrics.ConcordanceCorrelation()
    m.update_state(VALUES, PREDICTED)
    t, p = VALUES.astype("float64"), PREDICTED.astype("float64")
    covariance = ((t - t.mean(1, keepdims=True)) * (p - p.mean(1, keepdims=True))).mean(1)
    wanted = 2 * covariance / (t.var(1) + p.var(1) + (t.mean(1) - p.mean(1)) ** 2)
    assert m.result() == pytest.approx(wanted.mean(), rel=1e-5)


def test_areas_of_several_labels() -> None:
    each = []
    for j in range(3):
        one = metrics.AUC()
        one.update_state(BITS[:, j], SCORES[:, j])
        each.append(one.result())
    several = metrics.AUC(multi_label=True, num_thresholds=500)
    weighted = metrics.AUC(multi_label=True, label_weights=[1.0, 0.0, 3.0])
    for m in (several, weighted):
        m.update_state(BITS[:20], SCORES[:20])
        m.update_state(BITS[20:], SCORES[20:])
    assert several.result() == pytest.approx(np.mean(each))
    assert weighted.result() == pytest.approx((each[0] + 3 * each[2]) / 4)
    assert np.isnan(metrics.AUC(multi_label=True).result())
    with pytest.raises(ValueError, match="label_weights has 2 numbers for 3 outputs"):
        m = metrics.AUC(multi_label=True, label_weights=[1.0, 2.0])
        m.update_state(BITS, SCORES)
        m.result()
    with pytest.raises(ValueError, match="label_weights came without multi_label=True"):
        metrics.AUC(label_weights=[1.0])


@pytest.mark.parametrize(
    "given",
    [
        *("hinge", "squared_hinge", "kld", "msle", "logcosh", "poisson", "pearson_correlation", metrics.OneHotMeanIoU(3)),
        *(metrics.MeanIoU(3, sparse_y_true=False, sparse_y_pred=False), metrics.PrecisionAtRecall(0.4)),
        *(metrics.AUC(multi_label=True), metrics.R2Score("variance_weighted_average")),
    ],
    ids=lambda m: m if isinstance(m, str) else m.name,
)
def test_in_training(given: Any) -> None:
    """Recorded steps add the same numbers as steps in Python."""
    logs = []
    for eager in (False, True):
        fastnn.seed(1)
        model = fastnn.Sequential([fastnn.Dense(3, activation="softmax", input_shape=(3,))])
        model.compile("sgd", "categorical_crossentropy", metrics=[given], run_eagerly=eager)
        logs.append(model.fit(VALUES, ONE_HOT, batch_size=16, epochs=3, shuffle=False, verbose=0).history)
    assert logs[0].keys() == logs[1].keys() and len(logs[0]) == 2
    for name, numbers in logs[0].items():
        np.testing.assert_allclose(numbers, logs[1][name], rtol=1e-5)
        assert np.isfinite(numbers).all()


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: metrics.IoU(2, []), r"IoU: target_class_ids are \[\]; wanted classes from 0 to 1"),
        (lambda: metrics.IoU(2, [2]), "wanted classes from 0 to 1"),
        (lambda: metrics.OneHotMeanIoU(3).update_state(ONE_HOT[:, :2], PROBABILITIES[:, :2]), r"wanted \(n, \.\.\., 3\)"),
        (
            lambda: metrics.MeanIoU(3, sparse_y_pred=False).update_state(LABELS[:, None] * ONE_HOT, PROBABILITIES),
            "y_true has shape",
        ),
        (lambda: metrics.PrecisionAtRecall(1.5), "PrecisionAtRecall: recall"),
        (lambda: metrics.R2Score("mean"), "R2Score: class_aggregation is 'mean'"),
        (lambda: ours.metrics.get("hnge"), "unknown metric 'hnge'; did you mean 'hinge'"),
        (lambda: ours.metrics.deserialize({"class_name": "Hing"}), "unknown metric 'Hing'; did you mean 'Hinge'"),
    ],
)
def test_refused(attempt: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        attempt()


def test_metrics_by_name_and_config() -> None:
    for m in (metrics.MeanIoU(3), metrics.PrecisionAtRecall(0.3), metrics.BinaryIoU(threshold=0.2)):
        again = ours.metrics.deserialize(ours.metrics.serialize(m))
        assert type(again) is type(m) and again.get_config() == m.get_config()
    assert ours.metrics.get(None) is None and ours.metrics.get(np.mean) is np.mean
    assert ours.metrics.get("MeanSquaredError").name == "MeanSquaredError"
    assert isinstance(ours.metrics.get(metrics.Hinge), metrics.Hinge)


@pytest.mark.parametrize(
    ("name", "y", "p", "more"),
    [
        ("binary_accuracy", BITS.astype("float32"), SCORES, {"threshold": 0.4}),
        ("categorical_accuracy", ONE_HOT, PROBABILITIES, {}),
        ("sparse_categorical_accuracy", LABELS, PROBABILITIES, {}),
        ("sparse_top_k_categorical_accuracy", LABELS, PROBABILITIES, {"k": 2}),
        ("top_k_categorical_accuracy", ONE_HOT, PROBABILITIES, {"k": 2}),
        ("pearson_correlation", VALUES, PREDICTED, {}),
    ],
)
def test_functions(name: str, y: np.ndarray, p: np.ndarray, more: dict[str, Any]) -> None:
    if not find_spec("torch"):
        pytest.skip("PyTorch, a backend of Keras, is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras")
    theirs = keras.ops.convert_to_numpy(getattr(keras.metrics, name)(y, p, **more))
    np.testing.assert_allclose(getattr(ours.metrics, name)(y, p, **more).numpy(), theirs, rtol=1e-5)
