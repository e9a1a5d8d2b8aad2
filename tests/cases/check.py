"""What is right: the reference in a wider type, and how far from it a kernel may be."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.base import Backend
from fastnn.backends.reference import table
from fastnn.backends.spec import Kernel

from .case import Array, Case, Values

REFERENCE = table(np)
WIDE = {"float32": np.dtype(np.float64), "float64": np.dtype(np.longdouble)}
PAD = 192
"""Bytes on both sides of every array that must stay as they are."""


def arrays(case: Case, values: Values, written: bool | None = None) -> dict[str, Array]:
    """The call's arrays; only those that it writes, or does not."""
    return {a.name: values[a.name] for a in case.spec.arrays if written is None or a.writes == written}


def copied(case: Case, values: Values) -> Values:
    return values | {name: a.copy() for name, a in arrays(case, values).items()}


def reference(case: Case, values: Values) -> Values:
    """What the reference writes for these arguments, in their own types."""
    values = copied(case, values)
    REFERENCE[case.kernel](*values.values())
    return arrays(case, values, written=True)


def expected(case: Case, dtype: str, values: Values) -> tuple[Values, Values]:
    """The right results, and the absolute error allowed in each: exact where the case says so, else from the wider type."""
    if case.error is None or dtype not in WIDE:
        return reference(case, values), {}
    wide = dict(values)
    for arg in case.spec.arrays:
        if arg.letter:
            wide[arg.name] = values[arg.name].astype(WIDE[dtype])
    want = reference(case, wide)
    if callable(case.error):
        with np.errstate(all="ignore"):
            return want, dict(case.error(SimpleNamespace(**wide, eps=np.finfo(dtype).eps), want))
    floats = {name: w for name, w in want.items() if values[name].dtype.kind == "f"}
    return want, {name: case.error * np.finfo(values[name].dtype).eps * np.abs(w) for name, w in floats.items()}


def difference(got: Array, want: Array, allowed: Any = None, pattern: Array | None = None) -> str:
    """How got differs from want by more than is allowed, in words; empty where it does not.

    Args:
        got: what the kernel wrote.
        want: what is right, in the same type or a wider one.
        allowed: the error allowed; None means none.
        pattern: which values must be NaN or infinite, where that is not told by want.
    """
    pattern = want.astype(got.dtype) if pattern is None else pattern
    if got.dtype.kind != "f":
        wrong = got != want
    else:
        finite = np.isfinite(pattern)
        if 2 * np.count_nonzero(finite & np.isfinite(want)) < np.count_nonzero(finite):
            return f"of {np.count_nonzero(finite)} finite elements, most have no finite value in the wider type to compare with"
        wrong = np.where(np.isnan(pattern), ~np.isnan(got), got != pattern)
        if allowed is not None:
            with np.errstate(all="ignore"):
                # The formula for the error may not be finite where the result is, as in relu of minus infinity.
                allowed = np.where(np.isfinite(allowed), allowed, 64 * np.finfo(got.dtype).eps * np.abs(want))
                near = np.abs(got - want) <= allowed + 4 * np.finfo(got.dtype).smallest_subnormal
            # Where the wider type alone is finite or alone is not, there is no value to compare with.
            wrong = np.where(finite, ~np.isfinite(got) | (np.isfinite(want) & ~near), wrong)
    if not wrong.any():
        return ""
    i = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    error = f", allowed error {np.broadcast_to(allowed, want.shape)[i]:.3g}" if allowed is not None else ""
    return f"{int(wrong.sum())} of {wrong.size} elements, first at {tuple(map(int, i))}: {got[i]!r}, right is {want[i]!r}{error}"


class Frame:
    """Arrays set into larger buffers, at addresses that are aligned to their elements only."""

    def __init__(self) -> None:
        self._buffers: list[tuple[Array, Array]] = []

    def place(self, a: Array) -> Array:
        begin = PAD + a.itemsize
        buffer = np.full(begin + a.nbytes + PAD, 0xFF, np.uint8)  # NaN to whoever reads it
        view = buffer[begin : begin + a.nbytes].view(a.dtype).reshape(a.shape)
        view[...] = a
        self._buffers.append((buffer[:begin], buffer[begin + a.nbytes :]))
        return view

    def intact(self) -> bool:
        return all((part == 0xFF).all() for parts in self._buffers for part in parts)


def call(backend: Backend, kernel: Kernel, values: Values) -> Values:
    """The arrays of a call, on the host, after it."""
    given = {a.name: backend.asarray(values[a.name]) for a in kernel.arrays}
    getattr(backend, kernel.name)(*(values | given).values())
    return {name: backend.to_numpy(a) for name, a in given.items()}


def run(backend: Backend, case: Case, values: Values) -> Values:
    """What the backend's kernel writes; checks that it writes nothing else."""
    frame = Frame()
    host = call(backend, case.spec, values | {name: frame.place(a) for name, a in arrays(case, values).items()})
    assert frame.intact(), f"{case}: wrote beyond an array"
    for name, a in arrays(case, values, written=False).items():
        assert host[name].tobytes() == a.tobytes(), f"{case}: wrote its input {name}"
    return {name: host[name] for name in arrays(case, values, written=True)}


@functools.lru_cache(maxsize=1)
def right(case: Case, dtype: str) -> tuple[Values, Values, Values]:
    """The arguments, what is right and the error allowed; kept for the next backend that is asked for the same case."""
    values = case.make(dtype)
    return values, *expected(case, dtype, values)


def check(backend: Backend, case: Case, dtype: str) -> None:
    """Assert that the backend's kernel computes what the reference does."""
    values, want, allowed = right(case, dtype)
    for name, got in run(backend, case, values).items():
        assert not (wrong := difference(got, want[name], allowed.get(name))), f"{case} {dtype}: {name}: {wrong}"
