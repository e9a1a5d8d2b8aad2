"""Training that a file lets go on in the middle of an epoch: with the same samples in the same order, to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.training.data.order import Order, Resumed, generator_of, state_of

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
SIZE = 8


def net() -> Any:
    fastnn.seed(3)
    model = fastnn.Sequential([fastnn.Dense(4, "tanh", input_shape=(3,)), fastnn.Dropout(0.3), fastnn.Dense(1)])
    model.compile("adam", "mse")
    return model


class Sequence:
    def __init__(self) -> None:
        self.taken: list[int] = []

    def __len__(self) -> int:
        return 7

    def __getitem__(self, i: int) -> Any:
        self.taken.append(i)
        return X[i * SIZE : (i + 1) * SIZE], Y[i * SIZE : (i + 1) * SIZE]


class Stateful:
    """An iterable that knows its place, as torchdata's StatefulDataLoader does."""

    def __init__(self) -> None:
        self.next, self.rng = 0, np.random.default_rng(5)
        self.order = np.empty(0, np.int64)

    def __iter__(self) -> Iterator[Any]:
        if not self.next:
            self.order = self.rng.permutation(50)
        while self.next < 7:
            i = self.order[self.next * SIZE : (self.next + 1) * SIZE]
            self.next += 1
            yield X[i], Y[i]
        self.next = 0

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.next, "rng": self.rng.bit_generator.state, "order": self.order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.next, self.rng.bit_generator.state, self.order = state["next"], state["rng"], state["order"]


def dataset() -> Any:
    data, torch = pytest.importorskip("torch.utils.data"), pytest.importorskip("torch")
    return data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))


MAKE: dict[str, Any] = {
    "arrays": lambda: ((X, Y), {"batch_size": SIZE}),
    "sequence": lambda: ((Sequence(),), {}),
    "stateful": lambda: ((Stateful(),), {}),
    "dataset": lambda: ((dataset(),), {"batch_size": SIZE}),
}


@pytest.mark.parametrize("of", MAKE)
@pytest.mark.parametrize("steps", [None, 5, 9])
@pytest.mark.parametrize("every", [3, "epoch"])
def test_training_goes_on_where_the_file_was_written(of: str, steps: int | None, every: Any, tmp_path: Path) -> None:
    model = net()
    keep = fastnn.callbacks.ModelCheckpoint(tmp_path / ("{epoch}-{batch}" if every == 3 else "{epoch}"), save_freq=every)
    given, settings = MAKE[of]()
    settings |= {"verbose": 0, "epochs": 3, "steps_per_epoch": steps}
    model.fit(*given, callbacks=keep, **settings)
    for path in sorted(tmp_path.iterdir()):
        twin = fastnn.load(path)
        place = json.loads(json.dumps({**twin._compiled.place, "source": None}))
        if place["epoch"] < 3:
            twin.fit(*MAKE[of]()[0], initial_epoch=place["epoch"], **settings)
        for own, other in zip(twin.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(own, other, str((path.name, place)))


def test_batches_are_counted_on(tmp_path: Path) -> None:
    model = net()
    model.fit(X, Y, batch_size=SIZE, verbose=0, callbacks=fastnn.callbacks.ModelCheckpoint(tmp_path / "{batch}", save_freq=5))
    seen: list[int] = []
    look = fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: seen.append(i))
    twin = fastnn.load(tmp_path / "5")
    twin.fit(X, Y, batch_size=SIZE, verbose=0, callbacks=look, epochs=2)
    assert seen == [5, 6, *range(7)]


def test_where_a_place_does_not_count(tmp_path: Path) -> None:
    """Other data, another batch size, another epoch and a later fit begin with a whole epoch; a seed begins anew."""
    model = net()
    keep = fastnn.callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=9)
    model.fit(X, Y, batch_size=SIZE, verbose=0, epochs=2, callbacks=keep)
    path = tmp_path / "2-2"

    def steps(*data: Any, **settings: Any) -> int:
        twin = fastnn.load(path)
        before = twin.optimizer.iterations
        twin.fit(*data, **{"batch_size": SIZE, "verbose": 0, "initial_epoch": 1, "epochs": 2, **settings})
        return int(twin.optimizer.iterations) - before

    assert steps(X, Y) == 5
    assert steps(X[1:], Y[1:]) == steps(X, Y, initial_epoch=0, epochs=1) == 7
    assert steps(X, Y, batch_size=10) == 5
    twin = fastnn.load(path)
    fastnn.seed(8)
    twin.fit(X, Y, batch_size=SIZE, verbose=0, initial_epoch=1, epochs=2)
    assert twin.optimizer.iterations == 9 + 7


def test_later_orders_are_those_of_training_without_a_break(tmp_path: Path) -> None:
    model = net()
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m")
    fastnn.load(tmp_path / "m").save(tmp_path / "again")
    twin = fastnn.load(tmp_path / "again")
    for first in (2, 4):
        for m in (twin, model):
            m.fit(X, Y, initial_epoch=first, epochs=first + 2, verbose=0)
    np.testing.assert_array_equal(twin.get_weights()[0], model.get_weights()[0])
    assert "place" not in str(fastnn.load(tmp_path / "m", compile=False)._compiled)


def test_a_state_that_no_file_holds(tmp_path: Path) -> None:
    data = Stateful()
    data.state_dict = lambda: {"next": object()}  # type: ignore[method-assign]
    model = net()
    model.fit(data, verbose=0)
    with pytest.warns(UserWarning, match="save: the file has no state of the data: .*object; wanted numbers, strings, arrays"):
        model.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m").optimizer.iterations == 7


def test_states_of_streams() -> None:
    rng = np.random.Generator(np.random.Philox(3))
    rng.permutation(5)
    assert generator_of(state_of(rng)).permutation(50).tolist() == rng.permutation(50).tolist()
    assert state_of(np.random.default_rng(0)) is None
    order = Order(False)
    assert order.draw(3) is None and order.now() is None
    good = {"epoch": 0, "steps": 0, "at": 0, "size": [1, 1], "stream": state_of(rng), "source": None}
    assert Resumed(good).holds
    words = good["stream"]
    for key, bad in (
        ("epoch", -1),
        ("at", 1 << 70),
        ("size", ["a"]),
        ("stream", [1]),
        ("stream", "a"),
        ("stream", [*words[:10], 9, 0, 0]),
        ("stream", [-1, *words[1:]]),
        ("stream", [1.5, *words[1:]]),
    ):
        with pytest.raises(ValueError):
            Resumed({**good, key: bad})
