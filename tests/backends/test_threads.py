"""Tests the thread team: the same bits from any number of threads, and callers side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from cases import TESTS
from cases.case import Case, Values
from cases.check import arrays, copied
from engines import engine, engines

import fastnn
from fastnn.backends import get_isa, isas, load, recording, unavailable, use_isa
from fastnn.backends.spec import KERNELS
from fastnn.replay.recorder import Recorder

pytestmark = pytest.mark.skipif(bool(unavailable("cpp")), reason="no compiled kernels")
ISAS = [name for name, lacking in isas().items() if not lacking]
COUNTS = (1, 2, 3)
PRODUCTS = [(64, 64, 64), (51, 200, 1300), (130, 70, 600), (600, 96, 40), (49, 1024, 128), (1024, 80, 700)]


@pytest.fixture
def all_workers() -> Iterator[None]:
    """Even the smallest call goes to all threads, of the compiled kernels."""
    from fastnn import _core

    threads, share, patience, isa = fastnn.get_num_threads(), _core.share(), _core.patience(), get_isa()
    _core.set_share(1e-6)
    _core.set_patience(1e9)
    with fastnn.use_backend("cpp"):
        yield
    _core.set_share(share)
    _core.set_patience(patience)
    fastnn.set_num_threads(threads)
    use_isa(isa)


def _results(case: Case, dtype: str, made: Values | None = None) -> list[bytes]:
    values = copied(case, made or case.make(dtype))
    load("cpp").table[case.kernel](*values.values())
    return [a.tobytes() for a in arrays(case, values, written=True).values()]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_same_bits_for_any_number_of_threads(all_workers: None, kernel: str, isa: str) -> None:
    use_isa(isa)
    calls = [(case, dtype, case.make(dtype)) for case in TESTS if case.kernel == kernel for dtype in case.dtypes]
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        results.append([_results(*call) for call in calls])
    for threads, result in zip(COUNTS[1:], results[1:], strict=True):
        different = [
            f"{case} {dtype}" for (case, dtype, _), one, many in zip(calls, results[0], result, strict=True) if one != many
        ]
        assert not different, f"{threads} threads give other bits than one: {different[:5]}"


def _numbers(seed: int, shape: tuple[int, int], offset: int) -> np.ndarray:
    """Return random numbers in memory that begins `offset` bytes after a cache line."""
    raw = np.empty(4 * shape[0] * shape[1] + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    a = raw[start : start + 4 * shape[0] * shape[1]].view(np.float32).reshape(shape)
    a[:] = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return a


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kernel", ["matmul_nn", "matmul_tn", "matmul_nt"])
@pytest.mark.parametrize(
    "m, n, k", [(64, 64, 64), (51, 200, 1300), (130, 70, 600), (600, 96, 40), (49, 1024, 128), (1024, 80, 700)]
)
def test_same_products_for_any_caches_and_addresses(all_workers: None, kernel: str, isa: str, m: int, n: int, k: int) -> None:
    use_isa(isa)
    from fastnn import _core

    table, found, results = load("cpp").table, _core.caches(), []
    shapes = ((k, m) if kernel[-2] == "t" else (m, k)), ((n, k) if kernel[-1] == "t" else (k, n))
    try:
        for caches in (found, (1 << 10, 1 << 14), (1 << 30, 1 << 30)):
            _core.set_caches(*caches)
            for threads, offset in ((1, 0), (2, 4), (3, 16)):
                fastnn.set_num_threads(threads)
                a, b, c = _numbers(0, shapes[0], offset), _numbers(1, shapes[1], offset), np.full((m, n), np.nan, np.float32)
                table[kernel](c, a, b, 1.0, 0.0, 0)
                results.append(c)
    finally:
        _core.set_caches(*found)
    a, b = (x.T if t == "t" else x for x, t in zip((a, b), kernel[-2:], strict=True))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert np.abs(results[0] - exact).max() < 1e-5 * k**0.5
    assert all(c.tobytes() == results[0].tobytes() for c in results[1:])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("batch", [1, 2, 5, 40])
def test_frozen_models_give_the_same_bits(all_workers: None, isa: str, batch: int) -> None:
    """Compare one to three threads, which share all layers in one job; a worker that slept joins a later one."""
    use_isa(isa)
    fastnn.seed(0)
    layers = [
        fastnn.Dense(n, activation=f, input_shape=(k,)) for k, n, f in ((33, 300, "relu"), (300, 1100, "tanh"), (1100, 3, None))
    ]
    model = fastnn.Sequential(layers)
    x = np.random.default_rng(0).standard_normal((batch, 33)).astype(np.float32)
    want = model(fastnn.tensor(x), training=False).numpy()
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        f = model.freeze(batch)
        for pause in (0.0, 0.0, 0.01):
            time.sleep(pause)
            np.testing.assert_array_equal(f(x), want)


def test_workers_that_sleep_change_no_bits() -> None:
    """With the usual share and patience, calls after a pause find the workers asleep, and calls in a row wake them."""
    from fastnn import _core

    assert _core.share() > 1 and _core.patience() < 1e6
    model = fastnn.Sequential([fastnn.Dense(700, input_shape=(900,)), fastnn.Dense(700)])
    f, x = model.freeze(1), np.random.default_rng(0).standard_normal((1, 900)).astype(np.float32)
    want = model(fastnn.tensor(x), training=False).numpy()
    for _ in range(5):
        time.sleep(0.01)
        for _ in range(50):
            np.testing.assert_array_equal(f(x), want)


def test_share_is_more_than_nothing() -> None:
    from fastnn import _core

    with pytest.raises(ValueError, match="wanted more than 0"):
        _core.set_share(0.0)
    with pytest.raises(ValueError, match="wanted more than 0"):
        _core.set_patience(0.0)


@pytest.mark.parametrize("batch", [7, 4000])
def test_plans_give_the_same_bits_for_any_number_of_threads(all_workers: None, batch: int) -> None:
    """A recorded training step, three times over."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((batch, 40)).astype(np.float32), rng.integers(0, 10, batch)
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        fastnn.seed(1)
        layers = [fastnn.Dense(15, activation="tanh", input_shape=(40,)), fastnn.Dropout(0.2), fastnn.Dense(10)]
        model = fastnn.Sequential(layers)
        optimizer = fastnn.optim.Adam(model.parameters(), lr=0.01)
        recorder = Recorder(load("cpp"), (x, labels))
        with recording(recorder):
            optimizer.zero_grad()
            loss = fastnn.nn.CrossEntropyLoss()(model(fastnn.tensor(x)), fastnn.tensor(labels))
            loss.backward()
            optimizer.step()
        assert not recorder.void
        plan = load("cpp").plan(recorder.calls)
        plan.run(3)
        results.append([p.numpy().tobytes() for p in model.parameters()])
    assert all(result == results[0] for result in results[1:])


