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


def test_powers_by_arrays_of_numbers_below_0() -> None:
    x = fastnn.tensor([2, 1, -1, -1, 0, 3])
    assert (x ** fastnn.tensor([-1, -2, -3, -4, -1, 2])).tolist() == [0, 1, -1, 1, 0, 9]
    assert (2 ** fastnn.tensor([-1, 0, 3])).tolist() == [0, 1, 8]


def test_filled_beyond_2_to_the_53() -> None:
    x = fastnn.tensor([1, 2])
    x.fill_(BIG)
    for made in (x, fastnn.full((2,), BIG), fastnn.full_like(x, BIG), fastnn.full((2,), np.int64(BIG))):
        assert made.tolist() == [BIG, BIG]
    step = fastnn.capture(lambda t: t + fastnn.full((2,), BIG))
    assert [step(fastnn.tensor([1, i])).tolist() for i in range(4)] == [[BIG + 1, BIG + i] for i in range(4)]
    for value in (2**63, float("nan"), -1e30):
        with pytest.raises(ValueError, match=r"fill: .* came, which int64 cannot hold"):
            x.fill_(value)


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


def test_overflow_wraps_around() -> None:
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    for values in ([low, 89], [high, high, 3], [low, -1]):
        x = np.array(values)
        t = fastnn.tensor(x)
        with np.errstate(over="ignore"):
            assert (t.prod().item(), t.sum().item()) == (x.prod(), x.sum())
            for f in (np.add, np.subtract, np.multiply):
                got = {"add": t + t, "subtract": t - t[:1], "multiply": t * t}[f.__name__]
                np.testing.assert_array_equal(got.numpy(), f(x, x[:1] if f is np.subtract else x))
        columns = np.array([values, values]).T.copy()
        np.testing.assert_array_equal(fastnn.prod(fastnn.tensor(columns), 0).numpy(), columns.prod(0))


def test_floats_beyond_int64_become_its_least_number() -> None:
    low = np.iinfo(np.int64).min
    for dtype in (np.float32, np.float64):
        x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0**63, -(2.0**63), 2.0**62, -2.7, 2.7] * 3, dtype)
        want = [low] * 7 + [2**62, -2, 2]
        assert fastnn.tensor(x).astype(np.int64).tolist() == want * 3
