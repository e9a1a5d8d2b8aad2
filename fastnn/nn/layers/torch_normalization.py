"""Normalization layers with PyTorch's names: images with their channels first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ... import initializers
from ...autograd.tensor import Tensor
from ...core.device import check_device
from ...ops import elementwise
from ...ops.checks import flag, optional, positive_int
from ...ops.layout import channels_first, channels_last
from ...ops.normalization import normalize, normalize_by, normalize_together
from ..dtype import real_dtype
from ..parameter import filling
from ..spec import InputSpec
from .normalization import Normalizing, positive_number, share
from .sample_normalization import groups_of

if TYPE_CHECKING:
    from ...distributed.normalization import Together

_ONES, _ZEROS = initializers.get("ones"), initializers.get("zeros")


class _Weighted(Normalizing):
    """Base class of the layers whose scale and shift are ``weight`` and ``bias``."""

    _saved_as = ""
    _scales = ("weight", "bias")

    def _hold_weights(self, shape: tuple[int, ...], affine: bool, bias: bool, device: Any, dtype: Any) -> None:
        """Finish a constructor: make weight and bias, or None for those that there are not."""
        check_device(device, type(self).__name__)
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.name = type(self).__name__.lower()
        self._make(shape, _ONES if affine else None, _ZEROS if affine and bias else None)


class BatchNorm(_Weighted):
    """Base class of PyTorch's batch norms; `BatchNorm2d` describes the arguments."""

    _saved_as = ""
    _together: Together | None = None
    """The ranks whose rows make up the batch; None for the own rows alone."""
    _dims: tuple[int, ...] = (4,)
    _checked_arguments: ClassVar = {
        "num_features": positive_int,
        "eps": positive_number,
        "momentum": share,
        **dict.fromkeys(("affine", "track_running_stats"), flag),
    }
    _fixed_arguments = ("num_features", "affine", "track_running_stats")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._use_bias = bool(bias)
        self._hold_weights((self.num_features,), self.affine, self._use_bias, device, dtype)
        if self.track_running_stats:
            kind = np.dtype(self._dtype or "float32")
            self.register_buffer("running_mean", _values(0, self.num_features, kind))
            self.register_buffer("running_var", _values(1, self.num_features, kind))
            self.register_buffer("num_batches_tracked", np.zeros((), np.int64))

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, with the channels after the batch."""
        return InputSpec("float", min_ndim=self._dims[0], max_ndim=self._dims[-1], axes={1: self.num_features})

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self._scaled(x)
        if x.ndim not in self._dims or x.shape[1] != self.num_features:
            kinds = " or ".join(str(("n", str(self.num_features), *("size",) * (n - 2))).replace("'", "") for n in self._dims)
            raise ValueError(f"{type(self).__name__}: x has shape {x.shape}, wanted {kinds}")
        first = x.ndim > 2
        x = channels_last(x) if first else x
        buffers = self._buffers
        rows = math.prod(x.shape[:-1])
        together = self._together if self.training else None
        if (self.training and (rows or together)) or not self.track_running_stats:  # nothing says nothing of a mean
            running = (buffers["running_mean"], buffers["running_var"]) if self.track_running_stats else None
            how: dict[str, Any] = {"running": running, "momentum": self.momentum, "op": type(self).__name__}
            if together is not None:
                y = normalize_together(x, together.of(x.shape[-1], x.dtype), weight, bias, self.eps, **how)
            elif self.training and rows == 1:
                raise ValueError(f"{type(self).__name__}: one number for each channel came in training, wanted more than one")
            else:
                y = normalize(x, (1, rows, x.shape[-1], 1), weight, bias, self.eps, **how)
            if running is not None:
                buffers["num_batches_tracked"].copy_(elementwise.add(buffers["num_batches_tracked"], 1))
        else:
            y = normalize_by(x, buffers["running_mean"], buffers["running_var"], weight, bias, self.eps, type(self).__name__)
        return channels_first(y) if first else y

    def get_config(self) -> dict[str, Any]:
        names = ("num_features", "eps", "momentum", "affine", "track_running_stats")
        return {**{name: getattr(self, name) for name in names}, "bias": self._use_bias, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"


def _values(value: float, n: int, dtype: np.dtype[Any]) -> Any:
    own = filling.get()
    return np.full(n, value, dtype) if own is None else own.zeros((n,), dtype)


class BatchNorm1d(BatchNorm):
    """Batch norm of features, x (N, C), or of sequences, x (N, C, steps). The arguments are those of `BatchNorm2d`."""

    _dims = (2, 3)


class BatchNorm2d(BatchNorm):
    """Layer that gives each channel mean 0 and variance 1 over the batch, then a learned mean and variance.

    In training, it takes mean and variance of the batch, and moves its averages towards them. In evaluation it takes these.

    Source: Ioffe, Szegedy, arXiv 1502.03167.

    Args:
        num_features: number of channels.
        eps: it is added to the variance.
        momentum: share of the batch in the new averages.
        affine: whether there is a weight.
        bias: whether there is a bias, too.
        track_running_stats: whether there are averages; without them, evaluation takes mean and variance of the batch.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Shapes: x (N, C, height, width) and y the same; weight, bias, running_mean, running_var (C,).

    Raises:
        ValueError: the batch has one number for each channel, in training.

    >>> import fastnn
    >>> fastnn.nn.BatchNorm2d(3)(fastnn.rand(4, 3, 5, 5)).shape
    (4, 3, 5, 5)
    """

    _dims = (4,)


class BatchNorm3d(BatchNorm):
    """Batch norm of volumes, x (N, C, depth, height, width). The arguments are those of `BatchNorm2d`."""

    _dims = (5,)


def _sizes(value: Any, name: str) -> tuple[int, ...]:
    return tuple(positive_int(n, name) for n in value) if isinstance(value, tuple | list) else (positive_int(value, name),)


def _features(layer: Any, x: Tensor) -> int:
    """Return the number of elements that a layer with a normalized_shape normalizes together."""
    sizes: tuple[int, ...] = layer.normalized_shape
    if x.shape[-len(sizes) :] != sizes:
        raise ValueError(f"{type(layer).__name__}: x has shape {x.shape}, wanted {sizes} as its last sizes")
    return math.prod(sizes)


class LayerNorm(_Weighted):
    """Layer that gives the features of each sample mean 0 and variance 1, then a learned mean and variance for each feature.

    Source: Ba, Kiros, Hinton, arXiv 1607.06450.

    Args:
        normalized_shape: the sizes of the last axes, which are normalized together.
        eps: it is added to the variance.
        elementwise_affine: whether there is a weight.
        bias: whether there is a bias, too.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    >>> import fastnn
    >>> fastnn.nn.LayerNorm(2, eps=0.0)(fastnn.tensor([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    _checked_arguments: ClassVar = {
        "normalized_shape": _sizes,
        "eps": positive_number,
        "elementwise_affine": flag,
    }
    _fixed_arguments = ("normalized_shape", "elementwise_affine")

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = normalized_shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._use_bias = bool(bias)
        self._hold_weights(self.normalized_shape, self.elementwise_affine, self._use_bias, device, dtype)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, with the normalized sizes as those of the last axes."""
        sizes: tuple[int, ...] = self.normalized_shape
        return InputSpec("float", min_ndim=len(sizes), axes={i - len(sizes): n for i, n in enumerate(sizes)})

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self._scaled(x)
        n = _features(self, x)
        return normalize(x, (x.size // n, 1, 1, n), weight, bias, self.eps, op=type(self).__name__)

    def get_config(self) -> dict[str, Any]:
        shape = {"normalized_shape": list(self.normalized_shape), "eps": self.eps}
        affine = {"elementwise_affine": self.elementwise_affine, "bias": self._use_bias}
        return {**shape, **affine, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(_Weighted):
    """Layer that divides the features of each sample by the root of their mean square, and scales them.

    Source: Zhang, Sennrich, arXiv 1910.07467.

    Args:
        normalized_shape: the sizes of the last axes, which are normalized together.
        eps: it is added to the mean square; None for the resolution of the dtype.
        elementwise_affine: whether there is a weight.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    >>> import fastnn
    >>> fastnn.nn.RMSNorm(2, eps=0.0)(fastnn.tensor([[3.0, 3.0]])).tolist()
    [[1.0, 1.0]]
    """

    _checked_arguments: ClassVar = {
        "normalized_shape": _sizes,
        "eps": optional(positive_number),
        "elementwise_affine": flag,
    }
    _fixed_arguments = ("normalized_shape", "elementwise_affine")
    input_spec = LayerNorm.input_spec

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = normalized_shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._hold_weights(self.normalized_shape, self.elementwise_affine, False, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        weight, _ = self._scaled(x)
        n, eps = _features(self, x), self.eps
        epsilon = float(np.finfo(x.dtype).eps) if eps is None else eps
        return normalize(x, (x.size // n, 1, 1, n), weight, None, epsilon, center=False, op=type(self).__name__)

    def get_config(self) -> dict[str, Any]:
        names = ("eps", "elementwise_affine")
        config = {"normalized_shape": list(self.normalized_shape), **{name: getattr(self, name) for name in names}}
        return {**config, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Weighted):
    """Layer that gives each group of channels of each sample mean 0 and variance 1, then scales and shifts each channel.

    Source: Wu, He, arXiv 1803.08494.

    Args:
        num_groups: number of groups.
        num_channels: number of channels.
        eps: it is added to the variance.
        affine: whether there is a weight.
        bias: whether there is a bias, too.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    Shapes: x (N, C, ...) and y the same.

    >>> import fastnn
    >>> fastnn.nn.GroupNorm(2, 4, eps=0.0)(fastnn.tensor([[1.0, 3.0, 5.0, 9.0]])).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    _checked_arguments: ClassVar = {
        **dict.fromkeys(("num_groups", "num_channels"), positive_int),
        "eps": positive_number,
        "affine": flag,
    }
    _fixed_arguments = ("num_groups", "num_channels", "affine")

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        if self.num_channels % self.num_groups:
            raise ValueError(f"GroupNorm: {self.num_channels} channels cannot be divided into {self.num_groups} groups")
        self._use_bias = bool(bias)
        self._hold_weights((self.num_channels,), self.affine, self._use_bias, device, dtype)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, with the channels after the batch."""
        return InputSpec("float", min_ndim=2, axes={1: self.num_channels})

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self._scaled(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: x has shape {x.shape}, wanted (n, {self.num_channels}, ...)")
        first = x.ndim > 2
        x = channels_last(x) if first else x
        y = normalize(x, groups_of(x, self.num_groups), weight, bias, self.eps, op="GroupNorm")
        return channels_first(y) if first else y

    def get_config(self) -> dict[str, Any]:
        names = ("num_groups", "num_channels", "eps", "affine")
        return {**{name: getattr(self, name) for name in names}, "bias": self._use_bias, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
