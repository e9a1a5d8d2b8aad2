"""Fusion: recorded calls are joined where one kernel can do the work of two; here, those of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends.base import Call, aligned
from ..backends.spec import LINEAR, arguments
from .memory import Array
from .recorder import Recorder

_ACTIVATED = ("conv_forward", "dense_forward", "norm_apply")
"""Kernels that can apply a function to their output."""
_WEIGHTED = ("conv_forward", "dense_forward")
"""Kernels with filters w, whose last axis has the outputs, and a bias b."""


def fused(recorder: Recorder, outs: Sequence[Array], fold: bool = False) -> list[Call]:
    """Return the calls of a recorded forward pass, with fewer of them.

    An activation or a copy of what a kernel has just computed becomes part of that kernel. With `fold`, so does a normalization
    by a given mean and variance: filters and bias are scaled instead of the output.

    Args:
        recorder: the recorded pass.
        outs: arrays of its outputs.
        fold: whether filters are scaled. This pays if it is not done again in each call.
    """
    return _Pass(recorder, outs, fold).calls()


class Work:
    """A recorded call with names for its arguments."""

    def __init__(self, name: str, args: Sequence[Any]) -> None:
        self.name = name
        self.args = dict(zip((arg.name for arg in arguments(name)), args, strict=True))

    def arrays(self, written: bool) -> list[Array]:
        """Return the arrays that it writes, or those that it reads."""
        arrays = [(arg, self.args[arg.name]) for arg in arguments(self.name) if arg.kind == "array"]
        return [a for arg, a in arrays if (arg.writes if written else arg.reads) and a.size]

    def outputs(self) -> list[str]:
        """Return the names of the arrays that it writes without reading them."""
        args = [arg for arg in arguments(self.name) if arg.kind == "array" and arg.writes and not arg.reads]
        return [arg.name for arg in args if self.args[arg.name].size]


class Calls:
    """The calls of a recording, of which some are replaced by None when others do their work.

    Arrays of a recording are in blocks of memory, each of which belongs to one array. So what a kernel computes can be written to
    the block of a later call, if nothing uses that block before.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.work: list[Work | None] = [Work(name, args) for name, args in recorder.calls]
        self.before: dict[int, list[Call]] = {}
        """New calls, by the index of the call that they precede."""
        self.changed: set[int] = set()
        """Indices of the calls that do more than before."""
        self._users: dict[int, list[int]] = {}
        """Indices of the calls that use a block, by its number."""
        for i, work in enumerate(self.work):
            assert work is not None
            for block in {self.block(a) for written in (False, True) for a in work.arrays(written)} - {None}:
                assert block is not None
                self._users.setdefault(block, []).append(i)

    def block(self, array: Array) -> int | None:
        """Return the number of the block that has the array; None if it is from outside."""
        block = self.recorder.memory.find(*self.recorder.memory.extent(array)) if array.size else None
        return None if block is None else block.number

    def users_of(self, array: Array) -> list[int]:
        """Return the indices of the calls that use the block of an array, if the recording made it; else an empty list."""
        block = self.block(array)
        return [] if block is None or block < self.recorder.inputs else self._users.get(block, [])

    def same(self, a: Array, b: Array) -> bool:
        """Return whether two arrays are the same memory."""
        extent = self.recorder.memory.extent
        return extent(a) == extent(b) if a.size and b.size else a.size == b.size

    def between(self, i: int, j: int) -> list[Work]:
        """Return the calls between two."""
        return [work for work in self.work[i + 1 : j] if work is not None]

    def written_between(self, i: int, j: int, array: Array) -> bool:
        """Return whether a call between two writes to the array."""
        extent = self.recorder.memory.extent
        return any(_overlap([extent(a) for a in work.arrays(True)], [extent(array)]) for work in self.between(i, j))

    def found(self) -> list[Call]:
        """Return the calls that are left."""
        found: list[Call] = []
        real = self.recorder.real
        for j, work in enumerate(self.work):
            found += self.before.get(j, [])
            if work is None:
                continue
            found.append((work.name, tuple(work.args.values())))
            if real.compiles and j in self.changed:  # a graph of a device cannot be recorded while a kernel is compiled
                real.table[work.name](*(a.copy() if hasattr(a, "shape") and a.size else a for a in found[-1][1]))
        return found


