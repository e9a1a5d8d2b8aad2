"""Mixed precision: what autocast rounds, and what it leaves alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from rounding import DTYPES, PLAIN, SHORT, Array, check, normal, product_of_third, rng, rounded

import fastnn
import fastnn.nn as nn
from fastnn.backends import current, recording
from fastnn.replay.recorder import Recorder

pytestmark = pytest.mark.usefixtures("every_precision")


def gradients(loss: fastnn.Tensor, *leaves: fastnn.Tensor) -> list[Array]:
    for leaf in leaves:
        leaf.zero_grad()
    loss.backward()
    return [leaf.grad.numpy() for leaf in leaves if leaf.grad is not None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("product", [fastnn.matmul, lambda a, b: a @ b], ids=["matmul", "@"])
@pytest.mark.parametrize("backward_inside", [True, False])
def test_products_have_rounded_factors(product: Any, dtype: str, backward_inside: bool) -> None:
    a, b, g = normal(33, 70, dtype=dtype), normal(70, 20, dtype=dtype), normal(33, 20, dtype=dtype)
    ta, tb = fastnn.tensor(a, requires_grad=True), fastnn.tensor(b, requires_grad=True)
    with fastnn.autocast("bfloat16"):
        c = product(ta, tb)
        loss = (c * fastnn.tensor(g)).sum()
        da, db = gradients(loss, ta, tb) if backward_inside else (None, None)
    if not backward_inside:
        da, db = gradients(loss, ta, tb)
    assert c.dtype == dtype and da.dtype == dtype
    check(c, rounded(a) @ rounded(b), a @ b)
    check(da, rounded(g) @ rounded(b).T, g @ b.T)
    check(db, rounded(a).T @ rounded(g), a.T @ g)
    check(product(ta, tb), a @ b)
    plain = (product(ta, tb) * fastnn.tensor(g)).sum()
    with fastnn.autocast("bfloat16"):  # what forward did not round, backward does not either
        da, db = gradients(plain, ta, tb)
    check(da, g @ b.T)
    check(db, a.T @ g)


def test_vectors_and_batches() -> None:
    a, b, v = normal(3, 5, 40), normal(40, 6), normal(40)
    with fastnn.autocast():
        check(fastnn.matmul(a, b), rounded(a) @ rounded(b), a @ b)
        check(fastnn.matmul(a, v), rounded(a) @ rounded(v), a @ v)
        check(fastnn.matmul(v, b), rounded(v) @ rounded(b), v @ b)


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "gelu"])
@pytest.mark.parametrize("kind", [fastnn.Dense, nn.Linear])
def test_layers(kind: Any, activation: Any) -> None:
    if kind is nn.Linear and activation:
        model: Any = nn.Sequential(nn.Linear(50, 30), fastnn.Activation(activation))
    elif kind is nn.Linear:
        model = nn.Linear(50, 30)
    else:
        model = fastnn.Sequential([fastnn.Dense(30, activation=activation, input_shape=(50,))])
    x, g = normal(17, 50), normal(17, 30)
    w, bias = model.get_weights()[0], normal(30)
    model.set_weights([w, bias])
    tx = fastnn.tensor(x, requires_grad=True)
    with fastnn.autocast("bfloat16"):
        y = model(tx)
    dx, dw, db = gradients((y * fastnn.tensor(g)).sum(), tx, *model.parameters())
    matrix = w if w.shape == (50, 30) else w.T
    z = fastnn.tensor((rounded(x) @ rounded(matrix) + bias).astype(np.float32), requires_grad=True)
    want = fastnn.Activation(activation)(z) if activation else z * 1.0
    (dz,) = gradients((want * fastnn.tensor(g)).sum(), z)
    check(y, want.numpy())
    # A factor that lies between two numbers of 8 bits may go to either.
    close = 3e-3
    np.testing.assert_allclose(dx, rounded(dz) @ rounded(matrix).T, atol=close * np.abs(dx).max())
    np.testing.assert_allclose(dw if dw.shape == (50, 30) else dw.T, rounded(x).T @ rounded(dz), atol=close * np.abs(dw).max())
    check(db, dz.sum(0))  # no product: of numbers that are not rounded


@pytest.mark.parametrize("transposed", [False, True], ids=["own weight", "an embedding's"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_head_and_its_loss(monkeypatch: pytest.MonkeyPatch, transposed: bool, bias: bool) -> None:
    monkeypatch.setattr("fastnn.ops.loss.SMALL_BYTES", 1)
    monkeypatch.setattr("fastnn.ops.loss.CHUNK_ROWS", 8)
    x, labels = normal(40, 24), rng.integers(0, 30, 40)
    loss_of = nn.LinearCrossEntropyLoss(24, 30, bias=bias)
    if transposed:
        loss_of.linear.weight = nn.Parameter(normal(30, 24) / 5)
    w = loss_of.linear.weight.numpy().astype(np.float64).T
    b = loss_of.linear.bias.numpy() if bias else np.zeros(30)
    tx = fastnn.tensor(x, requires_grad=True)
    with fastnn.autocast():
        loss = loss_of(tx, labels)
    loss.backward()

    def want(r: Any) -> tuple[Any, ...]:
        z = r(x) @ r(w) + b
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        nll = -np.log(p[np.arange(40), labels]).mean()
        p[np.arange(40), labels] -= 1
        dz = p / 40
        return nll, r(dz) @ r(w).T, r(dz).T @ r(x), dz.sum(0)

    nll, dx, dw, db = want(rounded)
    assert abs(loss.item() - nll) < 1e-5 < 3e-5 < abs(loss.item() - want(np.float64)[0])
    for got, value, other in ((tx.grad, dx, want(np.float64)[1]), (loss_of.linear.weight.grad, dw, want(np.float64)[2])):
        assert got is not None
        error, otherwise = (np.abs(got.numpy() - a).max() / np.abs(value).max() for a in (value, other))
        assert error < 1.5e-3 < otherwise
    if bias:
        check(loss_of.linear.bias.grad, db)


def test_nothing_else_is_rounded() -> None:
    """Compare the calls of a training step with all kinds of operations: only the precision of products differs."""
    x, labels = normal(16, 10), rng.integers(0, 4, 16)

    def calls(dtype: str) -> list[tuple[str, tuple[Any, ...]]]:
        fastnn.seed(1)
        model = nn.Sequential(nn.Linear(10, 12), nn.GELU(), nn.Dropout(0.3), nn.Linear(12, 4))
        optimizer = fastnn.optim.Adam(model.parameters(), lr=0.01)
        scale = fastnn.tensor(normal(12, 12), requires_grad=True)
        recorder = Recorder(current())
        with recording(recorder), fastnn.autocast(dtype):
            h = fastnn.softmax(fastnn.matmul(model[0](fastnn.tensor(x)), scale)) * 3 + fastnn.exp(scale.sum(0))
            nn.CrossEntropyLoss()(model[3](model[2](model[1](h))), fastnn.tensor(labels)).backward()
            optimizer.step()
        return recorder.calls

    products = 0
    for (name, plain), (same, args) in zip(calls("float32"), calls("bfloat16"), strict=True):
        assert name == same
        numbers = [[a for a in of if isinstance(a, int | float)] for of in (plain, args)]
        if name.startswith(("matmul", "dense")):
            products += 1
            assert numbers[0].pop() == 0 and numbers[1].pop() == 1
        assert numbers[0] == numbers[1]
        assert [a.dtype for a in plain if hasattr(a, "dtype")] == [a.dtype for a in args if hasattr(a, "dtype")]
    assert products == 3 + 4  # forward and backward


def test_other_operations_keep_their_bits() -> None:
    x = normal(9, 9)

    def compute() -> list[bytes]:
        t = fastnn.tensor(x, requires_grad=True)
        loss = (fastnn.softmax(t * 1.2345) + fastnn.exp(t).mean() - fastnn.gelu(t) / 3).sum()
        return [loss.numpy().tobytes(), gradients(loss, t)[0].tobytes()]

    with fastnn.autocast():
        inside = compute()
    assert inside == compute()


def test_blocks_may_be_nested_and_used_again() -> None:
    block = fastnn.autocast("bfloat16")
    assert product_of_third() == pytest.approx(PLAIN)
    with block:
        assert product_of_third() == pytest.approx(SHORT)
        with fastnn.autocast("float32"):
            assert product_of_third() == pytest.approx(PLAIN)
            with block, block:
                assert product_of_third() == pytest.approx(SHORT)
            assert product_of_third() == pytest.approx(PLAIN)
        assert product_of_third() == pytest.approx(SHORT)
    assert product_of_third() == pytest.approx(PLAIN)
    with pytest.raises(KeyError), block:
        raise KeyError
    assert product_of_third() == pytest.approx(PLAIN)


def test_each_thread_has_its_own_blocks() -> None:
    block, barrier, found = fastnn.autocast("bfloat16"), threading.Barrier(3, timeout=30), {}

    def work(number: int) -> None:
        seen = [product_of_third()]
        for turn in range(3):  # the threads go in and out in turn, by the same object
            if number == turn:
                block.__enter__()
            barrier.wait()
            seen.append(product_of_third())
            barrier.wait()
        for turn in range(3):
            if number == turn:
                block.__exit__(None, None, None)
            barrier.wait()
            seen.append(product_of_third())
            barrier.wait()
        found[number] = seen

    with fastnn.autocast("bfloat16"), ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    for number, seen in found.items():
        rounds = [False] + [turn >= number for turn in range(3)] + [turn < number for turn in range(3)]
        assert seen == pytest.approx([SHORT if r else PLAIN for r in rounds])


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_pass(dtype: str) -> None:
    a, b = normal(5, 40, dtype=dtype), np.abs(normal(40, 7, dtype=dtype))
    a[0, 3], a[1, 4], a[2, :2], a[3, 39] = np.nan, np.inf, (np.inf, -np.inf), -np.inf
    with fastnn.autocast():
        c = fastnn.matmul(a, b).numpy()
        d = fastnn.matmul(np.asarray([[np.finfo(np.float32).max]], dtype), np.asarray([[1.0]], dtype)).item()
    assert np.isnan(c[0]).all() and (c[1] == np.inf).all() and np.isnan(c[2]).all() and (c[3] == -np.inf).all()
    check(c[4:], rounded(a[4:]) @ rounded(b))
    assert d == np.inf  # nearer to 2^128, which is none of its numbers, than to the greatest of them


def test_captured_functions_have_a_recording_for_each_precision() -> None:
    w = nn.Parameter(normal(30, 8))
    x = normal(12, 30)

    @fastnn.capture
    def step(x: Any) -> Any:
        w.zero_grad()
        y = fastnn.matmul(x, w)
        y.sum().backward()
        return y

    want = {"float32": x @ w.numpy(), "bfloat16": rounded(x) @ rounded(w.numpy())}
    for i in range(12):
        dtype = ("float32", "bfloat16")[i % 2]
        with fastnn.autocast(dtype):
            check(step(fastnn.tensor(x)), want[dtype], want["float32" if i % 2 else "bfloat16"])
        assert w.grad is not None
        check(w.grad, (rounded(x) if i % 2 else x).sum(0)[:, None] * np.ones((1, 8)))
    assert step.captured.eager == "" and len(step.captured._steps) == 2  # type: ignore[attr-defined]


def test_blocks_inside_of_captured_functions() -> None:
    w, x = nn.Parameter(normal(30, 8)), normal(12, 30)

    @fastnn.capture
    def both(x: Any) -> Any:
        with fastnn.autocast():
            y = fastnn.matmul(x, w).detach()
        return y, fastnn.matmul(x, w).detach()

    for _ in range(4):
        short, plain = both(fastnn.tensor(x))
        check(short, rounded(x) @ rounded(w.numpy()), x @ w.numpy())
        check(plain, x @ w.numpy())
    assert both.captured._steps  # type: ignore[attr-defined]


def test_factors_of_tf32_have_11_bits() -> None:
    """To the nearest, ties away from zero; NaN and infinity pass."""
    values = {
        1 + 2**-10: 1 + 2**-10,
        1 + 2**-11: 1 + 2**-10,
        -1 - 2**-11: -1 - 2**-10,
        1 + 2**-12: 1.0,
        3e38: 3e38,
        np.inf: np.inf,
    }
    with fastnn.use_backend("numpy"), fastnn.autocast("tf32"):
        for dtype in DTYPES:
            for value, want in values.items():
                got = fastnn.matmul(np.asarray([[value]], dtype), np.asarray([[1.0]], dtype)).item()
                assert got == pytest.approx(want, rel=2**-11 if abs(value) > 2 else 0)
            assert np.isnan(fastnn.matmul(np.asarray([[np.nan]], dtype), np.asarray([[1.0]], dtype)).item())
        a, b = normal(20, 30), normal(30, 10)
        check(fastnn.matmul(a, b), rounded(a, 11) @ rounded(b, 11), rounded(a) @ rounded(b))
        assert np.abs(fastnn.matmul(a, b).numpy() - a @ b).max() > 1e-4
