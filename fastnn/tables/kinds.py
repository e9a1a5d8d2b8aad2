"""Find out what kind of column a column of a table is."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np

from .columns import Category, Date, parsed_dates, to_texts
from .files import require
from .numbers import Number

_DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T]\d{1,2}:\d\d.*)?\s*")
_IDENTIFIER = re.compile(r"(^|[_\s])(id|index|key|uuid|guid|row)$|^unnamed", re.IGNORECASE)
_CAMEL = re.compile(r"[a-z]I[dD]$")
_MOST_DIFFERENT = 0.5
"""Share of rows with different texts above which a column is text, and no category."""


def kind_of(series: Any, categories: Collection[str] = ()) -> type[Number] | type[Date] | type[Category] | str:
    """Return the class of a column, or the reason why it is ignored.

    Args:
        series: the values in training.
        categories: names of columns of numbers that are categories, such as postal codes.
    """
    pd = require()
    types = pd.api.types
    name, there = str(series.name), series.dropna()
    if not len(there):
        return "it is empty"
    if any(isinstance(value, list | dict | tuple | set | np.ndarray) for value in there.iloc[:100]):
        return "its cells are lists"
    different = there.nunique()
    if different == 1 and len(there) == len(series):
        return f"all rows have {there.iloc[0]!r}"
    if name in categories or types.is_bool_dtype(series.dtype) or isinstance(series.dtype, pd.CategoricalDtype):
        return Category
    if types.is_datetime64_any_dtype(series.dtype):
        return Date
    if types.is_timedelta64_dtype(series.dtype) or types.is_complex_dtype(series.dtype):
        return f"values of type {series.dtype} are not supported"
    if types.is_numeric_dtype(series.dtype):
        whole = types.is_integer_dtype(series.dtype)
        named = _IDENTIFIER.search(name) or _CAMEL.search(name)
        return "it numbers the rows" if whole and different == len(series) and named else Number
    if not pd.to_numeric(there.astype("str"), errors="coerce").isna().any() and different > 2:
        return Number
    sample = there.iloc[:1000]
    if all(isinstance(v, str) and _DATE.fullmatch(v) for v in sample) and not parsed_dates(there).isna().any():
        return Date
    texts = set(to_texts(there))
    if len(texts) > max(20, _MOST_DIFFERENT * len(there)):
        return f"it is text: {len(texts)} different values in {len(there)} rows"
    return Category


def is_class(series: Any) -> bool:
    """Return whether a target is a class and no number: text, bool, or few different whole numbers."""
    pd = require()
    types = pd.api.types
    if types.is_bool_dtype(series.dtype) or not types.is_numeric_dtype(series.dtype):
        return True
    values = series.dropna()
    whole = bool((values == values.round()).all())
    different = values.nunique()
    return whole and (different == 2 or different <= min(20, len(values) // 20))
