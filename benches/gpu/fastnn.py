"""fastnn: `fit`, and loops and forward passes under `fastnn.capture`; products and Adam by its kernels.

What it is given and gives lies on the device, but for `fit`, which takes NumPy arrays: each call uploads all data anew, and that
is in its figure. Captured functions copy their arguments into the step and the outputs out of it.
"""

from __future__ import annotations

import functools
from itertools import cycle, pairwise
from typing import Any

import numpy as np
from peers.fastnn import bench_training
from peers.nets import head as head_data
from peers.nets import matrices, samples
from peers.numpy import head_result

import fastnn
from fastnn import nn
from fastnn.backends import current
from fastnn.backends.spec import PRECISIONS

from . import nets
from .job import Clock, Epochs, Job, Whole, event_clock, host_clock
from .reference import ADAM_STEPS, ends, rows_of

TOGETHER = 20
"""Products in one graph."""


class Contender:
    """fastnn on a device.

    Args:
        device: "cuda", for the cupy backend; "cpu" is the backend that is in use.
    """

    def __init__(self, device: str) -> None:
        if device == "cuda":
            fastnn.set_backend("cupy")
        self.device, self.backend = device, current()
        self.version = f"fastnn {fastnn.__version__} ({self.backend.name})"

    def clock(self) -> Clock:
        if self.device != "cuda":
            return host_clock(lambda: None)
        from cupy import cuda

        def record() -> Any:
            event = cuda.Event()
            event.record(cuda.Stream.null)
            return event

        return event_clock(record, cuda.Stream.null.synchronize, cuda.get_elapsed_time)

    def free(self) -> None:
        """Gives memory that is in no use back to the device."""
        if self.device == "cuda":
            import cupy

            cupy.get_default_memory_pool().free_all_blocks()

    def matmul(self, shape: tuple[int, int, int], precision: str, mode: str) -> Job:
        """The kernel, called or as a graph of several calls."""
        if precision not in PRECISIONS:
            raise ValueError(f"no products of {precision}; there are: {', '.join(PRECISIONS)}")
        k = self.backend
        a, b = map(k.asarray, matrices(*shape))
        c = k.empty((shape[0], shape[2]), "float32")
        args = (c, a, b, 1.0, 0.0, PRECISIONS.index(precision))
        kernel = k.table["matmul_nn"]
        kernel(*args)
        call = k.plan([("matmul_nn", args)] * TOGETHER).run if mode == "captured" else functools.partial(kernel, *args)

        def result() -> list[np.ndarray]:
            k.write(c, 0)
            call()
            return [k.to_numpy(c)[rows_of(shape[0])]]

        return Job(call, result, steps=TOGETHER if mode == "captured" else 1)

    def train(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        return self._fit(sizes, batch, precision) if mode == "fit" else self._loop(sizes, batch, precision)

    def _fit(self, sizes: tuple[int, ...], batch: int, precision: str) -> Job:
        ends = list(pairwise(sizes))
        layers = [fastnn.Dense(o, activation="relu", input_shape=(i,)) for i, o in ends[:-1]]
        model = fastnn.Sequential([*layers, fastnn.Dense(sizes[-1], activation="softmax", input_shape=(sizes[-2],))])
        model.set_weights([a for layer in nets.weights(sizes) for a in layer])
        optimizer = fastnn.optim.Adam(lr=nets.lr(sizes))
        model.compile(optimizer, "sparse_categorical_crossentropy", dtype=precision)
        data = nets.data(sizes, batch)
        x, y = (np.concatenate(arrays) for arrays in zip(*data, strict=True))
        few = nets.checked(sizes)

        def result() -> list[np.ndarray]:
            model.fit(x[: few * batch], y[: few * batch], batch_size=batch, shuffle=False, verbose=0)
            return [np.array([model.test_on_batch(*one) for one in data[:few]])]

        return Epochs(
            lambda epochs=1: model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0),
            result,
            lambda: setattr(optimizer, "lr", nets.STILL),
            len(data),
        )

    def _loop(self, sizes: tuple[int, ...], batch: int, precision: str) -> Job:
        """The loop written by hand, captured."""
        model = _model(sizes)
        optimizer, loss_of = fastnn.optim.Adam(model.parameters(), lr=nets.lr(sizes)), nn.CrossEntropyLoss()
        data = [(fastnn.tensor(x), fastnn.tensor(y)) for x, y in nets.data(sizes, batch)]
        following = cycle(data)

        @fastnn.capture
        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            with fastnn.autocast(precision):
                loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        def result() -> list[np.ndarray]:
            few = data[: nets.checked(sizes)]
            for x, y in few:
                step(x, y)
            with fastnn.no_grad():
                return [np.array([loss_of(model(x), y).item() for x, y in few])]

        def settle() -> None:
            optimizer.lr = nets.STILL
            step(*next(following))
            if why := step.captured.eager:
                raise RuntimeError(f"the step was not captured: {why}")

        return Job(lambda: step(*next(following)), result, settle)

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        model = _model(sizes)
        x = fastnn.tensor(samples(sizes, batch)[0])

        @fastnn.capture
        def forward(x: Any) -> Any:
            with fastnn.no_grad():
                return model(x)

        def result() -> list[np.ndarray]:
            for _ in range(3):  # the third one replays
                y = forward(x)
            if why := forward.captured.eager:
                raise RuntimeError(f"the forward pass was not captured: {why}")
            return [y.numpy()]

        return Job(lambda: forward(x), result)

    def head(self, features: int, classes: int, rows: int, precision: str, mode: str) -> Job:
        """nn.LinearCrossEntropyLoss."""
        x, w, labels = head_data(features, classes, rows)
        inputs, loss_of, labels = nn.Parameter(x), nn.LinearCrossEntropyLoss(features, classes), fastnn.tensor(labels)
        loss_of.set_weights([w])
        weight = loss_of.weights[0]

        @fastnn.capture
        def run(labels: Any) -> Any:
            inputs.zero_grad()
            loss_of.zero_grad()
            loss = loss_of(inputs, labels)
            loss.backward()
            return loss

        def result() -> list[np.ndarray]:
            for _ in range(3):
                loss = run(labels)
            if why := run.captured.eager:
                raise RuntimeError(f"the step was not captured: {why}")
            return head_result(loss.item(), inputs.grad.numpy(), weight.grad.numpy())

        return Job(lambda: run(labels), result)

    def adam(self, n: int, precision: str, mode: str) -> Job:
        """The kernel, with the count of its steps."""
        k = self.backend
        w, dw = map(k.asarray, nets.flat(n))
        m, v = (k.asarray(np.zeros(n, np.float32)) for _ in range(2))
        hyper, step = k.shared_array([nets.LR, 0.9, 0.999, 1e-8, 0.0, 0.0]), k.shared_array([0], np.int64)

        def run() -> None:
            k.advance(step, 1)
            k.adam_step(w, m, v, dw, hyper, step)

        def result() -> list[np.ndarray]:
            for _ in range(ADAM_STEPS):
                run()
            return ends(k.to_numpy, w, m, v)

        return Job(run, result)

    def copy(self, nbytes: int) -> Job:
        """A copy from device memory to device memory."""
        k = self.backend
        source, target = k.empty(nbytes // 4, "float32"), k.empty(nbytes // 4, "float32")
        k.write(source, 0)
        k.write(target, 1)

        def run() -> None:
            if self.device == "cuda":
                target.data.copy_from_device_async(source.data, source.nbytes, k.xp.cuda.Stream.null)
            else:
                target[...] = source

        def result() -> list[np.ndarray]:
            run()
            return [k.to_numpy(target[-1:])]

        return Job(run, result)

    def digits(self, precision: str, mode: str) -> Job:
        return Whole(bench_training().run_fastnn)


def _model(sizes: tuple[int, ...]) -> Any:
    layers: list[Any] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.set_weights([a for layer in nets.weights(sizes) for a in layer])
    return model
