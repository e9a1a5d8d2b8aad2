"""Tables in which few rows have a gradient: SparseAdam, and steps and clearing of gradients that leave out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current
from fastnn.optim.segment import LEAST_TABLE

rng = np.random.default_rng(0)
V, C = 700, 64
assert V * C >= LEAST_TABLE
W = rng.standard_normal((V, C)).astype(np.float32)
BATCHES = [rng.integers(0, V, (3, 5)) for _ in range(6)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}, {"maximize": True}])
def test_sparse_adam_as_in_pytorch(dtype: str, settings: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    own = nn.Embedding(V, C, sparse=True, _weight=W.astype(dtype), dtype=dtype)
    theirs = torch.nn.Embedding(V, C, sparse=True, _weight=torch.tensor(W.astype(dtype)))
    steps = fastnn.optim.SparseAdam(own.parameters(), **settings), torch.optim.SparseAdam(theirs.parameters(), **settings)
    for ids in BATCHES:
        for optimizer in steps:
            optimizer.zero_grad()
        own(ids).square().sum().backward()
        theirs(torch.tensor(ids)).square().sum().backward()
        for optimizer in steps:
            optimizer.step()
    got = own.weight.numpy()
    np.testing.assert_allclose(got, theirs.weight.detach().numpy(), rtol=3e-5 if dtype == "float32" else 1e-12, atol=1e-6)
    never = np.setdiff1d(np.arange(V), np.concatenate(BATCHES))
    np.testing.assert_array_equal(got[never], W.astype(dtype)[never])


class Bag(nn.Module):
    """A table between other parameters."""

    input_spec = fastnn.InputSpec("int", ndim=2)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(np.ones(3, np.float32))
        self.table = nn.Embedding(V, C, _weight=W)
        self.inner = nn.Linear(C, 1)

    def forward(self, ids: Any) -> Any:
        return self.inner(self.table(ids).mean(1)).tanh() * self.first.sum()


def trained(steps: int = 6, dense: bool = False, capture: bool = False, **settings: Any) -> list[np.ndarray]:
    """The parameters after some steps of AdamW; dense: the rows without a gradient are not left out."""
    fastnn.seed(0)
    model = Bag()
    optimizer = fastnn.optim.AdamW(model.parameters(), lr=0.01, **settings)
    if dense:
        for p in model.parameters():
            fastnn.nn.parameter.stored(p).shown()

    def step(ids: Any) -> Any:
        optimizer.zero_grad()
        for part in (ids[:2], ids[1:]):  # the second adds to the gradient of the first
            loss = model(part).square().sum()
            loss.backward()
        optimizer.step()
        return loss

    run: Any = fastnn.capture(step) if capture else step
    for ids in BATCHES[:steps]:
        run(fastnn.tensor(ids))
    assert not capture or not run.captured.eager
    return [p.numpy().copy() for p in model.parameters()]


@pytest.mark.parametrize("settings", [{"weight_decay": 0.0}, {"weight_decay": 0.1}, {"use_ema": True}, {"maximize": True}])
def test_the_same_bits_with_and_without_the_other_rows(settings: dict[str, Any]) -> None:
    for a, b in zip(trained(**settings), trained(**settings, dense=True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_bits_in_recorded_steps_and_for_any_number_of_threads() -> None:
    before, wanted = fastnn.get_num_threads(), trained()
    try:
        for n in (1, 2, 3):
            fastnn.set_num_threads(n)
            for capture in (False, True):
                for a, b in zip(trained(capture=capture), wanted, strict=True):
                    np.testing.assert_array_equal(a, b)
    finally:
        fastnn.set_num_threads(before)


def calls_of(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> list[str]:
    """A list that gets the names of kernels when they are called."""
    k = current()
    made: list[str] = []

    def noted(name: str, kernel: Any) -> Any:
        return lambda *args: made.append(name) or kernel(*args)

    for name in names:
        monkeypatch.setattr(k, name, noted(name, getattr(k, name)))
    return made


def test_what_a_step_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    made = calls_of(monkeypatch, ("take_backward", "take_backward_marked", "adam_step", "adam_rows_step"))
    trained(steps=1)
    assert made == ["take_backward_marked", "take_backward", "adam_step", "adam_rows_step", "adam_step"]
    made.clear()
    trained(steps=1, clipvalue=0.5)
    assert "adam_rows_step" in made
    for settings in ({"global_clipnorm": 0.5}, {"gradient_accumulation_steps": 1}):
        made.clear()
        trained(steps=2, **settings)
        assert "adam_rows_step" not in made and "adam_step" in made


def test_a_gradient_that_was_changed_in_all_rows_is_cleared() -> None:
    table = nn.Embedding(V, C, _weight=W)
    optimizer = fastnn.optim.Adam(table.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        table([1, 2]).sum().backward()
        with fastnn.no_grad():
            table.weight.grad.add_(fastnn.ones(V, C))
        optimizer.step()
    np.testing.assert_allclose(table.weight.numpy(), W - 0.2, atol=1e-4)
    optimizer.zero_grad()
    table([1, 2]).sum().backward()
    assert table.weight.grad.numpy().sum() == 2 * C


def test_states_of_rows_are_saved() -> None:
    def steps(table: Any, optimizer: Any, batches: Any) -> None:
        for ids in batches:
            optimizer.zero_grad()
            table(ids).square().sum().backward()
            optimizer.step()

    for make in (fastnn.optim.Adam, fastnn.optim.SparseAdam):
        table = nn.Embedding(V, C, _weight=W)
        optimizer = make(table.parameters(), lr=0.01)
        steps(table, optimizer, BATCHES[:3])
        twin = nn.Embedding(V, C, _weight=table.weight.numpy())
        other = make(twin.parameters(), lr=0.01)
        other.load_state_dict(optimizer.state_dict())
        steps(table, optimizer, BATCHES[3:])
        steps(twin, other, BATCHES[3:])
        np.testing.assert_array_equal(twin.weight.numpy(), table.weight.numpy())


def test_sparse_adam_refuses() -> None:
    with pytest.raises(ValueError, match="SparseAdam: gradient_accumulation_steps: gradients of single rows cannot"):
        fastnn.optim.SparseAdam(gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match="SparseAdam: a parameter has no dimensions"):
        fastnn.optim.SparseAdam([nn.Parameter(np.float32(1.0))])


def test_sparse_adam_fits() -> None:
    fastnn.seed(0)
    x = rng.integers(0, V, (64, 3))
    model = fastnn.Sequential([fastnn.Embedding(V, 8), fastnn.Flatten(), fastnn.Dense(2)])
    model.compile(fastnn.optim.SparseAdam(lr=0.05), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, x[:, 0] % 2, epochs=20, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.2 * history[0]
