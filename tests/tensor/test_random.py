"""Random numbers of Tensors: their distribution, the seed, backends, recorded steps, threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

HOSTS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]

DRAWS: dict[str, Callable[[], Any]] = {
    "rand": lambda: fastnn.rand(3, 50),
    "rand float64": lambda: fastnn.rand(99, dtype="float64"),
    "randn": lambda: fastnn.randn(3, 50),
    "randn float64": lambda: fastnn.randn(99, dtype="float64"),
    "randint": lambda: fastnn.randint(-5, 12, (7, 9)),
    "rand_like": lambda: fastnn.rand_like(fastnn.zeros(70)),
    "randn_like": lambda: fastnn.randn_like(fastnn.zeros(70, dtype="float64")),
    "uniform_": lambda: nn.init.uniform_(fastnn.zeros(70), -1, 2),
    "normal_": lambda: nn.init.normal_(fastnn.zeros(70), 3, 2),
}


def numbers(draw: Callable[[], Any], calls: int = 4) -> list[Any]:
    fastnn.seed(11)
    return [draw().numpy() for _ in range(calls)]


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_numbers_on_every_backend(name: str) -> None:
    with fastnn.use_backend("numpy"):
        want = numbers(DRAWS[name])
    for backend in HOSTS:
        with fastnn.use_backend(backend):
            got = numbers(DRAWS[name])
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype
            if a.dtype == np.float64 and "randn" in name:
                np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15)
            else:
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", DRAWS)
def test_recorded_steps_draw_what_eager_ones_do(name: str) -> None:
    want = numbers(DRAWS[name], 6)
    step = fastnn.capture(DRAWS[name])
    got = numbers(step, 6)
    assert not step.captured.eager
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_array_equal(a, b)
        assert all((a != other).any() for other in got[:i])
    np.testing.assert_array_equal(numbers(step, 1)[0], want[0])  # a replay follows the seed, too


def test_distributions() -> None:
    fastnn.seed(0)
    for dtype in ("float32", "float64"):
        u, z = fastnn.rand(200_000, dtype=dtype).numpy(), fastnn.randn(200_000, dtype=dtype).numpy().astype(np.float64)
        assert u.min() >= 0 and u.max() < 1
        assert abs(np.histogram(u, 50, (0, 1))[0] / 4000 - 1).max() < 0.08
        assert [z.mean(), z.std(), (z**3).mean(), (z**4).mean()] == pytest.approx([0, 1, 0, 3], abs=0.1)
        assert len(np.unique(u)) > (199_000 if dtype == "float64" else 190_000)
    assert abs(np.bincount(fastnn.randint(0, 7, 70_000).numpy()) / 10_000 - 1).max() < 0.05


def test_whole_numbers_of_any_range() -> None:
    assert set(fastnn.randint(5, 6, 9).tolist()) == {5}
    assert set(fastnn.randint(0.5, 2.5, 99).tolist()) == {1, 2}
    limits = -(2**63), 2**63
    values = fastnn.randint(*limits, 1000).numpy()
    assert values.min() < -(2**61) and values.max() > 2**61
    assert set(fastnn.randint(2**63 - 2, 2**63, 99).tolist()) == {2**63 - 2, 2**63 - 1}
    for low, high in ((0, 2**63 + 1), (-(2**63) - 1, 0), (0.2, 0.8)):
        with pytest.raises(ValueError, match=r"randint: low is .* of int64"):
            fastnn.randint(low, high, 2)


@pytest.mark.parametrize("backend", HOSTS)
def test_threads_do_not_draw_the_same(backend: str) -> None:
    """Large enough that kernels run while another thread has the GIL."""

    def draw(_: int) -> Any:
        with fastnn.use_backend(backend):
            return fastnn.rand(3000, dtype="float64").numpy()

    with ThreadPoolExecutor(4) as pool:
        drawn = np.concatenate(list(pool.map(draw, range(60))))
    assert len(np.unique(drawn)) == drawn.size


def test_a_step_with_noise_trains_in_a_recording() -> None:
    model = nn.Linear(4, 1)
    optimizer = fastnn.optim.SGD(model.parameters(), lr=0.01)

    def train(x: Any) -> Any:
        optimizer.zero_grad()
        m = model(x)
        loss = ((m + fastnn.randn_like(m) * 0.1) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    step = fastnn.capture(train)
    x = fastnn.tensor(np.ones((8, 4), np.float32))
    losses = [step(x).item() for _ in range(10)]
    assert not step.captured.eager and len(set(losses)) == 10
