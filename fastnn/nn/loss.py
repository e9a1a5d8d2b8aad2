"""Losses with PyTorch's names and meanings: called as loss(input, target), on logits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..backends import current
from ..losses import Loss, _values, as_labels
from ..ops import activation, shape
from ..ops import loss as ops
from ..ops.door import as_array, as_tensor, check_number, floating, host_array
from ..tensor import Array, Tensor
from .dense import Linear, positive_int
from .module import Module

_warned: set[str] = set()


class TorchLoss(Module):
    """Base of the losses: what they share is the reduction."""

    targets = "values"

    def __init__(self, reduction: str) -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"{type(self).__name__}: reduction={reduction!r}, wanted 'mean', 'sum' or 'none'")
        self.reduction = reduction

    def __call__(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        name = type(self).__name__
        return self.forward(floating(name, as_tensor(input, name)), target, sample_weight)

    def forward(self, input: Tensor, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        raise NotImplementedError

    def _reduce(self, losses: Tensor, like: tuple[int, ...], weights: Array | None = None) -> Tensor:
        if self.reduction == "none":
            return shape.reshape(losses, like)
        return ops.reduce_loss(losses, "sum" if self.reduction == "sum" else "batch" if weights is None else "weights", weights)

    def as_keras(self) -> Loss:
        """This loss as `fit` calls it."""
        if self.reduction == "none":
            raise ValueError(f"compile: {type(self).__name__} has reduction='none'; training needs one number: 'mean' or 'sum'")
        return _AsKeras(self)


class _AsKeras(Loss):
    def __init__(self, loss: TorchLoss) -> None:
        self._loss = loss
        self.targets = loss.targets
        self.name = type(loss).__name__
        self.ignored = getattr(loss, "ignore_index", None)
        self.takes_probabilities = isinstance(loss, CrossEntropyLoss)

    def __call__(self, y_true: Any, y_pred: Tensor, sample_weight: Any = None) -> Tensor:
        return self._loss.forward(y_pred, y_true, sample_weight)

    def get_config(self) -> dict[str, Any]:
        raise TypeError(f"save: the loss {self.name} has no Keras name, so it cannot be put into a file")


class CrossEntropyLoss(TorchLoss):
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

    targets = "labels"

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self.class_weight = None if weight is None else host_array(weight, None, "CrossEntropyLoss: weight", copy=True)
        self.ignore_index = int(ignore_index)
        self.label_smoothing = check_number(label_smoothing, "CrossEntropyLoss: label_smoothing", 0, 1)

    def forward(self, input: Tensor, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        name = "CrossEntropyLoss"
        if activation.softmax_logits(input) is not None and name not in _warned:
            _warned.add(name)
            warnings.warn(
                "CrossEntropyLoss takes logits, but its input came out of a softmax; leave the softmax out, or use "
                "fastnn.losses, whose losses take probabilities",
                stacklevel=3,
            )
        given = input.shape
        if not given:
            raise ValueError(f"{name}: input without dimensions, wanted (M, N)")
        like = given[:1] + given[2:] if len(given) > 1 else ()
        target_shape = _shape(target, name)
        probabilities = target_shape == given and _kind(target) == "f"
        logits = input if len(given) == 2 else _classes_last(input)
        count, classes = logits.shape
        weight = None
        if self.class_weight is not None:
            weight = as_array(self.class_weight.astype(input.dtype), input.dtype, (classes,), f"{name}: weight")
        rows = None
        if sample_weight is not None:
            rows = as_array(sample_weight, input.dtype, (count,), f"{name}: sample_weight")
        if probabilities:
            targets = _classes_last(_values(target, input, name))
            return self._reduce(ops.cross_entropy(logits, targets.data, rows, weight, self.label_smoothing), like)
        if target_shape != like:
            raise ValueError(f"{name}: input has shape {given}, so target must have {like}, but has {target_shape}")
        labels = as_labels(target, count, classes, name, self.ignore_index)
        losses, weights = ops.sparse_cross_entropy(logits, labels, rows, weight, self.label_smoothing, self.ignore_index)
        return self._reduce(losses, like, weights)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


def _shape(target: Any, name: str) -> tuple[int, ...]:
    if isinstance(target, Tensor | np.ndarray):
        return tuple(target.shape)
    try:
        return np.shape(target)
    except ValueError:
        raise ValueError(f"{name}: target is a list whose parts have different lengths") from None


def _kind(value: Any) -> str:
    return str((value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype).kind)


def _classes_last(x: Tensor) -> Tensor:
    """(M, N, ...) as rows of N classes."""
    if x.ndim == 1:
        return shape.reshape(x, (1, -1))
    if x.ndim > 2:
        order = (0, *range(2, x.ndim), 1)
        x = shape.transpose(x, order)
    return shape.reshape(x, (-1, x.shape[-1])) if x.ndim > 2 else x


class LinearCrossEntropyLoss(TorchLoss):
    """A linear layer and the softmax cross-entropy of its outputs in one, for many classes: the logits are never all in memory.

    Args:
        in_features, num_classes: the sizes of the layer, ``linear``.
        bias: whether it has a bias.
        dtype: "float32" or "float64".
        reduction, weight, label_smoothing: as in `CrossEntropyLoss`.
        ignore_index: rows with this label count for nothing; None is -100.

    Shapes: input (..., in_features), target whole numbers (...). The loss has parameters of its own, ``linear.weight`` and
    ``linear.bias``, for the optimizer. Another layer's weight of shape (num_classes, in_features), as an embedding has, serves
    as head where it is set: ``loss.linear.weight = embedding.weight``.

    >>> import fastnn
    >>> loss = fastnn.nn.LinearCrossEntropyLoss(8, 50000)
    >>> loss(fastnn.tensor([[0.0] * 8] * 3), [1, 2, 3]).item() == fastnn.log(fastnn.tensor(50000.0)).item()
    True
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        bias: bool = False,
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
        self.linear = Linear(in_features, num_classes, bias, dtype)
        self.class_weight = None if weight is None else host_array(weight, None, f"{name}: weight", copy=True)
        if self.class_weight is not None and self.class_weight.shape != (num_classes,):
            raise ValueError(f"{name}: weight has shape {self.class_weight.shape}, wanted ({num_classes},)")
        self.ignore_index = -100 if ignore_index is None else int(ignore_index)
        self.label_smoothing = check_number(label_smoothing, f"{name}: label_smoothing", 0, 1)

    def __call__(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        current().module_called(self.linear)
        return super().__call__(input if isinstance(input, Tensor) else self._input(input), target, sample_weight)

    def forward(self, input: Tensor, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
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
        labels = as_labels(target, int(np.prod(like)), sizes[0], name, self.ignore_index)
        weight, rows = None, None
        if self.class_weight is not None:
            weight = as_array(self.class_weight.astype(input.dtype), input.dtype, sizes[:1], f"{name}: weight")
        if sample_weight is not None:
            rows = as_array(sample_weight, input.dtype, like, f"{name}: sample_weight").reshape(-1)
        base = getattr(w, "base", None)  # a weight that is not stored (in, out) is taken as it is
        stored, transposed = (w, True) if base is None else (base, False)
        losses, weights = ops.linear_cross_entropy(
            input, stored, b, labels, rows, weight, self.label_smoothing, self.ignore_index, transposed
        )
        return self._reduce(losses, like, weights)

    def as_keras(self) -> Loss:
        raise ValueError("compile: LinearCrossEntropyLoss has parameters of its own, which fit would not train; write the loop")


class BCEWithLogitsLoss(TorchLoss):
    """Binary cross-entropy of logits, element by element.

    Args:
        weight: a factor for each element's loss; broadcast over the batch.
        reduction: "mean", "sum" or "none".
        pos_weight: a factor for the positive targets of each output (N,).
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.element_weight = None if weight is None else host_array(weight, None, "BCEWithLogitsLoss: weight", copy=True)
        self.pos_weight = None if pos_weight is None else host_array(pos_weight, None, "BCEWithLogitsLoss: pos_weight", copy=True)

    def forward(self, input: Tensor, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        name = "BCEWithLogitsLoss"
        targets = _values(target, input, name)
        if targets.shape != input.shape:
            raise ValueError(f"{name}: input has shape {input.shape}, target {targets.shape}")
        k = current()
        columns = input.shape[-1] if self.pos_weight is not None and self.pos_weight.size > 1 else 1
        pos: Any = None
        if self.pos_weight is not None:
            pos = as_array(self.pos_weight.astype(input.dtype).reshape(-1), input.dtype, (columns,), f"{name}: pos_weight")
        weight = self._weight(input.shape, input.dtype, sample_weight)
        if columns == 1:
            rows = shape.reshape(input, (-1, 1))
            losses = ops.sigmoid_cross_entropy(rows, targets.data.reshape(-1, 1), weight, pos)
            return self._reduce(losses, input.shape)
        # One column at a time would be one kernel each: repeat pos_weight into the elements' own rows instead.
        rows = shape.reshape(input, (-1, columns))
        flat = Tensor(targets.data.reshape(rows.shape))
        elements = _element_losses(k, rows, flat, Tensor(k.asarray(np.broadcast_to(pos, rows.shape))))
        losses = shape.reshape(elements, (-1,))
        return self._reduce(losses if weight is None else losses * Tensor(weight), input.shape)

    def _weight(self, like: tuple[int, ...], dtype: Any, sample_weight: Any) -> Array | None:
        if self.element_weight is None and sample_weight is None:
            return None
        weight = np.ones(like, dtype)
        if self.element_weight is not None:
            weight = weight * self.element_weight.astype(dtype)
        if sample_weight is not None:
            rows = np.asarray(sample_weight.numpy() if isinstance(sample_weight, Tensor) else sample_weight, dtype)
            weight = weight * rows.reshape(like[:1] + (1,) * (len(like) - 1))
        k = current()
        array = k.asarray(weight.reshape(-1))
        k.constant_enters(array)
        return array

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


def _element_losses(k: Any, x: Tensor, t: Tensor, q: Tensor) -> Tensor:
    """(1 - t) x + (1 + (q - 1) t) log(1 + exp(-x)), from the kernel that gives log(1 + exp(-x)) for a target of 1."""
    rows = shape.reshape(x, (-1, 1))
    ones = k.empty(rows.shape, x.dtype)
    k.fill(ones, 1.0)
    softplus = shape.reshape(ops.sigmoid_cross_entropy(rows, ones), x.shape)
    return (1 - t) * x + (1 + (q - 1) * t) * softplus


class MSELoss(TorchLoss):
    """(input - target)^2, averaged over all elements.

    >>> import fastnn
    >>> fastnn.nn.MSELoss()(fastnn.tensor([1.0, 2.0]), [1.0, 4.0]).item()
    2.0
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Tensor, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        targets = _values(target, input, "MSELoss")
        rows, weight = shape.reshape(input, (-1, 1)), None
        if sample_weight is not None:
            each = as_array(sample_weight, input.dtype, input.shape[:1], "MSELoss: sample_weight")
            weight = shape.expand(each.reshape(*each.shape, *(1,) * (input.ndim - 1)), input.shape).reshape(-1)
        return self._reduce(ops.mse(rows, shape.reshape(targets, (-1, 1)), weight), input.shape)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"
