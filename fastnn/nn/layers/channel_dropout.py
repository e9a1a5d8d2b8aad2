"""Dropout of whole channels: one number of the mask for a map, since neighbouring pixels are alike."""

from __future__ import annotations

from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.layout import channels_first, last_of
from ...ops.random import channel_dropout
from ..mode import sampled
from ..spec import InputSpec
from .convolution import check_images, data_format
from .random import Dropout


class _ChannelDropout(Dropout):
    """Base class of the layers that drop the channels of images with so many axes."""

    _saved_as = ""
    _axes = 2

    def _masked(self, x: Tensor, axis: int, batch: bool = True) -> Tensor:
        """Return x without some channels, which lie along this axis; in evaluation, x."""
        if not (self.training or sampled.get()):
            return x
        return channel_dropout(x, self._state, self._value, axis, batch)


class _SpatialDropout(_ChannelDropout):
    """Base class of Keras's layers; `SpatialDropout2D` describes the arguments."""

    _saved_as = ""
    _checked_arguments: ClassVar = {"data_format": data_format}
    data_format: str | None

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, name: str | None = None) -> None:
        super().__init__(rate, seed=seed, name=name)
        self.data_format = data_format

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels."""
        return InputSpec("float", ndim=self._axes + 2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        check_images(self, x, self._axes, first)
        return self._masked(x, 1 if first else x.ndim - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class SpatialDropout1D(_SpatialDropout):
    """Layer that drops whole channels of sequences in training. The arguments are those of `SpatialDropout2D`, but data_format.

    >>> import fastnn
    >>> y = fastnn.SpatialDropout1D(0.5, seed=1)(fastnn.ones(1, 3, 4), training=True)
    >>> bool((y == y[:, :1]).all().item())
    True
    """

    _axes = 1
    data_format = "channels_last"
    _checked_arguments: ClassVar = {}

    def __init__(self, rate: float, seed: int | None = None, name: str | None = None) -> None:
        Dropout.__init__(self, rate, seed=seed, name=name)

    def get_config(self) -> dict[str, Any]:
        return Dropout.get_config(self)


class SpatialDropout2D(_SpatialDropout):
    """Layer that sets a random fraction of the channels of each image to 0 in training, and scales the others up.

    Source: Tompson et al., arXiv 1411.4280.

    Args:
        rate: fraction of dropped channels, 0 <= rate <= 1; it may be changed at any time.
        data_format: "channels_last", which is the default, or "channels_first".
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.

    Shapes: x (N, height, width, C) and y the same.

    >>> import fastnn
    >>> y = fastnn.SpatialDropout2D(0.5, seed=1)(fastnn.ones(2, 3, 3, 4), training=True)
    >>> bool((y == y[:, :1, :1]).all().item())
    True
    """

    _axes = 2


class SpatialDropout3D(_SpatialDropout):
    """Layer that drops whole channels of volumes in training. The arguments are those of `SpatialDropout2D`."""

    _axes = 3


class _TorchChannelDropout(_ChannelDropout):
    """Base class of PyTorch's layers; `Dropout2d` describes the arguments."""

    _saved_as = ""

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, images with channels; a batch of them or a single one."""
        return InputSpec("float", min_ndim=self._axes + 1, max_ndim=self._axes + 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == self._axes + 1:
            return self._masked(x, 1 if self._axes == 2 else 0, self._axes == 2)  # PyTorch reads three axes as a batch
        check_images(self, x, self._axes, True)
        last = last_of(x)
        return self._masked(x, 1) if last is None else channels_first(self._masked(last, last.ndim - 1))


class Dropout1d(_TorchChannelDropout):
    """Layer that drops whole channels of sequences in training. The arguments are those of `Dropout2d`.

    Shapes: x (N, C, steps) or (C, steps).
    """

    _axes = 1


class Dropout2d(_TorchChannelDropout):
    """Layer that sets a random fraction of the channels of each image to 0 in training, and scales the others up.

    Source: Tompson et al., arXiv 1411.4280.

    Args:
        rate: fraction of dropped channels, 0 <= rate <= 1; it may be changed at any time. PyTorch's name p works too.
        inplace: accepted for compatibility with PyTorch; has no effect.
        seed: seed of this layer's stream; by default it depends on `fastnn.seed`.

    Shapes: x (N, C, height, width); three axes are (N, C, steps), as in PyTorch.

    >>> import fastnn
    >>> y = fastnn.nn.Dropout2d(0.5, seed=1)(fastnn.ones(2, 4, 3, 3), training=True)
    >>> bool((y == y[:, :, :1, :1]).all().item())
    True
    """

    _axes = 2


class Dropout3d(_TorchChannelDropout):
    """Layer that drops whole channels of volumes in training. The arguments are those of `Dropout2d`.

    Shapes: x (N, C, depth, height, width) or (C, depth, height, width).
    """

    _axes = 3
