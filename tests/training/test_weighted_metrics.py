"""weighted_metrics of compile: metrics in which the weights of samples, elements and classes count."""

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import losses, metrics, nn

HOSTS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]

rng = np.random.default_rng(0)
N, T, C = 13, 3, 4
X = rng.standard_normal((N, T, 5)).astype(np.float32)
LABELS = rng.integers(0, C, (N, T))
WEIGHTS = rng.uniform(0, 2, (N, T)).astype(np.float32)
WEIGHTS[2, 1] = WEIGHTS[5] = 0


def compiled(loss: Any = "sparse_categorical_crossentropy", activation: str | None = "softmax", **kwargs: Any) -> Any:
    model = fastnn.Sequential([fastnn.Dense(C, activation, input_shape=(T, 5))])
    model.compile(fastnn.optim.SGD(lr=0.0), loss, **kwargs)
    return model


def hits(model: Any) -> np.ndarray:
    return model.predict(X).argmax(-1) == LABELS


@pytest.mark.parametrize("backend", HOSTS)
def test_weights_count_in_these_alone(backend: str) -> None:
    with fastnn.use_backend(backend):
        model = compiled(metrics=["accuracy"], weighted_metrics=["accuracy"])
        plain, weighted = hits(model).mean(), np.average(hits(model), weights=WEIGHTS)
        by_sample = np.average(hits(model).mean(-1), weights=WEIGHTS[:, 0])
        for _ in range(3):
            logs = model.train_on_batch(X, LABELS, WEIGHTS, return_dict=True)
            assert list(logs) == ["loss", "accuracy", "weighted_accuracy"]
            assert list(logs.values())[1:] == pytest.approx([plain, weighted])
        data = X, LABELS, WEIGHTS
        history = model.fit(*data[:2], sample_weight=WEIGHTS, batch_size=4, epochs=3, validation_data=data, verbose=0).history
        assert history["weighted_accuracy"] == history["val_weighted_accuracy"] == pytest.approx([weighted] * 3)
        assert history["accuracy"] == history["val_accuracy"] == pytest.approx([plain] * 3)
        assert model.evaluate(X, LABELS, sample_weight=WEIGHTS[:, 0])[1:] == pytest.approx([plain, by_sample])
        assert model.evaluate(X, LABELS)[1:] == pytest.approx([plain, plain])


def test_weights_of_classes_count_too() -> None:
    model = compiled(weighted_metrics=["accuracy"])
    of_class = np.array([1.0, 3.0, 0.0, 1.0])[LABELS]
    for given, full in ((None, of_class), (WEIGHTS, WEIGHTS * of_class)):
        history = model.fit(X, LABELS, class_weight={1: 3.0, 2: 0.0}, sample_weight=given, batch_size=5, verbose=0).history
        assert history["accuracy"] == pytest.approx([np.average(hits(model), weights=full)])


def test_names_are_those_of_keras() -> None:
    def own(t: Any, p: Any) -> Any:
        return (p - 1).mean(-1)

    model = compiled(metrics=["accuracy", "accuracy", own], weighted_metrics=["accuracy", "accuracy", "log_loss", own])
    logs = model.evaluate(X, LABELS, return_dict=True)
    wanted = ["accuracy", "accuracy_1", "own", "weighted_accuracy", "weighted_accuracy_1", "log_loss", "weighted_own"]
    assert list(logs) == ["loss", *wanted]
    assert [m.name for m in model.metrics] == ["accuracy", "accuracy", "own", "accuracy", "accuracy", "log_loss", "own"]
    assert list(compiled(weighted_metrics="accuracy").evaluate(X, LABELS, return_dict=True)) == ["loss", "accuracy"]
    monitored = fastnn.callbacks.EarlyStopping(monitor="val_weighted_accuracy", patience=1)
    history = model.fit(X, LABELS, epochs=5, validation_data=(X, LABELS), callbacks=[monitored], verbose=0).history
    assert len(history["val_weighted_accuracy"]) == 2


