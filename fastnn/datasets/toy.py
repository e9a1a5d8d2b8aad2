"""Points in the plane that belong to classes: small data to try classifiers on, and to draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.seeding import generator
from ..ops.checks import check_number, positive_int

Array = np.ndarray[Any, Any]


def moons(n: int = 200, noise: float = 0.1) -> tuple[Array, Array]:
    """Return n points on two half circles that reach into each other, and the class of each, 0 or 1.

    As the other functions here, it draws from the stream of `fastnn.seed`, and the classes have equally many points, or one more.

    Args:
        n: number of points.
        noise: standard deviation of the noise that is added to the points, at least 0.

    Returns:
        The points, float32 (n, 2), and the classes, int64 (n,), in random order.

    >>> x, y = moons(100, noise=0)
    >>> x.shape, x.dtype, y.dtype, np.bincount(y).tolist()
    ((100, 2), dtype('float32'), dtype('int64'), [50, 50])
    >>> upper = x[y == 0]  # a half circle around (0, 0); the other one is around (1, 0.5)
    >>> bool(np.allclose((upper**2).sum(axis=1), 1) and (upper[:, 1] >= 0).all())
    True
    """

    def points(y: Array, rng: np.random.Generator) -> Array:
        angle = rng.uniform(0, np.pi, len(y))
        upper, lower = (np.cos(angle), np.sin(angle)), (1 - np.cos(angle), 0.5 - np.sin(angle))
        return np.where(y == 0, upper, lower).T

    return _drawn("moons", n, 2, noise, points)


def circles(n: int = 200, noise: float = 0.05, factor: float = 0.5) -> tuple[Array, Array]:
    """Return n points on two circles around the same centre, and the class of each: 0 outside, 1 inside.

    Args:
        n, noise: as for `moons`.
        factor: radius of the inner circle, between 0 and 1; that of the outer one is 1.

    >>> x, y = circles(100, noise=0, factor=0.25)
    >>> [round(float(np.hypot(*x[y == c].T).mean()), 3) for c in (0, 1)]
    [1.0, 0.25]
    """
    check_number(factor, "circles: factor", 0, 1)

    def points(y: Array, rng: np.random.Generator) -> Array:
        angle = rng.uniform(0, 2 * np.pi, len(y))
        return _around(np.where(y == 0, 1, factor), angle)

    return _drawn("circles", n, 2, noise, points)


def spirals(n: int = 200, noise: float = 0.02, classes: int = 2, turns: float = 1.5) -> tuple[Array, Array]:
    """Return n points on spirals that are wound into each other, and the number of the spiral of each.

    Args:
        n, noise: as for `moons`.
        classes: number of spirals.
        turns: number of times that each spiral goes around the centre; the data become harder with it.

    >>> x, y = spirals(90, classes=3)
    >>> x.shape, np.bincount(y).tolist()
    ((90, 2), [30, 30, 30])
    """
    arms, wound = positive_int(classes, "spirals: classes"), check_number(turns, "spirals: turns", 0)

    def points(y: Array, rng: np.random.Generator) -> Array:
        radius = np.sqrt(rng.uniform(0.02, 1, len(y)))  # as many points on each length of an arm
        angle = 2 * np.pi * (wound * radius + y / arms)
        return _around(radius, angle)

    return _drawn("spirals", n, arms, noise, points)


def blobs(n: int = 200, noise: float = 0.5, classes: int = 3, features: int = 2) -> tuple[Array, Array]:
    """Return n points in clouds around random centres, and the number of the cloud of each.

    Args:
        n, noise: as for `moons`; the noise is the size of the clouds.
        classes: number of clouds.
        features: number of coordinates of a point. The centres have coordinates from -5 to 5.

    >>> x, y = blobs(60, classes=4, features=5)
    >>> x.shape, np.bincount(y).tolist()
    ((60, 5), [15, 15, 15, 15])
    """
    clouds, axes = positive_int(classes, "blobs: classes"), positive_int(features, "blobs: features")

    def points(y: Array, rng: np.random.Generator) -> Array:
        return rng.uniform(-5, 5, (clouds, axes))[y]

    return _drawn("blobs", n, clouds, noise, points)


def _around(radius: Array, angle: Array) -> Array:
    """Return the points (n, 2) at these distances from the origin, in these directions."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _drawn(
    op: str, n: int, classes: int, noise: float, points: Callable[[Array, np.random.Generator], Array]
) -> tuple[Array, Array]:
    """Return the points of classes in random order, with noise, and the classes."""
    rng = generator()
    count, deviation = positive_int(n, f"{op}: n"), check_number(noise, f"{op}: noise", 0)
    y = rng.permutation(np.arange(count) % classes)
    x = points(y, rng)
    return (x + deviation * rng.standard_normal(x.shape)).astype(np.float32), y.astype(np.int64)
