"""Frozen models look up the outputs of a dense layer whose inputs are the rows of a table."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from frozen_models import changed

import fastnn
import fastnn.nn as nn
from fastnn.replay.folding import Folded

TOKENS, STEPS = 6, 5
ids = np.array([[0, 5, 2, 2, 1], [4, 3, 0, 0, 5], [1, 1, 1, 2, 3]])


@pytest.fixture(params=[b.name for b in fastnn.backends().values() if b.available])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the kernels of each frozen model that a test makes."""
    found: list[list[str]] = []
    take = Folded.take

    def noted(*args: Any) -> Any:
        calls = take(*args)
        found.append([name for name, _ in calls])
        return calls

    monkeypatch.setattr(Folded, "take", noted)
    return found


class Net(nn.Module):
    """A function of the module and token ids."""

    input_spec = nn.InputSpec("int")

    def __init__(self, fn: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.fn = fn
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Any) -> Any:
        return self.fn(self, x)


def after(*layers: Any, **how: Any) -> fastnn.Sequential:
    """Layers of Keras after an embedding."""
    return fastnn.Sequential([fastnn.Input((STEPS,), dtype="int64"), fastnn.Embedding(TOKENS, 8, **how), *layers])


def torch_lstm(**how: Any) -> nn.Module:
    return Net(lambda m, x: m.lstm(m.table(x))[0], table=nn.Embedding(TOKENS, 8, **how), lstm=nn.LSTM(8, 4, batch_first=True))


def branches() -> nn.Module:
    """Rows that two layers and a sum read; the third layer reads what one of the layers returns."""

    def fn(m: Any, x: Any) -> Any:
        rows = m.table(x)
        first = m.first(rows)
        return fastnn.tanh(first) + m.second(rows) + rows + m.third(first)

    return Net(fn, table=nn.Embedding(TOKENS, 8), first=nn.Linear(8, 8), second=nn.Linear(8, 8), third=nn.Linear(8, 8))


MODELS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "LSTM": (lambda: after(fastnn.LSTM(4)), 1, 0),
    "GRU": (lambda: after(fastnn.GRU(4)), 1, 0),
    "SimpleRNN": (lambda: after(fastnn.SimpleRNN(4)), 1, 0),
    "step by step": (lambda: after(fastnn.LSTM(4, activation="relu", use_bias=False)), 1, 0),
    "bidirectional": (lambda: after(fastnn.Bidirectional(fastnn.LSTM(4))), 2, 0),
    "stacked": (lambda: after(fastnn.LSTM(4, return_sequences=True), fastnn.LSTM(4)), 1, 1),
    "float64": (lambda: after(fastnn.GRU(4, dtype="float64"), dtype="float64"), 1, 0),
    "nn.LSTM": (torch_lstm, 1, 0),
    "padding": (lambda: torch_lstm(padding_idx=0), 1, 0),
    "one layer after another": (
        lambda: after(fastnn.Dense(7, activation="gelu"), fastnn.Dense(9), fastnn.Activation("tanh"), fastnn.LSTM(4)),
        1,
        0,
    ),
    "normalized": (lambda: after(fastnn.Dense(7), fastnn.BatchNormalization(), fastnn.GlobalAveragePooling1D()), 1, 0),
    "the output": (lambda: after(fastnn.Dense(3, activation="relu")), 1, 0),
    "branches": (branches, 4, 0),
    "all tokens of a sample": (lambda: after(fastnn.Flatten(), fastnn.Dense(3)), 1, 1),
    "scaled rows": (lambda: Net(lambda m, x: m.dense(m.t(x) * 2.0), t=nn.Embedding(TOKENS, 8), dense=nn.Linear(8, 3)), 1, 1),
    "masked": (lambda: after(fastnn.LSTM(4), mask_zero=True), 2, 1),
}
"""Models, with the number of look-ups and of dense layers in a frozen call."""


@pytest.mark.parametrize("name", MODELS)
def test_dense_layers_of_rows_are_looked_up(backend: str, name: str, plans: list[list[str]]) -> None:
    fastnn.seed(1)
    make, lookups, dense = MODELS[name]
    model = changed(make()) if name != "normalized" else make()
    frozen, any_size = (model.freeze(batch_size=n, input_shape=(STEPS,)) for n in (len(ids), None))
    assert any_size(ids[:2]).shape[0] == 2
    for plan in plans:
        assert (plan.count("take_forward"), plan.count("dense_forward")) == (lookups, dense)
    for _ in range(2):
        want = model(fastnn.tensor(ids), training=False).numpy()
        close = {"rtol": 1e-12, "atol": 1e-12} if want.dtype == np.float64 else {"rtol": 2e-5, "atol": 2e-6}
        np.testing.assert_allclose(frozen(ids), want, **close)
        np.testing.assert_allclose(any_size(ids[:2]), want[:2], **close)
        with fastnn.no_grad():
            for p in model.parameters():
                p.mul_(1.25)
        frozen.update(model)
        any_size.update(model.state_dict())


