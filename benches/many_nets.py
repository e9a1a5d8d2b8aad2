"""Compare `fit_many` with `fit` of one net after the other: the same nets, data and batches, in turns.

    python benches/many_nets.py [--nets 32] [--epochs 20 200] [--rounds 5] [--cpu-time]

The losses of both are compared. The times are medians. On a machine that does other work, too, --cpu-time measures the processor
time of one thread.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import fastnn

SAMPLES, BATCH, FEATURES = 500, 32, 8


def net() -> Any:
    """Return a new net of two hidden layers."""
    layers = [fastnn.Dense(64, "relu", input_shape=(FEATURES,)), fastnn.Dense(64, "relu"), fastnn.Dense(1)]
    return fastnn.Sequential(layers)


def timed(run: Callable[[], None], clock: Callable[[], float]) -> float:
    """Return the seconds that a function takes."""
    start = clock()
    run()
    return clock() - start


def compare(count: int, epochs: int, rounds: int, clock: Callable[[], float]) -> None:
    """Train `count` nets both ways, and print the times."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, FEATURES)).astype(np.float32)
    y = x[:, :1] * x[:, 1:2]
    times: tuple[list[float], list[float]] = ([], [])
    losses = [0.0, 0.0]
    for _ in range(rounds):
        together = [net() for _ in range(count)]
        alone = [copy.deepcopy(m) for m in together]

        def one_by_one(nets: list[Any] = alone) -> None:
            for m in nets:
                m.compile("adam", "mse")
                m.fit(x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)

        def at_once(nets: list[Any] = together) -> None:
            fastnn.fit_many(nets, x, y, loss="mse", batch_size=BATCH, epochs=epochs, shuffle=False)

        times[0].append(timed(at_once, clock))
        times[1].append(timed(one_by_one, clock))
        losses = [float(np.mean([np.mean((m.predict(x, verbose=0) - y) ** 2) for m in nets])) for nets in (together, alone)]
    many, single = map(median, times)
    print(
        f"{count} nets {FEATURES}-64-64-1, {epochs} epochs of {SAMPLES} samples: together {many * 1e3:.0f} ms, one by one "
        f"{single * 1e3:.0f} ms, {single / many:.1f}x; mean losses of the last round {losses[0]:.3g} and {losses[1]:.3g}"
    )


def main() -> None:
    """Parse the arguments and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nets", type=int, default=32)
    parser.add_argument("--epochs", type=int, nargs="+", default=[20, 200])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu-time", action="store_true", help="processor time with one thread")
    given = parser.parse_args()
    if given.cpu_time:
        fastnn.set_num_threads(1)
    for epochs in given.epochs:
        compare(given.nets, epochs, given.rounds, time.process_time if given.cpu_time else time.perf_counter)


if __name__ == "__main__":
    main()
