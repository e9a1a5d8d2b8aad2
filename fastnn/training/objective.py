"""What compile says about each output: its loss, how much it counts, and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..backends import current, numbers
from ..ops.door import check_number
from ..tensor import Array, Tensor
from . import data
from . import metrics as metrics_py
from .metrics import Metric
from .structure import Structure


class Objective:
    """Loss and metrics of one output.

    Args:
        name: the output's name, which stands before those of its loss and metrics in the logs; "" where there is one output.
        loss: None for an output that is not trained.
        weight: the factor of its loss in the sum.
        given: the metrics as compile was given them.
    """

    def __init__(self, name: str, loss: Any, weight: float, given: Sequence[Any]) -> None:
        self.name, self.loss, self.weight, self.given = name, loss, weight, list(given)
        self.metrics: list[Metric] | None = None
        self.total = numbers([0.0, 0.0])
        """Its mean loss, where several outputs have one."""
        self.shape: tuple[int, ...] = ()

    @property
    def needs_target(self) -> bool:
        return self.loss is not None or bool(self.given)

    def named_metrics(self) -> list[tuple[str, Metric]]:
        """The metrics with their names in the logs."""
        prefix = f"{self.name}_" if self.name else ""
        return [(prefix + m.name, m) for m in self.metrics or ()]

    def target(self, op: str, y: Any, rows: int, dtype: Any, name: str) -> Array:
        """The targets of this output as an array that fits it, checked; of size 0 if it needs none."""
        if not self.needs_target:
            return np.empty(0, dtype)
        if y is None:
            raise ValueError(f"{op}: {name} is missing")
        shape, loss = self.shape, self.loss
        kind: Any = "any" if loss is None else loss.targets
        given = _shape(y)
        if kind == "labels" and len(given) > 1 and given[1:] == shape[1:] and shape[-1] > 1:
            if not loss.takes_probabilities:
                raise ValueError(
                    f"{op}: {name} has rows of {shape[-1]} values, wanted labels; for one-hot rows: categorical_crossentropy"
                )
            kind = "values"
        if kind == "any":  # a function's: whole numbers stay what they are
            whole = np.asarray(y).dtype.kind in "iub"
            targets = data.as_features(y, np.int64 if whole else dtype, op, name)
        else:
            targets = data.as_targets(y, kind, dtype, op, name, column=len(shape) > 1)
        if len(targets) == rows:  # other lengths are told of later
            if kind == "labels":
                data.check_labels(targets, shape[-1], op, loss.ignored, name)
            elif kind == "values" and targets.shape[1:] != (wanted := loss.target_shape(shape[1:])):
                other = "" if wanted == shape[1:] else f", for which the loss {loss.name} wants {(rows, *wanted)}"
                raise ValueError(
                    f"{op}: {name} has shape {targets.shape}, but the model's output has {(rows, *shape[1:])}{other}"
                )
        if self.metrics is None:
            if kind == "any":
                kind = "labels" if targets.ndim == 1 and targets.dtype == np.int64 else "values"
            self.metrics = [metrics_py.get(m, kind, int(shape[-1]) if len(shape) > 1 else 1) for m in self.given]
        return targets


def _shape(y: Any) -> tuple[int, ...]:
    """The shape of targets as they came; () for ragged lists, which are told of later."""
    try:
        return tuple(y.shape) if hasattr(y, "shape") else np.shape(y)
    except ValueError:
        return ()


def resolve(given: Any, get: Callable[[Any], Any]) -> Any:
    """A loss, or a list or dict of losses, with names made objects by get; None stays None."""
    if isinstance(given, Mapping):
        return {key: None if item is None else get(item) for key, item in given.items()}
    if isinstance(given, list | tuple):
        return [None if item is None else get(item) for item in given]
    return get(given)


def objectives(outputs: Structure, loss: Any, weights: Any, metrics: Any) -> list[Objective]:
    """One Objective for each output of a model, from what compile was given.

    Raises:
        ValueError: lists of other lengths, or names that no output has.
    """
    losses, factors = _by_output(outputs, loss, "loss"), _by_output(outputs, weights, "loss_weights")
    checked = [
        1.0 if factor is None else check_number(factor, f"compile: loss_weights of {name}", 0)
        for name, factor in zip(outputs.names, factors, strict=True)
    ]
    names = outputs.names if len(outputs) > 1 else [""]
    return [Objective(*item) for item in zip(names, losses, checked, _metrics(outputs, metrics), strict=True)]


def _by_output(outputs: Structure, given: Any, name: str) -> list[Any]:
    """A setting of compile for each output: the same for all, or a list or dict; None where it is left out."""
    if isinstance(given, list | tuple) and len(outputs) == 1:
        if len(given) != 1:
            raise ValueError(f"compile: {name} has {len(given)} entries; the model has 1 output")
        return list(given)
    if isinstance(given, list | tuple | Mapping):
        return outputs.spread(given, "compile", name, optional=True)
    return [given] * len(outputs)


def _metrics(outputs: Structure, metrics: Any) -> list[list[Any]]:
    n = len(outputs)
    if not metrics:
        return [[] for _ in range(n)]
    if n == 1 and not isinstance(metrics, Mapping):
        flat = metrics[0] if len(metrics) == 1 and isinstance(metrics[0], list | tuple) else metrics
        return [list(flat)]
    given = outputs.spread(metrics, "compile", "metrics", optional=True)
    return [[] if m is None else list(m) if isinstance(m, list | tuple) else [m] for m in given]


def total_loss(parts: Sequence[Objective], outputs: Sequence[Tensor], targets: Any, weights: Any) -> Tensor:
    """The sum of the outputs' weighted losses, as a Tensor; adds each to its running mean where there are several."""
    k = current()
    trained = [i for i, o in enumerate(parts) if o.loss is not None]
    total: Tensor | None = None
    for i in trained:
        o, weight = parts[i], weights[i]
        loss = o.loss(targets[i], outputs[i], weight if weight.size else None)
        if len(trained) > 1:
            k.mean_metric(o.total, loss.data.reshape(1), float(len(outputs[i])))
        part = loss if o.weight == 1 else loss * o.weight
        total = part if total is None else total + part
    assert total is not None  # compile refuses models without any loss
    return total


def update_metrics(k: Any, parts: Sequence[Objective], outputs: Sequence[Tensor], targets: Any) -> None:
    """Adds a batch to the outputs' metrics."""
    for o, y_pred, y in zip(parts, outputs, targets, strict=True):
        for metric in o.metrics or ():
            metric.update(k, y_pred.data, y, k.empty(0, y_pred.dtype))
