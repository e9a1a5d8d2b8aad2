"""JAX: a jitted step with donated buffers, or a whole epoch of steps as one jitted `lax.scan`, with Adam in plain JAX.

Arrays are on the device beforehand. Weights are arguments; for inference on a CPU they are constants, which is faster. On a CPU,
dispatch is synchronous (`jax_cpu_enable_async_dispatch` off), which is faster for every net here. JAX has no setting for its
number of threads, so its process may use that number of cores. On a GPU, tf32 is the default precision of products and float32
the highest; bfloat16 rounds the factors and keeps bfloat16 between the layers, as autocast does.
"""

from __future__ import annotations

import functools
import os
from itertools import cycle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import nets
from .jax_images import Images
from .jax_sequences import Sequences
from .jax_steps import adam, cross_entropy
from .job import Clock, Job, host_clock
from .reference import ADAM_STEPS, ends, head_result, rows_of


class Contender(Images, Sequences):
    """JAX.

    Raises:
        RuntimeError: JAX has no such device.
    """

    def __init__(self, device: str, threads: int) -> None:
        super().__init__(device, threads)
        if device == "cpu":
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
            jax.config.update("jax_cpu_enable_async_dispatch", False)
        jax.config.update("jax_default_device", jax.devices(device)[0])

    def clock(self) -> Clock:
        """Return a host clock, because JAX has no events; it waits for the result of the last call."""
        return host_clock(lambda: jax.block_until_ready(self.last))

    def free(self) -> None:
        self.last = None
        if self.device == "cuda":
            jax.clear_caches()

    def matmul(self, shape: tuple[int, int, int], layout: str, start: int, precision: str, mode: str) -> Job:
        """Return a job of a jitted product. JAX copies a misaligned array into its own memory beforehand."""
        dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
        a, b = (jax.device_put(m).astype(dtype) for m in nets.matrices(*shape, layout, start))

        def multiply(a: Any, b: Any) -> Any:
            a, b = (a.T if layout[0] == "t" else a), (b.T if layout[1] == "t" else b)
            return jnp.matmul(a, b, precision=_precision(precision))

        product = jax.jit(multiply)

        def result() -> list[np.ndarray]:
            return [np.asarray(product(a, b)[rows_of(shape)].astype(jnp.float32))]

        return self._job(product, (a, b), result)

    def train(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        """Return a job of a step or a scan on JAX arrays, or of a step from NumPy arrays to the loss."""
        net, data = Net(sizes, precision), nets.data(sizes, batch)
        if mode != "on_batch":
            data = [(jax.device_put(x), jax.device_put(y.astype(np.int32))) for x, y in data]
        few = data[: nets.checked(sizes)]
        xs, ys = (jnp.stack(arrays) for arrays in zip(*data, strict=True)) if mode == "scan" else (None, None)
        following = cycle(data)

        def step() -> None:
            self.last = net.step(*next(following))

        def epoch() -> None:
            self.last = net.epoch(xs, ys)

        def result() -> list[np.ndarray]:
            if mode == "scan":
                net.epoch(xs[: len(few)], ys[: len(few)])
            else:
                for x, y in few:
                    net.step(x, y)
            return [np.array([float(net.loss(net.layers, x, y)) for x, y in few])]

        call = {"scan": epoch, "on_batch": lambda: float(net.step(*next(following)))}.get(mode, step)
        return Job(call, (), result, lambda: net.set_lr(nets.STILL), len(data) if mode == "scan" else 1)

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        layers, x = jax.device_put(nets.weights(sizes)), jax.device_put(nets.samples(sizes, batch)[0])
        if self.device == "cpu":
            forward, args = jax.jit(lambda x: _forward(layers, x, precision)), (x,)
        else:
            forward, args = jax.jit(lambda layers, x: _forward(layers, x, precision)), (layers, x)
        return self._job(forward, args, lambda: [np.asarray(forward(*args))])

    def head(self, features: int, classes: int, rows: int, precision: str, mode: str) -> Job:
        """Return a job of loss and both gradients, one jitted `value_and_grad`. It frees the previous gradients first."""
        x, w, labels = nets.head(features, classes, rows)
        x, w, labels = jax.device_put((x, w, labels.astype(np.int32)))

        def loss(x: Any, w: Any, labels: Any) -> Any:
            return cross_entropy(jnp.matmul(x, w, precision=_precision(precision)), labels)

        step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))

        def run() -> Any:
            self.last = None
            self.last = step(x, w, labels)
            return jax.block_until_ready(self.last) if self.device == "cpu" else self.last

        def result() -> list[np.ndarray]:
            value, (dx, dw) = run()
            return head_result(float(value), np.asarray(dx), np.asarray(dw))

        return Job(run, result=result)

    def adam(self, n: int, precision: str, mode: str) -> Job:
        w, dw = map(jax.device_put, nets.flat(n))
        state = [w, jnp.zeros(n, jnp.float32), jnp.zeros(n, jnp.float32), jnp.zeros((), jnp.float32)]
        step = jax.jit(lambda w, m, v, t, dw: (*adam(w, m, v, dw, t + 1, nets.LR), t + 1), donate_argnums=(0, 1, 2, 3))

        def run() -> None:
            state[:] = self.last = step(*state, dw)

        def result() -> list[np.ndarray]:
            for _ in range(ADAM_STEPS):
                run()
            return ends(np.asarray, *state[:3])

        return Job(run, result=result)


