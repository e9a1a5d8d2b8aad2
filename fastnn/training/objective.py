"""Settings of compile for each output: its loss, the weight of the loss, and its metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current, shared_array
from ..core.elements import Shape, same_numbers
from ..core.structure import Structure
from ..core.unpickled import Unpickled
from ..core.versions import settings_changed
from ..losses.base import Loss
from ..losses.weights import product
from ..nn.masks import mask_of
from ..ops import logic
from ..ops.checks import check_number
from ..ops.elementwise import astype
from ..ops.loss import NO_LABEL, reduce_loss
from ..ops.members import MeanOfMembers, for_members
from ..ops.shape import transpose
from . import metrics as metrics_py
from .data import arrays as data
from .metrics import Metric

if TYPE_CHECKING:
    from ..backends.base import Backend
    from .compiled import Compiled
    from .ranks import Ranks


class Objective(Unpickled):
    """Loss and metrics of one output.

    Args:
        name: name of the output, used as a prefix for its loss and metrics in the logs; "" if there is one output.
        loss: loss of the output; None if the output is not trained.
        weight: factor of its loss in the total loss.
        plain: argument `metrics` of compile.
        by_weight: argument `weighted_metrics` of compile: metrics with weights of samples and classes.
    """

    def __init__(self, name: str, loss: Any, weight: float, plain: Sequence[Any], by_weight: Sequence[Any] = ()) -> None:
        self.name, self.loss, self.weight = name, loss, weight
        self.given, self._plain = [*plain, *by_weight], len(plain)
        self.metrics: list[Metric] | None = None
        self.total = shared_array([0.0, 0.0])
        """Sum of the batch losses so far, each times its weight, and the sum of these weights."""
        self.shape = ()
        self.ignores = False
        """Whether there were labels that the loss ignores. Metrics of fastnn ignore them too."""

    @property
    def shape(self) -> Shape:
        """Return the shape of the output for one sample, with the axis of samples."""
        return self._shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        self._shape = shape
        self._classes_first = len(shape) > 2 and self.loss is not None and bool(self.loss.classes_first)
        self.classes = int(shape[1 if self._classes_first else -1]) if shape else 0
        """Number of outputs in a row: size of the last axis, or of the second axis if the loss has the classes there."""

    @property
    def logits(self) -> str:
        """Return the function that turns logits into probabilities ("sigmoid" or "softmax"); "" if the loss takes no logits."""
        return "" if self.loss is None else str(self.loss.logits)

    @property
    def plain(self) -> list[Metric]:
        """Return the metrics without weights."""
        return (self.metrics or [])[: self._plain]

    @property
    def by_weight(self) -> list[Metric]:
        """Return the metrics with weights."""
        return (self.metrics or [])[self._plain :]

    @property
    def is_sum(self) -> bool:
        """Return whether the loss of a data set is the sum of the losses of its batches."""
        return self.loss is not None and self.loss.reduction == "sum"

    @property
    def needs_target(self) -> bool:
        return self.loss is not None or bool(self.given)

    def measure(self, y: Any, y_pred: Tensor, weight: Array | None) -> tuple[Tensor, Array | None]:
        """Return the loss of a batch, and the weights whose sum is its divisor; None if the divisor is the number of rows."""
        if isinstance(y_pred, MeanOfMembers):
            return self._of_members(y, y_pred, weight)
        mask = mask_of(y_pred)
        if type(self.loss).__call__ is not Loss.__call__:  # a user's class
            given = {} if mask is None else {"mask": mask}
            return self.loss(y, y_pred, weight, **given), None
        measured: tuple[Tensor, Array | None] = self.loss.measured(y, y_pred, weight, mask)
        return measured

    def _of_members(self, y: Any, y_pred: MeanOfMembers, weight: Array | None) -> tuple[Tensor, Array | None]:
        """Return the mean of the losses of the members of a net, as `measure` does."""
        members = y_pred.members
        loss, counted = self.measure(
            for_members(y, members), y_pred.rows, None if weight is None else for_members(weight, members)
        )
        return (loss * (1 / members) if self.loss.reduction == "sum" else loss), counted

    def add(self, k: Backend, loss: Tensor, counted: Array | None, rows: int) -> None:
        """Add the loss of a batch to the mean over all rows or weights of the data set."""
        value = loss.data.reshape(1)
        if counted is None:
            k.mean_metric(self.total, value, 1.0 if self.is_sum else float(rows))
        else:
            k.mean_rows(self.total, value, reduce_loss(Tensor(counted), "sum").data.reshape(1))

    def mean(self) -> float:
        """Return the mean loss of all batches so far, or the sum if the loss is a sum."""
        value, count = self.total.tolist()
        if self.is_sum:
            return float(value)
        return value / count if count else 0.0

    def target(self, op: str, y: Any, rows: int, dtype: Any, name: str) -> Array:
        """Check the targets of this output and return them as an array that fits it; of size 0 if it needs none."""
        if not self.needs_target:
            return np.empty(0, dtype)
        if y is None:
            raise ValueError(f"{op}: {name} is missing")
        shape, loss = self.shape, self.loss
        kind: Any = "any" if loss is None else loss.targets
        given = shape_of(y)
        wanted = shape[1:] if loss is None else loss.target_shape(shape[1:])
        if kind == "labels" and len(given) > 1 and given[1:] == shape[1:] and self.classes > 1:
            if not loss.takes_probabilities:
                raise ValueError(
                    f"{op}: {name} has rows of {shape[-1]} values, wanted labels; for one-hot rows: categorical_crossentropy"
                )
            kind, wanted = "values", shape[1:]
        if kind == "labels" and self._classes_first and given[1:] != wanted and same_numbers(given[1:], shape[1:-1]):
            raise ValueError(
                f"{op}: {name} has shape {given}, but the model's output has {(rows, *shape[1:])}, and the second axis is "
                f"the class axis for {loss.name}, as in PyTorch; transpose the output, or use "
                "fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), where it is the last axis"
            )
        targets = data.as_targets(y, kind, dtype, op, name, column=len(shape) > 1, sample=wanted)
        if len(targets) == rows:  # other lengths are rejected later
            if kind == "labels":
                self.check_labels(targets, op, name)
            elif kind == "values" and targets.shape[1:] != wanted:
                if same_numbers(targets.shape, (rows, *wanted)):
                    return self._known(kind, targets.reshape(rows, *wanted))
                other = "" if wanted == shape[1:] else f", for which the loss {loss.name} wants {(rows, *wanted)}"
                raise ValueError(
                    f"{op}: {name} has shape {given or targets.shape}, but the model's output has {(rows, *shape[1:])}{other}"
                )
        return self._known(kind, targets)

    def weights(self, op: str, given: Any, rows: int, dtype: Any) -> Array:
        """Check the weights of this output's samples or loss elements and return them as an array; of size 0 for None."""
        like, loss = (rows, *self.shape[1:]), self.loss
        if (
            loss is not None and type(loss).call is Loss.call and type(loss).__call__ is Loss.__call__
        ):  # other losses do not tell the shape of their elements
            like = loss.shape_of_losses(like)
        return data.as_sample_weight(given, rows, dtype, op, like if like[:1] == (rows,) else (rows,))

    def class_weights(self, op: str, class_weight: Any, targets: Array, weights: Array) -> Array:
        """Return the weights times the class weights of the targets."""
        rows = targets.shape == (len(targets), *self.shape[1:])
        by_class = np.moveaxis(targets, 1, -1) if rows and self._classes_first else targets
        found = data.class_weight_to_sample_weight(class_weight, by_class, weights, op, numbers=not rows)
        outputs = self.classes if len(self.shape) > 1 else 1
        ignored = self.loss.ignored if self.loss is not None else None
        unknown = [key for key in class_weight if not 0 <= key < outputs and key != ignored]
        if unknown and outputs > 1:
            raise ValueError(f"{op}: class_weight has the key {unknown[0]}, but the model's classes are 0 to {outputs - 1}")
        return found

    def check_labels(self, labels: Array, op: str, name: str) -> None:
        """Raise ValueError for labels that are not classes; store whether there are labels that the loss ignores."""
        classes, ignored = self.classes, self.loss.ignored
        beyond = data.check_labels(labels, classes, op, ignored, name)
        if not self.ignores and (beyond or (ignored is not None and 0 <= ignored < classes)):
            self.ignores = True
            settings_changed()  # recorded steps count all rows in metrics

    def counts(self, targets: Array, weights: Array) -> Array:
        """Return a mask of the targets with a weight other than 0, over their first axes; of size 0 without weights."""
        counts: Array = weights != 0
        if self._classes_first and targets.ndim == len(self.shape) and counts.ndim > 1:  # one-hot targets with weights of rows
            return np.broadcast_to(counts[:, None], targets.shape)
        return counts.any(tuple(range(targets.ndim, counts.ndim)))

    def by_row(self, y_pred: Tensor, y: Array) -> tuple[Tensor, Array]:
        """Return outputs and targets with the class axis last, as metrics need it."""
        if not self._classes_first:
            return y_pred, y
        axes = (0, *range(2, y_pred.ndim), 1)
        return transpose(y_pred, axes), transpose(Tensor(y), axes).data if y.shape == y_pred.shape else y

    def counted(self, k: Backend, y: Array, dtype: Any, mask: Tensor | None) -> tuple[Array, Array]:
        """Return the targets for fastnn's metrics, with NO_LABEL in ignored rows, and weights of rows (size 0 if all count).

        mask: mask of the output, or None. Masked rows have weight 0.
        """
        kept = k.empty(0, dtype) if mask is None else astype(mask, dtype).data
        if not self.ignores or y.dtype != np.int64:
            return y, kept
        counts = Tensor(y) != self.loss.ignored
        return logic.where(counts, Tensor(y), NO_LABEL).data, product(kept, astype(counts, dtype).data)

    def update(
        self, k: Backend, metrics: Sequence[Metric], y_pred: Array, y: Array, labels: Array, weight: Array, counted: Array
    ) -> None:
        """Add a batch to metrics. Metrics of fastnn get the labels and weights in which ignored rows do not count."""
        for metric in metrics:
            own = (labels, counted) if metric.recordable else (y, weight)
            metric.add_batch(k, y_pred, *own, self.logits)

    def _known(self, kind: Any, targets: Array) -> Array:
        """Return the targets; choose the metrics by them if the metrics are not known yet."""
        if self.metrics is None:
            outputs = self.classes if len(self.shape) > 1 else 1
            if kind == "any":
                each = (len(targets), *self.shape[1:-1])
                labels = targets.dtype == np.int64 and outputs > 1 and same_numbers(targets.shape, each)
                kind = "labels" if labels else "values"
            self.metrics = [metrics_py.get(m, kind, outputs, self.logits) for m in self.given]
        return targets


