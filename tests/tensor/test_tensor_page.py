"""Every name on the page docs/tensor.md, called as PyTorch's users and as NumPy's call it, gives what it gives there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn

PAGE = Path(__file__).parents[2] / "docs" / "tensor.md"

TORCHS = """
t + u
t - 1.5
2 * t
t / u
i / j
(t * t + 1) ** 0.5
i ** 2
-t
m.add(t, u)
m.add(t, u, alpha=2)
t.add(u, alpha=2)
m.sub(t, u, alpha=2)
m.mul(t, u)
m.div(t, u)
m.div(i, j)
m.pow(i, 3)
m.pow(i, j)
m.neg(t)
m.square(i)
m.reciprocal(j)
m.rsqrt(t * t)
m.sqrt(j)
m.abs(i)
abs(t)
m.exp(t)
m.exp(j)
m.log(t * t)
m.log1p(t * t)
m.expm1(t)
m.sin(t)
m.cos(j)
m.erf(t)
m.sign(t)
m.floor(t)
m.ceil(t)
m.floor(i)
m.round(t)
m.round(t, decimals=1)
t.round(decimals=2)
m.round(m.tensor([0.5, 1.5, 2.5]))
m.relu(t)
m.sigmoid(t)
m.tanh(t)
m.softmax(t, 1)
m.softmax(t, dim=0)
m.log_softmax(t, -1)
F.gelu(t)
F.gelu(t, approximate="tanh")
F.leaky_relu(t)
F.leaky_relu(t, 0.2)
m.clip(t, -0.5, 0.5)
m.clip(t, max=0.5)
m.clamp(t, -0.5)
t.clamp(max=u)
m.clip(i, 0, 3)
m.clip(nan, 0, 3)
m.maximum(t, u)
m.minimum(t, u)
m.maximum(nan, m.ones_like(nan))
t == u
t != u
t < u
t <= 0
t > u
t >= u
m.eq(t, u)
m.ne(t, u)
m.gt(t, 0)
m.ge(t, u)
m.lt(t, u)
m.le(t, u)
b & d
b | d
b ^ d
~b
m.logical_and(b, d)
m.logical_or(b, d)
m.logical_xor(b, d)
m.logical_not(b)
m.isnan(nan)
m.isinf(nan)
m.isfinite(nan)
m.isnan(i)
m.any(b)
m.all(b, 1)
m.any(b, dim=0, keepdim=True)
m.where(b, t, u)
m.where(b, t, 0.0)
m.masked_fill(t, b, 2.0)
t.masked_fill(b, value=2.0)
m.sum(t)
m.sum(i, 1)
m.sum(b)
m.sum(c, dim=(0, 2))
m.sum(t, 0, True)
m.mean(t, 1)
m.mean(c, (0, 1))
m.prod(t)
m.prod(i, 1)
m.prod(t, dim=0, keepdim=True)
m.amax(c, (0, 2))
m.amin(t, 1, True)
m.max(i, 1)
m.min(t)
m.var(c, (0, 1))
m.std(t, 0)
m.norm(t)
m.norm(t, 1)
m.norm(t, float("inf"), 1)
m.norm(t, p="fro")
m.norm(t, dim=1)
t.norm(2, 1, True)
m.logsumexp(t, 1)
m.logsumexp(t, (0, 1))
m.cumsum(t, 1)
m.cumsum(i, dim=0)
m.cumsum(b, 0)
m.argmax(t)
m.argmin(t, 1)
m.argmax(t, dim=0, keepdim=True)
m.sort(t)
m.sort(t, dim=0, descending=True)
m.sort(t, stable=True)
m.argsort(t, 0)
m.argsort(t, dim=1, descending=True)
m.median(t)
m.median(i)
m.median(i, 1)
m.median(nan)
m.median(t, dim=0, keepdim=True)
m.topk(t, 2)
m.topk(t, k=2, dim=0, largest=False)
t @ u.T
m.matmul(c, t.T)
m.matmul(v, v)
m.matmul(t, v)
m.dot(v, v)
m.outer(v, v)
m.reshape(t, (2, 6))
t.reshape(-1, 2)
t.view(4, 3)
m.flatten(c)
m.flatten(c, 1)
m.flatten(c, 0, 1)
m.flatten(c, start_dim=0, end_dim=-2)
m.squeeze(one)
m.squeeze(one, 0)
m.squeeze(one, 1)
m.squeeze(one, dim=(0, 2))
m.unsqueeze(t, -1)
m.transpose(c, 0, 2)
m.transpose(c, dim0=0, dim1=-1)
c.transpose(1, 2)
m.permute(c, (2, 0, 1))
c.permute(2, 0, 1)
t.T
m.broadcast_to(v, (2, 4))
t.expand(2, -1, 4)
m.cat([t, u])
m.cat((t, u), dim=1)
m.cat((t, u), 1)
m.concatenate([t, u], 1)
m.stack([t, u])
m.stack([t, u], dim=-1)
m.split(t, 2, dim=1)
m.split(t, [1, 3], 1)
t.split(split_size=2)
m.chunk(t, 2, 1)
m.chunk(t, chunks=3, dim=1)
m.chunk(m.arange(7), 3)
m.chunk(m.arange(5), 4)
m.unbind(t)
m.unbind(t, 1)
m.flip(t, (0,))
m.flip(t, dims=(0, 1))
t.flip(0)
m.roll(t, 1)
m.roll(t, 1, 0)
m.roll(t, shifts=(1, 2), dims=(0, 1))
m.tile(t, (2,))
m.tile(t, (2, 1))
t.repeat(2, 1)
t.repeat(2, 1, 1)
m.repeat_interleave(t, 2)
m.repeat_interleave(t, 2, 1)
m.repeat_interleave(t, repeats=2, dim=0)
t[0]
t[:, ::2]
t[None, ..., 1]
t[w]
t[:, w]
t[b]
t[w, w]
t[-1, 1:3]
m.gather(t, 0, g)
t.gather(1, m.tensor([[0], [1], [2]]))
m.index_select(t, 0, w)
t.index_select(dim=1, index=w)
m.scatter_add(t, 1, m.tensor([[0, 0]] * 3), u[:, :2])
t.scatter_add(dim=0, index=g, src=u[:1])
F.one_hot(w, 3).long()
F.one_hot(w, num_classes=4).long()
m.zeros(2, 3)
m.zeros((2, 3))
m.zeros([2])
m.zeros(2, dtype=f64)
m.zeros(size=(2, 3))
m.ones(2, 3)
m.ones(())
m.ones(2, dtype=i64)
m.full((2, 3), 1.5)
m.full((2,), 1)
m.full((2,), True)
m.full((2,), fill_value=2.0)
m.full(size=(2,), fill_value=2.0)
m.eye(3)
m.eye(2, 3)
m.eye(n=2, m=4)
m.arange(5)
m.arange(1, 4)
m.arange(1, 4, 2)
m.arange(0, 1, 0.25)
m.arange(3.0)
m.arange(5, 0, -2)
m.arange(start=1, end=4)
m.arange(end=4)
m.arange(4, dtype=f32)
m.linspace(0, 1, 5)
m.linspace(0, 1, steps=5)
m.linspace(start=0, end=1, steps=5)
m.linspace(0, 1, 1)
m.zeros_like(t)
m.ones_like(i)
m.full_like(t, 2)
m.full_like(i, fill_value=3)
m.zeros_like(t, dtype=i64)
m.rand(2, 3).shape
m.rand((2, 3)).shape
m.rand(size=(2,)).shape
m.randn(2, 3, dtype=f64) * 0
m.randn(()).shape
m.rand(2, requires_grad=True).requires_grad
m.randn(2, requires_grad=True).requires_grad
m.eye(2, requires_grad=True).requires_grad
m.linspace(0, 1, 3, requires_grad=True).requires_grad
m.zeros_like(t, requires_grad=True).requires_grad
m.randint(3, 4, (2, 5))
m.randint(1, (2, 5))
m.randint(3, 4, size=(2, 5))
m.randint(high=1, size=(2,))
m.randint(low=3, high=4, size=(2,))
m.rand_like(t) * 0
m.randn_like(t) * 0
m.randn_like(t, dtype=f32) * 0
t.to(f32)
t.float()
t.double()
t.long()
t.bool()
t.clone()
t.detach()
t.ndim
t.tolist()
t.dim()
t.numel()
t[0, 0].item()
m.add(t, 2.0, alpha=3)
t.sub(1.0, alpha=2)
m.roll(t, (1, -1), (1, 0))
m.flatten(m.tensor(1.0))
m.squeeze(one, (1, 2))
t.reshape((12,))
t.size() if callable(t.size) else t.shape
t.shape
t.numpy()
str(t.dtype).split('.')[-1]
t.device.type
t.size(0)
t // 0.3
i % 2
m.floor_divide(i, j)
m.remainder(t, 0.3)
m.fmod(i, j)
m.trunc(t)
m.lerp(t, u, 0.5)
m.addcmul(t, u, u)
m.addcdiv(t, u, u, value=2.0)
m.exp2(t)
m.log2(t * t)
m.log10(t * t)
m.tan(t)
m.sinh(t)
m.cosh(t)
m.logaddexp(t, u)
m.nan_to_num(nan)
m.cumprod(t, 1)
m.diff(t)
m.std_mean(t, 0)
m.var_mean(t, dim=1)
m.mm(t, u.T)
m.bmm(c, c.mT)
m.mv(t, v)
m.addmm(t[:, :3], t, u.T)
m.baddbmm(c[:, :, :3], c, c.mT)
m.einsum("ij,kj->ik", t, u)
m.cdist(t, u)
m.cosine_similarity(t, u, 1)
m.tril(t)
m.triu(t, 1)
m.diag(t)
t.diagonal(1)
m.trace(t)
m.meshgrid(v, v[:2], indexing="ij")
t.t()
m.swapaxes(c, 0, 1)
m.movedim(c, 0, 2)
t.view_as(t)
t.reshape_as(t)
v.expand_as(t)
i.type_as(t)
t.contiguous()
t.unflatten(1, (2, 2))
t.select(1, 0)
m.narrow(t, 1, 1, 2)
m.vstack([t, u])
m.hstack([t, u])
m.nonzero(b)
m.unique(i)
m.bincount(j[0])
m.masked_select(t, b)
m.count_nonzero(i % 2)
m.searchsorted(m.arange(3), j)
m.bucketize(j, m.arange(3))
m.isclose(t, u)
m.tensor(m.allclose(t, t))
m.tensor(m.equal(t, u))
m.scatter(t, 1, m.tensor([[0], [1], [2]]), 5.0)
m.randperm(5).sort().values
m.bernoulli(m.ones_like(t))
m.multinomial(m.tensor([0.0, 1.0]), 1)
m.normal(t, 0.0)
t.int().long()
""".strip().splitlines()
"""m is the library and F where its functions of networks are; the Tensors are those of `named`."""

NUMPYS = """
m.square(t)
m.add(t, u)
m.power(i, 2) if m is np else m.pow(i, 2)
m.sign(nan)
m.round(t, 1)
m.round(t, decimals=2)
m.clip(t, -0.5, 0.5)
m.clip(t, max=0.5, min=None)
m.maximum(nan, 1.0)
m.minimum(t, u)
m.where(b, t, u)
m.isnan(nan)
m.any(b, axis=1)
m.all(b, axis=0, keepdims=True)
m.sum(c, axis=(0, 2))
m.mean(c, axis=1, keepdims=True)
m.prod(i, axis=1)
m.amax(c, axis=(0, 1))
m.amin(c, 1)
m.max(c, axis=1)
m.std(c, axis=(0, 1), ddof=1)
m.cumsum(t, axis=0)
m.argmax(t, axis=1)
m.argmin(t)
m.sort(t, axis=0)
m.median(t, axis=None)
m.median(t, axis=0)
m.median(c, axis=-1, keepdims=True)
m.median(t, keepdims=True)
m.argsort(t, axis=0)
m.matmul(t, u.T)
m.dot(v, v)
m.outer(v, v)
m.reshape(t, (2, 6))
m.squeeze(one)
m.squeeze(one, (0, 2))
m.transpose(c)
m.transpose(c, (2, 0, 1))
m.transpose(c, axes=(2, 0, 1))
c.transpose(2, 0, 1)
c.transpose()
c.T
m.broadcast_to(v, (2, 4))
m.concatenate([t, u], axis=1)
m.stack([t, u], axis=1)
m.flip(t)
m.flip(t, axis=(0, 1))
m.roll(t, 2)
m.roll(t, (1, 2), axis=(0, 1))
m.tile(t, (2, 1))
m.tile(t, 2)
m.repeat(t, 2) if m is np else m.repeat_interleave(t, 2)
m.repeat(t, 2, axis=1) if m is np else m.repeat_interleave(t, 2, axis=1)
m.take(t, w, axis=0)
m.take(t, w, axis=1)
m.take(t.reshape(-1), w)
m.zeros((2, 3), dtype=f32)
m.ones(3, dtype=f64)
m.full((2, 3), 1)
m.full((2,), fill_value=True)
m.full(shape=(2,), fill_value=1.5, dtype=f64)
m.eye(2, 3, dtype=f64)
m.arange(5)
m.arange(1, 6, 2)
m.arange(start=1, stop=4)
m.arange(0, 1, 0.25, dtype=f64)
m.linspace(0, 1, 5, dtype=f64)
m.linspace(0, 1, num=5, dtype=f64)
m.full_like(t, 3)
m.zeros_like(i)
m.ones_like(t)
t[:, None, 1:3]
t[b]
t[w]
t.astype(f32)
t.size
t.ndim
t.item() if t.size == 1 else t[0, 0].item()
t.tolist()
-abs(t)
""".strip().splitlines()


def named(make: Any, dtype: Any) -> dict[str, Any]:
    """The Tensors and dtypes that calls speak of."""
    x, cube = np.random.default_rng(0).standard_normal((3, 4)), np.random.default_rng(1).standard_normal((2, 3, 4))
    arrays = {
        "t": x,
        "u": x[::-1].copy(),
        "v": x[0],
        "c": cube,
        "one": cube[:1, :, :1],
        "b": x > 0,
        "d": x < 0.5,
        "i": np.array([[5, -2, 3], [7, 7, 1]]),
        "j": np.array([[2, 2, 3], [1, 2, 2]]),
        "w": np.array([2, 0]),
        "g": np.array([[0, 1, 2, 0]]),
        "nan": np.array([np.nan, 1.0, -np.inf]),
    }
    dtypes = {"f32": dtype.float32, "f64": dtype.float64, "i64": dtype.int64}
    return {name: make(array) for name, array in arrays.items()} | dtypes


def outcome(result: Any) -> list[np.ndarray]:
    """The arrays of a result, which is a Tensor, several, or something of Python's."""
    several = isinstance(result, tuple) and not all(isinstance(n, int) for n in result)
    return [np.asarray(part) for part in (result if several else (result,))]


