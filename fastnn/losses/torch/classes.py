"""Losses of classes with PyTorch's names and meanings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...backends import current
from ...core.convert import as_array
from ...nn.layers.dense import Linear
from ...ops import activation, elementwise, logic, shape
from ...ops import loss as ops
from ...ops.checks import check_number, positive_int
from ...ops.pointwise_loss import no_gradient
from ..base import as_labels, values
from ..weights import counting, row_weight, weighted
from .base import Losses, TorchLoss

_warned: set[str] = set()


class ClassLoss(TorchLoss):
    """Base of the losses with one class label for each row."""

    _saved_as = ""
    targets = "labels"
    classes_first = True
    weight: np.ndarray[Any, Any] | None
    ignore_index = ops.NO_LABEL

    def shape_of_losses(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape[:1] + input_shape[2:] if len(input_shape) > 1 else ()

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return output_shape[1:]

    def _rows(self, input: Tensor, target: Any, sample_weight: Any) -> tuple[Tensor, Array, Any, Any, tuple[int, ...]]:
        """Return the input (M, N, ...) as rows of classes, the labels, the weights of rows and classes, and the losses' shape."""
        name = type(self).__name__
        like, logits = self._like(input), _classes_last(input)
        target_shape = _shape(target, name)
        if target_shape != like:
            last = target_shape == input.shape[:-1]
            hint = "; the classes are the second axis of the input, as in PyTorch" if last else ""
            raise ValueError(f"{name}: input has shape {input.shape}, so target must have {like}, but has {target_shape}{hint}")
        labels = as_labels(target, like, logits.shape[1], name, self.ignore_index)
        return logits, labels, *self._weights(logits, like, sample_weight), like

    def _like(self, input: Tensor) -> tuple[int, ...]:
        if not input.shape:
            raise ValueError(f"{type(self).__name__}: input without dimensions, wanted (M, N)")
        return self.shape_of_losses(input.shape)

    def _weights(self, logits: Tensor, like: tuple[int, ...], sample_weight: Any) -> tuple[Any, Any]:
        name, dtype = type(self).__name__, logits.dtype
        rows, classes = None, None
        if sample_weight is not None:
            rows = row_weight(sample_weight, dtype, like, f"{name}: sample_weight")
        if self.weight is not None:
            classes = as_array(self.weight.astype(dtype), dtype, logits.shape[1:], f"{name}: weight")
        return rows, classes


class CrossEntropyLoss(ClassLoss):
    """Softmax cross-entropy of logits.

    Args:
        weight: a weight for each class (N,); the mean is divided by the sum of the weights of the labels.
        ignore_index: rows with this label count for nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: the share of each target that is spread over all classes.

    Shapes: input (M, N), (N,) or (M, N, ...); target whole numbers (M,), () or (M, ...), or probabilities of input's shape.

    >>> import fastnn
    >>> round(fastnn.nn.CrossEntropyLoss()(fastnn.tensor([[0.0, 0.0]]), [1]).item(), 4)
    0.6931
    """

    logits = "softmax"
    takes_probabilities = True

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction, size_average, reduce)
        self.weight = self._constant(weight, "weight")
        self.ignore_index = int(ignore_index)
        self.label_smoothing = check_number(label_smoothing, "CrossEntropyLoss: label_smoothing", 0, 1)

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        name = "CrossEntropyLoss"
        if activation.softmax_logits(input) is not None and name not in _warned:
            _warned.add(name)
            warnings.warn(
                "CrossEntropyLoss takes logits, but its input came out of a softmax; leave the softmax out, or use "
                "fastnn.losses, whose losses take probabilities",
                stacklevel=4,
            )
        if input.shape and _shape(target, name) == input.shape and _kind(target) == "f":
            like, targets = self._like(input), values(target, input, name)
            no_gradient(targets, name)
            logits = _classes_last(input)
            rows, weight = self._weights(logits, like, sample_weight)
            targets = _classes_last(targets)
            return ops.cross_entropy(logits, targets.data, rows, weight, self.label_smoothing), like, None
        logits, labels, rows, weight, like = self._rows(input, target, sample_weight)
        losses, weights = ops.sparse_cross_entropy(logits, labels, rows, weight, self.label_smoothing, self.ignore_index)
        return losses, like, weights