class _Pass(Calls):
    """The calls of a forward pass."""

    def __init__(self, recorder: Recorder, outs: Sequence[Array], fold: bool) -> None:
        super().__init__(recorder)
        self._fold = fold
        self._outs = {self.block(a) for a in outs}
        reads = [[self.block(a) for a in work.arrays(False)] for work in self.work if work is not None]
        of_input = [i for i, blocks in enumerate(reads) if any(b is not None and b < recorder.inputs for b in blocks)]
        self._last_input = max(of_input, default=-1)
        """Index of the last call that reads an input."""

    def calls(self) -> list[Call]:
        for j, work in enumerate(self.work):
            if work is not None and work.name == "activation_forward":
                self._join(j, work)
            elif work is not None and work.name == "norm_apply" and self._fold:
                self._fold_norm(j, work)
        return self.found()

    def _source(self, j: int, x: Array) -> tuple[int, str] | None:
        """Return the call that computes x, which only call j reads, and the name of its output; None if it is not so."""
        users = self.users_of(x)
        if len(users) != 2 or users[1] != j or self.block(x) in self._outs:
            return None
        work = self.work[users[0]]
        assert work is not None
        name = next((name for name in work.outputs() if self.same(work.args[name], x)), None)
        return None if name is None else (users[0], name)

    def _may_write(self, i: int, j: int, y: Array) -> bool:
        """Return whether call i may write what call j writes now: y is free, and no input that y may overlap is still needed."""
        return self.users_of(y)[:1] == [j] and (self.block(y) not in self._outs or i > self._last_input)

    def _plain(self, work: Work) -> bool:
        """Return whether the kernel can apply a function, and applies none."""
        if work.name not in _ACTIVATED or work.args["act"].id != LINEAR.id:
            return False
        aux = work.args.get("aux")
        return aux is None or not aux.size or len(self.users_of(aux)) < 2

    def _takes(self, i: int, work: Work, j: int, name: str, y: Array) -> None:
        """Let call i write the output of call j, whose work it does."""
        work.args[name] = y.reshape(work.args[name].shape)
        self.users_of(y)[0] = i
        self.work[j] = None

    def _join(self, j: int, work: Work) -> None:
        """Make an activation, or a copy, part of the call before."""
        found = self._source(j, work.args["x"])
        if found is None:
            return
        i, name = found
        before, act = self.work[i], work.args["act"]
        assert before is not None
        if (act.id == LINEAR.id or (name == "y" and self._plain(before))) and self._may_write(i, j, work.args["y"]):
            if act.id != LINEAR.id:
                before.args["act"] = act
                if "aux" in before.args:  # it is for the gradient, which is not wanted
                    before.args["aux"] = self.recorder.absent
            self._takes(i, before, j, name, work.args["y"])
            self.changed.add(i)

    def _fold_norm(self, j: int, work: Work) -> None:
        """Scale the filters and the bias of the call before, instead of its output."""
        found, scale, shift = self._source(j, work.args["x"]), work.args["scale"], work.args["shift"]
        by = self._source(j, scale)
        if found is None or by is None or found[1] != "y" or by != (by[0], "scale") or self._source(j, shift) != (by[0], "shift"):
            return
        i, folding = found[0], self.work[by[0]]
        before = self.work[i]
        assert before is not None and folding is not None
        if before.name not in _WEIGHTED or not self._plain(before) or folding.name != "norm_fold" or folding.args["bias"].size:
            return
        w, b = before.args["w"], before.args["b"]
        if w.shape[-1] != scale.size:  # the output was reshaped
            return
        outside = self.block(w) is None and (not b.size or self.block(b) is None)
        if not outside or not self._may_write(i, j, work.args["y"]) or not self._may_move(i, j, before):
            return
        folding.args["bias"] = b
        scaled = aligned(self.recorder.real, w.shape, w.dtype)
        self.recorder.owned.append(scaled)
        rows = (-1, w.shape[-1])
        self.before[j] = [("norm_apply", (scaled.reshape(rows), w.reshape(rows), scale, self.recorder.absent, LINEAR))]
        before.args.update(w=scaled, b=shift, act=work.args["act"], aux=self.recorder.absent)
        self._takes(j, before, j, "y", work.args["y"])
        self.work[i], self.work[j] = None, before
        self.changed.add(j)

    def _may_move(self, i: int, j: int, work: Work) -> bool:
        """Return whether call i can run at the place of call j: the calls between them do not touch what it uses."""
        extent = self.recorder.memory.extent
        reads, writes = ([extent(a) for a in work.arrays(written)] for written in (False, True))
        for between in self.between(i, j):
            written, read = ([extent(a) for a in between.arrays(written)] for written in (True, False))
            if _overlap(written, reads + writes) or _overlap(read, writes):
                return False
        return True


def _overlap(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> bool:
    return any(first < end and begin < last for first, last in some for begin, end in others)
