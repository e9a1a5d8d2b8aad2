"""Instance norm with PyTorch's names: images with their channels first."""

from __future__ import annotations

import math
from typing import Any

from ...autograd.tape import no_grad
from ...autograd.tensor import Tensor
from ...ops.elementwise import add, mul
from ...ops.layout import channels_first, channels_last
from ...ops.normalization import normalize, normalize_by
from ...ops.reduce import mean, var
from ...ops.shape import squeeze, unsqueeze
from ..spec import InputSpec
from .convolution import check_images
from .torch_normalization import BatchNorm


class _InstanceNorm(BatchNorm):
    """Base class of PyTorch's instance norms; `InstanceNorm2d` describes the arguments."""

    _saved_as = ""
    _axes = 2

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels; a batch of them or a single one."""
        return InputSpec("float", min_ndim=self._axes + 1, max_ndim=self._axes + 2, axes={-1 - self._axes: self.num_features})

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == self._axes + 1:
            return squeeze(self.forward(unsqueeze(x, 0)), 0)
        check_images(self, x, self._axes, True, self.num_features)
        weight, bias = self._scaled(x)
        x = channels_last(x)
        buffers, tracks, name = self._buffers, self.track_running_stats, type(self).__name__
        if tracks and not self.training:
            y = normalize_by(x, buffers["running_mean"], buffers["running_var"], weight, bias, self.eps, name)
            return channels_first(y)
        pixels = math.prod(x.shape[1:-1])
        if pixels == 1:
            raise ValueError(f"{name}: images of {x.shape[1:-1]} have one pixel, wanted more than one")
        if tracks and x.size:
            self._track(x)
        return channels_first(normalize(x, (x.shape[0], pixels, x.shape[-1], 1), weight, bias, self.eps, op=name))

    def _track(self, x: Tensor) -> None:
        """Move the averages towards the means over the images of their mean and variance."""
        axes = tuple(range(1, x.ndim - 1))
        with no_grad():
            for buffer, new in (("running_mean", mean(x, axes)), ("running_var", var(x, axes))):
                old = self._buffers[buffer]
                old.copy_(add(mul(old, 1 - self.momentum), mul(mean(new, 0), self.momentum)))


class InstanceNorm1d(_InstanceNorm):
    """Instance norm of sequences, x (N, C, steps) or (C, steps). The arguments are those of `InstanceNorm2d`."""

    _axes = 1


class InstanceNorm2d(_InstanceNorm):
    """Layer that gives each channel of each image mean 0 and variance 1.

    Source: Ulyanov, Vedaldi, Lempitsky, arXiv 1607.08022.

    Args:
        num_features: number of channels.
        eps: it is added to the variance.
        momentum: share of the batch in the new averages.
        affine: whether there is a weight, by which a channel is multiplied afterwards.
        track_running_stats: whether there are averages of means and variances, which evaluation takes.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".
        bias: whether there is a bias beside the weight.

    Shapes: x (N, C, height, width) or (C, height, width), and y the same; weight, bias (C,).

    Raises:
        ValueError: an image has one pixel.

    >>> import fastnn
    >>> fastnn.nn.InstanceNorm2d(1, eps=0.0)(fastnn.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[-1.0, 1.0]]]]
    """

    _axes = 2


class InstanceNorm3d(_InstanceNorm):
    """Instance norm of volumes, x (N, C, depth, height, width). The arguments are those of `InstanceNorm2d`."""

    _axes = 3