class NLLLoss(ClassLoss):
    """Minus the logarithm of the label's probability; inputs are logarithms of probabilities, such as outputs of `LogSoftmax`.

    Args:
        weight: a weight for each class (N,); the mean is divided by the sum of the weights of the labels.
        ignore_index: rows with this label count for nothing.
        reduction: "mean", "sum" or "none".

    Shapes: input (M, N), (N,) or (M, N, ...); target whole numbers (M,), () or (M, ...).

    >>> import fastnn
    >>> fastnn.nn.NLLLoss()(fastnn.tensor([[-1.0, -2.0], [-3.0, -4.0]]), [0, 1]).item()
    2.5
    """

    logits = "softmax"  # the softmax of logarithms of probabilities is the probabilities

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce)
        self.weight = self._constant(weight, "weight")
        self.ignore_index = int(ignore_index)

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        logits = activation.log_softmax_logits(input) if input.ndim == 2 else None
        if logits is not None:  # log-softmax and this loss together are the cross-entropy of the logits
            logits, labels, rows, weight, like = self._rows(logits, target, sample_weight)
            losses, weights = ops.sparse_cross_entropy(logits, labels, rows, weight, 0.0, self.ignore_index)
            return losses, like, weights
        log_p, labels, rows, weight, like = self._rows(input, target, sample_weight)
        hit = one_hot(labels, log_p.shape[1], self.ignore_index)
        each = log_p if weight is None else log_p * Tensor(weight)
        losses = weighted(-logic.where(hit, each, 0.0).sum(1), rows)
        counts = elementwise.astype(hit, log_p.dtype) if weight is None else logic.where(hit, Tensor(weight), 0.0)
        sums = counts.sum(1)
        return losses, like, (sums if rows is None else sums * Tensor(rows)).data


class MultiMarginLoss(ClassLoss):
    """The mean over the classes of max(margin - x[label] + x[class], 0)^p, without the class of the label.

    Args:
        p: 1 or 2.
        margin: required difference between the score of the label and other scores.
        weight: a weight for each class (N,); the weight of the label is used.
        reduction: "mean", "sum" or "none".

    Shapes: input (M, N) or (N,), target whole numbers (M,) or ().

    >>> import fastnn
    >>> fastnn.nn.MultiMarginLoss()(fastnn.tensor([[0.5, 1.0]]), [1]).item()
    0.25
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction, size_average, reduce)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p is {p!r}, wanted 1 or 2")
        self.p = int(p)
        self.margin = check_number(margin, "MultiMarginLoss: margin", -np.inf)
        self.weight = self._constant(weight, "weight")

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        if input.ndim > 2:
            raise ValueError(f"MultiMarginLoss: input has shape {input.shape}, wanted (M, N) or (N,)")
        x, labels, rows, weight, like = self._rows(input, target, sample_weight)
        x, hit = counting(x, rows), one_hot(labels, x.shape[1])
        beyond = activation.relu(self.margin - logic.where(hit, x, 0.0).sum(1, keepdims=True) + x)
        losses = logic.where(hit, 0.0, beyond**self.p).mean(1)
        if weight is not None:
            losses = losses * logic.where(hit, Tensor(weight), 0.0).sum(1)
        return weighted(losses, rows), like, None


def one_hot(labels: Array, classes: int, ignore_index: int = ops.NO_LABEL) -> Tensor:
    """Return a bool mask (M, N) of the label's class in each row; all False in ignored rows."""
    column = Tensor(labels.reshape(-1, 1))
    if 0 <= ignore_index < classes:
        column = logic.where(column != ignore_index, column, -1)
    return column == np.arange(classes)


def _shape(target: Any, name: str) -> tuple[int, ...]:
    if hasattr(target, "shape"):
        return tuple(target.shape)
    try:
        return np.shape(target)
    except ValueError:
        raise ValueError(f"{name}: target is a list whose parts have different lengths") from None


def _kind(value: Any) -> str:
    return str((value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype).kind)


def _classes_last(x: Tensor) -> Tensor:
    """Reshape (M, N, ...) to rows of N classes."""
    if x.ndim == 2:
        return x
    if x.ndim == 1:
        return shape.reshape(x, (1, -1))
    x = shape.transpose(x, (0, *range(2, x.ndim), 1))
    return shape.reshape(x, (-1, x.shape[-1]))


