"""The functions of Tensors against NumPy and PyTorch: values in both dtypes, and gradients."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4))
Y = rng.standard_normal((3, 4))
P = rng.uniform(0.5, 2.0, (3, 4))
CUBE = rng.standard_normal((2, 3, 4))
MASK = X > 0
INDEX = np.array([[2, 0, -1], [1, 1, 0]])

Case = tuple[str, Callable[..., Any], Callable[..., Any], tuple[np.ndarray, ...]]


def lse(a: np.ndarray, axis: Any = None, keepdims: bool = False) -> Any:
    return np.log(np.exp(a).sum(axis, keepdims=keepdims))


ZEROS = np.array([[1.0, 0.0, 2.0, 3.0], [0.0, 5.0, 0.0, 1.0], [2.0, -1.0, 0.5, -3.0]])

SMOOTH: list[Case] = [
    ("neg", fastnn.neg, np.negative, (X,)),
    ("square", lambda t: t.square(), np.square, (X,)),
    ("reciprocal", fastnn.reciprocal, lambda a: 1 / a, (P,)),
    ("rsqrt", lambda t: t.rsqrt(), lambda a: a**-0.5, (P,)),
    ("sin", lambda t: t.sin(), np.sin, (X,)),
    ("cos", fastnn.cos, np.cos, (X,)),
    ("log1p", lambda t: t.log1p(), np.log1p, (P,)),
    ("expm1", fastnn.expm1, np.expm1, (X,)),
    ("erf", lambda t: t.erf(), np.vectorize(math.erf), (X,)),
    ("sign", lambda t: t.sign() * t, np.abs, (X,)),
    ("floor", fastnn.floor, np.floor, (X,)),
    ("ceil", lambda t: t.ceil(), np.ceil, (X,)),
    ("round", fastnn.round, np.round, (X * 3,)),
    ("clone", lambda t: t.clone(), lambda a: a, (X,)),
    ("maximum", fastnn.maximum, np.maximum, (X, Y)),
    ("minimum method", lambda t, u: t.minimum(u), np.minimum, (X, Y[0])),
    ("clamp tensor-like", lambda t: t.clamp(-0.5), lambda a: np.maximum(a, -0.5), (X,)),
    ("where", lambda t, u: fastnn.where(MASK, t, u), lambda a, b: np.where(MASK, a, b), (X, Y[:1])),
    ("masked_fill", lambda t: t.masked_fill(MASK, -1.0), lambda a: np.where(MASK, -1.0, a), (X,)),
    ("prod", fastnn.prod, np.prod, (P,)),
    ("prod 0", lambda t: t.prod(0), lambda a: a.prod(0), (X,)),
    ("prod zeros", lambda t: t.prod(1, keepdims=True), lambda a: a.prod(1, keepdims=True), (ZEROS,)),
    ("prod axes", lambda t: t.prod((0, 2)), lambda a: a.prod((0, 2)), (CUBE,)),
    ("prod middle", lambda t: t.prod(-2), lambda a: a.prod(-2), (CUBE,)),
    ("var", fastnn.var, lambda a: a.var(ddof=1), (X,)),
    ("var 1", lambda t: t.var(1, correction=1), lambda a: a.var(1, ddof=1), (X,)),
    ("std", lambda t: t.std(dim=0, keepdim=True), lambda a: a.std(0, keepdims=True, ddof=1), (X,)),
    ("std axes", lambda t: t.std((0, 2), correction=1), lambda a: a.std((0, 2), ddof=1), (CUBE,)),
    ("norm", fastnn.norm, np.linalg.norm, (X,)),
    ("norm 1", lambda t: t.norm(p=1, dim=1), lambda a: np.abs(a).sum(1), (X,)),
    ("norm axes", lambda t: t.norm(axis=(0, 2), keepdims=True), lambda a: (a**2).sum((0, 2), keepdims=True) ** 0.5, (CUBE,)),
    ("norm inf", lambda t: t.norm(np.inf, 1), lambda a: np.abs(a).max(1), (X,)),
    ("logsumexp", fastnn.logsumexp, lse, (X,)),
    ("logsumexp 1", lambda t: t.logsumexp(1, True), lambda a: lse(a, 1, True), (X,)),
    ("logsumexp axes", lambda t: t.logsumexp((0, 1)), lambda a: lse(a, (0, 1)), (CUBE,)),
    ("cumsum", lambda t: t.cumsum(0), lambda a: a.cumsum(0), (X,)),
    ("cumsum -1", lambda t: fastnn.cumsum(t, dim=-1), lambda a: a.cumsum(-1), (CUBE,)),
    ("sort", lambda t: t.sort(0)[0], lambda a: np.sort(a, 0), (X,)),
    ("sort descending", lambda t: fastnn.sort(t, descending=True).values, lambda a: -np.sort(-a), (CUBE,)),
    ("topk", lambda t: t.topk(2)[0], lambda a: -np.sort(-a)[:, :2], (X,)),
    ("topk 1", lambda t: t.topk(2, dim=1)[0].square(), lambda a: np.sort(a, 1)[:, :0:-1] ** 2, (CUBE,)),
    ("dot", fastnn.dot, np.dot, (X[0], Y[0])),
    ("outer", fastnn.outer, np.outer, (X[0], Y[1, :3])),
    ("matmul batches", fastnn.matmul, np.matmul, (CUBE, rng.standard_normal((2, 4, 5)))),
    ("matmul broadcast", lambda t, u: t @ u, np.matmul, (rng.standard_normal((5, 1, 3, 4)), rng.standard_normal((2, 4, 2)))),
    ("matmul one for many", lambda t, u: t @ u, np.matmul, (X, rng.standard_normal((2, 4, 2)))),
    ("matmul vector", lambda t, u: t @ u, np.matmul, (X[0], rng.standard_normal((2, 4, 2)))),
    ("matmul many for one", lambda t, u: t @ u, np.matmul, (CUBE, Y.T)),
    ("permute", lambda t: t.permute(2, 0, 1), lambda a: a.transpose(2, 0, 1), (CUBE,)),
    ("broadcast_to", lambda t: t.expand(2, -1, 4), lambda a: np.broadcast_to(a, (2, 3, 4)), (X[:, :1],)),
    ("split", lambda t: t.split(2, 1)[1] * 2, lambda a: a[:, 2:] * 2, (X,)),
    ("split sizes", lambda t: fastnn.split(t, [1, 3], 1)[0], lambda a: a[:, :1], (X,)),
    ("chunk", lambda t: t.chunk(2, 0)[1], lambda a: a[2:], (X,)),
    ("unbind", lambda t: t.unbind(1)[3], lambda a: a[:, 3], (X,)),
    ("flip", lambda t: t.flip(1), lambda a: a[:, ::-1], (X,)),
    ("flip all", lambda t: t.flip(), lambda a: a[::-1, ::-1], (X,)),
    ("roll", lambda t: t.roll(1, 0), lambda a: np.roll(a, 1, 0), (X,)),
    ("roll back", lambda t: fastnn.roll(t, -5), lambda a: np.roll(a, -5), (X,)),
    ("tile", lambda t: t.repeat(2, 1, 3), lambda a: np.tile(a, (2, 1, 3)), (X,)),
    ("repeat_interleave", lambda t: t.repeat_interleave(3, 1), lambda a: a.repeat(3, 1), (X,)),
    ("index_select", lambda t: t.index_select(1, [3, 0, 3]), lambda a: a[:, [3, 0, 3]], (X,)),
    ("cat", lambda t, u: fastnn.cat([t, u], dim=1), lambda a, b: np.concatenate([a, b], 1), (X, Y)),
    ("stack", lambda t, u: fastnn.stack([t, u], 1), lambda a, b: np.stack([a, b], 1), (X, Y)),
    ("index array", lambda t: t[INDEX], lambda a: a[INDEX], (X,)),
    ("index column", lambda t: t[:, INDEX], lambda a: a[:, INDEX], (X,)),
    ("index pairs", lambda t: t[[0, 1, 0], [3, 2, 3]], lambda a: a[[0, 1, 0], [3, 2, 3]], (X,)),
    ("index broadcast", lambda t: t[[[0], [2]], [1, 3]], lambda a: a[[[0], [2]], [1, 3]], (X,)),
    ("index around a slice", lambda t: t[[0, 1], :, [1, 3]], lambda a: a[[0, 1], :, [1, 3]], (CUBE,)),
    ("index beside a number", lambda t: t[0, :, [1, 3]], lambda a: a[0, :, [1, 3]], (CUBE,)),
    ("index after a slice", lambda t: t[:, 1:, [1, 3, 1]], lambda a: a[:, 1:, [1, 3, 1]], (CUBE,)),
    ("index in the middle", lambda t: t[:, [2, 0]], lambda a: a[:, [2, 0]], (CUBE,)),
    ("index, new axis", lambda t: t[None, [1, 0], ..., None], lambda a: a[None, [1, 0], ..., None], (CUBE,)),
    ("index tensor", lambda t: t[fastnn.tensor([1, 0]), ::-1], lambda a: a[[1, 0], ::-1], (X,)),
    ("mask", lambda t: t[MASK], lambda a: a[MASK], (X,)),
    ("mask of itself", lambda t: t[t.detach() > 0] * 2, lambda a: a[a > 0] * 2, (X,)),
    ("mask of rows", lambda t: t[[True, False, True], 1:], lambda a: a[[True, False, True], 1:], (X,)),
    ("mask of columns", lambda t: t[:, MASK], lambda a: a[:, MASK], (CUBE,)),
    ("mask of nothing", lambda t: t[np.zeros(3, bool)], lambda a: a[np.zeros(3, bool)], (X,)),
    ("var of a row", lambda t: t.var(axis=1), lambda a: a.var(1), (X[:1],)),
]


@pytest.mark.parametrize(("name", "f", "numpy_f", "given"), SMOOTH, ids=[c[0] for c in SMOOTH])
def test_values_and_gradients(name: str, f: Any, numpy_f: Any, given: tuple[np.ndarray, ...]) -> None:
    out = f(*map(fastnn.tensor, given))
    np.testing.assert_allclose(out.numpy(), numpy_f(*given), rtol=1e-12, atol=1e-14)
    assert out.data.flags.c_contiguous
    assert fastnn.gradcheck(f, list(given))
    narrow = [a.astype(np.float32) for a in given]
    out32 = f(*map(fastnn.tensor, narrow))
    assert out32.dtype == np.float32
    np.testing.assert_allclose(out32.numpy(), numpy_f(*narrow), rtol=2e-5, atol=1e-6)


def torch_cases() -> dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[np.ndarray, ...]]]:
    src = rng.standard_normal((3, 2))
    places = np.array([[0, 3], [3, 3], [1, 0]])
    flat = np.zeros((3, 4))
    return {
        "scatter_add": (
            lambda t, u: t.scatter_add(1, places, u),
            lambda t, u: t.scatter_add(1, as_torch(places), u),
            (X, src),
        ),
        "std": (lambda t: t.std(1), lambda t: t.std(1), (X,)),
        "var": (lambda t: t.var(correction=0), lambda t: t.var(correction=0), (X,)),
        "norm of zeros": (lambda t: t.norm(dim=1), lambda t: t.norm(dim=1), (flat,)),
        "std of equals": (lambda t: t.std(1), lambda t: t.std(1), (flat + 2,)),
        "prod of zeros": (lambda t: t.prod(1), lambda t: t.prod(1), (np.array([[0.0, 2.0], [0.0, 0.0], [3.0, 4.0]]),)),
        "logsumexp": (lambda t: t.logsumexp(0), lambda t: t.logsumexp(0), (X * 1e4,)),
        "index": (lambda t: t[[0, 0], :, [1, 1]], lambda t: t[[0, 0], :, [1, 1]], (CUBE,)),
        "batches": (lambda t, u: t @ u, lambda t, u: t @ u, (CUBE, rng.standard_normal((1, 4, 2)))),
        "rsqrt": (fastnn.rsqrt, lambda t: t.rsqrt(), (P,)),
        "roll": (lambda t: t.roll(shifts=2, dims=1), lambda t: t.roll(shifts=2, dims=1), (X,)),
        "repeat": (lambda t: t.repeat(2, 3), lambda t: t.repeat(2, 3), (X,)),
        "unbind": (lambda t: t.unbind(dim=1)[0], lambda t: t.unbind(dim=1)[0], (X,)),
        "flip": (lambda t: t.flip(dims=(0,)), lambda t: t.flip(dims=(0,)), (X,)),
        "expand": (lambda t: t.expand(3, -1), lambda t: t.expand(3, -1), (X[:1],)),
    }


def as_torch(a: np.ndarray) -> Any:
    return pytest.importorskip("torch").tensor(a)


@pytest.mark.parametrize("name", torch_cases())
def test_pytorch_agrees(name: str) -> None:
    f, g, given = torch_cases()[name]
    ours = [fastnn.tensor(a, requires_grad=True) for a in given]
    theirs = [as_torch(a).requires_grad_() for a in given]
    y, z = f(*ours), g(*theirs)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12)
    weight = rng.standard_normal(y.shape)
    y.backward(weight)
    z.backward(as_torch(weight))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (0, 3), (1,), (1, 1)])
def test_sizes_zero_and_one(shape: tuple[int, ...]) -> None:
    a = np.full(shape, 0.5)
    for f, numpy_f in (
        (fastnn.sum, np.sum),
        (fastnn.prod, np.prod),
        (lambda t: fastnn.any(t > 1), lambda a: (a > 1).any()),
        (lambda t: fastnn.all(t > 1), lambda a: (a > 1).all()),
        (fastnn.norm, lambda a: np.sqrt((a**2).sum())),
        (fastnn.square, np.square),
        (lambda t: fastnn.flip(t), np.flip),
        (lambda t: fastnn.tile(t, 2), lambda a: np.tile(a, 2)),
        (lambda t: t[None], lambda a: a[None]),
        (lambda t: fastnn.masked_fill(t, t < 1, 2.0), lambda a: np.where(a < 1, 2.0, a)),
    ):
        t = fastnn.tensor(a, requires_grad=True)
        y = f(t)
        np.testing.assert_array_equal(y.numpy(), numpy_f(a))
        if y.requires_grad:
            y.sum().backward()
            assert t.grad.shape == shape
    if a.ndim and a.size:
        for name in ("argmin", "argmax"):
            assert getattr(fastnn.tensor(a), name)(0).tolist() == getattr(a, name)(0).tolist()


WHOLE = [
    ("neg", lambda t: -t, np.negative),
    ("abs", abs, np.abs),
    ("square", lambda t: t.square(), np.square),
    ("clip", lambda t: t.clip(-1, 1), lambda a: a.clip(-1, 1)),
    ("sign", fastnn.sign, np.sign),
    ("floor", fastnn.floor, np.floor),
    ("prod", lambda t: t.prod(0), lambda a: a.prod(0)),
    ("cumsum", lambda t: t.cumsum(1), lambda a: a.cumsum(1)),
    ("argmin", lambda t: t.argmin(1), lambda a: a.argmin(1)),
    ("maximum", lambda t: t.maximum(0), lambda a: np.maximum(a, 0)),
    ("where", lambda t: fastnn.where(t > 0, t, 0), lambda a: np.where(a > 0, a, 0)),
    ("flip", lambda t: t.flip(0), lambda a: a[::-1]),
]


@pytest.mark.parametrize(("name", "f", "numpy_f"), WHOLE, ids=[c[0] for c in WHOLE])
def test_whole_numbers_stay_whole(name: str, f: Any, numpy_f: Any) -> None:
    a = np.array([[3, -1, 0], [np.iinfo(np.int64).min + 1, 5, 7]])
    y = f(fastnn.tensor(a))
    assert y.dtype == np.int64
    np.testing.assert_array_equal(y.numpy(), numpy_f(a))


def test_argmin_counts_nan_as_smallest_and_takes_the_first() -> None:
    a = np.array([[2.0, 1.0, 1.0], [0.0, np.nan, np.nan], [np.inf, -np.inf, 0.0]])
    assert (fastnn.tensor(a).argmin(1).numpy() == a.argmin(1)).all()
    assert fastnn.tensor(a).argmin().item() == a.argmin()
    assert fastnn.argmin(fastnn.tensor([[5, 2], [2, 9]]), dim=0, keepdim=True).tolist() == [[1, 0]]
    assert fastnn.tensor([np.iinfo(np.int64).min, 0]).argmin().item() == 0


def test_sorting_is_stable_and_nan_is_greatest() -> None:
    a = np.array([[2.0, np.nan, 1.0, 2.0, -np.inf, 1.0]])
    assert fastnn.argsort(a).tolist() == [[4, 2, 5, 0, 3, 1]] == a.argsort(kind="stable").tolist()
    assert fastnn.argsort(a, descending=True).tolist() == [[1, 0, 3, 2, 5, 4]]
    values, places = fastnn.tensor([[True, False, True]]).topk(2)
    assert values.tolist() == [[True, True]] and places.tolist() == [[0, 2]]
    assert fastnn.tensor([3, 1, 2]).sort(axis=0).tolist() == [1, 2, 3]
    big = rng.integers(0, 50, (3, 1000, 2))
    assert (fastnn.tensor(big).argsort(1).numpy() == big.argsort(1, kind="stable")).all()
    assert fastnn.topk(fastnn.zeros(2, 3), 0)[0].shape == (2, 0)


def test_logic() -> None:
    a, b = fastnn.tensor([True, True, False, False]), fastnn.tensor([True, False, True, False])
    assert (a & b).tolist() == [True, False, False, False]
    assert (a | b).tolist() == [True, True, True, False]
    assert (a ^ b).tolist() == [False, True, True, False]
    assert (~a).tolist() == [False, False, True, True]
    assert (a & True).tolist() == a.tolist() == (False | a).tolist()
    assert (a.reshape(4, 1) & b).shape == (4, 4)
    assert a.any().item() is True and a.all().item() is False
    assert fastnn.all(a.reshape(2, 2), axis=1).tolist() == [True, False]
    x = fastnn.tensor([1.0, np.nan, np.inf, -np.inf])
    assert x.isnan().tolist() == [False, True, False, False]
    assert x.isinf().tolist() == [False, False, True, True]
    assert x.isfinite().tolist() == [True, False, False, False]
    assert fastnn.isfinite(fastnn.tensor([1, 2])).tolist() == [True, True]
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        assert getattr(fastnn, name)(fastnn.tensor(X), 0.1).tolist() == getattr(operator, name)(X, 0.1).tolist()
    with pytest.raises(TypeError, match="logical_and: a Tensor of dtype float32 came, wanted bool"):
        x & a
    with pytest.raises(TypeError, match="any: a Tensor of dtype float32"):
        x.any()


def test_creation() -> None:
    assert fastnn.zeros(2, 3).dtype == np.float32 and fastnn.zeros((2, 3)).tolist() == [[0.0] * 3] * 2
    assert fastnn.ones(2, dtype="int64").tolist() == [1, 1]
    assert fastnn.zeros(()).shape == () == fastnn.zeros().shape
    assert fastnn.zeros(2, requires_grad=True).requires_grad
    assert fastnn.full(2, 3).dtype == np.int64 and fastnn.full((1, 2), True).tolist() == [[True, True]]
    assert fastnn.full((2,), 1.5, dtype="float64").dtype == np.float64
    assert fastnn.arange(2, 8, 2).tolist() == [2, 4, 6]
    assert fastnn.arange(0, 1, 0.5).dtype == np.float32
    np.testing.assert_array_equal(fastnn.eye(2, 3).numpy(), np.eye(2, 3))
    np.testing.assert_allclose(fastnn.linspace(-1, 1, 7, "float64").numpy(), np.linspace(-1, 1, 7))
    t = fastnn.tensor(X)
    for f, value in ((fastnn.zeros_like, 0), (fastnn.ones_like, 1)):
        assert f(t).dtype == np.float64 and (f(t).numpy() == value).all() and f(t, "int64").dtype == np.int64
    assert fastnn.full_like(t, 7).shape == (3, 4)
    np.testing.assert_array_equal(fastnn.one_hot([[0, 2], [3, -1]], 3).numpy(), np.eye(4, 3)[[[0, 2], [3, 3]]])
    with pytest.raises(ValueError, match=r"zeros: shape \(-1, 2\)"):
        fastnn.zeros(-1, 2)


def test_random_numbers_follow_the_seed() -> None:
    makers = (
        lambda: fastnn.rand(5, 2),
        lambda: fastnn.randn((5, 2), dtype="float64"),
        lambda: fastnn.randint(-3, 9, (5, 2)),
        lambda: fastnn.rand_like(fastnn.tensor(X)),
        lambda: fastnn.randn_like(fastnn.tensor(X)),
    )
    for make in makers:
        fastnn.seed(3)
        a = make().numpy()
        b = make().numpy()
        fastnn.seed(3)
        np.testing.assert_array_equal(make().numpy(), a)
        assert (a != b).any()
    assert fastnn.randint(2, 4, (100,)).numpy().min() == 2
    with pytest.raises(ValueError, match="low < high"):
        fastnn.randint(3, 3, 2)
    with pytest.raises(TypeError, match="rand: dtype int64"):
        fastnn.rand(2, dtype="int64")


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fastnn.tensor(X).norm(3), ValueError, "norm: ord is 3, wanted 1, 2 or inf"),
    (lambda: fastnn.tensor(X).split(3, 5), ValueError, "split: axis 5"),
    (lambda: fastnn.tensor(X).split([1, 1], 1), ValueError, r"split: parts of sizes \[1, 1\] of axis 1, which has size 4"),
    (lambda: fastnn.tensor(X).chunk(0), ValueError, "chunk: chunks is 0"),
    (lambda: fastnn.tensor(X).expand(2, 4), ValueError, r"broadcast_to: shape \(3, 4\) does not broadcast to \(2, 4\)"),
    (lambda: fastnn.tensor(X)[[0, 1], [0, 1, 2]], IndexError, "do not broadcast"),
    (lambda: fastnn.tensor(X)[0, 0, 0], IndexError, "3 indices for a Tensor with 2 dimensions"),
    (lambda: fastnn.tensor(X)[[0.5]], TypeError, "index of dtype float32"),
    (lambda: fastnn.tensor(X)["a"], TypeError, "indexing: str 'a'"),
    (lambda: fastnn.tensor(X)[:, [4]], IndexError, "index 4 is out of range for 4"),
    (lambda: fastnn.tensor(X)[..., ...], IndexError, "may stand once"),
    (lambda: fastnn.tensor(X).index_select(0, [[1]]), ValueError, "index_select: an index of shape"),
    (lambda: fastnn.tensor(X).scatter_add(1, [[0]], [[1.0]]), ValueError, "scatter_add: index of shape"),
    (lambda: fastnn.dot(X, X), ValueError, "dot: shapes"),
    (lambda: fastnn.matmul(CUBE, CUBE), ValueError, "matmul: shapes"),
    (lambda: fastnn.matmul(CUBE, np.ones((3, 4, 2))), ValueError, "matmul: shapes .* do not broadcast"),
    (lambda: fastnn.where(X, 1.0, 0.0), TypeError, "where: the condition"),
    (lambda: fastnn.tensor(X).argmin(3), ValueError, "argmin: axis 3"),
    (lambda: fastnn.zeros(2, 0).argmin(1), ValueError, "argmin: axis 1 of shape .* has no elements"),
    (lambda: fastnn.tensor(X).topk(5), ValueError, "topk: k is 5, wanted a whole number from 0 to the 4"),
    (lambda: fastnn.one_hot([0.5], 2), TypeError, "one_hot: labels of dtype float32"),
    (lambda: fastnn.tensor(X) @ fastnn.ones(4), TypeError, "one dtype; use astype"),
]


@pytest.mark.parametrize(("f", "error", "words"), ERRORS, ids=[c[2][:20] for c in ERRORS])
def test_errors(f: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        f()


def test_steps_that_use_them_are_recorded() -> None:
    w = fastnn.tensor(rng.standard_normal((4, 3)), requires_grad=True)

    def step(x: Any, actions: Any, rewards: Any) -> Any:
        """REINFORCE: the log-probabilities of what was done, weighted by what came of it."""
        w.zero_grad()
        chosen = (fastnn.tensor(x) @ w).log_softmax(-1).gather(1, fastnn.tensor(actions).reshape(-1, 1))[:, 0]
        advantage = fastnn.tensor(rewards) - fastnn.tensor(rewards).mean()
        loss = -(chosen * advantage).mean() + 0.01 * w.norm() + fastnn.cumsum(w, 0).square().mean() + w[[0, 2], 1:].prod(1).sum()
        loss.backward()
        return loss, w.grad

    captured = fastnn.capture(step)
    for i in range(5):
        r = np.random.default_rng(i)
        given = r.standard_normal((6, 4)), r.integers(0, 3, 6), r.standard_normal(6)
        loss, grad = captured(*given)
        want_loss, want_grad = step(*given)
        assert loss.item() == want_loss.item()
        np.testing.assert_array_equal(grad.numpy(), want_grad.numpy())
    assert not captured.captured.eager


def test_masks_are_not_recorded() -> None:
    captured = fastnn.capture(lambda t: t[t > 0].sum())
    with pytest.warns(RuntimeWarning, match="Python reads a value"):
        assert captured(fastnn.tensor([1.0, -1.0])).item() == 1.0
    assert captured(fastnn.tensor([1.0, 2.0])).item() == 3.0
