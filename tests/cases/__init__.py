"""The cases of every kernel, a module for each family: the one list that tests and benchmarks read."""

from __future__ import annotations

from . import activation, data, dense, elementwise, loss, metrics, optim, random
from .case import Case

ALL: tuple[Case, ...] = tuple(
    case for family in (dense, activation, loss, optim, random, data, elementwise, metrics) for case in family.CASES
)
TESTS: tuple[Case, ...] = tuple(case for case in ALL if case.test)


def benches(family: str) -> list[Case]:
    """The cases of a family that are benchmarks."""
    return [case for case in ALL if case.bench and case.spec.family == family]
