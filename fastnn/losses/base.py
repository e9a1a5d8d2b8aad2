"""Base classes of losses: calls, weights and reductions, and losses that are Python functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor, is_grad_enabled
from ..backends import current
from ..core.convert import host_array, own_array
from ..core.elements import same_elements, same_numbers
from ..core.registry import Settings
from ..ops import loss as ops
from ..ops import shape
from ..ops.checks import as_tensor, floating
from ..ops.elementwise import astype
from ..training.data.arrays import check_labels
from .weights import combined, weighted, weights_of

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


class Loss(Settings):
    """Base class of losses of targets and predictions. A custom loss defines ``call(y_true, y_pred)``.

    Args:
        reduction: "sum_over_batch_size" or "mean" is the mean of the weighted losses; "mean_with_sample_weight" is their sum
            divided by the sum of the weights; "sum" is their sum; "none" or None returns the losses themselves.
        name: name in messages.

    >>> import fastnn
    >>> class FourthPower(fastnn.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return (y_true - y_pred) ** 4
    >>> FourthPower(reduction="sum")([1.0, 2.0], fastnn.tensor([1.0, 4.0])).item()
    16.0
    """

    targets = "any"
    """Kind of y_true: "labels" (integers), "values", or "any" if only ``call`` knows it."""
    name = ""
    reduction: str | None = "sum_over_batch_size"
    ignored: int | None = None
    """Label that is ignored, or None."""
    logits: str = ""
    """Function that turns the outputs into probabilities, "sigmoid" or "softmax", for a loss of logits; else ""."""
    classes_first = False
    """Whether the second axis of a prediction with more than two axes is that of the classes."""
    takes_probabilities = False
    """Whether a loss of labels also accepts rows of probabilities."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        if reduction not in REDUCTIONS:
            wanted = ", ".join(map(repr, REDUCTIONS))
            raise ValueError(f"{type(self).__name__}: reduction={reduction!r}, wanted one of {wanted}")
        self.reduction = reduction
        if name is not None:
            self.name = str(name)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample (n,) or of each of its elements (n, ...), or one number for all.

        y_true has the dtype and the number of dimensions of y_pred. Class labels are int64 instead, (n,) for (n, C), or (n, T)
        for (n, T, C).
        """
        raise NotImplementedError(f"{type(self).__name__} defines no call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> Tensor:
        """Compute the reduced loss: a Tensor without dimensions, unless the reduction is "none".

        Args:
            y_true: targets with the shape of y_pred, or labels with this shape without the last axis: (n,) for (n, C), and
                (n, T) for (n, T, C).
            y_pred: predictions.
            sample_weight: a weight for each sample, (n,), or for each element of the loss, such as (n, T); sizes of 1 broadcast.
            mask: with the same shapes as sample_weight, True for the elements that count. A mean is only over these elements.

        Raises:
            ValueError: the shapes do not fit.

        >>> import fastnn
        >>> loss, p = fastnn.losses.SparseCategoricalCrossentropy(), fastnn.tensor([[[0.5, 0.5], [0.1, 0.9]]])
        >>> round(loss([[0, 0]], p, mask=[[True, False]]).item(), 4)
        0.6931
        """
        return self.measured(y_true, y_pred, sample_weight, mask)[0]

    def measured(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> tuple[Tensor, Array | None]:
        """Compute the reduced loss, and return it with the weights whose sum is its divisor.

        This sum is the weight of the batch in the mean over a data set. With None, the weight is the number of rows.
        """
        op = f"loss {self.name or type(self).__name__}"
        y_pred = floating(op, as_tensor(y_pred, op))
        values = self.call(*as_given(_target(y_true, op, y_pred), y_pred))
        if not isinstance(values, Tensor):
            raise TypeError(f"{op}: returned {type(values).__name__}, wanted a Tensor made by operations on y_pred")
        values = floating(op, values)
        if y_pred.requires_grad and is_grad_enabled() and not values.requires_grad:
            raise ValueError(
                f"{op}: the result has no gradient by y_pred; what goes through NumPy, item() or detach() is a constant"
            )
        if values.ndim == 0:
            if sample_weight is not None or mask is not None:
                name = "mask" if sample_weight is None else "sample_weight"
                raise ValueError(f"{op}: {name} needs a loss of each sample, but the function returns one number")
            return values, None
        if y_pred.ndim and values.shape[0] != y_pred.shape[0]:
            raise ValueError(
                f"{op}: returned shape {values.shape} for {y_pred.shape[0]} samples, wanted a loss of each or one number"
            )
        weight, counted = weights_of(sample_weight, mask, values.dtype, values.shape, op)
        losses = weighted(shape.reshape(values, (-1,)), combined(weight, counted))
        return self.reduced(losses, values.shape, weight, counted)

    def reduced(
        self, losses: Tensor, like: tuple[int, ...], weight: Array | None, counted: Array | None = None
    ) -> tuple[Tensor, Array | None]:
        """Reduce weighted losses (M,), of shape ``like``, and return the result with the weights, like `measured`.

        counted: 1 for rows that count, else 0.
        """
        if self.reduction in (None, "none"):
            return shape.reshape(losses, like), None
        if self.reduction == "sum":
            return ops.reduce_loss(losses, "sum"), None
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            counted = combined(weight, counted)
        return (ops.reduce_loss(losses) if counted is None else ops.reduce_loss(losses, "weights_or_one", counted)), counted

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a sample's targets, given that of its output; labels have no class axis."""
        return output_shape[:-1] if self.targets == "labels" else output_shape

    def shape_of_losses(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the losses for predictions with this shape, samples first; weights broadcast to it."""
        return output_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}


class RowLoss(Loss):
    """Base of the losses of fastnn, which are computed row by row; the last axis has the outputs of a row."""

    targets = "values"

    def measured(self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None) -> tuple[Tensor, Array | None]:
        if type(self).call is not Loss.call:  # of a class derived from one of fastnn's
            return super().measured(y_true, y_pred, sample_weight, mask)
        y_pred = floating(self.name, as_tensor(y_pred, self.name))
        y_pred = y_pred if y_pred.ndim else shape.reshape(y_pred, (1,))
        like = self.shape_of_losses(y_pred.shape)
        weight, counted = weights_of(sample_weight, mask, y_pred.dtype, like, self.name)
        losses = self.rows(y_true, y_pred, combined(weight, counted))
        return self.reduced(losses, like, weight, combined(counted, self.counted(y_true, y_pred)))

    def rows(self, y_true: Any, y_pred: Tensor, sample_weight: Array | None) -> Tensor:
        """Return the weighted loss of each row (M,)."""
        raise NotImplementedError(f"{type(self).__name__} defines no rows(y_true, y_pred, sample_weight)")

    def counted(self, y_true: Any, y_pred: Tensor) -> Array | None:
        """Return 1 for each row that counts and 0 for the others; None if all rows count."""
        return None

    def shape_of_losses(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape without the last axis, the outputs of a row; in a vector, each number is a row."""
        return output_shape[:-1] if len(output_shape) > 1 else output_shape


class CustomLoss(Loss):
    """Loss from a Python function of y_true and y_pred (Tensors). The result of the function is weighted and averaged.

    `compile` wraps functions in this class. `fit` records the function if it does the same operations in each step.

    >>> import fastnn
    >>> loss = fastnn.losses.CustomLoss(lambda y_true, y_pred: abs(y_true - y_pred).sqrt())
    >>> loss([[1.0], [2.0]], fastnn.tensor([[5.0], [2.0]])).item()
    1.0
    """

    def __init__(
        self, function: Callable[[Any, Tensor], Tensor], reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(reduction, name or getattr(function, "__name__", "loss"))
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred)


# ---- checks of the user's arguments ----


def _target(y_true: Any, op: str, like: Tensor) -> Tensor:
    """Convert targets to a Tensor: integers to int64, others to the dtype of the predictions."""
    k = current()
    if type(y_true) is k.xp.ndarray and y_true.dtype in (like.dtype, np.int64) and y_true.flags.c_contiguous:
        k.host_wrote(y_true)
        return Tensor(y_true)
    whole = not isinstance(y_true, Tensor) and getattr(y_true, "dtype", np.asarray(y_true).dtype).kind in "iub"
    return as_tensor(y_true, op, None if whole else like)


def as_given(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Convert targets and predictions for user code, as in Keras: to the same number of dimensions and the same dtype.

    A class label for each row of several outputs stays an integer, which can be used as an index.
    """
    t, p = same_rank(y_true, y_pred)
    labels = t.dtype == np.int64 and p.ndim > 1 and p.shape[-1] > 1 and t.shape == p.shape[:-1]
    return (t if labels else astype(t, p.dtype)), p


def same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with the same number of dimensions if they differ only by a size of 1, as in Keras.

    Arithmetic on (n,) and (n, 1) would broadcast to (n, n). A vector becomes a column. Otherwise, the Tensor with more
    dimensions loses its last one.
    """
    if y_true.ndim == y_pred.ndim:
        return y_true, y_pred
    if not same_numbers(y_true.shape, y_pred.shape):
        if y_true.size == y_pred.size and same_elements(y_true.shape, y_pred.shape):
            return shape.reshape(y_true, y_pred.shape), y_pred
        return y_true, y_pred
    column = (*(y_true if y_true.ndim < y_pred.ndim else y_pred).shape, 1)
    least = column if len(column) == 2 else column[:-1]
    return shape.reshape(y_true, least), shape.reshape(y_pred, least)


def as_labels(y_true: Any, like: tuple[int, ...], classes: int, op: str, ignore_index: int = ops.NO_LABEL) -> Array:
    """Return labels for losses of this shape as flat int64, after a check that they are in 0..classes - 1 or ignore_index."""
    if isinstance(y_true, Tensor):
        y_true = y_true.data
    k = current()
    on_device = k.xp is not np and type(y_true) is k.xp.ndarray
    array = y_true if on_device else host_array(y_true, None, op)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{op}: labels of dtype {array.dtype} came, wanted whole numbers")
    if array.shape != like and array.shape != (*like, 1):
        raise ValueError(f"{op}: labels have shape {array.shape}, wanted {like} for predictions of shape {(*like, classes)}")
    labels = array.astype(np.int64, order="C", copy=False)
    check_labels(k.to_numpy(labels), classes, op, None if ignore_index == ops.NO_LABEL else ignore_index, "target")
    labels = k.asarray(labels).reshape(-1)
    k.host_wrote(labels)
    return labels


def two(y: Tensor) -> Tensor:
    """Reshape to a matrix: all dimensions except the last become rows, a vector becomes a column."""
    return y if y.ndim == 2 else shape.reshape(y, (-1, 1) if y.ndim <= 1 else (int(np.prod(y.shape[:-1])), y.shape[-1]))


def values_of(y_true: Any, dtype: Any, op: str) -> Tensor:
    """Convert targets to this dtype, with their own shape."""
    if isinstance(y_true, Tensor):
        t = as_tensor(y_true, op)
        if t.dtype.kind != "f":
            return astype(t, dtype)
        if t.dtype != dtype:
            raise TypeError(f"{op}: targets of dtype {t.dtype} and predictions of dtype {dtype}; use astype")
        return t
    k = current()
    if type(y_true) is k.xp.ndarray and y_true.dtype == dtype:
        array = own_array(k, y_true, dtype, op)
        k.host_wrote(array)
        return Tensor(array)
    return as_tensor(host_array(y_true, dtype, op), op)


def values(y_true: Any, like: Tensor, op: str) -> Tensor:
    """Convert targets to the dtype and shape of `like`; a last size of 1 may be missing or additional."""
    t = values_of(y_true, like.dtype, op)
    if t.shape != like.shape:
        if not same_numbers(t.shape, like.shape):
            raise ValueError(f"{op}: targets have shape {t.shape}, predictions {like.shape}")
        t = shape.reshape(t, like.shape)
    return t
