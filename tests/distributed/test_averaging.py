"""Local steps: ranks that average their weights every few steps, compared with models of one process that do the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import ranks

import fastnn

EVERY = 3


class Rank:
    """A model on the rows of one rank, and its recorded step."""

    def __init__(self, rank: int, size: int, options: dict[str, Any]) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((2, 12, 4))
        self.x, self.y = fastnn.tensor(x[rank::size]), fastnn.tensor(y[rank::size])
        fastnn.seed(1)
        self.model = fastnn.Sequential([fastnn.Dense(5, "tanh", input_shape=(4,)), fastnn.Dense(4)]).double()
        self.optimizer = fastnn.optim.Adam(self.model.parameters(), lr=0.05, **options)
        self.step = fastnn.capture(self._step)

    def _step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = fastnn.mean(fastnn.square(self.model(x) - y))
        loss.backward()
        self.optimizer.step()
        return loss

    def weights(self) -> list[np.ndarray]:
        return [p.numpy().copy() for p in self.model.parameters()]


def _trained(steps: int, options: dict[str, Any]) -> tuple[list[Any], list[float]]:
    comm = fastnn.distributed.init(average_every=EVERY, compress="bfloat16")
    own = Rank(comm.rank, comm.size, options)
    own.optimizer.distribute = comm
    losses = [own.step(own.x, own.y).item() for _ in range(steps)]
    return own.weights(), losses


def _simulated(size: int, steps: int, options: dict[str, Any]) -> list[tuple[list[Any], list[float]]]:
    models = [Rank(rank, size, options) for rank in range(size)]
    losses: list[list[float]] = [[] for _ in models]
    for step in range(1, steps + 1):
        for own, found in zip(models, losses, strict=True):
            found.append(own.step(own.x, own.y).item())
        if step % EVERY == 0:
            means = [np.mean(parts, axis=0) for parts in zip(*(own.weights() for own in models), strict=True)]
            for own in models:
                for p, mean in zip(own.model.parameters(), means, strict=True):
                    p.assign(mean)
    return [(own.weights(), found) for own, found in zip(models, losses, strict=True)]


@ranks.needed
@pytest.mark.parametrize(
    ("size", "steps", "options"), [(2, 60, {}), (3, 25, {"gradient_accumulation_steps": 2, "clipnorm": 0.1})]
)
def test_ranks_do_what_models_of_one_process_do(size: int, steps: int, options: dict[str, Any]) -> None:
    got, want = ranks.run(size, __file__, "_trained", steps, options), _simulated(size, steps, options)
    for (weights, losses), (wanted, wanted_losses) in zip(got, want, strict=True):
        np.testing.assert_allclose(losses, wanted_losses, 1e-9)
        for i, (a, b) in enumerate(zip(weights, wanted, strict=True)):
            np.testing.assert_allclose(a, b, 1e-8, 1e-10)
            assert np.array_equal(a, got[0][0][i]) or steps % EVERY  # the mean has the same bits everywhere
    assert got[-1][1][-1] < got[-1][1][0]


def _fitted() -> tuple[list[float], list[Any]]:
    comm = fastnn.distributed.init(average_every=4)
    fastnn.seed(3)
    data = np.random.default_rng(0)
    x = data.standard_normal((41, 6))  # the last batch has one row, and rank 1 none of it
    model = fastnn.Sequential([fastnn.Dense(8, "tanh", input_shape=(6,)), fastnn.Dense(1)])
    model.compile(fastnn.optim.Adam(None, lr=0.02), "mse", distribute=comm)
    return model.fit(x, np.sin(x[:, :1]), batch_size=8, epochs=30, verbose=0).history["loss"], model.get_weights()


@ranks.needed
def test_fit_ends_with_the_mean_on_all_ranks() -> None:
    (losses, weights), (others, own) = ranks.run(2, __file__, "_fitted")
    assert losses == others and losses[-1] < 0.3 * losses[0]
    for a, b in zip(weights, own, strict=True):
        np.testing.assert_array_equal(a, b)
