"""Every name on the page docs/tensor.md, called as PyTorch's users and as NumPy's call it, gives what it gives there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_calls import TORCHS
from torch_more_calls import MORE

import fastnn

PAGE = Path(__file__).parents[2] / "docs" / "tensor.md"

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


@pytest.mark.parametrize("call", [*TORCHS, *MORE])
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
    compared = set(re.findall(r"(?:\b[mFtuvcbdijw]|one|nan|\)|\])\.([A-Za-z_0-9]+)", "\n".join([*TORCHS, *MORE, *NUMPYS])))
    assert not [name for name in names if name not in compared]
    for name, alone in names.items():
        assert hasattr(fastnn, name) or hasattr(fastnn.Tensor, name), name
        assert alone or hasattr(fastnn.Tensor, name), f"{name} is no method"