def shape_of(y: Any) -> tuple[int, ...]:
    """Return the shape of the given targets; () for ragged lists, which are rejected later."""
    try:
        return tuple(y.shape) if hasattr(y, "shape") else np.shape(y)
    except ValueError:
        return ()


def resolve(given: Any, get: Callable[[Any], Any]) -> Any:
    """Replace the names in a loss, or in a list or dict of losses, by get(name); None stays None."""
    if isinstance(given, Mapping):
        return {key: None if item is None else get(item) for key, item in given.items()}
    if isinstance(given, list | tuple):
        return [None if item is None else get(item) for item in given]
    return None if given is None else get(given)


def objectives(outputs: Structure, loss: Any, weights: Any, metrics: Any, by_weight: Any = ()) -> list[Objective]:
    """Return one Objective for each output of a model, from the arguments of compile.

    Raises:
        ValueError: a list has another length, or a name belongs to no output.
    """
    losses, factors = _by_output(outputs, loss, "loss"), _by_output(outputs, weights, "loss_weights")
    checked = [
        1.0 if factor is None else check_number(factor, f"compile: loss_weights of {name}", 0)
        for name, factor in zip(outputs.names, factors, strict=True)
    ]
    names = outputs.names if len(outputs) > 1 else [""]
    found = (_metrics(outputs, given, name) for given, name in ((metrics, "metrics"), (by_weight, "weighted_metrics")))
    return [Objective(*item) for item in zip(names, losses, checked, *found, strict=True)]


