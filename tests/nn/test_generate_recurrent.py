"""generate with recurrent models, whose states are carried from token to token."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import GRU, LSTM, RNN, Dense, Embedding, GRUCell, LSTMCell, Sequential, SimpleRNN

BACKENDS = [name for name in ("numpy", "numba", "cpp") if fastnn.backends()[name].available]
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 1]]
V = 9


class Custom(fastnn.Module):
    """A cell of the user, which begins with ones."""

    state_size = 6

    def __init__(self) -> None:
        super().__init__()
        self.dense = fastnn.nn.Linear(12, 6)

    def get_initial_state(self, batch_size: int) -> Any:
        return [fastnn.ones(batch_size, 6)]

    def forward(self, x: Any, states: Any) -> Any:
        y = self.dense(fastnn.concatenate([x, states[0]], 1)).tanh()
        return y, [y]


class Net(fastnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.one, self.two = Embedding(V, 6), GRU(6, return_sequences=True), LSTM(5, return_sequences=True)
        self.norm, self.head = fastnn.LayerNormalization(), Dense(V)

    def forward(self, ids: Any) -> Any:
        x = self.embed(ids)
        return self.head(self.norm(self.two(x + self.one(x))))


class Torch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm, self.head = nn.Embedding(V, 6), nn.LSTM(6, 7, num_layers=2, batch_first=True), nn.Linear(7, V)

    def forward(self, ids: Any, state: Any = None) -> Any:
        y, state = self.lstm(self.embed(ids), state)
        return self.head(y), state


class StepsFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.gru, self.rnn = nn.Embedding(V, 6), nn.GRU(6, 7), nn.RNN(7, 6)
        self.head = nn.Linear(6, V)

    def forward(self, ids: Any) -> Any:
        y, _ = self.rnn(self.gru(self.embed(ids).transpose((1, 0, 2)))[0])
        return self.head(y.transpose((1, 0, 2)))


def of(*layers: Any, head: str | None = None, **how: Any) -> Callable[[], Any]:
    return lambda: Sequential([Embedding(V, 6, **how), *(layer() for layer in layers), Dense(V, head)])


NETS: dict[str, Callable[[], Any]] = {
    "lstm": of(lambda: LSTM(7, return_sequences=True), lambda: LSTM(6, return_sequences=True)),
    "last": of(lambda: LSTM(7, return_sequences=True), lambda: GRU(6, reset_after=False)),
    "softmax": of(lambda: GRU(7, return_sequences=True), head="softmax"),
    "steps": of(lambda: LSTM(7, activation="relu", return_sequences=True)),
    "stacked": of(lambda: RNN([GRUCell(5), LSTMCell(6)], return_sequences=True)),
    "masked": of(lambda: SimpleRNN(7, return_sequences=True), lambda: LSTM(7, return_sequences=True), mask_zero=True),
    "cell": of(lambda: RNN(Custom(), return_sequences=True)),
    "module": Net,
    "torch": Torch,
    "steps first": StepsFirst,
}


@fastnn.no_grad()
def make(kind: str) -> Any:
    fastnn.seed(1)
    model = NETS[kind]()
    model(np.zeros((1, 2), np.int64))
    for p in model.parameters():
        p.copy_(p.numpy() + 0.7 * np.random.default_rng(p.size).standard_normal(p.shape))
    if kind == "masked":  # 0 stands for padding, which a text does not have
        model.layers[-1].bias.copy_([-1e9, *model.layers[-1].bias.numpy()[1:]])
    return model


@pytest.mark.parametrize("how", [{"temperature": 0}, {"seed": [3, 4, 5], "top_p": 0.95}, {"num_beams": 3}])
@pytest.mark.parametrize("kind", NETS)
def test_carried_is_recomputed(kind: str, how: dict[str, Any]) -> None:
    model = make(kind)
    carried = model.generate(PROMPTS, 12, **how)
    assert carried.tolist() == model.generate(PROMPTS, 12, use_cache=False, **how).tolist()
    for i, (row, prompt) in enumerate(zip(carried, PROMPTS, strict=True)):
        alone = model.generate(prompt, 12, **{**how, **({"seed": 3 + i} if "seed" in how else {})})
        assert row.tolist() == [*alone.tolist(), *[-1] * (5 - len(prompt))]


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_write_the_same(backend: str) -> None:
    wanted = make("lstm").generate(PROMPTS, 12, seed=2).tolist()
    with fastnn.use_backend(backend):
        assert make("lstm").generate(PROMPTS, 12, seed=2).tolist() == wanted


def test_steps_are_replayed() -> None:
    calls: list[int] = []

    class Counted(Net):
        def forward(self, ids: Any) -> Any:
            calls.append(0)
            return super().forward(ids)

    model = Counted()
    model(np.zeros((1, 2), np.int64))
    calls.clear()
    assert len(model.generate([1], 20)) == 21 and len(calls) == 3  # the prompt, and two recordings


def test_states_that_a_layer_keeps_stay() -> None:
    fastnn.seed(0)
    model = Sequential([Embedding(V, 6), LSTM(7, return_sequences=True, stateful=True), Dense(V)])
    model(np.array([[1, 2], [3, 4]]))
    before = [t.numpy().copy() for t in model.layers[1].states]
    first = model.generate([1, 2], 9, seed=0).tolist()
    assert all((a == b.numpy()).all() for a, b in zip(before, model.layers[1].states, strict=True))
    assert model.generate([1, 2], 9, seed=0).tolist() == first


def test_threads_do_not_disturb_each_other() -> None:
    model = make("lstm")
    wanted = [model.generate([1], 20, seed=i).tolist() for i in range(3)]
    got: dict[int, Any] = {}

    def write(i: int) -> None:
        got[i] = [model.generate([1], 20, seed=i).tolist() for _ in range(3)]

    threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == {i: [wanted[i]] * 3 for i in range(3)}


def test_no_context_limits_a_recurrent_model() -> None:
    model = make("module")
    model.context = 8  # an attribute of the user's
    assert model.generate([1], 1000, seed=0).shape == (1001,)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: fastnn.Bidirectional(LSTM(4, return_sequences=True)), "its layer Bidirectional looks at several tokens"),
        (lambda: LSTM(4, return_sequences=True, go_backwards=True), "its layer LSTM looks at several tokens"),
        (lambda: Sequential([LSTM(4, return_sequences=True), fastnn.Conv1D(4, 3)]), "its layer Conv1D looks at several tokens"),
    ],
)
def test_models_that_cannot(layer: Callable[[], Any], message: str) -> None:
    model = Sequential([Embedding(V, 6), layer(), Dense(V)])
    model(np.zeros((1, 4), np.int64))
    with pytest.raises(TypeError, match=f"generate: Sequential cannot read token by token: .*{message}"):
        model.generate([1])


def test_both_directions_with_the_names_of_pytorch() -> None:
    model = Torch()
    model.lstm, model.head = nn.LSTM(6, 7, batch_first=True, bidirectional=True), nn.Linear(14, V)
    with pytest.raises(TypeError, match="its layer LSTM looks at several tokens"):
        model.generate([1])
    assert model.generate([1], 3, use_cache=False).shape == (4,)


def test_a_layer_that_is_called_twice() -> None:
    class Twice(Net):
        def forward(self, ids: Any) -> Any:
            return self.head(self.norm(self.two(self.one(self.one(self.embed(ids))))))

    model = Twice()
    model(np.zeros((1, 4), np.int64))
    with pytest.raises(ValueError, match="GRU: the layer is called twice"):
        model.generate([1])
    assert model.generate([1], 3, use_cache=False).shape == (4,)


def test_outputs_that_are_no_logits() -> None:
    model = Sequential([Embedding(V, 6), LSTM(4), Dense(V), fastnn.Reshape((3, 3))])
    model(np.zeros((1, 4), np.int64))
    with pytest.raises(
        TypeError, match=r"generate: Sequential returns float32 \(1, 3, 3\) for ids of shape \(1, 2\); wanted logits"
    ):
        model.generate([1, 2])
