"""Functions called as NumPy's users and as PyTorch's do, and NumPy's own functions on Tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

X = np.random.default_rng(0).standard_normal((3, 4))
CUBE = np.random.default_rng(1).standard_normal((2, 3, 4))

TORCHS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *((name, args, {}) for name in ("max", "min", "sort", "std", "var") for args in ((), (1,), (-1,))),
    *((name, (), {"dim": 0, "keepdim": True}) for name in ("max", "min", "std", "var", "sum", "mean", "amax", "amin", "argmax")),
    *((name, (1, True), {}) for name in ("max", "min", "sum", "mean", "prod", "argmin", "logsumexp", "any", "all")),
    *((name, (), kwargs) for name in ("std", "var") for kwargs in ({"unbiased": False}, {"correction": 2}, {"correction": None})),
    *((name, args, {}) for name in ("std", "var") for args in ((False,), (1, False), (1, True, True), ((0, 1),))),
    ("sort", (), {"dim": 0, "descending": True}),
    ("sort", (1, True), {}),
    ("argsort", (), {"dim": 0, "descending": True}),
    ("topk", (2,), {}),
    ("topk", (2,), {"dim": 0, "largest": False, "sorted": True}),
    ("std", ((),), {}),
    ("var", (), {"dim": ()}),
    ("cumsum", (), {"dim": 1}),
    ("norm", (), {"p": 1, "dim": 0}),
    ("flatten", (), {"start_dim": 1}),
    ("unsqueeze", (1,), {}),
    ("squeeze", (0,), {}),
    ("permute", (1, 0), {}),
    ("expand", (2, 3, 4), {}),
    ("split", (2,), {"dim": 1}),
    ("chunk", (2,), {"dim": 1}),
    ("unbind", (), {"dim": 1}),
    ("flip", (), {"dims": (0, 1)}),
    ("roll", (), {"shifts": 1, "dims": 0}),
    ("repeat", (2, 1), {}),
    ("repeat_interleave", (2,), {"dim": 1}),
    ("clamp", (), {"min": -0.5, "max": 0.5}),
    ("softmax", (), {"dim": 0}),
    ("log_softmax", (), {"dim": 1}),
]


def parts(result: Any) -> list[np.ndarray]:
    """The arrays of a result, which is one Tensor or several."""
    return [np.asarray(t) for t in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize(("name", "args", "kwargs"), TORCHS, ids=[f"{n} {a} {k}" for n, a, k in TORCHS])
def test_what_pytorch_gives(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    given = X > 0 if name in ("any", "all") else X
    wanted = parts(getattr(torch.tensor(given), name)(*args, **kwargs))
    ways: list[Callable[..., Any]] = [getattr(fastnn.tensor(given), name)]
    if hasattr(fastnn, name):
        ways.append(lambda *a, **k: getattr(fastnn, name)(fastnn.tensor(given), *a, **k))
    for f in ways:
        found = parts(f(*args, **kwargs))
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", ["max", "min", "std", "var", "sum", "mean", "prod"])
def test_what_numpy_gives_by_its_keywords(name: str) -> None:
    for kwargs in ({"axis": 1}, {"axis": (0, 2)}, {"keepdims": True}, {"axis": -1, "keepdims": True}):
        wanted = getattr(np, name)(CUBE, **kwargs)
        for found in (getattr(fastnn, name)(fastnn.tensor(CUBE), **kwargs), getattr(fastnn.tensor(CUBE), name)(**kwargs)):
            np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)
    if name in ("std", "var"):
        np.testing.assert_allclose(fastnn.tensor(X).std(axis=0, ddof=1).numpy(), X.std(0, ddof=1))
        np.testing.assert_allclose(fastnn.tensor(X).std(ddof=0).numpy(), X.std())
        np.testing.assert_allclose(fastnn.tensor(X).var(axis=0, correction=1).numpy(), X.var(0, ddof=1))


SCALARS = [
    *("sum", "mean", "prod", "amax", "amin", "max", "min", "argmax", "argmin", "logsumexp", "std", "var", "norm", "any", "all"),
    *("cumsum", "sort", "argsort", "median", "squeeze", "softmax", "flatten"),
]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")  # PyTorch's std and var
@pytest.mark.parametrize("name", SCALARS)
def test_a_tensor_without_dimensions_has_axis_0(name: str) -> None:
    torch = pytest.importorskip("torch")
    given = np.array(name == "any") if name in ("any", "all") else np.array(-2.5)
    for axis in (0, -1):
        args = () if name == "flatten" else (2, axis) if name == "norm" else (axis,)
        wanted = parts(getattr(torch.tensor(given), name)(*args))
        found = parts(getattr(fastnn.tensor(given), name)(*args))
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.shape == b.shape
    with pytest.raises(ValueError, match="axis 1 of a Tensor with"):
        fastnn.tensor(0.0).sum(1)
    if name in ("sum", "max", "logsumexp", "median", "cumsum"):
        x = fastnn.tensor(3.0, requires_grad=True)
        y = getattr(x, name)(0)
        (y[0] if isinstance(y, tuple) else y).backward()
        assert x.grad.item() == 1.0


def test_gradients_of_medians() -> None:
    torch = pytest.importorskip("torch")
    ties = np.array([[1.0, 2.0, 2.0, 3.0], [5.0, 0.0, 2.0, 2.0]])
    for f in (lambda t: t.median(), lambda t: t.median(1)[0].sum(), lambda t: t.median(0, True).values.sum()):
        x, y = fastnn.tensor(ties, requires_grad=True), torch.tensor(ties, requires_grad=True)
        f(x).backward()
        f(y).backward()
        assert x.grad.numpy().sum() == pytest.approx(y.grad.numpy().sum())
    x, y = fastnn.tensor(ties, requires_grad=True), torch.tensor(ties, requires_grad=True)
    x.median().backward()
    y.median().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy())
    for f in (lambda t: t.median(axis=1), lambda t: t.median(axis=None), lambda t: t.median(axis=0)):
        assert fastnn.gradcheck(f, [X])
    with pytest.raises(ValueError, match=r"median: shape \(0, 3\) has no elements along axis 0"):
        fastnn.zeros(0, 3).median(0)
    with pytest.raises(TypeError, match="came without dim"):
        fastnn.zeros(3).median(keepdim=True)
    with pytest.raises(TypeError, match=r"median: .*wanted float32 or float64"):
        fastnn.tensor([1, 2]).median(axis=0)


def test_values_have_indices_and_unpack() -> None:
    t = fastnn.tensor(X, requires_grad=True)
    values, indices = t.max(dim=1)
    assert indices.dtype == np.int64 and t.max(1).values.tolist() == values.tolist()
    values.sum().backward()
    assert (t.grad.numpy() == (X.max(1, keepdims=True) == X)).all()
    with_nan = fastnn.tensor([[1.0, np.nan], [3.0, 2.0]])
    assert with_nan.max(1).indices.tolist() == [1, 0] and np.isnan(with_nan.max(1).values.numpy()).tolist() == [True, False]
    assert fastnn.tensor([[True, False]]).max(1).values.dtype == np.bool_
    assert fastnn.tensor([3, 1, 2]).min(0).indices.item() == 1
    assert fastnn.max(fastnn.tensor([1.0, 4.0]), fastnn.tensor([2.0, 3.0])).tolist() == [2.0, 4.0]
    assert fastnn.tensor([1.0, 4.0]).min(other=fastnn.tensor([2.0, 3.0])).tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("f", "match"),
    [
        (lambda t: t.max(axis=1, keepdim=True), "keepdim came in one call"),
        (lambda t: t.max(1, keepdims=True), "by position came in one call"),
        (lambda t: t.sum(axis=1, dim=0), "axis and dim came in one call"),
        (lambda t: t.std(axis=0, unbiased=True), "unbiased came in one call"),
        (lambda t: t.var(axis=0, ddof=1, correction=1), "correction and ddof"),
        (lambda t: t.sort(0, axis=1), "by position came in one call"),
        (lambda t: t.max((0, 1)), "amax"),
        (lambda t: t.max(keepdim=True), "without dim"),
        (lambda t: t.sum(dim=()), r"dim=\(\) came"),
        (lambda t: t.min(1, 2, 3), "3 arguments"),
        (lambda t: t.min(of=1), "'of' came twice or is not known"),
    ],
)
def test_calls_of_no_kind(f: Callable[[Any], Any], match: str) -> None:
    with pytest.raises(TypeError, match=match):
        f(fastnn.tensor(X))


def test_take_along_an_axis_or_rows() -> None:
    t, index = fastnn.tensor(CUBE), np.array([[1, 0], [-1, 1]])
    np.testing.assert_array_equal(fastnn.take(t, index).numpy(), CUBE[index])  # not np.take(CUBE, index)
    np.testing.assert_array_equal(t.reshape(-1).take(index).numpy(), np.take(CUBE, index))
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(t.take(index, axis=axis).numpy(), np.take(CUBE, index, axis))
    assert fastnn.gradcheck(lambda v: fastnn.take(v, [2, 0], 1), [X])
    with pytest.raises(IndexError, match=r"take: index 3 .* 3"):
        fastnn.take(t, [3], 1)


# ---- NumPy's own functions ----

ARRAYS: dict[str, Callable[[Any], Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "amax": np.max,
    "std": lambda t: np.std(t, 0),
    "concatenate": lambda t: np.concatenate([t, t], 1),
    "hstack": lambda t: np.hstack((t, t)),
    "stack": lambda t: np.stack([t, t]),
    "clip": lambda t: np.clip(t, -1, 1),
    "where": lambda t: np.where(X > 0, t, 0.0),
    "norm": np.linalg.norm,
    "einsum": lambda t: np.einsum("ij,kj->ik", t, t),
    "reshape": lambda t: np.reshape(t, -1),
    "median": np.median,
    "hypot": lambda t: np.hypot(t, 1.0),
    "reduce": np.add.reduce,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_numpy_takes_values_and_loses_no_gradient(name: str) -> None:
    f = ARRAYS[name]
    plain, trained = fastnn.tensor(X), fastnn.tensor(X, requires_grad=True)
    found = f(plain)
    assert not isinstance(found, fastnn.Tensor)
    np.testing.assert_array_equal(found, f(X))
    with pytest.raises(TypeError, match=r"requires a gradient, which would be lost; use .*t\.detach\(\)"):
        f(trained)
    np.testing.assert_array_equal(f(trained.detach()), f(X))
    with fastnn.no_grad():
        np.testing.assert_array_equal(f(trained), f(X))


def test_numpy_names_the_function_to_use() -> None:
    t = fastnn.tensor(X, requires_grad=True)
    for f, match in (
        (lambda: np.concatenate([t, X]), r"np\.concatenate .*fastnn\.cat"),
        (lambda: np.sum(t), r"np\.sum .*fastnn\.sum"),
        (lambda: np.linalg.norm(t), r"np\.linalg\.norm .*fastnn\.norm"),
        (lambda: np.add.reduce(t), r"np\.add\.reduce .*use t\.detach"),
        (lambda: np.arctan(t), r"np\.arctan .*fastnn\.arctan"),
    ):
        with pytest.raises(TypeError, match=match):
            f()
    assert np.shape(t) == (3, 4) and np.isfinite(t).all() and np.allclose(t, X) and np.argmax(t) == X.argmax()
    assert np.zeros_like(t).shape == (3, 4)
    assert (np.asarray(t) == X).all()  # a conversion, as numpy() is
    with pytest.raises(TypeError, match="out is a Tensor"):
        np.sum(X, out=t.detach())
