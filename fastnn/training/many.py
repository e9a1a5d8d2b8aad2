"""Training of many small nets at once: ensembles, folds of cross-validation, and searches for settings."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import losses, optim
from ..autograd.tensor import Tensor, no_grad, tensor
from ..backends import current
from ..core.seeding import generator
from ..losses.base import Loss
from ..losses.torch.base import AsKeras
from ..nn.mode import mode
from ..ops.checks import check_number, flag, positive_int
from ..ops.data import take
from ..ops.shape import concatenate
from ..optim.base import Optimizer
from ..replay.capture import capture
from .stacked import Array, Group, Stack

OP = "fit_many"
ROWS = 4096
"""Greatest number of rows that are evaluated at a time."""
TOGETHER = 8
"""Greatest number of steps that are recorded together."""


class Many:
    """Result of `fit_many`: the trained nets, and their losses.

    Attributes:
        models: the nets, which were trained in place.
        history: "loss", and with validation "val_loss", (epochs, nets).
        best_epoch: with patience, the number of the epoch from which the weights of each net are, (nets,); else None.
    """

    def __init__(self, models: list[Any], history: dict[str, Array], best_epoch: Array | None) -> None:
        self.models, self.history, self.best_epoch = models, history, best_epoch

    def predict(self, x: Any) -> Array:
        """Return the outputs of all nets, (nets, n, ...)."""
        stack = Stack(self.models, [Group(list(range(len(self.models))), {})], "predict")
        features = self.models[0]._inputs("predict", x, "x")[1][0]
        return np.concatenate([stacked.numpy() for stacked in _outputs(stack, tensor(features))], 1)

    def __repr__(self) -> str:
        return f"Many({len(self.models)} models, {len(self.history['loss'])} epochs)"


def fit_many(
    models: Sequence[Any],
    x: Any,
    y: Any,
    *,
    optimizer: Any = "adam",
    loss: Any = None,
    learning_rate: Any = None,
    weight_decay: Any = None,
    batch_size: int = 32,
    epochs: int = 1,
    sample_weight: Any = None,
    validation_data: Any = None,
    validation_weight: Any = None,
    patience: int | None = None,
    shuffle: bool = True,
) -> Many:
    """Train many nets of the same layers at once, which takes far less time than one after the other.

    The nets differ in their first weights, and in what is given as lists. They see the same batches. A net learns what it would
    learn alone from these batches. Nets of dense layers, activations and Dropout can be trained like this.

    Args:
        models: `Sequential` models with shapes, so that they have weights. They are trained in place.
        x, y: samples and targets, as for `fit`, for all nets.
        optimizer: a name, or an optimizer without parameters and without clipping by norms.
        loss: a name, or a loss, whose mean over the samples is minimized.
        learning_rate, weight_decay: a number, or a list with one for each net; by default those of the optimizer.
        batch_size: number of samples in a step.
        epochs: number of passes over the data.
        sample_weight: a weight for each sample, (n,), or for each net and sample, (nets, n). A net does not see samples of weight
            0: so folds of cross-validation are trained.
        validation_data: (x, y) whose loss is computed after each epoch.
        validation_weight: weights of these samples, (n,) or (nets, n).
        patience: if given, a net ends with the weights of its lowest validation loss, and training ends when no net has had a
            new lowest one in this many epochs. Without validation_data, losses of training count.
        shuffle: whether each epoch has a new order.

    Returns:
        The nets and their losses, as a `Many`.

    Raises:
        TypeError: a net has layers of other kinds.
        ValueError: the nets differ in their layers, or the data do not fit them.

    >>> import fastnn, numpy as np
    >>> nets = [fastnn.Sequential([fastnn.Dense(8, "tanh", input_shape=(2,)), fastnn.Dense(1)]) for _ in range(4)]
    >>> x = np.random.default_rng(0).standard_normal((64, 2))
    >>> many = fastnn.fit_many(nets, x, x[:, :1], loss="mse", learning_rate=[0.01, 0.01, 0.001, 0.001], epochs=3)
    >>> many.history["loss"].shape, many.predict(x).shape
    ((3, 4), (4, 64, 1))
    """
    models = list(models)
    if not models:
        raise ValueError(f"{OP}: models is empty")
    for i, model in enumerate(models):
        if not getattr(model, "built", True):
            raise ValueError(f"{OP}: models[{i}] has no weights yet; give its first layer input_shape")
    batch_size, epochs = positive_int(batch_size, f"{OP}: batch_size"), positive_int(epochs, f"{OP}: epochs")
    if patience is not None:
        patience = positive_int(patience, f"{OP}: patience")
    current().host_reads(OP)
    groups = _groups(len(models), learning_rate, weight_decay)
    stack = Stack(models, groups, OP)
    data = _Data(models[0], loss, x, y, sample_weight, groups, "x", "y")
    held = None
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise TypeError(f"{OP}: validation_data is a {type(validation_data).__name__}; wanted (x, y)")
        names = "validation_data[0]", "validation_data[1]"
        held = _Data(models[0], loss, validation_data[0], validation_data[1], validation_weight, groups, *names)
    steps = _Steps(stack, _optimizer(optimizer, stack, groups), data)
    best = None if patience is None else _Best(stack, groups, patience)
    history: dict[str, list[Array]] = {name: [] for name in (["loss"] if held is None else ["loss", "val_loss"])}
    try:
        for epoch in range(epochs):
            history["loss"].append(steps.epoch(batch_size, flag(shuffle, f"{OP}: shuffle")))
            if held is not None:
                history["val_loss"].append(held.evaluate(stack))
            if best is not None and best.ends(epoch, history["loss" if held is None else "val_loss"][-1]):
                break
    finally:  # also after Ctrl-C, the nets have what they learned
        if best is not None:
            best.restore()
        _write(stack, groups)
    order = np.argsort([i for g in groups for i in g.members])
    found = {name: np.array(rows)[:, order] for name, rows in history.items()}
    return Many(models, found, None if best is None else best.epoch[order])


def _groups(count: int, learning_rate: Any, weight_decay: Any) -> list[Group]:
    """Return the nets with equal settings of the optimizer, group by group."""
    settings: list[dict[str, float]] = [{} for _ in range(count)]
    for name, key, value in (("learning_rate", "lr", learning_rate), ("weight_decay", "weight_decay", weight_decay)):
        if value is None:
            continue
        values = [value] * count if np.ndim(value) == 0 else list(value)
        if len(values) != count:
            raise ValueError(f"{OP}: {name} has {len(values)} numbers for {count} models")
        for i, number in enumerate(values):
            settings[i][key] = check_number(number, f"{OP}: {name}", 0)
    groups: dict[tuple[tuple[str, float], ...], list[int]] = {}
    for i, own in enumerate(settings):
        groups.setdefault(tuple(own.items()), []).append(i)
    return [Group(members, dict(key)) for key, members in groups.items()]


def _optimizer(given: Any, stack: Stack, groups: Sequence[Group]) -> Optimizer:
    """Return the optimizer with a group of parameters for each group of nets."""
    decays = any("weight_decay" in g.settings for g in groups)
    if isinstance(given, Optimizer):
        if given.params:
            raise ValueError(f"{OP}: the optimizer has the parameters of another model; give a new one, without parameters")
        optimizer = copy.deepcopy(given)
    else:
        optimizer = optim.get(given, **({"weight_decay": 1.0} if decays else {}))
    if optimizer.clipnorm is not None or optimizer.global_clipnorm is not None:
        raise ValueError(f"{OP}: the optimizer clips norms, which would be those of several nets together; use clipvalue")
    if optimizer.takes_closure:
        raise TypeError(
            f"{OP}: {type(optimizer).__name__} evaluates the loss of one net several times; train such nets one by one"
        )
    for i, group in enumerate(groups):
        optimizer.add_param_group({"params": stack.parameters(i), **group.settings})
    return optimizer


class _Data:
    """Samples, targets and weights of all nets, and the loss of each net on some of the samples."""

    def __init__(
        self, model: Any, loss: Any, x: Any, y: Any, weight: Any, groups: Sequence[Group], x_name: str, y_name: str
    ) -> None:
        checked = copy.deepcopy(model, {id(model._compiled): None})
        checked.compile("sgd", losses.get(loss) if loss is not None else None)
        prepared = checked._prepare(OP, x, y, None, (x_name, y_name))
        self.x, self.y = (tensor(a) for a in prepared[:2])
        self.nets = sum(len(g.members) for g in groups)
        self.loss = _unreduced(checked._compiled.objectives[0].loss)
        self.weight: Tensor | None = None
        if weight is not None:
            values = np.asarray(weight, self.x.dtype)
            n = len(self.x)
            if values.shape not in ((n,), (self.nets, n)):
                raise ValueError(f"{OP}: weights have shape {values.shape}; wanted {(n,)} or {(self.nets, n)}")
            if not (values >= 0).all() or not np.isfinite(values).all():
                raise ValueError(f"{OP}: a weight is negative, NaN or infinite")
            order = [i for g in groups for i in g.members]
            rows = np.broadcast_to(values, (self.nets, n))[order].T
            self.weight = tensor(np.ascontiguousarray(rows))

    def losses(self, out: Tensor, rows: Tensor, repeated: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the loss of each net, (nets,), and the sums of the weights that it was divided by.

        Args:
            out: outputs, (nets, n, ...).
            rows: numbers of the samples, (n,).
            repeated: the same for each net in turn, (nets n,).
        """
        values = self.loss.measured(take(self.y, repeated), out.reshape(-1, *out.shape[2:]))[0]
        each = values.reshape(self.nets, len(rows), -1).mean(2)
        if self.weight is None:
            return each.mean(1), None
        weight = take(self.weight, rows).transpose(0, 1)
        total = weight.sum(1)
        return (each * weight).sum(1) / total.maximum(np.finfo(self.x.dtype).tiny), total

    def mean(self, parts: list[tuple[Array, Array | None, int]]) -> Array:
        """Return the mean losses of parts of the samples: their losses, weights and numbers."""
        weights = np.array([np.full(self.nets, n) if w is None else w for _, w, n in parts], np.float64)
        total = np.array([part for part, _, _ in parts], np.float64) * weights
        mean: Array = total.sum(0) / np.maximum(weights.sum(0), np.finfo(np.float64).tiny)
        return mean

    def evaluate(self, stack: Stack) -> Array:
        """Return the mean loss of each net over all samples."""
        parts = []
        for at, out in zip(range(0, len(self.x), ROWS), _outputs(stack, self.x), strict=True):
            rows = np.arange(at, at + out.shape[1])
            with no_grad():
                losses, weights = self.losses(out, tensor(rows), tensor(np.tile(rows, self.nets)))
            parts.append((losses.numpy(), None if weights is None else weights.numpy(), len(rows)))
        return self.mean(parts)


