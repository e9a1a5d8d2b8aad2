"""The Numba backend in use: it trains what the others train, with the same masks, in several threads, and in forked processes."""

from __future__ import annotations

import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

import fastnn
from fastnn.backends import load, unavailable
from fastnn.backends.numba.pointwise_loss import CHOOSING, SLOPES, VALUES
from fastnn.backends.spec import POINTWISE_LOSS_IDS, pointwise_loss

rng = np.random.default_rng(0)
OTHERS = ["numpy", *(() if unavailable("cpp") else ("cpp",))]
ABSENT = np.empty(0)


def trained(backend: str) -> fastnn.Sequential:
    """A network of digits after two epochs on that backend, with dropout and a penalty on the way."""
    (x, y), _ = fastnn.datasets.digits(as_float=True)
    with fastnn.use_backend(backend):
        fastnn.seed(0)
        layers = [
            fastnn.Dense(15, activation="relu", input_shape=(400,), kernel_regularizer="l2"),
            fastnn.Dropout(0.25),
            fastnn.Dense(15, activation="tanh"),
            fastnn.Dense(10, activation="softmax"),
        ]
        model = fastnn.Sequential(layers)
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x[:1000], y[:1000], epochs=2, batch_size=32, verbose=0)
        return model


@pytest.mark.parametrize("other", OTHERS)
def test_training_agrees_to_rounding(other: str) -> None:
    ours, theirs = trained("numba"), trained(other)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for name, values in theirs.history.history.items():
        np.testing.assert_allclose(ours.history.history[name], values, rtol=1e-4, err_msg=name)
    assert theirs.history.history["loss"][1] < theirs.history.history["loss"][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", ["dropout", "alpha_dropout"])
@pytest.mark.parametrize("other", OTHERS)
def test_masks_are_equal_bit_for_bit(other: str, kernel: str, dtype: str) -> None:
    x, rate = rng.uniform(1, 2, (37, 129)).astype(dtype), np.array([0.3])
    results = []
    for backend in (load("numba"), load(other)):
        y, dx, aux, state = np.empty_like(x), np.empty_like(x), np.zeros(2, np.uint64), np.array([7, (1 << 32) - 32], np.uint64)
        getattr(backend, f"{kernel}_forward")(y, aux, state, x, rate)
        getattr(backend, f"{kernel}_backward")(dx, np.ones_like(x), aux, rate)
        results.append((y if kernel == "dropout" else y > 0, dx, aux, state))
    for ours, theirs in zip(*results, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert 0.2 < (results[0][1] == 0).mean() < 0.4


def test_every_loss_has_a_value_and_a_slope() -> None:
    assert set(VALUES) == set(SLOPES) == set(POINTWISE_LOSS_IDS) > CHOOSING


@pytest.mark.parametrize("n", [1, 7, 100])
def test_losses_of_rows_do_not_depend_on_their_neighbours(n: int) -> None:
    """Rows of any length are computed in blocks: more rows than a block has give what each gives by itself."""
    k, fn, m = load("numba"), pointwise_loss("sigmoid_cross_entropy"), 5000
    x, t = (rng.uniform(0, 1, (m, n)).astype(np.float32) for _ in range(2))
    losses, dx = np.empty(m, np.float32), np.empty_like(x)
    k.pointwise_loss_forward(losses, x, t, ABSENT, ABSENT, fn)
    k.pointwise_loss_backward(dx, np.ones(m, np.float32), x, t, ABSENT, ABSENT, fn)
    for row in (0, 1, m // 2, m - 1):
        at = slice(row, row + 1)
        one, d = np.empty(1, np.float32), np.empty((1, n), np.float32)
        k.pointwise_loss_forward(one, x[at], t[at], ABSENT, ABSENT, fn)
        k.pointwise_loss_backward(d, np.ones(1, np.float32), x[at], t[at], ABSENT, ABSENT, fn)
        np.testing.assert_allclose(one, losses[at], rtol=1e-6)
        np.testing.assert_allclose(d, dx[at], rtol=1e-6, atol=1e-9)


def step() -> list[bytes]:
    """What a few kernels with buffers of their own, sums and exponentials write."""
    k, source = load("numba"), np.random.default_rng(1)
    x, t = (source.standard_normal((300, 33)).astype(np.float32) for _ in range(2))
    y, losses, weights = np.empty_like(x), np.empty(300, np.float32), np.empty(300, np.float32)
    total, aux, state = np.zeros(2), np.zeros(2, np.uint64), np.array([1, 2], np.uint64)
    written = []
    k.dropout_forward(y, aux, state, x, np.array([0.5]))
    written += [y.tobytes(), state.tobytes()]
    k.sparse_cross_entropy_forward(losses, weights, y, x, np.arange(300) % 33, ABSENT, ABSENT, 0.1, -1)
    written += [losses.tobytes(), y.tobytes()]
    k.pointwise_loss_forward(losses, x, t, ABSENT, ABSENT, pointwise_loss("log_cosh"))
    k.error_metric(total, x, t, ABSENT, 2)
    return [*written, losses.tobytes(), total.tobytes()]


def test_threads_side_by_side_get_the_same_bits() -> None:
    right, barrier, results = step(), threading.Barrier(4), []

    def work() -> None:
        barrier.wait()
        for _ in range(50):
            results.append(step())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 200 and all(result == right for result in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes_the_same() -> None:
    right = pickle.dumps(step())
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(into, b"1" if pickle.dumps(step()) == right else b"0")
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        assert pipe.read() == b"1"
    os.waitpid(child, 0)


def test_a_model_of_this_backend_can_be_pickled() -> None:
    model, x = trained("numba"), rng.standard_normal((5, 400)).astype(np.float32)
    again: Any = pickle.loads(pickle.dumps(model))
    with fastnn.use_backend("numba"):
        assert again.predict(x, verbose=0).tobytes() == model.predict(x, verbose=0).tobytes()
