"""Frozen models that serve batches of any size."""

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from frozen_models import HOSTS, Cell, changed, values

import fastnn
import fastnn.nn as nn


@pytest.fixture(params=HOSTS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


class Centered(nn.Module):
    """Reduces over the batch: rows that were padded would show."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        y = self.layer(x)
        return {"y": y - y.mean(axis=0, keepdims=True), "most": y.max(axis=0)}


def test_batches_of_any_size(backend: str) -> None:
    model = Centered()
    f = model.freeze(None, 3)
    assert repr(f) == "FrozenModel(x: float32 (None, 3) -> y: float32 (None, 2), most: float32 (2,))"
    assert f.batch_size is None
    for g in (f, copy.copy(f), pickle.loads(pickle.dumps(f))):
        for rows in (1, 5, 2, 33, 5, 1):
            x = values(rows, 3)
            want = model.freeze(rows, 3)(x)
            for got in (g(x), g(x.astype("f8")), g(x.tolist())):
                np.testing.assert_array_equal(got["y"], want["y"])
                np.testing.assert_array_equal(got["most"], want["most"])
            out = {name: np.empty_like(a) for name, a in want.items()}
            assert g(x, out=out) is out
            np.testing.assert_array_equal(out["y"], want["y"])
    single = values(3)
    assert f(single)["y"].shape == (2,)
    np.testing.assert_array_equal(f(single)["y"], f(single[None])["y"][0])


def test_new_weights_reach_all_sizes(backend: str) -> None:
    model = Centered()
    f = model.freeze(batch_size=None, input_shape=3)
    xs = [values(rows, 3) for rows in (1, 4, 7)]
    for x in xs[:2]:
        f(x)
    f.update(changed(model))
    for x in xs:
        np.testing.assert_array_equal(f(x)["y"], model.freeze(len(x), 3)(x)["y"])


def test_only_the_last_sizes_are_kept() -> None:
    from fastnn.replay.frozen_batches import MOST_SIZES

    f = nn.Linear(3, 2).freeze(None)
    for rows in [*range(1, MOST_SIZES + 9), 1, 2]:
        assert f(values(rows, 3)).shape == (rows, 2)
    assert len(f._sizes) == MOST_SIZES and len(f._by_shape) <= MOST_SIZES + 1


def test_a_bound_and_other_shapes() -> None:
    f = nn.Linear(3, 2).freeze(batch_size=None, max_batch_size=4)
    assert f(values(4, 3)).shape == (4, 2)
    with pytest.raises(ValueError, match=r"got 5 samples.*max_batch_size=4"):
        f(values(5, 3))
    with pytest.raises(ValueError, match=r"x has shape \(4, 2\), but it was frozen for \(n, 3\)"):
        f(values(4, 2))
    both = Cell().freeze(None, input_shape=[(3,), (4,)])
    assert [y.shape for y in both(values(5, 3), values(5, 4))] == [(5, 4), (5, 4)]
    with pytest.raises(ValueError, match=r"h has shape \(2, 4\), wanted \(5, 4\), float32, with as many samples as x"):
        both(values(5, 3), values(2, 4))
    for call in (lambda: f(), lambda: f(values(4, 3), values(4, 3))):
        with pytest.raises(TypeError, match=r"got . arguments"):
            call()
    with pytest.raises(ValueError, match="max_batch_size needs batch_size=None"):
        nn.Linear(3, 2).freeze(4, max_batch_size=4)
    with pytest.raises(ValueError, match="max_batch_size"):
        nn.Linear(3, 2).freeze(None, max_batch_size=0)


def test_what_cannot_be_frozen_is_found_at_once() -> None:
    class Reads(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * x.sum().item()

    with pytest.raises(RuntimeError, match="cannot be frozen"):
        Reads().freeze(None, 3)


def test_random_numbers_go_on_over_sizes(backend: str) -> None:
    class Noise(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + fastnn.randn_like(x)

    def calls() -> list[Any]:
        f = Noise().freeze(None, 1, seed=3)
        return [f(np.zeros((rows, 1), "f4")) for rows in (1, 4, 1, 4)]

    got = calls()
    assert len({float(a[0, 0]) for a in got}) == 4
    for a, b in zip(got, calls(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sizes_are_recorded_from_any_thread_as_they_were_frozen() -> None:
    """Whatever block the thread is in: another backend, training, a step that is recorded."""
    model = fastnn.Sequential([nn.Linear(3, 2), nn.Dropout(0.5)])
    f = model.freeze(None)
    want = model.predict(x := values(6, 3))
    with fastnn.use_backend("numpy"):
        np.testing.assert_array_equal(f(x), want)
    with ThreadPoolExecutor(4) as pool:
        for rows, y in zip((3, 4) * 8, pool.map(lambda rows: f(x[:rows]), (3, 4) * 8), strict=True):
            np.testing.assert_array_equal(y, model.predict(x[:rows]))
