"""The threads that share the Numba backend's matrix products: the same bits from any number of them, and forks."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.backends import cores, load, unavailable

pytestmark = pytest.mark.skipif(bool(unavailable("numba")), reason="numba is not installed")

SHAPES = ((70, 300, 90), (300, 70, 90), (500, 20, 300), (20, 500, 300), (1, 900, 70), (900, 1, 70), (3, 900, 70))
"""M, N, K: of packed blocks, of factors as they are and of vectors, shared out by rows and by columns."""


@pytest.fixture
def all_share(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Even a small product goes to all threads."""
    from fastnn.backends.numba import gemm

    monkeypatch.setattr(gemm, "_SHARE", 1.0)
    before = fastnn.get_num_threads()
    yield
    fastnn.set_num_threads(before)


def _products(m: int, n: int, k: int) -> list[str]:
    rng, backend = np.random.default_rng(0), load("numba")
    a, b, c = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n), (m, n)))
    results = []
    for name, left, right in (("nn", a, b), ("nt", a, b.T), ("tn", a.T, b)):
        result = c.copy()
        factors = (np.ascontiguousarray(left), np.ascontiguousarray(right))
        getattr(backend, f"matmul_{name}")(result, *factors, 0.5, 2.0, 0)
        np.testing.assert_allclose(result, 0.5 * (a @ b) + 2 * c, rtol=1e-3, atol=1e-3)
        results.append(hashlib.sha256(result).hexdigest())
    return results


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_bits_for_any_number_of_threads(all_share: None, shape: tuple[int, int, int]) -> None:
    results = []
    for threads in (1, 2, 3, 7):
        fastnn.set_num_threads(threads)
        results.append(_products(*shape))
    assert all(other == results[0] for other in results)


def _in_child(queue: Any) -> None:
    queue.put(_products(*SHAPES[0]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own(all_share: None) -> None:
    fastnn.set_num_threads(3)
    here = _products(*SHAPES[0])
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    child.join(60)
    child.kill()
    assert child.exitcode == 0 and queue.get() == here


def test_what_one_thread_raises_the_caller_gets() -> None:
    from fastnn.backends.numba import team

    def fails(i: int) -> None:
        if i == 1:
            raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        team.run(fails, [(0,), (1,)])


def test_what_the_caller_raises_waits_for_the_others() -> None:
    from fastnn.backends.numba import team

    done = []

    def work(i: int) -> None:
        if i == 0:
            raise KeyboardInterrupt
        time.sleep(0.1)
        done.append(i)

    with pytest.raises(KeyboardInterrupt):
        team.run(work, [(0,), (1,), (2,)])
    assert sorted(done) == [1, 2]


def test_the_number_of_threads_without_the_compiled_core(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["fastnn.backends"]
    monkeypatch.setattr(module, "unavailable", lambda name: "not compiled" if name == "cpp" else "")
    monkeypatch.setattr(module, "_threads", 0)
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert fastnn.get_num_threads() == cores()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert fastnn.get_num_threads() == 1
    monkeypatch.setenv("FASTNN_NUM_THREADS", "5")
    assert fastnn.get_num_threads() == 5
    fastnn.set_num_threads(3)
    assert fastnn.get_num_threads() == 3
