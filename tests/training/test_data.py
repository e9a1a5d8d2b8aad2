"""What users pass in becomes arrays, or an error that says what came and what is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.autograd.tensor import tensor
from fastnn.training.data.arrays import (
    as_features,
    as_sample_weight,
    as_targets,
    check_labels,
    check_same_length,
    class_weight_to_sample_weight,
    validation_split,
)

F32 = np.float32
NO_WEIGHT = np.empty(0, F32)


class Frame:
    """As a data frame looks from outside."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def to_numpy(self) -> Any:
        return self.values


class Capsule:
    """An array that speaks DLPack alone."""

    def __init__(self, a: Any) -> None:
        self.a = a

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.a.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.a.__dlpack_device__()


@pytest.mark.parametrize(
    "x",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        np.array([[1, 2], [3, 4]], np.int8),
        np.array([[1, 2], [3, 4]], ">f8"),
        np.array([[1, 3], [2, 4]], F32).T,
        np.array([[1, 0, 2], [3, 0, 4]], F32)[:, ::2],
        np.array([[1, 2], [3, 4]], np.float16),
        [np.array([1, 2]), np.array([3, 4])],
        Frame([[1, 2], [3, 4]]),
        Capsule(np.array([[1.0, 2.0], [3.0, 4.0]])),
    ],
    ids=["list", "tuple", "int8", "big endian", "transposed", "strided", "float16", "list of arrays", "frame", "dlpack"],
)
def test_features(x: Any) -> None:
    a = as_features(x, F32)
    assert type(a) is np.ndarray and a.dtype == F32 and a.flags.c_contiguous and a.flags.aligned
    np.testing.assert_array_equal(a, [[1, 2], [3, 4]])


def test_features_of_booleans_nan_and_infinity() -> None:
    np.testing.assert_array_equal(as_features([True, False], F32), [1, 0])
    np.testing.assert_array_equal(as_features([[np.nan, np.inf]], F32), [[np.nan, np.inf]])


def test_tensors() -> None:
    assert as_features(tensor([[1.0, 2.0]]), F32).dtype == F32
    np.testing.assert_array_equal(as_targets(tensor([1, 0]), "labels", F32), [1, 0])
    assert as_features(tensor([[1.0, 2.0]]), np.float64).dtype == np.float64
    np.testing.assert_array_equal(as_targets(tensor([1, 0]), "values", F32), np.array([[1], [0]], F32))


def test_right_features_are_not_copied() -> None:
    x = np.zeros((3, 2), F32)
    assert as_features(x, F32) is x


def test_unaligned_features_are_copied() -> None:
    x = np.frombuffer(b"\0" * 25, np.uint8)[1:].view(F32)
    assert not x.flags.aligned
    assert as_features(x, F32).flags.aligned


class Sparse:
    def toarray(self) -> Any:
        return np.eye(2)


class Refusing:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("it lives on a device")


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (None, TypeError, "x is None; wanted an array"),
        ("abc", TypeError, "x is the string 'abc'"),
        ({1: 2}, TypeError, "x is a dict"),
        (iter([1]), TypeError, "x is a list_iterator"),
        ([["a", "b"]], TypeError, "x holds strings"),
        (np.array([b"a"]), TypeError, "x holds strings"),
        ([None, 1.0], TypeError, "x holds Python objects"),
        (np.array([[1, "2"]], object), TypeError, "x holds Python objects"),
        (np.zeros(2, complex), TypeError, "x holds complex numbers"),
        (np.zeros(2, "M8[s]"), TypeError, "x holds no numbers"),
        (np.zeros(2, "f4,f4"), TypeError, "x holds no numbers"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), TypeError, "x is a masked array"),
        (Sparse(), TypeError, "x is a sparse matrix"),
        (Refusing(), TypeError, "x is a Refusing that cannot be converted to a NumPy array: it lives on a device"),
        ([[1, 2], [3]], ValueError, "x is a ragged list"),
        (3.5, ValueError, "x is a single number"),
        (np.float32(3), ValueError, "x is a single number"),
        ([], ValueError, r"x has no samples \(shape \(0,\)\)"),
        (np.zeros((0, 400)), ValueError, r"x has no samples \(shape \(0, 400\)\)"),
        ([[0, 1e300]], ValueError, r"x\[0, 1\] is 1e\+300, which is beyond float32"),
        ([10**400, 0.5], TypeError, "x holds Python objects"),
        (np.array([10**400, 0.5], object), TypeError, "x holds Python objects"),
    ],
)
def test_bad_features(x: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^predict: {words}"):
        as_features(x, F32, "predict")


@pytest.mark.parametrize(
    "y",
    [
        [0, 2, 1],
        [[0], [2], [1]],
        [0.0, 2.0, 1.0],
        np.array([0, 2, 1], np.uint8),
        np.array([0, 2, 1], np.float16),
        np.array([0, 2, 1], ">i2"),
    ],
)
def test_labels(y: Any) -> None:
    labels = as_targets(y, "labels", F32)
    assert labels.dtype == np.int64 and labels.flags.c_contiguous
    np.testing.assert_array_equal(labels, [0, 2, 1])


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        ([0, 1.5], ValueError, r"y\[1\] is 1\.5; wanted class numbers"),
        ([0, np.nan], ValueError, r"y\[1\] is nan"),
        ([np.inf, 1], ValueError, r"y\[0\] is inf"),
        ([0.0, 2.0**63], ValueError, r"y\[1\] is 9\.2"),
        (np.array([2**63], np.uint64), ValueError, r"y\[0\] is 9223372036854775808"),
        (np.eye(3), ValueError, r"y has shape \(3, 3\).*one-hot"),
        (["cat", "dog"], TypeError, "y holds strings"),
        (None, TypeError, "y is None"),
    ],
)
def test_bad_labels(y: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"fit: {words}"):
        as_targets(y, "labels", F32)


