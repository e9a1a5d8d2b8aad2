"""Losses in compile and fit: weights, recording, files, and losses that are Python functions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import losses
from fastnn.losses.torch.base import TorchLoss

rng = np.random.default_rng(0)
X = rng.standard_normal((24, 5)).astype(np.float32)
LABELS = rng.integers(0, 3, 24)
LABELS[:3] = 0, 1, 2
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
VALUES = rng.uniform(0.1, 2, (24, 3)).astype(np.float32)
WEIGHTS = rng.uniform(0, 2, 24).astype(np.float32)
WEIGHTS[5] = 0

# Each with arguments that are not its defaults, targets, and the activation of the output; the rest are tried as they are.
LOSSES: list[tuple[Any, np.ndarray, str]] = [
    (losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=2), LABELS, "linear"),
    (losses.CategoricalCrossentropy(label_smoothing=0.1), ONE_HOT, "softmax"),
    (losses.BinaryCrossentropy(label_smoothing=0.1), ONE_HOT, "sigmoid"),
    (losses.BinaryFocalCrossentropy(True, 0.3, 1.5), ONE_HOT, "sigmoid"),
    (losses.CategoricalFocalCrossentropy([0.2, 0.3, 0.5], 1.5), ONE_HOT, "softmax"),
    (losses.KLDivergence(), ONE_HOT, "softmax"),
    (losses.Poisson(), VALUES, "exponential"),
    (losses.Gamma(log_input=True), VALUES, "linear"),
    (losses.Tweedie(1.3, log_input=True), VALUES, "linear"),
    (losses.GaussianNLL(log_variance=False, epsilon=0.1), VALUES[:, :1], "exponential"),
    (losses.MeanSquaredError(reduction="sum"), VALUES, "linear"),
    (losses.MeanSquaredLogarithmicError(), VALUES, "exponential"),
    (losses.Huber(0.3, reduction="mean_with_sample_weight"), VALUES, "linear"),
    (losses.Quantile([0.1, 0.5, 0.9]), VALUES[:, 0], "linear"),
    (losses.CosineSimilarity(axis=1), VALUES, "linear"),
    (losses.Hinge(name="mine"), ONE_HOT, "tanh"),
    (losses.SquaredHinge(), ONE_HOT, "tanh"),
    (losses.CategoricalHinge(), ONE_HOT, "linear"),
    (losses.CategoricalGeneralizedCrossEntropy(0.7), LABELS, "softmax"),
    (losses.Dice(axis=1), ONE_HOT, "softmax"),
    (losses.Tversky(0.3, 0.7, axis=1), ONE_HOT, "softmax"),
    (losses.Circle(8.0, 0.3, reduction="sum"), LABELS, "tanh"),
    (nn.CrossEntropyLoss([1.0, 2.0, 0.5], ignore_index=0, label_smoothing=0.1), LABELS, "linear"),
    (nn.NLLLoss([1.0, 2.0, 0.5], ignore_index=0), LABELS, "log_softmax"),
    (nn.MultiMarginLoss(2, 0.5, [1.0, 2.0, 0.5]), LABELS, "linear"),
    (nn.MSELoss(reduction="sum"), VALUES, "linear"),
    (nn.SmoothL1Loss(beta=0.3), VALUES, "linear"),
    (nn.HuberLoss(delta=0.3), VALUES, "linear"),
    (nn.BCELoss([1.0, 2.0, 0.5]), ONE_HOT, "sigmoid"),
    (nn.BCEWithLogitsLoss([1.0, 2.0, 0.5], reduction="sum", pos_weight=[2.0, 1.0, 3.0]), ONE_HOT, "linear"),
    (nn.MultiLabelSoftMarginLoss([1.0, 2.0, 0.5]), ONE_HOT, "linear"),
    (nn.KLDivLoss(reduction="batchmean"), ONE_HOT, "log_softmax"),
    (nn.PoissonNLLLoss(full=True), VALUES, "linear"),
    (nn.HingeEmbeddingLoss(0.5), 2 * ONE_HOT - 1, "linear"),
    (nn.SoftMarginLoss(), 2 * ONE_HOT - 1, "linear"),
]
_classes = [c for c in map(nn.__dict__.get, nn.__all__) if isinstance(c, type)]
_named = [*losses.LOSSES.values(), *(c for c in _classes if issubclass(c, TorchLoss))]
_special = {losses.CTC, *(type(loss) for loss, _, _ in LOSSES)}  # test_ctc.py fits a net with the loss of sequences
LOSSES += [(c(), VALUES, "linear") for c in _named if c not in _special and not getattr(c, "not_in_fit", "")]
IDS = [type(loss).__name__ for loss, _, _ in LOSSES]
every_loss = pytest.mark.parametrize(("loss", "y", "activation"), LOSSES, ids=IDS)


def model_of(loss: Any, activation: str = "linear", **kwargs: Any) -> fastnn.Sequential:
    fastnn.seed(1)
    units = 2 if isinstance(loss, losses.GaussianNLL) else 3
    model = fastnn.Sequential([fastnn.Dense(4, activation="tanh", input_shape=(5,)), fastnn.Dense(units, activation=activation)])
    model.compile(fastnn.optim.SGD(lr=0.05), loss, **kwargs)
    return model


@every_loss
def test_fit_with_weights_is_recorded_and_equals_single_steps(loss: Any, y: np.ndarray, activation: str) -> None:
    """With sample and class weights; class numbers come from labels and from one-hot rows."""
    classes = {0: 0.5, 1: 2.0, 2: 1.0} if y is LABELS or y is ONE_HOT else None
    a, b = model_of(loss, activation), model_of(loss, activation)
    recorded: list[Any] = []
    make = a._train_step
    object.__setattr__(a, "_train_step", lambda *args: recorded.append(make(*args)) or recorded[-1])
    a.fit(X, y, batch_size=8, epochs=2, shuffle=False, verbose=0, sample_weight=WEIGHTS, class_weight=classes)
    assert [step.why_eager for step in recorded] == [""] and recorded[0].recorded is not None
    factor = WEIGHTS if classes is None else WEIGHTS * np.array([classes[int(c)] for c in LABELS], np.float32)
    taken = b._compiled.loss
    for start in (0, 8, 16) * 2:
        at = slice(start, start + 8)
        b.optimizer.add(b.parameters()) if not b.optimizer.params else None
        b.optimizer.zero_grad()
        target = y[at][:, None] if isinstance(loss, losses.Quantile) else y[at]
        taken(target, b(X[at]), factor[at]).backward()
        b.optimizer.step()
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-5, atol=1e-6)


@every_loss
def test_files_keep_the_loss_with_its_arguments(loss: Any, y: np.ndarray, activation: str, tmp_path: Path) -> None:
    model = model_of(loss, activation)
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert losses.serialize(twin._compiled.loss) == losses.serialize(model._compiled.loss)
    assert twin.evaluate(X, y, sample_weight=WEIGHTS) == model.evaluate(X, y, sample_weight=WEIGHTS)


def test_a_sum_and_a_mean() -> None:
    total = model_of(losses.MeanSquaredError(reduction="sum")).evaluate(X, VALUES)
    assert total == pytest.approx(24 * model_of("mse").evaluate(X, VALUES), rel=1e-5)


REFUSED: dict[str, tuple[Any, str]] = {
    "no reduction": (losses.Huber(reduction=None), "Huber has reduction=None; training needs one number"),
    "none": (nn.L1Loss(reduction="none"), "L1Loss has reduction='none'; training needs one number"),
    "triplets": (nn.TripletMarginLoss(), "TripletMarginLoss takes three arrays"),
    "class": (nn.GaussianNLLLoss, "GaussianNLLLoss takes three arrays"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_losses_that_compile_refuses(name: str) -> None:
    loss, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"compile: {message}"):
        model_of(loss)


def test_targets_that_do_not_fit() -> None:
    with pytest.raises(
        ValueError, match=r"y has shape \(24, 3\), but.*has \(24, 3\), for which the loss quantile wants \(24, 1\)"
    ):
        model_of(losses.Quantile([0.1, 0.5, 0.9])).fit(X, VALUES)
    with pytest.raises(
        ValueError, match=r"\(24, 3\), but the model's output has \(24, 2\), for which.*gaussian_nll wants \(24, 1\)"
    ):
        model_of(losses.GaussianNLL()).fit(X, VALUES)


# ---- functions ----


def fourth_power(y_true: Any, y_pred: Any) -> Any:
    return (y_true - y_pred) ** 4


class FourthPower(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return fourth_power(y_true, y_pred)


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize(
    "loss", [fourth_power, FourthPower(), FourthPower, losses.CustomLoss(fourth_power)], ids=["f", "o", "c", "w"]
)
def test_a_function_with_weights(loss: Any, capture: bool) -> None:
    model = model_of(loss, capture=capture)
    w = WEIGHTS * np.array([0.5, 2, 1], np.float32)[LABELS]
    p = model.predict(X)
    each = ((p - ONE_HOT) ** 4).mean(1)
    assert model.evaluate(X, ONE_HOT) == pytest.approx(each.mean(), rel=1e-5)
    steps: list[Any] = []
    make = model._train_step
    object.__setattr__(model, "_train_step", lambda *args: steps.append(make(*args)) or steps[-1])
    kwargs = {"sample_weight": WEIGHTS, "class_weight": {0: 0.5, 1: 2.0}, "verbose": 0, "shuffle": False}
    first = model.fit(X, ONE_HOT, batch_size=24, **kwargs).history["loss"][0]
    assert first == pytest.approx((w * each).mean(), rel=1e-5)
    logged = model.fit(X, ONE_HOT, batch_size=8, epochs=20, **kwargs).history["loss"]
    assert logged[-1] < logged[0]
    assert (steps[-1].recorded is not None) == capture


@pytest.mark.parametrize("capture", [False, True])
def test_a_recorded_function_does_the_same(capture: bool) -> None:
    model = model_of(fourth_power, capture=capture)
    model.fit(X, VALUES, batch_size=8, epochs=4, verbose=0, sample_weight=WEIGHTS, shuffle=False)
    other = model_of(fourth_power)
    other.fit(X, VALUES, batch_size=8, epochs=4, verbose=0, sample_weight=WEIGHTS, shuffle=False)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_of_all_shapes() -> None:
    y, x = rng.standard_normal((6, 4, 3)), fastnn.tensor(rng.standard_normal((6, 4, 3)))
    each = (x.numpy() - y) ** 4
    w = rng.uniform(0.5, 2, 6)
    for axes in ((), (2,), (1, 2)):

        def f(y_true: Any, y_pred: Any, axes: Any = axes) -> Any:
            values = fourth_power(y_true, y_pred)
            return values.mean(axes) if axes else values

        rows = each.mean(axes) if axes else each
        spread = w.reshape(-1, *[1] * (rows.ndim - 1))
        assert losses.CustomLoss(f)(y, x).item() == pytest.approx(rows.mean())
        assert losses.CustomLoss(f)(y, x, w).item() == pytest.approx((rows * spread).mean())
        assert losses.CustomLoss(f, "sum")(y, x, w).item() == pytest.approx((rows * spread).sum())
        weighted_mean = (rows * spread).sum() / np.broadcast_to(spread, rows.shape).sum()
        assert losses.CustomLoss(f, "mean_with_sample_weight")(y, x, w).item() == pytest.approx(weighted_mean)
        np.testing.assert_allclose(losses.CustomLoss(f, None)(y, x, w).numpy(), rows * spread)
    assert losses.CustomLoss(lambda a, b: fourth_power(a, b).sum())(y, x).item() == pytest.approx(each.sum())


def test_a_vector_of_targets_stands_for_a_column() -> None:
    """Arithmetic on (n,) and (n, 1) would make (n, n)."""
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(5,))])
    model.compile("sgd", fourth_power)
    p = model.predict(X)[:, 0]
    assert model.evaluate(X, VALUES[:, 0]) == pytest.approx(((p - VALUES[:, 0]) ** 4).mean(), rel=1e-5)


FAULTS: dict[str, tuple[Any, type[Exception], str]] = {
    "a number": (lambda a, b: 1.0, TypeError, "returned float, wanted a Tensor"),
    "an array": (lambda a, b: b.numpy(), TypeError, "returned ndarray, wanted a Tensor"),
    "no gradient": (lambda a, b: fastnn.tensor(b.numpy()), ValueError, "no gradient by y_pred; what goes through NumPy"),
    "whole numbers": (lambda a, b: b.argmax(1), TypeError, "a Tensor of dtype int64 came"),
    "length": (lambda a, b: (a - b).mean(0), ValueError, r"returned shape \(3,\) for 24 samples"),
    "no call": (losses.Loss(), NotImplementedError, r"Loss defines no call\(y_true, y_pred\)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_functions(name: str) -> None:
    loss, error, message = FAULTS[name]
    with pytest.raises(error, match=message):
        model_of(loss).fit(X, VALUES, verbose=0, batch_size=24)


def test_one_number_has_no_sample_weights() -> None:
    with pytest.raises(ValueError, match="sample_weight needs a loss of each sample"):
        model_of(lambda a, b: (a - b).mean()).fit(X, VALUES, sample_weight=WEIGHTS, verbose=0)


def test_a_function_is_no_part_of_a_file(tmp_path: Path) -> None:
    model = model_of(fourth_power)
    with pytest.warns(UserWarning, match="the file has no training settings"):
        model.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m")._compiled is None


CAPTURED: dict[str, Any] = {
    "NLLLoss": lambda x, v, y: nn.NLLLoss([1.0, 2.0, 0.5], ignore_index=0)(x, y),
    "MultiMarginLoss": lambda x, v, y: nn.MultiMarginLoss()(x, y),
    "MarginRankingLoss": lambda x, v, y: nn.MarginRankingLoss(0.5)(x, v, fastnn.tensor(np.ones((8, 3), np.float32))),
    "CosineEmbeddingLoss": lambda x, v, y: nn.CosineEmbeddingLoss()(x, v, fastnn.tensor(np.ones(8, np.float32))),
    "TripletMarginLoss": lambda x, v, y: nn.TripletMarginLoss(swap=True)(x, v, x * v),
    "GaussianNLLLoss": lambda x, v, y: nn.GaussianNLLLoss()(x, v, x**2 + 1),
    "BCEWithLogitsLoss": lambda x, v, y: nn.BCEWithLogitsLoss([1.0, 2.0, 0.5], pos_weight=[2.0, 1.0, 3.0])(x, v),
    "Quantile": lambda x, v, y: losses.Quantile([0.1, 0.5, 0.9])(v[:, :1], x),
    "CategoricalFocalCrossentropy": lambda x, v, y: losses.CategoricalFocalCrossentropy(from_logits=True)(v, x),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_a_captured_step_of_ones_own(name: str) -> None:
    """Batches that differ from call to call, recorded and not."""
    results = []
    for wrap in (lambda f: f, fastnn.capture):
        fastnn.seed(1)
        layer = nn.Linear(5, 3)
        optimizer = fastnn.optim.SGD(layer.parameters(), lr=0.1)

        def step(x: Any, v: Any, y: Any, layer: Any = layer, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = CAPTURED[name](layer(x), v, y)
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        batches = [slice(i, i + 8) for i in (0, 8, 16, 4, 12)]
        values = [run(fastnn.tensor(X[at]), fastnn.tensor(VALUES[at]), LABELS[at]).item() for at in batches]
        results.append((values, [w.tolist() for w in layer.get_weights()]))
    assert run.captured._steps and not run.captured.eager
    assert results[0] == results[1]
