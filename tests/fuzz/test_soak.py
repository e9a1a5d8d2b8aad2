"""Random programs, one after the other: memory, threads and open files do not grow.

`pytest -m slow tests/fuzz` goes on for FASTNN_FUZZ_SECONDS (120), from a seed of its own (FASTNN_FUZZ_SEED), which it prints.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import host_only
from interrupt import Interrupt

import fastnn

SECONDS = float(os.environ.get("FASTNN_FUZZ_SECONDS", "120"))
X = np.random.default_rng(0).random((16, 4)).astype("f4")
Y = np.random.default_rng(1).random((16, 2)).astype("f4")


def usage() -> tuple[int, int, int]:
    """Resident kilobytes, threads, open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * (os.sysconf("SC_PAGE_SIZE") // 1024), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def settled(threads: int, files: int) -> tuple[int, int, int]:
    """The usage once there are no more threads and files than so many: the system ends a thread a while after Python has."""
    gc.collect()
    until = time.monotonic() + 5
    while (used := usage())[1] > threads or used[2] > files:
        if time.monotonic() > until:
            break
        time.sleep(0.01)
    return used


def program(rng: random.Random, tmp: Path) -> None:
    m = fastnn.Sequential(
        [fastnn.Dense(rng.choice([3, 5]), activation="relu", input_shape=(4,)), fastnn.Dropout(0.5), fastnn.Dense(2)]
    )
    m.compile(rng.choice(["adam", "sgd"]), "mse", metrics=["mae"])
    m(X)
    step = fastnn.capture(lambda x: (fastnn.tensor(x) * 2).sum())

    def captured() -> None:
        for _ in range(3):
            step(X)

    calls: list[Callable[[], Any]] = [
        lambda: m.fit(X, Y, verbose=0, batch_size=rng.choice([4, 16]), validation_split=0.25),
        lambda: m.predict(X),
        lambda: m.evaluate(X, Y, verbose=0),
        lambda: m.freeze()(X[0]),
        lambda: (m.save(tmp / "m"), fastnn.load(tmp / "m")),
        captured,
    ]
    for call in rng.choices(calls, k=3):
        kind = rng.random()
        if kind < 0.3:
            Interrupt(rng.randrange(1, 400), "").run(call)
        elif kind < 0.5:
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
        else:
            call()


@host_only("what may be left behind is Python's")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what a process uses")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seconds", [2.0, pytest.param(SECONDS, marks=pytest.mark.slow, id="long")])
def test_nothing_grows(tmp_path: Path, seconds: float) -> None:
    seed = int(os.environ.get("FASTNN_FUZZ_SEED", 0 if seconds == 2.0 else random.SystemRandom().randrange(1 << 30)))
    rng = random.Random(seed)
    a = np.ones((1024, 1024), np.float32)
    a @ a, fastnn.tensor(a) @ fastnn.tensor(a)  # starts the threads of NumPy and of fastnn
    for _ in range(40):
        program(rng, tmp_path)
    time.sleep(0.1)
    before, end = usage(), time.monotonic() + seconds
    while time.monotonic() < end:
        program(rng, tmp_path)
    memory, threads, files = (b - a for a, b in zip(before, settled(*before[1:]), strict=True))
    assert memory < 30_000 and threads <= 0 and files <= 0, (
        f"FASTNN_FUZZ_SEED={seed}: +{memory} KB, +{threads} threads, +{files} files"
    )
