"""The convolutional net of the rows: 28x28, 32 filters of 3x3, pooling, 64 filters, pooling, 128 neurons, 10 classes.

Weights and pictures are the same in every process. Images have their channels last, kernels are (height, width, in, out).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from . import nets

TITLE = "CNN 28x28, c32-pool-c64-pool-d128"
BATCHES = 16
"""Number of batches in the training data."""
SHAPES = (3, 3, 1, 32), (3, 3, 32, 64), (64 * 7 * 7, 128), (128, 10)
CHECKED = 4
"""Number of training steps after which losses are compared."""


@functools.cache
def weights() -> list[np.ndarray]:
    """Return kernel and bias of each layer."""
    rng = np.random.default_rng(11)
    made: list[np.ndarray] = []
    for shape in SHAPES:
        scale = (2 / np.prod(shape[:-1])) ** 0.5
        made += [
            (rng.standard_normal(shape) * scale).astype(np.float32),
            (0.1 * rng.standard_normal(shape[-1])).astype(np.float32),
        ]
    return made


@functools.cache
def data(batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of the training data."""
    rng = np.random.default_rng(12)
    x = rng.standard_normal((BATCHES * batch, 28, 28, 1)).astype(np.float32)
    y = rng.permutation(np.arange(len(x)) % 10)
    return [(x[i : i + batch], y[i : i + batch]) for i in range(0, len(x), batch)]


def channels_first() -> list[np.ndarray]:
    """Return the weights in PyTorch's shapes: kernels (out, in, height, width), matrices (out, in), the first one of images with
    their channels first."""
    values = list(weights())
    values[4] = values[4].reshape(7, 7, 64, 128).transpose(2, 0, 1, 3).reshape(-1, 128)
    order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    return [np.ascontiguousarray(value.transpose(order[value.ndim])) for value in values]


class Net:
    """The net in float64, with Adam and the mean cross-entropy."""

    def __init__(self) -> None:
        self.weights = [w.astype(np.float64) for w in weights()]
        self.m, self.v = ([np.zeros_like(w) for w in self.weights] for _ in range(2))
        self.t = 0

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the logits, and keep what backward needs."""
        w, self.kept = self.weights, []
        h = x.astype(np.float64)
        for i in (0, 2):
            patches = _patches(h)
            z = np.maximum(patches @ w[i].reshape(-1, w[i].shape[-1]) + w[i + 1], 0)
            n, height, width, c = z.shape
            tiles = (
                z.reshape(n, height // 2, 2, width // 2, 2, c)
                .transpose(0, 1, 3, 5, 2, 4)
                .reshape(n, height // 2, width // 2, c, 4)
            )
            best = tiles.argmax(-1)
            self.kept.append((patches, z, best))
            h = np.take_along_axis(tiles, best[..., None], -1)[..., 0]
        self.flat = h.reshape(len(x), -1)
        self.hidden = np.maximum(self.flat @ w[4] + w[5], 0)
        return np.asarray(self.hidden @ w[6] + w[7])

    def loss(self, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean cross-entropy, and its gradient with respect to the logits."""
        logits = self.forward(x)
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        at = np.arange(len(y)), y
        loss = -np.log(p[at]).mean()
        p[at] -= 1
        return float(loss), p / len(y)

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        w = self.weights
        dz = self.loss(x, y)[1]
        gradients: list[np.ndarray] = [self.hidden.T @ dz, dz.sum(0)]
        dz = (dz @ w[6].T) * (self.hidden > 0)
        gradients = [self.flat.T @ dz, dz.sum(0), *gradients]
        dh = (dz @ w[4].T).reshape(len(x), 7, 7, 64)
        for i in (2, 0):
            patches, z, best = self.kept[i // 2]
            n, height, width, c = dh.shape
            tiles = np.zeros((n, height, width, c, 4))
            np.put_along_axis(tiles, best[..., None], dh[..., None], -1)
            dz = tiles.reshape(n, height, width, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(z.shape) * (z > 0)
            rows = dz.reshape(-1, c)
            gradients = [(patches.reshape(len(rows), -1).T @ rows).reshape(w[i].shape), rows.sum(0), *gradients]
            if i:
                turned = w[i][::-1, ::-1].transpose(0, 1, 3, 2)
                dh = _patches(dz) @ turned.reshape(-1, turned.shape[-1])
        self.t += 1
        for a, g, m, v in zip(w, gradients, self.m, self.v, strict=True):
            nets.adam(a, m, v, g, self.t, nets.LR)

    def after(self, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        """Return the losses after a step on each batch."""
        for x, y in batches:
            self.step(x, y)
        return [np.array([self.loss(x, y)[0] for x, y in batches])]


def _patches(x: np.ndarray) -> np.ndarray:
    """Return the 3x3 patches of images, with zeros around them: (N, height, width, 9 C)."""
    around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    n, height, width, c = x.shape
    parts = [around[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.stack(parts, 3).reshape(n, height, width, 9 * c)
