"""Layers that mark the time steps of a sequence: they add a vector that depends only on the position."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ... import initializers
from ...autograd.tensor import Tensor
from ...backends import current
from ...ops.checks import check_number, positive_int
from ...ops.elementwise import add
from ...ops.index import getitem
from ..dtype import real_dtype
from ..module import Module
from ..parameter import building, initial
from ..spec import InputSpec
from .weighted import named


def sinusoids(length: int, width: int, max_wavelength: float = 10000.0) -> np.ndarray[Any, Any]:
    """Return the sines (even columns) and cosines (odd columns) of positions, (length, width), in float64.

    Source: Vaswani et al., arXiv 1706.03762, section 3.5.

    >>> sinusoids(2, 2).round(4).tolist()
    [[0.0, 1.0], [0.8415, 0.5403]]
    """
    angles = np.arange(length)[:, None] / max_wavelength ** (np.arange(0, width, 2) / width)
    table = np.empty((length, width))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles[:, : width // 2])
    return table


class _Positions(Module):
    """Base class of the layers that add a row for each position."""

    _saved_as = ""
    supports_masking = True
    input_spec = InputSpec("float", min_ndim=2)

    def _added(self, x: Tensor, table: Tensor) -> Tensor:
        """Return x (..., T, F) plus the first T rows of a table."""
        steps = x.shape[-2]
        return add(x, table if steps == table.shape[0] else getitem(table, slice(0, steps)))

    def _check(self, x: Tensor, length: int | None = None) -> None:
        if x.ndim < 2:
            raise ValueError(f"{type(self).__name__}: x has shape {x.shape}, wanted (..., steps, features)")
        if length is not None and x.shape[-2] > length:
            raise ValueError(
                f"{type(self).__name__}: {x.shape[-2]} time steps came, wanted at most {length}, the length of the table"
            )


class PositionEmbedding(_Positions):
    """Layer that adds a learned vector for each position.

    Args:
        sequence_length: the greatest number of time steps.
        initializer: a name or object of `fastnn.initializers`.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    Shapes: x (..., T, F) and y the same; position_embeddings (sequence_length, F).

    Raises:
        ValueError: x has more than sequence_length time steps.

    >>> import fastnn
    >>> layer = fastnn.PositionEmbedding(10, "ones")
    >>> layer(fastnn.zeros(1, 2, 3)).tolist()
    [[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]]
    """

    _checked_arguments: ClassVar = {"sequence_length": positive_int, "initializer": named(initializers.get)}
    _fixed_arguments = ("sequence_length", "initializer")

    def __init__(
        self,
        sequence_length: int,
        initializer: Any = "glorot_uniform",
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.sequence_length = sequence_length
        self.initializer = initializer
        self._dtype = None if dtype is None else real_dtype(dtype, "PositionEmbedding")
        self.name = name or "position_embedding"
        if input_shape is not None:
            self.build(tuple(input_shape))

    @property
    def built(self) -> bool:
        return "position_embeddings" in self._parameters

    def _own_built(self) -> bool:
        return self.built

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """Return the shape of one sample, with None for the number of steps; None until it is known."""
        return (None, self.position_embeddings.shape[1]) if self.built else None

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the table for samples of this shape, whose last size is the number of features."""
        if len(input_shape) < 2 or not input_shape[-1]:
            raise ValueError(f"PositionEmbedding: samples of shape {input_shape}, wanted (steps, features)")
        shape = (self.sequence_length, int(input_shape[-1]))
        self.position_embeddings = initial(self.initializer, shape, np.dtype(self._dtype or "float32"))

    def forward(self, x: Tensor) -> Tensor:
        self._check(x, self.sequence_length)
        if not self.built:
            with building:
                if not self.built:
                    self.build(x.shape[-2:])
        table = self.position_embeddings
        if x.shape[-1] != table.shape[1]:
            raise ValueError(f"PositionEmbedding: x has shape {x.shape}, wanted (..., steps, {table.shape[1]})")
        return self._added(x, table)

    def get_config(self) -> dict[str, Any]:
        return {
            "sequence_length": self.sequence_length,
            "initializer": initializers.written(self.initializer, "glorot_uniform"),
            "input_shape": None if self.input_shape is None else list(self.input_shape),
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        return f"{self.sequence_length}"


class SinusoidalPositions(_Positions):
    """Layer that adds sines and cosines of the position, which are not learned, so that sequences may have any length.

    At position t, feature 2 i gets sin(t / max_wavelength^(2 i / F)), and feature 2 i + 1 the cosine.

    Source: Vaswani et al., arXiv 1706.03762, section 3.5.

    Args:
        max_wavelength: the wavelength of the slowest features, divided by 2 pi.

    Shapes: x (..., T, F) and y the same.

    >>> import fastnn
    >>> fastnn.SinusoidalPositions()(fastnn.zeros(1, 2, 2)).numpy().round(2).tolist()
    [[[0.0, 1.0], [0.8399999737739563, 0.5400000214576721]]]
    """

    _checked_arguments: ClassVar = {"max_wavelength": lambda value, name: check_number(value, name, 1.0)}

    def __init__(self, max_wavelength: float = 10000.0, *, name: str | None = None) -> None:
        super().__init__()
        self.max_wavelength = max_wavelength
        self.name = name or "sinusoidal_positions"

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        table = sinusoids(x.shape[-2], x.shape[-1], self.max_wavelength)
        return self._added(x, Tensor(current().constant(table.astype(x.dtype))))

    def get_config(self) -> dict[str, Any]:
        return {"max_wavelength": self.max_wavelength}

    def extra_repr(self) -> str:
        return f"max_wavelength={self.max_wavelength:g}"
