"""Measure whether training steps stay fast: the time of a step in 20 windows, from the first thousand steps to the last.

`python benches/bench_steady.py` trains 400-15-15-15-10 on one batch of random data for 20,000 steps. Some units die on such data:
their gradients are 0 from then on, and the averages that an optimizer keeps of them decay. If these became denormal numbers, all
later steps would be slow on many CPUs.

The script prints the median time of a step in each window, the ratio of the last window to the first, also for the minima, which
other work on the machine disturbs less, and how many numbers of the optimizer's state are 0 and how many are denormal.
`--optimizers` names the optimizers as in `compile`; "momentum", "centered" and "amsgrad" are SGD, RMSprop and Adam with these
settings.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import fastnn

SIZES, BATCH, WINDOWS = (400, 15, 15, 15, 10), 32, 20
VARIANTS = {
    "momentum": lambda: fastnn.optim.SGD(lr=0.01, momentum=0.9),
    "centered": lambda: fastnn.optim.RMSprop(lr=1e-3, momentum=0.9, centered=True),
    "amsgrad": lambda: fastnn.optim.Adam(amsgrad=True),
}


def compiled(optimizer: Any) -> fastnn.Sequential:
    """Return a classifier with ReLU between its layers."""
    fastnn.seed(0)
    layers = [fastnn.Dense(o, activation="relu", input_shape=(i,)) for i, o in pairwise(SIZES[:-1])]
    model = fastnn.Sequential([*layers, fastnn.Dense(SIZES[-1], input_shape=(SIZES[-2],))])
    model.compile(optimizer, fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def windows(model: fastnn.Sequential, steps: int) -> tuple[list[float], list[float]]:
    """Train on one batch; return the median and the minimal time of a step in each window, in microseconds."""
    rng = np.random.default_rng(0)
    x, y = rng.random((BATCH, SIZES[0]), np.float32), rng.integers(0, SIZES[-1], BATCH)
    for _ in range(20):  # the first steps are recorded
        model.train_on_batch(x, y)
    medians, minima = [], []
    for _ in range(WINDOWS):
        times = []
        for _ in range(steps // WINDOWS):
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times.append(time.perf_counter() - start)
        medians.append(statistics.median(times) * 1e6)
        minima.append(min(times) * 1e6)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    return medians, minima


def kept(model: fastnn.Sequential) -> str:
    """Return how many numbers of the optimizer's state are 0 and how many are denormal."""
    states: list[dict[str, Any]] = list(model.optimizer.state_dict()["state"].values())
    arrays = [a.ravel() for state in states for a in state.values() if isinstance(a, np.ndarray)]
    values = np.concatenate([np.empty(0, np.float32), *arrays])
    denormal = (values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)
    return f"of {values.size} numbers of state, {np.count_nonzero(values == 0)} are 0 and {np.count_nonzero(denormal)} denormal"


def cpu() -> str:
    """Return the name of the CPU, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000, help="number of steps (20000)")
    parser.add_argument("--threads", type=int, default=1, help="number of threads (1)")
    parser.add_argument("--optimizers", nargs="+", default=["adam"], metavar="NAME", help="names as in compile (adam)")
    options = parser.parse_args()
    fastnn.set_num_threads(options.threads)
    net = "-".join(map(str, SIZES))
    print(f"{net}, batch {BATCH}, {options.steps} steps; {cpu()}, {fastnn.info().isa}, {options.threads} threads")
    for name in options.optimizers:
        model = compiled(VARIANTS[name]() if name in VARIANTS else name)
        medians, minima = windows(model, options.steps)
        print(f"{name}: us for a step in {WINDOWS} windows: {' '.join(f'{t:.1f}' for t in medians)}")
        ratios = f"medians {medians[-1] / medians[0]:.2f}, minima {minima[-1] / minima[0]:.2f}"
        print(f"{name}: ratio of last to first: {ratios}; {kept(model)}")


if __name__ == "__main__":
    main()