def _unreduced(loss: Any) -> Loss:
    """Return a copy of a loss that gives the loss of each sample."""
    name = type(getattr(loss, "loss", loss)).__name__
    if loss.reduction == "sum":
        raise ValueError(f"{OP}: {name} has reduction='sum'; wanted the mean of the losses")
    if not isinstance(loss, AsKeras):
        plain: Loss = copy.copy(loss)
        plain.reduction = "none"
        return plain
    if getattr(loss.loss, "weight", None) is not None:
        raise ValueError(f"{OP}: {name} has weights of classes; give them as sample_weight")
    inner = copy.copy(loss.loss)
    inner.reduction = "none"
    return AsKeras(inner)


def _outputs(stack: Stack, x: Tensor) -> Iterator[Tensor]:
    """Yield the outputs of all nets, part by part of the rows."""
    for at in range(0, max(len(x), 1), ROWS):
        with no_grad(), mode(training=False):
            yield stack(x[at : at + ROWS])


class _Steps:
    """Training steps. Some of them are recorded together, so that Python does little between the kernels."""

    def __init__(self, stack: Stack, optimizer: Optimizer, data: _Data) -> None:
        self._data = data

        def steps(rows: Tensor, repeated: Tensor) -> list[Any]:
            found: list[Any] = []
            for i in range(len(rows)):
                optimizer.zero_grad()
                each, weights = data.losses(stack(take(data.x, rows[i])), rows[i], repeated[i])
                total = each.sum()
                for layer in stack.dense:
                    for penalty in layer.penalty():
                        total = total + penalty
                total.backward()
                optimizer.step()
                found.append(each.detach() if weights is None else concatenate([each.detach(), weights], 0))
            return found

        self._steps: Callable[..., list[Tensor]] = capture(steps)

    def epoch(self, batch_size: int, shuffle: bool) -> Array:
        """Train for one epoch; return the mean loss of each net."""
        n, nets = len(self._data.x), self._data.nets
        order = generator().permutation(n) if shuffle else np.arange(n)
        whole = n // batch_size * batch_size
        batches = order[:whole].reshape(-1, batch_size)
        parts = [batches[at : at + TOGETHER] for at in range(0, len(batches), TOGETHER)]
        parts += [order[None, whole:]] if whole < n else []
        found = []
        with mode(training=True):
            for rows in parts:
                repeated = np.tile(rows, (1, nets))
                for row in (t.numpy() for t in self._steps(tensor(rows), tensor(repeated))):
                    found.append((row[:nets], row[nets:] if len(row) > nets else None, rows.shape[1]))
        return self._data.mean(found)


