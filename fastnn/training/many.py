"""Training of many small nets at once: ensembles, folds of cross-validation, and searches for settings."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import losses, optim
from ..autograd.tensor import Tensor, no_grad
from ..backends import current
from ..losses.base import Loss
from ..losses.torch.base import AsKeras
from ..losses.weights import combined, weighted, weights_of
from ..nn.module import Module
from ..ops.checks import as_tensor, check_number, positive_int
from ..ops.shape import broadcast_to
from ..optim.base import Optimizer
from .callbacks.base import Callback, Logs
from .stacked import Array, Group, Stack

OP = "fit_many"


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
        nets = Nets(Stack(self.models, [Group(list(range(len(self.models))), {})], "predict"), self.models[0])
        outputs: Array = nets.predict(x, verbose=0)
        return np.moveaxis(outputs, 1, 0)

    def __repr__(self) -> str:
        return f"Many({len(self.models)} models, {len(self.history['loss'])} epochs)"


class Nets(Module):
    """All nets as one model, with outputs (n, nets, ...)."""

    _saved_as = ""

    def __init__(self, stack: Stack, first: Any) -> None:
        super().__init__()
        self._stack, self._first = stack, first
        for i, layer in enumerate(stack.dense):
            for name, parameters in (("kernel", layer.kernels), ("bias", layer.biases)):
                for group, p in enumerate(parameters):
                    setattr(self, f"{name}_{i}_{group}", p)

    @property
    def input_spec(self) -> Any:
        return self._first.input_spec

    def forward(self, x: Tensor) -> Tensor:
        y = self._stack(x)
        return y.transpose(0, 1)

    @property
    def losses(self) -> list[Tensor]:
        """Return the penalties of regularizers."""
        return [penalty for layer in self._stack.dense for penalty in layer.penalty()]


class OfEachNet(Loss):
    """Sum of the mean losses of all nets. It adds up the losses of each net, too.

    Args:
        loss: loss of each sample of one net.
        nets: number of nets.
        dtype: dtype of the outputs.
    """

    def __init__(self, loss: Loss, nets: int, dtype: Any) -> None:
        super().__init__()
        self.loss, self.nets, self.targets, self.name = loss, nets, loss.targets, loss.name
        k = current()
        self._totals = k.asarray(np.zeros((2, nets), dtype))  # sums of losses times weights, and of weights
        self._one = k.shared_array([1.0])

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.loss.target_shape(output_shape[1:])

    def shape_of_losses(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return output_shape[:2]

    def measured(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> tuple[Tensor, Any]:
        n = y_pred.shape[0]
        y = as_tensor(y_true, self.name)
        each = broadcast_to(y.reshape(n, 1, *y.shape[1:]), (n, self.nets, *y.shape[1:])).reshape(-1, *y.shape[1:])
        values = self.loss.measured(each, y_pred.reshape(-1, *y_pred.shape[2:]))[0]
        values = values.reshape(-1) if values.size == n * self.nets else values.reshape(n * self.nets, -1).mean(1)
        weight = combined(*weights_of(sample_weight, mask, values.dtype, (n, self.nets), self.name))
        values = weighted(values, weight)
        self._add(values.detach().reshape(n, self.nets), weight)
        total, counted = self.reduced(values, (n, self.nets), None)
        return total * float(self.nets), counted

    def _add(self, values: Tensor, weight: Any) -> None:
        """Add the losses of a batch to those of each net."""
        k = current()
        with no_grad():
            counts = values * 0.0 + 1.0 if weight is None else Tensor(weight).reshape(values.shape)
            for total, of in zip(self._totals, (values, counts), strict=True):
                k.accumulate(total, of.sum(0).data, self._one)

    def take(self) -> Array:
        """Return the mean loss of each net since the last call."""
        k = current()
        totals = np.array(k.to_numpy(self._totals), np.float64)
        k.fill(self._totals, 0.0)
        mean: Array = totals[0] / np.maximum(totals[1], np.finfo(np.float64).tiny)
        return mean


class Watch(Callback):
    """Callback that keeps the losses of each net, and the weights of its lowest loss.

    Args:
        loss: the loss that adds them up.
        parameters: parameters of each group of nets.
        groups: the groups.
        patience: number of epochs without a new lowest loss of any net after which training ends; None to keep the last weights.
    """

    _alone = True

    def __init__(
        self, loss: OfEachNet, parameters: Sequence[Sequence[Any]], groups: Sequence[Group], patience: int | None
    ) -> None:
        super().__init__()
        self._of, self._parameters, self._groups, self._patience = loss, parameters, groups, patience
        self.history: dict[str, list[Array]] = {}
        self._name = "loss"
        self._lowest, self.epoch = np.full(loss.nets, np.inf), np.zeros(loss.nets, np.int64)
        self._kept = [[np.array(p.numpy()) for p in own] for own in parameters] if patience is not None else []

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._of.take()
        self._name = "loss"

    def on_test_begin(self, logs: Logs = None) -> None:
        self._store()
        self._name = "val_loss"

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._store()
        if self._patience is None:
            return
        losses = self.history[self._name][-1]
        better = losses < self._lowest
        self._lowest[better], self.epoch[better] = losses[better], epoch
        first = 0
        for own, kept, group in zip(self._parameters, self._kept, self._groups, strict=True):
            which = better[first : first + len(group.members)]
            first += len(group.members)
            for p, best in zip(own, kept, strict=True) if which.any() else ():
                best[which] = p.numpy()[which]
        if (epoch - self.epoch >= self._patience).all():
            self.model.stop_training = True

    def _store(self) -> None:
        """Store the losses since the last call: those of training, then those of validation."""
        self.history.setdefault(self._name, []).append(self._of.take())

    def restore(self) -> None:
        """Give all nets the weights of their lowest losses."""
        with no_grad():
            for own, kept in zip(self._parameters, self._kept, strict=False):
                for p, best in zip(own, kept, strict=True):
                    p.copy_(best)


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
    verbose: int | str = 0,
) -> Many:
    """Train many nets of the same layers at once: each layer is one kernel call for all of them.

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
        verbose: as in `fit`; the loss that is shown is the sum of those of the nets.

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
    if patience is not None:
        patience = positive_int(patience, f"{OP}: patience")
    groups = _groups(len(models), learning_rate, weight_decay)
    order = [i for g in groups for i in g.members]
    stack = Stack(models, groups, OP)
    nets = Nets(stack, models[0])
    each = OfEachNet(_unreduced(losses.get(loss)), len(models), nets.dtype)
    nets.compile(_optimizer(optimizer, stack, groups), each)
    parameters = [stack.parameters(i) for i in range(len(groups))]
    watch = Watch(each, parameters, groups, patience)
    if validation_data is not None and validation_weight is not None:
        validation_data = (*validation_data, _weights(validation_weight, order, "validation_weight"))
    try:
        nets.fit(
            x,
            y,
            batch_size,
            epochs,
            verbose,
            watch,
            validation_data=validation_data,
            shuffle=shuffle,
            sample_weight=None if sample_weight is None else _weights(sample_weight, order, "sample_weight"),
        )
    finally:  # also after Ctrl-C, the nets have what they learned
        watch.restore()
        with no_grad():
            for layer in stack.dense:
                for g, group in enumerate(groups):
                    for place, number in enumerate(group.members):
                        layer.write(g, place, number)
    own = np.argsort(order)
    found = {name: np.array(rows)[:, own] for name, rows in watch.history.items()}
    return Many(models, found, None if patience is None else watch.epoch[own])


def _weights(given: Any, order: Sequence[int], name: str) -> Array:
    """Return the weights of all nets, (n, nets), with a mean of 1 for each net."""
    values = np.asarray(given, np.float64)
    if values.ndim not in (1, 2) or (values.ndim == 2 and len(values) != len(order)):
        raise ValueError(f"{OP}: {name} has shape {values.shape}; wanted (n,) or ({len(order)}, n)")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"{OP}: {name} has a weight that is negative, NaN or infinite")
    rows = np.broadcast_to(values, (len(order), values.shape[-1]))[order].T
    mean = rows.mean(0)
    if not mean.all():
        raise ValueError(f"{OP}: {name} of a net has only zeros")
    return np.ascontiguousarray(rows / mean)


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
