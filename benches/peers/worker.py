"""Contenders in processes of their own: each has its library, its number of threads, and nothing else running beside it."""

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

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS")


class WorkerError(RuntimeError):
    """A command failed in a worker's process, or the process has ended."""


class Worker:
    """A process that runs the jobs of one contender; commands are methods of `Commands`.

    Args:
        module: the contender's module in this package.
        device: "cpu" or "cuda".
        threads: the number of threads that it may use.
        isa: the instruction set of fastnn's kernels; the best one if empty.
    """

    def __init__(self, module: str, device: str, threads: int, isa: str = "") -> None:
        # Libraries read these when they load. JAX would otherwise take most of a GPU's memory from the others.
        own = dict.fromkeys(THREADS, str(threads)) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        own |= {"FASTNN_ISA": isa} if isa else {}
        before = dict(os.environ)
        os.environ.update(own)
        context = get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there, module, device, threads))
        self.process.start()
        there.close()
        for name in own:
            os.environ.pop(name)
            if name in before:
                os.environ[name] = before[name]
        self.name = f"{module}, {threads} thread{'s' if threads > 1 else ''}"

    def __call__(self, command: str, *args: Any) -> Any:
        """Return the command's result.

        Raises:
            WorkerError: with what went wrong in the other process.
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
    """The commands of a worker's process."""

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
        """Stop a job's learning; return a first estimate of the seconds of a step."""
        self.jobs[key].settle()
        seconds = self._seconds(key, 1)
        return min(seconds, self._seconds(key, 1), self._seconds(key, 1)) if seconds < 0.1 else seconds

    def _seconds(self, key: Any, n: int) -> float:
        return float(self.jobs[key].block(self.clock, n).wall)

    def block(self, key: Any, n: int) -> tuple[float, float]:
        """Return the time of a step, from about n of them: by the device and by the host, as in `Took`."""
        self.jobs[key].warm(n)
        took: tuple[float, float] = self.jobs[key].block(self.clock, n)
        settle()
        return took

    def accuracies(self, key: Any) -> list[float]:
        """Return the test accuracies of the models that a job has trained."""
        return list(self.jobs[key].accuracies)

    def memory(self, kind: str, args: tuple[Any, ...], warm: tuple[Any, ...]) -> float | None:
        """Return the MiB by which three calls of a job raise the peak of the resident memory over what is resident after a first
        call; None where the system does not report it. A small job goes before it and loads what the library loads late."""
        getattr(self.contender, kind)(*warm).run(3)
        job = getattr(self.contender, kind)(*args)
        job.run(1)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak is what is resident now
        except OSError:
            return None
        before = resident("VmRSS")
        job.run(3)
        return max(0.0, resident("VmHWM") - before)

    def drop(self) -> None:
        """Forget all jobs and give their memory back."""
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
    """Return the MiB of a line of Linux's /proc/self/status: VmRSS, resident now, or VmHWM, the most so far."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what)) / 1024


def settle(most: float = 2.0) -> None:
    """Return once the process is idle: threads that still wait for work at full speed would take the next contender's core.
    The system counts the time of a running thread only every few milliseconds: shorter looks do not see it."""
    end = time.perf_counter() + most
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 0.001:
            return


def serve(connection: Connection, module: str, device: str, threads: int) -> None:
    """Answer commands; end when the other end closes."""
    commands = Commands(module, device, threads)
    while True:
        try:
            command, args = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = True, getattr(commands, command)(*args)
        except Exception as error:  # whatever a library raises is the answer
            traceback.print_exc()
            answer = False, words(error)
        connection.send(answer)


def words(error: Exception) -> str:
    """Format an error as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
