"""Losses and metrics of the user's own: the shapes and dtypes that they get, and Keras's Metric classes."""

import copy
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


class Squares(fastnn.losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        assert y_true.ndim == y_pred.ndim and y_true.dtype == y_pred.dtype
        return (y_true - y_pred) ** 2


class Error(fastnn.metrics.Metric):
    def __init__(self, name: str = "error") -> None:
        super().__init__(name=name)
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")
        self.count = self.add_weight(name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        assert y_true.shape == y_pred.shape and y_true.dtype == y_pred.dtype
        self.total.assign_add(fastnn.sum((y_true - y_pred) ** 2))
        self.count.assign_add(y_pred.size)

    def result(self) -> Any:
        return self.total / self.count


def _squares(t: Any, p: Any) -> Any:
    assert t.ndim == p.ndim and t.dtype == p.dtype
    return (t - p) ** 2


class Flat(nn.Module):
    """Outputs of the shape that is asked for."""

    def __init__(self, tail: tuple[int, ...]) -> None:
        super().__init__()
        self.tail = tail
        self.dense = fastnn.Dense(int(np.prod(tail)), input_shape=(3,))

    def forward(self, x: Any) -> Any:
        return self.dense(x).reshape((len(x), *self.tail))


SHAPES = [((), (1,)), ((1,), ()), ((2,), (2, 1)), ((2, 1), (2,)), ((1, 1), ()), ((1, 1), (1,))]
OWN = [lambda: Squares(), lambda: _squares]
MADE = [*OWN, lambda: "mse", lambda: nn.MSELoss()]


@pytest.mark.parametrize(("tail", "given"), SHAPES, ids=str)
@pytest.mark.parametrize("make", MADE, ids=["class", "function", "name", "torch"])
def test_a_last_size_of_one_may_be_there_or_not(make: Any, tail: tuple[int, ...], given: tuple[int, ...]) -> None:
    fastnn.seed(0)
    model = Flat(tail)
    metrics = [_squares, Error()] if make in OWN else [Error()]
    model.compile(fastnn.optim.SGD(lr=0.0), make(), metrics=metrics, capture=False)
    y = rng.normal(size=(40, *given)).astype(np.float32)
    right = np.square(model.predict(X).ravel() - y.ravel(), dtype=np.float64).mean()
    if make is OWN[0]:
        assert make()(fastnn.tensor(y), model(X)).item() == pytest.approx(right, rel=1e-5)
    for values in (
        model.evaluate(X, y, batch_size=7),
        model.test_on_batch(X, y),
        model.train_on_batch(X, y),
        [v[0] for v in model.fit(X, y, batch_size=16, verbose=0, validation_data=(X, y)).history.values()],
    ):
        np.testing.assert_allclose(values, right, rtol=1e-5)
    weight = rng.uniform(size=(40, 1))
    weighted = (np.square(model.predict(X).ravel() - y.ravel()).reshape(40, -1).mean(1) * weight[:, 0]).mean()
    assert model.evaluate(X, y, sample_weight=weight)[0] == pytest.approx(weighted, rel=1e-5)


@pytest.mark.parametrize("make", [Squares, lambda: _squares, lambda: lambda t, p: ((t - p) ** 2).mean(-1)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float64])
def test_own_losses_get_targets_in_the_dtype_of_the_model(make: Any, dtype: Any) -> None:
    def of(y: Any) -> Any:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(1, activation="sigmoid", input_shape=(3,))])
        model.compile("adam", make(), metrics=[lambda t, p: abs(t - p), Error()], capture=False)
        return model.fit(X, y, epochs=2, verbose=0).history

    assert of(Y.astype(dtype)) == of(Y.astype(np.float32)[:, None])
    assert of(Y.astype(dtype).tolist()) == of(fastnn.tensor(Y.astype(dtype))) == of(Y.astype(np.float32))


def test_whole_numbers_in_a_column_are_values() -> None:
    def pinball(t: Any, p: Any) -> Any:
        e = t - p
        return fastnn.maximum(0.3 * e, -0.7 * e)

    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    model.compile("adam", pinball)
    assert model.evaluate(X, Y[:, None]) == pytest.approx(model.evaluate(X, Y[:, None].astype(np.float32)), rel=1e-6)


def test_class_labels_for_several_outputs_stay_whole_numbers() -> None:
    def loss(t: Any, p: Any) -> Any:
        assert t.dtype == np.int64
        return -fastnn.log(p.gather(1, t.reshape(-1, 1)))[:, 0]

    def right(t: Any, p: Any) -> Any:
        return p.argmax(1) == t

    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(3, activation="softmax", input_shape=(3,))])
    model.compile("adam", loss, metrics=[right, "accuracy"])
    logs = model.evaluate(X, Y, return_dict=True)
    assert logs["right"] == logs["accuracy"]
    model.compile("adam", "sparse_categorical_crossentropy")
    assert model.evaluate(X, Y) == pytest.approx(logs["loss"], rel=1e-5)


