"""The table as text and as docs/performance.md: every number in it was measured in the run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from .measure import Measured
from .process import Cost
from .rows import OURS

COLUMNS = (OURS, "NumPy", "PyTorch", "PyTorch chunked", "JAX", "JAX scan", "ONNX Runtime", "ONNX Runtime bound", "scikit-learn")
PACKAGES = {
    "NumPy": ("numpy",),
    "PyTorch": ("torch",),
    "JAX": ("jax", "jaxlib", "optax"),
    "ONNX Runtime": ("onnxruntime", "onnx"),
    "scikit-learn": ("scikit-learn",),
}


@dataclass
class Machine:
    """Where it was measured; load is the machine's mean load in the minute before."""

    cpu: str
    cores: int
    isa: str
    load: float
    system: str

    @classmethod
    def this(cls, isa: str) -> Machine:
        lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        cpu = names[0] if names else platform.processor() or platform.machine()
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        return cls(cpu, len(os.sched_getaffinity(0)), isa, os.getloadavg()[0], system)


def versions(peers: Sequence[str]) -> list[str]:
    """Each peer with its packages' versions."""
    return [f"{name} ({', '.join(f'{p} {version(p)}' for p in PACKAGES[name])})" for name in peers]


def time(seconds: float) -> str:
    """Three digits and a unit."""
    unit, name = next((u, n) for u, n in ((1e-6, "us"), (1e-3, "ms"), (1.0, "s")) if seconds < 999.5 * u or u == 1.0)
    return f"{digits(seconds / unit)} {name}"


def digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def factor(value: float) -> str:
    return f"{digits(value)}x"


def target(m: Measured) -> tuple[str, str]:
    """What is aimed at, and whether it is reached: "met", or by how much each part is missed."""
    t = m.row.target
    if t is None:
        return "", ""
    aims, missed = [], []
    if t.seconds is not None:
        aims.append(f"<= {time(t.seconds)}")
        if m.ours > t.seconds:
            missed.append(f"{time(m.ours)}, {digits(100 * (m.ours / t.seconds - 1))} % over")
    if t.share is not None:
        aims.append(f">= {100 * t.share:.0f} % of {m.row.limit_name}")
        if m.share < t.share:
            missed.append(f"{100 * m.share:.1f} %, {100 * (t.share - m.share):.1f} points short")
    for peer, times in t.times.items():
        aims.append(f">= {times:g}x {peer}")
        if peer not in m.seconds:
            missed.append(f"{peer} not measured")
        elif m.times(peer) < times:
            missed.append(f"{factor(m.times(peer))} {peer}, {digits(100 * (1 - m.times(peer) / times))} % short")
    for args, found in m.memory.items():
        for peer, share in t.memory.items():
            aims.append(f"<= {share:g}x the memory of {peer} at {args[-1]} rows")
            if peer in found and found["fastnn"] > share * found[peer]:
                missed.append(f"{factor(found['fastnn'] / found[peer])} the memory of {peer} at {args[-1]} rows")
            elif peer not in found:
                missed.append(f"memory of {peer} not measured")
    return "; ".join(aims), "missed: " + "; ".join(missed) if missed else "met"


def memory(m: Measured) -> list[str]:
    """For each number of rows, what the contenders needed for a while."""
    lines = [(args[-1], found) for args, found in m.memory.items() if found]
    return [f"{n} rows: " + ", ".join(f"{name} {digits(mib)} MiB" for name, mib in found.items()) for n, found in lines]


def _figure(m: Measured, name: str) -> str:
    """A contender's figure: a rate where the row has a limit, else a time."""
    if name not in m.seconds:
        return ""
    if not m.row.limit:
        return time(m.seconds[name])
    return digits(m.row.amount / m.seconds[name])


def _cells(m: Measured) -> list[str]:
    """A line of the table."""
    ours = _figure(m, "fastnn")
    if m.row.limit:
        ours += f" ({100 * m.share:.1f} %)"
    marks = [_figure(m, c) + ("*" if not m.row.threads and m.threads.get(c) == 1 else "") for c in COLUMNS]
    best = f"{factor(m.times(m.best))} {m.best}" if m.best else ""
    return [m.row.name, ours, *marks, best, *target(m)]


HEAD = ["work", "fastnn", *COLUMNS, "fastnn over the best peer", "target", "outcome"]


def table(lines: Sequence[Sequence[str]]) -> list[str]:
    """Markdown, without the columns that are empty."""
    kept = [i for i in range(len(lines[0])) if i == 0 or any(line[i] for line in lines[1:])]
    rows = ["| " + " | ".join(line[i] for i in kept) + " |" for line in lines]
    return [rows[0], "|" + "---|" * len(kept), *rows[1:]]


def text(m: Measured) -> str:
    """A row as a few words on a line."""
    figures = [f"{name} {_figure(m, name)}" for name in ("fastnn", *COLUMNS) if name in m.seconds]
    share = f"{100 * m.share:.1f} % of {digits(m.limit)} {m.row.unit} a core" if m.row.limit else ""
    parts = [", ".join(figures), share, _cells(m)[-3], *memory(m), target(m)[1]]
    return f"{m.row.name}: " + "; ".join(p for p in parts if p)


