"""Constant folding: what a frozen model computes from its weights alone is computed once for each set of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..autograd.tensor import Tensor
from ..backends.base import Backend, Call, aligned
from ..backends.spec import KERNELS
from .memory import Array
from .recorder import Recorder


class _Part(NamedTuple):
    """A part of one of the arrays: the weights, then the folded ones."""

    array: int
    offset: int
    """Number of elements before it."""
    shape: tuple[int, ...]


class Folded:
    """The arrays that frozen models with the same weights compute from these, and the calls that compute them.

    Args:
        k: the backend.
        weights: the weights.
    """

    def __init__(self, k: Backend, weights: Sequence[Tensor]) -> None:
        self._k, self._weights = k, weights
        self.tensors: list[Tensor] = []
        self._calls: list[tuple[str, tuple[Any, ...]]] = []
        """Calls with parts instead of arrays; each of its outputs is a whole array."""
        self._known: dict[Any, list[int]] = {}
        """The numbers of the arrays that a call computes, by the call without its outputs."""

    def take(self, calls: Sequence[Call], recorder: Recorder, outs: Sequence[Array]) -> list[Call]:
        """Return the calls without those that depend on weights alone; these are run now, unless an earlier recording had them.

        Args:
            calls: the calls of a recorded pass.
            recorder: the recorder of the pass.
            outs: arrays of its outputs.
        """
        changed = [self._extent(a) for name, args in calls for a in _arrays(name, args, written=True)]
        kept = [self._extent(a) for a in outs]
        places = enumerate(self._extent(t.data) for t in (*self._weights, *self.tensors))
        constant = {i: extent for i, extent in places if not any(_meet(extent, other) for other in changed)}
        rest: list[Call] = []
        for name, args in calls:
            extents = [self._extent(a) for a in _arrays(name, args, written=True)]
            once = all(sum(_meet(e, other) for other in changed) == 1 and not any(_meet(e, k) for k in kept) for e in extents)
            if not (once and self._fold(name, args, constant, recorder)):
                rest.append((name, tuple(self._moved(a, constant) if hasattr(a, "shape") else a for a in args)))
        return rest

    def _fold(self, name: str, args: tuple[Any, ...], constant: dict[int, Any], recorder: Recorder) -> bool:
        """Fold a call whose outputs no other call computes, if its inputs are constant."""
        if any(arg.reads and arg.writes for arg in KERNELS[name].args):
            return False
        given: list[Any] = []  # parts, values, and None for outputs
        key: list[Any] = [name]
        for arg, value in zip(KERNELS[name].args, args, strict=True):
            if arg.writes or arg.kind != "array" or not value.size:
                given.append(None if arg.writes and value.size else value)
                key.append((value.shape, value.dtype.name) if arg.kind == "array" else value)
            elif (part := self._part(value, constant)) is not None:
                given.append(part)
                key.append(part)
            elif (content := recorder.content(value)) is not None:
                given.append(value)
                key.append((content, value.shape))
            else:
                return False
        outputs = _arrays(name, args, written=True)
        if not outputs or not any(isinstance(value, _Part) for value in given):
            return False
        numbers = self._known.get(tuple(key))
        if numbers is None:
            first = len(self._weights) + len(self.tensors)
            numbers = self._known[tuple(key)] = list(range(first, first + len(outputs)))
            self.tensors += [Tensor(aligned(self._k, a.shape, a.dtype)) for a in outputs]
            left = iter(_Part(n, 0, a.shape) for n, a in zip(numbers, outputs, strict=True))
            self._calls.append((name, tuple(next(left) if value is None else value for value in given)))
            self._run(self._calls[-1], [t.data for t in (*self._weights, *self.tensors)])
        constant.update(zip(numbers, map(self._extent, outputs), strict=True))
        return True

    def _extent(self, a: Array) -> tuple[int, int]:
        begin = self._k.address(a)
        return begin, begin + a.nbytes

    def _part(self, a: Array, constant: Mapping[int, tuple[int, int]]) -> _Part | None:
        begin, end = self._extent(a)
        found = next((i for i, (first, last) in constant.items() if first <= begin and end <= last), None)
        return None if found is None else _Part(found, (begin - constant[found][0]) // a.itemsize, a.shape)

    def _moved(self, a: Array, constant: Mapping[int, tuple[int, int]]) -> Array:
        """Return the array, or the part of a folded array that it stands for."""
        part = self._part(a, constant) if a.size else None
        first = len(self._weights)
        return a if part is None or part.array < first else _view(part, self.tensors[part.array - first].data)

    def _run(self, call: tuple[str, tuple[Any, ...]], arrays: Sequence[Array]) -> None:
        name, args = call
        self._k.table[name](*(_view(a, arrays[a.array]) if isinstance(a, _Part) else a for a in args))

    def computed(self, weights: Sequence[Array]) -> list[Array]:
        """Return the folded arrays for other weights."""
        made = [aligned(self._k, t.data.shape, t.dtype) for t in self.tensors]
        for call in self._calls:
            self._run(call, [*weights, *made])
        return made


def _view(part: _Part, array: Array) -> Array:
    size = 1
    for n in part.shape:
        size *= n
    return array.reshape(-1)[part.offset : part.offset + size].reshape(part.shape)


def _arrays(name: str, args: Sequence[Any], written: bool) -> list[Array]:
    return [
        a for arg, a in zip(KERNELS[name].args, args, strict=True) if arg.kind == "array" and a.size and arg.writes == written
    ]


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
