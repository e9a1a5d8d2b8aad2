"""Distributions of vectors, and several distributions that are taken as one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..ops import elementwise
from ..ops.checks import as_tensor, whole_number
from ..ops.create import randn
from ..ops.dense import matmul
from ..ops.elementwise import real
from ..ops.factors import cholesky
from ..ops.inverses import inv, solve_triangular
from ..ops.matrices import diagonals
from ..ops.shape import broadcast_to, reshape, swap_axes
from .basic import Distribution, Shape


def summed(x: Tensor, count: int) -> Tensor:
    """Return the sum over so many of the last axes."""
    return x.sum(tuple(range(-count, 0))) if count else x


class Independent(Distribution):
    """Take the last axes of the distributions of a batch as one event: `log_prob` is the sum over them.

    Args:
        base_distribution: distribution.
        reinterpreted_batch_ndims: number of axes.

    >>> import fastnn
    >>> from fastnn.distributions import Independent, Normal
    >>> p = Independent(Normal(fastnn.zeros(5, 3), 1.0), 1)
    >>> p.batch_shape, p.event_shape, p.log_prob(p.sample()).shape
    ((5,), (3,), (5,))
    """

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int) -> None:
        batch = base_distribution.batch_shape
        self.count = whole_number(reinterpreted_batch_ndims, "Independent: reinterpreted_batch_ndims", 0)
        if self.count > len(batch):
            raise ValueError(f"Independent: {self.count} axes of a batch of shape {batch}, wanted at most {len(batch)}")
        self.base_dist = base_distribution
        n = len(batch) - self.count
        self.batch_shape, self.event_shape = batch[:n], batch[n:] + base_distribution.event_shape

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def _draw(self, shape: Shape) -> Tensor:
        return self.base_dist._draw(shape)

    def log_prob(self, value: Any) -> Tensor:
        return summed(self.base_dist.log_prob(value), self.count)

    def entropy(self) -> Tensor:
        return summed(self.base_dist.entropy(), self.count)

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance


class MultivariateNormal(Distribution):
    """Normal distribution of vectors. Its factors are computed on the host, so that steps with it are not recorded.

    Args:
        loc: means (..., n).
        covariance_matrix, precision_matrix: covariances (..., n, n), or their inverse; or
        scale_tril: the lower triangular L with positive diagonal, L L^T being the covariances.

    Raises:
        ValueError: not one of the three came, or the shapes do not fit.

    >>> import fastnn
    >>> p = fastnn.distributions.MultivariateNormal(fastnn.zeros(2), fastnn.eye(2))
    >>> round(p.log_prob(fastnn.zeros(2)).item(), 4), p.sample((3,)).shape
    (-1.8379, (3, 2))
    """

    def __init__(self, loc: Any, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None) -> None:
        given = [m for m in (covariance_matrix, precision_matrix, scale_tril) if m is not None]
        if len(given) != 1:
            raise ValueError("MultivariateNormal: wanted one of covariance_matrix, precision_matrix and scale_tril")
        mean: Tensor = real(as_tensor(loc, "MultivariateNormal"))
        matrix = real(as_tensor(given[0], "MultivariateNormal", mean))
        if mean.ndim < 1 or matrix.ndim < 2 or matrix.shape[-2:] != mean.shape[-1:] * 2:
            raise ValueError(f"MultivariateNormal: loc of shape {mean.shape} and a matrix of shape {matrix.shape} do not fit")
        if scale_tril is None:
            matrix = cholesky(matrix if precision_matrix is None else inv(matrix))
        self.batch_shape = np.broadcast_shapes(mean.shape[:-1], matrix.shape[:-2])
        self.event_shape = mean.shape[-1:]
        self.loc = broadcast_to(mean, self.batch_shape + self.event_shape)
        self.scale_tril = broadcast_to(matrix, self.batch_shape + self.event_shape * 2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = randn((*tuple(sample_shape), *self.loc.shape, 1), dtype=self.loc.dtype)
        return self.loc + reshape(matmul(self.scale_tril, noise), noise.shape[:-1])

    def log_prob(self, value: Any) -> Tensor:
        far = as_tensor(value, "log_prob", self.loc) - self.loc
        n = self.event_shape[0]
        return -0.5 * (self.distance(far) + n * math.log(2 * math.pi)) - self.log_volume()

    def distance(self, far: Tensor) -> Tensor:
        """Return the square of the distance from the mean, in units of the standard deviations."""
        factor = broadcast_to(self.scale_tril, far.shape + far.shape[-1:])
        column = solve_triangular(factor, reshape(far, (*far.shape, 1)), upper=False)
        return elementwise.square(column).sum((-2, -1))

    def log_volume(self) -> Tensor:
        """Return half the logarithm of the determinant of the covariances."""
        return elementwise.log(diagonals(self.scale_tril, 0, -2, -1)).sum(-1)

    def entropy(self) -> Tensor:
        return self.log_volume() + 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi))

    @property
    def covariance_matrix(self) -> Tensor:
        """Return the covariances."""
        return matmul(self.scale_tril, swap_axes(self.scale_tril, -2, -1))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return elementwise.square(self.scale_tril).sum(-1)


def divergence(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    """Return the Kullback-Leibler divergence; see `kl_divergence`."""
    shape = np.broadcast_shapes(p.scale_tril.shape, q.scale_tril.shape)
    ratio = solve_triangular(broadcast_to(q.scale_tril, shape), broadcast_to(p.scale_tril, shape), upper=False)
    size = elementwise.square(ratio).sum((-2, -1)) + q.distance(p.loc - q.loc) - p.event_shape[0]
    return q.log_volume() - p.log_volume() + 0.5 * size
