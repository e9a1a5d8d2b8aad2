"""Fusion of recorded training steps: an activation of its own, with its gradient, becomes part of the layer before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends.base import Call
from ..backends.spec import ACTIVATIONS, LINEAR, activation
from .fusion import Calls, Work
from .memory import Array
from .recorder import Recorder

_BACKWARD = {"conv_forward": "conv_backward", "dense_forward": "dense_backward", "norm_forward": "norm_backward"}
"""Kernels that can apply a function to their output -> those of their gradients, which then begin with its gradient."""
_RELU = activation("relu")


def fused_step(recorder: Recorder, kept: Sequence[Array]) -> tuple[list[Call], dict[int, Array], set[int]]:
    """Return the calls of a recorded step, their flags, and which of them may overlap with later ones, with fewer calls.

    Args:
        recorder: the recorded step.
        kept: arrays whose values are used after the step.
    """
    return _Step(recorder, kept).result()


class _Step(Calls):
    def __init__(self, recorder: Recorder, kept: Sequence[Array]) -> None:
        super().__init__(recorder)
        self._kept = {self.block(a) for a in kept}

    def result(self) -> tuple[list[Call], dict[int, Array], set[int]]:
        for j, work in enumerate(self.work):
            if work is not None and work.name == "activation_forward":
                self._join(j, work)
        left = [i for i, work in enumerate(self.work) if work is not None]
        recorder, place = self.recorder, {old: new for new, old in enumerate(left)}
        flags = {place[i]: flag for i, flag in recorder.flags.items()}
        return self.found(), flags, {place[i] for i in recorder.overlapping}

    def _join(self, j: int, work: Work) -> None:
        """Make an activation part of the call before, and its gradient part of the gradient of that call."""
        act, z, y = work.args["act"], work.args["x"], work.args["y"]
        users = self.users_of(z)
        before = self.work[users[0]] if users else None
        if before is None or not self._fits(before, act, z) or self.users_of(y)[:1] != [j]:
            return
        gradient = next((i for i in users if self._is(i, "activation_backward")), None)
        if gradient is None:
            if users == [users[0], j] and self._plain_calls(users):
                self._apply(before, act, z, y)
                self.work[j] = None
                self.changed.add(users[0])
            return
        of_act = self.work[gradient]
        assert of_act is not None
        last = self.users_of(of_act.args["dx"])
        if len(last) != 2 or last[0] != gradient or not self._is(last[1], _BACKWARD[before.name]):
            return
        of_layer = self.work[last[1]]
        assert of_layer is not None
        calls = sorted({users[0], j, gradient, last[1]})
        same = self.same(of_act.args["x"], z) and self.same(of_act.args["y"], y) and of_act.args["act"] == act
        belongs = all(
            self.same(before.args[name], of_layer.args[name]) for name in ("x", "w", "mean", "rstd") if name in before.args
        )
        takes = self.same(of_layer.args["dy"], of_act.args["dx"]) and self._takes_gradient(of_layer)
        dy = of_act.args["dy"]
        if not (same and belongs and takes and set(users) <= set(calls) and self._plain_calls(calls)):
            return
        if self.written_between(gradient, last[1], dy) or self.written_between(j, last[1], y):
            return
        self._apply(before, act, z, y)
        shape = of_layer.args["dy"].shape
        if before.name == "norm_forward":
            of_layer.args["relu"] = 1
        else:
            of_layer.args.update(act=act, dz=of_act.args["dx"].reshape(shape), aux=before.args["aux"])
        of_layer.args.update(dy=dy.reshape(shape), y=y.reshape(shape))
        self.work[j] = self.work[gradient] = None
        self.changed |= {users[0], last[1]}

    def _is(self, i: int, name: str) -> bool:
        work = self.work[i]
        return work is not None and work.name == name

    def _plain_calls(self, calls: Sequence[int]) -> bool:
        """Return whether these calls run in each step, after those before them, and what they compute is not used elsewhere."""
        special = any(i in self.recorder.flags or i in self.recorder.overlapping for i in calls)
        return not special and not any(self.block(a) in self._kept for i in calls for a in self._spared(i))

    def _spared(self, i: int) -> list[Array]:
        """Return the outputs of a call that the fused calls do without."""
        work = self.work[i]
        assert work is not None
        name = "y" if work.name in _BACKWARD else "dx" if work.name == "activation_backward" else None
        return [] if name is None else [work.args[name]]

    def _fits(self, before: Work, act: Any, z: Array) -> bool:
        """Return whether the call that computes z can apply the function."""
        if before.name not in _BACKWARD or not self.same(before.args["y"], z):
            return False
        if before.name == "norm_forward":
            return bool(act == _RELU and not before.args["relu"])
        if before.args["act"].id != LINEAR.id or before.args["aux"].size:
            return False
        if before.name == "conv_forward":
            return True
        x, w, rounding = (before.args[name] for name in ("x", "w", "precision"))
        return not self.recorder.real.aux("dense_forward", len(x), w.shape[1], w.shape[0], x.dtype, act, rounding).size

    def _takes_gradient(self, work: Work) -> bool:
        """Return whether a gradient can begin with that of a function."""
        return not work.args["relu"] if work.name == "norm_backward" else bool(work.args["act"].id == LINEAR.id)

    def _apply(self, work: Work, act: Any, z: Array, y: Array) -> None:
        shape = work.args["y"].shape
        if work.name == "norm_forward":
            work.args["relu"] = 1
        else:
            work.args["act"] = act
            if ACTIVATIONS[act.id].saves_z:
                work.args["aux"] = z.reshape(shape)
        work.args["y"] = y.reshape(shape)
