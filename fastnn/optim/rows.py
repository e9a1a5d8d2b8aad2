"""Adam for tables in which few rows have a gradient, such as those of embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..autograd.tensor import Array
from ..nn.parameter import Parameter
from .base import Optimizer
from .group import Group, Layout, Setting
from .segment import Run

if TYPE_CHECKING:
    from ..backends.base import Backend

MOMENTS = {"exp_avg": 0.0, "exp_avg_sq": 0.0}


def adam_steps(k: Backend, run: Run) -> None:
    """Take a step of Adam. Rows of tables are left out if they have had no gradient so far, since it would not change them."""
    arrays = run.w, run.states["exp_avg"], run.states["exp_avg_sq"], run.dw
    first, begin = run.parameters[0].start, 0
    for p in run.parameters:
        seen = run.segment.seen.get(p)
        if seen is None:
            continue
        if run.dw is not run.grads or not p.zero_beside_marks():
            k.fill(seen, 1.0)
            continue
        start, end = p.start - first, p.start - first + p.size
        if start > begin:
            w, m, v, dw = (a[begin:start] for a in arrays)
            k.adam_step(w, m, v, dw, run.group.hyper, run.steps)
        w, m, v, dw = (a[start:end].reshape(p.shape[0], -1) for a in arrays)
        k.adam_rows_step(w, m, v, seen, dw, p.touched, run.group.hyper, run.steps)
        begin = p.end - first
    if begin < run.w.size:
        w, m, v, dw = (a[begin:] for a in arrays)
        k.adam_step(w, m, v, dw, run.group.hyper, run.steps)


class SparseAdam(Optimizer):
    """Adam that changes only the rows of a table that have a gradient, and does not read the others; PyTorch's SparseAdam.

    The averages of a row stay as they are while it has no gradient, unlike those of Adam. Use it for embeddings, and another
    optimizer for the rest of a model. `Parameter.track_rows` says which rows have a gradient: all of them if something other than
    a look-up used the parameter.

    Args:
        params: parameters or groups; None if the optimizer is passed to `compile`. All have at least one dimension.
        lr: the learning rate.
        betas: decay factors of the running means of the gradient and of the squared gradient.
        eps: number that is added to the root of the mean squared gradient.
        maximize: whether steps increase the loss.
        common: clipping and averages, as in `Optimizer`; they read all rows. Gradients cannot be accumulated.

    >>> import fastnn
    >>> table = fastnn.nn.Embedding(1000, 4, sparse=True)
    >>> optimizer = fastnn.optim.SparseAdam(table.parameters(), lr=0.1)
    >>> before = table.weight.numpy().copy()
    >>> table([3, 5]).sum().backward()
    >>> optimizer.step()
    >>> (before != table.weight.numpy()).any(1).nonzero()[0].tolist()
    [3, 5]
    """

    layout = Layout(("lr", "beta1", "beta2", "eps"))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-3,
        betas: tuple[Setting, Setting] = (0.9, 0.999),
        eps: Setting = 1e-8,
        maximize: bool = False,
        **common: Any,
    ) -> None:
        if common.get("gradient_accumulation_steps") not in (None, 1):
            raise ValueError("SparseAdam: gradient_accumulation_steps: gradients of single rows cannot be accumulated; use Adam")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps}, maximize=maximize, **common)

    def _take(self, group: Group, members: list[Parameter]) -> None:
        for p in members:
            if not p.ndim:
                raise ValueError("SparseAdam: a parameter has no dimensions, and so no rows; give it to another optimizer")
            p.track_rows()
        super()._take(group, members)

    def state_names(self, group: Group) -> dict[str, float]:
        return MOMENTS

    def update(self, k: Backend, run: Run) -> None:
        flat = run.w, run.states["exp_avg"], run.states["exp_avg_sq"], run.dw
        for p in run.parameters:
            w, m, v, dw = (self._rows(run, p, a) for a in flat)
            k.sparse_adam_step(w, m, v, dw, p.touched, run.group.hyper, run.steps)

    def _rows(self, run: Run, p: Parameter, flat: Array) -> Array:
        return run.of(p, flat).reshape(p.shape[0], p.size // max(1, p.shape[0]))
