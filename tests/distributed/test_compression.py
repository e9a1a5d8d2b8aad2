"""Sums over the ranks that are rounded on their way: errors within their bound, equal bits, and training that converges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
from fastnn.distributed.compression import _CODES

pytestmark = ranks.needed
SIZES = (1, 2, 7, 1000, 70001)
ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-11}


def _arrays(rank: int, dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(rank)
    return [(rng.standard_normal(n) * np.exp(rng.uniform(-4, 4, n))).astype(dtype) for n in SIZES]


def _summed(compress: Any) -> list[np.ndarray]:
    comm = fastnn.distributed.init(compress=compress)
    sums = [a for dtype in ("float32", "float64") for a in _arrays(comm.rank, dtype)]
    for _ in range(2):  # the memory of the messages is used again
        for own, a in zip([a for dtype in ("float32", "float64") for a in _arrays(comm.rank, dtype)], sums, strict=True):
            a[...] = own
            comm.sum_gradients(a)
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -1e5, 1e-30], "float32")
    comm.sum_gradients(special)
    return [*sums, special]


def _trained(compress: Any) -> tuple[float, float]:
    """Return first and last loss of a regression, whose gradients the ranks sum by hand."""
    comm = fastnn.distributed.init(compress=compress)
    fastnn.seed(1)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 5)).astype("float32")
    y = np.sin(x @ rng.standard_normal((5, 1))).astype("float32")
    model = fastnn.Sequential([fastnn.Dense(16, "tanh", input_shape=(5,)), fastnn.Dense(1)])
    optimizer = fastnn.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = fastnn.mean(fastnn.square(model(x[comm.rank :: comm.size]) - fastnn.tensor(y[comm.rank :: comm.size]))) / comm.size
        loss.backward()
        comm.sum_gradients(optimizer.segments[0].flat.grads)
        optimizer.step()
        whole = np.array([loss.item()])
        comm.sum(whole)
        losses.append(float(whole[0]))
    weights = comm.all_gather([p.numpy() for p in model.parameters()])
    for other in weights:
        for a, b in zip(other, weights[0], strict=True):
            np.testing.assert_array_equal(a, b)
    return losses[0], losses[-1]


@pytest.mark.parametrize(("compress", "n"), [("bfloat16", 2), ("float16", 3)])
def test_errors_are_within_their_bound(compress: str, n: int) -> None:
    results = ranks.run(n, __file__, "_summed", compress)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    *sums, special = results[0]
    at = 0
    for dtype in ("float32", "float64"):
        for own in zip(*(_arrays(rank, dtype) for rank in range(n)), strict=True):
            exact, size = np.sum(own, axis=0, dtype="float64"), np.sum(np.abs(own), axis=0, dtype="float64")
            limit = 1.001 * ROUNDING[compress] * (size + np.abs(exact) + ROUNDING[compress] * size) + (n + 1) * 2.0**-25
            error = np.abs(sums[at] - exact)
            assert sums[at].dtype == dtype and (error <= limit).all()
            if own[0].size > 1000:
                assert error.max() > 1e-5  # it is rounded
            at += 1
    assert np.isposinf(special[0]) and np.isneginf(special[1]) and np.isnan(special[2]) and special[3] == 0
    assert np.isneginf(special[4]) if compress == "float16" else abs(special[4] / (n * -1e5) - 1) < 0.01


def test_training_converges_as_without_compression() -> None:
    first, last = ranks.run(2, __file__, "_trained", None)[0]
    assert last < 0.02 * first
    for compress in ("bfloat16", "float16"):
        _, rounded = ranks.run(2, __file__, "_trained", compress)[0]
        assert rounded < 1.5 * last + 1e-4


@pytest.mark.parametrize("name", sorted(_CODES))
def test_rounding_is_to_the_nearest(name: str) -> None:
    encode, decode = _CODES[name]
    x = np.random.default_rng(0).standard_normal(10000).astype("float32")
    bits = np.zeros(x.shape, "uint16")
    encode(x, bits)
    y = decode(bits, "float32")
    spacing = 2.0 ** np.floor(np.log2(np.abs(x))) * 2 * ROUNDING[name]
    assert (np.abs(y - x) <= spacing / 2 + 1e-12).all() and not np.array_equal(x, y)
