"""Runs functions of test files on several ranks, processes that mpirun starts."""

from __future__ import annotations

import faulthandler
import importlib.util
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

# Variables instead of options: Open MPI reads them, MPICH does not need them.
_ENVIRONMENT = {
    "FASTNN_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",  # ranks that wait leave the cores to those that compute
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
_FOUND = importlib.util.find_spec("mpi4py") is not None and shutil.which("mpirun") is not None

needed = pytest.mark.skipif(not _FOUND, reason="mpi4py or mpirun is not installed")


class RankError(AssertionError):
    """Some rank has failed. `outputs` has what each rank has printed, `message` what mpirun has."""

    def __init__(self, n: int, status: int | str, message: str, outputs: list[str]) -> None:
        self.status, self.message, self.outputs = status, message, outputs
        parts = [f"\n-- rank {rank} of {n}:\n{text[-6000:]}" for rank, text in enumerate(outputs)]
        super().__init__("".join([f"mpirun -n {n}: exit status {status}\n{message[-3000:]}", *parts]))


class Job:
    """A function of a file that runs on n ranks, in the background.

    It may return anything that pickle can write. A rank that still runs after the number of seconds
    prints where it is and ends, and the others with it. Without mpirun if n is 1.
    """

    def __init__(
        self,
        n: int,
        file: str | Path,
        name: str,
        *arguments: Any,
        seconds: float = 60,
        mpirun: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        self.n, self.seconds = n, seconds
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        (self.folder / "call").write_bytes(pickle.dumps((str(file), name, arguments, seconds)))
        command = [sys.executable, __file__, str(self.folder)]
        if n > 1 or mpirun:
            command = ["mpirun", *mpirun, "-n", str(n), *command]
        with open(self.folder / "mpirun", "w") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **_ENVIRONMENT, **(env or {})}
            )

    def wait(self) -> list[Any]:
        """Return what each rank returned. `printed` then has what each has printed.

        Raises:
            RankError: mpirun has ended with an error, or does not end.
        """
        status: int | str
        try:
            status = self.process.wait(self.seconds + 15)
        except subprocess.TimeoutExpired:
            self.end()
            status = f"still running after {self.seconds + 15} s"
        try:
            if status != 0:
                raise RankError(self.n, status, self._text("mpirun"), self.outputs())
            return [pickle.loads(path.read_bytes()) for path in self._files("result")]
        finally:
            self.printed = self.outputs()
            self._folder.cleanup()

    def end(self) -> None:
        """End the job; mpirun ends the ranks."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def outputs(self) -> list[str]:
        """Return what each rank has printed until now."""
        return [path.read_text(errors="replace") if path.exists() else "" for path in self._files("output")]

    def pid(self, rank: int) -> int | None:
        """Return the process id of a rank, None if it has not started."""
        text = self._text(f"{rank}.pid")
        return int(text) if text else None

    def _files(self, kind: str) -> list[Path]:
        return [self.folder / f"{rank}.{kind}" for rank in range(self.n)]

    def _text(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""


def run(n: int, file: str | Path, name: str, *arguments: Any, **options: Any) -> list[Any]:
    """Run `name(*arguments)` of a file on n ranks and return the n results; options are those of Job."""
    return Job(n, file, name, *arguments, **options).wait()


def _main() -> None:
    """Run the function on one rank."""
    folder = Path(sys.argv[1])
    rank = next((os.environ[name] for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK") if name in os.environ), "0")
    with open(folder / f"{rank}.output", "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    file, name, arguments, seconds = pickle.loads((folder / "call").read_bytes())
    faulthandler.dump_traceback_later(seconds, exit=True)
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        result = pickle.dumps(getattr(module, name)(*arguments))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)  # MPI's end of a process waits for the other ranks
    part = folder / f"{rank}.part"
    part.write_bytes(result)
    part.rename(folder / f"{rank}.result")


if __name__ == "__main__":
    _main()
