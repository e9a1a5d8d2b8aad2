"""Batch normalization over the rows of several ranks: threads stand for the ranks, and one layer with all rows for the truth."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
from fastnn.distributed.comm import Comm
from fastnn.distributed.normalization import synchronize

rng = np.random.default_rng(0)
X, DY = rng.standard_normal((2, 7, 3, 4, 4))
X += [[[1.0]], [[5.0]], [[-2.0]]]


class Threads(Comm):
    """Ranks that are threads of this process."""

    def __init__(self, rank: int, parts: list[Any], barrier: threading.Barrier) -> None:
        super().__init__(sync_batch_norm=True)
        self.rank, self.size, self._parts, self._barrier = rank, len(parts), parts, barrier

    def sum(self, array: Any) -> None:
        self._parts[self.rank] = array.copy()
        self._barrier.wait(20)
        total = np.sum(self._parts, axis=0)
        self._barrier.wait(20)
        array[...] = total


def on_ranks(n: int, fn: Callable[[Comm], Any]) -> list[Any]:
    parts, barrier, results = [None] * n, threading.Barrier(n), [None] * n
    errors: list[BaseException] = []

    def go(rank: int) -> None:
        try:
            results[rank] = fn(Threads(rank, parts, barrier))
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=go, args=(rank,)) for rank in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


def keras(dtype: str) -> Any:
    return fastnn.BatchNormalization(axis=1, input_shape=X.shape[1:], dtype=dtype)


def torch(dtype: str) -> Any:
    return fastnn.nn.BatchNorm2d(X.shape[1], dtype=dtype)


def run(layer: Any, x: np.ndarray, dy: np.ndarray, calls: int = 1) -> tuple[Any, ...]:
    """Return output, gradients and averages of a layer after a step; further calls are earlier uses in the same step."""
    for i, p in enumerate(layer.parameters()):
        p.data[...] = [1.0 + i, 2.0, 0.5]
    layer.train()
    t = fastnn.tensor(x, requires_grad=True)
    ys = [layer(t * (i + 1.0)) for i in range(calls)]
    sum((fastnn.sum(y * fastnn.tensor(dy)) for y in ys[1:]), fastnn.sum(ys[0] * fastnn.tensor(dy))).backward()
    return ys[0].numpy(), t.grad.numpy(), [p.grad.numpy() for p in layer.parameters()], [b.numpy() for b in layer.buffers()]


@pytest.mark.parametrize("make", [keras, torch])
@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-12), ("float32", 2e-5)])
@pytest.mark.parametrize(("n", "calls"), [(2, 1), (3, 2), (9, 1)])  # with 9 ranks, two have no rows
def test_ranks_together_do_what_one_layer_does_with_all_rows(make: Any, dtype: str, error: float, n: int, calls: int) -> None:
    x, dy = X.astype(dtype), DY.astype(dtype)
    y, dx, scales, averages = run(make(dtype), x, dy, calls)

    def part(comm: Comm) -> Any:
        layer = make(dtype)
        synchronize(layer, comm)
        return run(layer, x[comm.rank :: n], dy[comm.rank :: n], calls)

    got = on_ranks(n, part)
    for rank, (own_y, own_dx, _, own_averages) in enumerate(got):
        np.testing.assert_allclose(own_y, y[rank::n], error, error)
        np.testing.assert_allclose(own_dx, dx[rank::n], error, error)
        for a, b, first in zip(own_averages, averages, got[0][3], strict=True):
            np.testing.assert_allclose(a, b, error, error)
            np.testing.assert_array_equal(a, first)
    for i, want in enumerate(scales):
        np.testing.assert_allclose(sum(g[2][i] for g in got), want, error, 10 * error)


def test_steps_without_training_send_nothing() -> None:
    layer, alone = keras("float32"), keras("float32")
    x = X.astype("float32")

    class Silent(Comm):
        size = 2

        def sum(self, array: Any) -> None:
            raise AssertionError("a message")

    synchronize(layer, Silent())
    np.testing.assert_array_equal(layer(x, training=False).numpy(), alone(x, training=False).numpy())
    with pytest.raises(AssertionError, match="a message"):
        layer(x, training=True)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # copies are for one process
        other(x, training=True)
    synchronize(layer, None)
    layer(x, training=True)
    synchronize(layer, Comm())
    layer(x, training=True)


def test_steps_of_capture_send_their_messages() -> None:
    def train(comm: Comm | None) -> Any:
        layer = torch("float64")
        synchronize(layer, comm)
        layer.train()
        w = fastnn.nn.Parameter(np.ones((3, 1, 1)))
        optimizer = fastnn.optim.SGD([w], lr=0.1)
        rank, n = (0, 1) if comm is None else (comm.rank, comm.size)

        @fastnn.capture
        def gradient(x: Any, dy: Any) -> Any:
            optimizer.zero_grad()
            y = layer(x * w)
            fastnn.sum(y * y * dy).backward()
            return y

        for step in range(12):
            y = gradient(fastnn.tensor(X[rank::n] + step), fastnn.tensor(DY[rank::n]))
        return y.numpy(), w.grad.numpy(), [b.numpy() for b in layer.buffers()]

    y, dw, averages = train(None)
    got = on_ranks(2, train)
    np.testing.assert_allclose(got[0][1] + got[1][1], dw, 1e-10, 1e-10)
    for rank in range(2):
        np.testing.assert_allclose(got[rank][0], y[rank::2], 1e-10, 1e-10)
        for a, b in zip(got[rank][2], averages, strict=True):
            np.testing.assert_allclose(a, b, 1e-10, 1e-10)


def _fitted(n: int, batch_size: int) -> tuple[list[float], list[Any]]:
    comm = fastnn.distributed.init(sync_batch_norm=True)
    fastnn.seed(3)
    data = np.random.default_rng(0)
    x, y = data.standard_normal((n, 6, 6, 2)), data.integers(0, 3, n)
    layers = [fastnn.Conv2D(4, 3, input_shape=(6, 6, 2)), fastnn.BatchNormalization(), fastnn.Flatten(), fastnn.Dense(3)]
    model = fastnn.Sequential(layers).double()
    model.compile("adam", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), distribute=comm)
    return model.fit(x, y, batch_size=batch_size, epochs=5, verbose=0).history["loss"], model.get_weights()


@ranks.needed
def test_fit_is_that_of_one_process() -> None:
    ((one, weights),) = ranks.run(1, __file__, "_fitted", 45, 8)
    for losses, own in ranks.run(2, __file__, "_fitted", 45, 8):
        np.testing.assert_allclose(losses, one, 1e-9)
        for a, b in zip(own, weights, strict=True):
            np.testing.assert_allclose(a, b, 1e-7, 1e-9)


@ranks.needed
def test_a_batch_without_rows_for_each_rank_is_refused() -> None:
    with pytest.raises(ranks.RankError, match="the last batch has 1 rows for 2 ranks"):
        ranks.run(2, __file__, "_fitted", 41, 8)
