"""Data frames: columns of several dtypes become one array of numbers, or an error names the column."""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

REAL = (int, float, np.integer, np.floating)
_HINTS = {
    "datetime": "days since a date, as in (column - column.min()).dt.days, or year, month and day as columns of their own",
    "timedelta": "seconds, as column.dt.total_seconds() gives them",
    "category": "pandas.get_dummies makes a column of each category",
    "complex": "its real and imaginary part as two columns",
}
"""What to do with a column, by the beginning of its dtype."""
_OF_TEXT = ".astype(float) reads numbers kept as text, pandas.get_dummies makes a column of each word"


def numbers_of(frame: Any, op: str, name: str) -> Array | None:
    """Return the columns of a frame of pandas, Polars or Arrow side by side; None for other things, and for plain numbers.

    Booleans are 0 and 1, missing values are NaN, and categories that are numbers count as these.

    Raises:
        TypeError: a column holds no numbers; the message says its name and dtype, and what to do.
    """
    columns = _columns(frame)
    if not columns or all(isinstance(dtype, np.dtype) and dtype.kind in "fiu" for _, dtype, _ in columns):
        return None
    parts = []
    for label, dtype, values in columns:
        part = _column(values, dtype)
        if part is None:
            words = str(dtype).lower()
            hint = next((text for begin, text in _HINTS.items() if words.startswith(begin)), _OF_TEXT)
            column = f"column {label!r} of {name} (dtype {dtype})"
            raise TypeError(f"{op}: {column} holds no numbers; drop it, or encode it: {hint}")
        parts.append(part)
    made = np.empty((len(parts[0]), len(parts)), np.result_type(*parts))
    for i, part in enumerate(parts):
        made[:, i] = part
    return made


def _columns(frame: Any) -> Sequence[tuple[Any, Any, Any]]:
    """Return name, dtype and values of each column."""
    if hasattr(frame, "iloc") and hasattr(frame, "dtypes") and hasattr(frame, "columns"):  # of pandas
        return [(label, frame.dtypes.iloc[i], frame.iloc[:, i]) for i, label in enumerate(frame.columns)]
    if hasattr(frame, "get_columns"):  # of Polars
        return list(zip(frame.columns, frame.dtypes, frame.get_columns(), strict=True))
    if hasattr(frame, "column_names") and hasattr(frame, "schema"):  # of Arrow
        return list(zip(frame.column_names, frame.schema.types, frame.columns, strict=True))
    return ()


def _column(values: Any, dtype: Any) -> Array | None:
    """Return a column as an array of numbers; None where it holds none."""
    kind = getattr(dtype, "numpy_dtype", None)  # of pandas's dtypes with missing values
    if isinstance(kind, np.dtype) and kind.kind in "fiub":
        missing = bool(values.isna().any())
        a: Array = values.to_numpy(np.float64, na_value=np.nan) if missing else values.to_numpy(kind)
    else:
        a = np.asarray(values)
    if a.dtype.kind == "O":
        return real(a)
    return a if a.dtype.kind in "fiub" else None


def real(a: Array) -> Array | None:
    """Return Python objects as float64, None and pandas.NA as NaN; None where one is no number."""
    flat = [math.nan if v is None or type(v).__name__ == "NAType" else v for v in a.ravel().tolist()]
    if not all(isinstance(v, (*REAL, bool, np.bool_, decimal.Decimal)) for v in flat):
        return None
    try:
        return np.array(flat, np.float64).reshape(a.shape)
    except OverflowError:  # a whole number beyond float64
        return None