@pytest.mark.parametrize(("isa", "name"), [*((isa, "") for isa in ISAS), *((get_isa(), name) for name in engines())])
def test_training_in_bfloat16_gives_the_same_bits_for_any_number_of_threads(all_workers: None, isa: str, name: str) -> None:
    """Run a hundred steps, of which Python runs the first, on every instruction set and with every engine."""
    use_isa(isa)
    with engine(name):
        _check_training_in_bfloat16()


def _check_training_in_bfloat16() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((1000, 70)).astype(np.float32), rng.integers(0, 10, 1000)
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        fastnn.seed(1)
        layers = [fastnn.Dense(130, activation="relu", input_shape=(70,)), fastnn.Dense(65, activation="tanh")]
        model = fastnn.Sequential([*layers, fastnn.Dense(10, activation="softmax")])
        model.compile(fastnn.optim.Adam(lr=0.01), "sparse_categorical_crossentropy", dtype="bfloat16")
        model.fit(x, labels, batch_size=100, epochs=10, verbose=0)
        results.append([w.tobytes() for w in model.get_weights()])
    assert np.isfinite(model.get_weights()[0]).all()
    assert all(result == results[0] for result in results[1:])


def _stress(cases: list[Case], right: list[list[bytes]], wrong: list[str], rounds: int) -> None:
    for _ in range(rounds):
        for case, result in zip(cases, right, strict=True):
            if _results(case, case.dtypes[0]) != result:
                wrong.append(str(case))


@pytest.mark.parametrize("callers", [2, 4])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_callers_side_by_side(all_workers: None, callers: int, threads: int) -> None:
    """Python threads that call kernels at once get what one alone gets."""
    names = ("dense_forward", "dense_backward", "matmul_nt", "sum_squares", "reduce_forward", "dropout_forward")
    cases = [max((c for c in TESTS if c.kernel == name), key=lambda c: c.bytes(c.dtypes[0])) for name in names]
    fastnn.set_num_threads(1)
    right = [_results(case, case.dtypes[0]) for case in cases]
    fastnn.set_num_threads(threads)
    wrong: list[str] = []
    workers = [threading.Thread(target=_stress, args=(cases, right, wrong, 4)) for _ in range(callers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive(), "a caller hangs"
    assert not wrong, wrong


def test_the_team_may_change_its_size_while_others_call(all_workers: None) -> None:
    case = next(c for c in TESTS if c.kernel == "dense_forward" and c.sizes["M"] == 4000)
    fastnn.set_num_threads(1)
    right = _results(case, "float32")
    wrong: list[str] = []
    worker = threading.Thread(target=_stress, args=([case], [right], wrong, 200))
    worker.start()
    for i in range(200):
        fastnn.set_num_threads(1 + i % 4)
        if _results(case, "float32") != right:
            wrong.append("here")
    worker.join(60)
    assert not worker.is_alive()
    assert not wrong


def test_a_plan_runs_beside_calls(all_workers: None) -> None:
    """Two plans and a kernel at once: whoever finds the team busy computes alone."""
    case = next(c for c in TESTS if c.kernel == "matmul_nn" and c.sizes["M"] == 97)
    fastnn.set_num_threads(3)
    right = _results(case, "float32")
    made = [case.make("float32") for _ in range(2)]
    plans = [load("cpp").plan([(case.kernel, tuple(values.values()))] * 3) for values in made]
    workers = [threading.Thread(target=plan.run, args=(100,)) for plan in plans]
    for worker in workers:
        worker.start()
    assert all(_results(case, "float32") == right for _ in range(50))
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    assert all(values["c"].tobytes() == right[0] for values in made)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("sizes", "batch"), [((400, 15, 10), 4000), ((400, 15, 15, 15, 10), 32), ((64, 200, 200, 10), 100)])
def test_a_hundred_training_steps_give_the_same_bits(all_workers: None, isa: str, sizes: tuple[int, ...], batch: int) -> None:
    """With small layers and a large batch, the sums over the batch are split; the pieces do not depend on the threads."""
    use_isa(isa)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0])).astype(np.float32)
    labels = rng.integers(0, 10, batch)
    results = []
    for threads in COUNTS:
        fastnn.set_num_threads(threads)
        fastnn.seed(0)
        layers = [fastnn.Dense(n, activation="relu", input_shape=(k,)) for k, n in pairwise(sizes[:-1])]
        model = fastnn.Sequential([*layers, fastnn.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, labels, batch_size=batch, epochs=100, verbose=0)
        results.append(b"".join(w.tobytes() for w in model.get_weights()))
    assert len(set(results)) == 1
