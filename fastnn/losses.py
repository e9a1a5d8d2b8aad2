"""Losses with Keras's names and meanings: called as loss(y_true, y_pred), means over the batch, on probabilities by default.

A loss on probabilities looks for the softmax or sigmoid that made them and works on its logits: the same value and gradient,
computed without loss of precision. Where there is none it clips and takes the logarithm, as Keras does.
`fastnn.nn` has PyTorch's losses, which always take logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .backends import current
from .ops import activation, elementwise, shape
from .ops import loss as ops
from .ops.door import as_array, as_tensor, check_number, floating, host_array
from .tensor import Array, Tensor
from .training.data import check_labels

EPSILON = 1e-7


class Loss:
    """A loss of targets and predictions. ``targets`` tells what y_true holds: "labels" (whole numbers) or "values"."""

    targets = "values"
    name = ""
    recordable = True
    """Whether fit may record it unasked."""
    ignored: int | None = None
    """The label that counts for nothing."""
    takes_probabilities = False
    """Whether a loss of labels takes rows of probabilities too."""

    def __call__(self, y_true: Any, y_pred: Tensor, sample_weight: Any = None) -> Tensor:
        """The mean over the batch of the weighted losses, as a Tensor without dimensions."""
        y_pred = floating(self.name, as_tensor(y_pred, self.name))
        y_pred = y_pred if y_pred.ndim else shape.reshape(y_pred, (1,))
        rows = int(np.prod(y_pred.shape[:-1])) if y_pred.ndim > 1 else y_pred.shape[0]
        weight = None if sample_weight is None else _flat(sample_weight, y_pred.dtype, rows, f"{self.name}: sample_weight")
        return ops.reduce_loss(self.rows(y_true, y_pred, weight))

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        """The weighted loss of each row."""
        raise NotImplementedError(f"{type(self).__name__} defines no rows(y_true, y_pred, sample_weight)")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}


def _flat(value: Any, dtype: Any, n: int, op: str) -> Array:
    if isinstance(value, Tensor):
        value = value.data
    k = current()
    array = (
        value
        if type(value) is k.xp.ndarray and value.dtype == dtype and value.flags.c_contiguous
        else k.asarray(host_array(value, dtype, op))
    )
    array = array.reshape(-1)
    if array.size != n:
        raise ValueError(f"{op}: {array.size} values for {n} rows")
    k.constant_enters(array)
    return array


def as_labels(y_true: Any, rows: int, classes: int, op: str, ignore_index: int = ops.NO_LABEL) -> Array:
    """Labels as int64 (rows,), checked to lie in 0..classes - 1 or to be ignore_index."""
    if isinstance(y_true, Tensor):
        y_true = y_true.data
    k = current()
    array = y_true if type(y_true) is k.xp.ndarray else host_array(y_true, None, op)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: labels of dtype {array.dtype} came, wanted whole numbers")
    labels = k.asarray(array, np.int64)
    if labels.ndim != 1:
        labels = labels.reshape(-1)
    if labels.size != rows:
        raise ValueError(f"{op}: {labels.size} labels for {rows} rows")
    check_labels(labels, classes, op, None if ignore_index == ops.NO_LABEL else ignore_index, "target")
    k.constant_enters(labels)
    return labels


def _two(y: Tensor) -> Tensor:
    """Rows of a matrix: all dimensions but the last are rows, a vector is a column."""
    return y if y.ndim == 2 else shape.reshape(y, (-1, 1) if y.ndim <= 1 else (int(np.prod(y.shape[:-1])), y.shape[-1]))


def _values(y_true: Any, like: Tensor, op: str) -> Tensor:
    """Targets of like's dtype and shape; a vector fits a single column."""
    if isinstance(y_true, Tensor):
        t = as_tensor(y_true, op)
        if t.dtype != like.dtype:
            raise TypeError(f"{op}: targets of dtype {t.dtype} and predictions of dtype {like.dtype}; use astype")
    elif type(y_true) is current().xp.ndarray and y_true.dtype == like.dtype:
        t = Tensor(np.ascontiguousarray(y_true) if isinstance(y_true, np.ndarray) else y_true)
    else:
        t = as_tensor(host_array(y_true, like.dtype, op), op)
    if t.shape != like.shape:
        if t.size != like.size or {t.shape, like.shape} - {(like.size,), (like.size, 1)}:
            raise ValueError(f"{op}: targets have shape {t.shape}, predictions {like.shape}")
        t = shape.reshape(t, like.shape)
    return t


class SparseCategoricalCrossentropy(Loss):
    """Cross-entropy of integer labels.

    Args:
        from_logits: whether predictions are logits, not probabilities.
        ignore_class: rows with this label count for nothing; the mean is over the others.

    >>> import fastnn
    >>> loss = fastnn.losses.SparseCategoricalCrossentropy()
    >>> round(loss([1], fastnn.tensor([[0.1, 0.9]])).item(), 4)
    0.1054
    """

    targets = "labels"
    name = "sparse_categorical_crossentropy"

    def __init__(self, from_logits: bool = False, ignore_class: int | None = None) -> None:
        self.from_logits = from_logits
        self.ignore_class = ignore_class

    @property
    def ignored(self) -> int | None:  # type: ignore[override]
        return self.ignore_class

    def __call__(self, y_true: Any, y_pred: Tensor, sample_weight: Any = None) -> Tensor:
        if self.ignore_class is None:
            return super().__call__(y_true, y_pred, sample_weight)
        logits = _two(self._logits(y_pred))
        weight = (
            None if sample_weight is None else _flat(sample_weight, y_pred.dtype, logits.shape[0], f"{self.name}: sample_weight")
        )
        losses, weights = self._rows(y_true, logits, weight)
        return ops.reduce_loss(losses, "weights", weights)

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        return self._rows(y_true, _two(self._logits(y_pred)), sample_weight)[0]

    def _logits(self, y_pred: Tensor) -> Tensor:
        return y_pred if self.from_logits else _softmax_logits(y_pred)

    def _rows(self, y_true: Any, logits: Tensor, sample_weight: Array | None) -> tuple[Tensor, Array]:
        ignore = ops.NO_LABEL if self.ignore_class is None else self.ignore_class
        labels = as_labels(y_true, logits.shape[0], logits.shape[1], self.name, ignore)
        return ops.sparse_cross_entropy(logits, labels, sample_weight, ignore_index=ignore)


