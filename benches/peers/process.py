"""Measures the costs of a library in a process: import time, memory, time to the first result and size on disk."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from . import nets
from .measure import cores
from .row import LIBRARIES
from .worker import Worker

CPU = LIBRARIES["cpu"]

CODE = """
import time
start = time.perf_counter()
import {}
seconds = time.perf_counter() - start
with open("/proc/self/status") as f:
    kilobytes = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
print(seconds, kilobytes / 1024)
"""


@dataclass
class Cost:
    """Cost of one library.

    Args:
        importing: seconds of the import in a separate process, including all modules that the library imports.
        memory: resident memory after the import in MiB, including that of Python.
        step, prediction: seconds from the import to the end of the first training step, and of the first prediction; 0 if the
            library does not support it.
        size: MB of the installed files, without the packages that the library depends on.
    """

    importing: float
    memory: float
    step: float
    prediction: float
    size: float


def costs(peers: Collection[str], rounds: int) -> dict[str, Cost]:
    """Measure the costs of fastnn and of the peers, in turn."""
    names = [name for name in CPU if name == "fastnn" or name in peers]
    samples: dict[str, list[list[float]]] = {name: [] for name in names}
    for i in range(rounds + 1):
        for name in names:
            sample = [*_import(name), _first(name, "train"), _first(name, "predict")]
            if i:  # the first round loads the files into memory
                samples[name].append(sample)
    return {
        name: Cost(*(statistics.median(column) for column in zip(*samples[name], strict=True)), _size(name)) for name in names
    }


def _import(name: str) -> list[float]:
    module = {"scikit-learn": "sklearn.neural_network"}.get(name, CPU[name].needs[0])
    done = subprocess.run([sys.executable, "-c", CODE.format(module)], capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def _first(name: str, kind: str) -> float:
    """Time the first training step of the seed net on a batch of 32, or its first prediction of one sample."""
    if name == "ONNX Runtime" and kind == "train":
        return 0.0
    mode = "on_batch" if kind == "train" else "predict_on_batch"
    worker = Worker(CPU[name].module, "cpu", min(2, cores()))
    try:
        return float(worker("first", kind, (nets.SEED, 32 if kind == "train" else 1, "float32", mode)))
    finally:
        worker.close()


def _size(name: str) -> float:
    total = 0
    packages = CPU[name].packages[:1] if name == "ONNX Runtime" else CPU[name].packages  # onnx only makes the models
    for package in packages:
        try:
            files = [Path(str(f.locate())) for f in distribution(package).files or ()]
        except PackageNotFoundError:
            files = []
        if not any(f.suffix == ".so" for f in files):  # not installed, or an editable installation
            spec = find_spec(package)
            files = [f for folder in (spec.submodule_search_locations or () if spec else ()) for f in Path(folder).rglob("*")]
        total += sum(f.stat().st_size for f in files if f.is_file() and "__pycache__" not in f.parts)
    return total / 1e6
