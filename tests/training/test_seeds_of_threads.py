"""Random numbers of threads: a thread that calls `seed` has streams of its own, all others draw from those of the process."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal

import fastnn
from fastnn.core.seeding import generator, seeded, undisturbed

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((64, 4)).astype("float32"), rng.standard_normal((64, 1)).astype("float32")


def drawn() -> list[float]:
    """Return numbers of both streams."""
    return [float(generator().random()), *fastnn.rand(3).tolist()]


def seeded_draws(n: int) -> list[float]:
    fastnn.seed(n)
    return drawn() + drawn()


def in_thread(function: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def trained(n: int, wait: Callable[[], Any] = int) -> list[np.ndarray]:
    """Return the weights after a training that draws weights, the order of batches, masks of both kinds of streams."""

    class Noisy(fastnn.Module):
        def forward(self, x: fastnn.Tensor) -> fastnn.Tensor:
            return fastnn.nn.functional.dropout(x, 0.5, training=self.training)

    fastnn.seed(n)
    model = fastnn.Sequential([fastnn.Dense(8, "tanh", input_shape=(4,)), fastnn.Dropout(0.3), Noisy(), fastnn.Dense(1)])
    wait()
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=16, epochs=6, verbose=0)
    return model.get_weights()


def test_the_seed_of_a_thread_gives_the_numbers_of_the_main_thread() -> None:
    assert in_thread(lambda: seeded_draws(3)) == seeded_draws(3)


def test_the_seed_of_a_thread_leaves_those_of_the_others() -> None:
    fastnn.seed(1)
    wanted = drawn() + drawn()
    fastnn.seed(1)
    first = drawn()
    in_thread(lambda: seeded_draws(5))
    assert first + drawn() == wanted


def test_a_thread_without_a_seed_draws_from_the_process() -> None:
    fastnn.seed(1)
    wanted = drawn() + drawn()
    fastnn.seed(1)
    assert in_thread(drawn) + drawn() == wanted


def test_trainings_at_the_same_time_repeat() -> None:
    seeds = range(6)
    wanted = [trained(n) for n in seeds]
    together = threading.Barrier(3, timeout=20)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda n: trained(n, together.wait), seeds))
    for a, b in zip(found, wanted, strict=True):
        for v, w in zip(a, b, strict=True):
            assert_array_equal(v, w)
    assert not np.array_equal(wanted[0][0], wanted[1][0])


def test_a_recorded_step_of_a_thread_follows_its_seed() -> None:
    def draws() -> list[list[float]]:
        step = fastnn.capture(lambda x: x + fastnn.rand(3))
        found = []
        for n in (7, 7, 7, 8):
            fastnn.seed(n)
            found.append([v for _ in range(4) for v in step(np.zeros(3, "float32")).tolist()])
        return found

    first, second, third, other = in_thread(draws)
    assert first == second == third != other


def test_a_copy_of_the_context_draws_from_its_streams_until_it_has_a_seed() -> None:
    def outer() -> None:
        wanted = seeded_draws(2)
        fastnn.seed(2)
        context = contextvars.copy_context()
        assert in_thread(lambda: context.run(drawn)) + drawn() == wanted  # as the threads of `fit` do, which read ahead
        assert in_thread(lambda: context.run(seeded_draws, 4)) == seeded_draws(4)
        fastnn.seed(2)
        first = drawn()
        in_thread(lambda: context.run(seeded_draws, 9))
        assert first + drawn() == wanted

    in_thread(outer)


def test_asyncio_in_threads() -> None:
    async def both() -> list[list[float]]:
        return await asyncio.gather(*(asyncio.to_thread(seeded_draws, n) for n in (1, 2)))

    fastnn.seed(3)
    wanted = drawn()
    fastnn.seed(3)
    assert asyncio.run(both()) == [in_thread(lambda n=n: seeded_draws(n)) for n in (1, 2)]
    assert drawn() == wanted


def test_a_seed_in_a_block_applies_to_the_block() -> None:
    fastnn.seed(0)
    wanted = drawn()
    fastnn.seed(0)
    with seeded(1):
        assert seeded_draws(4) == in_thread(lambda: seeded_draws(4))
    assert drawn() == wanted


def test_undisturbed_streams_of_a_thread() -> None:
    def outer() -> None:
        wanted = seeded_draws(2)
        fastnn.seed(2)
        first = drawn()
        with undisturbed():
            drawn()
        assert first + drawn() == wanted

    in_thread(outer)