class CategoricalCrossentropy(Loss):
    """Cross-entropy of target probabilities (one-hot labels).

    Args:
        from_logits: whether predictions are logits, not probabilities.
        label_smoothing: the share of each target that is spread over all classes.
    """

    name = "categorical_crossentropy"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = from_logits
        self.label_smoothing = check_number(label_smoothing, f"{type(self).__name__}: label_smoothing", 0, 1)

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets = _two(_values(y_true, y_pred, self.name))
        logits = _two(y_pred if self.from_logits else _softmax_logits(y_pred))
        return ops.cross_entropy(logits, targets.data, sample_weight, smoothing=self.label_smoothing)


class BinaryCrossentropy(Loss):
    """Cross-entropy of yes-or-no targets, averaged over the outputs.

    Args:
        from_logits: whether predictions are logits, not probabilities.
        label_smoothing: the share of each target that is moved towards one half.
    """

    name = "binary_crossentropy"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = from_logits
        self.label_smoothing = check_number(label_smoothing, f"{type(self).__name__}: label_smoothing", 0, 1)

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        targets = _two(_values(y_true, y_pred, self.name))
        logits = _two(y_pred if self.from_logits else _sigmoid_logits(y_pred))
        return ops.sigmoid_cross_entropy(logits, targets.data, sample_weight, smoothing=self.label_smoothing)


class MeanSquaredError(Loss):
    """The mean of (y_true - y_pred)^2.

    >>> import fastnn
    >>> fastnn.losses.MeanSquaredError()([[1.0, 2.0]], fastnn.tensor([[1.0, 4.0]])).item()
    2.0
    """

    name = "mean_squared_error"

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        return ops.mse(_two(y_pred), _two(_values(y_true, y_pred, self.name)), sample_weight)


def _softmax_logits(p: Tensor) -> Tensor:
    # The logarithm of probabilities serves as logits: softmax takes it back to them.
    logits = activation.softmax_logits(p)
    return logits if logits is not None else elementwise.log(elementwise.clip(p, EPSILON, 1 - EPSILON))


def _sigmoid_logits(p: Tensor) -> Tensor:
    logits = activation.sigmoid_logits(p)
    if logits is not None:
        return logits
    p = elementwise.clip(p, EPSILON, 1 - EPSILON)
    return elementwise.log(p) - elementwise.log(1 - p)


class CustomLoss(Loss):
    """A Python function of y_true and y_pred (Tensors) as a loss; what it returns is averaged."""

    recordable = False
    targets = "any"

    def __init__(self, function: Callable[[Any, Tensor], Tensor]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", "loss")

    def __call__(self, y_true: Any, y_pred: Tensor, sample_weight: Any = None) -> Tensor:
        if not isinstance(y_true, Tensor):
            k = current()
            y_true = Tensor(y_true) if type(y_true) is k.xp.ndarray else as_tensor(y_true, self.name, y_pred)
        values = self.function(y_true, y_pred)
        if not isinstance(values, Tensor):
            raise TypeError(f"loss {self.name}: returned {type(values).__name__}, wanted a Tensor made by operations on y_pred")
        if sample_weight is None:
            return values.mean() if values.ndim else values
        if values.ndim == 0:
            raise ValueError(f"loss {self.name}: sample_weight needs a loss of each sample, but the function returns one number")
        values = values if values.ndim == 1 else values.mean(tuple(range(1, values.ndim)))
        weight = as_array(sample_weight, y_pred.dtype, values.shape, f"loss {self.name}: sample_weight")
        return (values * Tensor(weight)).mean()


LOSSES: dict[str, type[Loss]] = {
    c.name: c for c in (SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError)
}
_ALIASES = {"mse": "mean_squared_error", "MSE": "mean_squared_error"}


def get(identifier: Any) -> Any:
    """A loss from its Keras name, an instance or class of a loss, a loss of `fastnn.nn`, or a function of y_true and y_pred.

    >>> import fastnn
    >>> type(fastnn.losses.get("mse")).__name__
    'MeanSquaredError'
    """
    if isinstance(identifier, str):
        name = _ALIASES.get(identifier, identifier)
        by_class = {c.__name__: c for c in LOSSES.values()}
        if name not in LOSSES and name not in by_class:
            raise ValueError(f"unknown loss {identifier!r}; there are: {', '.join([*LOSSES, *_ALIASES])}")
        return (LOSSES.get(name) or by_class[name])()
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, Loss):
        return identifier
    from .nn.loss import TorchLoss

    if isinstance(identifier, type) and issubclass(identifier, TorchLoss):
        identifier = identifier()  # type: ignore[call-arg]
    if isinstance(identifier, TorchLoss):
        return identifier.as_keras()
    if callable(identifier):
        return CustomLoss(identifier)
    raise TypeError(f"loss: {type(identifier).__name__} came, wanted a name, a loss or a function of y_true and y_pred")
