"""Regularizers and constraints of modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..autograd.tensor import Tensor
from ..ops import elementwise
from .parameter import Parameter, stored

RULES = ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint")


class Regularized:
    """The part of `fastnn.nn.Module` that knows the regularizers and constraints of the layers in it.

    They are attributes of layers: ``kernel_regularizer`` and ``kernel_constraint`` belong to the parameter ``kernel``, and so
    with the bias; ``activity_regularizer`` belongs to the output, which the layer keeps as ``_activity``.
    """

    @property
    def losses(self) -> list[Tensor]:
        """Return the penalties of all regularizers: of the activities in the last call, of the weights that are trained.

        A layer that is called several times in one pass counts its last call. An activity's penalty is divided by the
        number of samples, as in Keras. fit adds them to the loss; a training loop by hand does it itself.

        >>> import fastnn
        >>> layer = fastnn.Dense(1, input_shape=(2,), kernel_initializer="ones", kernel_regularizer="l2")
        >>> [round(p.item(), 4) for p in layer.losses]
        [0.02]
        """
        found = []
        for m in self._all():
            rule = m.__dict__.get("activity_regularizer")
            if rule is not None and (y := m.__dict__.get("_activity")) is not None:
                found.append(rule(y) * (1 / max(1, y.shape[0]) if y.ndim else 1.0))
        return found + [rule(p) for rule, p in self._ruled("regularizer")]

    def regularization_loss(self) -> Tensor | float:
        """Return the sum of `losses`, to be added to a loss; 0.0 where there are none."""
        total: Tensor | float = 0.0
        for value in self.losses:
            total = value if isinstance(total, float) else elementwise.add(total, value)
        return total

    def apply_constraints(self) -> None:
        """Put the weights that are trained back into their constraints; fit does it after each step.

        >>> import fastnn
        >>> layer = fastnn.Dense(1, input_shape=(2,), kernel_initializer="ones", kernel_constraint="unit_norm")
        >>> layer.apply_constraints()
        >>> layer.kernel.numpy().round(3).tolist()
        [[0.7070000171661377], [0.7070000171661377]]
        """
        for rule, p in self._ruled("constraint"):
            rule(p)

    def _ruled(self, kind: str) -> Iterator[tuple[Any, Parameter]]:
        """Yield the rules of this kind for weights that are trained, each with its parameter."""
        for m in self._all():
            for name in ("kernel", "bias"):
                rule = m.__dict__.get(f"{name}_{kind}")
                if rule is not None and (p := getattr(m, name, None)) is not None and p.requires_grad:
                    yield rule, stored(p)

    def _all(self) -> Any:
        own: Any = self
        return own.modules()
