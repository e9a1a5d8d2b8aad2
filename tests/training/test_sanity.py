"""What fit says of data and models that make no sense together."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

X = np.linspace(-1, 1, 30, dtype=np.float32)[:, None]
ZERO_ONE = np.array([0, 1] * 15)


def warned(
    units: int, act: Any, loss: Any, y: Any, x: Any = X, fits: int = 2, metrics: Any = ("accuracy",), **kwargs: Any
) -> list[str]:
    """The warnings of compile and of several fits."""
    x = np.asarray(x)
    model = fastnn.Sequential([fastnn.Flatten(), fastnn.Dense(units, act)])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.compile("sgd", loss, metrics=metrics)
        for _ in range(fits):
            model.fit(x, y, epochs=1, verbose=0, **kwargs)
    return [str(w.message) for w in found]


@pytest.mark.parametrize(
    ("units", "act", "loss", "y", "match"),
    [
        (1, "softmax", "categorical_crossentropy", ZERO_ONE, "one unit"),
        (1, "softmax", "mse", ZERO_ONE, "one unit"),
        (1, None, nn.CrossEntropyLoss(), np.zeros(30, int), "one unit"),
        (1, "sigmoid", "binary_crossentropy", ZERO_ONE + 1, "from 1 to 2.*y - 1"),
        (1, "sigmoid", "binary_crossentropy", 2 * ZERO_ONE - 1, "from -1 to 1"),
        (1, "sigmoid", "binary_crossentropy", np.arange(30) % 3, "from 0 to 2.*softmax over 3 units"),
        (1, None, nn.BCEWithLogitsLoss(), np.arange(30) % 3, "from 0 to 2"),
        (1, None, "binary_crossentropy", ZERO_ONE, "probabilities.*linear.*sigmoid"),
        (2, "relu", "sparse_categorical_crossentropy", ZERO_ONE, "probabilities.*relu.*softmax"),
        (2, None, "kl_divergence", np.eye(2)[ZERO_ONE], "probabilities.*linear.*softmax$"),
        (2, "softmax", "categorical_crossentropy", 2 * np.eye(2)[ZERO_ONE] - 1, "from -1 to 1"),
        (1, "tanh", "poisson", ZERO_ONE, "rates of at least 0"),
        (1, "tanh", fastnn.losses.Gamma(), ZERO_ONE + 1, "rates of at least 0"),
        (2, "softmax", nn.NLLLoss(), ZERO_ONE, "NLLLoss takes logarithms of probabilities.*log_softmax"),
        (2, "softmax", nn.KLDivLoss(), np.eye(2)[ZERO_ONE], "KLDivLoss takes logarithms"),
        (1, "sigmoid", nn.BCEWithLogitsLoss(), ZERO_ONE, "takes logits.* ends with a sigmoid; remove it$"),
        (1, "sigmoid", fastnn.losses.BinaryCrossentropy(from_logits=True), ZERO_ONE, "ends with a sigmoid; .*from_logits=False"),
        (2, "softmax", fastnn.losses.SparseCategoricalCrossentropy(True), ZERO_ONE, "ends with a softmax; .*from_logits=False"),
    ],
)
def test_one_warning(units: int, act: Any, loss: Any, y: np.ndarray, match: str) -> None:
    (message,) = warned(units, act, loss, y, metrics=() if isinstance(loss, fastnn.losses.Gamma) else ["accuracy"])
    assert re.search(match, message), message


@pytest.mark.parametrize(
    ("units", "act", "loss", "y"),
    [
        (1, "sigmoid", "binary_crossentropy", ZERO_ONE),
        (1, "sigmoid", "binary_crossentropy", ZERO_ONE * 0.5),
        (1, None, fastnn.losses.BinaryCrossentropy(from_logits=True), ZERO_ONE),
        (1, None, nn.BCEWithLogitsLoss(), ZERO_ONE),
        (2, "softmax", "sparse_categorical_crossentropy", ZERO_ONE),
        (2, None, nn.CrossEntropyLoss(), ZERO_ONE),
        (2, "log_softmax", nn.NLLLoss(), ZERO_ONE),
        (2, "log_softmax", nn.KLDivLoss(), np.eye(2)[ZERO_ONE]),
        (1, None, fastnn.losses.Gamma(log_input=True), ZERO_ONE + 1),
        (1, "relu", "mse", ZERO_ONE * 5),
        (1, None, "hinge", 2 * ZERO_ONE - 1),
        (1, "sigmoid", "binary_crossentropy", ZERO_ONE * np.float32(1.0000002)),
        (2, "softmax", "categorical_crossentropy", 5.0 * np.eye(2)[ZERO_ONE]),
        (2, "softmax", "kl_divergence", np.eye(2)[ZERO_ONE]),
        (1, "softplus", "poisson", ZERO_ONE * 5),
    ],
)
def test_no_warning(units: int, act: Any, loss: Any, y: np.ndarray) -> None:
    numbers = isinstance(loss, fastnn.losses.Gamma) or loss in ("mse", "hinge", "poisson")
    assert warned(units, act, loss, y, metrics=["r2_score" if numbers else "accuracy"]) == []


@pytest.mark.parametrize("metric", ["accuracy", "auc", "precision", "recall", "log_loss", fastnn.metrics.F1Score(threshold=0.5)])
def test_metrics_of_labels_that_are_not_0_and_1(metric: Any) -> None:
    for loss, act, y, hint in (
        ("hinge", "tanh", 2 * ZERO_ONE - 1, r"\(y \+ 1\) / 2, which hinge losses also accept"),
        ("mse", None, X * 3, "mae or r2_score"),
    ):
        (message,) = warned(1, act, loss, y, metrics=[metric])
        assert re.search(
            f"y has values from -.* but the metric {getattr(metric, 'name', metric)} wants 0 to 1; .*{hint}", message
        )
        assert warned(1, act, "mse", ZERO_ONE, metrics=[metric]) == []


def test_what_a_layer_of_ones_own_calls_activation() -> None:
    class Last(fastnn.Layer):
        activation = "relu"

        def call(self, x: Any) -> Any:
            return x.sigmoid()

    class Whole(fastnn.Sequential):
        def forward(self, x: Any) -> Any:
            return super().forward(x).sigmoid()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (fastnn.Sequential([fastnn.Dense(1), Last()]), Whole([fastnn.Dense(1)])):
            model.compile("sgd", "binary_crossentropy", capture=False)
            model.fit(X, ZERO_ONE, verbose=0)


def test_targets_of_weight_zero_hold_any_values() -> None:
    y = np.where(np.arange(30) < 9, -1, ZERO_ONE)
    weight = (np.arange(30) >= 9).astype(np.float32)
    assert warned(1, "sigmoid", "binary_crossentropy", y, sample_weight=weight) == []
    (message,) = warned(1, "sigmoid", "binary_crossentropy", y, sample_weight=weight + 1)
    assert "from -1 to 1" in message


def test_a_model_of_ones_own_gives_no_probabilities() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 2)

        def forward(self, x: Any) -> Any:
            return self.layer(x) * 100

    model = Net()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="probabilities, but the model returns other numbers"):
        model.fit(X, ZERO_ONE, verbose=0)


def test_images_that_nobody_scaled() -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 4))
    for x in (images.astype(np.uint8), images, images.astype(np.uint8).reshape(30, 16)):
        (message,) = warned(2, "softmax", "sparse_categorical_crossentropy", ZERO_ONE, x)
        assert "x / 255" in message
        assert warned(2, "softmax", "sparse_categorical_crossentropy", ZERO_ONE, x, check_data=False) == []
    for x in (images / 255, (images > 128).astype(np.uint8), images.reshape(30, 16)):
        assert warned(2, "softmax", "sparse_categorical_crossentropy", ZERO_ONE, x) == []


class Scaling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 1)

    def forward(self, x: Any) -> Any:
        return self.layer((x / 255).reshape(-1, 16))


class LookingUp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(np.zeros((256, 3), np.float32))
        self.layer = nn.Linear(3, 1)

    def forward(self, x: Any) -> Any:
        return self.layer(self.rows[x.astype("int64").reshape(-1, 16)].mean(1))


@pytest.mark.parametrize("cls", [Scaling, LookingUp])
def test_models_that_scale_by_themselves(cls: Any) -> None:
    model = cls()
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(np.random.default_rng(0).integers(0, 256, (30, 4, 4)), ZERO_ONE, verbose=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_data_that_are_not_finite(bad: float) -> None:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    x, y = np.ones((70_000, 2), np.float32), np.ones(70_000, np.float32)
    x_bad, y_bad = x.copy(), y.copy()
    x_bad[69_000:69_002, 1] = y_bad[3] = bad
    before = model.get_weights()
    for args, kwargs, match in (
        ((x_bad, y), {}, r"fit: x has 2 values that are NaN or infinite, the first at x\[69000, 1\]"),
        ((x, y_bad), {}, r"fit: y has 1 value that is NaN or infinite, the first at y\[3\]: "),
        ((x, y), {"validation_data": (x_bad, y)}, r"validation x has 2 values"),
    ):
        with pytest.raises(ValueError, match=match):
            model.fit(*args, verbose=0, **kwargs)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    weight = np.ones(70_000)
    weight[3] = 0
    assert np.isfinite(model.fit(x, y_bad, sample_weight=weight, batch_size=7000, verbose=0).history["loss"][0])
    model.fit(x_bad[-2000:], y[:2000], verbose=0, check_data=False)
    model.predict(x_bad[-2000:])


def test_a_frame_names_its_column() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"age": [1.0, 2.0], "size": [1.0, None]})
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"x\[1, 1\] \(column 'size'\): nan"):
        model.fit(frame, [1.0, 2.0], verbose=0)


def test_bceloss_takes_probabilities() -> None:
    loss = nn.BCELoss()
    for p, t, match in (([1.5], [1.0], "input has 1.5, .*BCEWithLogitsLoss"), ([0.5, 0.5], [1.0, 2.0], "target has 2, wanted")):
        with pytest.raises(ValueError, match=match):
            loss(fastnn.tensor(p), fastnn.tensor(t))
    assert np.isnan(loss(fastnn.tensor([np.nan]), [1.0]).item())
    nn.BCEWithLogitsLoss()(fastnn.tensor([5.0]), fastnn.tensor([2.0]))


def test_columns_that_nobody_scaled() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1, 500, 1]
    assert not warned(1, None, "mse", ZERO_ONE, x / 10)
    (message,) = warned(1, None, "mse", ZERO_ONE, x)
    assert re.match(r"fit: column 1 of x has the standard deviation \d{3},.*StandardScaler.*fastnn.Normalization\(\)", message)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 4, 4))
    for image in (pixels.astype(np.float32), pixels.reshape(30, 16).astype(float)):
        assert any("whole numbers up to 255 (float" in text for text in warned(1, None, "mse", ZERO_ONE, image))
        assert not warned(1, None, "mse", ZERO_ONE, image / 255)


@pytest.mark.parametrize("layer", [nn.Normalization, nn.BatchNormalization])
def test_models_that_scale_columns_by_themselves(layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(30, 3)) * 500
    first = layer()
    if layer is nn.Normalization:
        first.adapt(x)
    model = fastnn.Sequential([first, fastnn.Dense(1)])
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, ZERO_ONE, verbose=0)
