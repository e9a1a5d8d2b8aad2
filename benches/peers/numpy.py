"""NumPy: matrix products by its BLAS, Adam in place on one flat buffer. Arrays are allocated beforehand and written with `out=`.

The environment sets the number of threads (OPENBLAS_NUM_THREADS, OMP_NUM_THREADS, MKL_NUM_THREADS). In float64, the same net is
the reference for training and inference.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from typing import Any

import numpy as np

from . import job, nets
from .job import Job


class Net:
    """Net with gradients, the state of Adam and all intermediate arrays of a step."""

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: Any = np.float32) -> None:
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
        self.every, self.lr, self.t = np.arange(rows), nets.lr(sizes), 0

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the logits."""
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
        """Take one step of Adam; return the loss before it."""
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

    def after(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        """Take one step on each batch; return the losses of all batches after these steps."""
        batches = list(batches)
        for x, y in batches:
            self.step(x, y)
        return [np.array([self.loss(x, y) for x, y in batches])]


class Contender(job.Contender):
    """NumPy."""

    def matmul(self, shape: tuple[int, int, int], layout: str, start: int, precision: str, mode: str) -> Job:
        a, b = nets.factors(*shape, layout, start)
        c = nets.placed(np.zeros((shape[0], shape[2])), start)

        def run() -> None:
            np.matmul(a, b, out=c)

        return Job(run, result=lambda: (run(), [c])[1])

    def train(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        net, data = Net(sizes, batch), nets.data(sizes, batch)
        following = cycle(data)
        return Job(
            lambda: net.step(*next(following)),
            result=lambda: net.after(data[: nets.checked(sizes)]),
            settle=lambda: setattr(net, "lr", nets.STILL),
        )

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        net, x = Net(sizes, batch), nets.samples(sizes, batch)[0]
        return Job(net.forward, (x,), result=lambda: [net.forward(x)])
