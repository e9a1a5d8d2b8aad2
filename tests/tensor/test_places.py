"""Changes at indices, bits, and functions of the gamma family: values and gradients are those of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")
rng = np.random.default_rng(5)
M, ROWS, COLUMNS = rng.standard_normal((4, 3)), rng.standard_normal((2, 3)), rng.standard_normal((4, 2))
POSITIVE, NEGATIVE = rng.uniform(0.05, 12, (3, 4)), rng.uniform(-5.9, -5.1, 5)
UNIT = rng.uniform(-0.99, 0.99, (3, 4))
WHOLE = np.array([[7, -7, 0], [5, 2, -3]])
MASK = np.array([True, False, False, True])

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]
CASES: list[Case] = [
    ("index_add", lambda t, x, s: t.index_add(x, 0, t.tensor([1, 1]), s, alpha=2), (M, ROWS)),
    ("index_add columns", lambda t, x, s: x.index_add(dim=1, index=t.tensor([2, 0]), source=s), (M, COLUMNS)),
    ("index_copy", lambda t, x, s: t.index_copy(x, 0, t.tensor([3, 1]), s), (M, ROWS)),
    ("index_copy columns", lambda t, x, s: x.index_copy(1, t.tensor([2, 0]), s), (M, COLUMNS)),
    ("index_fill", lambda t, x: x.index_fill(1, t.tensor([2, 0]), 2.5), (M,)),
    ("index_put", lambda t, x, v: t.index_put(x, (t.tensor([3, -4]), t.tensor([1, 0])), v), (M, ROWS[:, 0].copy())),
    ("index_put rows", lambda t, x, v: x.index_put((t.tensor([3, 0]),), v), (M, ROWS)),
    ("index_put accumulate", lambda t, x, v: x.index_put((t.tensor([2, 2]),), v, accumulate=True), (M, ROWS)),
    ("index_put mask", lambda t, x, v: x.index_put((t.tensor(MASK),), v), (M, ROWS)),
    ("index_put one number", lambda t, x, v: x.index_put((t.tensor([[3, 0]]), t.tensor([[1], [2]])), v), (M, ROWS[0, 0])),
    ("lgamma", lambda t, x: t.lgamma(x) + x.lgamma(), (POSITIVE,)),
    ("lgamma below 0", lambda t, x: t.lgamma(x), (NEGATIVE,)),
    ("digamma", lambda t, x: t.digamma(x), (POSITIVE,)),
    ("digamma below 0", lambda t, x: t.digamma(x), (NEGATIVE,)),
    ("erfinv", lambda t, x: t.erfinv(x), (UNIT,)),
]


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_values_and_gradients(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    own = [fastnn.tensor(x, requires_grad=True) for x in inputs]
    expected, y = f(torch, *theirs), f(fastnn, *own)
    assert (y.dtype, y.shape) == ("float64", tuple(expected.shape))
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    factor = np.random.default_rng(1).standard_normal(y.shape)
    (expected * torch.tensor(factor)).sum().backward()
    (y * factor).sum().backward()
    for a, b in zip(own, theirs, strict=True):
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-12)  # the error of PyTorch's trigamma


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_gradients_by_differences(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    assert fastnn.gradcheck(lambda *x: f(fastnn, *x), list(inputs))


def test_gradients_of_gradients() -> None:
    for f, x in ((fastnn.lgamma, POSITIVE), (fastnn.digamma, POSITIVE + 1), (fastnn.erfinv, UNIT * 0.8)):
        assert fastnn.gradgradcheck(f, [x], atol=1e-5)


EDGES = np.array([0.0, 1.0, 2.0, -1.0, np.inf, 1e30])
VALUES: list[Case] = [
    ("lgamma", lambda t, x: t.lgamma(x), (EDGES,)),
    ("lgamma of whole numbers", lambda t, x: t.lgamma(x + 8), (WHOLE,)),
    ("erfinv", lambda t, x: t.erfinv(x), (np.array([-1.0, 1.0, 0.0, 2.0, 1e-20, 1 - 1e-7]),)),
    ("erfinv float32", lambda t, x: t.erfinv(x), (np.array([1 - 2e-7, -0.5, 1e-9], np.float32),)),
    ("index_add of whole numbers", lambda t, x: t.index_add(x, 0, t.tensor([1, 1]), x), (WHOLE,)),
    ("and", lambda t, x: t.bitwise_and(x, x[0]) + x.bitwise_and(6), (WHOLE,)),
    ("or", lambda t, x: t.bitwise_or(x, x[0]), (WHOLE,)),
    ("xor", lambda t, x: x.bitwise_xor(x[1]), (WHOLE,)),
    ("not", lambda t, x: t.bitwise_not(x), (WHOLE,)),
    ("of bools", lambda t, x: t.bitwise_and(x > 0, x > 2) == t.bitwise_not(x < 0), (WHOLE,)),
    ("shifts", lambda t, x: (x << 3) + (x >> 1) + t.bitwise_left_shift(x, t.tensor([1, 0, 2])), (WHOLE,)),
]


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in VALUES], ids=[c[0] for c in VALUES])
def test_values(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    expected, y = f(torch, *map(torch.tensor, inputs)).numpy(), f(fastnn, *map(fastnn.tensor, inputs))
    assert (str(y.dtype), y.shape) == (str(expected.dtype), expected.shape)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6 if y.dtype != "float64" else 2e-9, atol=1e-13)


def test_in_place() -> None:
    index, rows = np.array([3, 0]), ROWS
    for change in (
        lambda t, x: x.index_add_(0, t.tensor(index), t.tensor(rows)),
        lambda t, x: x.index_copy_(0, t.tensor(index), t.tensor(rows)),
        lambda t, x: x.index_fill_(0, t.tensor(index), 3.0),
        lambda t, x: x.index_put_((t.tensor(index),), t.tensor(rows)),
    ):
        own, theirs = fastnn.tensor(M.copy()), torch.tensor(M.copy())
        assert change(fastnn, own) is own
        np.testing.assert_array_equal(own.numpy(), change(torch, theirs).numpy())


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fastnn.index_add(fastnn.ones(3), 0, [0], fastnn.ones(2)), ValueError, r"index_add: an index of shape \(1,\)"),
    (lambda: fastnn.index_copy(fastnn.ones(3), 0, [0, 0], fastnn.ones(2)), ValueError, "several times"),
    (lambda: fastnn.index_put(fastnn.ones(3), ([0], [0]), 1.0), ValueError, "index_put: 2 indices came, wanted 1 to 1"),
    (lambda: fastnn.index_put(fastnn.ones(3), ([True],), 1.0), ValueError, r"index_put: a mask of shape \(1,\)"),
    (lambda: fastnn.index_put(fastnn.ones(3), ([3],), 1.0), IndexError, "index_put"),
    (lambda: fastnn.bitwise_and(fastnn.ones(3), 1), TypeError, "bitwise_and: a Tensor of dtype float32 came"),
]


@pytest.mark.parametrize(("f", "error", "message"), ERRORS)
def test_errors(f: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        f()
