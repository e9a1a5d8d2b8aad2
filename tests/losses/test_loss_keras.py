"""Agreement of fastnn.losses with Keras's: values and gradients, every reduction, sample weights, and whole fits."""

import os
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import fastnn

if not find_spec("keras") or not find_spec("torch"):
    pytest.skip("Keras with PyTorch is not installed", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", "torch")
keras: Any = pytest.importorskip("keras")
torch: Any = pytest.importorskip("torch")
if keras.backend.backend() != "torch":
    pytest.skip("Keras runs on another backend than PyTorch", allow_module_level=True)

rng = np.random.default_rng(0)
LABELS = rng.integers(0, 3, 12)
LABELS[:3] = 0, 1, 2
ONE_HOT = np.eye(3)[LABELS]
PROBABILITIES = rng.dirichlet(np.ones(3), 12)
OTHERS = rng.dirichlet(np.ones(3), 12)
VALUES, PREDICTED = rng.standard_normal((12, 3)), 2 * rng.standard_normal((12, 3))
COUNTS, MEANS = rng.integers(0, 5, (12, 3)).astype(float), rng.uniform(0.1, 5, (12, 3))
SIGNS = rng.choice([-1.0, 1.0], (12, 3))
WEIGHTS = rng.uniform(0, 2, 12)
REDUCTIONS = ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None]

# (name, arguments, targets, predictions)
CASES: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    ("MeanSquaredError", {}, VALUES, PREDICTED),
    ("MeanAbsoluteError", {}, VALUES, PREDICTED),
    ("MeanAbsolutePercentageError", {}, VALUES, PREDICTED),
    ("MeanSquaredLogarithmicError", {}, MEANS, np.abs(PREDICTED)),
    ("MeanSquaredLogarithmicError", {}, VALUES, PREDICTED),
    ("Huber", {}, VALUES, PREDICTED),
    ("Huber", {"delta": 0.4}, VALUES, PREDICTED),
    ("LogCosh", {}, VALUES, PREDICTED),
    ("CosineSimilarity", {}, VALUES, PREDICTED),
    ("CosineSimilarity", {"axis": 0}, VALUES, PREDICTED),
    ("KLDivergence", {}, OTHERS, PROBABILITIES),
    ("KLDivergence", {}, ONE_HOT, PROBABILITIES),
    ("Poisson", {}, COUNTS, MEANS),
    ("Hinge", {}, SIGNS, PREDICTED),
    ("Hinge", {}, ONE_HOT, PREDICTED),
    ("SquaredHinge", {}, SIGNS, PREDICTED),
    ("SquaredHinge", {}, ONE_HOT, PREDICTED),
    ("CategoricalHinge", {}, ONE_HOT, PREDICTED),
    ("BinaryCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, ONE_HOT, PREDICTED),
    ("CategoricalCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, OTHERS, PREDICTED),
    ("SparseCategoricalCrossentropy", {}, LABELS, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, PREDICTED),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 1}, LABELS, PREDICTED),
    ("BinaryFocalCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.5}, ONE_HOT, PREDICTED),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "label_smoothing": 0.2}, ONE_HOT, PROBABILITIES),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 1.5, "alpha": [0.2, 0.3, 0.5]}, ONE_HOT, PREDICTED),
    ("CategoricalFocalCrossentropy", {"label_smoothing": 0.2}, ONE_HOT, PROBABILITIES),
    ("CategoricalGeneralizedCrossEntropy", {}, LABELS, PROBABILITIES),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.9}, LABELS, PROBABILITIES),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "kwargs", "targets", "predictions"), CASES, ids=lambda v: v if type(v) is str else "")
