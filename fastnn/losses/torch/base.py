"""Base of the losses with PyTorch's names and meanings, which are called as loss(input, target).

Losses of classes are in classes.py, losses of single elements in pointwise.py, losses of several inputs in pairs.py.
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
"""PyTorch's deprecated arguments, which together select a reduction."""


class TorchLoss(RemadeModule):
    """Base of the losses, with their reduction.

    Like PyTorch's losses, they accept the deprecated arguments ``size_average`` and ``reduce``. If one of them is not None, the
    reduction is "none" for reduce=False, else "mean" for a true size_average and "sum" for size_average=False.
    """

    _saved_as = ""
    _file_prefix = "nn."
    targets = "values"
    logits: str = ""
    """Function that turns the inputs into probabilities, "sigmoid" or "softmax", for a loss of classes."""
    reductions: tuple[str, ...] = ("mean", "sum", "none")
    takes_probabilities = False
    """Whether a loss of labels also accepts rows of probabilities."""
    classes_first = False
    """Whether the second axis of an input with more than two axes is that of the classes."""
    not_in_fit = ""
    """Reason why compile does not accept the loss; "" if it does."""

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

        sample_weight and mask have the leading axes of the unreduced losses; sizes of 1 broadcast. A mean is over the elements
        with a mask of True, and 0 if there are none.
        """
        name = type(self).__name__
        current().module_called(self)
        input = floating(name, as_tensor(input, name))
        if mask is None:
            return self.forward(input, target, sample_weight)
        if type(self).forward is not TorchLoss.forward:
            raise TypeError(
                f"{name}: mask came, but the class overrides forward, which takes none; override losses_of, or use weights"
            )
        return self.measured(input, target, sample_weight, mask)[0]

    def forward(self, input: Tensor, target: Any, sample_weight: Any = None) -> Tensor:
        return self._reduce(*self.losses_of(input, target, sample_weight))

    def losses_of(self, input: Tensor, target: Any, sample_weight: Any) -> Losses:
        """Return the weighted losses (M,), their unreduced shape, and the weights whose sum divides a mean; None for M."""
        raise NotImplementedError(f"{type(self).__name__} defines no losses_of(input, target, sample_weight)")

    def measured(self, input: Tensor, target: Any, sample_weight: Any, mask: Any) -> tuple[Tensor, Array | None]:
        """Return the reduced loss, and the weights whose sum is its divisor; see `Loss.measured`."""
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
        weights = counted if weights is None else weights  # weights of labels already contain the mask
        if weights is None or self.reduction != "mean":
            return self._reduce(losses, like, weights), None
        return ops.reduce_loss(losses, "weights_or_one", weights), weights  # if no element counts, the loss is 0

    def shape_of_losses(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the losses for an input with this shape, samples first; weights broadcast to it."""
        return input_shape

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a sample's target, given that of its input."""
        return output_shape

    def _reduce(self, losses: Tensor, like: tuple[int, ...], weights: Array | None = None) -> Tensor:
        if self.reduction == "none":
            return shape.reshape(losses, like)
        return ops.reduce_loss(losses, "sum" if self.reduction == "sum" else "batch" if weights is None else "weights", weights)

    def _constant(self, value: Any, argument: str) -> np.ndarray[Any, Any] | None:
        """Return a copy of a weight that was passed to the constructor."""
        return None if value is None else host_array(value, None, f"{type(self).__name__}: {argument}", copy=True)

    def as_keras(self) -> Loss:
        """Return this loss in the form that `fit` uses."""
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
    """Loss with PyTorch's name in the form that `fit` uses."""

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
