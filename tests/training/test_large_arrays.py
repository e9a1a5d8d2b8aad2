"""Memory maps, and arrays so large that a cast of the whole is too much."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.training.data import large

N = 20_000
WIDE = 64
RNG = np.random.default_rng(0)


def net(n: int = WIDE) -> Any:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(2, input_shape=(n,))])
    model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    return model


def mapped(path: Path, a: Any) -> Any:
    np.save(path, a)
    return np.load(path, mmap_mode="r")


def used(f: Callable[[], Any]) -> int:
    """The most memory that Python and NumPy took at a time."""
    f()  # what is made once
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_memory_maps_are_never_copied_whole(dtype: str, tmp_path: Path) -> None:
    x = mapped(tmp_path / "x.npy", RNG.integers(0, 3, (N, WIDE)).astype(dtype))
    y = RNG.integers(0, 2, N)
    model = net()
    settings: dict[str, Any] = {"batch_size": 1000, "verbose": 0}
    for f in (
        lambda: model.fit(x, y, **settings),
        lambda: model.fit(x, y, shuffle=False, validation_data=(x, y), validation_batch_size=500, **settings),
        lambda: model.fit(x, y, validation_split=0.5, validation_batch_size=500, **settings),
        lambda: model.evaluate(x, y, batch_size=500),
        lambda: model.predict(x, batch_size=500),
    ):
        assert used(f) < 3_000_000 < x.size * 4 > 5_000_000


def test_a_cast_by_batches_trains_as_one_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits: of the features, of targets, of several inputs, with weights and a part held back."""
    x = RNG.integers(0, 255, (90, 5)).astype(np.uint8)
    x[:, 0] = 254  # in every batch
    y, w = RNG.integers(0, 2, 90).astype(np.int32), np.linspace(0, 1, 90)
    settings: dict[str, Any] = {"batch_size": 16, "epochs": 2, "verbose": 0, "validation_split": 0.2, "sample_weight": w}
    results = []
    for bound in (1 << 30, 100):
        monkeypatch.setattr(large, "LARGE", bound)
        assert (large.by_batch(net(5), "fit", x, y, w, 16) is None) == (bound > 100)
        model = net(5)
        with pytest.warns(UserWarning, match="whole numbers up to 25[0-4] .uint8.*x / 255"):
            history = model.fit(x, y, class_weight={1: 2.0}, **settings).history
        model.fit(x.astype(float), y, steps_per_epoch=3, verbose=0)
        results.append((history, model.get_weights(), model.evaluate(x, y), model.predict(x)))
        a, b = fastnn.Input((5,), name="a"), fastnn.Input((2,), name="b")
        two = fastnn.Model([a, b], fastnn.Dense(1)(fastnn.Concatenate()([a, b])))
        two.set_weights([np.ones((7, 1)), np.zeros(1)])
        two.compile("sgd", "mse")
        history = two.fit({"a": x / 300, "b": x[:, :2].astype(np.float16)}, list(y), verbose=0).history
        results[-1] += (history, two.predict([x, x[:, :2]]))
    np.testing.assert_equal(results[0], results[1])


def test_whole_numbers_of_models_that_take_them(tmp_path: Path) -> None:
    class Rows(fastnn.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = fastnn.nn.Parameter(np.eye(7, 3, dtype=np.float32))

        def forward(self, x: Any) -> Any:
            return self.table[x].mean(1)

    ids = RNG.integers(0, 7, (40, 6))
    small, right = mapped(tmp_path / "a.npy", ids.astype(np.uint16)), mapped(tmp_path / "b.npy", ids)
    y = np.ones((40, 3), np.float32)
    found = []
    for given in (small, right, ids):
        model = Rows()
        model.compile("sgd", "mse")
        assert (large.by_batch(model, "fit", given, y, None, 8) is None) == (given is not small)
        model.fit(given, y, batch_size=8, shuffle=False, verbose=0)
        found.append((model.get_weights(), model.predict(given)))
    np.testing.assert_equal(found[0], found[1])
    np.testing.assert_equal(found[1], found[2])
    assert large.by_batch(net(6), "fit", right, y, None, 8) is not None  # which takes float32


def test_one_batch_of_a_large_array_is_predicted_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    x, model = RNG.random((20, 5)), net(5)
    wanted = model.predict(x)
    monkeypatch.setattr(large, "LARGE", 0)
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(x), wanted)


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE", 100)
    x, y = np.zeros((90, 5)), np.zeros(90, int)
    with pytest.raises(ValueError, match="fit: x has 90 samples, but y has 89"):
        net(5).fit(x, y[1:])
    with pytest.raises(ValueError, match=r"fit: batch 0 of x: y\[3\] is 7, but the model has 2 outputs"):
        net(5).fit(x, np.where(np.arange(90) == 3, 7, y), shuffle=False)
    with pytest.raises(ValueError, match="evaluate: batch_size is 0"):
        net(5).evaluate(x, y, batch_size=0)
    x[:] = np.nan
    with pytest.raises(ValueError, match="fit: batch 0 of x: x has 160 values that are NaN"):
        net(5).fit(x, y)


def test_images_of_bytes_become_floats_batch_by_batch() -> None:
    x, y = RNG.integers(0, 256, (4000, 40, 40), dtype=np.uint8), RNG.integers(0, 2, 4000)

    def trained(x: Any, **settings: Any) -> Any:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Rescaling(1 / 255), fastnn.Flatten(), fastnn.Dense(2, input_shape=(1600,))])
        model.compile("adam", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
        return model.fit(x, y, batch_size=300, verbose=0, **settings).history  # the last batch is a smaller one

    for settings in ({"epochs": 2}, {"validation_split": 0.1}, {"check_finite": True}, {"steps_per_epoch": 5}):
        assert trained(x, **settings) == trained(x.astype(np.float32), **settings)
        assert trained(x[:, ::-1], **settings) == trained(x[:, ::-1].astype(np.float32), **settings), "a view"
    assert used(lambda: trained(x)) < 8 * 300 * 1600 * 4 < x.size * 4, "a batch as floats, and what the layers make of it"
