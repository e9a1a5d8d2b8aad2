"""fastnn: the jobs use its public API as users do, and call the kernels directly for products and Adam.

On a CPU, fastnn uses all threads unless a row fixes their number. `fit` takes NumPy arrays, shuffles and gathers its batches,
and on a GPU uploads all data in each call; its figure is the time of the whole call. All other jobs on a GPU have their inputs
on the device and leave their outputs there. Captured functions copy their arguments into the step and the outputs out of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from itertools import cycle, pairwise
from typing import Any

import numpy as np

import fastnn
from fastnn import nn
from fastnn.backends import current
from fastnn.backends.spec import PRECISIONS

from . import nets
from .fastnn_images import Images
from .fastnn_sequences import Sequences
from .job import Calls, Clock, Epochs, Job, Rate, Training, event_clock, host_clock
from .reference import ADAM_STEPS, ends, head_result, rows_of

TOGETHER = 20
"""Products in one graph."""


class Contender(Images, Sequences):
    """fastnn: the cupy backend on "cuda", the current backend on "cpu"."""

    def __init__(self, device: str, threads: int) -> None:
        super().__init__(device, threads)
        if device == "cuda":
            fastnn.set_backend("cupy")
        self.backend = current()

    def clock(self) -> Clock:
        if self.device != "cuda":
            return host_clock()
        from cupy import cuda

        def record() -> Any:
            event = cuda.Event()
            event.record(cuda.Stream.null)
            return event

        return event_clock(record, cuda.Stream.null.synchronize, cuda.get_elapsed_time)

    def free(self) -> None:
        if self.device == "cuda":
            import cupy

            cupy.get_default_memory_pool().free_all_blocks()

    def matmul(self, shape: tuple[int, int, int], layout: str, start: int, precision: str, mode: str) -> Job:
        """Return a job that calls the kernel, or replays a graph of several calls."""
        if precision not in PRECISIONS:
            raise ValueError(f"no products of {precision}; the precisions are {', '.join(PRECISIONS)}")
        k = self.backend
        a, b = map(k.asarray, nets.matrices(*shape, layout, start))
        c = k.asarray(nets.placed(np.zeros((shape[0], shape[2])), start))
        args = (c, a, b, 1.0, 0.0, PRECISIONS.index(precision))
        kernel = k.table[f"matmul_{layout}"]
        kernel(*args)

        def result_of(call: Callable[[], Any]) -> list[np.ndarray]:
            k.write(c, 0)
            call()
            return [k.to_numpy(c)[rows_of(shape)]]

        if mode == "captured":
            run = k.plan([(f"matmul_{layout}", args)] * TOGETHER).run
            return Job(run, result=lambda: result_of(run), steps=TOGETHER)
        return Job(kernel, args, lambda: result_of(lambda: kernel(*args)))

    def train(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        how = {"fit": self._fit, "on_batch": self._on_batch}.get(mode)
        return how(sizes, batch, precision) if how else self._loop(sizes, batch, precision, mode)

    def _fit(self, sizes: tuple[int, ...], batch: int, precision: str) -> Job:
        model, data = compiled(sizes, precision), nets.data(sizes, batch)
        x, y = (np.concatenate(arrays) for arrays in zip(*data, strict=True))
        few = nets.checked(sizes)

        def result() -> list[np.ndarray]:
            model.fit(x[: few * batch], y[: few * batch], batch_size=batch, shuffle=False, verbose=0)
            return [np.array([model.test_on_batch(*one) for one in data[:few]])]

        def train(epochs: int) -> None:
            model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)

        return Epochs(train, result=result, settle=lambda: setattr(model.optimizer, "lr", nets.STILL), steps=len(data))

    def _on_batch(self, sizes: tuple[int, ...], batch: int, precision: str) -> Job:
        """Return a job of `train_on_batch`, from NumPy arrays to the loss."""
        model, data = compiled(sizes, precision), nets.data(sizes, batch)
        following = cycle(data)

        def result() -> list[np.ndarray]:
            few = data[: nets.checked(sizes)]
            for x, y in few:
                model.train_on_batch(x, y)
            return [np.array([model.test_on_batch(x, y) for x, y in few])]

        return Job(
            lambda: model.train_on_batch(*next(following)),
            result=result,
            settle=lambda: setattr(model.optimizer, "lr", nets.STILL),
        )

    def _loop(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        """Return a job of the training loop written by hand, eager or captured."""
        model = _modules(sizes)
        optimizer, loss_of = fastnn.optim.Adam(model.parameters(), lr=nets.lr(sizes)), nn.CrossEntropyLoss()
        data = [(fastnn.tensor(x), fastnn.tensor(y)) for x, y in nets.data(sizes, batch)]
        following = cycle(data)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            with nullcontext() if precision == "float32" else fastnn.autocast(precision):
                loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = fastnn.capture(step) if mode == "captured" else step

        def result() -> list[np.ndarray]:
            few = data[: nets.checked(sizes)]
            for x, y in few:
                step(x, y)
            with fastnn.no_grad():
                return [np.array([loss_of(model(x), y).item() for x, y in few])]

        def settle() -> None:
            optimizer.lr = nets.STILL
            if mode == "captured":
                _replayed(step, *next(following))

        return Job(lambda: step(*next(following)), result=result, settle=settle)

    def predict(self, sizes: tuple[int, ...], batch: int, precision: str, mode: str) -> Job:
        """Return a job of predict_on_batch or of a frozen model, from NumPy array to NumPy array, or of a captured function."""
        x = nets.samples(sizes, batch)[0]
        if mode == "captured":
            return self._forward(sizes, fastnn.tensor(x))
        model = _model(sizes, None)
        call = model.freeze(batch_size=batch) if mode == "frozen" else model.predict_on_batch
        return Job(call, (x,), lambda: [call(x)])

    def latency(self, sizes: tuple[int, ...], calls: int, precision: str, mode: str) -> Job:
        return Calls(self.predict(sizes, 1, precision, mode), calls)

    def _forward(self, sizes: tuple[int, ...], x: Any) -> Job:
        model = _modules(sizes)

        @fastnn.capture
        def forward(x: Any) -> Any:
            with fastnn.no_grad():
                return model(x)

        return Job(forward, (x,), lambda: [_replayed(forward, x).numpy()])

    def head(self, features: int, classes: int, rows: int, precision: str, mode: str) -> Job:
        """Return a job of a captured function with nn.LinearCrossEntropyLoss."""
        x, w, labels = nets.head(features, classes, rows)
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
            loss = _replayed(run, labels)
            return head_result(loss.item(), inputs.grad.numpy(), weight.grad.numpy())

        return Job(run, (labels,), result)

    def adam(self, n: int, precision: str, mode: str) -> Job:
        """Return a job of the Adam kernel and of the kernel that counts its steps."""
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

        return Job(run, result=result)

    def digits(self, precision: str, mode: str) -> Job:
        from bench_training import run_fastnn

        return Training(run_fastnn)

    def peak(self, shape: tuple[int, int, int]) -> Job:
        """Return a job that measures the multiply-add peak of one core in registers, in GFLOP/s."""
        from fastnn import _core

        return Rate(_core.peak_gflops, (0,))

    def reading(self, shape: tuple[int, int, int]) -> Job:
        """Return a job that measures the bandwidth of one core that reads the matrix b, in GB/s."""
        from fastnn import _core

        return Rate(_core.read_gbytes, (nets.matrices(*shape)[1],))

    def copy(self, nbytes: int) -> Job:
        """Return a job that measures a copy from device memory to device memory, in TB/s, read and written.

        Raises:
            RuntimeError: nothing was copied.
        """
        k, clock = self.backend, self.clock()
        source, target = k.empty(nbytes // 4, "float32"), k.empty(nbytes // 4, "float32")
        k.write(source, 0)
        k.write(target, 1)

        def copies(n: int) -> int:
            for _ in range(n):
                if self.device == "cuda":
                    target.data.copy_from_device_async(source.data, source.nbytes, k.xp.cuda.Stream.null)
                else:
                    target[...] = source
            return n

        copies(1)
        if k.to_numpy(target[-1:]).any():
            raise RuntimeError("the copy in device memory copied nothing")
        return Rate(lambda: 2e-12 * nbytes / clock(functools.partial(copies, 10)).device)


def compiled(sizes: tuple[int, ...], precision: str) -> Any:
    """Return a model with Adam and cross-entropy."""
    model = _model(sizes, "softmax")
    model.compile(fastnn.optim.Adam(lr=nets.lr(sizes)), "sparse_categorical_crossentropy", dtype=precision)
    return model


def _model(sizes: tuple[int, ...], last: str | None) -> Any:
    activations = ["relu"] * (len(sizes) - 2) + [last]
    layers = [fastnn.Dense(o, a, input_shape=(i,)) for (i, o), a in zip(pairwise(sizes), activations, strict=True)]
    model = fastnn.Sequential(layers)
    model.set_weights([a for layer in nets.weights(sizes) for a in layer])
    return model


def _modules(sizes: tuple[int, ...]) -> Any:
    layers: list[Any] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.set_weights([a for layer in nets.weights(sizes) for a in layer])
    return model


def _replayed(function: Any, *args: Any) -> Any:
    """Return the value of the third call of a captured function, which replays.

    Raises:
        RuntimeError: the function does not replay.
    """
    for _ in range(3):
        value = function(*args)
    if why := function.captured.eager:
        raise RuntimeError(f"the function was not captured: {why}")
    return value