class _Best:
    """Weights of the lowest loss of each net so far."""

    def __init__(self, stack: Stack, groups: Sequence[Group], patience: int) -> None:
        self._parameters = [stack.parameters(i) for i in range(len(groups))]
        self._groups, self._patience = groups, patience
        self._kept = [[np.array(p.numpy()) for p in parameters] for parameters in self._parameters]
        count = sum(len(g.members) for g in groups)
        self._loss, self.epoch = np.full(count, np.inf), np.zeros(count, np.int64)

    def ends(self, epoch: int, losses: Array) -> bool:
        """Keep the weights of the nets with a new lowest loss; return whether no net had one for a while."""
        better = losses < self._loss
        self._loss[better], self.epoch[better] = losses[better], epoch
        first = 0
        for parameters, kept, group in zip(self._parameters, self._kept, self._groups, strict=True):
            which = better[first : first + len(group.members)]
            first += len(group.members)
            for p, best in zip(parameters, kept, strict=True) if which.any() else ():
                best[which] = p.numpy()[which]
        return bool((epoch - self.epoch >= self._patience).all())

    def restore(self) -> None:
        """Give all nets their best weights."""
        with no_grad():
            for parameters, kept in zip(self._parameters, self._kept, strict=True):
                for p, best in zip(parameters, kept, strict=True):
                    p.copy_(best)


def _write(stack: Stack, groups: Sequence[Group]) -> None:
    """Copy the trained weights into the nets."""
    with no_grad():
        for layer in stack.dense:
            for g, group in enumerate(groups):
                for place, number in enumerate(group.members):
                    layer.write(g, place, number)