def test_a_stream_of_tokens_keeps_its_state(backend: str, plans: list[list[str]]) -> None:
    layers = [
        *(fastnn.Embedding(TOKENS, 8), fastnn.LSTM(4, stateful=True, return_sequences=True, input_shape=(1, 8))),
        *(fastnn.GRU(4, stateful=True), fastnn.Dense(TOKENS)),
    ]
    model = fastnn.Sequential(layers)
    model(fastnn.tensor(ids[:1, :1]))
    step = model.freeze(batch_size=1, input_shape=(1,))
    assert plans[0].count("dense_forward") == 2
    for _ in range(2):
        for layer in model.layers[1:3]:
            layer.reset_states()
        step.reset()
        for token in ids[0]:
            want = model(fastnn.tensor([[token]]), training=False).numpy()
            np.testing.assert_allclose(step(np.array([[token]])), want, rtol=1e-5, atol=1e-6)
        step = pickle.loads(pickle.dumps(step))
        step.update(changed(model))


def test_ids_from_the_end_and_outside(backend: str) -> None:
    model = after(fastnn.Dense(4, activation="tanh"), fastnn.LSTM(3, return_sequences=True))
    frozen = model.freeze()
    x = np.array([[-1, -TOKENS, 2, TOKENS, 1]])
    got = frozen(x)
    want = model(fastnn.tensor(np.where(x < 0, x + TOKENS, x) % TOKENS), training=False).numpy()[:, :3]
    np.testing.assert_allclose(got[:, :3], want, rtol=1e-5, atol=1e-6)
    assert np.isnan(got[:, 3:]).all()


def test_tables_that_would_be_larger_are_not_made(plans: list[list[str]]) -> None:
    for tokens, inputs, outputs in ((6, 2, 3), (7, 2, 3)):  # 18 elements for 12 + 6, 21 for 14 + 6
        model = Net(lambda m, x: m.dense(m.t(x)).sum(1), t=nn.Embedding(tokens, inputs), dense=nn.Linear(inputs, outputs))
        model.freeze(batch_size=2, input_shape=(STEPS,))
    assert ["dense_forward" in plan for plan in plans] == [False, True]


def test_rounded_products_are_not_looked_up(plans: list[list[str]]) -> None:
    model = after(fastnn.LSTM(4))
    with fastnn.autocast("bfloat16"):
        frozen, want = model.freeze(batch_size=3), model(fastnn.tensor(ids), training=False).numpy()
    assert "dense_forward" in plans[0]
    np.testing.assert_allclose(frozen(ids), want, rtol=1e-5, atol=1e-6)


def test_tables_that_change_or_are_no_weights_are_left(backend: str, plans: list[list[str]]) -> None:
    table = fastnn.randn(TOKENS, 8)
    for model in (torch_lstm(max_norm=1.0), Net(lambda m, x: m.dense(fastnn.take(table, x)), dense=nn.Linear(8, 3))):
        frozen = model.freeze(batch_size=len(ids), input_shape=(STEPS,))
        np.testing.assert_allclose(frozen(ids), model(fastnn.tensor(ids)).numpy(), rtol=2e-5, atol=2e-6)
    assert all("dense_forward" in plan for plan in plans)


def test_products_of_all_batch_sizes_share_a_table() -> None:
    model = after(fastnn.LSTM(4))
    frozen = model.freeze(batch_size=None)
    for n in (1, 2, 3):
        frozen(ids[:n])
    assert [t.shape for t in frozen._snapshot.folded.tensors] == [(TOKENS, 16)]


def test_an_output_may_be_the_ids_themselves(backend: str) -> None:
    """Outputs are written when nothing needs the ids any more."""

    def fn(m: Any, x: Any) -> Any:
        rows = m.table(x)
        return x * 2, m.dense(rows)

    model = Net(fn, table=nn.Embedding(TOKENS, 8, dtype="float64"), dense=nn.Linear(8, 1, dtype="float64"))
    frozen, want = model.freeze(batch_size=3, input_shape=(STEPS,)), model(fastnn.tensor(ids))[1].numpy()
    x = ids.copy()
    double, y = frozen(x, out=(np.empty_like(x), x.view(np.float64)[..., None]))
    np.testing.assert_array_equal(double, ids * 2)
    np.testing.assert_allclose(y, want, rtol=1e-12)
