"""The programs that the cases of a kernel take, by a device that compiles nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cases.case import Case

from fastnn.backends import cupy

from .device import EmulatedDevice


class Program(NamedTuple):
    """A program, its entry point, and how many bytes of arguments the host packs for it."""

    source: str
    entry: str
    packed: int


class Lister(EmulatedDevice):
    """Notes what it should run."""

    def __init__(self) -> None:
        super().__init__()
        self.programs: list[Program] = []

    def compile(self, source: str, entry: str) -> Any:
        return source, entry

    def launch(self, entry: Any, blocks: int, threads: int, arguments: bytes) -> None:
        self.programs.append(Program(*entry, len(arguments)))


def programs(cases: Iterable[Case], dtypes: Sequence[str] = ()) -> list[Program]:
    """The programs of calls, each once; of all dtypes of the cases if none are given."""
    device = Lister()
    table = cupy.kernels(device)
    for case in cases:
        for dtype in (d for d in case.dtypes if d in dtypes or not dtypes):
            values = case.make(dtype)
            arrays = {a.name: device.xp.asarray(values[a.name]) for a in case.spec.arrays}
            table[case.kernel](*(values | arrays).values())
    return list(dict.fromkeys(device.programs))
