"""Compare two builds of fastnn in the rows of bench_peers.py, or kernel by kernel.

    python benches/bench_builds.py OLD/bin/python NEW/bin/python
    python benches/bench_builds.py OLD/bin/python NEW/bin/python --only inference --rounds 40
    python benches/bench_builds.py OLD/bin/python NEW/bin/python --kernels --rounds 5

Each argument is the Python of an environment in which a build is installed. Each build runs the jobs of this folder in a separate
process. A round times a job on one build, then on the other; every second round uses the opposite order. The script prints the
medians and the median of the rounds' ratios. A ratio above 1 means that the second build is slower. `--kernels` times the cases
of tests/cases on one thread of the C++ backend, for builds with the same contract: it shows what other compiler flags cost.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cases.rates import Run

SECONDS = 0.05
"""Seconds spent on a job in a round."""
KERNEL_SECONDS = 0.002
"""Seconds spent on each block of a kernel's calls in a round."""


def serve() -> None:
    """Time the jobs that the lines of standard input describe, in the process of one build."""
    made: dict[str, Callable[[], float]] = {}
    for line in sys.stdin:
        if line not in made:
            kind, *args = json.loads(line)
            made[line] = kernel(*args) if kind == "kernel" else step(kind, args)
        print(json.dumps(made[line]()), flush=True)


def step(kind: str, args: list[Any]) -> Callable[[], float]:
    """Return a function that measures the seconds of a row's job."""
    from peers.fastnn import Contender

    contender = Contender("cpu", 0)
    clock = contender.clock()
    job = getattr(contender, kind)(*(tuple(a) if isinstance(a, list) else a for a in args))
    job.settle()
    for _ in range(3):  # a step is recorded at its second call
        job.block(clock, 1)
    n = max(1, round(SECONDS / max(job.block(clock, 3).wall, 1e-9)))

    def seconds() -> float:
        job.warm(n)
        return float(job.block(clock, n).wall)

    return seconds


def kernels() -> dict[str, Run]:
    """Return the cases of tests/cases that are benchmarks, on one thread of the C++ backend, by their names."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from cases.rates import runs

    from fastnn.backends.spec import FAMILIES

    return {str(run): run for family in FAMILIES for run in runs(family) if (run.backend, run.threads) == ("cpp", 1)}


def kernel(name: str) -> Callable[[], float]:
    """Return a function that measures the seconds of a kernel: the least of a few blocks, as other work only adds to them."""
    from fastnn.backends import load

    run = kernels()[name]
    call, args = load("cpp").table[run.case.kernel], tuple(run.case.make(run.dtype).values())
    timer = timeit.Timer(lambda: call(*args))
    timer.timeit(1)
    n = max(1, round(KERNEL_SECONDS / max(timer.timeit(1), 1e-7)))
    return lambda: min(timer.repeat(4, n)) / n


class Build:
    """Process that times jobs on one build, with a number of threads and an instruction set."""

    def __init__(self, python: str, threads: int | None, isa: str) -> None:
        settings = {"FASTNN_NUM_THREADS": str(threads) if threads else "", "FASTNN_ISA": isa}
        env = {**os.environ, **{name: value for name, value in settings.items() if value}}
        command = [python, str(Path(__file__).resolve()), "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def seconds(self, work: list[Any]) -> float:
        assert self._process.stdin and self._process.stdout
        print(json.dumps(work), file=self._process.stdin, flush=True)
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compare(builds: tuple[Build, Build], work: list[Any], rounds: int, name: str) -> float:
    """Time a job on both builds in turns, print a line, and return the median ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(rounds):
        for which in (0, 1) if i % 2 else (1, 0):
            times[which].append(builds[which].seconds(work))
    old, new = (statistics.median(t) * 1e6 for t in times)
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    print(f"{old:12.2f} {new:12.2f} {ratio:7.3f}  {name}", flush=True)
    return ratio


def main() -> None:
    if sys.argv[1:] == ["--serve"]:
        serve()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="Python with the old build, to compare with")
    parser.add_argument("new", help="Python with the new build")
    parser.add_argument("--only", action="append", metavar="ROW", help="choose rows by a part of their name")
    parser.add_argument("--rounds", type=int, default=20, help="pairs of measurements of a row (20)")
    parser.add_argument("--kernels", action="store_true", help="compare kernels in place of the rows")
    options = parser.parse_args()
    ratios = []

    def wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    @contextmanager
    def builds(threads: int | None, isa: str) -> Iterator[tuple[Build, Build]]:
        both = Build(options.old, threads, isa), Build(options.new, threads, isa)
        try:
            yield both
        finally:
            for build in both:
                build.close()

    print(f"{'old us':>12} {'new us':>12} {'ratio':>7}")
    if options.kernels:
        with builds(1, "") as both:
            ratios += [compare(both, ["kernel", name], options.rounds, name) for name in filter(wanted, kernels())]
    else:
        from peers.rows import rows

        for row in rows("cpu", bfloat16=False):
            if wanted(row.name):
                with builds(row.threads, row.isa) as both:
                    work = [row.kind, *row.args, row.precision, row.columns["fastnn"].mode]
                    ratios.append(compare(both, work, options.rounds, row.name))
    if ratios:
        print(f"{'':25} {statistics.geometric_mean(ratios):7.3f}  geometric mean of {len(ratios)}")


if __name__ == "__main__":
    main()
