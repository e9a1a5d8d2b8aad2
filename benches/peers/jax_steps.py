"""Make jobs of JAX's calls and training steps, with cross-entropy and Adam."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import job, nets
from .job import Job


def cross_entropy(logits: Any, labels: Any) -> Any:
    chosen = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - chosen)


def adam(w: Any, m: Any, v: Any, g: Any, t: Any, lr: Any) -> tuple[Any, Any, Any]:
    """Return weights and moments after step t; steps count from 1."""
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    return w - lr / (1 - 0.9**t) * m / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), m, v


class Jobs(job.Contender):
    """Maker of jobs of jitted functions."""

    def __init__(self, device: str, threads: int) -> None:
        super().__init__(device, threads)
        self.last: Any = None  # the result of the call that was started last

    def _job(self, function: Any, args: tuple[Any, ...], result: Any) -> Job:
        """Return a job that calls a function which returns an array. On a CPU, each call waits for the array, as a user would do;
        on a GPU, the clock waits for the last array."""
        if self.device == "cpu":
            return Job(lambda: function(*args).block_until_ready(), result=result)
        return Job(lambda: setattr(self, "last", function(*args)), result=result)

    def _training(
        self,
        forward: Callable[[Any, Any, Any, bool], tuple[Any, Any]],
        weights: list[np.ndarray],
        data: list[tuple[np.ndarray, np.ndarray]],
        checked: int,
        lr: float,
        running: list[np.ndarray] | tuple[()] = (),
    ) -> Job:
        """Return a job of training steps.

        Args:
            forward: takes weights, running averages, images, and whether it is training; returns logits and running averages.
            weights: the weights before the first step.
            data: images and labels.
            checked: number of steps before the losses that are compared.
            lr: learning rate of these steps.
            running: the running averages before the first step.
        """
        start = [jnp.array(w) for w in weights]
        state = [
            start,
            *([jnp.zeros_like(w) for w in start] for _ in range(2)),
            jnp.zeros(()),
            [jnp.array(one) for one in running],
        ]
        rate = [lr]
        batches = [(jax.device_put(x), jax.device_put(y.astype(np.int32))) for x, y in data]
        following = cycle(batches)

        def loss(weights: Any, running: Any, x: Any, y: Any, training: bool) -> Any:
            logits, running = forward(weights, running, x, training)
            return cross_entropy(logits, y), running

        def update(weights: Any, m: Any, v: Any, t: Any, running: Any, lr: Any, x: Any, y: Any) -> Any:
            gradients, running = jax.grad(loss, has_aux=True)(weights, running, x, y, True)
            made = [adam(*of, t + 1, lr) for of in zip(weights, m, v, gradients, strict=True)]
            return (*(list(part) for part in zip(*made, strict=True)), t + 1, running)

        step = jax.jit(update, donate_argnums=(0, 1, 2, 3, 4))
        value = jax.jit(lambda weights, running, x, y: loss(weights, running, x, y, False)[0])

        def run(x: Any, y: Any) -> None:
            state[:] = self.last = step(*state, rate[0], x, y)
            if self.device == "cpu":
                jax.block_until_ready(state)

        def result() -> list[np.ndarray]:
            few = batches[:checked]
            for x, y in few:
                run(x, y)
            return [np.array([float(value(state[0], state[4], x, y)) for x, y in few])]

        return Job(lambda: run(*next(following)), result=result, settle=lambda: rate.__setitem__(0, nets.STILL))
