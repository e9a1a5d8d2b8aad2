"""Data frames, series and arrays of objects at the door; several arrays for a layer of one's own."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.training.data import as_features, as_targets


def test_columns_of_all_kinds_of_numbers() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": [True, False], "i": [1, 2]})
    for kind in ("bool", "boolean", "Int64", "Float64", "object"):
        np.testing.assert_array_equal(as_features(frame.assign(b=frame.b.astype(kind)), "float32"), [[1.5, 1, 1], [2.5, 0, 2]])
    np.testing.assert_array_equal(as_features(frame.convert_dtypes(), "float64"), [[1.5, 1, 1], [2.5, 0, 2]])
    missing = as_features(pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [True, None]}), "float32")
    np.testing.assert_array_equal(missing, [[1, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(as_features(pd.Series([True, False], dtype="boolean", index=[7, 3]), "float32"), [1, 0])
    np.testing.assert_array_equal(as_targets(pd.Series([2, 0], dtype="Int64"), "labels", "float32"), [2, 0])
    with pytest.raises(ValueError, match=r"y\[1\] is nan; wanted class numbers"):
        as_targets(pd.Series([2, None], dtype="Int64"), "labels", "float32")


def test_the_column_that_holds_no_numbers_is_named() -> None:
    pd = pytest.importorskip("pandas")
    dates = pd.to_datetime(["2020", "2021"]).astype("datetime64[ns]")
    for bad in (["x", "y"], pd.Categorical(["u", "v"]), dates, pd.array(["u", "v"], dtype="string")):
        for frame in (pd.DataFrame({"age": [1.0, 2.0], "bad one": bad}), pd.DataFrame({"bad one": bad})):
            with pytest.raises(TypeError, match=r"fit: column 'bad one' of x .*get_dummies"):
                as_features(frame, "float32")


def test_objects() -> None:
    np.testing.assert_array_equal(
        as_features(np.array([1, 2.5, decimal.Decimal(3), None], object), "float32"), [1, 2.5, 3, np.nan]
    )
    for strings in (np.array(["a", "b"]), np.array(["a", "b"], object), ["a", "b"]):
        with pytest.raises(TypeError, match=r"np.unique\(y, return_inverse=True\)"):
            as_targets(strings, "labels", "float32")


def test_a_layer_of_ones_own_gets_several_arrays() -> None:
    class Pair(nn.Module):
        def forward(self, x: Any) -> Any:
            self.got = type(x), [type(t) for t in x]
            return x[0] + x[1].sum(1, True)

    a, b = np.ones((2, 3)), np.ones((2, 5))
    pair = Pair()
    for pack in (list, tuple):
        np.testing.assert_array_equal(pair(pack((a, b))).numpy(), np.full((2, 3), 6.0))
        assert pair.got == (pack, [fastnn.Tensor, fastnn.Tensor])
    np.testing.assert_array_equal(pair([a, a]).numpy(), np.full((2, 3), 4.0))
    assert fastnn.Dense(2)([[1.0, 2.0], [3.0, 4.0]]).shape == fastnn.Dense(2)([np.ones(2), np.ones(2)]).shape == (2, 2)
