"""Functions with PyTorch's names: values and gradients are those of PyTorch, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

torch = pytest.importorskip("torch")
rng = np.random.default_rng(7)
M, N, V = rng.standard_normal((3, 4)), rng.standard_normal((4, 5)), rng.standard_normal(4)
POSITIVE, CUBE, WIDE = np.abs(M) + 0.5, rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 4, 3))
INDEX = np.array([[2, 0], [1, 3], [0, 1]])

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]
CASES: list[Case] = [
    ("log2", lambda t, x: t.log2(x), (POSITIVE,)),
    ("log10", lambda t, x: x.log10(), (POSITIVE,)),
    ("exp2", lambda t, x: t.exp2(x), (M,)),
    ("tan", lambda t, x: t.tan(x), (M,)),
    ("sinh", lambda t, x: t.sinh(x), (M,)),
    ("cosh", lambda t, x: t.cosh(x), (M,)),
    ("logaddexp", lambda t, x, y: t.logaddexp(x, y), (M, V)),
    ("lerp", lambda t, x, y: t.lerp(x, y, 0.3), (M, V)),
    ("addcmul", lambda t, x, y: x.addcmul(y, y, value=0.5), (M, V)),
    ("addcdiv", lambda t, x, y: t.addcdiv(x, x, y, value=0.5), (M, POSITIVE)),
    ("add with alpha", lambda t, x, y: t.add(x, y, alpha=2), (M, V)),
    ("diff", lambda t, x: t.diff(x, dim=0), (M,)),
    ("diff twice", lambda t, x: t.diff(x, 2), (M,)),
    ("cumprod", lambda t, x: t.cumprod(x, dim=1), (M,)),
    ("cumprod with 0", lambda t, x: x.cumprod(0), (np.where(M > 0.5, 0.0, M),)),
    ("std_mean", lambda t, x: t.std_mean(x, dim=1)[0] + t.std_mean(x, 1)[1], (M,)),
    ("var_mean", lambda t, x: sum(t.var_mean(x)), (M,)),
    ("scatter", lambda t, x, y: x.scatter(1, t.tensor(INDEX), y), (M, rng.standard_normal((3, 2)))),
    ("scatter of a number", lambda t, x: t.scatter(x, 1, t.tensor(INDEX), 2.0), (M,)),
    ("gather", lambda t, x: t.gather(x, dim=1, index=t.tensor(INDEX)), (M,)),
    ("clamp_min", lambda t, x: x.clamp_min(0.1).clamp_max(0.9), (M,)),
    ("fmod", lambda t, x: t.fmod(x, 0.4), (M,)),
    ("remainder", lambda t, x: x % 0.4, (M,)),
    ("remainder of two", lambda t, x, y: t.remainder(x, y), (M, POSITIVE)),
    ("trunc", lambda t, x: t.trunc(x * 3) + x, (M,)),
    ("tril", lambda t, x: t.tril(x), (M,)),
    ("tril below", lambda t, x: x.tril(-1), (CUBE,)),
    ("triu", lambda t, x: t.triu(x, diagonal=1), (M,)),
    ("triu below", lambda t, x: t.triu(x, -1), (CUBE,)),
    ("diag", lambda t, x: t.diag(x), (M,)),
    ("diag of a vector", lambda t, x: t.diag(x, 1), (V,)),
    ("diag below", lambda t, x: t.diag(x, -2), (V,)),
    ("diagonal", lambda t, x: t.diagonal(x, 1, 1, 2), (CUBE,)),
    ("diagonal below", lambda t, x: x.diagonal(-1), (M,)),
    ("trace", lambda t, x: t.trace(x), (M,)),
    ("mm", lambda t, x, y: t.mm(x, y), (M, N)),
    ("bmm", lambda t, x, y: t.bmm(x, y), (CUBE, WIDE)),
    ("mv", lambda t, x, y: t.mv(x, y), (M, V)),
    ("addmm", lambda t, x, y, z: t.addmm(z, x, y, beta=0.5, alpha=2), (M, N, rng.standard_normal(5))),
    ("baddbmm", lambda t, x, y, z: t.baddbmm(z, x, y), (CUBE, WIDE, rng.standard_normal((2, 3, 3)))),
    ("cdist", lambda t, x, y: t.cdist(x, y), (M, rng.standard_normal((5, 4)))),
    ("meshgrid", lambda t, x, y: t.stack(t.meshgrid(x, y, indexing="xy")), (V, V[:2])),
    ("vstack", lambda t, x, y: t.vstack([x, y]), (M, V)),
    ("hstack", lambda t, x, y: t.hstack((x, y)), (M, M)),
    ("cosine_similarity", lambda t, x, y: t.cosine_similarity(x, y, dim=1), (M, POSITIVE)),
    ("select", lambda t, x: t.select(x, 1, -1), (CUBE,)),
    ("narrow", lambda t, x: x.narrow(1, 1, 2), (M,)),
    ("movedim", lambda t, x: t.movedim(x, 0, -1), (CUBE,)),
    ("movedim of two", lambda t, x: x.movedim((0, 1), (2, 0)), (CUBE,)),
    ("unflatten", lambda t, x: x.unflatten(1, (2, -1)), (M,)),
    ("swapaxes", lambda t, x: t.swapaxes(x, 0, 2), (CUBE,)),
    ("mT", lambda t, x: x.mT @ x, (CUBE,)),
    ("t", lambda t, x: t.t(x) @ x, (M,)),
    ("nan_to_num", lambda t, x: t.nan_to_num(x, 1.0, 2.0), (np.where(M > 0.5, np.inf, np.where(M < 0, np.nan, M)),)),
    ("masked_select", lambda t, x: t.masked_select(x, x > 0), (M,)),
    ("type_as", lambda t, x: x.float().type_as(x) * 2, (np.round(M, 1),)),
    *(
        (f"einsum {equation}", lambda t, *xs, e=equation: t.einsum(e, *xs), operands)
        for equation, operands in {
            "ij,jk->ik": (M, N),
            "ij,jk": (M, N),
            "bij,bjk->bik": (CUBE, WIDE),
            "b i j, j -> b i": (CUBE, V),
            "ii->i": (M[:3, :3],),
            "ii": (M[:3, :3],),
            "iij->j": (rng.standard_normal((3, 3, 2)),),
            "i,j->ji": (V, V),
            "ij,ij->": (M, M),
            "...ij,jk->...ik": (CUBE, N),
            "...i,...i": (CUBE, M),
            "bhqd,bhkd->bhqk": (rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 6, 5))),
            "nthd,nshd->nhts": (rng.standard_normal((2, 4, 3, 5)), rng.standard_normal((2, 6, 3, 5))),
            "ij,jk,kl->il": (M, N, rng.standard_normal((5, 2))),
            "bn,anm,bm->ba": (M, rng.standard_normal((2, 4, 5)), rng.standard_normal((3, 5))),
        }.items()
    ),
]


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_values_and_gradients(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    own = [fastnn.tensor(x, requires_grad=True) for x in inputs]
    expected, y = f(torch, *theirs), f(fastnn, *own)
    assert y.dtype == "float64" and y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    factor = rng.standard_normal(y.shape)
    (expected * torch.tensor(factor)).sum().backward()
    (y * factor).sum().backward()
    for a, b in zip(own, theirs, strict=True):
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-10)


WHOLE = np.array([[7, -7, 0], [5, 2, -3]])
WITHOUT_GRADIENT: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("//", lambda t, x: x // 3, (WHOLE,)),
    ("floor_divide", lambda t, x: t.floor_divide(x, 0.4), (M,)),
    ("// -3", lambda t, x: x // -3, (WHOLE,)),
    ("%", lambda t, x: x % -3, (WHOLE,)),
    ("10 %", lambda t, x: 10 % (x * 2 + 1), (WHOLE,)),
    ("fmod", lambda t, x: t.fmod(x, 3), (WHOLE,)),
    ("einsum", lambda t, x: t.einsum("ij,kj->ik", x, x), (WHOLE,)),
    ("tril", lambda t, x: t.tril(x > 0), (WHOLE,)),
    ("isclose", lambda t, x: t.isclose(x, x + 1e-7), (M,)),
    ("isclose inf", lambda t, x: t.isclose(x / 0.0, x / 0.0 + 1, equal_nan=True), (np.array([1.0, -1.0, 0.0]),)),
    ("allclose", lambda t, x: t.tensor(t.allclose(x, x + 1e-3)), (M,)),
    ("equal", lambda t, x: t.tensor(t.equal(x, x.clone())), (M,)),
    ("count_nonzero", lambda t, x: t.count_nonzero(x, dim=0), (WHOLE,)),
    ("nonzero", lambda t, x: t.nonzero(x), (WHOLE,)),
    ("nonzero as_tuple", lambda t, x: x.nonzero(as_tuple=True)[1], (WHOLE,)),
    ("unique", lambda t, x: t.unique(x), (WHOLE % 3,)),
    ("unique inverse", lambda t, x: t.unique(x, return_inverse=True)[1], (WHOLE % 3,)),
    ("unique counts", lambda t, x: t.unique(x, return_inverse=True, return_counts=True)[2], (WHOLE % 3,)),
    ("bincount", lambda t, x: t.bincount(x.reshape(-1) % 3, minlength=5), (WHOLE,)),
    ("searchsorted", lambda t, x: t.searchsorted(t.tensor([-3.0, 0.0, 5.0], dtype=t.float64), x), (WHOLE * 1.0,)),
    ("bucketize", lambda t, x: t.bucketize(x, t.tensor([-3, 0, 5]), right=True), (WHOLE,)),
    ("meshgrid", lambda t, x: t.meshgrid(x[0], x[1], indexing="ij")[1], (WHOLE,)),
    ("scatter", lambda t, x: t.scatter(x, 1, t.tensor([[0], [2]]), 9), (WHOLE,)),
    ("scatter src", lambda t, x: x.scatter(1, t.tensor([[0], [2]]), t.tensor([[8], [9]])), (WHOLE,)),
    ("int", lambda t, x: x.int().long(), (M * 3,)),
    ("size", lambda t, x: t.tensor([x.size(0), x.size(-1), x.dim(), x.numel(), len(x.size())]), (M,)),
    ("t", lambda t, x: x.t().contiguous().view(-1), (WHOLE,)),
]


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in WITHOUT_GRADIENT], ids=[c[0] for c in WITHOUT_GRADIENT])
def test_values(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    expected, y = f(torch, *map(torch.tensor, inputs)), f(fastnn, *map(fastnn.tensor, inputs))
    assert (y.dtype, y.shape) == (expected.numpy().dtype, tuple(expected.shape))
    np.testing.assert_array_equal(y.numpy(), expected.numpy())


DTYPES = ("bool", "int64", "float32", "float64")


@pytest.mark.parametrize("shapes", [((2,), (2,)), ((2,), ()), ((), (2,)), ((), ())])
@pytest.mark.parametrize("op", ["add", "mul", "div", "maximum", "where", "lt", "cat"])
def test_dtypes_are_promoted(op: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    if op == "cat" and () in shapes:
        return
    for first in DTYPES:
        for second in DTYPES:
            if first == second == "bool":
                continue  # sums of bools are whole numbers here

            def made(t: Any) -> Any:
                x, y = (t.ones(s).to(getattr(t, d)) for s, d in zip(shapes, (first, second), strict=True))  # noqa: B023
                return t.cat([x, y]) if op == "cat" else t.where(x > 0, x, y) if op == "where" else getattr(t, op)(x, y)

            assert made(fastnn).dtype == made(torch).numpy().dtype, (first, second)


def test_gradients_flow_through_promotion_and_in_place_keeps_the_dtype() -> None:
    x, y = fastnn.ones(3, requires_grad=True), fastnn.ones(3, dtype="float64", requires_grad=True)
    (x * y * fastnn.tensor([1, 2, 3])).sum().backward()
    assert x.grad is not None and y.grad is not None
    assert x.grad.dtype == "float32" and x.grad.tolist() == y.grad.tolist() == [1.0, 2.0, 3.0]
    z = fastnn.zeros(3)
    z.add_(fastnn.ones(3, dtype="float64"))
    assert z.dtype == "float32" and z.tolist() == [1.0] * 3
    with pytest.raises(TypeError, match="copy_"):
        fastnn.zeros(3, dtype="int64").add_(fastnn.ones(3))


def test_dtypes_and_devices_have_names() -> None:
    x = fastnn.zeros(2, 3, dtype=fastnn.float64, device="cpu")
    assert x.dtype == fastnn.double and x.device == fastnn.device("cpu") and x.device.type == "cpu" and not x.is_cuda
    assert x.to("cpu", fastnn.float32).dtype == fastnn.float == x.to(fastnn.zeros(1)).dtype
    assert x.to(device=fastnn.device("cpu")) is x and x.cpu() is x and x.to("cpu", copy=True) is not x
    assert isinstance(x.shape, fastnn.Size) and x.size == 6 and x.size() == (2, 3)
    with pytest.raises(ValueError, match=r"device is 'cuda'.*computes on 'cpu'.*use_backend"):
        x.cuda()
    with pytest.raises(ValueError, match="wanted 'cpu' or 'cuda'"):
        fastnn.device("tpu")
    with pytest.raises(TypeError, match="dtype int32 is not supported; there are: "):
        x.to(fastnn.int32)
    with pytest.raises(IndexError, match="dimension 2"):
        x.size(2)


def test_arrays_are_shared() -> None:
    a = np.zeros(3)
    fastnn.from_numpy(a).fill_(1.0)
    fastnn.as_tensor(a).add_(1.0)
    assert a.tolist() == [2.0] * 3 and fastnn.as_tensor([1, 2], dtype=fastnn.float32).dtype == "float32"
    with pytest.raises(TypeError, match="from_numpy: a list"):
        fastnn.from_numpy([1.0])
    assert fastnn.FloatTensor([1, 2]).dtype == "float32" and fastnn.LongTensor([1]).dtype == "int64"


def test_random_numbers() -> None:
    fastnn.manual_seed(0)
    p = fastnn.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 2.0]])
    drawn = fastnn.multinomial(p, 4000, replacement=True).numpy()
    shares = np.stack([np.bincount(row, minlength=3) / 4000 for row in drawn])
    np.testing.assert_allclose(shares, [[0, 0.25, 0.75], [0.5, 0, 0.5]], atol=0.03)
    assert sorted(p[0].multinomial(2).tolist()) == [1, 2]
    assert sorted(fastnn.randperm(9).tolist()) == list(range(9))
    assert abs(fastnn.bernoulli(fastnn.full((4000,), 0.3)).mean().item() - 0.3) < 0.03
    x = fastnn.normal(fastnn.full((4000,), 2.0), 0.5)
    assert abs(x.mean().item() - 2) < 0.05 and abs(x.std().item() - 0.5) < 0.03
    y = fastnn.zeros(4000).uniform_(-1.0, 1.0)
    assert -1 <= y.min().item() < -0.9 and 0.9 < y.max().item() <= 1 and fastnn.zeros(3).normal_(5.0, 0.0).tolist() == [5.0] * 3
    with pytest.raises(ValueError, match="multinomial: a row has 2 weights above 0, wanted 3"):
        p.multinomial(3)
    with pytest.raises(ValueError, match="negative"):
        fastnn.tensor([-1.0, 2.0]).multinomial(1)


def test_gradients_are_turned_on_and_off() -> None:
    x = fastnn.ones(1, requires_grad=True)
    with fastnn.inference_mode():
        assert not (x * 2).requires_grad
    with fastnn.set_grad_enabled(False):
        assert not fastnn.is_grad_enabled()
    fastnn.set_grad_enabled(False)
    try:
        assert not (x * 2).requires_grad
    finally:
        fastnn.set_grad_enabled(True)
    assert (x * 2).requires_grad


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fastnn.einsum("ij,jk", fastnn.ones(2, 3)), ValueError, "has 2 operands, but 1 came"),
    (lambda: fastnn.einsum("ij->k", fastnn.ones(2, 3)), ValueError, "wanted letters of the operands"),
    (lambda: fastnn.einsum("ij", fastnn.ones(3)), ValueError, "does not fit operand 0"),
    (lambda: fastnn.einsum("i,i", fastnn.ones(3), fastnn.ones(2)), ValueError, "the axis i .* has sizes 3 and 2"),
    (lambda: fastnn.tensor([1]) // 0, ZeroDivisionError, "floor_divide"),
    (lambda: fastnn.tensor([1]) % fastnn.tensor([0]), ZeroDivisionError, "remainder"),
    (lambda: fastnn.bmm(fastnn.ones(2, 3), fastnn.ones(3, 2)), ValueError, "bmm: shape .* wanted 3 dimensions"),
    (lambda: fastnn.bmm(fastnn.ones(1, 2, 3), fastnn.ones(2, 3, 2)), ValueError, "different numbers of matrices"),
    (lambda: fastnn.zeros(2).scatter(0, [0, 0], fastnn.ones(2)), ValueError, "several times"),
    (lambda: fastnn.zeros(2).scatter(0, [0]), TypeError, "neither src nor value"),
    (lambda: fastnn.ones(3).t() + fastnn.ones(1, 1, 1).t(), ValueError, "t: a Tensor with 3 dimensions"),
    (lambda: fastnn.bincount(fastnn.tensor([-1])), ValueError, "from 0 on"),
    (lambda: fastnn.ones(3).narrow(0, 2, 2), ValueError, "narrow"),
    (lambda: fastnn.normal(0.0, 1.0), TypeError, "without a size"),
    (lambda: fastnn.meshgrid(fastnn.ones(2), indexing="ji"), ValueError, "wanted 'ij' or 'xy'"),
]


@pytest.mark.parametrize(("f", "error", "words"), ERRORS, ids=[c[2][:20] for c in ERRORS])
def test_errors(f: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        f()
