"""The base of all distributions, and those of single numbers and of classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, no_grad
from ..ops import elementwise
from ..ops.activation import erf, sigmoid, softplus
from ..ops.cast import astype
from ..ops.checks import as_tensor
from ..ops.create import rand, randn
from ..ops.data import gather
from ..ops.elementwise import real
from ..ops.reduce import logsumexp
from ..ops.sampling import bernoulli, multinomial
from ..ops.shape import broadcast_to, reshape, swap_axes

Shape = tuple[int, ...]


class Distribution:
    """Base of the distributions.

    Attributes:
        batch_shape: the shape of the parameters: so many independent distributions.
        event_shape: the shape of one sample of one distribution.
    """

    batch_shape: Shape = ()
    event_shape: Shape = ()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Return samples, of the shape sample_shape + batch_shape + event_shape, without a gradient."""
        with no_grad():
            return self._draw(tuple(sample_shape)).detach()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Return samples with gradients with respect to the parameters."""
        raise NotImplementedError(f"{type(self).__name__}: its samples have no gradient; use sample and log_prob")

    def _draw(self, shape: Shape) -> Tensor:
        return self.rsample(shape)

    def log_prob(self, value: Any) -> Tensor:
        """Return the logarithm of the probability of a value, or of its density."""
        raise NotImplementedError(f"{type(self).__name__} defines no log_prob(value)")

    def entropy(self) -> Tensor:
        """Return the entropy of each distribution."""
        raise NotImplementedError(f"{type(self).__name__} defines no entropy()")

    @property
    def mean(self) -> Tensor:
        """Return the means."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def variance(self) -> Tensor:
        """Return the variances."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        """Return the standard deviations."""
        return elementwise.sqrt(self.variance)

    def _check(self, name: str, holds: Tensor, wanted: str) -> None:
        """Raise ValueError if a condition does not hold for all elements; replays do not check it."""
        if not holds.data.all():
            raise ValueError(f"{type(self).__name__}: {name} has other values, wanted {wanted}")


def together(*values: Any) -> tuple[Tensor, ...]:
    """Return parameters as Tensors of floats and of one shape."""
    tensors = [real(as_tensor(v, "distribution")) for v in values]
    shape = np.broadcast_shapes(*(t.shape for t in tensors))
    return tuple(broadcast_to(t, shape) for t in tensors)


class Normal(Distribution):
    """Normal distribution.

    Args:
        loc: mean.
        scale: standard deviation, above 0; the two broadcast.

    >>> import fastnn
    >>> p = fastnn.distributions.Normal(0.0, 1.0)
    >>> round(p.log_prob(fastnn.tensor(0.0)).item(), 4), p.sample((3,)).shape
    (-0.9189, (3,))
    """

    def __init__(self, loc: Any, scale: Any) -> None:
        self.loc, self.scale = together(loc, scale)
        self._check("scale", self.scale > 0, "numbers above 0")
        self.batch_shape = self.loc.shape

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + self.scale * randn(tuple(sample_shape) + self.batch_shape, dtype=self.loc.dtype)

    def log_prob(self, value: Any) -> Tensor:
        z = (as_tensor(value, "log_prob", self.loc) - self.loc) / self.scale
        return -0.5 * z * z - elementwise.log(self.scale) - 0.5 * math.log(2 * math.pi)

    def entropy(self) -> Tensor:
        return elementwise.log(self.scale) + (0.5 + 0.5 * math.log(2 * math.pi))

    def cdf(self, value: Any) -> Tensor:
        """Return the probability of values up to this one."""
        return 0.5 * (1 + erf((as_tensor(value, "cdf", self.loc) - self.loc) / (self.scale * math.sqrt(2))))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale * self.scale


class Uniform(Distribution):
    """Uniform distribution from low to high, without high; the two broadcast."""

    def __init__(self, low: Any, high: Any) -> None:
        self.low, self.high = together(low, high)
        self._check("low", self.low < self.high, "numbers below high")
        self.batch_shape = self.low.shape

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.low + (self.high - self.low) * rand(tuple(sample_shape) + self.batch_shape, dtype=self.low.dtype)

    def log_prob(self, value: Any) -> Tensor:
        x = as_tensor(value, "log_prob", self.low)
        inside = astype((x >= self.low) & (x < self.high), self.low.dtype)
        return elementwise.log(inside) - elementwise.log(self.high - self.low)

    def entropy(self) -> Tensor:
        return elementwise.log(self.high - self.low)

    @property
    def mean(self) -> Tensor:
        return (self.low + self.high) * 0.5

    @property
    def variance(self) -> Tensor:
        return elementwise.square(self.high - self.low) / 12


def _one_of(name: str, probs: Any, logits: Any) -> Tensor:
    if (probs is None) == (logits is None):
        raise ValueError(f"{name}: wanted one of probs and logits")
    given: Tensor = real(as_tensor(logits if probs is None else probs, name))
    return given


class Categorical(Distribution):
    """Distribution of the whole numbers from 0 to n - 1.

    Args:
        probs: probabilities (..., n), which are divided by their sum; or
        logits: logarithms of probabilities, up to a constant for each distribution.

    >>> import fastnn
    >>> p = fastnn.distributions.Categorical(fastnn.tensor([[0.0, 2.0, 2.0]]))
    >>> p.probs.tolist(), round(p.entropy().item(), 4)
    ([[0.0, 0.5, 0.5]], 0.6931)
    """

    def __init__(self, probs: Any = None, logits: Any = None) -> None:
        given = _one_of("Categorical", probs, logits)
        if not given.ndim:
            raise ValueError("Categorical: a Tensor without dimensions came, wanted (..., n)")
        if probs is not None:
            self._check("probs", given >= 0, "numbers of at least 0")
            self.probs = given / given.sum(-1, keepdims=True)
            eps = float(np.finfo(given.dtype).eps)
            self.logits = elementwise.log(elementwise.clip(self.probs, eps, 1 - eps))
        else:
            self.logits = given - logsumexp(given, -1, True)
            self.probs = elementwise.exp(self.logits)
        self.batch_shape = given.shape[:-1]

    def _draw(self, shape: Shape) -> Tensor:
        n, count = self.probs.shape[-1], math.prod(shape)
        drawn = multinomial(reshape(self.probs, (-1, n)), max(count, 1), replacement=True)
        return reshape(swap_axes(drawn, 0, 1), shape + self.batch_shape)

    def log_prob(self, value: Any) -> Tensor:
        index = as_tensor(value, "log_prob")
        index = index if index.dtype == np.int64 else astype(index, np.int64)
        shape = np.broadcast_shapes(index.shape, self.batch_shape)
        index = reshape(broadcast_to(index, shape), (*shape, 1))
        return reshape(gather(broadcast_to(self.logits, (*shape, self.logits.shape[-1])), -1, index), shape)

    def entropy(self) -> Tensor:
        least = float(np.finfo(self.logits.dtype).min)
        return -(elementwise.clip(self.logits, least) * self.probs).sum(-1)


class Bernoulli(Distribution):
    """Distribution of 0 and 1, as floats.

    Args:
        probs: probabilities of 1; or
        logits: their logits, log(p / (1 - p)).
    """

    def __init__(self, probs: Any = None, logits: Any = None) -> None:
        given = _one_of("Bernoulli", probs, logits)
        if probs is not None:
            self._check("probs", (given >= 0) & (given <= 1), "numbers from 0 to 1")
            self.probs, eps = given, float(np.finfo(given.dtype).eps)
            p = elementwise.clip(given, eps, 1 - eps)
            self.logits = elementwise.log(p) - elementwise.log1p(-p)
        else:
            self.logits, self.probs = given, sigmoid(given)
        self.batch_shape = given.shape

    def _draw(self, shape: Shape) -> Tensor:
        return bernoulli(broadcast_to(self.probs, shape + self.batch_shape))

    def log_prob(self, value: Any) -> Tensor:
        return as_tensor(value, "log_prob", self.logits) * self.logits - softplus(self.logits)

    def entropy(self) -> Tensor:
        return softplus(self.logits) - self.logits * self.probs

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)