def test_several_outputs() -> None:
    x = fastnn.Input((5,))
    model = fastnn.Model(x, {"a": fastnn.Dense(C, "softmax")(x), "b": fastnn.Dense(1)(x)})
    kinds: dict[str, Any] = {"metrics": {"a": "accuracy"}, "weighted_metrics": {"a": ["accuracy"], "b": ["mae", "mse"]}}
    model.compile(fastnn.optim.SGD(lr=0.0), {"a": "sparse_categorical_crossentropy", "b": "mse"}, **kinds)
    flat, labels, values = X[:, 0], LABELS[:, 0], X[:, 1, :1]
    weights = {"a": WEIGHTS[:, 0], "b": WEIGHTS[:, 1]}
    logs = model.evaluate(flat, {"a": labels, "b": values}, sample_weight=weights, return_dict=True)
    p = model.predict(flat)
    assert list(logs) == ["loss", "a_loss", "b_loss", "a_accuracy", "a_weighted_accuracy", "b_mae", "b_mse"]
    right = p["a"].argmax(-1) == labels
    assert logs["a_accuracy"] == pytest.approx(right.mean())
    assert logs["a_weighted_accuracy"] == pytest.approx(np.average(right, weights=weights["a"]))
    assert logs["b_mae"] == pytest.approx(np.average(abs(p["b"] - values)[:, 0], weights=weights["b"]), rel=1e-5)


@pytest.mark.parametrize("given", [None, WEIGHTS, WEIGHTS[:, 0]], ids=["none", "elements", "samples"])
def test_ignored_labels_count_in_neither(given: Any) -> None:
    full = np.ones((N, T)) if given is None else WEIGHTS if given.ndim == 2 else np.repeat(WEIGHTS[:, :1], T, 1)
    ignore = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    y = np.where(LABELS == 2, -1, LABELS)
    model = compiled(ignore, metrics=["accuracy"], weighted_metrics=["accuracy", metrics.F1Score("macro")])
    right, counts = hits(model), LABELS != 2
    for logs in (model.evaluate(X, y, sample_weight=given), model.train_on_batch(X, y, given)):
        assert logs[1:3] == pytest.approx([right[counts].mean(), np.average(right, weights=full * counts)])
    alone = metrics.F1Score("macro")
    alone.update_state(LABELS[counts], model.predict(X)[counts], full[counts])
    assert model.evaluate(X, y, sample_weight=given)[3] == pytest.approx(alone.result())


class Seen(metrics.Metric):
    """Keeps the shapes of what it gets."""

    def __init__(self, shapes: deque[Any]) -> None:
        super().__init__("seen")
        self.shapes = shapes  # no list, which evaluate would put back into its state of before

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.shapes.append((y_true.shape, y_pred.shape, None if sample_weight is None else sample_weight.shape))

    def result(self) -> float:
        return 0.0


def test_metrics_of_your_own_get_the_weights() -> None:
    plain, by_weight = Seen(deque()), Seen(deque())
    model = compiled(metrics=[plain], weighted_metrics=[by_weight])
    for given, shape in ((None, None), (WEIGHTS[:, 0], (N,)), (WEIGHTS, (N, T))):
        model.evaluate(X, LABELS, sample_weight=given)
        assert plain.shapes[-1] == ((N, T), (N, T, C), None)
        assert by_weight.shapes[-1] == ((N, T), (N, T, C), shape)


def test_a_function_has_a_value_for_each_weight() -> None:
    def right(t: Any, p: Any) -> Any:
        return p.argmax(-1) == t

    model = compiled(weighted_metrics=[right])
    assert model.evaluate(X, LABELS, sample_weight=WEIGHTS)[1] == pytest.approx(np.average(hits(model), weights=WEIGHTS))

    def of_sample(t: Any, p: Any) -> Any:
        return p.mean((1, 2))

    with pytest.raises(
        ValueError, match=r"metric of_sample: the function returned shape \(13,\), but sample_weight has \(13, 3\)"
    ):
        compiled(weighted_metrics=[of_sample]).evaluate(X, LABELS, sample_weight=WEIGHTS)


def test_steps_of_your_own_hand_on_the_weights() -> None:
    class Own(fastnn.Sequential):
        def train_step(self, data: Any) -> Any:
            return super().train_step(data)

    model = Own([fastnn.Dense(C, "softmax", input_shape=(T, 5))])
    model.compile(fastnn.optim.SGD(lr=0.0), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    history = model.fit(X, LABELS, sample_weight=WEIGHTS, batch_size=5, verbose=0).history
    assert history["accuracy"] == pytest.approx([np.average(hits(model), weights=WEIGHTS)])


def test_classes_second_as_in_pytorch() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, C)

        def forward(self, x: Any) -> Any:
            return fastnn.transpose(self.layer(x), (0, 2, 1))

    model = Net()
    model.compile(fastnn.optim.SGD(lr=0.0), nn.CrossEntropyLoss(), weighted_metrics=["accuracy"])
    right = model.predict(X).argmax(1) == LABELS
    for given in (WEIGHTS, WEIGHTS[:, 0]):
        weights = given if given.ndim == 2 else np.repeat(given[:, None], T, 1)
        assert model.evaluate(X, LABELS, sample_weight=given)[1] == pytest.approx(np.average(right, weights=weights))


