"""NumPy: matrix products by its BLAS, every array made beforehand and written through `out=`, Adam in place on one flat buffer.

In float64 the same code is the reference that all results are checked against.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

from . import nets
from .job import Job


def start(threads: int) -> None:
    """The number of threads comes from the environment (OPENBLAS_NUM_THREADS, OMP_NUM_THREADS, MKL_NUM_THREADS)."""


class Net:
    """A net with its gradients, Adam's state and all that a step needs in between."""

    def __init__(self, sizes: tuple[int, ...], rows: int, lr: float = nets.LR, dtype: Any = np.float32) -> None:
        given = nets.weights(sizes)
        n = sum(w.size + b.size for w, b in given)
        self.flat, self.grads, self.m, self.v, self.work = (np.zeros(n, dtype) for _ in range(5))
        self.layers, self.dlayers, at = [], [], 0
        for w, b in given:
            cut = (slice(at, at + w.size), slice(at + w.size, at + w.size + b.size))
            at = cut[1].stop
            for layers, flat in ((self.layers, self.flat), (self.dlayers, self.grads)):
                layers.append((flat[cut[0]].reshape(w.shape), flat[cut[1]]))
            self.layers[-1][0][:], self.layers[-1][1][:] = w, b
        self.a = [np.zeros((rows, o), dtype) for o in sizes[1:]]
        self.da = [np.zeros((rows, o), dtype) for o in sizes[1:]]
        self.every, self.lr, self.t = np.arange(rows), lr, 0

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The logits."""
        for (w, b), a in zip(self.layers, self.a, strict=True):
            np.matmul(x, w, out=a)
            a += b
            if a is not self.a[-1]:
                np.maximum(a, 0, out=a)
            x = a
        return x

    def loss(self, x: np.ndarray, y: np.ndarray) -> float:
        z = self.forward(x)
        z = z - z.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(z).sum(1)) - z[self.every, y]))

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """One step of Adam; the loss before it."""
        z = self.forward(x)
        z -= z.max(1, keepdims=True)
        p = np.exp(z, out=self.da[-1])
        total = p.sum(1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0]) - z[self.every, y]))
        p /= total
        p[self.every, y] -= 1
        p /= len(x)
        for i in range(len(self.layers) - 1, -1, -1):
            (dw, db), dz = self.dlayers[i], self.da[i]
            np.matmul((self.a[i - 1] if i else x).T, dz, out=dw)
            dz.sum(0, out=db)
            if i:
                np.matmul(dz, self.layers[i][0].T, out=self.da[i - 1])
                self.da[i - 1] *= self.a[i - 1] > 0
        self._adam()
        return loss

    def _adam(self) -> None:
        self.t += 1
        g, m, v, work = self.grads, self.m, self.v, self.work
        m *= 0.9
        m += np.multiply(g, 0.1, out=work)
        v *= 0.999
        g *= g
        v += np.multiply(g, 0.001, out=g)
        np.sqrt(v, out=work)
        work /= (1 - 0.999**self.t) ** 0.5
        work += 1e-8
        np.divide(m, work, out=work)
        work *= self.lr / (1 - 0.9**self.t)
        self.flat -= work


def matmul(*shape: int) -> Job:
    a, b = nets.matrices(*shape)
    c = np.empty((shape[0], shape[2]), np.float32)

    def run() -> None:
        np.matmul(a, b, out=c)

    return Job(run, result=lambda: (run(), c)[1])


def fit(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    net, data = Net(sizes, batch, lr), nets.training_data(sizes, batch)
    following = cycle(data)
    return Job(lambda: net.step(*next(following)), result=lambda: after(net, data[:CHECKED]))


on_batch = fit


def predict(sizes: tuple[int, ...], batch: int) -> Job:
    net, x = Net(sizes, batch), nets.samples(sizes, batch)[0]
    return Job(net.forward, (x,), result=lambda: net.forward(x))


CHECKED = 4
"""Training steps after which losses are compared."""


def after(net: Net, data: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """The losses of some batches after one step on each."""
    for x, y in data:
        net.step(x, y)
    return [net.loss(x, y) for x, y in data]


def head_result(loss: Any, dx: np.ndarray, dw: np.ndarray) -> list[np.ndarray]:
    """What is compared of a head's loss and gradients: dw (features, classes) is too large to be sent about, so its products
    with a random vector on each side, of which every element is a part, and some of its columns."""
    rng = np.random.default_rng(5)
    k, n = dw.shape
    right, left = rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, k)
    blocks = [(slice(i, i + 4096), dw[:, i : i + 4096].astype(np.float64)) for i in range(0, n, 4096)]
    rows, columns = sum(block @ right[at] for at, block in blocks), np.concatenate([left @ block for _, block in blocks])
    return [np.asarray(loss), np.asarray(dx), rows, columns, dw[:, rng.integers(0, n, 64)]]


def _head(features: int, classes: int, rows: int) -> list[np.ndarray]:
    """Loss and gradients in float64."""
    x, w, labels = (a.astype(np.float64) if a.dtype.kind == "f" else a for a in nets.head(features, classes, rows))
    z = x @ w
    z -= z.max(1, keepdims=True)
    at = np.arange(rows), labels
    chosen = z[at]
    p = np.exp(z, out=z)
    total = p.sum(1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - chosen)
    p /= total
    p[at] -= 1
    p /= rows
    return head_result(loss, p @ w.T, x.T @ p)


def reference(task: str, args: tuple[Any, ...]) -> Any:
    """The result in float64."""
    if task == "matmul":
        a, b = nets.matrices(*args)
        return a.astype(np.float64) @ b
    if task == "head":
        return _head(*args)
    sizes, batch = args
    if task == "predict":
        return Net(sizes, batch, dtype=np.float64).forward(nets.samples(sizes, batch)[0])
    return after(Net(sizes, batch, dtype=np.float64), nets.training_data(sizes, batch, CHECKED))
