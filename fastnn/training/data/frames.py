"""Conversion of data frames: columns of several dtypes become one array of numbers, or an error names the column."""

from __future__ import annotations

import decimal
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

REAL = (int, float, np.integer, np.floating)
_HINTS = {
    "datetime": "days since a date, as in (column - column.min()).dt.days, or year, month and day as separate columns",
    "timedelta": "seconds, by column.dt.total_seconds()",
    "category": "pandas.get_dummies makes a column of each category",
    "complex": "its real and imaginary part as two columns",
}
"""Start of a column's dtype -> hint how to encode the column."""
_OF_TEXT = ".astype(float) reads numbers stored as text, pandas.get_dummies makes a column of each word"


def numbers_of(frame: Any, op: str, name: str) -> Array | None:
    """Return the columns of a pandas, Polars or Arrow frame as one array.

    Return None for other objects, and for frames that contain only NumPy numbers. Booleans become 0 and 1, missing values NaN,
    and categories that are numbers these numbers.

    Raises:
        TypeError: a column does not contain numbers. The message gives its name and dtype, and a hint.
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


def names_of(frame: Any) -> tuple[str, ...]:
    """Return the names of a frame's columns; empty for other objects, and if a name is not a string.

    >>> names_of([[1.0, 2.0]])
    ()
    """
    of_arrow = hasattr(frame, "column_names") and hasattr(frame, "schema")
    if not of_arrow and not (hasattr(frame, "columns") and (hasattr(frame, "iloc") or hasattr(frame, "get_columns"))):
        return ()
    names = tuple(frame.column_names if of_arrow else frame.columns)
    return names if all(isinstance(name, str) for name in names) else ()


def check_names(names: Sequence[str], fitted: Sequence[str], op: str, name: str) -> None:
    """Raise ValueError unless a frame has the columns that fit had, in the same order.

    >>> check_names(["age", "height"], ["height", "age"], "predict", "x")
    Traceback (most recent call last):
        ...
    ValueError: predict: the columns of x have another order than in fit: column 0 is 'age', in fit it was 'height'; \
pass x[train.columns], where train is the frame of fit, or pass x.to_numpy() to ignore their names
    """
    if names == fitted:
        return
    lacking, unknown = ([n for n in a if n not in set(b)] for a, b in ((fitted, names), (names, fitted)))
    if not lacking and not unknown and len(names) == len(fitted):
        i = next(i for i, (a, b) in enumerate(zip(names, fitted, strict=True)) if a != b)
        what = f"the columns of {name} have another order than in fit: column {i} is {names[i]!r}, in fit it was {fitted[i]!r}"
        hint = f"pass {name}[train.columns], where train is the frame of fit"
    else:
        parts = [f"lacks {_listed(lacking)}"] * bool(lacking) + [f"also has {_listed(unknown)}"] * bool(unknown)
        what = f"{name} does not have the columns of fit: it {' and '.join(parts or ['has a column twice'])}"
        hint = "select those of fit"
    raise ValueError(f"{op}: {what}; {hint}, or pass {name}.to_numpy() to ignore their names")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


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
    """Return a column as an array of numbers; None if it has other values."""
    kind = getattr(dtype, "numpy_dtype", None)  # pandas's nullable dtypes have this attribute
    if isinstance(kind, np.dtype) and kind.kind in "fiub":
        missing = bool(values.isna().any())
        a: Array = values.to_numpy(np.float64, na_value=np.nan) if missing else values.to_numpy(kind)
    else:
        a = np.asarray(values)
    if a.dtype.kind == "O":
        return real(a)
    return a if a.dtype.kind in "fiub" else None


def real(a: Array) -> Array | None:
    """Convert an array of Python objects to float64, with NaN for None and pandas.NA; return None if one is not a number."""
    flat = [math.nan if v is None or type(v).__name__ == "NAType" else v for v in a.ravel().tolist()]
    if not all(isinstance(v, (*REAL, bool, np.bool_, decimal.Decimal)) for v in flat):
        return None
    try:
        return np.array(flat, np.float64).reshape(a.shape)
    except OverflowError:  # an integer is out of the range of float64
        return None