def _by_output(outputs: Structure, given: Any, name: str) -> list[Any]:
    """Return a setting of compile for each output, from one value for all, or a list or dict; None if it is omitted."""
    if isinstance(given, list | tuple) and len(outputs) == 1:
        if len(given) != 1:
            raise ValueError(f"compile: {name} has {len(given)} entries; the model has 1 output")
        return list(given)
    if isinstance(given, list | tuple | Mapping):
        return outputs.spread(given, "compile", name, optional=True)
    return [given] * len(outputs)


def _metrics(outputs: Structure, metrics: Any, name: str) -> list[list[Any]]:
    n = len(outputs)
    if not metrics:
        return [[] for _ in range(n)]
    if n == 1 and not isinstance(metrics, Mapping):
        flat = metrics[0] if len(metrics) == 1 and isinstance(metrics[0], list | tuple) else metrics
        return [list(flat)]
    given = outputs.spread(metrics, "compile", name, optional=True)
    return [[] if m is None else list(m) if isinstance(m, list | tuple) else [m] for m in given]


class BatchLoss:
    """Loss of a batch.

    total: sum of the outputs' weighted losses and the penalties, as a Tensor. With ranks, it is this rank's part of the sum for
        the whole batch.
    ranks: how the batch is shared by several ranks; None for a process alone.
    """

    def __init__(
        self,
        model: Any,
        parts: Sequence[Objective],
        outputs: Sequence[Tensor],
        targets: Any,
        weights: Any,
        ranks: Ranks | None = None,
    ) -> None:
        self.outputs = outputs
        self._measured: list[tuple[Objective, Tensor, Array | None]] = []
        for o, y_pred, y, weight in zip(parts, outputs, targets, weights, strict=True):
            if o.loss is not None:
                loss, counted = o.measure(y, y_pred, weight if weight.size else None)
                self._measured.append((o, loss, counted))
        self._penalty = model.regularization_loss()
        summed = [o.weight for o, _, _ in self._measured]
        terms = [loss for _, loss, _ in self._measured]
        if isinstance(self._penalty, Tensor):
            terms, summed = [*terms, self._penalty], [*summed, 1.0]
        if ranks is not None:
            terms = ranks.parts(terms, [(o.is_sum, counted) for o, _, counted in self._measured])
        total: Tensor | None = None
        for term, factor in zip(terms, summed, strict=True):
            part = term if factor == 1 else term * factor
            total = part if total is None else total + part
        if total is None:
            raise ValueError("fit: no layer called add_loss, and compile has no loss")
        self.total: Tensor = total

    def add(self, compiled: Compiled, rows: int) -> None:
        """Add the losses and the penalties to their running means."""
        k = current()
        for o, loss, counted in self._measured:
            o.add(k, loss, counted, rows)
        if isinstance(self._penalty, Tensor):
            compiled.penalised = True
            k.mean_metric(compiled.penalty, self._penalty.data.reshape(1), float(rows))


def update_metrics(k: Backend, parts: Sequence[Objective], outputs: Sequence[Tensor], targets: Any, weights: Any) -> None:
    """Add a batch to the outputs' metrics; custom metrics get all rows."""
    for o, y_pred, y, given in zip(parts, outputs, targets, weights, strict=True):
        if not o.metrics:
            continue
        mask = mask_of(y_pred)
        y_pred, y = o.by_row(y_pred, y)
        labels, counted = o.counted(k, y, y_pred.dtype, mask)
        o.update(k, o.plain, y_pred.data, y, labels, k.empty(0, y_pred.dtype), counted)
        if o.by_weight:
            o.update(k, o.by_weight, y_pred.data, y, labels, given, product(given, counted))
