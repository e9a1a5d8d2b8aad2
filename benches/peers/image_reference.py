"""Compute the convolutions and nets of images.py in float64 with NumPy: outputs, gradients, running averages and Adam.

Each function returns its output and a function that takes the gradient of the output and returns that of the input. Images have
their channels last inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from . import images, nets
from .images import EPSILON, MOMENTUM, Block, Conv, Linear, Mean, Norm, Pool, Steps

Back = Callable[[np.ndarray], np.ndarray]


def convolution(batch: int, size: int, channels: int, groups: int, gradients: bool) -> list[np.ndarray]:
    """Return the output of one layer (channels first), or the output and the gradients of its input, kernel and bias."""
    x, w, b, dy = (a.astype(np.float64) for a in images.convolution(batch, size, channels, groups))
    dw = np.zeros_like(w)
    y, back = _conv(x.transpose(0, 2, 3, 1), w, dw, Conv(channels, channels, 3, groups=groups))
    y = (y + b).transpose(0, 3, 1, 2)
    if not gradients:
        return [y]
    dx = back(dy.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return [y, dx, dw, dy.sum((0, 2, 3))]


class Net:
    """Net of images.py that is trained with Adam and the mean cross-entropy."""

    def __init__(self, net: str) -> None:
        self.steps = images.NETS[net][1]
        self.weights = [w.astype(np.float64) for w in images.weights(net)]
        self.gradients, self.m, self.v = ([np.zeros_like(w) for w in self.weights] for _ in range(3))
        self.running: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by the number of the norm's first weight
        self.lr, self.t = images.LR[net], 0

    def after(self, batches: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        """Return the losses, by the running averages, after a step on each batch."""
        for x, y in batches:
            self._step(x, y)
        return [np.array([self._loss(x, y, training=False)[0] for x, y in batches])]

    def _loss(self, x: np.ndarray, y: np.ndarray, training: bool) -> tuple[float, np.ndarray, Back]:
        """Return the loss, the gradient of the logits, and the function that computes all others."""
        logits, back = self._chain(
            x.astype(np.float64).transpose(0, 2, 3, 1), self.steps, iter(range(len(self.weights))), training
        )
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        at = np.arange(len(y)), y
        loss = -np.log(p[at]).mean()
        p[at] -= 1
        return float(loss), p / len(y), back

    def _step(self, x: np.ndarray, y: np.ndarray) -> None:
        _, dz, back = self._loss(x, y, training=True)
        back(dz)
        self.t += 1
        for w, g, m, v in zip(self.weights, self.gradients, self.m, self.v, strict=True):
            nets.adam(w, m, v, g, self.t, self.lr)

    def _chain(self, x: np.ndarray, steps: Steps, at: Iterator[int], training: bool) -> tuple[np.ndarray, Back]:
        backs = []
        for step in steps:
            x, back = self._one(x, step, at, training)
            backs.append(back)

        def chain(d: np.ndarray) -> np.ndarray:
            for back in reversed(backs):
                d = back(d)
            return d

        return x, chain

    def _one(self, x: np.ndarray, step: Any, at: Iterator[int], training: bool) -> tuple[np.ndarray, Back]:
        if isinstance(step, Conv):
            i = next(at)
            return _conv(x, self.weights[i], self.gradients[i], step)
        if isinstance(step, Norm):
            return self._norm(x, next(at), next(at), training)
        if isinstance(step, Pool):
            return _pool(x)
        if isinstance(step, Mean):
            n, height, width, c = x.shape
            return x.mean((1, 2)), lambda d: np.broadcast_to(d[:, None, None] / (height * width), (n, height, width, c))
        if isinstance(step, Linear):
            return self._linear(x, next(at), next(at))
        if isinstance(step, Block):
            main, back = self._chain(x, step.main, at, training)
            side, aside = self._chain(x, step.side, at, training)
            return main + side, lambda d: back(d) + aside(d)
        return np.maximum(x, 0), lambda d: d * (x > 0)

    def _linear(self, x: np.ndarray, i: int, j: int) -> tuple[np.ndarray, Back]:
        def back(d: np.ndarray) -> np.ndarray:
            self.gradients[i][...], self.gradients[j][...] = d.T @ x, d.sum(0)
            return np.asarray(d @ self.weights[i])

        return x @ self.weights[i].T + self.weights[j], back

    def _norm(self, x: np.ndarray, i: int, j: int, training: bool) -> tuple[np.ndarray, Back]:
        """Return batch norm. The running variance is that of a sample, as in PyTorch."""
        scale, n = self.weights[i], x[..., 0].size
        running = self.running.setdefault(i, (np.zeros_like(scale), np.ones_like(scale)))
        mean, variance = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if training else running
        if training:
            self.running[i] = (
                running[0] + MOMENTUM * (mean - running[0]),
                running[1] + MOMENTUM * (variance * n / (n - 1) - running[1]),
            )
        inverse = 1 / np.sqrt(variance + EPSILON)
        z = (x - mean) * inverse

        def back(d: np.ndarray) -> np.ndarray:
            self.gradients[i][...], self.gradients[j][...] = (d * z).sum((0, 1, 2)), d.sum((0, 1, 2))
            return np.asarray(scale * inverse * (d - d.mean((0, 1, 2)) - z * (d * z).mean((0, 1, 2))))

        return z * scale + self.weights[j], back


def _windows(x: np.ndarray, size: int, stride: int, fill: float) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """Return images with half a window of `fill` around them, and the index of each tap of the windows."""
    half = size // 2
    around = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), constant_values=fill)
    spans = [((length - 1) // stride) * stride + 1 for length in x.shape[1:3]]
    taps = [
        (slice(None), slice(i, i + spans[0], stride), slice(j, j + spans[1], stride)) for i, j in product(range(size), repeat=2)
    ]
    return around, taps


def _conv(x: np.ndarray, w: np.ndarray, dw: np.ndarray, step: Conv) -> tuple[np.ndarray, Back]:
    """Return the convolution as a sum of one product for each tap; the way back writes the gradient of the kernel to dw."""
    around, taps = _windows(x, step.size, step.stride, 0)
    g, o = step.groups, step.outputs
    # (taps, groups, in / groups, out / groups)
    kernels = np.ascontiguousarray(w.reshape(g, o // g, step.inputs // g, -1).transpose(3, 0, 2, 1))
    if g == step.inputs == o:
        return _depthwise(x, around, taps, kernels.reshape(-1, g), dw)
    shape = *around[taps[0]].shape[:3], o

    def split(a: np.ndarray) -> np.ndarray:
        """Return (groups, rows, channels / groups)."""
        return a.reshape(-1, g, a.shape[-1] // g).transpose(1, 0, 2)

    def joined(a: np.ndarray) -> np.ndarray:
        return a.transpose(1, 0, 2).reshape(*shape[:3], -1)

    y = sum(joined(split(around[tap]) @ kernel) for tap, kernel in zip(taps, kernels, strict=True))

    def back(d: np.ndarray) -> np.ndarray:
        rows, dx, dk = split(d), np.zeros_like(around), np.empty_like(kernels)
        for i, tap in enumerate(taps):
            dk[i] = split(around[tap]).transpose(0, 2, 1) @ rows
            dx[tap] += joined(rows @ kernels[i].transpose(0, 2, 1))
        dw[...] = dk.transpose(1, 3, 2, 0).reshape(w.shape)
        half = step.size // 2
        return dx[:, half : half + x.shape[1], half : half + x.shape[2]]

    return np.asarray(y), back


def _depthwise(
    x: np.ndarray, around: np.ndarray, taps: list[tuple[Any, ...]], kernels: np.ndarray, dw: np.ndarray
) -> tuple[np.ndarray, Back]:
    """Return the convolution of each channel with its own filter; NumPy's products of one column take long."""

    def back(d: np.ndarray) -> np.ndarray:
        dx = np.zeros_like(around)
        for tap, kernel in zip(taps, kernels, strict=True):
            dx[tap] += d * kernel
        dw[...] = np.stack([np.einsum("nhwc,nhwc->c", around[tap], d) for tap in taps], 1).reshape(dw.shape)
        half = around.shape[1] - x.shape[1] >> 1
        return dx[:, half : half + x.shape[1], half : half + x.shape[2]]

    return np.asarray(sum(around[tap] * kernel for tap, kernel in zip(taps, kernels, strict=True))), back


def _pool(x: np.ndarray) -> tuple[np.ndarray, Back]:
    around, taps = _windows(x, 3, 2, -np.inf)
    tiles = np.stack([around[tap] for tap in taps])
    best = tiles.argmax(0)

    def back(d: np.ndarray) -> np.ndarray:
        dx = np.zeros_like(around)
        for i, tap in enumerate(taps):
            dx[tap] += d * (best == i)
        return dx[:, 1:-1, 1:-1]

    return np.asarray(tiles.max(0)), back
