"""Settings of `compile`, and the logs of training that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array
from ..backends import shared_array
from ..core.block import Finally
from ..core.precision import checked
from ..core.structure import Structure
from ..core.unpickled import Unpickled
from . import metrics as metrics_py
from .merging import merged
from .metrics import Metric
from .metrics.own import as_number
from .names import Names
from .objective import Objective, objectives, resolve

if TYPE_CHECKING:
    from ..distributed import Comm
    from .data.order import Place, Resumed
    from .own_step import OwnLogs
    from .step import TrainStep

Logs = dict[str, float]


class Compiled(Unpickled):
    """Arguments of `compile`, and the objectives that follow from them when the shapes are known."""

    distribute: Comm | None = None
    """Ranks that train the model together; None for this process alone."""

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any,
        loss_weights: Any,
        capture: bool | None,
        dtype: str,
        weighted_metrics: Any = (),
        distribute: Any = None,
    ) -> None:
        from .. import losses, optim

        self.optimizer = optim.get(optimizer)
        self.loss = resolve(loss, losses.get)
        self.given = {"optimizer": optimizer, "loss": loss, "metrics": metrics, "loss_weights": loss_weights}
        self.given["weighted_metrics"] = weighted_metrics
        leaves = [*_leaves(metrics), *_leaves(weighted_metrics)]
        for i, m in enumerate(leaves):
            metrics_py.check(m)  # reject unknown names here, not in fit
            if isinstance(m, Metric) and any(m is other for other in leaves[:i]):
                raise ValueError(
                    f"compile: the metric object {m.name!r} is in metrics twice; make a separate object for each place"
                )
        self.penalty = shared_array([0.0, 0.0])
        """Running mean of the regularizers' penalties, for models with regularizers."""
        self.penalised = False
        self._issued = Names()
        self._parts: dict[tuple[int, str], str] = {}
        self._names: tuple[list[tuple[str, Objective]], list[tuple[str, Metric]]] | None = None
        """Names of losses and metrics in the logs, after the metrics are known."""
        self.added = False
        """Whether the only losses are those that layers add by add_loss."""
        self.own: OwnLogs | None = None
        """Logs of a model with custom steps; None for other models."""
        self.active: OwnLogs | None = None
        """The same object while custom steps run: the logs are then the values that the steps return."""
        self.targets = Structure("one", ["y"])
        """Structure of the targets of custom steps without a loss."""
        self.owns_optimizer = not self.optimizer.params
        if capture is not None and not isinstance(capture, bool):
            raise TypeError(f"compile: capture is {capture!r}, wanted None, True or False")
        self.capture = capture
        checked(dtype, "compile")
        self.dtype = dtype
        self.distribute = _ranks(distribute)
        self.outputs: Structure | None = None
        self.objectives: list[Objective] = []
        """One objective for each output, after the outputs are known."""
        self.probed: tuple[Any, list[tuple[int, ...]]] = (None, [])  # kind of the last samples, and output shapes for them
        self.known_shapes: dict[Any, list[tuple[int, ...]]] = {}  # kind of samples -> output shapes for them
        self.looked_at = False  # whether the outputs were checked, which happens once
        self.warned: set[str] = set()  # kinds of warnings that fit has given
        self.batch_steps: dict[Any, TrainStep] = {}  # steps of train_on_batch, by the shapes and dtypes of the arrays
        self.batch_forms: dict[Any, TrainStep] = {}  # steps for several inputs or outputs, by their nesting, shapes and dtypes
        self.place: Place | dict[str, Any] | None = None  # place that training has reached
        self.resumed: Resumed | None = None  # place where training continues after load
        self.batch_structure = -1  # version of the model for which batch_steps were made

    def bind(self, outputs: Structure) -> None:
        """Set the structure of the model's outputs, and make an objective for each output."""
        if outputs != self.outputs:
            given = (self.given[name] for name in ("loss_weights", "metrics", "weighted_metrics"))
            parts = objectives(outputs, self.loss, *given)
            if all(o.loss is None for o in parts) and self.own is None and not self.added:
                raise ValueError("compile: no output has a loss")
            self.outputs, self.objectives, self._names = outputs, parts, None
            self.known_shapes.clear()

    @property
    def returned(self) -> Structure:
        """Return the structure of the model's outputs, which is known after the first call."""
        assert self.outputs is not None
        return self.outputs

    def parts(self, arrays: Sequence[Array]) -> tuple[Sequence[Array], Sequence[Array], Sequence[Array]]:
        """Return the inputs, targets and weights among the arrays of a batch."""
        n = len(self.objectives)
        return arrays[: -2 * n], arrays[-2 * n : -n], arrays[-n:]

    @property
    def metrics(self) -> list[Metric]:
        """Return the metrics of all outputs."""
        return [m for o in self.objectives for m in o.metrics or ()]

    def named_metrics(self) -> list[tuple[str, Metric]]:
        """Return the metrics of all outputs with their names in the logs."""
        return self._named()[1]

    def _named(self) -> tuple[list[tuple[str, Objective]], list[tuple[str, Metric]]]:
        """Return the names in the logs of the outputs' losses ("" if only one output has a loss) and of the metrics."""
        if self._names is not None:
            return self._names
        self._issued, self._parts = Names(), {}
        names = self._issued
        names.unique("loss")
        trained = [o for o in self.objectives if o.loss is not None]
        losses = [(names.unique(f"{o.name}_loss") if len(trained) > 1 else "", o) for o in trained]
        plain = [(o, m, False) for o in self.objectives for m in o.plain]
        by_weight = [(o, m, True) for o in self.objectives for m in o.by_weight]
        found = losses, [(self._name(o, m.name, weighs), m) for o, m, weighs in [*plain, *by_weight]]
        if all(o.metrics is not None for o in self.objectives if o.needs_target):
            self._names = found
        return found

    def _name(self, objective: Objective, name: str, weighs: bool) -> str:
        """Return a new name in the logs for a metric of an output, or for one of its results.

        As in Keras, the name becomes "weighted_..." if it is taken and the metric has weights.
        """
        prefix = f"{objective.name}_" if objective.name else ""
        taken = weighs and not self._issued.free(prefix + name)
        return self._issued.unique(f"{prefix}weighted_{name}" if taken else prefix + name)

    def totals(self) -> list[Array]:
        """Return the running means of the outputs' losses and of the penalties."""
        return [self.penalty, *(o.total for o in self.objectives)]

    def set_aside(self) -> Finally:
        """Return a block in which losses and metrics start from zero. After the block, their previous sums are restored.

        Recorded steps add to the previous arrays, so they must be restored also after an error or Ctrl-C.
        """
        totals = [(total, total.copy()) for total in self.totals()]
        metrics = [*self.metrics, *(self.own.others() if self.own is not None else ())]
        saved = [(m, m.saved()) for m in metrics]
        active, own = self.active, {} if self.own is None else dict(vars(self.own))

        def begin() -> None:
            for m in metrics:
                m.set_aside()
            self.active = self.own if self.own is not None and self.own.test else None
            self.reset()

        def end() -> None:
            self.active = active
            if self.own is not None:
                vars(self.own).update(own)
            for total, value in totals:
                total[:] = value
            for m, state in saved:
                m.take_back(state)

        return Finally(end, begin)

    def reserve(self, samples: int) -> None:
        """Tell metrics the number of samples before their next reset."""
        for m in self.metrics:
            m.reserve(samples)

    def reset(self) -> None:
        """Reset the running means."""
        if self.active is not None:
            self.active.reset()
        if self.penalised:
            self.penalty[:] = 0
        for o in self.objectives:
            o.total[:] = 0
            for m in o.metrics or ():
                m.reset_state()

    def logs(self) -> Logs:
        """Return the logs of fit and evaluate so far, for the rows of all ranks. All ranks have to call it together."""
        if self.distribute is None:
            return self.own_logs()
        with merged(self):
            return self.own_logs()

    def own_logs(self) -> Logs:
        """Return the logs so far for the rows of this rank."""
        return self.running() if self.active is None else self.active.logs()

    def on_any_rank(self, flag: bool) -> bool:
        """Return whether the flag is true on a rank. All ranks have to call it together."""
        if self.distribute is None:
            return flag
        found = np.array([flag], np.int64)
        self.distribute.maximum(found)
        return bool(found[0])

    @property
    def writes(self) -> bool:
        """Return whether this process prints and writes files: of several ranks, rank 0 does."""
        return self.distribute is None or self.distribute.rank == 0

    def running(self) -> Logs:
        """Return the running means of the total loss, of the outputs' losses if several outputs have one, and of the metrics."""
        losses, metrics = self._names or self._named()
        total = _mean(self.penalty) if self.penalised else 0.0
        logs: Logs = {"loss": total}
        for name, o in losses:
            mean = o.mean()
            total += o.weight * mean
            if name:
                logs[name] = mean
        logs["loss"] = total
        for name, m in metrics:
            value = m.result()
            if type(value) is float:
                logs[name] = value
            elif isinstance(value, Mapping):
                logs.update({self._part(m, str(key)): as_number(name, part) for key, part in value.items()})
            else:
                logs[name] = as_number(name, value)
        return logs

    def _part(self, metric: Metric, key: str) -> str:
        """Return the name in the logs of one result of a metric that returns a dict."""
        if (id(metric), key) not in self._parts:
            o = next(o for o in self.objectives if any(metric is m for m in o.metrics or ()))
            self._parts[id(metric), key] = self._name(o, key, any(metric is m for m in o.by_weight))
        return self._parts[id(metric), key]

    def __getstate__(self) -> dict[str, Any]:
        return {
            **vars(self),
            "batch_steps": {},
            "batch_forms": {},
            "probed": (None, []),
            "known_shapes": {},
            "place": None,
            "resumed": None,
        }


def _ranks(given: Any) -> Comm | None:
    """Check compile's argument distribute. Return None if there is a single rank that has nothing to do but train.

    Raises:
        TypeError: it is not the result of `fastnn.distributed.init`.
    """
    if given is None:
        return None
    from ..distributed import Comm

    if not isinstance(given, Comm):
        raise TypeError(f"compile: distribute is a {type(given).__name__}, wanted the result of fastnn.distributed.init()")
    return None if given.size == 1 else given


def _mean(total: Array) -> float:
    value, count = total.tolist()
    return value / count if count else 0.0


def _leaves(metrics: Any) -> list[Any]:
    """Return all metrics in lists and dicts."""
    items = metrics.values() if isinstance(metrics, dict) else metrics if isinstance(metrics, list | tuple) else ()
    if metrics is None or isinstance(metrics, dict | list | tuple):
        return [leaf for item in items for leaf in _leaves(item)]
    return [metrics]
