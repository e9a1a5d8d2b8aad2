"""The cases of every kernel, a module for each family: the one list that tests and benchmarks read."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

from fastnn.backends.spec import FAMILIES

from .case import Case

ALL: tuple[Case, ...] = tuple(case for family in FAMILIES for case in import_module(f".{family}", __name__).CASES)
TESTS: tuple[Case, ...] = tuple(case for case in ALL if case.test)

if twice := [name for name, n in Counter(map(str, ALL)).items() if n > 1]:
    raise ValueError(f"cases of the same name; a note tells them apart: {', '.join(twice)}")


def benches(family: str) -> list[Case]:
    """The cases of a family that are benchmarks."""
    return [case for case in ALL if case.bench and case.spec.family == family]