def cost_table(costs: dict[str, Cost], wheel: Path | None) -> list[str]:
    """What the libraries cost a process."""
    lines = [["", "import", "resident after it", "first prediction", "first training step", "installed", "wheel"]]
    for name, c in costs.items():
        size = f"{wheel.stat().st_size / 1e6:.2f} MB" if wheel and name == "fastnn" else ""
        firsts = [time(s) if s else "" for s in (c.prediction, c.step)]
        lines.append([name, time(c.importing), f"{c.memory:.0f} MiB", *firsts, f"{digits(c.size)} MB", size])
    return table(lines)


def page(
    measured: Sequence[Measured],
    costs: dict[str, Cost],
    machine: Machine,
    contenders: Sequence[str],
    command: str,
    seconds: float,
    wheel: Path | None = None,
    why: Sequence[str] = (),
) -> str:
    """docs/performance.md.

    Args:
        contenders: names and versions of all that took part.
        command: what was typed.
        seconds: those spent on each contender in each row.
        why: lines on the rows that miss their targets.
    """
    products = [m for m in measured if m.row.limit]
    nets = [m for m in measured if not m.row.limit and m.row.dtype == "float32"]
    mixed = [m for m in measured if m.row.dtype == "bfloat16"]
    rounds = sorted(m.rounds for m in measured)
    met = [m for m in measured if target(m)[1] == "met"]
    aimed = [m for m in measured if m.row.target]
    lines = [
        "# Performance",
        "",
        f"Measured on {date.today().isoformat()} by `{command}`, which writes this page.",
        "",
        f"- Machine: {machine.cpu}, {machine.cores} cores, {machine.isa}; {machine.system}",
        f"- Load of the machine in the minute before: {machine.load:.2f}",
        *(f"- Measured: {line}" for line in _limits(products)),
        f"- Contenders: {', '.join(contenders)}",
        "",
        "Each contender runs in a process of its own, on one thread and on two, of which the better counts (`*`: one); fastnn",
        f"always has two. They take turns in short blocks, {rounds[0]} to {rounds[-1]} rounds of them and about {seconds:g} s",
        "each; the figures are medians over the rounds. Before a row is timed its results are checked against float64. How each",
        "peer is set up stands in `benches/peers/`. Ratios within this page mean something; another machine, or a busy one,",
        "gives other figures.",
        "",
        f"Targets met: {len(met)} of {len(aimed)}.",
    ]
    if products:
        lines += [
            "",
            "## Matrix products, float32",
            "",
            "GFLOP/s; GB/s for the product of one row. In brackets, the share of what as many cores",
        ]
        lines += ["can do at most.", "", *table([HEAD, *map(_cells, products)])]
    if nets:
        lines += ["", "## Networks, float32", "", *NOTES, "", *table([HEAD, *map(_cells, nets)])]
    if mixed:
        lines += ["", "## Networks, products of bfloat16", "", *MIXED, "", *table([HEAD, *map(_cells, mixed)])]
    for m in measured:
        if m.accuracy:
            values = ", ".join(f"{name} {value:.3f}" for name, value in m.accuracy.items())
            lines += ["", f"Mean test accuracy on the digits: {values}."]
        if any(m.memory.values()):
            lines += ["", *MEMORY, "", *(f"- {line}" for line in memory(m))]
    lines += why
    if costs:
        lines += ["", "## Processes", "", *COSTS, "", *cost_table(costs, wheel)]
    return "\n".join(lines) + "\n"


NOTES = [
    "Adam and cross-entropy in all training. `fit`, fastnn's and scikit-learn's, shuffles and gathers each batch within the time",
    "shown; the steps of the other peers are given batches that are their own arrays already, in a fixed order. JAX scan is an",
    "epoch in one call. Inference takes a NumPy array and gives another with fastnn, ONNX Runtime and scikit-learn; NumPy,",
    "PyTorch, JAX and ONNX Runtime bound find the input in place and leave the output there. The LM head is a weight without",
    "bias and the mean cross-entropy, with the gradients of weight and input: nn.LinearCrossEntropyLoss under capture in fastnn,",
    "linear and cross_entropy in PyTorch, its linear_cross_entropy by 64 rows in PyTorch chunked, jitted value_and_grad in JAX.",
]
MIXED = [
    "Mixed precision: weights, gradients and Adam stay float32. `compile(dtype=...)` in fastnn, `torch.autocast` around forward",
    "pass and loss in PyTorch; fastnn float32 is the same `fit` without it, in a process of its own.",
]
MEMORY = [
    "Memory that the LM head needs for a while: by how much three calls, in a fresh process, raise the most that is resident",
    "over what is there after a first one, the weight, the input and the gradients of both. PyTorch and JAX give the gradients",
    "back before each call, as zero_grad does, so that what they need next takes their place.",
]
COSTS = [
    "Each in a process of its own. First results are those of 400-15-15-15-10, at batch 1 and batch 32, from importing the",
    "library (NumPy is there already) to the result.",
]


def _limits(products: Sequence[Measured]) -> list[str]:
    """What one core did at most, as measured along with the rows."""
    found: dict[str, list[float]] = {}
    for m in products:
        what = f"{m.row.limit_name} of one core{f' with {m.row.isa}' if m.row.isa else ''}, {m.row.unit}"
        found.setdefault(what, []).append(m.limit)
    return [
        f"{what}: {digits(min(v))}" + (f" to {digits(max(v))}" if digits(min(v)) != digits(max(v)) else "")
        for what, v in found.items()
    ]
