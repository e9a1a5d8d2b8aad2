"""Columns of numbers: scaled, moved to a normal distribution, or as places between quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from .columns import LIMIT, Array, Column, Note, to_numbers

SKEWED = 2.0
"""Skewness above which the logarithm of a column without negative numbers is taken."""
MOST_QUANTILES = 256
"""Largest number of quantiles that `Quantile` keeps."""
MOST_BINS = 24
"""Largest number of intervals of `Piecewise`."""
ROWS_OF_A_BIN = 12
"""Smallest number of rows that an interval or a quantile stands for, on average."""


@dataclass(frozen=True)
class Numeric(Column):
    """Base of columns of numbers. Missing values become the median, and have a feature that tells so."""

    how: ClassVar[str]
    """The name of the kind in ``numeric=``."""
    median: float

    def values_of(self, x: Array) -> list[Array]:
        """Return the features (rows,) of numbers (rows,), none of which is missing."""
        raise NotImplementedError

    @property
    def n_values(self) -> int:
        """Return the number of features without the one for missing values."""
        return 1

    @property
    def features(self) -> list[str]:
        own = [self.name] if self.n_values == 1 else [f"{self.name}: part {i + 1}" for i in range(self.n_values)]
        return [*own, *([f"{self.name} is missing"] if self.missing else [])]

    def encode(self, series: Any, note: Note) -> Array:
        """Return the features, float32 (rows, number of features)."""
        x = to_numbers(series, self.name)
        missing = ~np.isfinite(x)
        self._note_missing(missing, note, f"The median is used, {self.median:g}")
        parts = [*self.values_of(np.where(missing, self.median, x)), *([missing] if self.missing else [])]
        return np.stack(parts, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Number(Numeric):
    """A column of numbers: shifted to mean 0 and scaled to deviation 1, or its logarithm, if it is skewed."""

    kind = "number"
    how = "scaled"
    mean: float
    scale: float
    log: bool

    @classmethod
    def fit(cls, series: Any) -> Number:
        """Return the column of these values."""
        there, missing = _there(series)
        log = bool(len(there) and there.min() >= 0 and _skewness(there) > SKEWED)
        z = np.log1p(there) if log else there
        mean, scale = float(z.mean()), float(z.std())
        return cls(str(series.name), missing, float(np.median(there)), mean, scale or 1.0, log)

    def values_of(self, x: Array) -> list[Array]:
        z = (np.log1p(np.maximum(x, 0.0)) if self.log else x) - self.mean
        return [np.clip(z / self.scale, -LIMIT, LIMIT)]


@dataclass(frozen=True)
class Quantile(Numeric):
    """A column of numbers, moved to a normal distribution: a number becomes the normal number of the same rank.

    ``points`` are quantiles, and ``scores`` the normal numbers of them. Between two points, the score is on the line.
    """

    kind = "quantile"
    how = "quantile"
    points: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def fit(cls, series: Any) -> Quantile:
        """Return the column of these values."""
        there, missing = _there(series)
        n = min(MOST_QUANTILES, max(10, len(there) // ROWS_OF_A_BIN))
        ranks = (np.arange(n) + 0.5) / n
        normal = np.array([NormalDist().inv_cdf(rank) for rank in ranks])
        points, place = np.unique(np.quantile(there, ranks), return_inverse=True)
        scores = np.bincount(place, normal) / np.bincount(place)  # equal quantiles have one score, the mean
        return cls(str(series.name), missing, float(np.median(there)), tuple(points.tolist()), tuple(scores.tolist()))

    def values_of(self, x: Array) -> list[Array]:
        return [np.interp(x, self.points, self.scores)]


@dataclass(frozen=True)
class Piecewise(Numeric):
    """A column of numbers, as places between quantiles: piecewise-linear encoding.

    A feature for each interval between two ``edges`` is 0 below the interval, 1 above it, and grows linearly in it. In the first
    and the last interval, it goes on beyond the outer edges. A layer of weights then is a piecewise-linear function of the column
    (Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning, arXiv 2203.05556).
    """

    kind = "piecewise"
    how = "piecewise"
    edges: tuple[float, ...]

    @classmethod
    def fit(cls, series: Any) -> Piecewise:
        """Return the column of these values."""
        there, missing = _there(series)
        n = min(MOST_BINS, max(2, len(there) // ROWS_OF_A_BIN))
        edges = np.unique(np.quantile(there, np.linspace(0, 1, n + 1)))
        if len(edges) == 1:
            edges = edges + [0.0, 1.0]  # one number, or missing
        return cls(str(series.name), missing, float(np.median(there)), tuple(edges.tolist()))

    @property
    def n_values(self) -> int:
        return len(self.edges) - 1

    def values_of(self, x: Array) -> list[Array]:
        edges, last = np.array(self.edges), self.n_values - 1
        parts = []
        for i in range(self.n_values):
            z = (x - edges[i]) / (edges[i + 1] - edges[i])
            parts.append(np.clip(z, -LIMIT if i == 0 else 0.0, LIMIT if i == last else 1.0))
        return parts


NUMERIC: dict[str, type[Number] | type[Quantile] | type[Piecewise]] = {c.how: c for c in (Number, Quantile, Piecewise)}
"""The classes of columns of numbers by their names in ``numeric=``."""


def _there(series: Any) -> tuple[Array, bool]:
    """Return the values that are there, and whether some are missing."""
    x = to_numbers(series, str(series.name))
    there = x[np.isfinite(x)]
    return there, len(there) < len(x)


def _skewness(x: Array) -> float:
    z = x - x.mean()
    deviation = z.std()
    return float((z**3).mean() / deviation**3) if deviation > 0 else 0.0