class LinearCrossEntropyLoss(TorchLoss):
    """Linear layer with the softmax cross-entropy of its outputs, for many classes: not all logits are in memory at once.

    Args:
        in_features, num_classes: the sizes of the layer, ``linear``.
        bias: whether the layer has a bias.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".
        reduction, weight, label_smoothing: as in `CrossEntropyLoss`.
        ignore_index: rows with this label count for nothing; None is -100.

    Shapes: input (..., in_features), target integers (...). The loss has the parameters ``linear.weight`` and ``linear.bias``,
    which the optimizer must update. The weight of another layer with shape (num_classes, in_features), such as an embedding, can
    be shared: ``loss.linear.weight = embedding.weight``.

    >>> import fastnn
    >>> loss = fastnn.nn.LinearCrossEntropyLoss(8, 50000)
    >>> loss(fastnn.tensor([[0.0] * 8] * 3), [1, 2, 3]).item() == fastnn.log(fastnn.tensor(50000.0)).item()
    True
    """

    not_in_fit = "has parameters of its own, which fit would not train"

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        name = "LinearCrossEntropyLoss"
        super().__init__(reduction)
        positive_int(in_features, f"{name}: in_features")
        positive_int(num_classes, f"{name}: num_classes")
        self.linear = Linear(in_features, num_classes, bias, device, dtype)
        self.weight = weight
        self.ignore_index = -100 if ignore_index is None else int(ignore_index)
        self.label_smoothing = check_number(label_smoothing, f"{name}: label_smoothing", 0, 1)

    @property
    def weight(self) -> np.ndarray[Any, Any] | None:
        """Return the weights of the classes; they may be changed at any time."""
        return self.class_weight

    @weight.setter
    def weight(self, value: Any) -> None:
        weight, wanted = self._constant(value, "weight"), (self.linear.units,)
        if weight is not None and weight.shape != wanted:
            raise ValueError(f"LinearCrossEntropyLoss: weight has shape {weight.shape}, wanted {wanted}")
        self.class_weight = weight

    def _remade(self, name: str, value: Any) -> Any:
        own = {key: getattr(self, key) for key in ("ignore_index", "reduction", "label_smoothing")}
        return CrossEntropyLoss(**{**own, name: value})  # has the same checks, and makes no parameters

    def _kept(self) -> frozenset[str]:
        return super()._kept() | {"weight"}

    def __call__(self, input: Any, target: Any, sample_weight: Any = None, mask: Any = None) -> Tensor:  # type: ignore[override]
        current().module_called(self.linear)
        return super().__call__(input if isinstance(input, Tensor) else self._input(input), target, sample_weight, mask)

    def shape_of_losses(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape[:-1]

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        name, sizes = "LinearCrossEntropyLoss", (self.linear.units, self.linear.in_features)
        w, b = self.linear.weight, self.linear.bias
        if w.shape != sizes:
            raise ValueError(f"{name}: linear.weight has shape {w.shape}, wanted {sizes}")
        if input.ndim == 0 or input.shape[-1] != sizes[1]:
            raise ValueError(f"{name}: input has shape {input.shape}, wanted (..., {sizes[1]})")
        if input.dtype != w.dtype:
            raise TypeError(f"{name}: input has dtype {input.dtype}, linear.weight {w.dtype}; use astype")
        like = input.shape[:-1]
        target_shape = _shape(target, name)
        if target_shape != like:
            raise ValueError(
                f"{name}: input has shape {input.shape}, so target must be labels of shape {like}, but has {target_shape}"
            )
        labels = as_labels(target, like, sizes[0], name, self.ignore_index)
        weight, rows = None, None
        if self.class_weight is not None:
            weight = as_array(self.class_weight.astype(input.dtype), input.dtype, sizes[:1], f"{name}: weight")
        if sample_weight is not None:
            rows = row_weight(sample_weight, input.dtype, like, f"{name}: sample_weight")
        base = getattr(w, "base", None)  # a weight without a base is stored as (out, in)
        stored, transposed = (w, True) if base is None else (base, False)
        losses, weights = ops.linear_cross_entropy(
            input, stored, b, labels, rows, weight, self.label_smoothing, self.ignore_index, transposed
        )
        return losses, like, weights
