"""JAX and optax: one jitted training step with donated buffers, or a whole epoch of them as one jitted `lax.scan`.

Arrays are on the device beforehand, the weights are constants of the inference function, and dispatch is synchronous
(`jax_cpu_enable_async_dispatch` off), which is faster for every net here. JAX has no setting for its number of threads:
its process may use as many cores.
"""

from __future__ import annotations

import os
from itertools import cycle
from typing import Any

import numpy as np

from . import nets
from .job import Epochs, Job
from .numpy import CHECKED


def start(threads: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)


def matmul(*shape: int) -> Job:
    import jax

    a, b = map(jax.device_put, nets.matrices(*shape))
    product = jax.jit(lambda a, b: a @ b)
    return Job(lambda: product(a, b).block_until_ready(), result=lambda: np.asarray(product(a, b)))


def _forward(layers: Any, x: Any) -> Any:
    import jax

    for w, b in layers[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = layers[-1]
    return x @ w + b


class Net:
    """Weights, optimizer state, and the functions of a step."""

    def __init__(self, sizes: tuple[int, ...], lr: float) -> None:
        import jax
        import optax

        optimizer = optax.adam(lr)
        self.layers = jax.device_put(nets.weights(sizes))
        self.state = optimizer.init(self.layers)

        def loss(layers: Any, x: Any, y: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(_forward(layers, x), y).mean()

        def step(layers: Any, state: Any, x: Any, y: Any) -> Any:
            value, grads = jax.value_and_grad(loss)(layers, x, y)
            updates, state = optimizer.update(grads, state)
            return optax.apply_updates(layers, updates), state, value

        def epoch(layers: Any, state: Any, xs: Any, ys: Any) -> Any:
            def one(carry: Any, batch: Any) -> Any:
                layers, state, value = step(*carry, *batch)
                return (layers, state), value

            (layers, state), values = jax.lax.scan(one, (layers, state), (xs, ys))
            return layers, state, values

        self.loss = jax.jit(loss)
        self._step = jax.jit(step, donate_argnums=(0, 1))
        self._epoch = jax.jit(epoch, donate_argnums=(0, 1))

    def step(self, x: Any, y: Any) -> Any:
        self.layers, self.state, value = self._step(self.layers, self.state, x, y)
        return value

    def epoch(self, xs: Any, ys: Any) -> Any:
        self.layers, self.state, values = self._epoch(self.layers, self.state, xs, ys)
        return values

    def wait(self) -> None:
        import jax

        jax.block_until_ready(self.layers)


def _arrays(sizes: tuple[int, ...], batch: int) -> list[Any]:
    import jax

    return [(jax.device_put(x), jax.device_put(y.astype(np.int32))) for x, y in nets.training_data(sizes, batch)]


def fit(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """Steps on batches that are JAX's already; the loss is not read, and only the last step is waited for."""
    net, data = Net(sizes, lr), _arrays(sizes, batch)
    following = cycle(data)

    def result() -> list[float]:
        for x, y in data[:CHECKED]:
            net.step(x, y)
        return [float(net.loss(net.layers, x, y)) for x, y in data[:CHECKED]]

    return Job(lambda: net.step(*next(following)), result=result, finish=net.wait)


def scan(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """A call for each epoch, whose batches are stacked beforehand, in the same order each time."""
    import jax.numpy as jnp

    net, data = Net(sizes, lr), _arrays(sizes, batch)
    xs, ys = (jnp.stack(arrays) for arrays in zip(*data, strict=True))

    def train(epochs: int) -> None:
        for _ in range(epochs):
            net.epoch(xs, ys)
        net.wait()

    def result() -> list[float]:
        net.epoch(xs[:CHECKED], ys[:CHECKED])
        return [float(net.loss(net.layers, x, y)) for x, y in data[:CHECKED]]

    return Epochs(train, len(data), result)


def on_batch(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """NumPy arrays in, the loss out."""
    net, data = Net(sizes, lr), nets.training_data(sizes, batch)
    following = cycle(data)

    def result() -> list[float]:
        for x, y in data[:CHECKED]:
            net.step(x, y)
        return [float(net.loss(net.layers, x, y)) for x, y in data[:CHECKED]]

    return Job(lambda: float(net.step(*next(following))), result=result)


def head(features: int, classes: int, rows: int) -> Job:
    """Loss and both gradients as one jitted `value_and_grad`; the gradients of the call before are given back first."""
    import jax
    import optax

    from .numpy import head_result

    x, w, labels = nets.head(features, classes, rows)
    x, w, labels = jax.device_put((x, w, labels.astype(np.int32)))

    def loss(x: Any, w: Any, labels: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(x @ w, labels).mean()

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))

    found: list[Any] = []

    def run() -> None:
        found.clear()
        found.append(jax.block_until_ready(step(x, w, labels)))

    def result() -> list[np.ndarray]:
        run()
        value, (dx, dw) = found[0]
        return head_result(float(value), np.asarray(dx), np.asarray(dw))

    return Job(run, result=result)


def predict(sizes: tuple[int, ...], batch: int) -> Job:
    import jax

    layers = jax.device_put(nets.weights(sizes))
    x = jax.device_put(nets.samples(sizes, batch)[0])
    forward = jax.jit(lambda x: _forward(layers, x))
    return Job(lambda: forward(x).block_until_ready(), result=lambda: np.asarray(forward(x)))
