"""Data frames, series and arrays of objects at the door; several arrays for a custom layer."""

from __future__ import annotations

import copy
import decimal
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.training.data.arrays import as_features, as_targets


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
            with pytest.raises(TypeError, match=r"fit: column 'bad one' of x .*encode it"):
                as_features(frame, "float32")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["x", "y"], r"astype\(float\) reads numbers stored as text"),
        ("category", "get_dummies makes a column of each category"),
        ("datetime64[ns]", "days since a date"),
        ("timedelta64[ns]", "total_seconds"),
        ([1j, 2.0], "real and imaginary part"),
        ([[1], [2]], "astype"),
        ([10**400, 1], "astype"),
    ],
)
def test_what_to_do_with_a_column(values: Any, words: str) -> None:
    pd = pytest.importorskip("pandas")
    column = (
        pd.Categorical(["u", "v"]) if values == "category" else pd.Series([1, 2]).astype(values) if "64" in values else values
    )
    with pytest.raises(
        TypeError, match=rf"fit: column 'bad' of x \(dtype .*\) holds no numbers; drop it, or encode it: .*{words}"
    ):
        as_features(pd.DataFrame({"a": [1.0, 2.0], "bad": column}), "float32")


def test_columns_keep_whole_numbers() -> None:
    pd = pytest.importorskip("pandas")
    ids = pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "b": [True, False], "c": pd.Categorical([2**60 + 1, 4])})
    a = as_targets(ids, "any", "float32")
    assert a.dtype == np.int64 and a.tolist() == [[1, 1, 2**60 + 1], [2, 0, 4]]
    assert as_features(ids.assign(d=np.float32(0.5)), "float64").tolist()[1] == [2, 0, 4, 0.5]


def test_targets_of_frames_and_series() -> None:
    pd = pytest.importorskip("pandas")
    for labels in (pd.Series([1, 0], dtype="category"), pd.DataFrame({"y": [True, False]}), pd.Series([1, 0], dtype="object")):
        assert as_targets(labels, "labels", "float32").tolist() == [1, 0]
    for words in (pd.Series(["b", "a"], dtype="category"), pd.Series(["b", "a"]), pd.Categorical(["b", "a"])):
        with pytest.raises(TypeError, match=rf"y holds no numbers \(dtype {words.dtype}\).*np.unique\(y, return_inverse=True\)"):
            as_targets(words, "labels", "float32")
        assert np.unique(words, return_inverse=True)[1].tolist() == [1, 0]
    model = fastnn.Sequential([fastnn.Dense(2, "softmax", input_shape=(2,))])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [True, False]})
    model.fit(frame, pd.Series([1, 0], dtype="category"), sample_weight=pd.Series([1, 2]), verbose=0)
    assert model.predict(frame).shape == (2, 2)


def test_tables_of_arrow() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1.5, None], "b": [True, False], "i": [1, 2]})
    np.testing.assert_array_equal(as_features(table, "float32"), [[1.5, 1, 1], [np.nan, 0, 2]])
    with pytest.raises(TypeError, match=r"column 's' of x \(dtype string\) holds no numbers"):
        as_features(pa.table({"a": [1.5, 2], "s": ["u", "v"]}), "float32")


def test_frames_of_polars() -> None:
    class Frame:  # as Polars's looks from outside
        columns, dtypes = ("a", "s"), ("Int64", "String")

        def get_columns(self) -> list[Any]:
            return [np.array([1, 2]), np.array(["u", "v"], object)]

    with pytest.raises(TypeError, match=r"column 's' of x \(dtype String\) holds no numbers"):
        as_features(Frame(), "float32")
    Frame.get_columns = lambda self: [np.array([1, 2]), np.array([True, None], object)]  # type: ignore[method-assign]
    np.testing.assert_array_equal(as_features(Frame(), "float32"), [[1, 1], [2, np.nan]])


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


def test_columns_are_those_of_fit() -> None:
    pd = pytest.importorskip("pandas")
    frame, y = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}), [1.0, 2.0]
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    model.predict(frame[["b", "a"]])  # nothing is known before fit
    model.fit(frame, y, verbose=0, validation_data=(frame, y))
    turned = frame[["b", "a"]]
    for op, call in {
        "predict": lambda: model.predict(turned),
        "evaluate": lambda: model.evaluate(turned, y, verbose=0),
        "fit": lambda: model.fit(turned, y, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(turned, y),
    }.items():
        with pytest.raises(ValueError, match=f"{op}: the columns of x have another order than in fit: column 0 is 'b'"):
            call()
    with pytest.raises(ValueError, match="x does not have the columns of fit: it lacks 'b' and also has 'c'"):
        model.predict(frame.rename(columns={"b": "c"}))
    with pytest.raises(ValueError, match="it also has 'c0', 'c1', 'c2' and 1 more; select those of fit"):
        model.predict(frame.assign(**{f"c{i}": 0 for i in range(4)}))
    with pytest.raises(ValueError, match="it has a column twice"):
        model.predict(frame[["a", "b", "a"]])
    np.testing.assert_array_equal(model.predict(turned.to_numpy()[:, ::-1]), model.predict(frame))
    np.testing.assert_array_equal(model.predict(frame.rename(columns={"a": 0, "b": 1})), model.predict(frame))
    with pytest.raises(ValueError, match="another order"):
        copy.deepcopy(model).predict(turned)


def test_columns_of_several_inputs() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    wide, narrow = fastnn.Input((2,), name="wide"), fastnn.Input((1,), name="narrow")
    model = fastnn.Model([wide, narrow], fastnn.Dense(1)(fastnn.Concatenate()([wide, narrow])))
    model.compile("sgd", "mse")
    model.fit({"wide": frame, "narrow": frame[["a"]]}, [1.0, 2.0], verbose=0)
    with pytest.raises(ValueError, match=r"the columns of x\['wide'\] have another order"):
        model.predict({"wide": frame[["b", "a"]], "narrow": frame[["a"]]})
    with pytest.raises(ValueError, match=r"x\[.*\] does not have the columns of fit: it lacks 'a' and also has 'b'"):
        model.predict([frame, frame[["b"]]])


def test_a_refused_fit_keeps_no_columns() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, np.nan]})
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="column 'b'"):
        model.fit(frame, [1.0, 2.0], verbose=0)
    model.fit(frame.fillna(0)[["b", "a"]], [1.0, 2.0], verbose=0)
