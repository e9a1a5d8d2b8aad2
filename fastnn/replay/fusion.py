"""Fusion: recorded calls of a forward pass are joined where one kernel can do the work of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends.base import Call, aligned
from ..backends.spec import KERNELS, LINEAR
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
    return _Fusion(recorder, outs, fold).calls()


class _Work:
    """A recorded call with names for its arguments."""

    def __init__(self, name: str, args: Sequence[Any]) -> None:
        self.name = name
        self.args = dict(zip((arg.name for arg in KERNELS[name].args), args, strict=True))

    def arrays(self, written: bool) -> list[Array]:
        """Return the arrays that it writes, or those that it reads."""
        arrays = [(arg, self.args[arg.name]) for arg in KERNELS[self.name].args if arg.kind == "array"]
        return [a for arg, a in arrays if (arg.writes if written else arg.reads) and a.size]

    def call(self) -> Call:
        return self.name, tuple(self.args.values())


class _Fusion:
    """The calls of a pass, of which some are replaced by None when others do their work.

    Arrays of a recording are in blocks of memory, each of which belongs to one array. So what a kernel computes can be written to
    the block of a later call, if nothing uses that block before.
    """

    def __init__(self, recorder: Recorder, outs: Sequence[Array], fold: bool) -> None:
        self._recorder, self._fold = recorder, fold
        self._work: list[_Work | None] = [_Work(name, args) for name, args in recorder.calls]
        self._before: dict[int, list[Call]] = {}
        """New calls, by the index of the call that they precede."""
        self._users: dict[int, list[int]] = {}
        """Indices of the calls that use a block, by its number."""
        last_input = -1
        for i, work in enumerate(self._work):
            assert work is not None
            reads, writes = ({self._block(a) for a in work.arrays(written)} for written in (False, True))
            for block in reads | writes:
                if block is not None:
                    self._users.setdefault(block, []).append(i)
            if any(block is not None and block < recorder.inputs for block in reads):
                last_input = i
        self._last_input = last_input
        """Index of the last call that reads an input."""
        self._outs = {self._block(a) for a in outs}

    def calls(self) -> list[Call]:
        for j, work in enumerate(self._work):
            if work is not None and work.name == "activation_forward":
                self._join(j, work)
            elif work is not None and work.name == "norm_apply" and self._fold:
                self._fold_norm(j, work)
        found: list[Call] = []
        real = self._recorder.real
        for j, work in enumerate(self._work):
            found += self._before.get(j, [])
            if work is not None:
                found.append(work.call())
                if real.compiles and work.name in _ACTIVATED:
                    real.table[work.name](*found[-1][1])  # a graph of the device cannot be recorded while a kernel is compiled
        return found

    def _block(self, array: Array) -> int | None:
        block = self._recorder.memory.find(*self._recorder.memory.extent(array)) if array.size else None
        return None if block is None else block.number

    def _source(self, j: int, x: Array) -> tuple[int, str] | None:
        """Return the call that computes x, which only call j reads, and the name of its output; None if it is not so."""
        block = self._block(x)
        users = self._users.get(block, []) if block is not None else []
        if block is None or block < self._recorder.inputs or block in self._outs or len(users) != 2 or users[1] != j:
            return None
        work = self._work[users[0]]
        assert work is not None
        named = [arg.name for arg in KERNELS[work.name].args if arg.writes and self._block_of(work, arg.name) == block]
        if len(named) != 1 or any(self._block(a) == block for a in work.arrays(written=False)):
            return None
        y = work.args[named[0]]
        return (users[0], named[0]) if self._recorder.memory.extent(y) == self._recorder.memory.extent(x) else None

    def _block_of(self, work: _Work, name: str) -> int | None:
        value = work.args[name]
        return self._block(value) if hasattr(value, "shape") else None

    def _may_write(self, i: int, j: int, y: Array) -> bool:
        """Return whether call i may write what call j writes now: y is free, and no input that y may overlap is still needed."""
        block = self._block(y)
        if block is None or self._users[block][0] != j:
            return False
        return block not in self._outs or i > self._last_input

    def _plain(self, work: _Work) -> bool:
        """Return whether the kernel can apply a function, and applies none."""
        if work.name not in _ACTIVATED or work.args["act"].id != LINEAR.id:
            return False
        aux = work.args.get("aux")
        return aux is None or not aux.size or len(self._users.get(self._block(aux) or -1, [])) < 2

    def _takes(self, i: int, work: _Work, j: int, name: str, y: Array) -> None:
        """Let call i write the output of call j, whose work it does."""
        work.args[name] = y.reshape(work.args[name].shape)
        block = self._block(y)
        assert block is not None
        self._users[block][0] = i
        self._work[j] = None

    def _join(self, j: int, work: _Work) -> None:
        """Make an activation, or a copy, part of the call before."""
        found = self._source(j, work.args["x"])
        if found is None:
            return
        i, name = found
        before, act = self._work[i], work.args["act"]
        assert before is not None
        if (act.id == LINEAR.id or (name == "y" and self._plain(before))) and self._may_write(i, j, work.args["y"]):
            if act.id != LINEAR.id:
                before.args["act"] = act
                if "aux" in before.args:  # it is for the gradient, which is not wanted
                    before.args["aux"] = self._recorder.absent
            self._takes(i, before, j, name, work.args["y"])

    def _fold_norm(self, j: int, work: _Work) -> None:
        """Scale the filters and the bias of the call before, instead of its output."""
        found, scale, shift = self._source(j, work.args["x"]), work.args["scale"], work.args["shift"]
        by = self._source(j, scale)
        if found is None or by is None or found[1] != "y" or by != (by[0], "scale") or self._source(j, shift) != (by[0], "shift"):
            return
        i, folding = found[0], self._work[by[0]]
        before = self._work[i]
        assert before is not None and folding is not None
        if before.name not in _WEIGHTED or not self._plain(before) or folding.name != "norm_fold" or folding.args["bias"].size:
            return
        w, b = before.args["w"], before.args["b"]
        outside = self._block(w) is None and (not b.size or self._block(b) is None)
        if not outside or not self._may_write(i, j, work.args["y"]) or not self._may_move(i, j, before):
            return
        folding.args["bias"] = b
        scaled = aligned(self._recorder.real, w.shape, w.dtype)
        self._recorder.owned.append(scaled)
        rows = (-1, w.shape[-1])
        self._before[j] = [("norm_apply", (scaled.reshape(rows), w.reshape(rows), scale, self._recorder.absent, LINEAR))]
        before.args.update(w=scaled, b=shift, act=work.args["act"], aux=self._recorder.absent)
        self._takes(j, before, j, "y", work.args["y"])
        self._work[i], self._work[j] = None, before

    def _may_move(self, i: int, j: int, work: _Work) -> bool:
        """Return whether call i can run at the place of call j: the calls between them do not touch what it uses."""
        extent = self._recorder.memory.extent
        reads, writes = ([extent(a) for a in work.arrays(written)] for written in (False, True))
        for between in self._work[i + 1 : j]:
            if between is None:
                continue
            written = [extent(a) for a in between.arrays(written=True)]
            read = [extent(a) for a in between.arrays(written=False)]
            if _overlap(written, reads + writes) or _overlap(read, writes):
                return False
        return True


def _overlap(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> bool:
    return any(first < end and begin < last for first, last in some for begin, end in others)
