"""Custom steps: train_step, test_step and predict_step, which a model can override as in Keras."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from ..autograd.tensor import Array, Tensor
from ..backends import current
from ..core.structure import Structure, inputs_of
from .batch import BatchTrainer
from .metrics import Mean, Metric
from .metrics.own import as_number
from .objective import BatchLoss, update_metrics
from .step import TrainStep, watched

if TYPE_CHECKING:
    from .compiled import Compiled, Logs


class Steps(BatchTrainer):
    """Methods that fit, evaluate and predict call for each batch, if a class overrides them."""

    def train_step(self, data: Any, /) -> dict[str, Any]:
        """Take one training step. A derived class may override this method and call it by ``super()``.

        Args:
            data: (x, y) or (x, y, sample_weight) of the batch, as Tensors, or lists and dicts of Tensors like the arguments of
                fit; only x if there is no y.

        Returns:
            A dict of names and numbers for the logs. At the end of the epoch, a number that is the result of a metric in
            `metrics` is reported as it is then; other numbers are averaged over the rows.
        """
        x, y, weight = unpacked(data)
        optimizer = self._need("train_step").optimizer
        done: list[tuple[Any, Any, BatchLoss | None]] = []

        def gradients() -> Tensor:
            optimizer.zero_grad()
            y_pred = self._called(x, training=True)
            loss, measured = self._own_loss(x, y, y_pred, weight, training=True)
            if loss.requires_grad:
                loss.backward()
            done.append((y_pred, loss, measured))
            return loss

        if optimizer.takes_closure:
            optimizer.step(gradients)
        elif gradients().requires_grad:
            optimizer.step()
        return self._reported(x, y, weight, *done[0])

    def test_step(self, data: Any, /) -> dict[str, Any]:
        """Evaluate a batch; arguments and result are those of `train_step`."""
        x, y, weight = unpacked(data)
        y_pred = self._called(x, training=False)
        return self._reported(x, y, weight, y_pred, *self._own_loss(x, y, y_pred, weight, training=False))

    def predict_step(self, data: Any, /) -> Any:
        """Compute the outputs for a batch, which is x or (x,)."""
        return self._called(unpacked(data)[0], training=False)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """Compute the loss that was passed to compile, plus the penalties of regularizers, as a Tensor without dimensions."""
        c = self._need("compute_loss")
        if all(o.loss is None for o in c.objectives):
            raise ValueError("compute_loss: compile has no loss; compute the loss in train_step, or override compute_loss")
        outputs = c.returned.flatten(y_pred)
        targets, weights = ([_array(a) for a in part] for part in self._spread("compute_loss", y, sample_weight, "y"))
        assert c.own is not None
        c.own.measured = BatchLoss(self, c.objectives, outputs, targets, weights)
        return c.own.measured.total

    def compute_metrics(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> dict[str, Any]:
        """Add a batch to the metrics that were passed to compile, and return the loss and all metrics so far."""
        c = self._need("compute_metrics")
        if c.objectives:
            targets, weights = ([_array(a) for a in part] for part in self._spread("compute_metrics", y, sample_weight, "y"))
            update_metrics(current(), c.objectives, c.returned.flatten(y_pred), targets, weights)
        assert c.own is not None
        return c.own.known()

    # ---- for fit, evaluate and predict ----

    def _overrides(self, *names: str) -> bool:
        return any(getattr(type(self), name) is not getattr(Steps, name) for name in names)

    def _called(self, x: Any, training: bool) -> Any:
        model: Any = self
        if inputs_of(model, x, "call").kind != "args":
            return model(x, training=training)
        return model(*(x.values() if isinstance(x, Mapping) else x), training=training)

    def _own_loss(self, x: Any, y: Any, y_pred: Any, weight: Any, training: bool) -> tuple[Tensor, BatchLoss | None]:
        own = self._need("fit").own
        assert own is not None
        own.measured = None
        loss = self.compute_loss(x, y, y_pred, weight, training=training)
        measured = own.measured
        return loss, measured if measured is not None and measured.total is loss else None

    def _reported(self, x: Any, y: Any, weight: Any, y_pred: Any, loss: Tensor, measured: BatchLoss | None) -> dict[str, Any]:
        """Add the loss to its mean, and return the result of compute_metrics."""
        c = self._need("fit")
        rows = len(Structure.of(x)[1][0])
        if measured is not None:
            measured.add(c, rows)
        else:
            assert c.own is not None
            c.own.loss.update_state(loss.item(), rows)
        return self.compute_metrics(x, y, y_pred, weight)

    def _data(self, arrays: Sequence[Array], inputs: Structure) -> Any:
        """Return a batch in the form of `train_step`'s argument. The Tensors are copies, since the next batch overwrites the
        buffers."""
        c = self._need("fit")
        leaves = [Tensor(a.copy()) if a.size else None for a in arrays]
        if c.objectives:
            xs, ys, ws = c.parts(leaves)
            targets, structure = list(ys), c.returned
            weights = None if all(w is None for w in ws) else structure.build(ws)
        else:
            n = len(inputs)
            xs, targets, weights, structure = leaves[:n], leaves[n:-1], leaves[-1], c.targets
        x = inputs.build(xs)
        if not targets or all(t is None for t in targets):
            return (x,) if isinstance(x, list | tuple) else x
        y = structure.build(targets)
        return (x, y) if weights is None else (x, y, weights)

    def _test_batch(self, arrays: Sequence[Array], inputs: Structure) -> None:
        c = self._need("evaluate")
        if c.active is not None:
            c.active.add("test_step", self.test_step(self._data(arrays, inputs)), len(arrays[0]))
            return
        xs, targets, weights = c.parts(arrays)
        # Record on the tape until the loss is computed: a loss of probabilities looks there for the logits.
        outputs = c.returned.flatten(inputs.call(self, [Tensor(x) for x in xs], training=False))
        BatchLoss(self, c.objectives, outputs, targets, weights).add(c, len(xs[0]))
        update_metrics(current(), c.objectives, outputs, targets, weights)


class OwnStep(TrainStep):
    """Training step that calls the model's custom train_step; Python runs it each time."""

    def _step(self) -> None:
        if self.fetch is not None:
            self.fetch(self.buffers)
        own = self.compiled.own
        assert own is not None
        with self.precision, watched(self.model) if self.check_finite else nullcontext():
            returned = self.model.train_step(self.model._data(self.buffers, self.inputs))
        self.model.apply_constraints()
        own.add("train_step", returned, len(self.buffers[0]))


