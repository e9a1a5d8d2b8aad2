"""fastnn.distributions: as torch.distributions, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.distributions import Bernoulli, Categorical, Distribution, Normal, Uniform, kl_divergence

torch = pytest.importorskip("torch")
rng = np.random.default_rng(5)
A, B = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
P, Q = 1 / (1 + np.exp(-A)), np.exp(B)
TRIANGLE = np.tril(rng.uniform(0.1, 0.5, (4, 4))) + np.eye(4)

MADE: dict[str, tuple[Callable[..., Any], tuple[Any, ...], np.ndarray[Any, Any]]] = {
    "Normal": (lambda d, loc, scale: d.Normal(loc, scale), (A, Q), rng.standard_normal((2, 3, 4))),
    "Uniform": (lambda d, low, width: d.Uniform(low, low + width), (A, Q), A + 0.1 * Q),
    "Categorical": (lambda d, logits: d.Categorical(logits=logits), (A,), np.array([[0, 3, 1], [2, 2, 0]])),
    "Categorical of probs": (lambda d, probs: d.Categorical(probs), (Q,), np.array([0, 3, 1])),
    "Bernoulli": (lambda d, logits: d.Bernoulli(logits=logits), (A,), (B > 0) * 1.0),
    "Bernoulli of probs": (lambda d, probs: d.Bernoulli(probs), (P,), (B > 0) * 1.0),
    "Exponential": (lambda d, rate: d.Exponential(rate), (Q,), P),
    "Laplace": (lambda d, loc, scale: d.Laplace(loc, scale), (A, Q), B),
    "LogNormal": (lambda d, loc, scale: d.LogNormal(loc, scale), (A, P), Q),
    "Gamma": (lambda d, concentration, rate: d.Gamma(concentration, rate), (Q, P + 0.2), P),
    "Beta": (lambda d, one, zero: d.Beta(one, zero), (Q, P + 0.5), P[::-1].copy()),
    "Independent": (lambda d, loc, scale: d.Independent(d.Normal(loc, scale), 1), (A, Q), B),
    "MultivariateNormal": (lambda d, loc, low: d.MultivariateNormal(loc, scale_tril=low), (A, TRIANGLE), B),
    "MultivariateNormal of covariances": (lambda d, loc, c: d.MultivariateNormal(loc, c @ c.T), (A, TRIANGLE), B),
    "MultivariateNormal of precisions": (
        lambda d, loc, c: d.MultivariateNormal(loc, precision_matrix=c @ c.T),
        (A, TRIANGLE),
        rng.standard_normal((2, 3, 4)),
    ),
}


def compared(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    own = [fastnn.tensor(x, requires_grad=True) for x in inputs]
    expected, y = f(torch, torch.distributions, *theirs), f(fastnn, fastnn.distributions, *own)
    assert y.dtype == "float64" and y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    factor = rng.standard_normal(y.shape)
    (expected * torch.tensor(factor)).sum().backward()
    (y * factor).sum().backward()
    for a, b in zip(own, theirs, strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", MADE)
def test_log_prob_and_entropy(name: str) -> None:
    make, parameters, value = MADE[name]
    compared(lambda t, d, *xs: make(d, *xs).log_prob(t.tensor(value)), parameters)
    compared(lambda t, d, *xs: make(d, *xs).entropy(), parameters)
    if "Categorical" not in name:
        compared(lambda t, d, *xs: make(d, *xs).mean + make(d, *xs).variance, parameters)


@pytest.mark.parametrize("name", [n for n in MADE if n not in ("LogNormal", "Uniform") and " of " not in n])
def test_kl_divergence(name: str) -> None:
    make, parameters, _ = MADE[name]
    others = tuple(x * 1.5 if name == "MultivariateNormal" else x[::-1].copy() for x in parameters)
    n = len(parameters)
    compared(lambda t, d, *xs: d.kl_divergence(make(d, *xs[:n]), make(d, *xs[n:])), parameters + others)


def test_kl_divergence_of_uniform_distributions() -> None:
    low, width = np.array([0.2, 0.0]), np.array([0.5, 2.0])
    compared(lambda t, d, a, w: d.kl_divergence(d.Uniform(a, a + w), d.Uniform(a.detach() * 0, a.detach() * 0 + 1)), (low, width))


@pytest.mark.parametrize(
    "make",
    [
        lambda d, t: d.Exponential(t.tensor([2.0, 0.5])),
        lambda d, t: d.Laplace(t.tensor([1.0, -2.0]), 0.5),
        lambda d, t: d.LogNormal(t.tensor([0.1, -1.0]), 0.5),
        lambda d, t: d.Gamma(t.tensor([0.5, 3.0]), 2.0),
        lambda d, t: d.Beta(t.tensor([0.5, 3.0]), 2.0),
        lambda d, t: d.Independent(d.Normal(t.tensor([1.0, -2.0]), 0.5), 1),
        lambda d, t: d.MultivariateNormal(t.tensor([1.0, -2.0]), t.tensor([[1.0, 0.5], [0.5, 2.0]])),
    ],
)
def test_moments_of_samples(make: Callable[..., Any]) -> None:
    fastnn.manual_seed(1)
    p, peer = make(fastnn.distributions, fastnn), make(torch.distributions, torch)
    x = p.sample((40000,)).numpy()
    assert x.shape == (40000, 2) and (p.batch_shape, p.event_shape) == (tuple(peer.batch_shape), tuple(peer.event_shape))
    deviation = peer.stddev.numpy()
    assert np.all(abs(x.mean(0) - peer.mean.numpy()) < 0.03 * deviation)
    np.testing.assert_allclose(x.std(0), deviation, rtol=0.05)


def test_gradients_of_samples() -> None:
    for make in (
        lambda d, a, b: d.Exponential(a), lambda d, a, b: d.Laplace(a, b), lambda d, a, b: d.LogNormal(a, b),
        lambda d, a, b: d.Independent(d.Normal(a, b), 1),
        lambda d, a, b: d.MultivariateNormal(a, scale_tril=fastnn.diag(b)),
    ):  # fmt: skip

        def draw(a: Any, b: Any, make: Callable[..., Any] = make) -> Any:
            fastnn.manual_seed(3)
            return make(fastnn.distributions, a, b).rsample((4,)) + 0 * (a + b)

        assert fastnn.gradcheck(draw, [np.array([0.5, 2.0]), np.array([1.5, 0.7])])
    with pytest.raises(NotImplementedError, match="Gamma: its samples have no gradient; use sample and log_prob"):
        fastnn.distributions.Gamma(1.0, 1.0).rsample()


def test_names_that_are_absent_say_what_to_use() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Chi2': it is Gamma"):
        fastnn.distributions.Chi2  # noqa: B018


def test_cdf() -> None:
    compared(lambda t, d, loc, scale: d.Normal(loc, scale).cdf(t.tensor(B)), (A, Q))


def test_samples() -> None:
    fastnn.manual_seed(0)
    n = 20000
    x = Normal(fastnn.tensor([1.0, -2.0]), 0.5).sample((n,))
    assert x.shape == (n, 2) and not x.requires_grad
    np.testing.assert_allclose(x.mean(0).numpy(), [1.0, -2.0], atol=0.02)
    np.testing.assert_allclose(x.std(0).numpy(), [0.5, 0.5], atol=0.02)
    c = Categorical(fastnn.tensor([[1.0, 3.0, 0.0], [0.0, 1.0, 1.0]])).sample((n,))
    assert c.shape == (n, 2) and c.dtype == "int64"
    shares = np.stack([np.bincount(c.numpy()[:, i], minlength=3) / n for i in range(2)])
    np.testing.assert_allclose(shares, [[0.25, 0.75, 0.0], [0.0, 0.5, 0.5]], atol=0.02)
    assert Categorical(logits=fastnn.zeros(3)).sample().shape == () and Categorical(fastnn.ones(4, 3)).sample().shape == (4,)
    b = Bernoulli(fastnn.tensor([0.2, 0.9])).sample((n,))
    np.testing.assert_allclose(b.mean(0).numpy(), [0.2, 0.9], atol=0.02)
    u = Uniform(fastnn.tensor([2.0]), 4.0).sample((n,))
    assert 2 <= u.min().item() < 2.01 and 3.99 < u.max().item() <= 4


def test_rsample_has_gradients() -> None:
    loc, scale = fastnn.zeros(1000, requires_grad=True), fastnn.ones(1000, requires_grad=True)
    x = Normal(loc, scale).rsample()
    x.sum().backward()
    assert loc.grad is not None and scale.grad is not None and loc.grad.tolist() == [1.0] * 1000
    np.testing.assert_allclose(scale.grad.numpy(), x.detach().numpy(), atol=1e-6)


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: Normal(0.0, -1.0), ValueError, "Normal: scale has other values, wanted numbers above 0"),
    (lambda: Uniform(1.0, 1.0), ValueError, "Uniform: low"),
    (lambda: Categorical(), ValueError, "wanted one of probs and logits"),
    (lambda: Categorical(fastnn.tensor([-1.0, 2.0])), ValueError, "Categorical: probs"),
    (lambda: Categorical(logits=1.0), ValueError, "without dimensions"),
    (lambda: Bernoulli(fastnn.tensor([1.5])), ValueError, "Bernoulli: probs"),
    (lambda: Categorical(logits=fastnn.zeros(2)).rsample(), NotImplementedError, "no gradient; use sample and log_prob"),
    (lambda: kl_divergence(Normal(0.0, 1.0), Bernoulli(0.5)), NotImplementedError, "Normal and Bernoulli"),
    (lambda: Distribution().entropy(), NotImplementedError, "defines no entropy"),
]


@pytest.mark.parametrize(("f", "error", "words"), ERRORS, ids=[c[2][:20] for c in ERRORS])
def test_errors(f: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        f()
