"""Metrics against NumPy, on the reference's kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import metrics
from fastnn.autograd.tensor import tensor
from fastnn.backends import load
from fastnn.training.metrics import METRICS, check, direction

K = load("numpy")
RNG = np.random.default_rng(0)
M, N = 37, 5
LABELS = RNG.integers(0, N, M)
P = RNG.random((M, N))
T = np.eye(N)[RNG.integers(0, N, M)]
W = RNG.random(M)
# name: (targets, the value of each sample)
EXPECTED: dict[str, tuple[Any, Any]] = {
    "sparse_categorical_accuracy": (LABELS, P.argmax(1) == LABELS),
    "categorical_accuracy": (T, P.argmax(1) == T.argmax(1)),
    "binary_accuracy": (T, ((P > 0.5) == T).mean(1)),
    "mean_squared_error": (T, ((P - T) ** 2).mean(1)),
    "mean_absolute_error": (T, np.abs(P - T).mean(1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", EXPECTED)
def test_against_numpy(name: str, weighted: bool, dtype: Any) -> None:
    y, values = EXPECTED[name]
    m = METRICS[name]()
    assert m.name == name
    y = y if m.targets == "labels" else y.astype(dtype)
    p, w, total = P.astype(dtype), W.astype(dtype) if weighted else np.empty(0, dtype), m.total
    for part in (slice(0, 16), slice(16, M)):
        m.update(K, p[part], y[part], w[part])
    assert m.result() == pytest.approx(np.average(values, weights=W if weighted else None), rel=1e-5)
    m.reset_state()
    assert m.result() == 0.0 and m.total is total


@pytest.mark.parametrize("name", EXPECTED)
def test_update_state_takes_lists(name: str) -> None:
    y, values = EXPECTED[name]
    m = METRICS[name]()
    m.update_state(y.tolist(), P.tolist(), sample_weight=W.tolist())
    assert m.result() == pytest.approx(np.average(values, weights=W), rel=1e-5)


def test_update_state_takes_tensors() -> None:
    m = metrics.BinaryAccuracy()
    m.update_state(tensor([0, 1]), tensor([0.2, 0.4]))
    assert m.result() == 0.5


def test_columns_and_images() -> None:
    m = metrics.BinaryAccuracy(threshold=0.7)
    m.update_state([1, 0], [[0.8], [0.6]])
    m.update_state([[1], [1]], [0.6, 0.9])
    assert m.result() == 0.75
    e = metrics.MeanAbsoluteError()
    e.update_state(np.zeros((2, 3, 4)), np.ones((2, 3, 4)), sample_weight=[1, 3])
    assert e.result() == 1.0 and e.total[1] == 4
    s = metrics.SparseCategoricalAccuracy()
    s.update(K, np.eye(4)[[[0, 1], [2, 3]]], np.array([[0, 1], [2, 0]]), np.empty(0))
    assert s.result() == 0.75


def test_no_samples_and_no_weight() -> None:
    m = metrics.MeanSquaredError()
    m.update(K, np.zeros((0, 3)), np.zeros((0, 3)), np.empty(0))
    assert m.result() == 0.0
    m.update(K, np.ones((2, 3)), np.zeros((2, 3)), np.zeros(2))
    assert m.result() == 0.0


def test_nan_passes_through() -> None:
    m = metrics.MeanSquaredError()
    m.update_state([0.0], [np.nan])
    assert np.isnan(m.result())


@pytest.mark.parametrize(
    ("name", "y", "p"),
    [
        ("sparse_categorical_accuracy", [0, 1], [[0.5, 0.5]]),
        ("categorical_accuracy", [[0, 1, 0]], [[0.5, 0.5]]),
        ("binary_accuracy", [[0, 1]], [[0.5]]),
        ("mse", [[0, 1]], [[0.5]]),
    ],
)
def test_shapes_that_do_not_match(name: str, y: Any, p: Any) -> None:
    with pytest.raises(ValueError, match=r"does not fit|but y_true has"):
        METRICS[name]().update_state(y, p)


@pytest.mark.parametrize(
    ("kind", "n", "cls"),
    [
        ("labels", 10, metrics.SparseCategoricalAccuracy),
        ("labels", 1, metrics.SparseCategoricalAccuracy),
        ("values", 1, metrics.BinaryAccuracy),
        ("values", 10, metrics.CategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_follows_the_loss(name: str, kind: Any, n: int, cls: type) -> None:
    m = metrics.get(name, kind, n)
    assert type(m) is cls and m.name == name


def test_get() -> None:
    assert type(metrics.get("mse", "values", 1)) is metrics.MeanSquaredError
    assert metrics.get("mse", "values", 1).name == "mse"
    assert type(metrics.get("MeanAbsoluteError", "values", 1)) is metrics.MeanAbsoluteError
    assert type(metrics.get(metrics.MeanAbsoluteError, "values", 1)) is metrics.MeanAbsoluteError
    m = metrics.BinaryAccuracy(threshold=0.7)
    assert metrics.get(m, "values", 1) is m


@pytest.mark.parametrize(
    ("identifier", "kind", "error", "words"),
    [
        ("f2", "values", ValueError, "unknown metric 'f2'; there are: acc, accuracy, auc, "),
        (None, "values", TypeError, "a metric is None"),
        ("mse", "labels", ValueError, "mse compares with values.*the loss takes class labels"),
        ("sparse_categorical_accuracy", "values", ValueError, "compares with class labels"),
    ],
)
def test_bad_metric(identifier: Any, kind: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        metrics.get(identifier, kind, 3)


@pytest.mark.parametrize("identifier", ["f2", None, 3])
def test_check_needs_no_loss(identifier: Any) -> None:
    for good in ("accuracy", "sparse_categorical_accuracy", "mse", metrics.BinaryAccuracy, metrics.BinaryAccuracy(), max):
        check(good)
    with pytest.raises((ValueError, TypeError), match="compile: "):
        check(identifier)


def test_direction() -> None:
    assert direction("accuracy") == direction("acc") == direction("binary_accuracy") == "max"
    assert direction("mse") == "min"
    assert direction("lr") is None


def test_functions() -> None:
    def largest_error(y_true: Any, y_pred: Any) -> Any:
        return np.abs(np.asarray(y_true) - np.asarray(y_pred)).max()

    def error(y_true: Any, y_pred: Any) -> Any:
        return abs(y_true - y_pred)

    m = metrics.get(largest_error, "values", 1)
    assert m.name == "largest_error" and not m.recordable
    m.update_state([[1.0], [2.0]], [[1.0], [4.0]])
    m.update_state([[1.0]], [[0.0]])
    assert m.result() == pytest.approx(5 / 3)
    e = metrics.get(error, "values", 1)
    e.update_state([[1.0], [2.0]], [[1.0], [4.0]], sample_weight=[1, 3])
    assert e.result() == 1.5


def test_function_with_a_bad_result() -> None:
    m = metrics.MeanMetricWrapper(lambda t, p: np.zeros(3), name="three")
    with pytest.raises(
        ValueError, match=r"metric three: the function returned shape \(3,\), wanted one number, or one for each of the 2"
    ):
        m.update_state([0.0, 1.0], [0.0, 1.0])


def test_a_function_gets_targets_of_the_shape_of_a_single_output() -> None:
    """(n,) beside (n, 1) would make (n, n) of the two."""
    m = metrics.MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred))
    m.update_state([1.0, 0.0], [[1.0], [0.0]])
    assert m.result() == 0.0
    with pytest.raises(TypeError, match="MeanMetricWrapper: a int came"):
        metrics.MeanMetricWrapper(3)  # type: ignore[arg-type]


def test_root_mean_squared_error_of_negative_weights_is_nan() -> None:
    m = metrics.RootMeanSquaredError()
    m.update_state([1.0, 0.0], [2.0, 1.5], [-1.0, 2.0])
    assert m.result() == 3.5**0.5
    m.reset_state()
    m.update_state([1.0, 0.0], [2.0, 0.1], [-1.0, 2.0])
    assert np.isnan(m.result())