def assert_same(call: str, wanted: Any, found: Any) -> None:
    wanted, found = outcome(wanted), outcome(found)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a.dtype.kind in "fiub":
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)
        else:
            assert a == b


@pytest.mark.parametrize("call", TORCHS)
def test_calls_of_pytorch_s(call: str) -> None:
    torch = pytest.importorskip("torch")
    wanted = eval(call, {"m": torch, "F": torch.nn.functional, **named(torch.tensor, torch)})
    found = eval(call, {"m": fastnn, "F": fastnn, **named(fastnn.tensor, np)})
    assert_same(call, wanted, found)


@pytest.mark.parametrize("call", NUMPYS)
def test_calls_of_numpy_s(call: str) -> None:
    wanted = eval(call, {"m": np, "np": np, **named(np.array, np)})
    assert_same(call, wanted, eval(call, {"m": fastnn, "np": np, **named(fastnn.tensor, np)}))


def names_on_the_page() -> dict[str, bool]:
    """The functions and attributes in the first column, and whether each is a function alone."""
    found: dict[str, bool] = {}
    table = PAGE.read_text().split("\n\n")
    rows = next(part for part in table if part.startswith("| fastnn | PyTorch | Keras")).splitlines()[2:]
    for row in rows:
        cell = re.split(r"(?<!\\)\|", row)[1]
        alone = "(function" in cell
        for code in re.findall(r"`([^`]*)`", cell):
            words = re.sub(r"\([^)]*\)", "", code)
            found |= dict.fromkeys(re.findall(r"[A-Za-z_][A-Za-z_0-9]+|\bT\b", words), alone)
    return found


def test_every_name_on_the_page_is_compared() -> None:
    names = names_on_the_page()
    assert len(names) > 100 and {"round", "randint", "T", "take", "zeros_like"} <= names.keys()
    compared = set(re.findall(r"(?:\b[mFtuvcbdijw]|one|nan|\)|\])\.([A-Za-z_0-9]+)", "\n".join([*TORCHS, *NUMPYS])))
    assert not [name for name in names if name not in compared]
    for name, alone in names.items():
        assert hasattr(fastnn, name) or hasattr(fastnn.Tensor, name), name
        assert alone or hasattr(fastnn.Tensor, name), f"{name} is no method"
