"""Losses by themselves: what no other library has, gradients by differences, weights of 0, and what is refused."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import losses
from fastnn.backends.spec import POINTWISE_LOSSES, pointwise_loss
from fastnn.ops.pointwise_loss import pointwise_loss as apply

rng = np.random.default_rng(0)
COLUMNS = rng.standard_normal((6, 4))
POSITIVE = rng.uniform(0.2, 3, (6, 4))
ONE_HOT = np.eye(4)[[0, 1, 2, 3, 1, 2]]
LABELS = ONE_HOT.argmax(1)
SIGNS = 2 * ONE_HOT - 1

# name -> arguments, targets, predictions of 4 columns, where they are not those of any loss of real numbers.
_SPECIAL: dict[str, tuple[dict[str, Any], np.ndarray, np.ndarray]] = {
    "sparse_categorical_crossentropy": ({"from_logits": True}, LABELS, COLUMNS),
    "categorical_crossentropy": ({"from_logits": True}, ONE_HOT, COLUMNS),
    "binary_crossentropy": ({"from_logits": True}, ONE_HOT, COLUMNS),
    "binary_focal_crossentropy": ({"from_logits": True, "gamma": 1.5}, ONE_HOT, COLUMNS),
    "categorical_focal_crossentropy": ({"from_logits": True, "alpha": [0.1, 0.2, 0.3, 0.4]}, ONE_HOT, COLUMNS),
    "kl_divergence": ({}, ONE_HOT, rng.dirichlet(np.ones(4), 6)),
    "poisson": ({}, POSITIVE, POSITIVE[::-1].copy()),
    "gamma": ({"log_input": True}, POSITIVE, COLUMNS),
    "tweedie": ({"power": 1.3}, POSITIVE, POSITIVE[::-1].copy()),
    "gaussian_nll": ({}, COLUMNS[:, :2] + 1, COLUMNS),
    "mean_squared_logarithmic_error": ({}, POSITIVE, POSITIVE[::-1].copy()),
    "huber": ({"delta": 0.5}, SIGNS, COLUMNS),
    "quantile": ({"quantile": [0.1, 0.4, 0.5, 0.9]}, SIGNS[:, :1], COLUMNS),
    "categorical_hinge": ({}, ONE_HOT, COLUMNS),
    "categorical_generalized_cross_entropy": ({"q": 0.7}, LABELS, rng.dirichlet(np.ones(4), 6)),
}
_WHOLE = ("circle", "ctc", "dice", "tversky")
LOSSES = {name: _SPECIAL.get(name, ({}, SIGNS, COLUMNS)) for name in losses.LOSSES if name not in _WHOLE}
"""All losses of rows; test_ctc.py tests the one of sequences, test_loss_keras.py those of batches and pictures."""


def test_names() -> None:
    for name, cls in losses.LOSSES.items():
        assert type(losses.get(name)) is type(losses.get(cls.__name__)) is type(losses.get(cls)) is cls
    for alias, name in {"mae": "MeanAbsoluteError", "MAPE": "MeanAbsolutePercentageError", "kld": "KLDivergence"}.items():
        assert type(losses.get(alias)).__name__ == name
    assert losses.Huber(name="mine").get_config() == {"reduction": "sum_over_batch_size", "name": "mine", "delta": 1.0}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_weights_and_reductions(name: str) -> None:
    kwargs, targets, predictions = LOSSES[name]
    make = losses.LOSSES[name]
    each = make(**kwargs, reduction="none")
    assert fastnn.gradcheck(lambda x: each(targets, x), [predictions])
    rows = each(targets, fastnn.tensor(predictions)).numpy()
    assert rows.shape == (6,)
    w = rng.uniform(0.5, 2, 6)
    wanted = {"sum": (w * rows).sum(), "mean": (w * rows).mean(), "sum_over_batch_size": (w * rows).mean()}
    wanted |= {"mean_with_sample_weight": (w * rows).sum() / w.sum()}
    for reduction, value in wanted.items():
        loss = make(**kwargs, reduction=reduction)
        assert loss(targets, fastnn.tensor(predictions), w).item() == pytest.approx(value, rel=1e-12)
        assert fastnn.gradcheck(lambda x, loss=loss: loss(targets, x, w), [predictions])
    np.testing.assert_allclose(each(targets, fastnn.tensor(predictions), w[:, None]).numpy(), w * rows, rtol=1e-12)
    in_float32 = each(targets, fastnn.tensor(predictions.astype(np.float32)))
    assert in_float32.dtype == np.float32
    np.testing.assert_allclose(in_float32.numpy(), rows, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_more_dimensions_are_more_rows(name: str) -> None:
    kwargs, targets, predictions = LOSSES[name]
    each = losses.LOSSES[name](**kwargs, reduction=None)
    flat = each(targets, fastnn.tensor(predictions)).numpy()
    t, x = targets.reshape(2, 3, *targets.shape[1:]), fastnn.tensor(predictions.reshape(2, 3, 4))
    np.testing.assert_allclose(each(t, x).numpy(), flat.reshape(2, 3), rtol=1e-12)
    w = np.array([1.0, 3.0])  # one for each sample
    np.testing.assert_allclose(each(t, x, w).numpy(), flat.reshape(2, 3) * w[:, None], rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_of_0_removes_a_row(name: str) -> None:
    """Whatever its values are; and NaN in a row that counts passes through."""
    kwargs, targets, predictions = LOSSES[name]
    loss, x = losses.LOSSES[name](**kwargs, reduction="none"), predictions.copy()
    for bad in (np.nan, np.inf, -np.inf):
        x[1] = bad
        w = np.array([1.0, 0, 1, 1, 1, 1])
        given = fastnn.tensor(x, requires_grad=True)
        y = loss(targets, given, w)
        assert np.isfinite(y.numpy()).all() and y.numpy()[1] == 0
        y.sum().backward()
        assert np.isfinite(given.grad.numpy()).all() and not given.grad.numpy()[1].any()
    x[1] = np.nan
    assert np.isnan(loss(targets, fastnn.tensor(x)).numpy()).tolist() == [False, True, False, False, False, False]


def test_large_logits() -> None:
    x, y = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32), np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    for name, right in (
        ("binary_crossentropy", [0, 1e4]),
        ("categorical_crossentropy", [0, 2e4]),
        ("binary_focal_crossentropy", [0, 1e4]),
    ):
        given = fastnn.tensor(x, requires_grad=True)
        value = losses.LOSSES[name](from_logits=True, reduction=None)(y, given)
        np.testing.assert_allclose(value.numpy(), right, rtol=1e-6)
        value.sum().backward()
        assert np.isfinite(given.grad.numpy()).all()
    for name in ("log_cosh", "huber", "hinge", "squared_hinge", "mean_absolute_error"):
        assert np.isfinite(losses.LOSSES[name](reduction=None)(y, fastnn.tensor(x)).numpy()).all()


def test_log_cosh_of_small_differences_is_exact() -> None:
    d = np.array([[1e-3], [1e-2], [0.5], [2.0]], np.float32)
    got = losses.LogCosh(reduction=None)(np.zeros_like(d), fastnn.tensor(d)).numpy()
    np.testing.assert_allclose(got, np.log(np.cosh(d[:, 0].astype(np.longdouble))).astype(np.float64), rtol=1e-6)


# ---- quantiles and deviances ----


def test_quantiles_of_a_sample() -> None:
    """The minimum of the pinball loss is the quantile."""
    y = rng.standard_normal(1001)
    x = np.tile(np.quantile(y, [0.1, 0.5, 0.9]), (1001, 1))
    loss = losses.Quantile([0.1, 0.5, 0.9])
    best = loss(y, fastnn.tensor(x)).item()
    for step in np.eye(3) * 0.05:
        assert loss(y, fastnn.tensor(x + step)).item() > best < loss(y, fastnn.tensor(x - step)).item()
    one = [losses.Quantile(q)(y, fastnn.tensor(x[:, i])).item() for i, q in enumerate([0.1, 0.5, 0.9])]
    assert best == pytest.approx(np.mean(one), rel=1e-12)


def test_a_model_of_quantiles_learns() -> None:
    x = rng.uniform(-1, 1, (400, 1)).astype(np.float32)
    y = x[:, 0] + rng.uniform(-1, 1, 400).astype(np.float32)
    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(1,))])
    model.compile(fastnn.optim.Adam(lr=0.03), fastnn.losses.Quantile([0.1, 0.5, 0.9]))
    model.fit(x, y, epochs=40, batch_size=50, verbose=0)
    share = (y[:, None] < model.predict(x)).mean(0)
    np.testing.assert_allclose(share, [0.1, 0.5, 0.9], atol=0.05)
    assert model.evaluate(x, y) == pytest.approx(model.evaluate(x, y[:, None]))


def test_a_model_of_mean_and_variance_learns() -> None:
    x = rng.uniform(-1, 1, (400, 1)).astype(np.float32)
    y = x + (0.1 + 0.4 * (x > 0)) * rng.standard_normal((400, 1)).astype(np.float32)
    model = fastnn.Sequential([fastnn.Dense(8, activation="tanh", input_shape=(1,)), fastnn.Dense(2)])
    model.compile(fastnn.optim.Adam(lr=0.03), fastnn.losses.GaussianNLL())
    model.fit(x, y, epochs=60, batch_size=50, verbose=0)
    spread = np.exp(model.predict(np.array([[-0.6], [0.6]]))[:, 1] / 2)
    assert 0.05 < spread[0] < 0.2 and 0.35 < spread[1] < 0.7


@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0, 1.5, 2.0, 3.0])
def test_deviances_are_scikit_learn_s(power: float) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    y, mu = rng.uniform(0.1, 4, 20), rng.uniform(0.1, 4, 20)
    if 1 <= power < 2:
        y[:5] = 0
    right = metrics.mean_tweedie_deviance(y, mu, power=power)
    assert losses.Tweedie(power)(y, fastnn.tensor(mu)).item() == pytest.approx(right, rel=1e-10)
    assert losses.Tweedie(power, log_input=True)(y, fastnn.tensor(np.log(mu))).item() == pytest.approx(right, rel=1e-10)
    if power == 2:
        assert losses.Gamma()(y, fastnn.tensor(mu)).item() == pytest.approx(right, rel=1e-10)
    for log_input in (False, True):
        assert fastnn.gradcheck(lambda x, log=log_input: losses.Tweedie(power, log)(y, x), [np.log(mu) if log_input else mu])


def test_pinball_is_scikit_learn_s() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    y, x = rng.standard_normal(20), rng.standard_normal(20)
    for q in (0.0, 0.3, 1.0):
        assert losses.Quantile(q)(y, fastnn.tensor(x)).item() == pytest.approx(
            metrics.mean_pinball_loss(y, x, alpha=q), rel=1e-12
        )


def test_variances_below_epsilon() -> None:
    loss = losses.GaussianNLL(log_variance=False, epsilon=0.5)
    x = fastnn.tensor([[0.0, 0.1]], dtype="float64", requires_grad=True)
    y = loss([[1.0]], x)
    assert y.item() == pytest.approx(0.5 * (np.log(0.5) + 2))
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-2.0, 0.5 * (2 - 4)]])  # as at 0.5


# ---- gradients by the target ----


@pytest.mark.parametrize("kind", POINTWISE_LOSSES, ids=lambda kind: kind.name)
def test_gradients_by_the_target(kind: Any) -> None:
    """There for functions of the difference, refused for the others."""
    x, t = rng.uniform(0.2, 0.8, (3, 4)), rng.uniform(0.2, 0.8, (3, 4))
    fn = pointwise_loss(kind.name)
    if kind.difference:
        assert fastnn.gradcheck(lambda a, b: apply(a, b, fn), [x, t])
        return
    target = fastnn.tensor(t, requires_grad=True)
    with pytest.raises(ValueError, match=rf"{kind.name}: the target requires a gradient.*detach"):
        apply(fastnn.tensor(x), target, fn)
    with fastnn.no_grad():
        apply(fastnn.tensor(x), target, fn)
    apply(fastnn.tensor(x), target.detach(), fn)


# ---- what is refused ----

X = fastnn.tensor(COLUMNS)
ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "reduction": (lambda: losses.Huber(reduction="average"), ValueError, "Huber: reduction='average', wanted one of 'sum_over"),
    "delta": (lambda: losses.Huber(delta=-1), ValueError, "Huber: delta is -1, wanted a finite number of at least 0"),
    "quantile": (lambda: losses.Quantile(1.5), ValueError, "Quantile: quantile is 1.5, wanted a finite number from 0 to 1"),
    "quantiles": (lambda: losses.Quantile([0.5, "x"]), ValueError, "Quantile: quantile is 'x'"),
    "no quantiles": (lambda: losses.Quantile([]), ValueError, "empty list"),
    "columns": (lambda: losses.Quantile([0.1, 0.9])(COLUMNS[:, :1], X), ValueError, r"\(6, 4\), wanted a column for each of 2"),
    "quantile targets": (
        lambda: losses.Quantile([0.1] * 4)(COLUMNS, X),
        ValueError,
        r"targets have shape \(6, 4\), wanted \(6,\) or",
    ),
    "power": (lambda: losses.Tweedie(0.5), ValueError, "no such distribution between 0 and 1"),
    "odd": (lambda: losses.GaussianNLL()(COLUMNS[:, :1], X[:, :3]), ValueError, "even number of columns"),
    "variances": (lambda: losses.GaussianNLL()(COLUMNS, X), ValueError, r"targets have shape \(6, 4\), wanted \(6, 2\)"),
    "shapes": (
        lambda: losses.LogCosh()(COLUMNS[:, :2], X),
        ValueError,
        r"log_cosh: targets have shape \(6, 2\), predictions \(6, 4\)",
    ),
    "weights": (
        lambda: losses.LogCosh()(COLUMNS, X, [1.0, 2.0]),
        ValueError,
        r"log_cosh: sample_weight.*\(6,\)",
    ),
    "whole numbers": (lambda: losses.LogCosh()([[1]], fastnn.tensor([[1]])), TypeError, "log_cosh: a Tensor of dtype int64"),
    "column": (
        lambda: apply(X, X, pointwise_loss("huber"), column=np.ones(4)),
        ValueError,
        "huber: a column came, but there is none",
    ),
    "target gradient": (
        lambda: losses.CategoricalCrossentropy()(fastnn.tensor(ONE_HOT, requires_grad=True), fastnn.softmax(X)),
        ValueError,
        "the target requires a gradient",
    ),
    "p": (lambda: nn.MultiMarginLoss(p=3), ValueError, "MultiMarginLoss: p is 3, wanted 1 or 2"),
    "triplet shapes": (
        lambda: nn.TripletMarginLoss()(X, X, X[:2]),
        ValueError,
        r"\(6, 4\), \(6, 4\), \(2, 4\) came, wanted one shape",
    ),
    "triplet count": (lambda: nn.TripletMarginLoss()(X, X), TypeError, "wanted anchor, positive, negative"),
    "cosine": (lambda: nn.CosineEmbeddingLoss()(X, X, [1.0]), ValueError, r"target \(1,\); wanted \(M, N\) and \(M,\)"),
    "var": (lambda: nn.GaussianNLLLoss()(X, X, X[:2]), ValueError, r"var has shape \(2, 4\), input \(6, 4\)"),
    "weight": (
        lambda: nn.BCELoss(weight=[1.0, 2.0])(ONE_HOT, ONE_HOT),
        ValueError,
        r"BCELoss: weight of shape \(2,\) does not broadcast",
    ),
    "class weight": (
        lambda: nn.NLLLoss(weight=[1.0, 2.0])(X, LABELS),
        ValueError,
        r"NLLLoss: weight: shape \(2,\) came, wanted \(4,\)",
    ),
    "labels": (lambda: nn.NLLLoss()(X, LABELS[:2]), ValueError, r"NLLLoss: input has shape \(6, 4\), so target must have \(6,\)"),
    "label": (lambda: nn.MultiMarginLoss()(X, [0, 1, 2, 3, 4, 0]), ValueError, r"target\[4\] is 4"),
    "probabilities": (lambda: nn.NLLLoss()(X, ONE_HOT), ValueError, r"so target must have \(6,\), but has \(6, 4\)"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("cls", losses.LOSSES.values(), ids=lambda cls: cls.name)
def test_every_argument_of_a_loss_is_saved(cls: Any) -> None:
    missing = set(inspect.signature(cls).parameters) - set(cls(reduction="sum", name="mine").get_config())
    assert not missing, f"{cls.__name__}.get_config lacks {missing}; arguments are kept as attributes of their names"


def test_every_loss_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text()
    for cls in losses.LOSSES.values():
        assert f"`{cls.__name__}`" in page, f"docs/losses.md has no row for {cls.__name__}"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", [fastnn.losses.BinaryCrossentropy, nn.BCELoss])
def test_binary_cross_entropy_of_probabilities_close_to_the_ends(loss: Any, smoothing: float) -> None:
    if smoothing and loss is nn.BCELoss:
        return
    near = np.float32([1 - 2e-7, 1 - 1e-6, 1 - 1e-4, 2e-7, 1e-6, 0.3])
    for t in (np.ones(6, np.float32), np.zeros(6, np.float32)):
        p = fastnn.tensor(near.reshape(-1, 1), requires_grad=True)
        made = loss(label_smoothing=smoothing)(t.reshape(-1, 1), p) if loss is not nn.BCELoss else loss()(p, t.reshape(-1, 1))
        made.backward()
        x, u = near.astype(np.float64), t * (1 - smoothing) + smoothing / 2
        np.testing.assert_allclose(p.grad.numpy()[:, 0] * 6, (x - u) / (x * (1 - x)), rtol=2e-6)
        np.testing.assert_allclose(made.item(), np.mean(-u * np.log(x) - (1 - u) * np.log1p(-x)), rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("balanced", [False, True])
def test_binary_focal_of_probabilities_close_to_the_ends(gamma: float, balanced: bool) -> None:
    x = np.float32([1 - 2e-7, 1 - 1e-6, 1 - 1e-4, 2e-7, 1e-6, 0.3])
    loss = losses.BinaryFocalCrossentropy(balanced, 0.25, gamma, reduction="sum")
    for t in (1.0, 0.0):
        p = fastnn.tensor(x[:, None], requires_grad=True)
        made = loss(np.full((6, 1), t, np.float32), p)
        made.backward()
        right = x.astype(np.float64) if t else 1 - x.astype(np.float64)
        a = (0.25 if t else 0.75) if balanced else 1.0
        slope = a * (gamma * (1 - right) ** (gamma - 1) * np.log(right) - (1 - right) ** gamma / right) * (1 if t else -1)
        np.testing.assert_allclose(p.grad.numpy()[:, 0], slope, rtol=1e-5)
        assert made.item() == pytest.approx((a * (1 - right) ** gamma * -np.log(right)).sum(), rel=1e-5)
