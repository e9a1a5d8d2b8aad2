"""fastnn beside PyTorch and JAX on one NVIDIA GPU, as many of them as are installed, in one process.

    python benches/bench_gpu.py                                       all rows, in some minutes
    python benches/bench_gpu.py --only product --seconds 0.1          the rows whose name has this in it
    python benches/bench_gpu.py --markdown docs/performance-gpu.md --json docs/performance-gpu.json

Each row first checks the results against float64, then times all contenders in turn. It ends with 1 where a result was wrong or
fastnn failed, after all other rows; a missed target is no failure. benches/gpu.sh runs it after the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path


def main() -> int:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take most of the memory
    from gpu import page
    from gpu.measure import SECONDS, Bench
    from gpu.rows import rows

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="ROW", help="rows with this in their name")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"to be spent on each contender in each row ({SECONDS:g})")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="where the page is written")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all numbers are written")
    options = parser.parse_args()
    if options.seconds <= 0:
        parser.error("--seconds must be more than 0")
    chosen = [row for row in rows() if not options.only or any(part in row.name for part in options.only)]
    if not chosen:
        parser.error("--only: no row has that in its name; there are\n  " + "\n  ".join(r.name for r in rows()))

    start = time.perf_counter()
    bench, machine = Bench("cuda", options.seconds), page.Machine.this()
    contenders = [contender.version for contender in bench.contenders.values()]
    command = shlex.join(["python", "benches/bench_gpu.py", *sys.argv[1:]])
    print(f"{machine}; {', '.join(contenders)}", flush=True)
    measured = []
    for row in chosen:
        measured.append(bench.measure(row))
        print(page.text(measured[-1]), flush=True)
        given = measured, machine, contenders, command, options.seconds
        if options.markdown:  # after each row: a run that is stopped leaves what it has
            options.markdown.write_text(page.page(*given))
        if options.json:
            options.json.write_text(json.dumps(page.as_json(*given), indent=1) + "\n")
    failed = [f"{m.row.name}: {line}" for m in measured for line in m.failed]
    print(f"{len(measured)} rows in {time.perf_counter() - start:.0f} s")
    if failed:
        print("\nFAILED\n  " + "\n  ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
