"""Command line of bench_peers.py and bench_gpu.py: chooses rows, measures them and writes the page."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

import fastnn

from . import page, process, report, results, why
from .measure import Bench
from .rows import rows

PROCESSES = "processes"


def main(device: str, script: str, doc: str | None) -> int:
    """Measure the rows that the arguments choose; return the exit status, which is 1 if something failed."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    also = f"; {PROCESSES!r}: import and memory" if device == "cpu" else ""
    parser.add_argument("--only", action="append", metavar="ROW", help=f"choose rows by a part of their name{also}")
    parser.add_argument("--seconds", type=float, default=1.0, help="time spent on each contender in each row (1)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page to this file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to this file")
    if device == "cpu":
        parser.add_argument("--wheel", type=Path, help="wheel of fastnn, to show its size")
        parser.add_argument("--write", action="store_true", help="store this machine's figures and write docs/performance.md")
        parser.add_argument("--render", action="store_true", help="write docs/performance.md from the stored figures")
    options = parser.parse_args()
    if device == "cpu" and options.render:
        report.write(results.load(), rows("cpu"))
        return 0
    wheel, write = (options.wheel, options.write) if device == "cpu" else (None, False)
    size = wheel.stat().st_size if wheel else 0
    if write and options.only:
        parser.error("--write stores all rows; leave --only out")
    if options.seconds <= 0:
        parser.error("--seconds must be more than 0")
    info = fastnn.info()
    every = rows(device, bfloat16=not info.engines.get("bfloat16", "float32").startswith("float32"))
    chosen = [row for row in every if not options.only or any(part in row.name for part in options.only)]
    processes = device == "cpu" and (not options.only or PROCESSES in options.only)
    if not chosen and not processes:
        names = [row.name for row in every] + [PROCESSES] * (device == "cpu")
        parser.error("--only: no row has that in its name; the rows are\n  " + "\n  ".join(names))

    start, markdown = time.perf_counter(), options.markdown
    given = [Path(a).name if a == str(wheel) or Path(a).is_absolute() else a for a in sys.argv[1:]]  # no folders of this machine
    command = shlex.join(["python", script, *given])
    measured = []
    with Bench(device, seconds=options.seconds) as bench:
        run = page.Run.this(device, info.isa, info.backend, bench.peers, command, options.seconds)
        print(run, flush=True)
        for row in chosen:
            measured.append(bench.measure(row))
            print(page.text(measured[-1]), flush=True)
            if markdown:  # after each row, so that a stopped run leaves the rows measured so far
                markdown.write_text(page.page(measured, run))
            if options.json:
                options.json.write_text(json.dumps(page.as_json(measured, run), indent=1) + "\n")
        costs = process.costs(bench.peers, rounds=max(1, min(5, round(5 * options.seconds)))) if processes else {}
    if costs:
        print("\n".join(page.cost_table(costs, size)))
    print(f"{len(measured)} rows in {time.perf_counter() - start:.0f} s")
    if markdown:
        markdown.write_text(page.page(measured, run, page.costs(costs, size)))
        print(f"wrote {markdown}")
    if write:
        machine = results.here(info.isa, run, options.seconds)
        machine.add(measured)
        machine.processes, machine.wheel = {name: asdict(cost) for name, cost in costs.items()}, size
        machine.profiles = why.profiles(measured)
        print(f"wrote {machine.save()}")
        report.write(results.load(), rows(device))
    failed = [f"{m.row.name}: {line}" for m in measured for line in m.failed]
    if failed:
        print("\nFAILED\n  " + "\n  ".join(failed))
    return 1 if failed else 0
