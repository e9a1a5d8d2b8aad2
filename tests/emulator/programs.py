"""The programs that the cases of all kernels take."""

from __future__ import annotations

from typing import NamedTuple

from cases import TESTS
from cases.case import Case

from fastnn.backends.cupy.source import letters, program
from fastnn.backends.spec import Activation, PointwiseLoss


class Program(NamedTuple):
    """The arguments of `source.program`."""

    kernel: str
    dtypes: tuple[str, ...]
    function: int

    @property
    def source(self) -> str:
        return program(*self)

    @property
    def entry(self) -> str:
        return f"{self.kernel}_entry"


def of_case(case: Case) -> list[Program]:
    """The programs of a case, one for each of its dtypes."""
    named = {letter: next(a for a in case.spec.arrays if a.dtype == letter) for letter in letters(case.spec)}
    function = next((s.id for s in case.scalars.values() if isinstance(s, Activation | PointwiseLoss)), -1)
    return [Program(case.kernel, tuple(case.dtype(named[letter], dtype) for letter in named), function) for dtype in case.dtypes]


def of_kernel(kernel: str) -> list[Program]:
    """All programs of a kernel, each once."""
    return list(dict.fromkeys(p for case in TESTS if case.kernel == kernel for p in of_case(case)))
