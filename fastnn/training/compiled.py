"""What `compile` was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..backends import numbers
from ..precision import checked
from ..tensor import Array
from . import metrics as metrics_py
from .metrics import Metric
from .objective import Objective, objectives, resolve
from .structure import Structure

if TYPE_CHECKING:
    from .step import TrainStep

Logs = dict[str, float]


class Compiled:
    """What `compile` was told, and what follows from it once the shapes are known."""

    def __init__(self, optimizer: Any, loss: Any, metrics: Any, loss_weights: Any, capture: bool, dtype: str) -> None:
        from .. import losses, optim

        self.optimizer = optim.get(optimizer)
        self.loss = resolve(loss, losses.get)
        self.given = {"optimizer": optimizer, "loss": loss, "metrics": metrics, "loss_weights": loss_weights}
        for m in _leaves(metrics):  # unknown names are told here, not in fit
            metrics_py.check(m)
        self.loss_total = numbers([0.0, 0.0])
        self.owns_optimizer = not self.optimizer.params
        self.capture = capture
        checked(dtype, "compile")
        self.dtype = dtype
        self.outputs: Structure | None = None
        self.objectives: list[Objective] = []
        """One for each output, once the outputs are known."""
        self.probed: tuple[Any, list[tuple[int, ...]]] = (None, [])  # what _probe found, and for which samples
        self.batch_steps: dict[Any, TrainStep] = {}
        self.batch_forms: dict[Any, TrainStep] = {}  # those of several arrays, by what the arrays have in common
        self.batch_structure = -1  # the version of the structure that they were made for

    def bind(self, outputs: Structure) -> None:
        """Takes what the model returns."""
        if outputs != self.outputs:
            parts = objectives(outputs, self.loss, self.given["loss_weights"], self.given["metrics"])
            if all(o.loss is None for o in parts):
                raise ValueError("compile: no output has a loss")
            self.outputs, self.objectives = outputs, parts

    @property
    def returned(self) -> Structure:
        """What the model returns, which is known once it ran."""
        assert self.outputs is not None
        return self.outputs

    def parts(self, arrays: Sequence[Array]) -> tuple[Sequence[Array], Sequence[Array], Sequence[Array]]:
        """The inputs, targets and weights among the arrays of a batch."""
        n = len(self.objectives)
        return arrays[: -2 * n], arrays[-2 * n : -n], arrays[-n:]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of all outputs."""
        return [m for o in self.objectives for m in o.metrics or ()]

    @property
    def recordable(self) -> bool:
        """Whether all losses are kernel calls alone."""
        return all(o.loss is None or o.loss.recordable for o in self.objectives)

    def named_metrics(self) -> list[tuple[str, Metric]]:
        """The metrics of all outputs with their names in the logs."""
        return [item for o in self.objectives for item in o.named_metrics()]

    def _totals(self) -> list[Array]:
        """The running means of the losses: of all, and of each output's."""
        return [self.loss_total, *(o.total for o in self.objectives)]

    def set_aside(self) -> Any:
        """What losses and metrics have summed up so far, for `take_back`; starts them anew."""
        saved = [total.copy() for total in self._totals()], [m.set_aside() for m in self.metrics]
        self.reset()
        return saved

    def take_back(self, saved: Any) -> None:
        """Goes on with what was set aside."""
        totals, kept = saved
        for total, value in zip(self._totals(), totals, strict=True):
            total[:] = value
        for m, own in zip(self.metrics, kept, strict=True):
            m.take_back(own)

    def reset(self) -> None:
        """Starts the running means anew."""
        self.loss_total[:] = 0
        for o in self.objectives:
            if o.name:
                o.total[:] = 0
            for m in o.metrics or ():
                m.reset_state()

    def logs(self) -> Logs:
        """The running means: the loss, those of the outputs where several have one, the metrics."""
        logs = {"loss": _mean(self.loss_total)}
        if len(self.objectives) == 1:
            for m in self.objectives[0].metrics or ():
                logs[m.name] = m.result()
            return logs
        trained = [o for o in self.objectives if o.loss is not None]
        if len(trained) > 1:
            logs.update({f"{o.name}_loss": _mean(o.total) for o in trained})
        return {**logs, **{name: m.result() for name, m in self.named_metrics()}}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "batch_steps": {}, "batch_forms": {}, "probed": (None, [])}


def _mean(total: Array) -> float:
    value, count = total.tolist()
    return value / count if count else 0.0


def _leaves(metrics: Any) -> list[Any]:
    """All metrics in lists and dicts."""
    items = metrics.values() if isinstance(metrics, dict) else metrics if isinstance(metrics, list | tuple) else ()
    if metrics is None or isinstance(metrics, dict | list | tuple):
        return [leaf for item in items for leaf in _leaves(item)]
    return [metrics]
