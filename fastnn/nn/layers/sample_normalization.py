"""Layers with Keras's names that normalize each sample by itself: layer, RMS and group norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ... import initializers
from ...autograd.tensor import Tensor
from ...ops.checks import flag, whole_number
from ...ops.normalization import normalize
from .normalization import Normalizing, positive_number, written_initializers
from .weighted import named


class _OfSamples(Normalizing):
    """Base class of the layers that normalize each sample by itself, with scale and shift along the last axis or axes."""

    _saved_as = ""
    axis: Any
    epsilon: float
    center: bool
    scale: bool
    beta_initializer: Any
    gamma_initializer: Any

    def _own_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes of the normalized axes, which are the last ones."""
        axes = sorted(self.axis if isinstance(self.axis, tuple) else (self.axis,))
        n = len(input_shape) + 1
        if [a % n for a in axes] != list(range(n - len(axes), n)) or 0 in (a % n for a in axes):
            shape = (None, *input_shape)
            raise ValueError(
                f"{type(self).__name__}: axis {self.axis} of an input of shape {shape}, wanted its last axis or axes"
            )
        return input_shape[n - 1 - len(axes) :]

    def _features(self, x: Tensor) -> int:
        """Return the number of elements that are normalized together, of which there are scales.

        Raises:
            ValueError: they are not those that the layer was built for.
        """
        own, known = self._own_shape(x.shape[1:]), self.input_shape or ()
        if own != known[len(known) - len(own) :]:
            raise ValueError(
                f"{type(self).__name__}: x has shape {x.shape}, wanted {known[len(known) - len(own) :]} as its last sizes"
            )
        return math.prod(own)

    def build(self, input_shape: tuple[int, ...]) -> None:
        shape = self._own_shape(input_shape)
        if None in shape:
            raise ValueError(f"{type(self).__name__}: the last sizes of its input, of shape {(None, *input_shape)}, are unknown")
        self._make(shape, self.gamma_initializer if self.scale else None, self.beta_initializer if self.center else None)
        self._input_shape = (None,) * (len(input_shape) - len(shape)) + tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            "axis": list(self.axis) if isinstance(self.axis, tuple) else self.axis,
            **{name: getattr(self, name) for name in ("epsilon", "center", "scale")},
            **written_initializers(self, "beta", "gamma"),
            "input_shape": None if self.input_shape is None else list(self.input_shape),
            "dtype": self.dtype.name,
        }


def _axes(value: Any, name: str) -> Any:
    return tuple(whole_number(n, name) for n in value) if isinstance(value, tuple | list) else whole_number(value, name)


_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "axis": _axes,
    "epsilon": positive_number,
    **dict.fromkeys(("center", "scale"), flag),
    **dict.fromkeys(("beta_initializer", "gamma_initializer"), named(initializers.get)),
}
_FIXED = ("axis", "center", "scale", "beta_initializer", "gamma_initializer")


class LayerNormalization(_OfSamples):
    """Layer that gives the features of each sample mean 0 and variance 1, then a learned mean and variance for each feature.

    Source: Ba, Kiros, Hinton, arXiv 1607.06450.

    Args:
        axis: the last axis, -1, or several axes at the end.
        epsilon: it is added to the variance.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer: names or objects of `fastnn.initializers`.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    >>> import fastnn
    >>> fastnn.LayerNormalization(epsilon=0.0)(fastnn.tensor([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    _checked_arguments: ClassVar = _CHECKS
    _fixed_arguments = _FIXED

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.axis = axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = beta_initializer
        self.gamma_initializer = gamma_initializer
        self._begin(input_shape, dtype, name)

    def forward(self, x: Tensor) -> Tensor:
        gamma, beta = self._scaled(x)
        n = self._features(x)
        return normalize(x, (x.size // max(1, n), 1, 1, n), gamma, beta, self.epsilon, op=type(self).__name__)


class RMSNormalization(_OfSamples):
    """Layer that divides the features of each sample by the root of their mean square, and scales them.

    Source: Zhang, Sennrich, arXiv 1910.07467.

    Args:
        axis: the last axis, -1, or several axes at the end.
        epsilon: it is added to the mean square.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    >>> import fastnn
    >>> fastnn.RMSNormalization(epsilon=0.0)(fastnn.tensor([[3.0, 3.0]])).tolist()
    [[1.0, 1.0]]
    """

    _checked_arguments: ClassVar = {name: _CHECKS[name] for name in ("axis", "epsilon")}
    _fixed_arguments = ("axis",)

    center, scale = False, True
    beta_initializer = gamma_initializer = initializers.get("ones")

    def __init__(
        self, axis: Any = -1, epsilon: float = 1e-6, *, input_shape: Any = None, dtype: Any = None, name: str | None = None
    ) -> None:
        super().__init__()
        self.axis = axis
        self.epsilon = epsilon
        self._begin(input_shape, dtype, name)

    def forward(self, x: Tensor) -> Tensor:
        gamma, _ = self._scaled(x)
        n = self._features(x)
        return normalize(x, (x.size // max(1, n), 1, 1, n), gamma, None, self.epsilon, center=False, op=type(self).__name__)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {name: config[name] for name in ("axis", "epsilon", "input_shape", "dtype")}


class GroupNormalization(_OfSamples):
    """Layer that gives each group of channels of each sample mean 0 and variance 1, then scales and shifts each channel.

    Source: Wu, He, arXiv 1803.08494.

    Args:
        groups: number of groups; -1 for a group of each channel, which is instance norm.
        axis: the axis of the channels: the last one.
        epsilon: it is added to the variance.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer: names or objects of `fastnn.initializers`.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    >>> import fastnn
    >>> fastnn.GroupNormalization(2, epsilon=0.0)(fastnn.tensor([[1.0, 3.0, 5.0, 9.0]])).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    _checked_arguments: ClassVar = {**_CHECKS, "axis": whole_number, "groups": whole_number}
    _fixed_arguments = ("groups", *_FIXED)

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.axis = axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = beta_initializer
        self.gamma_initializer = gamma_initializer
        self._begin(input_shape, dtype, name)

    def build(self, input_shape: tuple[int, ...]) -> None:
        super().build(input_shape)
        channels = input_shape[-1]
        if self.groups != -1 and (self.groups < 1 or channels % self.groups):
            raise ValueError(f"GroupNormalization: {channels} channels cannot be divided into {self.groups} groups")

    def forward(self, x: Tensor) -> Tensor:
        gamma, beta = self._scaled(x)
        channels = self._features(x)
        view = groups_of(x, channels if self.groups == -1 else self.groups)
        return normalize(x, view, gamma, beta, self.epsilon, op=type(self).__name__)

    def get_config(self) -> dict[str, Any]:
        return {"groups": self.groups, **super().get_config()}


def groups_of(x: Tensor, groups: int) -> tuple[int, int, int, int]:
    """Return the view of images with their channels last in which `normalize` normalizes groups of channels."""
    n, channels = x.shape[0], x.shape[-1]
    return (n, math.prod(x.shape[1:-1]), groups, channels // groups)
