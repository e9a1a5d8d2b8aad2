"""The Kullback-Leibler divergence of two distributions of one kind."""

from __future__ import annotations

import math

from ..autograd.tensor import Tensor
from ..ops import elementwise, logic
from ..ops.activation import log_sigmoid
from ..ops.gamma import digamma, lgamma
from . import joint
from .basic import Bernoulli, Categorical, Distribution, Normal, Uniform
from .joint import Independent, MultivariateNormal
from .positive import Beta, Exponential, Gamma, Laplace


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Return the Kullback-Leibler divergence of two distributions of one kind: the mean of log p - log q over p.

    Raises:
        NotImplementedError: there is no formula for these two.

    >>> import fastnn
    >>> from fastnn.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0)).item()
    0.5
    """
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio = elementwise.square(p.scale / q.scale)
        return 0.5 * (ratio + elementwise.square((p.loc - q.loc) / q.scale) - 1 - elementwise.log(ratio))
    if isinstance(p, Categorical) and isinstance(q, Categorical):
        return (p.probs * (p.logits - q.logits)).sum(-1)
    if isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        ones = p.probs * (log_sigmoid(p.logits) - log_sigmoid(q.logits))
        return ones + (1 - p.probs) * (log_sigmoid(-p.logits) - log_sigmoid(-q.logits))
    if isinstance(p, Uniform) and isinstance(q, Uniform):
        inside = logic.logical_and(q.low <= p.low, p.high <= q.high)
        return logic.where(inside, elementwise.log((q.high - q.low) / (p.high - p.low)), math.inf)
    if isinstance(p, Exponential) and isinstance(q, Exponential):
        ratio = q.rate / p.rate
        return ratio - 1 - elementwise.log(ratio)
    if isinstance(p, Laplace) and isinstance(q, Laplace):
        ratio, far = p.scale / q.scale, elementwise.abs(p.loc - q.loc)
        return far / q.scale + ratio * elementwise.exp(-far / p.scale) - elementwise.log(ratio) - 1
    if isinstance(p, Gamma) and isinstance(q, Gamma):
        a, b = p.concentration, q.concentration
        shapes = lgamma(b) - lgamma(a) + (a - b) * digamma(a)
        return shapes + b * elementwise.log(p.rate / q.rate) + (q.rate - p.rate) * (a / p.rate)
    if isinstance(p, Beta) and isinstance(q, Beta):
        ones, zeros = p.concentration1 - q.concentration1, p.concentration0 - q.concentration0
        slopes = ones * digamma(p.concentration1) + zeros * digamma(p.concentration0) - (ones + zeros) * digamma(p.total)
        return q.log_constant() - p.log_constant() + slopes
    if isinstance(p, MultivariateNormal) and isinstance(q, MultivariateNormal):
        return joint.divergence(p, q)
    if isinstance(p, Independent) and isinstance(q, Independent) and p.count == q.count:
        return joint.summed(kl_divergence(p.base_dist, q.base_dist), p.count)
    raise NotImplementedError(f"kl_divergence: {type(p).__name__} and {type(q).__name__} came, wanted two of one kind")