def _precision(name: str) -> Any:
    return jax.lax.Precision.HIGHEST if name == "float32" else jax.lax.Precision.DEFAULT


def _forward(layers: Any, x: Any, precision: str) -> Any:
    """Return the logits, in float32."""
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    x = x.astype(dtype)
    for i, (w, b) in enumerate(layers):
        x = jnp.matmul(x, w.astype(dtype), precision=_precision(precision)) + b.astype(dtype)
        if i < len(layers) - 1:
            x = jax.nn.relu(x)
    return x.astype(jnp.float32)


@functools.cache
def _loss(precision: str) -> Any:
    """Return the loss as a function of layers, inputs and labels, jitted once for steps and epochs."""
    return jax.jit(lambda layers, x, y: cross_entropy(_forward(layers, x, precision), y))


class Net:
    """Weights, the optimizer's state, and the functions of a step."""

    def __init__(self, sizes: tuple[int, ...], precision: str) -> None:
        self.layers = jax.device_put(nets.weights(sizes))
        # Two sets of zeros, because two donated arguments must not share a buffer.
        self.state = (jax.tree.map(jnp.zeros_like, self.layers), jax.tree.map(jnp.zeros_like, self.layers), jnp.zeros(()))
        self.set_lr(nets.lr(sizes))

        self.loss = _loss(precision)

        def step(layers: Any, state: Any, lr: Any, x: Any, y: Any) -> Any:
            value, grads = jax.value_and_grad(self.loss)(layers, x, y)
            m, v, t = state
            new = jax.tree.map(lambda w, m, v, g: adam(w, m, v, g, t + 1, lr), layers, m, v, grads)
            layers, m, v = jax.tree.transpose(jax.tree.structure(layers), jax.tree.structure((0, 0, 0)), new)
            return layers, (m, v, t + 1), value

        def epoch(layers: Any, state: Any, lr: Any, xs: Any, ys: Any) -> Any:
            def one(carry: Any, batch: Any) -> Any:
                layers, state, value = step(*carry, lr, *batch)
                return (layers, state), value

            (layers, state), values = jax.lax.scan(one, (layers, state), (xs, ys))
            return layers, state, values

        self._step = jax.jit(step, donate_argnums=(0, 1))
        self._epoch = jax.jit(epoch, donate_argnums=(0, 1))

    def set_lr(self, lr: float) -> None:
        self.lr = jnp.float32(lr)

    def step(self, x: Any, y: Any) -> Any:
        self.layers, self.state, value = self._step(self.layers, self.state, self.lr, x, y)
        return value

    def epoch(self, xs: Any, ys: Any) -> Any:
        self.layers, self.state, values = self._epoch(self.layers, self.state, self.lr, xs, ys)
        return values
