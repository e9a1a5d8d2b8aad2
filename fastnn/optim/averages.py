"""Moving averages of the weights, which an optimizer keeps with use_ema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autograd.tape import changed
from ..autograd.tensor import Array
from ..backends import current
from ..core.arrays import copy_array
from ..core.block import Finally, completed
from .segment import Run, Segment

if TYPE_CHECKING:
    from ..backends.base import Backend

AVERAGE = "average"
"""Name of the state with the averages."""


class Averages:
    """Methods of `Optimizer` for the averages of the weights."""

    use_ema: bool
    segments: list[Segment]
    swapped = False
    """Whether the weights and their averages are exchanged."""

    def averaged(self) -> Finally:
        """Return a block in which the parameters have the averages of their values.

        >>> import fastnn
        >>> p = fastnn.nn.Parameter([0.0])
        >>> optimizer = fastnn.optim.SGD([p], lr=1.0, use_ema=True, ema_momentum=0.5)
        >>> for _ in range(2):
        ...     p.grad = [-1.0]
        ...     optimizer.step()
        >>> with optimizer.averaged():
        ...     p.tolist()
        [1.5]
        >>> p.tolist()
        [2.0]
        """
        if not self.use_ema:
            raise ValueError(f"{type(self).__name__}: averaged: it keeps no averages; make it with use_ema=True")
        k = current()
        kept: list[tuple[Run, Array]] = []

        def begin() -> None:
            values = [(run, k.empty(run.w.shape, run.w.dtype)) for s in self.segments for run in s.stepped()]
            for run, own in values:
                copy_array(k, own, run.w)
            kept[:] = values
            self.finalize()

        def end() -> None:
            for run, own in kept:
                self._replace(k, run, own)

        return Finally(end, begin)

    def finalize(self) -> None:
        """Replace the weights by their moving averages if use_ema is set; `fit` does this at its end."""
        if not self.use_ema:
            return
        k = current()
        k.host_reads("the averages that an optimizer keeps")
        if self.swapped:
            self.swap_averages()

        def replace() -> None:
            for s in self.segments:
                for run in s.stepped():
                    self._replace(k, run, run.states[AVERAGE])

        completed(replace)

    def swap_averages(self) -> None:
        """Exchange the weights with their moving averages; the second call exchanges them back. Steps need the weights.

        >>> import fastnn
        >>> p = fastnn.nn.Parameter([0.0])
        >>> optimizer = fastnn.optim.SGD([p], lr=1.0, use_ema=True, ema_momentum=0.5)
        >>> for _ in range(2):
        ...     p.grad = [-1.0]
        ...     optimizer.step()
        >>> optimizer.swap_averages()
        >>> p.tolist(), optimizer.swapped
        ([1.5], True)
        """
        if not self.use_ema:
            raise ValueError(f"{type(self).__name__}: swap_averages: it keeps no averages; make it with use_ema=True")
        k = current()
        k.host_reads("the averages that an optimizer keeps")

        def swap() -> None:
            for s in self.segments:
                for run in s.stepped():
                    own, average = k.empty(run.w.shape, run.w.dtype), run.states[AVERAGE]
                    copy_array(k, own, run.w)
                    self._replace(k, run, average)
                    copy_array(k, average, own)
            self.swapped = not self.swapped

        completed(swap)

    def _replace(self, k: Backend, run: Run, values: Array) -> None:
        copy_array(k, run.w, values)
        changed(*run.parameters)
