"""Contenders in processes of their own: each has its library, its number of threads, and nothing else running beside it."""

from __future__ import annotations

import importlib
import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTNN_NUM_THREADS")


class Worker:
    """A process that runs the jobs of one contender; commands are functions of `Commands`.

    Args:
        contender: the module's name in this package.
        threads: how many it may use.
        isa: the instruction set of fastnn's kernels; the best one if empty.
    """

    def __init__(self, contender: str, threads: int, isa: str = "") -> None:
        own = dict.fromkeys(THREADS, str(threads)) | ({"FASTNN_ISA": isa} if isa else {})
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)  # libraries read it when they load
        context = get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=serve, args=(there, contender, threads), daemon=True)
        self.process.start()
        there.close()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        self.name = f"{contender}, {threads} thread{'s' if threads > 1 else ''}"

    def __call__(self, command: str, *args: Any) -> Any:
        """The command's result.

        Raises:
            RuntimeError: it failed in the other process, or that has ended; the message says how.
        """
        try:
            self.connection.send((command, args))
            good, value = self.connection.recv()
        except (EOFError, OSError):
            raise RuntimeError(f"{self.name}: the process ended during {command}{args}") from None
        if not good:
            raise RuntimeError(f"{self.name}: {command}{args} failed: {value}")
        return value

    def close(self) -> None:
        self.connection.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.terminate()


class Commands:
    """What a worker's process does."""

    def __init__(self, contender: str, threads: int) -> None:
        self.contender, self.threads = contender, threads
        self.jobs: dict[int, Any] = {}

    def load(self) -> float:
        """Imports the library; the seconds that takes."""
        start = time.perf_counter()
        self.module = importlib.import_module(f"peers.{self.contender}")
        self.module.start(self.threads)
        return time.perf_counter() - start

    def result(self, function: str, args: tuple[Any, ...]) -> Any:
        """What a fresh job computes."""
        return getattr(self.module, function)(*args).result()

    def make(self, key: int, function: str, args: tuple[Any, ...]) -> float:
        """Makes a job; a first estimate of the seconds of one call."""
        job = self.jobs[key] = getattr(self.module, function)(*args)
        seconds: float = job.seconds(1)
        return min(seconds, job.seconds(1), job.seconds(1)) if seconds < 0.1 else seconds

    def block(self, key: int, n: int) -> float:
        """The seconds of one of n calls."""
        self.jobs[key].warm(n)
        seconds: float = self.jobs[key].seconds(n)
        settle()
        return seconds

    def computed(self, key: int) -> Any:
        """What the job that was timed computed."""
        return self.jobs[key].result()

    def memory(self, function: str, args: tuple[Any, ...], warm: tuple[Any, ...]) -> float | None:
        """MiB by which three calls of a job raise the most that is resident over what is there after a first call; None where
        the system does not tell. A small job goes before it and brings in what the library loads when it is used."""
        getattr(self.module, function)(*warm).seconds(3)
        job = getattr(self.module, function)(*args)
        job.seconds(1)
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak is what is resident now
        except OSError:
            return None
        before = resident("VmRSS")
        job.seconds(3)
        return max(0.0, resident("VmHWM") - before)

    def drop(self, key: int) -> None:
        del self.jobs[key]

    def first(self, function: str, args: tuple[Any, ...]) -> float:
        """The seconds from importing the library to its first result."""
        start = time.perf_counter()
        self.load()
        getattr(self.module, function)(*args).seconds(1)
        return time.perf_counter() - start


def resident(what: str) -> float:
    """MiB of a line of Linux's /proc/self/status: VmRSS, resident now, or VmHWM, the most so far."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what)) / 1024


def settle(most: float = 2.0) -> None:
    """Returns once the process is idle: threads that still wait for work at full speed would take the next contender's core.
    The system counts the time of a thread that runs on only every few milliseconds: shorter looks see nothing of it."""
    end = time.perf_counter() + most
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 0.001:
            return


def serve(connection: Connection, contender: str, threads: int) -> None:
    """The process's loop; it ends when the other end closes."""
    commands = Commands(contender, threads)
    while True:
        try:
            command, args = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = True, getattr(commands, command)(*args)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}"
        connection.send(answer)