def test_tensors_of_any_dtype() -> None:
    def fit(x: Any, y: Any, w: Any, loss: str, units: int) -> Any:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(units, activation="sigmoid", input_shape=(3,))])
        model.compile("adam", loss)
        return model.fit(x, y, sample_weight=w, epochs=2, verbose=0).history["loss"], model.evaluate(x, y, sample_weight=w)

    x, w = np.arange(120).reshape(40, 3) % 7, np.arange(40) % 3
    for loss, units in (("mse", 1), ("binary_crossentropy", 1), ("sparse_categorical_crossentropy", 2)):
        arrays = fit(x.astype(np.float32), Y, w.astype(np.float32), loss, units)
        assert fit(*map(fastnn.tensor, (x, Y, w)), loss, units) == arrays
        assert fit(*(fastnn.tensor(a.astype(np.float64)) for a in (x, Y, w)), loss, units) == arrays


@pytest.mark.parametrize(
    "name", ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss", "SoftMarginLoss"]
)
def test_losses_by_hand_take_whole_tensors_where_arrays_are_taken(name: str) -> None:
    p, t = fastnn.tensor([[0.25], [0.5]]), np.array([1, 0])
    wanted = getattr(nn, name)()(p, t).item()
    assert getattr(nn, name)()(p, fastnn.tensor(t)).item() == wanted
    assert getattr(nn, name)()(p, fastnn.tensor(t[:, None] > 0)).item() == wanted
    for keras in (fastnn.losses.MeanSquaredError(), fastnn.losses.BinaryCrossentropy(), fastnn.losses.Quantile(0.2), Squares()):
        assert keras(fastnn.tensor(t), p).item() == keras(t, p).item()


# ---- Keras's Metric classes ----


class Count(fastnn.metrics.Metric):
    """Plain attributes, and no reset_state, as in Keras's own tests."""

    def __init__(self, name: str = "count") -> None:
        super().__init__(name=name)
        self.n = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.n += 1

    def result(self) -> Any:
        return self.n


