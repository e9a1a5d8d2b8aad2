"""Where the time of a training step goes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from ..backends import cost, current, get_backend, get_isa, get_num_threads, recording
from ..backends.base import seconds
from ..ops.checks import positive_int
from ..replay.recorder import Recorder

REPEATS = 30


@dataclass(frozen=True)
class Row:
    """One kernel call of the step."""

    kernel: str
    precision: str
    """What a product's factors are rounded to: "bfloat16" or "tf32", or "float32" where nothing is."""
    shapes: str
    microseconds: float
    gflops: float
    """GFLOP/s, where arithmetic limits the call; else 0."""
    gbytes: float
    """GB/s."""
    peak: float
    """The share of what the processor can do at most, of arithmetic or of memory. Threads can have more than one core can, and
    so can products of bfloat16, as arithmetic is that of the model's dtype."""

    @property
    def name(self) -> str:
        """Return the kernel, and what it rounds to."""
        return self.kernel if self.precision == "float32" else f"{self.kernel} {self.precision}"


@dataclass(frozen=True)
class Profile:
    """What `Module.profile` returns; its text is a table and what it means."""

    rows: list[Row]
    step: float
    """Microseconds of a replayed step."""
    eager: float
    """Microseconds of the same step run by Python."""
    peak_gflops: float
    """Of the processor, in the model's dtype."""
    peak_gbytes: float
    """Of the processor, on as much memory as the step has."""
    processor: str
    """Whose peak that is: one core of the CPU, or the GPU."""
    backend: str
    dtype: str

    @property
    def kernels(self) -> float:
        """Microseconds in kernels, each run by itself."""
        return sum(row.microseconds for row in self.rows)

    @property
    def python(self) -> float:
        """Return the share of Python in a step that is not replayed."""
        return max(0.0, 1 - self.step / self.eager) if self.eager else 0.0

    def __str__(self) -> str:
        lines = [
            f"{self.backend}; peak of {self.processor}: {self.peak_gflops:.0f} GFLOP/s of {self.dtype}, "
            f"{self.peak_gbytes:.0f} GB/s on so much memory",
            f"{'kernel':32}{'shapes':34}{'us':>10}{'share':>8}{'GFLOP/s':>9}{'GB/s':>8}{'of peak':>9}",
        ]
        for row in self.rows:
            rate = f"{row.gflops:9.1f}" if row.gflops else " " * 9
            lines.append(
                f"{row.name:32}{row.shapes[:33]:34}{row.microseconds:10.2f}{row.microseconds / self.kernels:8.1%}"
                f"{rate}{row.gbytes:8.1f}{row.peak:9.1%}"
            )
        return "\n".join([*lines, "", *self.words()])

    def words(self) -> list[str]:
        """Return what limits the speed of the step, in a sentence or two."""
        top = max(self.rows, key=lambda row: row.microseconds)
        limit = (
            "arithmetic" if top.gflops else "memory traffic" if top.peak > 0.3 else "the cost of a call, as its arrays are small"
        )
        rated = f" with {self.dtype}" if top.gflops else ""
        return [
            f"A step takes {self.step:.1f} us replayed, and {self.eager:.1f} us run by Python, "
            f"which then is {self.python:.0%} of it.",
            f"Most of the kernels' time ({top.microseconds / self.kernels:.0%}) goes into {top.name} on {top.shapes}, "
            f"at {top.peak:.0%} of the peak of {self.processor}{rated}; what holds it back is {limit}.",
        ]


def profile(model: Any, x: Any, y: Any, batch_size: int | None = None) -> Profile:
    """Time every kernel of a training step, on a copy of the model; see `Module.profile`."""
    model = copy.deepcopy(model)
    real = current()
    arrays = model._prepare("profile", x, y, None).on(real)
    rows = len(arrays[0]) if batch_size is None else min(positive_int(batch_size, "profile: batch_size"), len(arrays[0]))
    step = model._train_step([a[:rows].copy() if a.size else a for a in arrays], None, inputs=arrays.inputs)
    step.optimizer.train()
    recorder = Recorder(real, tuple(step.buffers))
    with recording(recorder):
        step._step()
    if recorder.void:
        raise RuntimeError(f"profile: the step cannot be recorded: {recorder.void}")
    plan = real.plan(recorder.calls, recorder.flags)
    plan.run(3)
    arrays = {id(a): a.nbytes for _, args in recorder.calls for a in args if hasattr(a, "nbytes")}
    peak_gflops, peak_gbytes = real.peaks(model.dtype, sum(arrays.values()))
    table = []
    for (name, args), nanoseconds in zip(recorder.calls, plan.profile(REPEATS), strict=True):
        ns = max(nanoseconds, 1.0)
        gflops, gbytes = cost.flops(name, args) / ns, cost.traffic(name, args) / ns
        limited = gflops / peak_gflops if gflops else gbytes / peak_gbytes
        shapes = " ".join("x".join(map(str, a.shape)) for a in args[:8] if hasattr(a, "shape") and a.size)
        table.append(Row(name, cost.precision(name, args), shapes, ns / 1e3, gflops, gbytes, limited))
    what = f"{get_backend()}, {get_isa()}, {get_num_threads()} threads"
    replayed, eager = (1e6 * seconds(f, real.wait) for f in (plan.run, step._step))
    return Profile(table, replayed, eager, peak_gflops, peak_gbytes, real.processor, what, str(model.dtype))
