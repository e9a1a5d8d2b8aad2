"""Whatever is in a file, loading it gives a model or a ValueError, in bounded time and memory, and the process lives on.

`pytest -m slow tests/fuzz` goes on for FASTNN_FUZZ_SECONDS (120), from a seed of its own (FASTNN_FUZZ_SEED), which it prints.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from fuzz.mutations import mutated, valid

import fastnn

MOST_SECONDS, MOST_BYTES = 20, 3 << 30


def attempt(path: Path) -> None:
    """Loads a file, which may be refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fastnn.load(path)
        except ValueError as error:
            assert str(error).startswith("load:") and len(str(error)) < 2000


def many(folder: Path, seed: int, seconds: float, most: int | None = None) -> int:
    """Mutates files and loads them, for so long or so often; returns how often. The last file is kept."""
    contents, path, end, n = valid(folder), folder / "file", time.monotonic() + seconds, 0
    while time.monotonic() < end and n != most:
        rng = random.Random(f"{seed} {n}")
        path.write_bytes(mutated(rng.choice(contents), rng, path))
        signal.alarm(MOST_SECONDS)
        try:
            attempt(path)
        except BaseException:
            print(f"\nseed {seed}, file {n}: {path}", flush=True)
            raise
        finally:
            signal.alarm(0)
        n += 1
    return n


def test_a_few_hundred_files(tmp_path: Path) -> None:
    assert many(tmp_path, 0, 60, 250) == 250


@pytest.mark.slow
def test_files_for_minutes(tmp_path: Path) -> None:
    seed = int(os.environ.get("FASTNN_FUZZ_SEED", random.randrange(1 << 32)))
    seconds = float(os.environ.get("FASTNN_FUZZ_SECONDS", "120"))
    print("seed", seed)
    command: list[Any] = [sys.executable, __file__, tmp_path, seed, seconds]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"seed {seed}: returned {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    print(many(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])), "files")
