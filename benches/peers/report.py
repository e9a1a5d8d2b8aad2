"""Writes docs/performance.md from the figures of all machines: a table for each kind of work, with a column for each machine."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import cleandoc
from pathlib import Path

from . import notes, page, why
from .figures import digits, factor, item, time
from .measure import Measured
from .results import Machine
from .row import OURS, Row
from .targets import speedups, target

ROOT = Path(__file__).resolve().parents[2]
PAGE, README = ROOT / "docs" / "performance.md", ROOT / "README.md"
MARKS = "<!-- written by bench_peers.py -->\n", "<!-- end -->\n"
"""Lines of README.md before and after the summaries."""


def write(machines: Sequence[Machine], rows: Sequence[Row]) -> None:
    """Write docs/performance.md, and the summaries in README.md."""
    PAGE.write_text(report(machines, rows))
    README.write_text(readme(README.read_text(), machines, rows))


def readme(text: str, machines: Sequence[Machine], rows: Sequence[Row]) -> str:
    """Return the text of README.md with the summaries of these machines."""
    before, first, rest = text.partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    lines = [item(summary(machine, rows, most=0)) for machine in machines]
    return before + first + "\n".join(lines) + "\n" + last + after


def report(machines: Sequence[Machine], rows: Sequence[Row]) -> str:
    """Return the text of docs/performance.md.

    Args:
        machines: the machines, the newest first.
        rows: all rows of a CPU; the page has those that were measured on any machine.
    """
    lines = ["# Performance", "", cleandoc(notes.REPORT), ""]
    lines += [item(summary(machine, rows)) for machine in machines]
    lines += ["", "## Machines", "", cleandoc(notes.TIMED["cpu"]), "", cleandoc(notes.CHECKED), ""]
    for machine in machines:
        lines += _machine(machine, rows)
    found = [row for row in rows if any(row.name in machine.rows for machine in machines)]
    for section in dict.fromkeys(row.section for row in found):
        chosen = [row for row in found if row.section == section]
        lines += ["", f"## {section}", "", cleandoc(notes.SECTIONS[section]), "", *_table(machines, chosen)]
        for row in chosen:
            lines += _beside(machines, row)
    lines += _left_out(machines, found)
    if machines:
        newest = machines[0]
        lines += why.section(newest, _measured(newest, found))
        costs = page.costs(newest.costs(), newest.wheel)
        lines += [*costs[:2], "", f"Measured on {newest.heading}.", *costs[2:]] if costs else []
    return "\n".join(lines) + "\n"


def summary(machine: Machine, rows: Sequence[Row], most: int = 1000) -> str:
    """Return a sentence with the number of rows in which fastnn is ahead of the best peer, and the rows in which it is behind.

    Args:
        machine: the machine.
        rows: all rows.
        most: the largest number of rows to name.
    """
    measured = _measured(machine, rows)
    ratios = {m.row.name: (ratio(m), m.best) for m in measured if ratio(m)}
    behind = sorted((name for name, (value, _) in ratios.items() if value < 1), key=lambda name: ratios[name][0])
    text = f"On {machine.heading}: ahead of the best peer in {len(ratios) - len(behind)} of {len(ratios)} rows"
    if behind and most:
        named = [f"{name} ({_below(ratios[name][0])} {ratios[name][1]})" for name in behind[:most]]
        text += f"; behind in: {'; '.join(named)}"
    elif behind:
        text += f"; behind in {len(behind)}, at worst {_below(ratios[behind[0]][0])} ({behind[0]})"
    outcomes = [target(m)[1] for m in measured if m.row.target]
    met, open_ = outcomes.count("met"), sum(outcome.startswith("not measured") for outcome in outcomes)
    return f"{text}. Targets met: {met} of {len(outcomes) - open_}."


def ratio(m: Measured) -> float:
    """Return how many times as fast as the best peer fastnn is, for single calls at the worst percentile; 0 if not measured."""
    if m.percentiles:
        return min(speedups(m), default=0.0)
    return m.times(m.best, m.ours) if m.ours and m.best else 0.0


def _below(value: float) -> str:
    """Format a factor below 1 so that it does not look like 1."""
    return factor(value) if value < 0.995 else f"{min(value, 0.9999):.4f}x"


def _measured(machine: Machine, rows: Sequence[Row]) -> list[Measured]:
    return [m for row in rows if (m := machine.measured(row))]


def _machine(machine: Machine, rows: Sequence[Row]) -> list[str]:
    """Return the item of a list that describes a machine and its run."""
    facts = [
        f"measured on {machine.date} by `{machine.command}`" if machine.date else "date and command unknown",
        ", ".join(filter(None, [machine.hardware, machine.system])),
        f"fastnn {machine.fastnn}",
        ", ".join(machine.contenders[1:]),
        "; ".join(page.limits(_measured(machine, rows))),
        f"{machine.rounds[0]} to {machine.rounds[-1]} rounds" if machine.rounds else "",
        f"about {machine.seconds:g} s for each contender in each row" if machine.seconds else "",
        f"load of the machine before: {machine.load:.2f}" if machine.load is not None else "",
        machine.note,
    ]
    return [item(f"**{machine.heading}**: {'; '.join(filter(None, facts)).rstrip('.')}.")]


def _table(machines: Sequence[Machine], rows: Sequence[Row]) -> list[str]:
    head = ["work", "target", *(machine.heading for machine in machines)]
    cells = []
    for row in rows:
        found = [machine.measured(row) for machine in machines]
        cells.append([row.name, target(Measured(row))[0], *(cell(m) if m else "" for m in found)])
    return page.table([head, *cells])


def cell(m: Measured) -> str:
    """Return the figure of fastnn, its ratio to the best peer, and the outcome."""
    if not m.ours:
        return "wrong" if m.wrong else ""
    if m.percentiles:
        figure = f"{page.percentiles(m, m.ours)}, {' / '.join(map(factor, speedups(m)))} the best peer"
        return "; ".join(filter(None, [figure, target(m)[1]]))
    seconds = m.seconds[m.ours]
    figure = f"{digits(m.row.amount / seconds)} {m.row.unit}" if m.row.amount else time(seconds)
    parts = [f"{figure} ({100 * m.share:.1f} %)" if m.row.limit and m.limit else figure]
    parts += [f"{factor(m.times(peer, m.ours))} {peer}" for peer in (m.best, OURS) if peer in m.seconds]
    return "; ".join(filter(None, [", ".join(parts), target(m)[1]]))


def _beside(machines: Sequence[Machine], row: Row) -> list[str]:
    """Return the lines about the accuracies and the memory of a row."""
    lines, texts = [], []
    for machine in machines:
        if m := machine.measured(row):
            texts += [f"- {machine.heading}, {line}" for line in page.memory(m)]
            lines += ["", f"On {machine.heading}, {accuracy}."] if (accuracy := page.accuracy(m)) else []
    return [*lines, *(["", cleandoc(notes.MEMORY[row.counted]), "", *texts] if texts else [])]


def _left_out(machines: Sequence[Machine], rows: Sequence[Row]) -> list[str]:
    lines = [
        f"- {machine.heading}, {m.row.name}: {line}"
        for machine in machines
        for m in _measured(machine, rows)
        for line in page.absences(m)
    ]
    return ["", "## Left out", "", *lines] if lines else []
