"""fastnn.save writes what torch.load and fastnn.load read."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn


def same(a: Any, b: Any) -> bool:
    """Whether two nested values are equal, whichever library's Tensors are in them."""
    if hasattr(a, "numpy") or isinstance(a, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


VALUE = {
    "epoch": 3,
    "numbers": [0.25, -5, 2**31, -(2**63), 2**70, float("inf"), True, False, None],
    "text": "é",
    5: ("a", (), [], {}),
    "x": fastnn.arange(6).reshape(2, 3),
    "scalar": fastnn.tensor(1.5),
    "empty": fastnn.zeros(0, 3),
    "bools": fastnn.tensor([True, False]),
    "halves": np.ones(3, np.float16),
    "bytes": np.arange(5, dtype=np.uint8),
    "columns": np.arange(6.0).reshape(2, 3).T,
}


def test_both_libraries_read_it(tmp_path: Path) -> None:
    path = tmp_path / "value.pt"
    fastnn.save(VALUE, path)
    found = fastnn.load(path, map_location="cpu", weights_only=True)
    assert same(VALUE, found) and isinstance(found["x"], fastnn.Tensor) and isinstance(found["halves"], np.ndarray)
    assert same(VALUE, fastnn.load_state(path))
    torch = pytest.importorskip("torch")
    assert same(VALUE, torch.load(path))


def test_files_of_pytorch_are_tensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    value = OrderedDict(a=torch.ones(2, 3).T, b=[torch.arange(3), 1.5], c=torch.ones(2).bfloat16())
    torch.save(value, tmp_path / "t.pth")
    found = fastnn.load(tmp_path / "t.pth")
    assert isinstance(found["a"], fastnn.Tensor) and found["a"].shape == (3, 2) and found["b"][0].tolist() == [0, 1, 2]


def test_a_checkpoint_goes_on_as_before(tmp_path: Path) -> None:
    def made() -> tuple[Any, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
        return model, fastnn.optim.Adam(model.parameters(), lr=0.01)

    def train(model: Any, optimizer: Any, steps: int) -> None:
        x = fastnn.tensor(np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32))
        for _ in range(steps):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()

    model, optimizer = made()
    train(model, optimizer, 3)
    fastnn.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "c.pt")
    train(model, optimizer, 3)
    other, again = made()
    checkpoint = fastnn.load(tmp_path / "c.pt")
    other.load_state_dict(checkpoint["model"])
    again.load_state_dict(checkpoint["optimizer"])
    train(other, again, 3)
    assert same(model.state_dict(), other.state_dict())


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"save: a Linear came.*model\.save"):
        fastnn.save(nn.Linear(2, 1), tmp_path / "a.pt")
    with pytest.raises(TypeError, match=r"save: a object came at \['a'\]\[1\]"):
        fastnn.save({"a": [1, object()]}, tmp_path / "a.pt")
    with pytest.raises(TypeError, match="complex128"):
        fastnn.save(np.ones(2, complex), tmp_path / "a.pt")
    with pytest.raises(TypeError, match="the key"):
        fastnn.save({(1, 2): 3}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="Keras"):
        fastnn.save({}, tmp_path / "a.keras")
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="nested more than"):
        fastnn.save(loop, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="load: device is 'cuda'"):
        fastnn.load(tmp_path / "a.pt", map_location="cuda")
