"""Sums of gradients over all ranks: one message for each flat buffer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..backends import current
from .comm import Comm

if TYPE_CHECKING:
    from ..backends.base import Backend
    from ..optim.base import Optimizer
    from ..optim.segment import Run


class Sum:
    """Host call that sums arrays over all ranks.

    Two of them are equal, and so the steps that have them, if their arrays are at the same places.

    Args:
        comm: the ranks.
        arrays: contiguous arrays from outside of a step.
        share: factor of the sums, None for 1.
        rounds: whether the messages may be rounded, as those of gradients.
    """

    def __init__(self, comm: Comm, arrays: Iterable[Any], share: float | None = None, rounds: bool = True) -> None:
        self._comm, self._arrays, self._share, self._rounds = comm, tuple(arrays), share, rounds
        address = current().address
        self._places = tuple((address(a), a.size, a.dtype.name) for a in self._arrays)

    def __call__(self) -> None:
        add_up = self._comm.sum_gradients if self._rounds else self._comm.sum
        for a in self._arrays:
            add_up(a)
            if self._share is not None:
                a *= self._share

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sum):
            return NotImplemented
        return self._key() == other._key()

    def _key(self) -> tuple[Any, ...]:
        return self._comm, self._places, self._share, self._rounds

    def __hash__(self) -> int:
        return hash(self._places)


def average_gradients(optimizer: Optimizer) -> None:
    """Replace the gradients by their means over all ranks; between backward and step of a loop by hand, also in `capture`.

    All ranks call it, with gradients of the same parameters, of as many rows each. The optimizer of a model that is compiled with
    ``distribute=`` does not need it: it sums gradients itself.

    Args:
        optimizer: the optimizer of the parameters; those without a gradient are left out.

    Raises:
        RuntimeError: `init` was not called before.
        ValueError: the optimizer evaluates the loss in its step, as L-BFGS does.

    >>> import fastnn
    >>> comm = fastnn.distributed.init()
    >>> model = fastnn.nn.Linear(2, 1)
    >>> optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1)
    >>> loss = fastnn.nn.MSELoss()(model([[1.0, 2.0]]), [[3.0]])
    >>> loss.backward()
    >>> fastnn.distributed.average_gradients(optimizer)
    >>> optimizer.step()
    """
    from .mpi import latest

    comm = latest()
    check_optimizer(optimizer, "average_gradients")
    if comm.size > 1:
        k = current()
        runs = [run for s in optimizer.segments for run in s.runs(k)]
        sum_gradients(k, comm, optimizer, runs, 1 / comm.size)


def check_optimizer(optimizer: Optimizer, op: str) -> None:
    """Raise ValueError for optimizers whose steps need more than the sum of the ranks' gradients."""
    if optimizer.takes_closure:
        raise ValueError(
            f"{op}: {type(optimizer).__name__} evaluates the loss in its steps, which ranks cannot do together; "
            "use another optimizer, such as Adam, or one process"
        )


def sum_gradients(k: Backend, comm: Comm, optimizer: Optimizer, runs: Iterable[Run], share: float | None = None) -> None:
    """Sum the gradients of runs over all ranks, in place; then all rows of tables count as rows with a gradient."""
    given = {p for run in runs for p in run.parameters}
    if not given:
        return
    k.host_call(Sum(comm, [flat.grads[begin:end] for flat, begin, end in _spans(k, optimizer, given)], share))
    for p in given:
        if p.touched is not None:
            k.fill(p.touched, 1.0)


def _spans(k: Backend, optimizer: Optimizer, given: set[Any]) -> list[tuple[Any, int, int]]:
    """Return the parts of flat buffers, as few as possible, that have the gradients of these parameters and of no others."""
    spans: list[tuple[Any, int, int]] = []
    reached: tuple[Any, int] = None, 0  # the flat buffer, and the place up to which the last part may go on
    flats = {flat: n for n, flat in enumerate(dict.fromkeys(p.flat for p in optimizer.params))}
    for p in sorted(optimizer.params, key=lambda p: (flats[p.flat], p.start)):
        connected = reached == (p.flat, p.start)
        if p in given:
            begin = spans.pop()[1] if connected else p.start
            spans.append((p.flat, begin, p.start + p.size))
        elif k.has_grad(p) or not connected:  # its gradient is nobody's, or nothing has begun
            continue
        reached = p.flat, p.end
    return spans