def test_files_have_them(tmp_path: Path) -> None:
    model = compiled(metrics=["accuracy"], weighted_metrics=["accuracy", metrics.SparseTopKCategoricalAccuracy(2)])
    model.save(tmp_path / "m")
    again = fastnn.load(tmp_path / "m")
    logs = model.evaluate(X, LABELS, sample_weight=WEIGHTS, return_dict=True)
    assert again.evaluate(X, LABELS, sample_weight=WEIGHTS, return_dict=True) == logs


VALUES, P = rng.standard_normal((N, C)).astype(np.float32), rng.dirichlet(np.ones(C), N).astype(np.float32)
ONE_HOT, BITS = np.eye(C, dtype=np.float32)[LABELS[:, 0]], rng.integers(0, 2, (N, C)).astype(np.float32)
LEFT_OUT = [
    (metrics.SparseCategoricalAccuracy, LABELS[:, 0]),
    (metrics.SparseCategoricalCrossentropy, LABELS[:, 0]),
    (metrics.SparseTopKCategoricalAccuracy, LABELS[:, 0]),
    (metrics.CategoricalCrossentropy, ONE_HOT),
    (metrics.BinaryCrossentropy, BITS),
    (metrics.BinaryAccuracy, BITS),
    (metrics.AUC, BITS),
    (lambda: metrics.F1Score("macro"), ONE_HOT),
    (metrics.Precision, BITS),
    (metrics.MeanSquaredError, VALUES),
    (metrics.MeanAbsoluteError, VALUES),
    (metrics.MeanAbsolutePercentageError, VALUES),
    (metrics.CosineSimilarity, VALUES),
    (metrics.R2Score, VALUES),
    (lambda: metrics.MeanMetricWrapper(lambda t, p: (t - p).mean(-1)), VALUES),
]


@pytest.mark.parametrize("backend", HOSTS)
def test_rows_of_weight_0_may_hold_anything(backend: str) -> None:
    weights = np.where(np.arange(N) % 3, WEIGHTS[:, 0] + 0.1, 0.0)
    counts = weights != 0
    with fastnn.use_backend(backend):
        for make, y in LEFT_OUT:
            whole, rest = make(), make()
            rows = counts[:, None]
            targets = y if y.ndim == 1 else np.where(rows, y, np.nan)
            whole.update_state(targets, np.where(rows, P, np.nan), weights)
            rest.update_state(y[counts], P[counts], weights[counts])
            assert whole.result() == pytest.approx(rest.result(), rel=1e-5), whole.name
        model = fastnn.Sequential([fastnn.Dense(C, input_shape=(5,))])
        model.compile(fastnn.optim.SGD(lr=0.0), "mse", weighted_metrics=["mae", "r2_score"])
        history = model.fit(X[:, 0], np.where(rows, VALUES, np.nan), sample_weight=weights, epochs=3, verbose=0).history
        error = np.average(abs(model.predict(X[:, 0]) - VALUES).mean(-1), weights=weights)
        assert history["mae"] == pytest.approx([error] * 3, rel=1e-5) and np.isfinite(history["r2_score"]).all()


def test_errors() -> None:
    with pytest.raises(ValueError, match="compile: unknown metric 'sharpness'"):
        compiled(weighted_metrics=["sharpness"])
    one = metrics.Perplexity()
    with pytest.raises(ValueError, match="'perplexity' is in metrics twice"):
        compiled(metrics=[one], weighted_metrics=[one])
    model = compiled("mse", None, weighted_metrics=[metrics.CosineSimilarity()])
    with pytest.raises(ValueError, match=r"sample_weight has shape \(13, 3, 4\)"):
        model.evaluate(X, np.zeros((N, T, C)), sample_weight=np.ones((N, T, C)))
