"""Frozen models take new weights without a new recording."""

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from frozen_models import HOSTS, changed, values

import fastnn
import fastnn.nn as nn


@pytest.fixture(params=HOSTS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


class Net(nn.Module):
    """A weight that is read transposed, one that two layers share, a buffer, a slope."""

    def __init__(self, hidden: int = 4) -> None:
        super().__init__()
        self.a = nn.Linear(3, hidden)
        self.b = nn.Linear(hidden, hidden)
        self.c = nn.Linear(hidden, hidden)
        self.c.weight = self.b.weight
        self.act = nn.PReLU()
        self.register_buffer("mean", np.zeros(hidden, "f4"))

    def forward(self, x: Any) -> Any:
        return self.c(self.act(self.b(self.a(x) - self.mean))) @ self.a.weight


def test_update_takes_the_weights_of_a_model(backend: str) -> None:
    model = Net()
    f, x = model.freeze(2, 3), values(2, 3)
    old = f(x)
    for _ in range(3):
        changed(model)
        np.testing.assert_array_equal(f(x), old)
        f.update(model)
        old = f(x)
        np.testing.assert_array_equal(old, model.freeze(2, 3)(x))
    f.update(other := changed(Net()))
    np.testing.assert_array_equal(f(x), other.freeze(2, 3)(x))
    f.update(model.state_dict())
    np.testing.assert_array_equal(f(x), old)
    with fastnn.no_grad():
        model.a.weight.fill_(0.0)
    np.testing.assert_array_equal(f(x), old)


def test_models_that_gave_their_weights_are_freed() -> None:
    f, x = Net().freeze(2, 3), values(2, 3)
    model = changed(Net())
    f.update(model)
    f.update(model)
    want, held = f(x), [weakref.ref(t) for t in model.weights]
    del model
    gc.collect()
    assert not any(ref() for ref in held)
    np.testing.assert_array_equal(f(x), want)


@pytest.mark.parametrize("sizes", [(40, 512, 70), (64, 1024, 130)])
def test_packed_weights_are_packed_anew(sizes: tuple[int, int, int]) -> None:
    inputs, hidden, outputs = sizes
    layers = [fastnn.Dense(hidden, activation="relu", input_shape=(inputs,)), fastnn.Dense(outputs)]
    model = fastnn.Sequential(layers)
    f, x = model.freeze(70), values(70, inputs)
    for _ in range(2):
        changed(model)
        f.update(model)
        np.testing.assert_array_equal(f(x), model.predict(x))


def test_copies_have_their_own_weights(backend: str) -> None:
    model = Net()
    f, x = model.freeze(2, 3), values(2, 3)
    twin, old = copy.copy(f), f(x)
    f.update(changed(model))
    np.testing.assert_array_equal(twin(x), old)
    for copied in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        np.testing.assert_array_equal(copied(x), f(x))
        copied.update(changed(Net()))
    np.testing.assert_array_equal(f(x), model.freeze(2, 3)(x))


def test_buffers_that_forward_changes_take_the_new_values(backend: str) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("n", np.zeros(1, "f4"))

        def forward(self, x: Any) -> Any:
            self.n.copy_(self.n + 1)
            return x + self.n

    model = Counting()
    f, x = model.freeze(1, 1), np.zeros((1, 1), "f4")
    assert [f(x).item() for _ in range(3)] == [1, 2, 3]
    with fastnn.no_grad():
        model.n.fill_(10.0)
    f.update(model)
    assert [f(x).item() for _ in range(3)] == [11, 12, 13]
    assert model.n.item() == 10


def renamed(model: Any) -> None:
    model.d, model.a = model.a, None


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a weight's size": (lambda m: Net(5), r"a.weight is float32 \(5, 3\), wanted float32 \(4, 3\)"),
    "a layer's class": (lambda m: setattr(m, "act", nn.ReLU()), "layer act is a ReLU, wanted a PReLU"),
    "one more layer": (lambda m: setattr(m, "d", nn.ReLU()), "layer d is a ReLU, wanted nothing"),
    "one less parameter": (lambda m: setattr(m.a, "bias", None), r"a.bias is missing, wanted float32 \(4,\)"),
    "a buffer": (lambda m: m.register_buffer("mean", np.zeros(4)), r"mean is float64 \(4,\), wanted float32 \(4,\)"),
    "no tie": (lambda m: setattr(m.c, "weight", nn.Linear(4, 4).weight), "weights are not tied or ordered like the frozen one"),
    "another order": (
        lambda m: setattr(m.c, "weight", nn.ParameterView(m.b.kernel)),
        "weights are not tied or ordered like the frozen one",
    ),
    "data": (lambda m: setattr(m.act.weight, "data", np.zeros(1)), r"act.weight is float64 \(1,\), wanted float32 \(1,\)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_structures_are_refused(change: str) -> None:
    make, text = CHANGES[change]
    f, x, model = Net().freeze(2, 3), values(2, 3), Net()
    f.update(model)
    old = f(x)
    model = make(model) or model
    with pytest.raises(ValueError, match=f"update: .*{text}.*"):
        f.update(model)
    np.testing.assert_array_equal(f(x), old)


def test_settings_of_layers_are_compared() -> None:
    model = fastnn.Sequential([fastnn.Dense(2, activation="relu", input_shape=(3,)), nn.Dropout(0.5)])
    f = model.freeze()
    model.layers[1].rate = 0.1  # which does nothing in evaluation
    f.update(model)
    model.layers[0].activation = "tanh"
    with pytest.raises(ValueError, match=r"update: .*activation.*freeze the model again"):
        f.update(model)


def test_functions_are_the_same_where_their_code_is() -> None:
    def made() -> fastnn.Sequential:
        return fastnn.Sequential([fastnn.Dense(2, activation=lambda t: t * 2, input_shape=(3,))])

    f, x, other = made().freeze(), values(1, 3), made()
    f.update(other)
    np.testing.assert_array_equal(f(x), other.predict(x))
    with pytest.raises(ValueError, match="activation"):
        f.update(fastnn.Sequential([fastnn.Dense(2, activation=lambda t: t * 3, input_shape=(3,))]))


def test_what_is_no_model_is_refused() -> None:
    f = Net().freeze(2, 3)
    for wrong in (nn.Linear(3, 4), [1, 2], None):
        with pytest.raises(TypeError, match=r"update: got a .*, wanted a Net"):
            f.update(wrong)
    with pytest.raises(KeyError, match="missing"):
        f.update({})
    with pytest.raises(ValueError, match=r"mean has shape \(3,\)"):
        f.update({**Net().state_dict(), "mean": np.zeros(3)})


@pytest.mark.parametrize("size", [4, 600])
@pytest.mark.parametrize("batch_size", [2, None])
def test_a_call_sees_the_old_or_the_new_weights(backend: str, batch_size: int | None, size: int) -> None:
    """Small calls keep the GIL and large ones let it go; each output shows whether weights were mixed."""
    if backend != "cpp" and size > 4:
        pytest.skip("calls take turns there, whatever their size")
    model = fastnn.Sequential([nn.Linear(size, size, bias=False), nn.Linear(size, size, bias=False)])

    def fill(value: float) -> nn.Module:
        with fastnn.no_grad():
            for p in model.parameters():
                p.fill_(value)
        return model

    f = fill(1.0).freeze(batch_size)
    x, done, wrong = np.ones((2, size), "f4"), threading.Event(), []

    def call() -> None:
        while not done.is_set():
            y = f(x)
            if not ((y == size**2).all() or (y == 4 * size**2).all()):
                wrong.append(y)

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(call) for _ in range(2)]
        for i in range(60):
            f.update(fill(1.0 + i % 2))
        done.set()
        for c in calls:
            c.result()
    assert not wrong
    assert (f(x) == 4 * size**2).all()
