"""Normalization layers with Keras's names: channels last, unless axis says otherwise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ... import initializers
from ...autograd.tensor import Tensor
from ...ops.checks import check_number, flag, whole_number
from ...ops.normalization import normalize, normalize_by, normalize_together
from ...ops.shape import transpose
from ..dtype import real_dtype
from ..module import Module
from ..parameter import building, initial
from ..spec import InputSpec
from .weighted import named

if TYPE_CHECKING:
    from ...distributed.normalization import Together


def share(value: Any, name: str) -> float:
    """Check a number from 0 to 1."""
    return check_number(value, name, 0.0, 1.0)


def positive_number(value: Any, name: str) -> float:
    """Check a number that is not negative."""
    return check_number(value, name, 0.0)


class Normalizing(Module):
    """Base class of the layers with a scale and a shift for each channel or feature.

    A subclass has `build`, which calls `_make`.
    """

    _saved_as = ""
    supports_masking = True
    _scales = ("gamma", "beta")
    _input_shape: tuple[int | None, ...] | None = None

    @property
    def built(self) -> bool:
        return self._scales[0] in self._parameters

    def _own_built(self) -> bool:
        return self.built

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """Return the shape of one sample, with None for sizes that do not matter; None until it is known."""
        return self._input_shape

    def _begin(self, input_shape: Any, dtype: Any, name: str | None) -> None:
        """Finish a constructor."""
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.name = name or type(self).__name__.lower()
        if input_shape is not None:
            self.build(tuple(input_shape))

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the parameters for samples of this shape."""
        raise NotImplementedError

    def _make(self, shape: tuple[int, ...], gamma: Any, beta: Any) -> None:
        """Make scale and shift by these initializers; None for one that there is not."""
        dtype = np.dtype(self._dtype or "float32")
        made = [None if make is None else initial(make, shape, dtype) for make in (gamma, beta)]
        self._hold(dict(zip(self._scales, made, strict=True)))

    def _scaled(self, x: Tensor) -> tuple[Any, Any]:
        """Return scale and shift; the first call makes them."""
        if not self.built:
            with building:
                if not self.built:
                    self.build(x.shape[1:])
        parameters: dict[str, Any] = self._parameters
        return parameters[self._scales[0]], parameters[self._scales[1]]


def written_initializers(layer: Any, *names: str) -> dict[str, Any]:
    """Return the settings of initial values, as files have them."""
    usual = {"gamma": "ones", "moving_variance": "ones"}
    keys = ((f"{name}_initializer", usual.get(name, "zeros")) for name in names)
    return {key: initializers.written(getattr(layer, key), default) for key, default in keys}


class BatchNormalization(Normalizing):
    """Layer that gives each channel mean 0 and variance 1 over the batch, then a learned mean and variance.

    In training, it takes mean and variance of the batch, and moves its averages towards them. In evaluation, or if the layer is
    not trainable, it takes the averages. With several ranks, the batch is that of the own rank, unless
    `fastnn.distributed.init` gets sync_batch_norm=True.

    Source: Ioffe, Szegedy, arXiv 1502.03167.

    Args:
        axis: the axis of the channels.
        momentum: share of the old averages that remains in each step.
        epsilon: it is added to the variance.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: names or objects of
            `fastnn.initializers`.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    Shapes: x (N, ..., C) and y the same; gamma, beta, moving_mean, moving_variance (C,).

    >>> import fastnn
    >>> layer = fastnn.BatchNormalization(epsilon=0.0)
    >>> layer(fastnn.tensor([[1.0], [3.0]]), training=True).tolist()
    [[-1.0], [1.0]]
    """

    _together: Together | None = None
    """The ranks whose rows make up the batch; None for the own rows alone."""
    _averages: tuple[str, str] = ("moving_mean", "moving_variance")
    _checked_arguments: ClassVar = {
        "axis": whole_number,
        "momentum": share,
        "epsilon": positive_number,
        **dict.fromkeys(("center", "scale"), flag),
        **dict.fromkeys(
            (f"{name}_initializer" for name in ("beta", "gamma", "moving_mean", "moving_variance")), named(initializers.get)
        ),
    }
    _fixed_arguments = (
        *("axis", "center", "scale", "beta_initializer", "gamma_initializer"),
        *("moving_mean_initializer", "moving_variance_initializer"),
    )

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = beta_initializer
        self.gamma_initializer = gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self._begin(input_shape, dtype, name)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, with the number of channels as the size of their axis, if it is known."""
        return InputSpec("float", min_ndim=2, axes={self.axis: self._channels})

    @property
    def _channels(self) -> int | None:
        average: Any = self._buffers.get(self._averages[0])
        return None if average is None else average.size

    def build(self, input_shape: tuple[int, ...]) -> None:
        sizes = (None, *input_shape)
        if not -len(sizes) < self.axis < len(sizes) or self.axis == 0 or sizes[self.axis] is None:
            raise ValueError(f"{type(self).__name__}: axis {self.axis} of an input of shape {sizes}, wanted that of the channels")
        channels = int(sizes[self.axis] or 0)
        dtype = np.dtype(self._dtype or "float32")
        for name, make in zip(self._averages, (self.moving_mean_initializer, self.moving_variance_initializer), strict=True):
            self.register_buffer(name, Tensor(initial(make, (channels,), dtype).data))
        self._make((channels,), self.gamma_initializer if self.scale else None, self.beta_initializer if self.center else None)
        self._input_shape = tuple(channels if i == self.axis % len(sizes) else None for i in range(1, len(sizes)))

    def forward(self, x: Tensor) -> Tensor:
        self._scaled(x)
        if not -x.ndim < self.axis < x.ndim or x.shape[self.axis] != self._channels:
            raise ValueError(
                f"{type(self).__name__}: x has shape {x.shape}, wanted {self._channels} channels as the size of axis {self.axis}"
            )
        axis = self.axis % x.ndim
        last = axis == x.ndim - 1
        order = (*(i for i in range(x.ndim) if i != axis), axis)
        x = x if last else transpose(x, order)
        y = self._normalized(x)
        return y if last else transpose(y, tuple(np.argsort(order).tolist()))

    def _normalized(self, x: Tensor) -> Tensor:
        gamma, beta = self._scaled(x)
        mean, variance = (self._buffers[name] for name in self._averages)
        how: dict[str, Any] = {"running": (mean, variance), "momentum": 1 - self.momentum, "unbiased": False}
        how["op"] = type(self).__name__
        if self.training and self.trainable and self._together is not None:
            return normalize_together(x, self._together.of(x.shape[-1], x.dtype), gamma, beta, self.epsilon, **how)
        if not self.training or not self.trainable or not x.size:  # nothing says nothing of a mean
            return normalize_by(x, mean, variance, gamma, beta, self.epsilon, type(self).__name__)
        view = (1, math.prod(x.shape[:-1]), x.shape[-1], 1)
        return normalize(x, view, gamma, beta, self.epsilon, **how)

    def get_config(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("axis", "momentum", "epsilon", "center", "scale")},
            **written_initializers(self, "beta", "gamma", "moving_mean", "moving_variance"),
            "input_shape": None if self.input_shape is None else list(self.input_shape),
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        return f"axis={self.axis}, momentum={self.momentum}, epsilon={self.epsilon}"
