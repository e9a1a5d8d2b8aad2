"""More functions with PyTorch's names: values, gradients and dtypes are those of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")
rng = np.random.default_rng(3)
M, N, V = rng.standard_normal((3, 4)), rng.standard_normal((4, 5)), rng.standard_normal(4)
UNIT, ABOVE, BELOW = rng.uniform(-0.9, 0.9, (3, 4)), rng.uniform(1.1, 4, (3, 4)), rng.uniform(0.1, 0.9, (3, 4))
CUBE = rng.standard_normal((2, 3, 4))
HOLES = np.where(M > 0.8, np.nan, M)
CHOSEN = np.argsort(M, 1)[:, :2]

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]
CASES: list[Case] = [
    ("asin", lambda t, x: t.asin(x) + x.arcsin(), (UNIT,)),
    ("acos", lambda t, x: t.acos(x) * t.arccos(x), (UNIT,)),
    ("atan", lambda t, x: t.atan(x) + x.arctan(), (M * 5,)),
    ("atan2", lambda t, x, y: t.atan2(x, y), (M, V)),
    ("atan2 of a column", lambda t, x, y: y.atan2(x) + t.arctan2(x, y), (M, M[:, :1] * 1.5)),
    ("asinh", lambda t, x: t.asinh(x * 10), (M,)),
    ("asinh of large numbers", lambda t, x: t.asinh(x * 1e9), (M,)),
    ("acosh", lambda t, x: t.acosh(x) + t.acosh(x * 1e9), (ABOVE,)),
    ("atanh", lambda t, x: x.atanh() + t.arctanh(x), (UNIT,)),
    ("hypot", lambda t, x, y: t.hypot(x, y), (M, V)),
    ("hypot of large numbers", lambda t, x, y: t.hypot(x * 1e200, y * 1e200) / 1e200, (M, V)),
    ("deg2rad", lambda t, x: t.deg2rad(x) + t.rad2deg(x), (M,)),
    ("frac", lambda t, x: t.frac(x * 3), (M,)),
    ("rsub", lambda t, x, y: t.rsub(x, y, alpha=2), (M, V)),
    ("copysign", lambda t, x, y: t.copysign(x, y) + y, (M, V)),
    ("fmax", lambda t, x, y: t.fmax(x, y) + t.fmin(x, y) * 2, (M, V)),
    ("float_power", lambda t, x: t.float_power(x, 2.5), (BELOW,)),
    ("ldexp", lambda t, x: t.ldexp(x, t.tensor([1, 2, 3, 0])), (M,)),
    ("xlogy", lambda t, x, y: t.xlogy(x, y), (M, BELOW)),
    ("logit", lambda t, x: t.logit(x) + x.logit(eps=0.2), (BELOW,)),
    ("sinc", lambda t, x: t.sinc(x), (M,)),
    ("logcumsumexp", lambda t, x: t.logcumsumexp(x, dim=1), (M * 100,)),
    ("logaddexp of equal numbers", lambda t, x: t.logaddexp(x, x), (M,)),
    ("dist", lambda t, x, y: t.dist(x, y) + t.dist(x, y, 1), (M, V)),
    ("aminmax", lambda t, x: t.aminmax(x, dim=1)[0] + t.aminmax(x).max, (M,)),
    ("kthvalue", lambda t, x: t.kthvalue(x, 2)[0], (M,)),
    ("kthvalue along an axis", lambda t, x: x.kthvalue(3, 0, True).values, (M,)),
    ("mode", lambda t, x: t.mode(x, 1).values, (np.round(M),)),
    ("cummax", lambda t, x: t.cummax(x, 1)[0] - x.cummin(dim=0)[0], (M,)),
    ("msort", lambda t, x: t.msort(x), (M,)),
    ("nansum", lambda t, x: t.nansum(x, 1), (HOLES,)),
    ("nanmean", lambda t, x: x.nanmean(dim=0, keepdim=True), (HOLES,)),
    ("quantile", lambda t, x: t.quantile(x, 0.3), (M,)),
    ("quantile of rows", lambda t, x: t.quantile(x, t.tensor([0.1, 0.5, 1.0], dtype=t.float64), dim=1), (CUBE,)),
    ("quantile keepdim", lambda t, x: x.quantile(0.6, 0, True), (CUBE,)),
    ("quantile of all", lambda t, x: x.quantile(0.6, keepdim=True), (CUBE,)),
    *(
        (f"quantile {how}", lambda t, x, how=how: t.quantile(x, 0.37, dim=1, interpolation=how), (M,))
        for how in ("lower", "higher", "nearest", "midpoint")
    ),
    ("quantile of nan", lambda t, x: t.quantile(t.where(x > 1e3, x * 0, x), 0.5, dim=1), (M,)),
    ("cov", lambda t, x: t.cov(x), (M,)),
    ("cov of a vector", lambda t, x: t.cov(x, correction=0), (V,)),
    ("cov with weights", lambda t, x, w: t.cov(x, aweights=w, fweights=t.tensor([1, 2, 1, 3])), (M, BELOW[0])),
    ("corrcoef", lambda t, x: t.corrcoef(x), (M,)),
    ("ravel", lambda t, x: t.ravel(x), (M,)),
    ("fliplr", lambda t, x: t.fliplr(x) + x.flipud() * 2, (M,)),
    *((f"rot90 {k}", lambda t, x, k=k: t.rot90(x, k, [0, 2]), (CUBE,)) for k in range(-1, 5)),
    ("atleast_3d", lambda t, x, y: t.atleast_3d(x, y)[0] * t.atleast_2d(y).T * t.atleast_1d(y), (M, V)),
    ("column_stack", lambda t, x, y: t.column_stack((x, y)), (M, V[:3])),
    ("dstack", lambda t, x, y: t.dstack((x, y)), (M, M)),
    ("tensor_split", lambda t, x: t.tensor_split(x, 3, dim=1)[0] * 2, (M,)),
    ("tensor_split at indices", lambda t, x: x.tensor_split([1, 3], 1)[1] + t.hsplit(x, 2)[1], (M,)),
    ("vsplit", lambda t, x: t.vsplit(x, [1])[1], (M,)),
    ("broadcast_tensors", lambda t, x, y: t.broadcast_tensors(x, y)[1] * x, (M, V)),
    ("cartesian_prod", lambda t, x, y: t.cartesian_prod(x, y), (V, V[:2])),
    ("combinations", lambda t, x: t.combinations(x) * t.combinations(x, 2).flip(0), (V,)),
    ("combinations with_replacement", lambda t, x: t.combinations(x, r=3, with_replacement=True), (V,)),
    ("kron", lambda t, x, y: t.kron(x, y), (M, V)),
    ("kron of cubes", lambda t, x, y: t.kron(x, y), (CUBE, M)),
    ("tensordot", lambda t, x, y: t.tensordot(x, y, dims=1), (CUBE, N)),
    ("tensordot of axes", lambda t, x, y: t.tensordot(x, y, ([2, 1], [1, 0])), (CUBE, M)),
    ("tensordot 0", lambda t, x, y: t.tensordot(x, y, 0), (V, M)),
    ("inner", lambda t, x, y: t.inner(x, y), (M, CUBE)),
    ("vdot", lambda t, x: t.vdot(x, x) * t.ger(x, x), (V,)),
    ("addmv", lambda t, x, y, z: t.addmv(z, x, y, beta=0.5), (M, V, V[:3])),
    ("addr", lambda t, x, y, z: t.addr(z, x, y, alpha=2), (V[:3], V, M)),
    ("cross", lambda t, x, y: t.cross(x, y, dim=0), (M, M[:, ::-1].copy())),
    ("cross of rows", lambda t, x, y: t.cross(x, y, dim=-1), (M[:, :3].copy(), N[:3, :3].copy())),
    ("block_diag", lambda t, x, y: t.block_diag(x, y, x[:1]), (M, V)),
    ("diag_embed", lambda t, x: t.diag_embed(x) + t.diag_embed(x, 0, 0, 1).sum(), (M,)),
    ("diag_embed offset", lambda t, x: t.diag_embed(x, offset=-1, dim1=2, dim2=0), (M,)),
    ("diagflat", lambda t, x: t.diagflat(x, 1), (M[:2],)),
    ("vander", lambda t, x: fastnn.vander(x, 3, True) if t is fastnn else t.stack([x**0, x, x * x], 1), (V,)),
    ("take_along_dim", lambda t, x: t.take_along_dim(x, t.tensor(CHOSEN), dim=1), (M,)),
    (
        "take_along_dim of a row",
        lambda t, x: t.take_along_dim(x, t.tensor(CHOSEN[:1]), 1) + x.take_along_dim(t.tensor([1])),
        (M,),
    ),
    ("trapezoid", lambda t, x: t.trapezoid(x) + t.trapz(x, dx=0.5), (M,)),
    ("trapezoid at points", lambda t, x, y: t.trapezoid(x, y) + t.trapezoid(x, x * x, dim=1), (M, V)),
]


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_values_and_gradients(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    own = [fastnn.tensor(x, requires_grad=True) for x in inputs]
    expected, y = f(torch, *theirs), f(fastnn, *own)
    assert y.dtype == "float64" and y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    factor = np.random.default_rng(1).standard_normal(y.shape)
    (expected * torch.tensor(factor)).sum().backward()
    (y * factor).sum().backward()
    for a, b in zip(own, theirs, strict=True):
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-10)


EDGES = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, np.inf, -np.inf, np.nan, 1e-30, 1e30])
WHOLE = np.array([[7, -7, 0], [5, 2, -3]])
VALUES: list[Case] = [
    *(
        (name, lambda t, x, name=name: getattr(t, name)(x), (given,))
        for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")
        for given in (EDGES, EDGES.astype(np.float32), WHOLE)
    ),
    ("atan2", lambda t, x: t.atan2(x[:, None], x), (EDGES,)),
    ("atan2 of whole numbers", lambda t, x: t.atan2(x, x[0]), (WHOLE,)),
    ("hypot", lambda t, x: t.hypot(x[:, None], x), (EDGES,)),
    ("copysign", lambda t, x: t.copysign(t.ones_like(x), x), (EDGES[:-3],)),
    ("signbit", lambda t, x: t.signbit(x), (np.delete(EDGES, 8),)),
    ("signbit of whole numbers", lambda t, x: t.signbit(x), (WHOLE,)),
    ("heaviside", lambda t, x: t.heaviside(x, t.tensor(0.5, dtype=t.float64)), (EDGES,)),
    ("fmax", lambda t, x: t.fmax(x[:, None], x) + t.fmin(x, x[:, None]), (EDGES,)),
    ("xlogy", lambda t, x: t.xlogy(x[:, None], x.abs()), (EDGES,)),
    ("sinc", lambda t, x: t.sinc(x), (np.array([0.0, 0.5, 1.0, -2.5]),)),
    ("isposinf", lambda t, x: t.isposinf(x), (EDGES,)),
    ("isneginf", lambda t, x: t.isneginf(x), (EDGES,)),
    ("positive", lambda t, x: t.positive(x), (WHOLE,)),
    ("sgn", lambda t, x: t.sgn(x), (WHOLE,)),
    ("logaddexp", lambda t, x: t.logaddexp(x[:, None], x), (EDGES,)),
    ("logcumsumexp", lambda t, x: t.logcumsumexp(x, 0), (np.array([-np.inf, -np.inf, 1.0, 2.0]),)),
    ("kthvalue", lambda t, x: t.kthvalue(x, 2, dim=0)[1], (WHOLE,)),
    ("cummax", lambda t, x: t.cummax(x, 1).indices, (WHOLE % 3,)),
    ("cummin", lambda t, x: t.cummin(x, 1)[1], (np.array([[1.0, 1.0, np.nan, 0.0, np.nan, 2.0]]),)),
    ("cummax of nan", lambda t, x: t.cummax(x, 1)[0], (np.array([[1.0, np.nan, 3.0], [np.nan, 0.0, 1.0]]),)),
    ("mode", lambda t, x: t.mode(x)[0], (WHOLE % 3,)),
    ("quantile", lambda t, x: t.quantile(x, 0.5, dim=0), (np.array([[1.0, np.nan], [2.0, 3.0]]),)),
    ("histc", lambda t, x: t.histc(x, 5, -1, 1), (M,)),
    ("histc of its own bounds", lambda t, x: t.histc(x, bins=7), (M,)),
    ("histc of equal numbers", lambda t, x: t.histc(x * 0, bins=3), (M,)),
    ("isin", lambda t, x: t.isin(x, t.tensor([7, 2])), (WHOLE,)),
    ("isin inverted", lambda t, x: t.isin(x, t.tensor([7, 2]), invert=True), (WHOLE,)),
    ("isin nothing", lambda t, x: t.isin(x, t.zeros(0)), (WHOLE,)),
    ("argwhere", lambda t, x: t.argwhere(x), (WHOLE,)),
    ("unique_consecutive", lambda t, x: t.unique_consecutive(x), (np.array([1, 1, 2, 2, 1]),)),
    ("unique_consecutive counts", lambda t, x: t.unique_consecutive(x, True, True)[2], (np.array([1, 1, 2, 2, 1]),)),
    ("unique_consecutive inverse", lambda t, x: x.unique_consecutive(return_inverse=True)[1], (np.array([[1, 1], [2, 1]]),)),
    ("tril_indices", lambda t, x: t.tril_indices(3, 4, 1), (M,)),
    ("triu_indices", lambda t, x: t.triu_indices(3, 4, -1), (M,)),
    ("kron", lambda t, x: t.kron(x, x), (WHOLE,)),
    ("block_diag", lambda t, x: t.block_diag(x, x[0]), (WHOLE,)),
    ("constants", lambda t, x: x * t.pi + t.e + (x * 0 == t.inf) * t.numel(x), (M,)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in VALUES], ids=[c[0] for c in VALUES])
def test_values(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    expected, y = f(torch, *map(torch.tensor, inputs)).numpy(), f(fastnn, *map(fastnn.tensor, inputs))
    assert (y.dtype, y.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6 if y.dtype == "float32" else 1e-14)


def test_gradients_of_gradients() -> None:
    for f, inputs in (
        (fastnn.atan2, [M, M[:, :1] * 1.5]), (fastnn.asin, [UNIT]), (fastnn.acos, [UNIT]), (fastnn.atan, [M]),
        (fastnn.asinh, [M]),
        (fastnn.acosh, [ABOVE]), (fastnn.atanh, [UNIT]), (fastnn.hypot, [M, M[::-1].copy()]), (fastnn.sinc, [M]),
        (fastnn.cov, [M]), (lambda x: fastnn.quantile(x * x, 0.4, 1), [M]), (lambda x: fastnn.kthvalue(x * x, 2)[0], [M]),
    ):  # fmt: skip
        assert fastnn.gradcheck(f, inputs)
        assert fastnn.gradgradcheck(f, inputs, atol=1e-6)


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: fastnn.hypot(x, x), 0.0, 0.0),
        (lambda x: fastnn.xlogy(x, 2.0) + fastnn.xlogy(2.0, x + 1), 0.0, np.log(2) + 2),
        (fastnn.sinc, 0.0, 0.0),
    ],
)
def test_gradients_at_0(f: Any, x: float, expected: float) -> None:
    t = fastnn.tensor(x, requires_grad=True)
    f(t).backward()
    assert t.grad.item() == pytest.approx(expected)


def test_angles_are_recorded() -> None:
    @fastnn.capture
    def step(x: Any) -> Any:
        (slope,) = fastnn.grad(fastnn.atan2(x[0], x[1]).sum(), x)
        return slope

    for seed in range(4):
        x = fastnn.tensor(np.random.default_rng(seed).standard_normal((2, 3)), requires_grad=True)
        dx = step(x)
        y = torch.tensor(x.detach().numpy(), requires_grad=True)
        torch.atan2(y[0], y[1]).sum().backward()
        np.testing.assert_allclose(dx.numpy(), y.grad.numpy(), rtol=1e-12)


IN_PLACE = (
    *("abs_", "ceil_", "cos_", "floor_", "round_", "sign_", "sin_", "square_", "trunc_", "sigmoid_", "tanh_", "nan_to_num_"),
    *("tril_", "triu_", "reciprocal_", "negative_"),
)


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name: str) -> None:
    x, y = fastnn.tensor(M), torch.tensor(M)
    assert getattr(x, name)() is x
    np.testing.assert_allclose(x.numpy(), getattr(y, name)().numpy(), rtol=1e-14)


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fastnn.kthvalue(fastnn.ones(3), 4), ValueError, "kthvalue: k is 4, wanted .* 1 to the 3 elements"),
    (lambda: fastnn.quantile(fastnn.ones(3), 1.5), ValueError, "quantile: wanted q from 0 to 1"),
    (lambda: fastnn.quantile(fastnn.ones(3), 0.5, interpolation="best"), ValueError, "interpolation is 'best'"),
    (lambda: fastnn.quantile(fastnn.arange(3), 0.5), TypeError, "quantile: .* int64"),
    (lambda: fastnn.quantile(fastnn.ones(0), 0.5), ValueError, "no elements"),
    (lambda: fastnn.histc(fastnn.ones(3), 3, 2, 1), ValueError, "histc: bounds 2.0 and 1.0"),
    (lambda: fastnn.cov(fastnn.ones(1, 2, 3)), ValueError, r"cov: shape \(1, 2, 3\)"),
    (lambda: fastnn.rot90(fastnn.ones(2, 2), 1, (0, 0)), ValueError, "rot90: axes .* two different"),
    (lambda: fastnn.fliplr(fastnn.ones(2)), ValueError, "fliplr: shape .* at least 2"),
    (lambda: fastnn.cross(fastnn.ones(2), fastnn.ones(2)), ValueError, "cross: .* wanted 3"),
    (lambda: fastnn.tensordot(fastnn.ones(2, 3), fastnn.ones(2, 3), 1), ValueError, "tensordot: axes .* different sizes"),
    (lambda: fastnn.broadcast_shapes((2,), (3,)), ValueError, "broadcast_shapes: shapes .* do not broadcast"),
    (lambda: fastnn.combinations(fastnn.ones(2, 2)), ValueError, "combinations: shape"),
    (lambda: fastnn.block_diag(), ValueError, "block_diag: no matrix"),
    (lambda: fastnn.diag_embed(fastnn.ones(2), 0, 1, 1), ValueError, "diag_embed: dim1 and dim2"),
    (lambda: fastnn.take_along_dim(fastnn.ones(2, 2), fastnn.tensor([0]), 0), ValueError, "take_along_dim: .* as many dim"),
    (lambda: fastnn.positive(fastnn.ones(1) > 0), TypeError, "positive: .* bools"),
]


@pytest.mark.parametrize(("f", "error", "words"), ERRORS, ids=[c[2][:20] for c in ERRORS])
def test_errors(f: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        f()
