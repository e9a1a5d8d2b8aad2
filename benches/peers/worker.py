"""Runs contenders in separate processes. Each has its library and its number of threads; only one works at a time."""

from __future__ import annotations

import gc
import importlib
import os
import time
import traceback
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ISAS = {
    "avx2": {
        "FASTNN_ISA": "avx2",
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "MKL_CBWR": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    }
}
"""Variables that limit the libraries to an instruction set: fastnn, NumPy's OpenBLAS, and PyTorch with MKL and oneDNN.

JAX has no such switch: with --xla_cpu_max_isa=AVX2 its products still use AVX-512.
"""
SETTINGS = ("OPENBLAS_", "MKL_", "OMP_", "GOMP_", "KMP_", "ATEN_", "ONEDNN_", "DNNL_", "XLA_", "JAX_", "TORCH_", "ORT_")
"""Prefixes of variables that change what the peers do. The peers do not see those of the shell: OPENBLAS_CORETYPE=Haswell, which
some machines set, would take half of NumPy's speed."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS")

STEPS = 16
"""Training steps after which the memory of a process is measured; an epoch of `fit` is as long."""


class WorkerError(RuntimeError):
    """Error of a command that failed in a worker's process, or of a process that ended."""


class Worker:
    """Process that runs the jobs of one contender. Its commands are the methods of `Commands`.

    Args:
        module: module of the contender in this package.
        device: "cpu" or "cuda".
        threads: the largest number of threads.
        isa: instruction set to which the library is limited, a key of `ISAS`; the best one if empty.
    """

    def __init__(self, module: str, device: str, threads: int, isa: str = "") -> None:
        # Libraries read these variables when they load. Without the last one, JAX reserves most of the GPU's memory.
        own = dict.fromkeys(THREADS, str(threads)) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        own |= ISAS[isa] if isa else {}
        before = dict(os.environ)
        for name in before:
            if name.startswith(SETTINGS):
                del os.environ[name]
        os.environ.update(own)
        context = get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there, module, device, threads))
        self.process.start()
        there.close()
        for name in own:
            os.environ.pop(name)
        os.environ.update(before)
        self.name = f"{module}, {threads} thread{'s' if threads > 1 else ''}"

    def __call__(self, command: str, *args: Any) -> Any:
        """Run a command in the process and return its result.

        Raises:
            WorkerError: the command failed; the message describes the error in the other process.
        """
        try:
            self.connection.send((command, args))
            good, value = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerError(f"{self.name}: the process ended during {command}{args}") from None
        if not good:
            raise WorkerError(value)
        return value

    def close(self) -> None:
        self.connection.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


class Commands:
    """Commands that a worker's process executes."""

    def __init__(self, module: str, device: str, threads: int) -> None:
        self.module, self.device, self.threads = module, device, threads
        self.jobs: dict[Any, Any] = {}

    def load(self) -> float:
        """Import the library; return the seconds that this takes."""
        start = time.perf_counter()
        self.contender = importlib.import_module(f"peers.{self.module}").Contender(self.device, self.threads)
        self.clock = self.contender.clock()
        return time.perf_counter() - start

    def make(self, key: Any, kind: str, args: tuple[Any, ...]) -> Any:
        """Make a job; return its results, for the check."""
        job = getattr(self.contender, kind)(*args)
        result = job.result()
        self.jobs[key] = job
        return result

    def start(self, key: Any) -> float:
        """Stop the learning of a job; return a first estimate of the seconds of a step."""
        self.jobs[key].settle()
        seconds = self._seconds(key, 1)
        return min(seconds, self._seconds(key, 1), self._seconds(key, 1)) if seconds < 0.1 else seconds

    def _seconds(self, key: Any, n: int) -> float:
        return float(self.jobs[key].block(self.clock, n).wall)

    def block(self, key: Any, n: int) -> tuple[float, float]:
        """Time about n steps; return the seconds of a step by the device and by the host, as in `Took`."""
        self.jobs[key].warm(n)
        took: tuple[float, float] = self.jobs[key].block(self.clock, n)
        settle()
        return took

    def accuracies(self, key: Any) -> list[float]:
        """Return the test accuracies of the models that a job has trained."""
        return list(self.jobs[key].accuracies)

    def percentiles(self, key: Any) -> list[float]:
        """Return the percentiles of the calls of a job that were timed, and forget these calls."""
        return list(self.jobs[key].percentiles())

    def memory(self, kind: str, args: tuple[Any, ...], warm: tuple[Any, ...]) -> float | None:
        """Return the temporary memory of a job in MiB: the increase of peak resident memory in three calls after a first call.

        Return None if the system does not report it. A small job runs first, so that the library has loaded everything.
        """
        getattr(self.contender, kind)(*warm).run(3)
        job = getattr(self.contender, kind)(*args)
        job.run(1)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak to the current resident memory
        except OSError:
            return None
        before = resident("VmRSS")
        job.run(3)
        return max(0.0, resident("VmHWM") - before)

    def all_memory(self, kind: str, args: tuple[Any, ...]) -> float | None:
        """Return the memory of a training job in MiB: the increase of peak resident memory since the library was loaded.

        Return None if the system does not report it.
        """
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return None
        before = resident("VmRSS")
        getattr(self.contender, kind)(*args).run(STEPS)
        return resident("VmHWM") - before

    def drop(self) -> None:
        """Drop all jobs and free their memory."""
        self.jobs.clear()
        gc.collect()
        self.contender.free()

    def first(self, kind: str, args: tuple[Any, ...]) -> float:
        """Return the seconds from importing the library to its first result."""
        start = time.perf_counter()
        self.load()
        getattr(self.contender, kind)(*args).block(self.clock, 1)
        return time.perf_counter() - start


def resident(what: str) -> float:
    """Return a value of Linux's /proc/self/status in MiB: VmRSS, the resident memory, or VmHWM, its peak."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what)) / 1024


def settle(most: float = 2.0) -> None:
    """Wait until the process is idle, for at most `most` seconds.

    Threads that still spin while they wait for work would occupy a core of the next contender. The system updates the CPU time
    of a running thread only every few milliseconds, so shorter checks do not notice such threads.
    """
    end = time.perf_counter() + most
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 0.001:
            return


def serve(connection: Connection, module: str, device: str, threads: int) -> None:
    """Execute commands and send their results, until the other end closes."""
    commands = Commands(module, device, threads)
    while True:
        try:
            command, args = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = True, getattr(commands, command)(*args)
        except Exception as error:  # a library may raise anything; the error is sent back
            traceback.print_exc()
            answer = False, words(error)
        connection.send(answer)


def words(error: Exception) -> str:
    """Format an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
