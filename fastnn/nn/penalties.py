"""Regularizers and constraints of modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..autograd.tensor import Tensor
from ..ops import elementwise
from .parameter import Parameter, stored


class Regularized:
    """Methods of `fastnn.nn.Module` for the regularizers and constraints of its layers.

    They are attributes of layers: ``kernel_regularizer`` and ``kernel_constraint`` apply to the parameter ``kernel``, those of
    the bias to ``bias``; ``activity_regularizer`` applies to the output, which the layer stores as ``_activity``.
    """

    _ruled_parameters: ClassVar[Mapping[str, str]] = {"kernel": "kernel", "bias": "bias"}
    """What the names of regularizers and constraints begin with -> the parameter that they apply to."""

    @property
    def losses(self) -> list[Tensor]:
        """Return the penalties of all regularizers: of the outputs in the last call, and of the trainable weights; and the
        losses that layers added in their last call.

        If a layer is called several times in one pass, its last call counts. The penalty of an output is divided by the number
        of samples, as in Keras. fit adds the penalties to the loss; a custom training loop must do this itself.

        >>> import fastnn
        >>> layer = fastnn.Dense(1, input_shape=(2,), kernel_initializer="ones", kernel_regularizer="l2")
        >>> [round(p.item(), 4) for p in layer.losses]
        [0.02]
        """
        found = []
        for m in self._all():
            found += m.__dict__.get("_added", ())
            rule = m.__dict__.get("activity_regularizer")
            if rule is not None and (y := m.__dict__.get("_activity")) is not None:
                found.append(rule(y) * (1 / max(1, y.shape[0]) if y.ndim else 1.0))
        return found + [rule(p) for rule, p in self._ruled("regularizer")]

    def regularization_loss(self) -> Tensor | float:
        """Return the sum of `losses`, to add to a loss; 0.0 if there are none."""
        total: Tensor | float = 0.0
        for value in self.losses:
            total = value if isinstance(total, float) else elementwise.add(total, value)
        return total

    def apply_constraints(self) -> None:
        """Apply the constraints to the trainable weights; fit does this after each step.

        >>> import fastnn
        >>> layer = fastnn.Dense(1, input_shape=(2,), kernel_initializer="ones", kernel_constraint="unit_norm")
        >>> layer.apply_constraints()
        >>> layer.kernel.numpy().round(3).tolist()
        [[0.7070000171661377], [0.7070000171661377]]
        """
        for rule, p in self._ruled("constraint"):
            rule(p)

    def _ruled(self, kind: str) -> Iterator[tuple[Any, Parameter]]:
        """Yield the regularizers or constraints of trainable weights, each with its parameter."""
        for m in self._all():
            for begin, name in m._ruled_parameters.items():
                rule = m.__dict__.get(f"{begin}_{kind}")
                if rule is not None and (p := getattr(m, name, None)) is not None and p.requires_grad:
                    yield rule, stored(p)

    def _all(self) -> Any:
        own: Any = self
        return own.modules()
