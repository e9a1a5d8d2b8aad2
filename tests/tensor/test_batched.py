"""Products of batches of matrices: what broadcasts, gradients, and matrices that are views of one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import check

import fastnn
from fastnn.backends import current
from fastnn.core.layout import products

rng = np.random.default_rng(0)

SHAPES = (
    ((2, 3, 4, 5), (2, 3, 5, 6)),
    ((2, 1, 4, 5), (3, 5, 6)),
    ((4, 5), (2, 3, 5, 6)),
    ((5,), (2, 3, 5, 6)),
    ((2, 2, 3, 4, 5), (2, 1, 1, 5, 6)),
    ((1, 1, 4, 5), (1, 5, 6)),
    ((2, 1, 1), (1, 1, 1)),
    ((0, 4, 5), (1, 5, 6)),
    ((2, 0, 5), (2, 5, 6)),
    ((2, 4, 0), (1, 0, 6)),
    ((2, 4, 5), (2, 5, 0)),
)


def leaves(*shapes: tuple[int, ...]) -> list[fastnn.Tensor]:
    return [fastnn.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def gradients(a: Any, b: Any, dc: Any) -> tuple[Any, Any]:
    """Those of a b by NumPy, where a has two dimensions at least."""

    def to(d: Any, shape: tuple[int, ...]) -> Any:
        d = d.sum(tuple(range(d.ndim - len(shape))))
        return d.sum(tuple(i for i, n in enumerate(shape) if n == 1 and d.shape[i] != 1), keepdims=True)

    return to(dc @ np.swapaxes(b, -1, -2), a.shape), to(np.swapaxes(a, -1, -2) @ dc, b.shape)


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_values_and_gradients(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = leaves(left, right)
    c = a @ b
    want = a.numpy() @ b.numpy()
    np.testing.assert_allclose(c.numpy(), want, rtol=1e-12, atol=1e-12)
    dc = rng.standard_normal(want.shape)
    matrix = a.numpy().reshape(1, -1) if len(left) == 1 else a.numpy()
    da, db = gradients(matrix, b.numpy(), dc[..., None, :] if len(left) == 1 else dc)
    for times in (1, 2):  # a second time adds to the first
        (a @ b).backward(fastnn.tensor(dc))
        np.testing.assert_allclose(a.grad.numpy(), times * da.reshape(left), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(b.grad.numpy(), times * db, rtol=1e-12, atol=1e-12)


def test_a_tensor_times_itself() -> None:
    (a,) = leaves((2, 3, 3))
    (a @ a).sum().backward()
    ones = np.ones((2, 3, 3))
    np.testing.assert_allclose(a.grad.numpy(), sum(gradients(a.numpy(), a.numpy(), ones)), rtol=1e-12)


def test_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    a, b = leaves((2, 1, 17, 9), (3, 9, 20))
    ta, tb = (torch.tensor(x.numpy(), requires_grad=True) for x in (a, b))
    y, ty = a @ b, ta @ tb
    np.testing.assert_allclose(y.numpy(), ty.detach().numpy(), rtol=1e-12)
    (y * y).sum().backward()
    (ty * ty).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), ta.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(b.grad.numpy(), tb.grad.numpy(), rtol=1e-12)


def test_nothing_is_added_where_nothing_was() -> None:
    a, b = leaves((2, 3, 4), (2, 4, 5))
    values = a.numpy().copy()
    values[0, 1, 2] = np.nan
    c = (fastnn.tensor(values) @ b).numpy()
    assert np.isnan(c[0, 1]).all() and not np.isnan(np.delete(c.reshape(6, 5), 1, 0)).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_heads_that_are_views_of_one_array(dtype: str) -> None:
    """Attention's products and the gradients of queries, keys and values, all of them in (B, T, 3, H, D)."""
    k = current()
    B, T, H, D = 2, 9, 3, 8
    qkv = rng.standard_normal((B, T, 3, H, D)).astype(dtype)
    q, key = qkv[:, :, 0], qkv[:, :, 1]
    row, step = 3 * H * D, T * 3 * H * D
    of_q, of_k, of_kt = (0, step, D, row, 1), (H * D, step, D, row, 1), (H * D, step, D, 1, row)
    of_s = (0, H * T * T, T * T, T, 1)

    given, scores = k.asarray(qkv), k.empty((B, H, T, T), dtype)
    k.matmul_batched(scores, given, given, k.constant(products((B, H, T, T, D), of_s, of_q, of_kt)), 0.5, 0.0, 0)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(k.to_numpy(scores), 0.5 * np.einsum("bthd,bshd->bhts", q, key), **tolerance)

    ds = rng.standard_normal((B, H, T, T)).astype(dtype)
    dqkv = k.asarray(np.full_like(qkv, 7))
    k.matmul_batched(dqkv, k.asarray(ds), given, k.constant(products((B, H, T, D, T), of_q, of_s, of_k)), 1.0, 0.0, 0)
    of_st = (0, H * T * T, T * T, 1, T)
    k.matmul_batched(dqkv, k.asarray(ds), given, k.constant(products((B, H, T, D, T), of_k, of_st, of_q)), 1.0, 0.0, 0)
    got = k.to_numpy(dqkv)
    np.testing.assert_allclose(got[:, :, 0], np.einsum("bhts,bshd->bthd", ds, key), **tolerance)
    np.testing.assert_allclose(got[:, :, 1], np.einsum("bhts,bthd->bshd", ds, q), **tolerance)
    assert (got[:, :, 2] == 7).all()


def test_layouts_by_chance_stay_within_their_arrays() -> None:
    k = current()
    chance = np.random.default_rng(1)
    for _ in range(300):
        batch = chance.integers(0, 4, chance.integers(0, 3)).tolist()
        sizes = (*batch, *chance.integers(0, 6, 3).tolist())
        places = [(int(chance.integers(-1, 9)), *chance.integers(-3, 9, len(batch) + 2).tolist()) for _ in range(3)]
        places = [(*place[:-1], 1) if chance.random() < 0.7 else place for place in places]
        a, b = (chance.standard_normal(int(n)) for n in chance.integers(1, 200, 2))
        around = np.full(int(chance.integers(1, 200)) + 128, 3.0)
        c = k.asarray(around[64:-64])  # the memory itself, where the backend computes on NumPy's arrays
        layout = products(sizes, *places)
        k.matmul_batched(c, k.asarray(a), k.asarray(b), k.constant(layout), 1.0, 0.0, 0)
        assert (around[:64] == 3).all() and (around[-64:] == 3).all()
        if not overlaps(sizes, places[0]):
            want = np.full(len(c), 3.0)
            check.REFERENCE["matmul_batched"](want, a, b, layout, 1.0, 0.0, 0)
            np.testing.assert_allclose(k.to_numpy(c), want, rtol=1e-12, atol=1e-12)


def overlaps(sizes: tuple[int, ...], place: tuple[int, ...]) -> bool:
    """Whether matrices of c use a number twice, which no layout may; axes along which c does not move are not counted."""
    steps = place[1:]
    shape = [1 if step == 0 and i < len(sizes) - 3 else n for i, (n, step) in enumerate(zip(sizes[:-1], steps, strict=True))]
    index = np.indices(shape).reshape(len(shape), -1)
    return len(np.unique(np.array(steps) @ index)) < index.shape[1]
