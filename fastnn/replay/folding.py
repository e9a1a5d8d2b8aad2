"""Constant folding: what a frozen model computes from its weights alone is computed once for each set of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..autograd.tensor import Tensor
from ..backends.base import Backend, Call, aligned
from ..backends.spec import KERNELS, LINEAR
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

        Dense layers of looked-up rows become look-ups, see `_with_table`.

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
            if once and (numbers := self._fold(name, args, constant, recorder)):
                constant.update(zip(numbers, extents, strict=True))
            else:
                rest.append((name, args))
        while (fewer := self._with_table(rest, constant, recorder, kept)) is not None:
            rest = fewer
        return [(name, tuple(self._moved(a, constant) if hasattr(a, "shape") else a for a in args)) for name, args in rest]

    def _fold(self, name: str, args: tuple[Any, ...], constant: Mapping[int, Any], recorder: Recorder) -> list[int]:
        """Fold a call if its inputs are constant; return the numbers of the arrays that it computes, or no numbers."""
        if any(arg.reads and arg.writes for arg in KERNELS[name].args):
            return []
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
                return []
        outputs = _arrays(name, args, written=True)
        if not outputs or not any(isinstance(value, _Part) for value in given):
            return []
        numbers = self._known.get(tuple(key))
        if numbers is None:
            first = len(self._weights) + len(self.tensors)
            numbers = self._known[tuple(key)] = list(range(first, first + len(outputs)))
            self.tensors += [Tensor(aligned(self._k, a.shape, a.dtype)) for a in outputs]
            left = iter(_Part(n, 0, a.shape) for n, a in zip(numbers, outputs, strict=True))
            self._calls.append((name, tuple(next(left) if value is None else value for value in given)))
            self._run(self._calls[-1], [t.data for t in (*self._weights, *self.tensors)])
        return numbers

    def _with_table(
        self, calls: Sequence[Call], constant: dict[int, Any], recorder: Recorder, kept: Sequence[tuple[int, int]]
    ) -> list[Call] | None:
        """Return the calls with a look-up in the place of a dense layer, or None if no dense layer can be replaced.

        If the rows of a table, as of an embedding, are the input of a dense layer, each row of its output follows from one of
        them. The outputs for all rows are a new table, which depends on weights alone. It is made if it is not larger than
        the first table and the weights of the layer together.

        Args:
            calls, recorder: calls of a recorded pass, and its recorder.
            constant: extents of the constant arrays, by number; the new table is added.
            kept: extents of the outputs of the pass.
        """
        for i, (name, args) in enumerate(calls):
            if name != "take_forward":
                continue
            rows, table, index = args
            users, (n, inputs) = self._users(calls, rows), table.shape
            if [j for j, written in users.items() if written] != [i]:
                continue
            for j in (j for j in users if j > i and calls[j][0] == "dense_forward"):
                y, aux, x, w, b, act, precision = calls[j][1]
                outputs = w.shape[1]
                of_rows = self._extent(x) == self._extent(rows) and x.shape == rows.shape and not precision
                unused = min(self._users(calls, y), default=None) == j and (not aux.size or len(self._users(calls, aux)) == 1)
                if not of_rows or not unused or n * outputs > (n + outputs) * inputs:
                    continue
                made = aligned(self._k, (n, outputs), y.dtype)
                folded = self._fold("dense_forward", (made, self._k.absent, table, w, b, act, precision), constant, recorder)
                if not folded:
                    continue
                made = self.tensors[folded[0] - len(self._weights)].data
                constant.setdefault(folded[0], self._extent(made))
                before, after = list(calls[: i + 1]), list(calls[j + 1 :])
                if len(users) == 2 and not self._meets(rows, kept):
                    del before[i]
                if self._meets(y, kept):  # an output may be the same memory as an input that is read later
                    out, y = y, aligned(self._k, y.shape, y.dtype)
                    recorder.owned.append(y)
                    after.insert(0, ("activation_forward", (out, y, LINEAR)))
                return [*before, ("take_forward", (y, made, index)), *calls[i + 1 : j], *after]
        return None

    def _users(self, calls: Sequence[Call], array: Array) -> dict[int, bool]:
        """Return the indices of the calls that use an array, and whether they write it."""
        users = {}
        for i, (name, args) in enumerate(calls):
            written, read = (any(self._meets(array, [self._extent(a)]) for a in _arrays(name, args, w)) for w in (True, False))
            if written or read:
                users[i] = written
        return users

    def _meets(self, array: Array, extents: Sequence[tuple[int, int]]) -> bool:
        return any(_meet(self._extent(array), extent) for extent in extents)

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
