"""Targets, weights and masks of each element of the loss: labels (n, T) for outputs (n, T, C), and weights (n,) or (n, T)."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import losses, metrics, nn

HOSTS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]

rng = np.random.default_rng(0)
N, T, C = 11, 3, 4
X = rng.standard_normal((N, T, 2)).astype(np.float32)
LABELS = rng.integers(0, C, (N, T))
BITS = rng.integers(0, 2, (N, T, C)).astype(np.float32)
VALUES = rng.standard_normal((N, T, C)).astype(np.float32)
WEIGHTS = rng.uniform(0, 2, (N, T)).astype(np.float32)
WEIGHTS[2, 1] = WEIGHTS[5] = 0

# by the shape in which weights come, those of each element of a loss (N, T)
GIVEN: dict[str, tuple[Any, np.ndarray]] = {
    "none": (None, np.ones((N, T))),
    "samples": (WEIGHTS[:, 0], np.repeat(WEIGHTS[:, :1], T, 1)),
    "column": (WEIGHTS[:, :1], np.repeat(WEIGHTS[:, :1], T, 1)),
    "elements": (WEIGHTS, WEIGHTS),
    "one more axis": (WEIGHTS[..., None].tolist(), WEIGHTS),
}


class Net(nn.Module):
    """A dense layer over the last axis, whose outputs are (n, T, C), or (n, C, T) with classes_first."""

    def __init__(self, activation: str | None = None, units: int = C, classes_first: bool = False) -> None:
        super().__init__()
        self.layer, self.classes_first = fastnn.Dense(units, activation=activation, input_shape=(T, 2)), classes_first

    def forward(self, x: Any) -> Any:
        y = self.layer(x)
        return fastnn.transpose(y, (0, 2, 1)) if self.classes_first else y


def compiled(loss: Any, *args: Any, lr: float = 0.1, given: Any = (), **kwargs: Any) -> Any:
    model = Net(*args, **kwargs)
    model.compile(fastnn.optim.SGD(lr=lr), loss, metrics=list(given))
    return model


def entropies(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -np.log(np.take_along_axis(p.astype(np.float64), labels[..., None], -1)[..., 0])


@pytest.mark.parametrize("shape", GIVEN)
@pytest.mark.parametrize("backend", HOSTS)
def test_fit_and_evaluate_take_labels_and_weights_of_each_element(backend: str, shape: str) -> None:
    given, full = GIVEN[shape]
    with fastnn.use_backend(backend):
        model = compiled("sparse_categorical_crossentropy", "softmax", lr=0.0, given=["accuracy", "crossentropy"])
        p = model.predict(X)
        each = entropies(p, LABELS)
        wanted = (each * full).mean(), (p.argmax(-1) == LABELS).mean(), each.mean()
        for y in (LABELS, LABELS[..., None], LABELS.astype(float).tolist()):
            for size in (N, 4):
                assert model.evaluate(X, y, batch_size=size, sample_weight=given) == pytest.approx(wanted, rel=1e-5)
        history = model.fit(X, LABELS, batch_size=4, epochs=4, sample_weight=given, validation_split=0.5, verbose=0).history
        cut = N - N // 2 - 1
        assert history["loss"] == pytest.approx([(each * full)[:cut].mean()] * 4, rel=1e-5)
        assert history["val_loss"] == pytest.approx([(each * full)[cut:].mean()] * 4, rel=1e-5)
        triple = {"validation_data": (X, LABELS, given)} if given is not None else {"validation_data": (X, LABELS)}
        assert model.fit(X, LABELS, verbose=0, **triple).history["val_loss"] == pytest.approx([wanted[0]], rel=1e-5)
        for _ in range(4):  # the last ones are replayed
            assert model.train_on_batch(X, LABELS, given) == pytest.approx(wanted, rel=1e-5)
        assert model.test_on_batch(X, LABELS, given) == pytest.approx(wanted, rel=1e-5)


def test_train_on_batch_takes_weights_of_one_shape_after_those_of_another() -> None:
    model = compiled("sparse_categorical_crossentropy", "softmax", lr=0.0)
    each = entropies(model.predict(X), LABELS)
    for _ in range(3):
        for given, full in GIVEN.values():
            assert model.train_on_batch(X, LABELS, given) == pytest.approx((each * full).mean(), rel=1e-5)


def test_batches_of_an_iterable_bring_weights_of_each_element() -> None:
    model = compiled("sparse_categorical_crossentropy", "softmax", lr=0.0)
    batches = [
        (X[:6], LABELS[:6], WEIGHTS[:6]),
        (X[6:, :2], LABELS[6:, :2], WEIGHTS[6:, :2]),
        (X[:6], LABELS[:6], WEIGHTS[:6, 0]),
    ]
    found = []
    for x, y, weight in batches:
        each = entropies(model.predict(x), y)
        found.append((each * (weight if weight.ndim == 2 else weight[:, None])).mean())
    mean = np.average(found, weights=[len(x) for x, _, _ in batches])
    with pytest.warns(RuntimeWarning, match="steps are not recorded .* the batches come from x, a Again"):
        history = model.fit(Again(batches), epochs=3, verbose=0).history
    assert history["loss"] == pytest.approx([mean] * 3, rel=1e-5)
    assert model.evaluate(Again(batches)) == pytest.approx(mean, rel=1e-5)


class Again:
    """Batches that can be run through again and again."""

    def __init__(self, given: list[Any]) -> None:
        self.given = given

    def __iter__(self) -> Iterator[Any]:
        return iter(self.given)


# loss, activation, targets (N, T, C) or labels (N, T)
LOSSES: dict[str, tuple[Callable[[], Any], str | None, np.ndarray]] = {
    "labels": (lambda: losses.SparseCategoricalCrossentropy(from_logits=True), None, LABELS),
    "ignored": (lambda: losses.SparseCategoricalCrossentropy(ignore_class=1), "softmax", LABELS),
    "one-hot": (losses.CategoricalCrossentropy, "softmax", np.eye(C, dtype=np.float32)[LABELS]),
    "binary": (losses.BinaryCrossentropy, "sigmoid", BITS),
    "mse": (losses.MeanSquaredError, None, VALUES),
    "huber by weight": (lambda: losses.Huber(reduction="mean_with_sample_weight"), None, VALUES),
    "cosine": (losses.CosineSimilarity, None, VALUES),
    "sum": (lambda: losses.MeanAbsoluteError(reduction="sum"), None, VALUES),
    "gaussian": (losses.GaussianNLL, None, VALUES[..., :2]),
    "quantiles": (lambda: losses.Quantile([0.1, 0.3, 0.7, 0.9]), None, VALUES[..., :1]),
    "own": (lambda: lambda t, p: ((t - p) ** 2).mean(-1), None, VALUES),
    "own of labels": (lambda: lambda t, p: fastnn.log_softmax(p, -1).sum(-1) * t.astype("float32"), None, LABELS),
    "torch mse": (nn.MSELoss, None, VALUES),
    "torch binary": (nn.BCEWithLogitsLoss, None, BITS),
}


@pytest.mark.parametrize("shape", ["none", "samples", "elements"])
@pytest.mark.parametrize("name", LOSSES)
def test_steps_are_those_of_the_loss_called_by_hand(name: str, shape: str) -> None:
    make, activation, y = LOSSES[name]
    given, loss = GIVEN[shape][0], losses.get(make())
    model = compiled(make(), activation)
    kernel, bias = (fastnn.tensor(w, requires_grad=True) for w in model.get_weights())
    for _ in range(5):  # as recorded steps do
        kernel.grad = bias.grad = None
        outputs = fastnn.matmul(fastnn.tensor(X.reshape(-1, 2)), kernel) + bias
        outputs = fastnn.ops.activation.softmax(outputs) if activation == "softmax" else outputs
        outputs = fastnn.sigmoid(outputs) if activation == "sigmoid" else outputs
        value = loss(y, outputs.reshape(N, T, C), given)
        value.backward()
        assert model.train_on_batch(X, y, given) == pytest.approx(value.item(), rel=1e-4)
        kernel, bias = (fastnn.tensor(w.numpy() - 0.1 * w.grad.numpy(), requires_grad=True) for w in (kernel, bias))
    for ours, theirs in zip(model.get_weights(), (kernel, bias), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", ["none", "samples", "elements"])
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(ignore_index=1), nn.NLLLoss(weight=[1.0, 2.0, 0.5, 1.5])])
def test_losses_of_classes_of_pytorch_have_the_classes_second(loss: Any, shape: str) -> None:
    given, full = GIVEN[shape]
    model = compiled(
        loss, "log_softmax" if isinstance(loss, nn.NLLLoss) else None, lr=0.0, given=["accuracy"], classes_first=True
    )
    z = model.predict(X)
    weight = np.ones(C) if loss.weight is None else loss.weight
    counts = weight[LABELS] * full * (loss.ignore_index != LABELS)
    p = np.exp(z.astype(np.float64))
    p = np.moveaxis(p / p.sum(1, keepdims=True), 1, -1)
    hits = (p.argmax(-1) == LABELS)[loss.ignore_index != LABELS].mean()
    wanted = (entropies(p, LABELS) * counts).sum() / counts.sum(), hits
    assert model.evaluate(X, LABELS, batch_size=4, sample_weight=given) == pytest.approx(wanted, rel=1e-5)
    for _ in range(3):
        assert model.train_on_batch(X, LABELS, given) == pytest.approx(wanted, rel=1e-5)
    assert loss(fastnn.tensor(z), LABELS, given).item() == pytest.approx(wanted[0], rel=1e-5)


def test_probabilities_for_losses_of_classes_of_pytorch() -> None:
    y = np.moveaxis(np.eye(C, dtype=np.float32)[LABELS], -1, 1)
    found = []
    for targets in (y, LABELS):
        fastnn.seed(0)
        model = compiled(nn.CrossEntropyLoss(), lr=0.0, given=["accuracy"], classes_first=True)
        model.fit(X, targets, class_weight={0: 3.0}, verbose=0)
        found.append((*model.evaluate(X, targets), *model.history.history["accuracy"]))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_weights_of_classes_of_each_element() -> None:
    model = compiled("sparse_categorical_crossentropy", "softmax", lr=0.0)
    each = entropies(model.predict(X), LABELS)
    of_class = np.array([2.0, 0.0, 1.0, 3.0])[LABELS]
    weights = {0: 2.0, 1: 0.0, 3: 3.0}
    for given, full in GIVEN.values():
        (loss,) = model.fit(X, LABELS, class_weight=weights, sample_weight=given, verbose=0).history["loss"]
        assert loss == pytest.approx((each * of_class * full).mean(), rel=1e-5)
    one_hot = compiled("categorical_crossentropy", "softmax", lr=0.0)
    one_hot.set_weights(model.get_weights())
    (loss,) = one_hot.fit(X, np.eye(C)[LABELS], class_weight=weights, verbose=0).history["loss"]
    assert loss == pytest.approx((each * of_class).mean(), rel=1e-5)
    binary = compiled("binary_crossentropy", "sigmoid", 1, lr=0.0)
    p, t = binary.predict(X)[..., 0].astype(float), BITS[..., 0]
    (loss,) = binary.fit(X, t, class_weight={1: 3.0}, sample_weight=WEIGHTS, verbose=0).history["loss"]
    each = -np.log(np.where(t == 1, p, 1 - p))
    assert loss == pytest.approx((each * np.where(t == 1, 3, 1) * WEIGHTS).mean(), rel=1e-5)


def test_targets_of_weight_0_may_be_nan() -> None:
    broken = np.where(WEIGHTS[..., None] == 0, np.nan, VALUES)
    for loss in ("mse", nn.MSELoss(), losses.CosineSimilarity()):
        assert np.isfinite(compiled(loss).fit(X, broken, sample_weight=WEIGHTS, epochs=3, verbose=0).history["loss"]).all()
    full = np.repeat(WEIGHTS[..., None], C, -1)
    assert np.isfinite(compiled(nn.L1Loss()).fit(X, broken, sample_weight=full, verbose=0).history["loss"]).all()
    turned = np.moveaxis(np.where(WEIGHTS[..., None] == 0, np.nan, ONE_HOT), -1, 1)
    model = compiled(nn.CrossEntropyLoss(), classes_first=True)
    assert np.isfinite(model.fit(X, turned, sample_weight=WEIGHTS, epochs=3, verbose=0).history["loss"]).all()
    with pytest.raises(ValueError, match=r"y has 8 values that are NaN or infinite, the first at y\[3, 0, 0\]"):
        compiled("mse").fit(X, np.where(np.eye(N, T, -3)[..., None] == 1, np.nan, broken), sample_weight=WEIGHTS, verbose=0)


REDUCED: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Any]] = {
    "sum_over_batch_size": lambda each, weight, mask: (each * weight * mask).sum() / mask.sum(),
    "mean": lambda each, weight, mask: (each * weight * mask).sum() / mask.sum(),
    "mean_with_sample_weight": lambda each, weight, mask: (each * weight * mask).sum() / (weight * mask).sum(),
    "sum": lambda each, weight, mask: (each * weight * mask).sum(),
    "none": lambda each, weight, mask: each * weight * mask,
}


@pytest.mark.parametrize("reduction", REDUCED)
def test_a_mean_is_over_what_the_mask_counts(reduction: str) -> None:
    pred = rng.standard_normal((N, T, C))
    mask = rng.integers(0, 2, (N, T)).astype(bool)
    each = (VALUES - pred) ** 2
    broken = np.where(mask[..., None], pred, np.nan)  # elements that do not count may hold anything
    for given, full in GIVEN.values():
        for loss in (losses.MeanSquaredError, lambda **k: losses.CustomLoss(lambda t, p: ((t - p) ** 2).mean(-1), **k)):
            weight = np.ones((N, T)) if given is None else full
            x = fastnn.tensor(pred, requires_grad=True)
            y = loss(reduction=reduction)(VALUES, x, given, mask)
            wanted = REDUCED[reduction](each.mean(-1), weight, mask)
            if reduction == "mean_with_sample_weight" and given is None:
                wanted = REDUCED["mean"](each.mean(-1), weight, mask)
            np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-5)
            y.sum().backward()
            assert not x.grad.numpy()[~mask].any()
        y = losses.MeanSquaredError(reduction=reduction)(VALUES, fastnn.tensor(broken), given, mask)
        np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-5)
    labels = np.where(mask, LABELS, 2)
    p = rng.dirichlet(np.ones(C), (N, T))
    sparse = losses.SparseCategoricalCrossentropy(ignore_class=2, reduction=reduction)
    counts = mask & (LABELS != 2)
    for y_true, of in ((labels, None), (LABELS, mask), (LABELS, mask[..., None].tolist())):  # ignored labels are a mask, too
        value = sparse(y_true, fastnn.tensor(p), WEIGHTS, of)
        np.testing.assert_allclose(value.numpy(), REDUCED[reduction](entropies(p, LABELS), WEIGHTS, counts), rtol=1e-5)


def test_a_mask_in_which_nothing_counts() -> None:
    for loss in (losses.MeanSquaredError(), losses.get(nn.MSELoss()), losses.CustomLoss(lambda t, p: abs(t - p))):
        x = fastnn.tensor(VALUES + 1, requires_grad=True)
        y = loss(VALUES, x, mask=np.zeros(N, bool))
        y.backward()
        assert y.item() == 0 and not x.grad.numpy().any()


def test_masks_of_losses_of_pytorch_as_fit_calls_them() -> None:
    mask = WEIGHTS > 1
    z = fastnn.tensor(rng.standard_normal((N, C, T)))
    cross = losses.get(nn.CrossEntropyLoss(ignore_index=1))
    ignored = cross(np.where(mask, LABELS, 1), z, WEIGHTS).item()
    assert cross(LABELS, z, WEIGHTS, mask).item() == pytest.approx(ignored, rel=1e-6)
    pred = rng.standard_normal((N, T, C))
    squares = losses.get(nn.MSELoss())(VALUES, fastnn.tensor(pred), None, mask).item()
    assert squares == pytest.approx(((pred - VALUES) ** 2)[mask].mean(), rel=1e-5)


P = rng.dirichlet(np.ones(C), (N, T)).astype(np.float32)
ONE_HOT = np.eye(C, dtype=np.float32)[LABELS]
# metric, targets; those of which each element has a weight, or each row of elements
METRICS: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "accuracy": (metrics.SparseCategoricalAccuracy, LABELS),
    "top k": (lambda: metrics.SparseTopKCategoricalAccuracy(2), LABELS),
    "entropy": (metrics.SparseCategoricalCrossentropy, LABELS),
    "perplexity": (metrics.Perplexity, LABELS),
    "one-hot accuracy": (metrics.CategoricalAccuracy, ONE_HOT),
    "one-hot top k": (lambda: metrics.TopKCategoricalAccuracy(2), ONE_HOT),
    "one-hot entropy": (metrics.CategoricalCrossentropy, ONE_HOT),
    "binary accuracy": (metrics.BinaryAccuracy, BITS),
    "binary entropy": (metrics.BinaryCrossentropy, BITS),
    "mse": (metrics.MeanSquaredError, VALUES),
    "rmse": (metrics.RootMeanSquaredError, VALUES),
    "mae": (metrics.MeanAbsoluteError, VALUES),
    "mape": (metrics.MeanAbsolutePercentageError, VALUES),
    "cosine": (metrics.CosineSimilarity, VALUES),
    "r2": (metrics.R2Score, VALUES),
    "auc": (metrics.AUC, BITS),
    "confusion": (metrics.ConfusionMatrix, LABELS),
    "f1": (lambda: metrics.F1Score(average="macro"), LABELS),
    "one-hot f1": (lambda: metrics.F1Score(average="macro"), ONE_HOT),
    "precision": (lambda: metrics.Precision(average="macro"), BITS),
    "recall of a class": (lambda: metrics.Recall(class_id=1), BITS),
    "own": (lambda: metrics.MeanMetricWrapper(lambda t, p: ((t - p) ** 2).mean(-1)), VALUES),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_count_rows_by_their_weights(name: str) -> None:
    make, y = METRICS[name]
    for given, full in GIVEN.values():
        whole, by_row = make(), make()
        for part in (slice(0, 4), slice(4, N)):
            whole.update_state(y[part], P[part], None if given is None else np.asarray(given)[part])
        by_row.update_state(y.reshape(N * T, *y.shape[2:]), P.reshape(N * T, C), full.reshape(-1))
        np.testing.assert_allclose(whole.result(), by_row.result(), rtol=1e-5)


@pytest.mark.parametrize("name", ["mse", "mae", "mape", "binary accuracy", "binary entropy", "auc"])
def test_metrics_of_outputs_by_themselves_take_a_weight_for_each(name: str) -> None:
    make, y = METRICS[name]
    weight = rng.uniform(0, 1, (N, T, C))
    whole, by_output = make(), make()
    whole.update_state(y, P, weight)
    by_output.update_state(y.reshape(-1, 1), P.reshape(-1, 1), weight.reshape(-1))
    assert whole.result() == pytest.approx(by_output.result(), rel=1e-5)


def _fit(y: Any, weight: Any = None, loss: Any = "sparse_categorical_crossentropy") -> Callable[[], Any]:
    return lambda: compiled(loss, "softmax").fit(X, y, sample_weight=weight, verbose=0)


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "labels of other steps": (_fit(LABELS[:, :2]), ValueError, r"fit: y has shape \(11, 2\); wanted .* \(n, 3\)"),
    "labels of samples": (_fit(LABELS[:, 0]), ValueError, r"fit: y has shape \(11,\); wanted .* \(n, 3\)"),
    "no class": (_fit(LABELS + np.eye(N, T, dtype=int) * C), ValueError, r"fit: y\[0, 0\] is \d, but the model has 4 outputs"),
    "no whole number": (_fit(LABELS + 0.5), ValueError, r"fit: y\[0, 0\] is .*; wanted class numbers"),
    "one-hot": (_fit(ONE_HOT), ValueError, "fit: y has rows of 4 values, wanted labels"),
    "weights of steps": (
        _fit(LABELS, np.ones(T)),
        ValueError,
        r"fit: sample_weight has shape \(3,\); wanted .*\(11, 3\)",
    ),
    "weights of outputs": (_fit(LABELS, np.ones((N, T, C))), ValueError, r"sample_weight has shape \(11, 3, 4\); wanted"),
    "weights turned": (_fit(LABELS, np.ones((T, N))), ValueError, r"sample_weight has shape \(3, 11\); wanted"),
    "weight NaN": (_fit(LABELS, np.full((N, T), np.nan)), ValueError, r"fit: sample_weight\[0, 0\] is nan"),
    "own loss": (_fit(VALUES, WEIGHTS, lambda t, p: (t - p).mean((1, 2))), ValueError, r"sample_weight has shape \(11, 3\)"),
    "classes last": (
        _fit(LABELS, None, nn.CrossEntropyLoss()),
        ValueError,
        r"y has shape \(11, 3\), but the model's output has \(11, 3, 4\), and the second axis .*SparseCategoricalCrossentropy",
    ),
    "classes last by hand": (
        lambda: nn.CrossEntropyLoss()(fastnn.tensor(P), LABELS),
        ValueError,
        r"target must have \(11, 4\), but has \(11, 3\); the classes are the second axis",
    ),
    "labels turned": (
        lambda: losses.SparseCategoricalCrossentropy()(LABELS.T, fastnn.tensor(P)),
        ValueError,
        r"labels have shape \(3, 11\), wanted \(11, 3\) for predictions of shape \(11, 3, 4\)",
    ),
    "mask turned": (
        lambda: losses.MeanSquaredError()(VALUES, fastnn.tensor(P), mask=np.ones((T, N))),
        ValueError,
        r"mean_squared_error: mask has shape \(3, 11\); wanted",
    ),
    "mask of one number": (
        lambda: losses.CustomLoss(lambda t, p: (t - p).sum())(VALUES, fastnn.tensor(P), mask=np.ones(N)),
        ValueError,
        "mask needs a loss of each sample",
    ),
    "metric": (
        lambda: metrics.CosineSimilarity().update_state(VALUES, P, np.ones((N, T, C))),
        ValueError,
        r"metric cosine_similarity: sample_weight has shape \(11, 3, 4\)",
    ),
    "metric turned": (
        lambda: metrics.MeanSquaredError().update_state(VALUES, P.transpose(0, 2, 1)),
        ValueError,
        "does not fit",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_arrays_as_they_came(name: str) -> None:
    call, kind, text = ERRORS[name]
    with pytest.raises(kind, match=text):
        call()
