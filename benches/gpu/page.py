"""The table as text, as a page of Markdown and as JSON: every number in them was measured in the run."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from peers.page import digits, factor, table, time

from .measure import Measured
from .rows import MODULES

SECTIONS = {
    "matmul": "Matrix products",
    "train": "Training steps",
    "predict": "Inference",
    "head": "A language model's last layer",
    "adam": "Adam",
    "digits": "The digits",
}
PACKAGES = ("numpy", "cupy-cuda13x", "nvmath-python", "torch", "triton", "jax", "jax-cuda13-plugin")


@dataclass
class Machine:
    """Where it was measured.

    Args:
        gpus: lines of `nvidia-smi`: name, driver and memory.
        system: operating system, and Python's version.
        packages: versions, of those that are installed.
    """

    gpus: list[str]
    system: str
    packages: dict[str, str] = field(default_factory=dict)

    @classmethod
    def this(cls) -> Machine:
        command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        try:
            gpus = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip().splitlines()
        except (OSError, subprocess.SubprocessError):
            gpus = []
        packages = {}
        for name in PACKAGES:
            try:
                packages[name] = version(name)
            except PackageNotFoundError:
                continue
        system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
        return cls(gpus, system, packages)

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {v}" for name, v in self.packages.items())
        return f"{'; '.join(self.gpus) or 'no GPU that nvidia-smi tells of'}; {self.system}; {packages}"


def target(m: Measured) -> tuple[str, str]:
    """What is aimed at, and whether it is reached: "met", or by how much each part is missed."""
    t, seconds = m.row.target, m.seconds
    if t is None:
        return "", ""
    aims, missed = [], []
    for peer, times in t.times.items():
        aims.append(f"fastnn >= {times:g}x {peer}")
        if "fastnn" not in seconds or peer not in seconds:
            missed.append(f"{peer if 'fastnn' in seconds else 'fastnn'} not measured")
        elif (found := seconds[peer] / seconds["fastnn"]) < times:
            missed.append(f"{factor(found)} {peer}, {digits(100 * (1 - found / times))} % short")
    if t.best:
        aims.append(f">= {t.best:g}x PyTorch's best")
        ours, peer = m.best("fastnn"), m.best("torch")
        if not ours or not peer:
            missed.append(f"{'PyTorch' if ours else 'fastnn'} not measured")
        elif (found := seconds[peer] / seconds[ours]) < t.best:
            missed.append(f"{factor(found)} {peer}, {digits(100 * (1 - found / t.best))} % short")
    if t.bandwidth:
        aims.append(f">= {100 * t.bandwidth:.0f} % of the copy bandwidth")
        if not m.best("fastnn") or not m.bandwidth:
            missed.append("not measured")
        elif m.share < t.bandwidth:
            missed.append(f"{100 * m.share:.1f} %, {100 * (t.bandwidth - m.share):.1f} points short")
    return "; ".join(aims), "missed: " + "; ".join(missed) if missed else "met"


def _figure(m: Measured, column: str) -> str:
    """A contender's time; of products, TFLOP/s with it."""
    if column not in m.seconds:
        return "wrong" if column in m.wrong else ""
    seconds = m.seconds[column]
    return time(seconds) + (f" ({digits(m.row.operations / seconds / 1e12)})" if m.row.operations else "")


def _compared(m: Measured) -> str:
    """fastnn's better way beside the best peer."""
    ours, peer = m.best("fastnn"), m.best("torch", "jax")
    return f"{factor(m.seconds[peer] / m.seconds[ours])} {peer}" if ours and peer else ""


def _cells(m: Measured) -> list[str]:
    """A line of the table."""
    return [m.row.name, *(_figure(m, column) for column in MODULES), _compared(m), *target(m)]


HEAD = ["work", *MODULES, "fastnn's best over the best peer", "target", "outcome"]


def _absences(m: Measured) -> list[str]:
    """Who was to take part and has no figure, and why."""
    return [f"{column}: {why}" for column, why in {**m.wrong, **m.left_out}.items()]


def text(m: Measured) -> str:
    """A row as a few lines."""
    figures = ", ".join(f"{column} {_figure(m, column)}" for column in m.seconds)
    accuracy = ", ".join(f"{column} {value:.3f}" for column, value in m.accuracy.items())
    prepared = ", ".join(f"{column} {seconds:.1f} s" for column, seconds in m.prepared.items() if seconds >= 1)
    parts = [figures, _share(m), f"test accuracy {accuracy}" if accuracy else "", _compared(m), target(m)[1]]
    lines = [f"{m.row.name}: " + "; ".join(part for part in parts if part)]
    lines += [f"  {line}" for line in _absences(m)]
    return "\n".join([*lines, f"  prepared in: {prepared}"] if prepared else lines)


def _share(m: Measured) -> str:
    if not m.bandwidth or not m.best("fastnn"):
        return ""
    copied = f"{m.row.copied / 1e9:g} GB"
    rate = f"{m.bandwidth / 1e12:.2f} TB/s"
    return f"fastnn at {100 * m.share:.1f} % of the {rate} at which {copied} are copied in device memory"


