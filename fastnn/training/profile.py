"""Profile of a training step: the time of each kernel call."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from ..backends import cost, current, get_backend, get_isa, get_num_threads, recording
from ..backends.base import seconds
from ..core.html import escaped, table
from ..nn.mode import mode
from ..ops.checks import positive_int
from ..replay.fused_step import fused_step
from ..replay.recorder import Recorder

REPEATS = 30


@dataclass(frozen=True)
class Row:
    """Kernel call of the step, with its time."""

    kernel: str
    precision: str
    """Type to which a product's factors are rounded: "bfloat16" or "tf32"; "float32" without rounding."""
    shapes: str
    microseconds: float
    gflops: float
    """GFLOP/s if arithmetic limits the call; else 0."""
    gbytes: float
    """GB/s."""
    peak: float
    """Fraction of the processor's peak of arithmetic or memory. It may be above 1 with several threads, since the peak is that of
    one core, and for bfloat16 products, since the peak is that of the model's dtype."""

    @property
    def name(self) -> str:
        """Return the name of the kernel, with its precision if it rounds."""
        return self.kernel if self.precision == "float32" else f"{self.kernel} {self.precision}"


@dataclass(frozen=True)
class Profile:
    """Result of `Module.profile`; its text is a table and an explanation."""

    rows: list[Row]
    step: float
    """Time of a replayed step in microseconds."""
    eager: float
    """Time of the same step run by Python, in microseconds."""
    peak_gflops: float
    """Arithmetic peak of the processor in the model's dtype, in GFLOP/s."""
    peak_gbytes: float
    """Memory bandwidth of the processor, on as much memory as the step uses, in GB/s."""
    processor: str
    """The processor of these peaks: one core of the CPU, or the GPU."""
    backend: str
    dtype: str

    @property
    def kernels(self) -> float:
        """Return the sum of the times of all kernels, each run alone, in microseconds."""
        return sum(row.microseconds for row in self.rows)

    @property
    def python(self) -> float:
        """Return the share of Python in the time of a step that is not replayed."""
        return max(0.0, 1 - self.step / self.eager) if self.eager else 0.0

    def __str__(self) -> str:
        lines = [
            self._head(),
            f"{'kernel':32}{'shapes':34}{'us':>10}{'share':>8}{'GFLOP/s':>9}{'GB/s':>8}{'of peak':>9}",
        ]
        for row in self.rows:
            rate = f"{row.gflops:9.1f}" if row.gflops else " " * 9
            lines.append(
                f"{row.name:32}{row.shapes[:33]:34}{row.microseconds:10.2f}{row.microseconds / self.kernels:8.1%}"
                f"{rate}{row.gbytes:8.1f}{row.peak:9.1%}"
            )
        return "\n".join([*lines, "", *self.words()])

    def _repr_html_(self) -> str:
        """Return the table, which notebooks show."""
        names = ["kernel", "shapes", "us", "share", "GFLOP/s", "GB/s", "of peak"]
        rows = [
            [
                row.name,
                row.shapes,
                f"{row.microseconds:.2f}",
                f"{row.microseconds / self.kernels:.1%}",
                f"{row.gflops:.1f}" if row.gflops else "",
                f"{row.gbytes:.1f}",
                f"{row.peak:.1%}",
            ]
            for row in self.rows
        ]
        return f"<div>{escaped(self._head())}</div>{table(names, rows, left=(0, 1))}<div>{escaped(' '.join(self.words()))}</div>"

    def _head(self) -> str:
        return (
            f"{self.backend}; peak of {self.processor}: {self.peak_gflops:.0f} GFLOP/s of {self.dtype}, "
            f"{self.peak_gbytes:.0f} GB/s on this amount of memory"
        )

    def words(self) -> list[str]:
        """Describe what limits the speed of the step, in two sentences."""
        top = max(self.rows, key=lambda row: row.microseconds)
        limit = (
            "arithmetic" if top.gflops else "memory traffic" if top.peak > 0.3 else "the cost of a call, as its arrays are small"
        )
        rated = f" with {self.dtype}" if top.gflops else ""
        return [
            f"A replayed step takes {self.step:.1f} us. A step run by Python takes {self.eager:.1f} us, "
            f"of which Python is {self.python:.0%}.",
            f"The largest share of the kernels' time ({top.microseconds / self.kernels:.0%}) is spent in {top.name} "
            f"on {top.shapes}, at {top.peak:.0%} of the peak of {self.processor}{rated}; its limit is {limit}.",
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
    with recording(recorder), mode(training=True):
        step._step()
    if recorder.void:
        raise RuntimeError(f"profile: the step cannot be recorded: {recorder.void}")
    calls, flags, _ = fused_step(recorder, ())
    plan = real.plan(calls, flags)
    plan.run(3)
    arrays = {id(a): a.nbytes for _, args in calls for a in args if hasattr(a, "nbytes")}
    peak_gflops, peak_gbytes = real.peaks(model.dtype, sum(arrays.values()))
    table = []
    for (name, args), nanoseconds in zip(calls, plan.profile(REPEATS), strict=True):
        ns = max(nanoseconds, 1.0)
        gflops, gbytes = cost.flops(name, args) / ns, cost.traffic(name, args) / ns
        limited = gflops / peak_gflops if gflops else gbytes / peak_gbytes
        shapes = " ".join("x".join(map(str, a.shape)) for a in args[:8] if hasattr(a, "shape") and a.size)
        table.append(Row(name, cost.precision(name, args), shapes, ns / 1e3, gflops, gbytes, limited))
    what = f"{get_backend()}, {get_isa()}, {get_num_threads()} threads"
    with mode(training=True):
        replayed, eager = (1e6 * seconds(f, real.wait) for f in (plan.run, step._step))
    return Profile(table, replayed, eager, peak_gflops, peak_gbytes, real.processor, what, str(model.dtype))