class OwnLogs:
    """Logs of custom steps, from the values that they return for each batch."""

    def __init__(self, model: Any, compiled: Compiled) -> None:
        self.model, self.compiled = model, compiled
        self.train = model._overrides("train_step", "compute_loss", "compute_metrics")
        self.test = model._overrides("test_step", "compute_loss", "compute_metrics")
        self.loss = Mean("loss")
        self.measured: BatchLoss | None = None
        self._clear()

    def _clear(self) -> None:
        self._means: dict[str, tuple[float, int]] = {}
        self._latest: dict[str, float] = {}
        self._averaged: set[str] = set()
        """Names of which a returned value differed from the running metric."""

    def others(self) -> list[Metric]:
        """Return the metrics that were not passed to compile."""
        compiled = self.compiled.metrics
        return [m for m in {id(m): m for m in (self.loss, *self.model.metrics)}.values() if all(m is not c for c in compiled)]

    def known(self) -> dict[str, Any]:
        """Return the loss and the metrics of compile so far."""
        c = self.compiled
        logs: dict[str, Any] = c.running() if c.objectives else {}
        if self.loss.total[1]:
            logs["loss"] = self.loss.result()
        elif not any(o.total[1] for o in c.objectives):
            logs.pop("loss", None)  # no step computed the loss of compile
        return logs

    def add(self, op: str, returned: Any, rows: int) -> None:
        """Add the values that a step returned for a batch."""
        if not isinstance(returned, Mapping):
            raise TypeError(
                f"{type(self.model).__name__}.{op} returned a {type(returned).__name__}; wanted a dict of names and numbers"
            )
        known = self.known()
        for metric in self.others():
            if metric.name in returned and metric.name not in known:
                known[metric.name] = metric.result()
        for key, value in returned.items():
            name, number = str(key), as_number(f"{type(self.model).__name__}.{op}: {key}", value, "{}")
            so_far = as_number(name, known[name]) if name in known else math.nan
            if name not in known or not (number == so_far or (math.isnan(number) and math.isnan(so_far))):
                self._averaged.add(name)
            total, count = self._means.get(name, (0.0, 0))
            self._means[name], self._latest[name] = (total + number * rows, count + rows), number

    def logs(self) -> Logs:
        """Return the current values of the running metrics, and the means of the other numbers."""
        means = {name: total / count for name, (total, count) in self._means.items()}
        return {name: means[name] if name in self._averaged else self._latest[name] for name in means}

    def to_merge(self) -> tuple[dict[str, tuple[float, int]], dict[str, float], set[str]]:
        """Return what `merge` needs of each rank."""
        return self._means, self._latest, self._averaged

    def merge(self, ranks: list[tuple[dict[str, tuple[float, int]], dict[str, float], set[str]]]) -> None:
        """Take the values of the steps of all ranks; the metrics are already those of all ranks."""
        names = dict.fromkeys(name for means, _, _ in ranks for name in means)
        found = {name: [means[name] for means, _, _ in ranks if name in means] for name in names}
        self._means = {name: (sum(t for t, _ in of), sum(n for _, n in of)) for name, of in found.items()}
        self._averaged = set().union(*(averaged for _, _, averaged in ranks))
        known = {**{m.name: m.result() for m in self.others()}, **self.known()}
        latest = {name: value for _, values, _ in reversed(ranks) for name, value in values.items()}
        self._latest = {name: as_number(name, known.get(name, latest[name])) for name in names}

    def reset(self) -> None:
        """Start again."""
        self._clear()
        for metric in self.others():
            metric.reset_state()


def unpacked(data: Any) -> tuple[Any, Any, Any]:
    """Return x, y and sample_weight of the argument of `train_step`; None for missing parts."""
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"train_step: data has {len(data)} parts; wanted x, (x, y) or (x, y, sample_weight)")
    return (*data, *(None,) * (3 - len(data)))


def _array(value: Any) -> Array:
    """Return targets or weights as an array; an array of size 0 for None."""
    k = current()
    if value is None:
        return k.empty(0, "float32")
    return value.data if isinstance(value, Tensor) else k.asarray(value)
