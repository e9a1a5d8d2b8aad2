"""Distributions of positive numbers and of numbers from 0 to 1, and Laplace's."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Tensor
from ..backends import current
from ..core.seeding import generator
from ..ops import elementwise, logic
from ..ops.checks import as_tensor
from ..ops.create import rand
from ..ops.gamma import digamma, lgamma
from .basic import Distribution, Normal, Shape, together


class Exponential(Distribution):
    """Exponential distribution: the time to the next event, if there are `rate` events in a unit of time.

    >>> import fastnn
    >>> p = fastnn.distributions.Exponential(2.0)
    >>> p.mean.item(), round(p.log_prob(0.0).item(), 4)
    (0.5, 0.6931)
    """

    def __init__(self, rate: Any) -> None:
        (self.rate,) = together(rate)
        self._check("rate", self.rate > 0, "numbers above 0")
        self.batch_shape = self.rate.shape

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = rand(tuple(sample_shape) + self.batch_shape, dtype=self.rate.dtype)
        return -elementwise.log1p(-u) / self.rate

    def log_prob(self, value: Any) -> Tensor:
        x = as_tensor(value, "log_prob", self.rate)
        return elementwise.log(self.rate) - self.rate * x

    def entropy(self) -> Tensor:
        return 1 - elementwise.log(self.rate)

    def cdf(self, value: Any) -> Tensor:
        """Return the probability of values up to this one."""
        return -elementwise.expm1(-self.rate * as_tensor(value, "cdf", self.rate))

    @property
    def mean(self) -> Tensor:
        return 1 / self.rate

    @property
    def variance(self) -> Tensor:
        return 1 / elementwise.square(self.rate)


class Laplace(Distribution):
    """Laplace distribution: its logarithm falls with the distance from loc, as fast as 1 / scale."""

    def __init__(self, loc: Any, scale: Any) -> None:
        self.loc, self.scale = together(loc, scale)
        self._check("scale", self.scale > 0, "numbers above 0")
        self.batch_shape = self.loc.shape

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = rand(tuple(sample_shape) + self.batch_shape, dtype=self.loc.dtype) - 0.5
        return self.loc - self.scale * elementwise.sign(u) * elementwise.log1p(-2 * elementwise.abs(u))

    def log_prob(self, value: Any) -> Tensor:
        far = elementwise.abs(as_tensor(value, "log_prob", self.loc) - self.loc)
        return -elementwise.log(2 * self.scale) - far / self.scale

    def entropy(self) -> Tensor:
        return 1 + elementwise.log(2 * self.scale)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return 2 * elementwise.square(self.scale)


class LogNormal(Distribution):
    """Distribution of numbers whose logarithm has a normal distribution with mean loc and standard deviation scale."""

    def __init__(self, loc: Any, scale: Any) -> None:
        self.base_dist = Normal(loc, scale)
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale
        self.batch_shape = self.loc.shape

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return elementwise.exp(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        log = elementwise.log(as_tensor(value, "log_prob", self.loc))
        return self.base_dist.log_prob(log) - log

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc

    @property
    def mean(self) -> Tensor:
        return elementwise.exp(self.loc + elementwise.square(self.scale) / 2)

    @property
    def variance(self) -> Tensor:
        square = elementwise.square(self.scale)
        return elementwise.expm1(square) * elementwise.exp(2 * self.loc + square)


def _gamma(concentration: Tensor, shape: Shape) -> Tensor:
    """Draw from Gamma(concentration, 1) on the host, so that steps with it are not recorded."""
    k = current()
    k.host_reads("samples of a gamma distribution")
    drawn = generator().standard_gamma(k.to_numpy(concentration.data), shape + concentration.shape)
    return as_tensor(drawn.astype(concentration.dtype), "sample")


class Gamma(Distribution):
    """Gamma distribution. `sample` draws on the host; there is no `rsample`.

    Args:
        concentration: the shape, above 0.
        rate: the inverse of the scale, above 0; the two broadcast.

    >>> import fastnn
    >>> p = fastnn.distributions.Gamma(2.0, 4.0)
    >>> p.mean.item(), p.sample((3,)).shape
    (0.5, (3,))
    """

    def __init__(self, concentration: Any, rate: Any) -> None:
        self.concentration, self.rate = together(concentration, rate)
        self._check("concentration", self.concentration > 0, "numbers above 0")
        self._check("rate", self.rate > 0, "numbers above 0")
        self.batch_shape = self.rate.shape

    def _draw(self, shape: Shape) -> Tensor:
        return _gamma(self.concentration, shape) / self.rate

    def log_prob(self, value: Any) -> Tensor:
        x, a = as_tensor(value, "log_prob", self.rate), self.concentration
        return a * elementwise.log(self.rate) + (a - 1) * elementwise.log(x) - self.rate * x - lgamma(a)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - elementwise.log(self.rate) + lgamma(a) + (1 - a) * digamma(a)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def variance(self) -> Tensor:
        return self.concentration / elementwise.square(self.rate)


class Beta(Distribution):
    """Beta distribution, of numbers from 0 to 1. `sample` draws on the host; there is no `rsample`.

    Args:
        concentration1, concentration0: weights of 1 and of 0, above 0; the two broadcast.

    >>> import fastnn
    >>> fastnn.distributions.Beta(1.0, 3.0).mean.item()
    0.25
    """

    def __init__(self, concentration1: Any, concentration0: Any) -> None:
        self.concentration1, self.concentration0 = together(concentration1, concentration0)
        both = logic.logical_and(self.concentration1 > 0, self.concentration0 > 0)
        self._check("concentration", both, "numbers above 0")
        self.batch_shape = self.concentration1.shape

    @property
    def total(self) -> Tensor:
        """Return the sum of both concentrations."""
        return self.concentration1 + self.concentration0

    def log_constant(self) -> Tensor:
        """Return the logarithm of the beta function of the concentrations, by which densities are divided."""
        return lgamma(self.concentration1) + lgamma(self.concentration0) - lgamma(self.total)

    def _draw(self, shape: Shape) -> Tensor:
        a, b = _gamma(self.concentration1, shape), _gamma(self.concentration0, shape)
        return a / (a + b)

    def log_prob(self, value: Any) -> Tensor:
        x = as_tensor(value, "log_prob", self.concentration1)
        logs = (self.concentration1 - 1) * elementwise.log(x) + (self.concentration0 - 1) * elementwise.log1p(-x)
        return logs - self.log_constant()

    def entropy(self) -> Tensor:
        a, b, both = self.concentration1, self.concentration0, self.total
        return self.log_constant() - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (both - 2) * digamma(both)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / self.total

    @property
    def variance(self) -> Tensor:
        both = self.total
        return self.concentration1 * self.concentration0 / (elementwise.square(both) * (both + 1))
