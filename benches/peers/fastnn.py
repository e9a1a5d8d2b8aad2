"""fastnn as its users write it: Keras's names, but for the loops written by hand and the kernels called directly.

It always has both threads where a row does not say one. `fit` shuffles and gathers each batch, and its figure is the whole call's,
recording included.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import nets
from .job import Job, Rate


def start(threads: int) -> None:
    """The number of threads comes from FASTNN_NUM_THREADS."""


def _kernel(*shape: int) -> Job:
    from fastnn.backends import load

    a, b = nets.matrices(*shape)
    c = np.empty((shape[0], shape[2]), np.float32)
    kernel, args = load("cpp").table["matmul_nn"], (c, a, b, 1.0, 0.0)
    return Job(kernel, args, result=lambda: (kernel(*args), c)[1])


matmul = _kernel


def peak() -> Job:
    """GFLOP/s of multiply-adds on the registers of one core."""
    from fastnn import _core

    return Rate(_core.peak_gflops, (0,))


def reading(*shape: int) -> Job:
    """GB/s of one core that reads the matrix b."""
    from fastnn import _core

    return Rate(_core.read_gbytes, (nets.matrices(*shape)[1],))


def _model(sizes: tuple[int, ...], lr: float, last: str | None) -> Any:
    import fastnn

    layers = [fastnn.Dense(n, activation="relu") for n in sizes[1:-1]]
    model = fastnn.Sequential([fastnn.Flatten(input_shape=sizes[:1]), *layers] if False else layers)
    model = fastnn.Sequential(
        [
            fastnn.Dense(o, activation=last if i == len(sizes) - 2 else "relu", input_shape=(sizes[i],))
            for i, o in enumerate(sizes[1:])
        ]
    )
    model.set_weights([a for layer in nets.weights(sizes) for a in layer])
    model.compile(fastnn.optim.Adam(lr=lr), "sparse_categorical_crossentropy")
    return model
