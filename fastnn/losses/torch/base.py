"""Losses with PyTorch's names and meanings, called as loss(input, target): what they share.

Those of classes are in class_loss.py, those of each element in element_loss.py, those of several inputs in pair_loss.py.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...backends import current
from ...core.convert import host_array
from ...nn.remade import RemadeModule
from ...ops import loss as ops
from ...ops import shape
from ...ops.checks import as_tensor, floating
from ..base import Loss
from ..weights import combined, weights_of

Losses = tuple[Tensor, tuple[int, ...], Array | None]


_LEGACY = ("size_average", "reduce")
"""PyTorch's older arguments: together they say a reduction."""


class TorchLoss(RemadeModule):
    """Base of the losses: what they share is the reduction.

    Like PyTorch's, all take ``size_average`` and ``reduce`` where PyTorch has them, which is deprecated there: where one of them
    is True or False, reduction is "none" without reduce, "mean" with both, and "sum" without size_average.
    """

    _saved_as = ""
    _file_prefix = "nn."
    targets = "values"
    logits: str = ""
    """What makes probabilities of the inputs, "sigmoid" or "softmax", for a loss of classes."""
    reductions: tuple[str, ...] = ("mean", "sum", "none")
    takes_probabilities = False
    """Whether a loss of labels takes rows of probabilities too."""
    classes_first = False
    """Whether the classes are the second axis of an input with more than two."""
    not_in_fit = ""
    """Why compile does not take it; empty where it does."""

    def __init__(self, reduction: str, size_average: Any = None, reduce: Any = None) -> None:
        super().__init__()
        for argument, value in zip(_LEGACY, (size_average, reduce), strict=True):
            if value is not None and not isinstance(value, bool):
                hint = f"; the reduction has a name: reduction={value!r}" if isinstance(value, str) else ""
                raise TypeError(f"{type(self).__name__}: {argument} is {value!r}, wanted True, False or None{hint}")
        if size_average is not None or reduce is not None:
            reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        if reduction not in self.reductions:
            wanted = " or ".join([", ".join(map(repr, self.reductions[:-1])), repr(self.reductions[-1])])
            raise ValueError(f"{type(self).__name__}: reduction={reduction!r}, wanted {wanted}")
        self.reduction = reduction

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _LEGACY:
            raise AttributeError(f"{type(self).__name__}: {name} is an argument of the constructor alone; set reduction instead")
        super().__setattr__(name, value)

    def __call__(self, input: Any, target: Any, sample_weight: Any = None, mask: Any = None) -> Tensor:  # type: ignore[override]
        """Compute the loss.

        sample_weight and mask begin with the shape of the unreduced losses; sizes of 1 are repeated. A mean is over the elements
        whose mask is True, and 0 if there are none.
        """
        name = type(self).__name__
        current().module_called(self)
        input = floating(name, as_tensor(input, name))
        if mask is None:
            return self.forward(input, target, sample_weight)
        return self.measured(input, target, sample_weight, mask)[0]

    def forward(self, input: Tensor, target: Any, sample_weight: Any = None) -> Tensor:  # type: ignore[override]
        return self._reduce(*self.losses_of(input, target, sample_weight))

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        """Return the weighted losses (M,), their unreduced shape, and the weights by whose sum a mean is divided; None for M."""
        raise NotImplementedError(f"{type(self).__name__} defines no losses_of(input, target, sample_weight)")

    def measured(self, input: Tensor, target: Any, sample_weight: Any, mask: Any) -> tuple[Tensor, Array | None]:
        """Return the reduced loss, and the weights by whose sum it was divided; see `Loss.measured`."""
        counted = None
        if mask is not None:
            like = self.shape_of_losses(input.shape)
            weight, counted = weights_of(sample_weight, mask, input.dtype, like, type(self).__name__)
            joint = combined(weight, counted)
            assert joint is not None
            sample_weight = joint.reshape(like)
        if type(self).forward is not TorchLoss.forward:  # of a class derived from one of fastnn's
            return self.forward(input, target, sample_weight), None
        losses, like, weights = self.losses_of(input, target, sample_weight)
        weights = counted if weights is None else weights  # those of the labels have the mask in them
        if weights is None or self.reduction != "mean":
            return self._reduce(losses, like, weights), None
        return ops.reduce_loss(losses, "weights_or_one", weights), weights  # a batch in which nothing counts has the loss 0

    def shape_of_losses(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the losses of an input of this shape, samples first: what weights are broadcast to."""
        return input_shape

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a sample's target, given that of its input."""
        return output_shape

    def _reduce(self, losses: Tensor, like: tuple[int, ...], weights: Array | None = None) -> Tensor:
        if self.reduction == "none":
            return shape.reshape(losses, like)
        return ops.reduce_loss(losses, "sum" if self.reduction == "sum" else "batch" if weights is None else "weights", weights)

    def _constant(self, value: Any, argument: str) -> np.ndarray[Any, Any] | None:
        """Return a weight that the constructor was given, as a copy."""
        return None if value is None else host_array(value, None, f"{type(self).__name__}: {argument}", copy=True)

    def as_keras(self) -> Loss:
        """Return this loss as `fit` calls it."""
        if self.not_in_fit:
            raise ValueError(f"compile: {type(self).__name__} {self.not_in_fit}; write the loop")
        if self.reduction == "none":
            raise ValueError(f"compile: {type(self).__name__} has reduction='none'; training needs one number: 'mean' or 'sum'")
        return AsKeras(self)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        given = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters if name not in _LEGACY}
        return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in given.items()}

    def extra_repr(self) -> str:
        defaults = {p.name: p.default for p in inspect.signature(type(self)).parameters.values()}
        config = self.get_config()
        return ", ".join(f"{k}={v!r}" for k, v in config.items() if k == "reduction" or v != defaults.get(k))


class AsKeras(Loss):
    """A loss with PyTorch's name as `fit` calls it."""

    def __init__(self, loss: TorchLoss) -> None:
        self.loss = loss
        self.targets = loss.targets
        self.logits = loss.logits
        self.name = type(loss).__name__
        self.takes_probabilities = loss.takes_probabilities

    @property
    def reduction(self) -> str:  # type: ignore[override]
        return self.loss.reduction

    @property
    def ignored(self) -> int | None:  # type: ignore[override]
        return getattr(self.loss, "ignore_index", None)

    @property
    def classes_first(self) -> bool:  # type: ignore[override]
        return self.loss.classes_first

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.loss.target_shape(output_shape)

    def shape_of_losses(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.loss.shape_of_losses(output_shape)

    def measured(self, y_true: Any, y_pred: Tensor, sample_weight: Any = None, mask: Any = None) -> tuple[Tensor, Array | None]:
        return self.loss.measured(y_pred, y_true, sample_weight, mask)
