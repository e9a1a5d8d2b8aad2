"""Linear algebra: values and gradients are those of PyTorch, and gradients those of finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn

rng = np.random.default_rng(5)
A, B, V = rng.standard_normal((2, 3, 3)) + 2 * np.eye(3), rng.standard_normal((2, 3, 4)), rng.standard_normal(3)
S = A[0] @ A[0].T
TALL, WIDE = rng.standard_normal((5, 3)), rng.standard_normal((3, 5))
M = rng.standard_normal((3, 4))

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]
CASES: list[Case] = [
    ("inv", lambda t, a: t.linalg.inv(a) + a.inverse() + t.inverse(a), (A,)),
    ("solve", lambda t, a, b: t.linalg.solve(a, b), (A, B)),
    ("solve of a vector", lambda t, a, b: t.linalg.solve(a[0], b), (A, V)),
    ("solve of broadcast", lambda t, a, b: t.linalg.solve(a, b), (A, B[0])),
    ("solve on the right", lambda t, a, b: t.linalg.solve(a, b.mT, left=False), (A, B)),
    ("solve of vectors", lambda t, a, b: t.linalg.solve(a, b[..., 0]), (A, B)),
    ("solve_triangular", lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True), (A, B)),
    ("solve_triangular of ones", lambda t, a, b: t.linalg.solve_triangular(a, b, upper=False, unitriangular=True), (A, B)),
    ("det", lambda t, a: t.linalg.det(a) * t.det(a[0]), (A,)),
    ("det of singular", lambda t, a: t.linalg.det(a), (np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]),)),
    ("slogdet", lambda t, a: t.linalg.slogdet(a)[1] + a.slogdet().logabsdet, (A,)),
    ("logdet", lambda t, a: t.logdet(a), (S,)),
    ("cholesky", lambda t, a: t.linalg.cholesky(a @ a.T) + t.linalg.cholesky(a @ a.T, upper=True), (A[0],)),
    ("eigh", lambda t, a: t.linalg.eigh(a + a.mT)[0], (A,)),
    ("eigh vectors", lambda t, a: t.linalg.eigh(a + a.mT).eigenvectors ** 2, (A,)),
    ("eigvalsh", lambda t, a: t.linalg.eigvalsh(a + a.mT), (A,)),
    ("svdvals", lambda t, a: t.linalg.svdvals(a), (B,)),
    ("svd", lambda t, a: t.linalg.svd(a).S, (A,)),
    ("svd vectors", lambda t, a: t.linalg.svd(a, full_matrices=False)[0] ** 2, (TALL,)),
    ("svd wide", lambda t, a: t.linalg.svd(a, full_matrices=False).Vh ** 2, (WIDE,)),
    ("svd all", lambda t, a: (lambda u, s, vh: (u * s.sqrt()) @ vh)(*t.linalg.svd(a, full_matrices=False)), (TALL,)),
    ("qr", lambda t, a: t.linalg.qr(a)[0] ** 2, (TALL,)),
    ("qr R", lambda t, a: t.linalg.qr(a).R ** 2, (A,)),
    ("pinv", lambda t, a: t.linalg.pinv(a), (TALL,)),
    ("pinv wide", lambda t, a: t.linalg.pinv(a) + a.pinverse(), (np.stack([WIDE, WIDE + 1]),)),
    ("lstsq", lambda t, a, b: t.linalg.lstsq(a, b, driver="gelsd").solution if t is not fastnn else t.linalg.lstsq(a, b)[0],
     (TALL, rng.standard_normal((5, 2)))),
    ("matrix_power", lambda t, a: t.linalg.matrix_power(a, 5) + t.matrix_power(a, 0), (A,)),
    ("matrix_power of the inverse", lambda t, a: t.linalg.matrix_power(a, -3), (A,)),
    ("matrix_exp", lambda t, a: t.linalg.matrix_exp(a * 3) + t.matrix_exp(a * 0.01), (A,)),
    ("multi_dot", lambda t, a, b, v: t.linalg.multi_dot([v, a[0], b[0]]), (A, B, V)),
    ("vecdot", lambda t, a, v: t.linalg.vecdot(a, v), (A, V)),
    ("diagonal", lambda t, a: t.linalg.diagonal(a, offset=1), (A,)),
    ("cross", lambda t, a, v: t.linalg.cross(a, v.expand(2, 3, 3)), (A, V)),
    *((f"vector_norm {p}", lambda t, x, p=p: t.linalg.vector_norm(x, p, dim=1), (M,)) for p in (1, 2, 3, 0.5, float("inf"), -1)),
    ("vector_norm -inf", lambda t, x: t.linalg.vector_norm(x, -float("inf")), (M,)),
    *((f"matrix_norm {p}", lambda t, x, p=p: t.linalg.matrix_norm(x, p, keepdim=True), (B,)) for p in (
        "fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf"))),
    ("norm", lambda t, x: t.linalg.norm(x) + t.linalg.norm(x, 2) + t.linalg.norm(x, 1, dim=0).sum(), (M,)),
    ("norm of axes", lambda t, x: t.linalg.norm(x, "nuc", (0, 2)) + t.linalg.norm(x, dim=(0, 2), keepdim=False), (B,)),
    ("cond", lambda t, a: t.linalg.cond(a) + t.linalg.cond(a, -2), (A,)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_values_and_gradients(f: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    torch = pytest.importorskip("torch")
    theirs = [torch.tensor(x, requires_grad=True) for x in inputs]
    own = [fastnn.tensor(x, requires_grad=True) for x in inputs]
    expected, y = f(torch, *theirs), f(fastnn, *own)
    assert y.dtype == "float64" and y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-10)
    factor = np.random.default_rng(1).standard_normal(y.shape)
    (expected * torch.tensor(factor)).sum().backward()
    (y * factor).sum().backward()
    for a, b in zip(own, theirs, strict=True):
        assert a.grad is not None
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", [c[0] for c in CASES if c[0] not in ("det of singular",) and "norm" not in c[0]])
def test_gradients_of_gradients(name: str) -> None:
    f, inputs = next(c[1:] for c in CASES if c[0] == name)
    assert fastnn.gradcheck(lambda *xs: f(fastnn, *xs), list(inputs))
    assert fastnn.gradgradcheck(lambda *xs: f(fastnn, *xs), list(inputs), atol=1e-4)


def test_factors_of_float32() -> None:
    a = fastnn.tensor(A, dtype="float32")
    for name in ("inv", "det", "svdvals", "qr", "svd", "pinv", "matrix_exp", "slogdet", "eigh", "cond", "matrix_norm"):
        found = getattr(fastnn.linalg, name)(a)
        assert all(t.dtype == np.float32 for t in (found if isinstance(found, tuple) else (found,))), name
    u, s, vh = fastnn.linalg.svd(fastnn.tensor(TALL))
    assert (u.shape, s.shape, vh.shape) == ((5, 5), (3,), (3, 3))
    np.testing.assert_allclose((u[:, :3] * s @ vh).numpy(), TALL)
    q, r = fastnn.linalg.qr(fastnn.tensor(TALL), "complete")
    np.testing.assert_allclose((q @ r).numpy(), TALL, atol=1e-12)
    assert q.shape == (5, 5)


def test_ranks() -> None:
    a = np.stack([np.outer(V, V), np.eye(3), np.zeros((3, 3))])
    assert fastnn.linalg.matrix_rank(fastnn.tensor(a)).tolist() == [1, 3, 0]
    assert fastnn.linalg.matrix_rank(fastnn.tensor(a), hermitian=True).tolist() == [1, 3, 0]
    assert fastnn.linalg.matrix_rank(fastnn.tensor(np.diag([1.0, 0.1, 0.01])), atol=0.05).item() == 2
    _, residuals, rank, s = fastnn.linalg.lstsq(fastnn.tensor(TALL), fastnn.tensor(TALL[:, :1] + 1))
    assert residuals.item() == pytest.approx(np.linalg.lstsq(TALL, TALL[:, :1] + 1)[1].item())
    assert (rank.item(), s.shape) == (3, (3,))


def test_condition_numbers() -> None:
    for p in (1, -1, "fro", np.inf):
        np.testing.assert_allclose(fastnn.linalg.cond(fastnn.tensor(A), p).numpy(), np.linalg.cond(A, p))


def test_equal_values_have_gradients() -> None:
    a = fastnn.eye(3, dtype="float64", requires_grad=True)
    (fastnn.linalg.eigvalsh(a).sum() + fastnn.linalg.svdvals(a).sum()).backward()
    np.testing.assert_allclose(a.grad.numpy(), 2 * np.eye(3), atol=1e-12)


def test_steps_are_not_recorded() -> None:
    @fastnn.capture
    def step(x: Any) -> Any:
        return fastnn.linalg.inv(x) * 2

    with pytest.warns(RuntimeWarning, match=r"linalg\.inv"):
        found = [step(fastnn.tensor(a)) for a in (A[0], A[1], S)]
    for y, a in zip(found, (A[0], A[1], S), strict=True):
        np.testing.assert_allclose(y.numpy(), 2 * np.linalg.inv(a))


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: fastnn.linalg.inv(fastnn.zeros(2, 2)), np.linalg.LinAlgError, "linalg.inv: Singular"),
    (lambda: fastnn.linalg.cholesky(-fastnn.eye(2)), np.linalg.LinAlgError, "linalg.cholesky: .*not positive definite"),
    (lambda: fastnn.linalg.inv(fastnn.ones(2, 3)), ValueError, r"linalg.inv: shape \(2, 3\) came, wanted square"),
    (lambda: fastnn.linalg.svd(fastnn.ones(3)), ValueError, r"linalg.svd: shape \(3,\) came, wanted matrices"),
    (lambda: fastnn.linalg.det(fastnn.eye(2).long()), TypeError, "linalg.det: .* int64 came, wanted float32"),
    (lambda: fastnn.linalg.solve(fastnn.eye(2), fastnn.ones(3)), ValueError, "linalg.solve: shapes"),
    (lambda: fastnn.linalg.solve(fastnn.eye(2), fastnn.ones(2, dtype="float64")), TypeError, "linalg.solve: .*one dtype"),
    (lambda: fastnn.linalg.svd(fastnn.ones(2, 3, requires_grad=True)), NotImplementedError, "full_matrices=False"),
    (lambda: fastnn.linalg.qr(fastnn.ones(2, 3, requires_grad=True)), NotImplementedError, "has no gradient"),
    (lambda: fastnn.linalg.qr(fastnn.ones(2, 3), "r"), ValueError, "mode is 'r'"),
    (lambda: fastnn.linalg.matrix_norm(fastnn.ones(2, 3), 3), ValueError, "ord is 3"),
    (lambda: fastnn.linalg.norm(fastnn.ones(2), "fro", 0), ValueError, "wanted two axes"),
    (lambda: fastnn.linalg.multi_dot([fastnn.ones(2)]), ValueError, "at least two"),
    (lambda: fastnn.linalg.lstsq(fastnn.ones(2, 3), fastnn.ones(3, 1)), ValueError, "as many rows"),
]


@pytest.mark.parametrize(("f", "error", "words"), ERRORS, ids=[c[2][:20] for c in ERRORS])
def test_errors(f: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        f()


def test_a_singular_determinant_has_no_second_derivative() -> None:
    a = fastnn.zeros(2, 2, requires_grad=True)
    with pytest.raises(NotImplementedError, match=r"linalg\.det: .* no second derivative"):
        fastnn.grad(fastnn.linalg.det(a), a, create_graph=True)
