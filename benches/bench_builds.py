"""Compare two builds of fastnn in the rows of bench_peers.py.

    python benches/bench_builds.py OLD/bin/python NEW/bin/python
    python benches/bench_builds.py OLD/bin/python NEW/bin/python --only inference --rounds 40

Each argument is the Python of an environment in which a build is installed. Each build runs the jobs of this folder in a separate
process. A round times a job on one build, then on the other; every second round uses the opposite order. The script prints the
medians and the median of the rounds' ratios. A ratio above 1 means that the second build is slower.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers.rows import Row

SECONDS = 0.05
"""Seconds spent on a job in a round."""


def serve() -> None:
    """Time the jobs that the lines of standard input describe, in the process of one build."""
    from peers.fastnn import Contender

    contender, made = Contender("cpu", 0), {}
    clock = contender.clock()
    for line in sys.stdin:
        kind, *args = json.loads(line)
        if line not in made:
            job = getattr(contender, kind)(*(tuple(a) if isinstance(a, list) else a for a in args))
            job.settle()
            for _ in range(3):  # a step is recorded at its second call
                job.block(clock, 1)
            made[line] = job, max(1, round(SECONDS / max(job.block(clock, 3).wall, 1e-9)))
        job, n = made[line]
        job.warm(n)
        print(json.dumps(job.block(clock, n).wall), flush=True)


class Build:
    """Process that times the job of a row on one build, with the row's number of threads and instruction set."""

    def __init__(self, python: str, row: Row) -> None:
        settings = {"FASTNN_NUM_THREADS": str(row.threads) if row.threads else "", "FASTNN_ISA": row.isa}
        env = {**os.environ, **{name: value for name, value in settings.items() if value}}
        command = [python, str(Path(__file__).resolve()), "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self._work = json.dumps([row.kind, *row.args, row.precision, row.columns["fastnn"].mode])

    def seconds(self) -> float:
        assert self._process.stdin and self._process.stdout
        print(self._work, file=self._process.stdin, flush=True)
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    if sys.argv[1:] == ["--serve"]:
        serve()
        return
    from peers.rows import rows

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="Python with the old build, to compare with")
    parser.add_argument("new", help="Python with the new build")
    parser.add_argument("--only", action="append", metavar="ROW", help="choose rows by a part of their name")
    parser.add_argument("--rounds", type=int, default=20, help="pairs of measurements of a row (20)")
    options = parser.parse_args()
    print(f"{'old us':>12} {'new us':>12} {'ratio':>7}")
    for row in rows("cpu", bfloat16=False):
        if options.only and not any(part in row.name for part in options.only):
            continue
        builds = Build(options.old, row), Build(options.new, row)
        try:
            times: tuple[list[float], list[float]] = ([], [])
            for i in range(options.rounds):
                for which in (0, 1) if i % 2 else (1, 0):
                    times[which].append(builds[which].seconds())
            old, new = (statistics.median(t) * 1e6 for t in times)
            ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
            print(f"{old:12.2f} {new:12.2f} {ratio:7.3f}  {row.name}", flush=True)
        finally:
            for build in builds:
                build.close()


if __name__ == "__main__":
    main()
