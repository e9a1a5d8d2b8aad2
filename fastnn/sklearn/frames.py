"""Data frames with categories, texts, dates or missing values: encoded as `fastnn.tables` encodes them."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from ..tables.encoder import Inputs, with_names


def encoded(estimator: Any, X: Any, reset: bool) -> Any:
    """Return a frame as an array of its encoded columns, float32 (n, features), or None if X needs no encoding.

    With reset, the columns of X decide, and ``estimator.encoder_`` is their encoding. Without, X is encoded as it was in fit.

    Raises:
        TypeError: fit had a frame to encode, and X is none.
        ValueError: the names of the columns or their order are not those of fit.
    """
    from sklearn.utils.validation import _check_feature_names, _check_n_features

    if reset:
        estimator.__dict__.pop("encoder_", None)
    pd = sys.modules.get("pandas")  # without it, X is no frame of pandas
    framed = pd is not None and isinstance(X, pd.DataFrame)
    if not (framed and _needs_encoding(pd, X) if reset else hasattr(estimator, "encoder_")):
        return None
    name = type(estimator).__name__
    if not framed:
        raise TypeError(f"{name} was fitted to a data frame with columns that it encodes; X is a {type(X).__name__}")
    _check_feature_names(estimator, X, reset=reset)
    _check_n_features(estimator, X, reset=reset)
    X = with_names(X, [], "X")
    if reset:
        columns, notes = Inputs.find(X)
        if not columns:
            raise ValueError(f"{name}: no column of X can be learned from; " + "; ".join(notes))
        for note in notes:
            warnings.warn(f"{name}: {note}", stacklevel=5)
        estimator.encoder_ = Inputs(columns)
    return estimator.encoder_.in_columns(
        estimator.encoder_.encode(X, lambda note: warnings.warn(f"{name}: {note}", stacklevel=7))
    )


def _needs_encoding(pd: Any, frame: Any) -> bool:
    """Return whether a column has no numbers, or lacks some."""
    types = pd.api.types
    numbers = all(types.is_numeric_dtype(t) and not types.is_bool_dtype(t) for t in frame.dtypes)
    return bool(len(frame)) and (not numbers or bool(frame.isna().any(axis=None)))
