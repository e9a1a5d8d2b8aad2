"""Columns of a table: what dates and categories become, as numbers for a network. Columns of numbers are in `numbers`.

A column is fitted to the rows of training, and keeps what it needs as plain values: means, medians, the list of its categories.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from .files import require

Array = np.ndarray[Any, Any]
Note = Callable[[str], None]
"""Called with a sentence about values that are not as they were in training."""

MOST_ONE_HOT = 12
"""Largest number of categories that have a column each. A column with more becomes an embedding."""
MOST_VALUES = 10_000
"""Largest number of categories of a column; rarer values are "other"."""
FEWEST_ROWS = 3
"""Categories with fewer rows are "other", in columns that become embeddings."""
LIMIT = 10.0
"""Scaled numbers are clipped to this size, so that one wild value at prediction does not decide alone."""


@dataclass(frozen=True)
class Column:
    """Base of columns. ``missing``: whether values were missing in training; a feature then tells that one is missing."""

    kind: ClassVar[str]
    name: str
    missing: bool

    @property
    def features(self) -> list[str]:
        """Return the names of the features that the column becomes."""
        return []

    @property
    def n_codes(self) -> int:
        """Return the number of categories of an embedding, with "other" and "missing"; 0 for other columns."""
        return 0

    def config(self) -> dict[str, Any]:
        """Return the column as plain values."""
        return {"kind": self.kind, **asdict(self)}

    def _note_missing(self, missing: Array, note: Note, instead: str) -> None:
        if not self.missing and (n := int(missing.sum())):
            note(f"{_times(n, 'value')} of {self.name!r} {'is' if n == 1 else 'are'} missing; in training none was. {instead}")


@dataclass(frozen=True)
class Date(Column):
    """A column of dates: the time that has passed, and the place in the year, the week and the day on circles."""

    kind = "date"
    mean: float
    scale: float
    median: float
    hours: bool

    @classmethod
    def fit(cls, series: Any) -> Date:
        """Return the column of these dates."""
        days = to_days(series, str(series.name))
        there = days[np.isfinite(days)]
        mean, scale = float(there.mean()), float(there.std())
        hours = bool((there % 1 != 0).any())
        return cls(str(series.name), len(there) < len(days), mean, scale or 1.0, float(np.median(there)), hours)

    @property
    def features(self) -> list[str]:
        circles = ["year", "week", *(["day"] if self.hours else [])]
        names = [f"{side} of the {circle}" for circle in circles for side in ("sine", "cosine")]
        return [f"{self.name}: {what}" for what in ("days", *names, *(["missing"] if self.missing else []))]

    def encode(self, series: Any, note: Note) -> Array:
        """Return the features, float32 (rows, number of features)."""
        days = to_days(series, self.name)
        missing = ~np.isfinite(days)
        self._note_missing(missing, note, "The median is used")
        days = np.where(missing, self.median, days)
        turns = [days / 365.2425, (np.floor(days) + 3) % 7 / 7, *([days] if self.hours else [])]  # 1970-01-01 is a Thursday
        circles = [f(2 * np.pi * t) for t in turns for f in (np.sin, np.cos)]
        parts = [np.clip((days - self.mean) / self.scale, -LIMIT, LIMIT), *circles, *([missing] if self.missing else [])]
        return np.stack(parts, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Category(Column):
    """A column of categories: a column of 0 and 1 for each, or for many categories an embedding.

    Code 0 is "other": values that training has not seen, or too rarely. The values follow, and then "missing", if there is one.
    """

    kind = "category"
    values: tuple[str, ...]
    other: bool
    """Whether training has rows of "other". Otherwise it is a row of zeros, or the mean of the embedding."""

    @classmethod
    def fit(cls, series: Any) -> Category:
        """Return the column of these values."""
        pd = require()
        texts = pd.Series(to_texts(series))
        counts = texts.value_counts()
        fewest = FEWEST_ROWS if len(counts) > MOST_ONE_HOT else 1
        kept = counts[counts >= fewest].index[:MOST_VALUES]
        other = len(kept) < len(counts)
        return cls(str(series.name), bool(texts.isna().any()), tuple(ordered(kept)), other)

    @property
    def embedded(self) -> bool:
        """Return whether the column is an embedding."""
        return len(self.values) > MOST_ONE_HOT

    @property
    def features(self) -> list[str]:
        if self.embedded:
            return []
        others = ["other"] if self.other else []
        return [f"{self.name} is {value}" for value in (*others, *self.values, *(["missing"] if self.missing else []))]

    @property
    def n_codes(self) -> int:
        return 1 + len(self.values) + self.missing if self.embedded else 0

    def codes(self, series: Any, note: Note) -> Array:
        """Return the number of each value, int64 (rows,)."""
        codes, missing, unknown = codes_of(series, self.values)
        self._note_missing(missing, note, 'It counts as "other"')
        if unknown and not self.other:
            few = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
            note(f'{self.name!r} has values that training has not seen: {few}. They count as "other"')
        return np.where(missing, len(self.values) + 1 if self.missing else 0, codes + 1)

    def encode(self, series: Any, note: Note) -> Array:
        """Return the features, float32 (rows, number of features)."""
        rows = np.eye(1 + len(self.values) + self.missing, dtype=np.float32)
        return rows[:, 0 if self.other else 1 :][self.codes(series, note)]


def to_numbers(series: Any, name: str) -> Array:
    """Return values as float64; missing ones and infinity are NaN. ValueError if one is no number."""
    pd = require()
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    x = pd.to_numeric(series, errors="coerce")
    bad = np.asarray(x.isna() & series.notna())
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"column {name!r}, row {row + 1}: {series.iloc[row]!r} is no number")
    values = x.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def to_days(series: Any, name: str) -> Array:
    """Return dates as days since 1970, float64; missing ones are NaN. ValueError if one is no date."""
    dates = parsed_dates(series)
    bad = np.asarray(dates.isna() & series.notna())
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"column {name!r}, row {row + 1}: {series.iloc[row]!r} is no date")
    seconds = dates.to_numpy().astype("datetime64[s]")
    return np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64) / 86400.0)


def parsed_dates(series: Any) -> Any:
    """Return values as dates without a time zone; those that are none are NaT."""
    pd = require()
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        return series.dt.tz_convert(None)
    if str(series.dtype).startswith("datetime64"):
        return series
    return pd.to_datetime(series.astype("str").where(series.notna()), errors="coerce", format="mixed", utc=True).dt.tz_convert(
        None
    )


def to_texts(series: Any) -> Array:
    """Return values as texts, and None where they are missing, in an array of objects. 1, 1.0 and "1" are the same text."""
    codes, values = require().factorize(series)
    texts = np.array([*map(text_of, values), None], dtype=object)
    return np.asarray(texts[codes])  # code -1 is a missing value


def codes_of(series: Any, values: tuple[str, ...]) -> tuple[Array, Array, list[str]]:
    """Return the place of each value in a list, -1 if it has none; whether it is missing; and the values without a place."""
    codes, own = require().factorize(series)
    place = {value: i for i, value in enumerate(values)}
    texts = list(map(text_of, own))
    places = np.array([*(place.get(text, -1) for text in texts), -1], dtype=np.int64)
    return places[codes], codes == -1, [text for text in texts if text not in place]


def text_of(value: Hashable) -> str:
    """Return a value as the text that names its category.

    >>> text_of(1.0), text_of(" red "), text_of(True)
    ('1', 'red', 'True')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def ordered(texts: Any) -> list[str]:
    """Return texts in their order: by size if all are numbers, else by the alphabet."""
    texts = list(texts)
    try:
        return sorted(texts, key=float)
    except ValueError:
        return sorted(texts)


def _times(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")
