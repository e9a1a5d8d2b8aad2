"""Whole numbers: exact beyond what floats hold, and wrapping around where int64 ends, as NumPy's do."""

from typing import Any

import numpy as np
import pytest

import fastnn

BIG = 2**53 + 1


@pytest.mark.parametrize("y", [0, 1, 3, np.int64(2), [0, 1, 2], np.array([3, 2, 1])], ids=repr)
def test_powers(y: Any) -> None:
    x = np.array([3, -7, 94906267])
    got = fastnn.tensor(x) ** (fastnn.tensor(y) if isinstance(y, list) else y)
    np.testing.assert_array_equal(got.numpy(), x ** np.asarray(y))
    assert got.dtype == np.int64


def test_powers_of_and_by_numbers() -> None:
    assert (2 ** fastnn.tensor([3, 62])).tolist() == [8, 2**62]
    assert (fastnn.tensor([True, False]) ** 2).tolist() == [1, 0]
    assert (fastnn.tensor([2, 4]) ** -1).tolist() == [0.5, 0.25]
    assert (fastnn.tensor([4]) ** 0.5).tolist() == [2.0]
    assert (fastnn.tensor([2.0]) ** 3).dtype == np.float32


@pytest.mark.parametrize("name", ["square", "sum", "prod", "max", "min", "sort", "abs", "neg"])
def test_functions_beyond_2_to_the_53(name: str) -> None:
    x = np.array([BIG, -3, BIG - 2])
    f = {"neg": np.negative}.get(name) or getattr(np, name)
    got = getattr(fastnn, name)(fastnn.tensor(x))
    np.testing.assert_array_equal(got.numpy() if isinstance(got, fastnn.Tensor) else got[0].numpy(), f(x))


@pytest.mark.parametrize("name", ["clip", "where", "cumsum", "maximum", "take", "concatenate"])
def test_functions_of_more_arguments_beyond_2_to_the_53(name: str) -> None:
    x = np.array([BIG, -3, BIG - 2])
    arguments: dict[str, tuple[Any, Any]] = {
        "clip": (lambda m, t: m.clip(t, 0, BIG - 1), np.clip(x, 0, BIG - 1)),
        "where": (lambda m, t: m.where(t > 0, t, t), x),
        "cumsum": (lambda m, t: m.cumsum(t, 0), np.cumsum(x)),
        "maximum": (lambda m, t: m.maximum(t, BIG - 1), np.maximum(x, BIG - 1)),
        "take": (lambda m, t: m.take(t, np.array([2, 0])), x[[2, 0]]),
        "concatenate": (lambda m, t: m.concatenate([t, t]), np.concatenate([x, x])),
    }
    f, want = arguments[name]
    np.testing.assert_array_equal(f(fastnn, fastnn.tensor(x)).numpy(), want)
