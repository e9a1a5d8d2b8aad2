"""The cases of every kernel, a module for each family: the one list that tests and benchmarks read."""

from __future__ import annotations

from collections import Counter

from . import activation, batched, data, dense, elementwise, loss, metrics, optim, random, regularization
from .case import Case

FAMILIES = (dense, batched, activation, loss, optim, random, regularization, data, elementwise, metrics)
ALL: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family.CASES)
TESTS: tuple[Case, ...] = tuple(case for case in ALL if case.test)

if twice := [name for name, n in Counter(map(str, ALL)).items() if n > 1]:
    raise ValueError(f"cases of the same name; a note tells them apart: {', '.join(twice)}")


def benches(family: str) -> list[Case]:
    """The cases of a family that are benchmarks."""
    return [case for case in ALL if case.bench and case.spec.family == family]