def test_values_and_gradients(
    name: str, kwargs: dict[str, Any], targets: np.ndarray, predictions: np.ndarray, reduction: str | None
) -> None:
    ours = getattr(fastnn.losses, name)(**kwargs, reduction=reduction)
    theirs = getattr(keras.losses, name)(**kwargs, reduction=reduction, dtype="float64")
    for weight in (None, WEIGHTS):
        if kwargs.get("axis") == 0 and weight is not None:
            weight = weight[:3]
        x = fastnn.tensor(predictions, requires_grad=True)
        other = torch.tensor(predictions, requires_grad=True)
        y = ours(targets, x, weight)
        z = theirs(torch.tensor(targets), other, None if weight is None else torch.tensor(weight))
        assert y.shape == tuple(z.shape)
        # Keras's epsilon is a float32 in places.
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=2e-6, atol=1e-9)
        upstream = rng.standard_normal(y.shape)
        y.backward(upstream)
        z.backward(torch.tensor(upstream).reshape(z.shape))
        np.testing.assert_allclose(x.grad.numpy(), other.grad.numpy(), rtol=2e-6, atol=1e-8)


UNIT = PREDICTED / np.linalg.norm(PREDICTED, axis=1, keepdims=True)
WHOLE: list[tuple[str, dict[str, Any], np.ndarray, np.ndarray]] = [
    ("Dice", {}, ONE_HOT, PROBABILITIES),
    ("Dice", {"axis": 1}, ONE_HOT, PROBABILITIES),
    ("Dice", {"axis": (1, 2)}, ONE_HOT.reshape(3, 4, 3), PROBABILITIES.reshape(3, 4, 3)),
    ("Tversky", {}, OTHERS, PROBABILITIES),
    ("Tversky", {"alpha": 0.3, "beta": 0.8, "axis": 1}, ONE_HOT, PROBABILITIES),
    ("Circle", {}, LABELS, UNIT),
    ("Circle", {"gamma": 8.0, "margin": 0.25}, LABELS, UNIT),
    ("Circle", {"gamma": 8.0, "remove_diagonal": False}, LABELS, UNIT),
]


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
@pytest.mark.parametrize(("name", "kwargs", "targets", "predictions"), WHOLE, ids=lambda v: v if type(v) is str else "")
def test_overlaps_and_pairs(
    name: str, kwargs: dict[str, Any], targets: np.ndarray, predictions: np.ndarray, reduction: str | None
) -> None:
    ours = getattr(fastnn.losses, name)(**kwargs, reduction=reduction)
    theirs = getattr(keras.losses, name)(**kwargs, reduction=reduction, dtype="float64")
    x, other = fastnn.tensor(predictions, requires_grad=True), torch.tensor(predictions, requires_grad=True)
    y, z = ours(targets, x), theirs(torch.tensor(targets), other)
    assert y.shape == tuple(z.shape)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=2e-6, atol=1e-9)
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), other.grad.numpy(), rtol=2e-5, atol=1e-8)  # Keras computes parts in float32


def test_a_label_without_a_pair_has_no_loss() -> None:
    x = fastnn.tensor(UNIT[:3], requires_grad=True)
    loss = fastnn.losses.Circle(reduction=None)(np.arange(3), x)
    np.testing.assert_array_equal(loss.numpy(), np.zeros(3))
    loss.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((3, 3)))


ROW_BY_ROW = [case for case in CASES if case[1].get("axis") != 0]


@pytest.mark.parametrize(("name", "kwargs", "targets", "predictions"), ROW_BY_ROW, ids=lambda v: v if type(v) is str else "")
def test_a_loss_of_each_step(name: str, kwargs: dict[str, Any], targets: np.ndarray, predictions: np.ndarray) -> None:
    p, y = predictions.reshape(3, 4, 3), targets.reshape(3, 4, *targets.shape[1:])
    steps = WEIGHTS.reshape(3, 4)
    mask = steps > 0.7
    for reduction in ("mean", "mean_with_sample_weight", "sum", None):
        ours = getattr(fastnn.losses, name)(**kwargs, reduction=reduction)
        theirs = getattr(keras.losses, name)(**kwargs, reduction=reduction, dtype="float64")
        for weight in (None, steps[:, :1], steps):
            for counted in (None, mask):
                if counted is not None and "ignore_class" in kwargs and reduction != "mean":
                    continue  # Keras divides by all of the ignored labels, or takes their losses in
                x, other = fastnn.tensor(p, requires_grad=True), torch.tensor(p, requires_grad=True)
                if counted is not None:
                    other._keras_mask = torch.tensor(counted)
                # With (3, 1) Keras fails at masks, and "mean_with_sample_weight" divides by the sum of 3 weights for 12 losses.
                masked = counted is not None or "ignore_class" in kwargs
                whole = weight is not None and (masked or reduction == "mean_with_sample_weight")
                given = np.broadcast_to(weight, (3, 4)).copy() if whole else weight
                z = theirs(torch.tensor(y), other, None if given is None else torch.tensor(given))
                result = ours(y, x, weight, counted)
                np.testing.assert_allclose(result.numpy(), z.detach().numpy(), rtol=2e-6, atol=1e-9)
                result.sum().backward()
                z.sum().backward()
                np.testing.assert_allclose(x.grad.numpy(), other.grad.numpy(), rtol=2e-6, atol=1e-8)


