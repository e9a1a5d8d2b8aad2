"""Gradients that are summed or averaged over ranks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
import fastnn.nn as nn
from fastnn.backends import current
from fastnn.distributed import Comm
from fastnn.distributed.gradients import Sum, sum_gradients

rng = np.random.default_rng(3)
X = rng.standard_normal((16, 6)).astype(np.float32)
Y = np.tanh(X[:, :2])
WORDS = rng.integers(0, 9000, (16, 3))
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adam": {"lr": 0.01, "global_clipnorm": 0.3},
    "SGD": {"lr": 0.1, "momentum": 0.9, "clipnorm": 0.2, "gradient_accumulation_steps": 3},
    "AdamW": {"lr": 0.01, "use_ema": True, "maximize": True},
    "RMSprop": {"lr": 0.01, "clipvalue": 0.05},
    "Muon": {"lr": 0.01},
}


def trained(name: str, comm: Comm | None, by_hand: bool, steps: int = 12) -> tuple[list[Any], bool]:
    """Train a net on this rank's half of the rows, or on all rows; return its weights, and whether steps were replayed."""
    fastnn.seed(1)
    model = fastnn.Sequential([nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 2)])
    optimizer = getattr(fastnn.optim, name)(model.parameters(), **OPTIMIZERS[name])
    size = 1 if comm is None else comm.size
    if not by_hand:
        optimizer.distribute = comm
    rows = slice(0 if comm is None else comm.rank, None, size)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(x), y) * (1.0 if by_hand else 1.0 / size)
        loss.backward()
        if by_hand and comm is not None:
            fastnn.distributed.average_gradients(optimizer)
        optimizer.step()
        return loss

    captured: Any = fastnn.capture(step)
    for _ in range(steps):
        captured(X[rows], Y[rows])
    return model.get_weights(), captured.captured.eager == "" and bool(captured.captured._steps)


def _trained_by_ranks(names: list[str], by_hand: bool) -> list[tuple[list[Any], bool]]:
    comm = fastnn.distributed.init()
    return [trained(name, comm, by_hand) for name in names]


@ranks.needed
@pytest.mark.parametrize("by_hand", [True, False])
def test_two_ranks_train_as_one_process(by_hand: bool) -> None:
    names = [name for name in OPTIMIZERS if not (by_hand and OPTIMIZERS[name].get("maximize"))]
    first, second = ranks.run(2, __file__, "_trained_by_ranks", names, by_hand)
    for name, (one, replayed), (other, _) in zip(names, first, second, strict=True):
        alone, _ = trained(name, None, by_hand)
        assert replayed, name
        for a, b, c in zip(one, other, alone, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
            np.testing.assert_allclose(a, c, rtol=1e-4, atol=2e-6, err_msg=name)


class Noted(Comm):
    """Ranks that note what is summed; the sum is twice what this rank has."""

    size = 2

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def sum(self, array: Any) -> None:
        self.sizes.append(array.size)
        array *= 2


def test_one_message_for_each_flat_buffer() -> None:
    model = fastnn.Sequential([nn.Linear(6, 9), nn.Linear(9, 2)])
    first, second = model.layers
    fastnn.optim.SGD(model.parameters(), lr=0.1)  # one flat buffer
    optimizer = fastnn.optim.SGD([{"params": [first.weight, second.weight]}, {"params": [first.bias, second.bias], "lr": 0.5}])
    comm = Noted()
    optimizer.distribute = comm
    model(X).sum().backward()
    flat = optimizer.params[0].flat
    begin, end = min(p.start for p in optimizer.params), max(p.start + p.size for p in optimizer.params)
    expected = {p: p.grad.numpy() * 2 for p in optimizer.params}
    optimizer.step()
    assert comm.sizes == [end - begin] and flat is optimizer.params[-1].flat
    for p, grad in expected.items():
        np.testing.assert_array_equal(p.grad.numpy(), grad)


def test_gradients_of_others_stay() -> None:
    model = fastnn.Sequential([nn.Linear(6, 9), nn.Linear(9, 2)])
    first, second = model.layers
    both = fastnn.optim.SGD(model.parameters(), lr=0.1)  # one flat buffer
    optimizer = fastnn.optim.SGD([first.weight, second.weight], lr=0.1)
    assert optimizer.params[0].flat is both.params[0].flat
    comm = Noted()
    optimizer.distribute = comm
    model(X).sum().backward()
    before = second.bias.grad.numpy().copy(), first.bias.grad.numpy().copy()
    optimizer.step()
    assert sum(comm.sizes) >= 54 + 18
    np.testing.assert_array_equal(second.bias.grad.numpy(), before[0])
    np.testing.assert_array_equal(first.bias.grad.numpy(), before[1])


def test_all_rows_of_tables_have_a_gradient() -> None:
    fastnn.seed(0)
    table = nn.Embedding(9000, 4)
    optimizer = fastnn.optim.Adam(table.parameters(), lr=0.1)
    touched = table.weight.track_rows()
    table(WORDS).sum().backward()
    assert not touched.numpy().all()
    sum_gradients(current(), Noted(), optimizer, optimizer.segments[0].runs(current()))
    assert touched.numpy().all()


def test_sums_of_the_same_memory_are_equal() -> None:
    a, comm = np.ones(4), Comm()
    assert Sum(comm, [a]) == Sum(comm, [a]) != Sum(comm, [a[:2]])
    assert Sum(comm, [a]) != Sum(Comm(), [a]) and Sum(comm, [a]) != Sum(comm, [a], 0.5)


def test_optimizers_that_evaluate_the_loss_are_refused() -> None:
    optimizer = fastnn.optim.LBFGS(nn.Linear(2, 1).parameters())
    with pytest.raises(ValueError, match="distribute: LBFGS evaluates the loss in its steps"):
        optimizer.distribute = Comm()
    fastnn.distributed.init()
    with pytest.raises(ValueError, match="average_gradients: LBFGS"):
        fastnn.distributed.average_gradients(optimizer)


def test_init_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastnn.distributed import mpi

    monkeypatch.setattr(mpi, "_latest", [])
    with pytest.raises(RuntimeError, match="init\\(\\) comes first"):
        fastnn.distributed.average_gradients(fastnn.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1))


def test_copies_train_alone(tmp_path: Path) -> None:
    import copy

    optimizer = fastnn.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    optimizer.distribute = Comm()
    assert copy.deepcopy(optimizer).distribute is None
