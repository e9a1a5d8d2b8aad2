"""fastnn beside PyTorch, JAX, ONNX Runtime, scikit-learn and NumPy, as many of them as are installed, in one run.

    python benches/bench_peers.py                       all rows, in some minutes
    python benches/bench_peers.py --only inference      the rows whose name has this in it
    python benches/bench_peers.py --wheel dist/*.whl --write

Each row first checks that the results agree, then times all contenders in turn. --write writes docs/performance.md.
For figures that mean something the machine must have nothing else to do.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
PROCESSES = "processes"


def main() -> None:
    from peers import page, process, why
    from peers.measure import Bench, installed
    from peers.rows import rows

    import fastnn

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", metavar="ROW", help=f"rows with this in their name; {PROCESSES!r}: import and memory"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="to be spent on each contender in each row (1)")
    parser.add_argument("--wheel", type=Path, help="fastnn's wheel, for its size")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(PAGE.parents[1])}")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write writes the whole page; leave --only out")
    if options.seconds <= 0:
        parser.error("--seconds must be more than 0")
    everything = rows(freeze=hasattr(fastnn.Module, "freeze"), bfloat16=not fastnn.info().precisions["bfloat16"])
    chosen = [row for row in everything if not options.only or any(part in row.name for part in options.only)]
    processes = not options.only or PROCESSES in options.only
    if not chosen and not processes:
        parser.error(
            "--only: no row has that in its name; there are\n  " + "\n  ".join([r.name for r in everything] + [PROCESSES])
        )

    info, peers = fastnn.info(), installed()
    machine = page.Machine.this(info.isa)
    contenders = [f"fastnn {info.version} ({info.backend})", *page.versions(peers)]
    print(f"{machine.cpu}, {machine.cores} cores, {machine.isa}, load {machine.load:.2f}; {', '.join(contenders)}", flush=True)
    measured = []
    with Bench(peers, options.seconds) as bench:
        for row in chosen:
            measured.append(bench.measure(row))
            print(page.text(measured[-1]), flush=True)
    costs = process.costs(peers, rounds=max(1, min(5, round(5 * options.seconds)))) if processes else {}
    if costs:
        print("\n".join(page.cost_table(costs, options.wheel)))
    if options.write:
        given = [Path(a).name if a == str(options.wheel) else a for a in sys.argv[1:]]  # the wheel without this machine's folders
        command = shlex.join(["python", "benches/bench_peers.py", *given])
        PAGE.parent.mkdir(exist_ok=True)
        lines = why.section(measured)
        PAGE.write_text(page.page(measured, costs, machine, contenders, command, options.seconds, options.wheel, lines))
        print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