def test_values() -> None:
    assert as_targets([1, 2], "values", F32).shape == (2, 1)
    assert as_targets([1, 2], "values", F32, column=False).shape == (2,)
    assert as_targets(np.eye(3), "values", np.float64).dtype == np.float64


def test_sample_weight() -> None:
    assert as_sample_weight(None, 3, F32).shape == (0,)
    np.testing.assert_array_equal(as_sample_weight([[1], [-2]], 2, F32), [1, -2])
    with pytest.raises(ValueError, match=r"sample_weight has shape \(2,\); wanted one weight for each of the 3 samples"):
        as_sample_weight([1, 2], 3, F32)
    with pytest.raises(ValueError, match=r"sample_weight\[1\] is nan"):
        as_sample_weight([1, np.nan], 2, F32)


def test_class_weight() -> None:
    labels = np.array([0, 2, 1])
    np.testing.assert_array_equal(class_weight_to_sample_weight({0: 2, 1: 0.5}, labels, NO_WEIGHT), [2, 1, 0.5])
    weighted = class_weight_to_sample_weight({0: 2, 1: 0.5}, labels, np.array([10, 10, 10], F32))
    np.testing.assert_array_equal(weighted, [20, 10, 5])
    assert weighted.dtype == F32
    for smoothed in (np.array([0.1, 0.9]), np.array([[0.1], [0.9]])):
        np.testing.assert_array_equal(class_weight_to_sample_weight({0: 2, 1: 3}, smoothed, NO_WEIGHT), [2, 3])
    np.testing.assert_array_equal(class_weight_to_sample_weight({0: 3}, np.eye(2)[[1, 0]], NO_WEIGHT), [1, 3])
    np.testing.assert_array_equal(class_weight_to_sample_weight({1: 3}, np.array([[1.0], [0.0]]), NO_WEIGHT), [3, 1])


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        ("balanced", TypeError, "class_weight is the string 'balanced'; wanted a dict .*; balanced: "),
        ([1, 2], TypeError, "class_weight is a list"),
        ({"a": 1}, TypeError, "class_weight has the key 'a'"),
        ({0: "x"}, ValueError, r"class_weight\[0\] is 'x'"),
        ({0: np.nan}, ValueError, r"class_weight\[0\] is nan"),
    ],
)
def test_bad_class_weight(weight: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        class_weight_to_sample_weight(weight, np.array([0, 1]), NO_WEIGHT)


def test_same_length() -> None:
    check_same_length("fit", x=np.zeros((3, 2)), y=np.zeros(3), sample_weight=NO_WEIGHT, other=None)
    with pytest.raises(ValueError, match=r"^fit: x has 3 samples, but y has 2$"):
        check_same_length("fit", x=np.zeros((3, 2)), y=np.zeros(2))


def test_label_range() -> None:
    check_labels(np.array([0, 9]), 10)
    check_labels(np.array([0, -1, 9]), 10, ignore_index=-1)
    with pytest.raises(ValueError, match=r"^fit: y\[2\] is 10, but the model has 10 outputs: labels are 0 to 9$"):
        check_labels(np.array([0, 9, 10]), 10)
    with pytest.raises(ValueError, match=r"y\[1\] is -1"):
        check_labels(np.array([0, -1]), 10)
    with pytest.raises(ValueError, match=r"y\[1\] is -2"):
        check_labels(np.array([-1, -2]), 10, ignore_index=-1)


def test_validation_split_takes_the_last_part() -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    (x1, y1, w1), (x2, y2, w2) = validation_split([x, y, NO_WEIGHT], 0.25)
    assert x1 is not None and x2 is not None and w1 is NO_WEIGHT and w2 is NO_WEIGHT
    np.testing.assert_array_equal(y1, np.arange(7))
    np.testing.assert_array_equal(y2, [7, 8, 9])
    assert len(x1) == 7 and np.shares_memory(x2, x)


def test_validation_split_of_a_tiny_fraction_is_one_sample() -> None:
    _, (validation,) = validation_split([np.zeros(10)], 1e-9)
    assert validation is not None and len(validation) == 1


@pytest.mark.parametrize(
    ("n", "fraction", "error"),
    [
        (10, 0, ValueError),
        (10, 1, ValueError),
        (10, -0.1, ValueError),
        (1, 0.5, ValueError),
        (10, "a", TypeError),
        (10, True, TypeError),
    ],
)
def test_bad_validation_split(n: int, fraction: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="fit: validation_split"):
        validation_split([np.zeros(n)], fraction)


# ---- a vector of samples ----


@pytest.mark.parametrize("of", ["shape", "no shape", "Linear", "graph", "Dense"])
def test_a_vector_is_samples_of_one_number(of: str) -> None:
    x = np.arange(8.0)
    inputs = fastnn.Input((1,))
    model: Any = {
        "shape": lambda: fastnn.Sequential([fastnn.Dense(2, input_shape=(1,))]),
        "no shape": lambda: fastnn.Sequential([fastnn.Sequential([fastnn.Dense(2)])]),
        "Linear": lambda: fastnn.nn.Sequential(fastnn.nn.Linear(1, 2)),
        "graph": lambda: fastnn.Model(inputs, fastnn.Dense(2)(inputs)),
        "Dense": lambda: fastnn.Dense(2),
    }[of]()
    model.compile("sgd", "mse")
    y = np.ones((8, 2))
    model.train_on_batch(x, y)
    for given in (x, list(x)):
        for size in (None, 1, 3):
            np.testing.assert_array_equal(model.predict(given, batch_size=size), model.predict(x[:, None]))
    assert model.evaluate(x, y) == model.evaluate(x[:, None], y)
    model.fit(x, y, validation_data=(x, y), verbose=0)


def test_a_vector_is_no_sample_of_several_numbers() -> None:
    x = np.arange(3000.0)
    inputs = fastnn.Input((3000,), name="long")
    for model in (
        fastnn.Sequential([fastnn.Dense(1, input_shape=(3000,))]),
        fastnn.nn.Sequential(fastnn.nn.Linear(3000, 1)),
        fastnn.Model(inputs, fastnn.Dense(1)(inputs)),
    ):
        model.compile("sgd", "mse")
        for op, call in {
            "predict": lambda model=model: model.predict(x),
            "fit": lambda model=model: model.fit(x, x),
            "evaluate": lambda model=model: model.evaluate(x, x),
        }.items():
            with pytest.raises(ValueError, match=rf"^{op}: x has shape \(3000,\), wanted \(n, 3000\); for one sample: x\[None\]"):
                call()


def test_vectors_go_into_models_of_ones_own_as_they_are() -> None:
    class Rows(fastnn.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = fastnn.nn.Parameter(np.ones((5, 2), F32))

        def forward(self, x: Any) -> Any:
            return self.rows[x.astype("int64")]

    assert Rows().predict(np.arange(5)).shape == (5, 2)


def test_weights_of_classes_that_the_model_does_not_have() -> None:
    x, labels = np.ones((4, 2)), np.array([0, 1, 2, 0])
    for loss, y in (("sparse_categorical_crossentropy", labels), ("categorical_crossentropy", np.eye(3)[labels])):
        model = fastnn.Sequential([fastnn.Dense(3, "softmax", input_shape=(2,))])
        model.compile("sgd", loss)
        model.fit(x, y, class_weight={0: 1.0, 2: 2.0}, verbose=0)
        for key in (3, -1):
            with pytest.raises(ValueError, match=rf"fit: class_weight has the key {key}, but the model's classes are 0 to 2"):
                model.fit(x, y, class_weight={key: 2.0}, verbose=0)


def test_functions_as_metrics_give_numbers() -> None:
    for wrong in (None, "a"):
        model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
        model.compile("sgd", "mse", metrics=[lambda t, p, wrong=wrong: wrong], capture=False)
        with pytest.raises(
            TypeError, match=rf"metric <lambda>: the function returned a {type(wrong).__name__}, not numbers; wanted one"
        ):
            model.evaluate(np.ones((4, 2)), np.ones(4))
