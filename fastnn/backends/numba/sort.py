"""The order of elements along the middle dimension of x (A, B, C), of the elementwise family."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import jit
from .vmath import inline

Array = Any

_RUN = 16
"""Elements that are sorted by insertion before runs are merged."""


@inline
def _before(a: Any, b: Any) -> Any:
    """Whether a comes strictly before b; NaN is greater than any number."""
    return (a < b) | ((b != b) & (a == a))


@inline
def _sort_runs(keys: Array, places: Array) -> None:
    for begin in range(0, keys.size, _RUN):
        for i in range(begin + 1, min(begin + _RUN, keys.size)):
            key, place = keys[i], places[i]
            j = i
            while j > begin and _before(key, keys[j - 1]):
                keys[j], places[j] = keys[j - 1], places[j - 1]
                j -= 1
            keys[j], places[j] = key, place


@inline
def _merge(keys: Array, places: Array, to_keys: Array, to_places: Array, run: int) -> None:
    """Merges neighbours of so many elements each; of equals the left one comes first."""
    n = keys.size
    for begin in range(0, n, 2 * run):
        middle, end = min(begin + run, n), min(begin + 2 * run, n)
        left, right = begin, middle
        at = begin
        while left < middle and right < end:
            second = _before(keys[right], keys[left])  # no branch follows from it: it could not be foreseen
            origin = right if second else left
            to_keys[at], to_places[at] = keys[origin], places[origin]
            right += second
            left += not second
            at += 1
        for rest in range(left, middle):
            to_keys[at], to_places[at] = keys[rest], places[rest]
            at += 1
        for rest in range(right, end):
            to_keys[at], to_places[at] = keys[rest], places[rest]
            at += 1


@jit
def argsort(index: Array, x: Array, descending: int) -> None:
    A, B, C = x.shape
    # Descending order is the ascending one of the elements from last to first, read from its end: equals stay in order.
    first, step = (B - 1, -1) if descending else (0, 1)
    keys, places = np.empty((2, B), x.dtype), np.empty((2, B), np.int64)
    for a in range(A):
        for c in range(C):
            for b in range(B):
                keys[0, b], places[0, b] = x[a, first + step * b, c], first + step * b
            _sort_runs(keys[0], places[0])
            now, run = 0, _RUN
            while run < B:
                _merge(keys[now], places[now], keys[1 - now], places[1 - now], run)
                now, run = 1 - now, 2 * run
            for b in range(B):
                index[a, first + step * b, c] = places[now, b]
