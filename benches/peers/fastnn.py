"""fastnn as its users write it; the kernels themselves for matrix products.

It always has both threads where a row does not say one. `fit` shuffles and gathers its batches, and its figure is that of the
whole call, what it does before the first step included.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from . import nets
from .job import Digits, Epochs, Job, Rate
from .numpy import CHECKED


def start(threads: int) -> None:
    """The number of threads comes from FASTNN_NUM_THREADS."""


def matmul(*shape: int) -> Job:
    from fastnn.backends import load

    a, b = nets.matrices(*shape)
    c = np.empty((shape[0], shape[2]), np.float32)
    kernel, args = load("cpp").table["matmul_nn"], (c, a, b, 1.0, 0.0, 0)
    return Job(kernel, args, result=lambda: (kernel(*args), c)[1])


def peak(*shape: int) -> Job:
    """GFLOP/s of multiply-adds in the registers of one core."""
    from fastnn import _core

    return Rate(_core.peak_gflops, (0,))


def reading(*shape: int) -> Job:
    """GB/s of one core that reads the matrix b."""
    from fastnn import _core

    return Rate(_core.read_gbytes, (nets.matrices(*shape)[1],))


def _model(sizes: tuple[int, ...], last: str | None) -> Any:
    import fastnn

    ends = list(pairwise(sizes))
    layers = [fastnn.Dense(o, activation="relu", input_shape=(i,)) for i, o in ends[:-1]]
    model = fastnn.Sequential([*layers, fastnn.Dense(ends[-1][1], activation=last, input_shape=(ends[-1][0],))])
    model.set_weights([a for layer in nets.weights(sizes) for a in layer])
    return model


def trained(sizes: tuple[int, ...], lr: float, dtype: str = "float32") -> Any:
    import fastnn

    model = _model(sizes, "softmax")
    model.compile(fastnn.optim.Adam(lr=lr), "sparse_categorical_crossentropy", dtype=dtype)
    return model


def fit(sizes: tuple[int, ...], batch: int, lr: float, dtype: str = "float32") -> Job:
    model = trained(sizes, lr, dtype)
    x, y = nets.samples(sizes, batch * nets.batches(sizes))

    def result() -> list[float]:
        few = nets.training_data(sizes, batch, CHECKED)
        model.fit(np.concatenate([x for x, _ in few]), np.concatenate([y for _, y in few]), batch, shuffle=False, verbose=0)
        return [model.test_on_batch(*one) for one in few]

    return Epochs(lambda epochs: model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0), nets.batches(sizes), result)


def fit_bfloat16(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    return fit(sizes, batch, lr, "bfloat16")


def on_batch(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """train_on_batch: NumPy arrays in, the loss out."""
    model, data = trained(sizes, lr), nets.training_data(sizes, batch)
    following = cycle(data)

    def result() -> list[float]:
        for x, y in data[:CHECKED]:
            model.train_on_batch(x, y)
        return [model.test_on_batch(x, y) for x, y in data[:CHECKED]]

    return Job(lambda: model.train_on_batch(*next(following)), result=result)


def predict(sizes: tuple[int, ...], batch: int) -> Job:
    """predict_on_batch: a NumPy array in, another out."""
    model, x = _model(sizes, None), nets.samples(sizes, batch)[0]
    return Job(model.predict_on_batch, (x,), result=lambda: model.predict_on_batch(x))


def frozen(sizes: tuple[int, ...], batch: int) -> Job:
    """A frozen model: a NumPy array in, another out."""
    call, x = _model(sizes, None).freeze(batch_size=batch), nets.samples(sizes, batch)[0]
    return Job(call, (x,), result=lambda: call(x))


def _loop(sizes: tuple[int, ...], batch: int, lr: float, wrap: Callable[..., Any]) -> Job:
    import fastnn
    from fastnn import nn

    layers: list[Any] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.set_weights([a for layer in nets.weights(sizes) for a in layer])
    optimizer, loss_of = fastnn.optim.Adam(model.parameters(), lr=lr), nn.CrossEntropyLoss()
    data = [(fastnn.tensor(x), fastnn.tensor(y)) for x, y in nets.training_data(sizes, batch)]
    following = cycle(data)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step = wrap(step)

    def result() -> list[float]:
        for x, y in data[:CHECKED]:
            step(x, y)
        with fastnn.no_grad():
            return [loss_of(model(x), y).item() for x, y in data[:CHECKED]]

    return Job(lambda: step(*next(following)), result=result)


def loop(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """The loop written by hand in PyTorch's words."""
    return _loop(sizes, batch, lr, lambda step: step)


def captured(sizes: tuple[int, ...], batch: int, lr: float) -> Job:
    """The same under `fastnn.capture`."""
    from fastnn import capture

    return _loop(sizes, batch, lr, capture)


def head(features: int, classes: int, rows: int) -> Job:
    """nn.LinearCrossEntropyLoss, captured."""
    import fastnn
    from fastnn import nn

    from .numpy import head_result

    x, w, labels = nets.head(features, classes, rows)
    inputs, loss_of = nn.Parameter(x), nn.LinearCrossEntropyLoss(features, classes)
    loss_of.set_weights([w])
    weight = loss_of.weights[0]

    @fastnn.capture
    def run(labels: Any) -> Any:
        inputs.zero_grad()
        loss_of.zero_grad()
        loss = loss_of(inputs, labels)
        loss.backward()
        return loss

    return Job(run, (labels,), result=lambda: head_result(run(labels).item(), inputs.grad.numpy(), weight.grad.numpy()))


def bench_training() -> Any:
    """benches/bench_training.py as a module."""
    spec = importlib.util.spec_from_file_location("bench_training", Path(__file__).parents[1] / "bench_training.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digits() -> Job:
    return Digits(bench_training().run_fastnn)
