"""Recurrent layers of fastnn and of Keras with the same weights, and what they are called on."""

import os
from typing import Any

import numpy as np
import pytest

import fastnn

rng = np.random.default_rng(0)
N, T, F, H = 4, 4, 3, 5
X = rng.standard_normal((N, T, F)).astype(np.float32)
HOLES = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
LENGTHS = np.array([4, 1, 0, 3])
PADDED = np.arange(T) < LENGTHS[:, None]
KINDS = ("SimpleRNN", "LSTM", "GRU")


def keras_on_torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Keras, if it computes with PyTorch, whose gradients are compared; else the test is skipped."""
    pytest.importorskip("torch")
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    found = pytest.importorskip("keras")
    if found.backend.backend() != "torch":
        pytest.skip("gradients are compared with Keras on PyTorch")
    return found


def pair(keras: Any, kind: str, **options: Any) -> tuple[Any, Any]:
    """A layer of fastnn and one of Keras with the same random weights."""
    ours, theirs = getattr(fastnn, kind)(H, **options), getattr(keras.layers, kind)(H, **options)
    return same_weights(ours, theirs)


def same_weights(ours: Any, theirs: Any, seed: int = 1) -> tuple[Any, Any]:
    ours.build((T, F))
    theirs.build((None, T, F))
    draw = np.random.default_rng(seed)
    values = [draw.uniform(-0.6, 0.6, w.shape).astype(np.float32) for w in theirs.get_weights()]
    theirs.set_weights(values)
    ours.set_weights(values)
    return ours, theirs


def close(ours: Any, theirs: Any, atol: float = 2e-6) -> None:
    leaves = [np.asarray(t.detach().cpu() if hasattr(t, "detach") else t) for t in fastnn.core.tree.flatten(theirs)[1]]
    mine = fastnn.core.tree.flatten(ours)[1]
    assert len(mine) == len(leaves)
    for a, b in zip(mine, leaves, strict=True):
        np.testing.assert_allclose(a.numpy(), b, atol=atol)