def test_probabilities_of_exactly_0_and_1() -> None:
    x = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], np.float32)
    for name in (
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "BinaryFocalCrossentropy",
        "CategoricalFocalCrossentropy",
        "KLDivergence",
    ):
        for target in (np.eye(3, dtype=np.float32), np.ones((3, 3), np.float32) / 3):
            ours = getattr(fastnn.losses, name)(reduction=None)(target, fastnn.tensor(x)).numpy()
            theirs = keras.ops.convert_to_numpy(getattr(keras.losses, name)(reduction=None)(target, x))
            np.testing.assert_allclose(ours, theirs, rtol=0.02, atol=1e-5)  # 1 - 1e-7 is no float32
            assert np.isfinite(ours).all()


def test_all_rows_ignored() -> None:
    kwargs = {"from_logits": True, "ignore_class": 1}
    for weight in (None, WEIGHTS):
        x = fastnn.tensor(PREDICTED, requires_grad=True)
        y = fastnn.losses.SparseCategoricalCrossentropy(**kwargs)(np.ones(12, int), x, weight)
        y.backward()
        assert y.item() == 0 == float(keras.losses.SparseCategoricalCrossentropy(**kwargs)(np.ones(12, int), PREDICTED, weight))
        assert not x.grad.numpy().any()


X = rng.standard_normal((12, 5)).astype(np.float32)
FITS = [
    ("mae", VALUES, "linear"),
    ("mape", VALUES + 3, "linear"),
    ("msle", MEANS, "exponential"),
    ("huber", VALUES, "linear"),
    ("log_cosh", VALUES, "linear"),
    ("cosine_similarity", VALUES, "linear"),
    ("poisson", COUNTS, "exponential"),
    ("kld", OTHERS, "softmax"),
    ("hinge", ONE_HOT, "tanh"),
    ("squared_hinge", SIGNS, "tanh"),
    ("categorical_hinge", ONE_HOT, "linear"),
    ("binary_focal_crossentropy", ONE_HOT, "sigmoid"),
    ("categorical_focal_crossentropy", ONE_HOT, "softmax"),
]


@pytest.mark.parametrize(("loss", "y", "activation"), FITS, ids=lambda v: v if type(v) is str else "")
def test_the_same_training(loss: str, y: np.ndarray, activation: str) -> None:
    ours = fastnn.Sequential([fastnn.Dense(7, activation="relu", input_shape=(5,)), fastnn.Dense(3, activation=activation)])
    theirs = keras.Sequential(
        [keras.layers.Input((5,)), keras.layers.Dense(7, activation="relu"), keras.layers.Dense(3, activation=activation)]
    )
    theirs.set_weights(ours.get_weights())
    y = y.astype(np.float32)
    histories = []
    for model in (ours, theirs):
        model.compile(optimizer="sgd", loss=loss)
        weights = {"sample_weight": WEIGHTS.astype(np.float32)}
        histories.append(model.fit(X, y, batch_size=4, epochs=3, shuffle=False, verbose=0, **weights).history["loss"])
    np.testing.assert_allclose(*histories, rtol=2e-4, atol=2e-5)
    for v, u in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(v, u, rtol=1e-3, atol=1e-4)
