"""JAX's convolutional nets, with channels last: jitted steps with donated buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import cnn, images, nets
from .images import EPSILON, MOMENTUM, Block, Conv, Linear, Mean, Norm, Pool, Steps
from .jax_steps import Jobs
from .job import Job


class Images(Jobs):
    """Maker of the jobs of JAX in the convolutional rows."""

    def cnn_train(self, batch: int, precision: str, mode: str) -> Job:
        """Return a job of jitted steps with donated buffers."""
        return self._training(
            lambda w, running, x, training: (_cnn(w, x), running), cnn.weights(), cnn.data(batch), cnn.CHECKED, nets.LR
        )

    def cnn_predict(self, batch: int, precision: str, mode: str) -> Job:
        weights, x = [jnp.asarray(w) for w in cnn.weights()], jax.device_put(cnn.data(batch)[0][0])
        forward = jax.jit(lambda x: jax.nn.softmax(_cnn(weights, x)))
        return self._job(forward, (x,), lambda: [np.asarray(forward(x))])

    def net_train(self, net: str, batch: int, precision: str, mode: str) -> Job:
        """Return a job of jitted steps of a net of images.py; the losses are those by the running averages."""
        steps = images.NETS[net][1]

        def forward(weights: Any, running: Any, x: Any, training: bool) -> tuple[Any, Any]:
            after: list[Any] = []
            return _chain(x, steps, iter(weights), iter(running), after, training), after

        weights = [w.transpose(2, 3, 1, 0) if w.ndim == 4 else w for w in images.weights(net)]
        data = [(images.channels_last(x), y) for x, y in images.data(net, batch)]
        running = [one for channels in _norms(steps) for one in (np.zeros(channels, np.float32), np.ones(channels, np.float32))]
        return self._training(forward, weights, data, images.CHECKED, images.LR[net], running)

    def convolution(self, batch: int, size: int, channels: int, groups: int, precision: str, mode: str) -> Job:
        """Return a job of a layer's output."""
        x, w, b, _ = _layer(batch, size, channels, groups)
        forward = jax.jit(lambda x, w, b: _conv(x, w, 1, groups) + b)
        return self._job(forward, (x, w, b), lambda: [_first(forward(x, w, b))])

    def convolution_gradients(self, batch: int, size: int, channels: int, groups: int, precision: str, mode: str) -> Job:
        """Return a job of a layer's output, and of the gradients of its input, kernel and bias."""
        x, w, b, dy = _layer(batch, size, channels, groups)

        @jax.jit
        def run(x: Any, w: Any, b: Any, dy: Any) -> Any:
            y, back = jax.vjp(lambda x, w, b: _conv(x, w, 1, groups) + b, x, w, b)
            return y, *back(dy)

        def result() -> list[np.ndarray]:
            y, dx, dw, db = run(x, w, b, dy)
            return [_first(y), _first(dx), np.asarray(dw).transpose(3, 2, 0, 1), np.asarray(db)]

        return Job(lambda: jax.block_until_ready(run(x, w, b, dy)), result=result)


def _conv(x: Any, w: Any, stride: int, groups: int) -> Any:
    half = (len(w) // 2,) * 2
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), (half, half), dimension_numbers=dimensions, feature_group_count=groups
    )


def _max(x: Any, size: int, padding: Any) -> Any:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, size, size, 1), (1, 2, 2, 1), padding)


def _cnn(weights: list[Any], x: Any) -> Any:
    """Return the logits of the convolutional net."""
    for w, b in (weights[0:2], weights[2:4]):
        x = _max(jax.nn.relu(_conv(x, w, 1, 1) + b), 2, "VALID")
    x = jax.nn.relu(x.reshape(len(x), -1) @ weights[4] + weights[5])
    return x @ weights[6] + weights[7]


def _norms(steps: Steps) -> Iterator[int]:
    """Yield the channels of each batch norm."""
    for step in steps:
        if isinstance(step, Norm):
            yield step.channels
        elif isinstance(step, Block):
            yield from _norms((*step.main, *step.side))


def _chain(x: Any, steps: Steps, weights: Iterator[Any], running: Iterator[Any], after: list[Any], training: bool) -> Any:
    """Return the output of steps, and append the running averages after this batch to `after`."""
    for step in steps:
        if isinstance(step, Conv):
            x = _conv(x, next(weights), step.stride, step.groups)
        elif isinstance(step, Norm):
            x = _norm(x, next(weights), next(weights), (next(running), next(running)), after, training)
        elif isinstance(step, Pool):
            x = _max(x, 3, ((0, 0), (1, 1), (1, 1), (0, 0)))
        elif isinstance(step, Mean):
            x = x.mean((1, 2))
        elif isinstance(step, Linear):
            x = x @ next(weights).T + next(weights)
        elif isinstance(step, Block):
            main = _chain(x, step.main, weights, running, after, training)
            x = main + _chain(x, step.side, weights, running, after, training)
        else:
            x = jax.nn.relu(x)
    return x


def _norm(x: Any, scale: Any, offset: Any, running: tuple[Any, Any], after: list[Any], training: bool) -> Any:
    mean, variance = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if training else running
    n = x[..., 0].size
    if training:
        of_a_sample = variance * (n / (n - 1))
        after += [old + MOMENTUM * (new - old) for old, new in zip(running, (mean, of_a_sample), strict=True)]
    return (x - mean) * (scale / jnp.sqrt(variance + EPSILON)) + offset


def _layer(batch: int, size: int, channels: int, groups: int) -> tuple[Any, ...]:
    """Return images, the kernel and the bias of a layer, and the gradient of its output."""
    x, w, b, dy = images.convolution(batch, size, channels, groups)
    arrays = images.channels_last(x), w.transpose(2, 3, 1, 0), b, images.channels_last(dy)
    return tuple(map(jax.device_put, arrays))


def _first(x: Any) -> np.ndarray:
    """Return images with their channels first."""
    return np.asarray(x).transpose(0, 3, 1, 2)