def page(measured: Sequence[Measured], machine: Machine, contenders: Sequence[str], command: str, seconds: float) -> str:
    """docs/performance-gpu.md.

    Args:
        contenders: names and versions of all that took part.
        command: what was typed.
        seconds: those spent on each contender in each row.
    """
    rounds = sorted(len(took) for m in measured for took in m.took.values()) or [0]
    aimed = [m for m in measured if m.row.target]
    met = [m for m in aimed if target(m)[1] == "met"]
    lines = [
        "# Performance on a GPU",
        "",
        f"Measured on {date.today().isoformat()} by `{command}`, which writes this page.",
        "",
        f"- GPU: {'; '.join(machine.gpus)}",
        f"- System: {machine.system}; {', '.join(f'{name} {v}' for name, v in machine.packages.items())}",
        f"- Contenders: {', '.join(contenders)}",
        "",
        *TIMED,
        f"There were {rounds[0]} to {rounds[-1]} rounds, about {seconds:g} s in all for each contender in each row.",
        "",
        *CHECKED,
        "",
        f"Targets met: {len(met)} of {len(aimed)}.",
    ]
    for kind, title in SECTIONS.items():
        if chosen := [m for m in measured if m.row.kind == kind]:
            lines += ["", f"## {title}", "", *NOTES[kind], "", *table([HEAD, *map(_cells, chosen)])]
            for m in chosen:
                if share := _share(m):
                    lines += ["", f"{share}."]
                if m.accuracy:
                    values = ", ".join(f"{name} {value:.3f}" for name, value in m.accuracy.items())
                    lines += ["", f"Mean test accuracy on the digits: {values}."]
    absent = [f"- {m.row.name}: {line}" for m in measured for line in _absences(m)]
    return "\n".join([*lines, *(["", "## Left out", "", *absent] if absent else [])]) + "\n"


TIMED = [
    "All contenders run in one process on the same GPU and take turns in short blocks, round after round; the figures are",
    "medians over the rounds, of one step. A block is timed by CUDA events before and after it, in the stream that it goes to,",
    "so what the host takes to start the work is in it wherever the GPU waits for it. JAX has no events: its blocks are timed",
    "by the host's clock until the last result is ready, and so is the training of the digits.",
]
CHECKED = [
    "Before a row is timed, each contender's result is checked against float64, computed by NumPy: losses after a few steps of",
    "training, outputs, gradients, and rows of products spread over all of them.",
]
NOTES: Mapping[str, Sequence[str]] = {
    "matmul": [
        "In brackets, TFLOP/s. fastnn's bfloat16 product takes float32 arrays, rounds them and gives float32; PyTorch and JAX",
        "are given arrays of bfloat16 and give such. fastnn captured and PyTorch CUDA graph are graphs of 20 products, of which",
        "the time of one is shown.",
    ],
    "train": [
        "Adam and cross-entropy. tf32 and bfloat16 are what the factors of products are rounded to, bfloat16 by autocast in",
        "PyTorch; weights, gradients and Adam stay float32. fastnn is `fit`: the whole call, which is given NumPy arrays,",
        "uploads them anew and shuffles and gathers each batch; all others find their batches on the device, in a fixed order.",
        "fastnn captured is the loop written by hand under `fastnn.capture`, PyTorch compiled is model and loss under",
        "`torch.compile` in the mode reduce-overhead, PyTorch CUDA graph the whole step in a graph, into which each batch is",
        "copied, JAX a jitted step with donated buffers, and JAX scan, for the smaller nets, a whole epoch in a call.",
    ],
    "predict": [
        "float32. The input is on the device, and the output stays there. fastnn is a forward function under `fastnn.capture`,",
        "which copies the input in and the output out; PyTorch runs under `inference_mode`, its graph copies the input in.",
    ],
    "head": [
        "float32: a weight without bias, the mean cross-entropy, and the gradients of weight and input. fastnn has",
        "nn.LinearCrossEntropyLoss under `fastnn.capture`, PyTorch linear and cross_entropy, JAX a jitted value_and_grad.",
    ],
    "adam": [
        "One buffer of float32. A parameter takes 28 bytes: weight, gradient and both moments are read, all but the gradient",
        "written. fastnn's kernel, PyTorch's fused Adam, and the formula jitted with donated buffers in JAX.",
    ],
    "digits": [
        "From new weights to the trained model, a seed for each round; what is compiled anew or captured for a new model counts.",
        "fastnn is `fit` with NumPy arrays; PyTorch's data are on the device, where it shuffles them.",
    ],
}


def as_json(
    measured: Sequence[Measured], machine: Machine, contenders: Sequence[str], command: str, seconds: float
) -> dict[str, Any]:
    """All numbers of a run; the arguments are those of `page`."""
    return {
        "date": date.today().isoformat(),
        "command": command,
        "seconds": seconds,
        "machine": asdict(machine),
        "contenders": list(contenders),
        "rows": [_row(m) for m in measured],
    }


def _row(m: Measured) -> dict[str, Any]:
    aim, outcome = target(m)
    return {
        "name": m.row.name,
        "kind": m.row.kind,
        "args": m.row.args,
        "precision": m.row.precision,
        "seconds": m.seconds,
        "wall_seconds": m.wall,
        "blocks": {column: [t.device for t in took] for column, took in m.took.items()},
        "errors": m.errors,
        "wrong": m.wrong,
        "left_out": m.left_out,
        "prepared_seconds": m.prepared,
        "accuracy": m.accuracy,
        "copy_bytes_per_second": m.bandwidth,
        "target": aim,
        "outcome": outcome,
    }