class Parts(fastnn.metrics.Metric):
    """A dict of results, from values that are kept, and a metric inside."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []
        self.inner = fastnn.metrics.MeanSquaredError()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.values.append(float(fastnn.max(y_pred)))
        self.inner.update_state(y_true, y_pred)

    def result(self) -> Any:
        return {"greatest": max(self.values), "loss": fastnn.tensor(self.inner.result()), "batches": len(self.values)}

    def reset_state(self) -> None:
        self.values.clear()
        self.inner.reset_state()


def _model(metrics: Any, **kwargs: Any) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(1, activation="sigmoid", input_shape=(3,))])
    model.compile("adam", "mse", metrics=metrics, **kwargs)
    return model


def test_metric_classes_in_fit_and_evaluate() -> None:
    model = _model([Error(), "mse", Parts(), Count()])
    history = model.fit(X, Y, epochs=3, batch_size=8, verbose=0, validation_split=0.25).history
    parts = ["greatest", "loss_1", "batches"]
    assert list(history)[:7] == ["loss", "error", "mse", *parts, "count"]
    for prefix in ("", "val_"):
        np.testing.assert_allclose(history[f"{prefix}error"], history[f"{prefix}mse"], rtol=1e-5)
        np.testing.assert_allclose(history[f"{prefix}loss_1"], history[f"{prefix}mse"], rtol=1e-5)
    assert history["batches"] == [4] * 3 and history["val_batches"] == [1] * 3
    assert history["count"] == [4, 8, 12]
    logs = model.evaluate(X, Y, return_dict=True, batch_size=16)
    assert logs["error"] == pytest.approx(logs["mse"], rel=1e-5) and logs["batches"] == 3
    assert model.train_on_batch(X, Y, return_dict=True)["batches"] == 1
    plain = _model(["mse"]).fit(X, Y, epochs=3, batch_size=8, verbose=0, validation_split=0.25).history
    assert plain["loss"] == history["loss"] and plain["val_mse"] == history["val_mse"]
    assert copy.deepcopy(model).evaluate(X, Y, return_dict=True)["error"] == pytest.approx(logs["error"], rel=0.1)


@pytest.mark.parametrize("capture", [False, True])
def test_an_evaluation_in_the_middle_of_an_epoch_leaves_their_state(capture: bool) -> None:
    class Looks(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.evaluate(X[:5], Y[:5])

    one, other = (_model([Error(), Parts()], capture=capture) for _ in range(2))
    fastnn.seed(1)
    a = one.fit(X, Y, batch_size=8, epochs=2, verbose=0).history
    fastnn.seed(1)
    b = other.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[Looks()]).history
    assert a == b and a["batches"] == [5, 5]


def test_classes_derived_from_metrics_of_fastnn() -> None:
    class Other(fastnn.metrics.BinaryAccuracy):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            super().update_state(y_true, 1 - y_pred, sample_weight)

    class Same(fastnn.metrics.BinaryAccuracy):
        pass

    model = _model([Other("other"), Same("same")], capture=False)
    logs = model.fit(X, Y, epochs=2, batch_size=8, verbose=0).history
    np.testing.assert_allclose(np.add(logs["other"], logs["same"]), 1.0, atol=1e-6)


def test_what_a_metric_class_lacks_is_named() -> None:
    class Nothing(fastnn.metrics.Metric):
        pass

    class NoResult(fastnn.metrics.Metric):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            pass

    class Several(NoResult):
        def result(self) -> Any:
            return np.zeros(3)

    for cls, error, message in (
        (Nothing, NotImplementedError, "metric nothing: Nothing defines no update_state"),
        (NoResult, NotImplementedError, "metric no_result: NoResult defines no result"),
        (Several, TypeError, r"metric several: result\(\) returned an array of shape \(3,\); wanted one number or a dict"),
    ):
        with pytest.raises(error, match=message):
            _model([cls()]).fit(X, Y, verbose=0)
    with pytest.raises(TypeError, match="Mean takes values"):
        _model([fastnn.metrics.Mean()]).fit(X, Y, verbose=0)


def test_variables() -> None:
    m = Error()
    m.count.assign(4)
    before = m.count.value
    m.count.assign_add(fastnn.tensor([[2.0]])).assign_sub(1)
    assert float(m.count) == 5 and float(before) == 4 and (m.count * 2).item() == 10
    assert [v.shape for v in m.variables] == [(), ()]
    m.reset_state()
    assert float(m.count) == 0
    table = m.add_weight((2,), "ones", "float64")
    assert table.assign([1, 2]).tolist() == [1.0, 2.0] and table.dtype == np.float64


# ---- beside losses on logits ----

LABELS = rng.integers(0, 3, 40)


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), fastnn.losses.BinaryCrossentropy(from_logits=True)])
def test_metrics_of_probabilities_beside_a_loss_on_logits(loss: Any) -> None:
    given = ["accuracy", "log_loss", "auc", "precision", "recall", fastnn.metrics.F1Score(average="macro"), "mae"]
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(3,))])
    raw = [fastnn.metrics.BinaryAccuracy(threshold=0.0), fastnn.metrics.BinaryCrossentropy(from_logits=True), lambda t, p: p]
    model.compile("adam", loss, metrics=[*given, *raw])
    logs = model.evaluate(X, Y, return_dict=True)
    z = model.predict(X)
    assert logs["accuracy"] == logs["binary_accuracy"] == pytest.approx(((z[:, 0] > 0) == Y).mean())
    assert logs["log_loss"] == logs["binary_crossentropy"] == pytest.approx(logs["loss"], rel=1e-6)
    assert logs["<lambda>"] == pytest.approx(z.mean(), rel=1e-5) and logs["mae"] == pytest.approx(
        abs(z[:, 0] - Y).mean(), rel=1e-5
    )
    twin = fastnn.Sequential([fastnn.Dense(1, activation="sigmoid", input_shape=(3,))])
    twin.compile("adam", "bce", metrics=given[:-1])
    twin.set_weights(model.get_weights())
    for name, value in twin.evaluate(X, Y, return_dict=True).items():
        assert logs[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize(
    ("loss", "y", "last"),
    [
        (nn.CrossEntropyLoss(), LABELS, "linear"),
        (nn.NLLLoss(), LABELS, "log_softmax"),
        (fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, "linear"),
        (fastnn.losses.CategoricalCrossentropy(from_logits=True), np.eye(3)[LABELS], "linear"),
        (nn.BCEWithLogitsLoss(), np.eye(3)[LABELS], "linear"),
    ],
)
def test_several_classes_beside_a_loss_on_logits(loss: Any, y: Any, last: str) -> None:
    def of(loss: Any, last: str) -> Any:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(3, activation=last, input_shape=(3,))])
        model.compile(fastnn.optim.Adam(lr=0.1), loss, metrics=["accuracy", "log_loss", fastnn.metrics.Precision(0.4)])
        return model.fit(X, y, epochs=4, batch_size=8, verbose=0, validation_data=(X, y)).history

    history = of(loss, last)
    np.testing.assert_allclose(history["log_loss"] + history["val_log_loss"], history["loss"] + history["val_loss"], rtol=1e-5)
    if not isinstance(loss, nn.BCEWithLogitsLoss):
        plain = of("sparse_categorical_crossentropy" if y is LABELS else "categorical_crossentropy", "softmax")
        for name, values in plain.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
