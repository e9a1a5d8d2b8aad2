"""Layers that describe a number by its place among the quantiles of its column, which `adapt` finds."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from ... import activations, initializers
from ...autograd.tape import no_grad
from ...autograd.tensor import Tensor
from ...backends import current
from ...backends.spec import LINEAR
from ...ops.activation import applied
from ...ops.checks import optional, positive_int, shape_of, whole_number
from ...ops.data import take
from ...ops.dense import matmul
from ...ops.elementwise import add, maximum, minimum, mul, sub
from ...ops.logic import le, where
from ...ops.shape import broadcast_to, reshape, transpose
from ..dtype import real_dtype
from ..module import Module
from ..parameter import building, initial
from ..spec import InputSpec
from .preprocessing import parts
from .weighted import named

Array = np.ndarray[Any, Any]
_NORMAL = NormalDist()


def normal_quantiles(levels: Array) -> Array:
    """Return the numbers below which these fractions of a standard normal distribution lie."""
    return np.array([_NORMAL.inv_cdf(p) for p in levels.ravel().tolist()]).reshape(levels.shape)


class Quantiles(Module):
    """Base of layers for rows of numbers, with buffers that follow from the quantiles of each column.

    A subclass has `_buffers_of`, which computes them, and `_make`, which makes its parameters. Until `adapt` is called, the
    quantiles are those of a standard normal distribution.
    """

    _saved_as = ""
    _checked_arguments: ClassVar = {"input_shape": shape_of}
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("input_shape",)
    _levels = 2
    """The number of quantiles of a column."""

    def _set(self, input_shape: Any, dtype: Any, name: str | None) -> None:
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.name = name or type(self).__name__.lower()
        self.input_shape = input_shape
        if self.input_shape is not None:
            self.build(self.input_shape)

    @property
    def built(self) -> bool:
        return bool(self._buffers)

    def _own_built(self) -> bool:
        return self.built

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, (B, F)."""
        return InputSpec("float", ndim=2, axes={1: self.input_shape[0]} if self.input_shape else {})

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the buffers and parameters for rows of this many numbers."""
        if len(input_shape) != 1 or input_shape[0] is None or input_shape[0] < 1:
            raise ValueError(
                f"{type(self).__name__}: an input of shape {(None, *input_shape)}, wanted rows of a known number of columns"
            )
        if self.input_shape is None:
            self.input_shape = input_shape
        edges = normal_quantiles((np.arange(self._levels) + 0.5) / self._levels)
        values = self._values([edges], np.dtype(self._dtype or "float32"))
        self._make(input_shape[0])
        for key, value in values.items():
            self.register_buffer(key, np.repeat(value, input_shape[0], 0))

    def adapt(self, data: Any) -> None:
        """Find the quantiles of each column.

        Args:
            data: rows of numbers, (n, F), as one array or Tensor, or an iterable of batches of them. Of batches that are tuples,
                the first array counts.

        Raises:
            ValueError: there are no rows, they have another number of columns, or a number is NaN or infinite.
        """
        op = f"{type(self).__name__}: adapt"
        found = list(parts(data, op))
        if not found:
            raise ValueError(f"{op}: no samples came")
        if not self.built:
            with building:
                self.build(found[0].shape[1:])
        wanted = self.input_shape
        for part in found:
            if part.shape[1:] != wanted:
                raise ValueError(f"{op}: samples of shape {part.shape[1:]}, wanted {wanted}")
            finite = (np.abs(part) <= np.finfo(self.dtype).max).all(0)
            if not finite.all():
                kinds = f"NaN, infinite or too large for {self.dtype}"
                raise ValueError(f"{op}: column {finite.argmin()} has numbers that are {kinds}; fill them first")
        rows = np.concatenate(found)
        edges = np.quantile(rows, np.linspace(0, 1, min(self._levels, max(len(rows), 2))), axis=0)
        with no_grad():
            for key, value in self._values(list(edges.T), self.dtype).items():
                self._buffers[key].copy_(value)

    def _values(self, edges: list[Array], dtype: Any) -> dict[str, Array]:
        """Return the buffers (F, ...) for the quantiles of each column, which ascend and may be equal."""
        columns = [self._buffers_of(own.astype(dtype).astype(np.float64)) for own in edges]
        most = np.finfo(dtype).max
        found = {key: np.stack([column[key] for column in columns]) for key in columns[0]}
        return {key: np.where(np.isinf(v), v, v.clip(-most, most)).astype(dtype) for key, v in found.items()}

    def _buffers_of(self, edges: Array) -> dict[str, Array]:
        """Return the part of each buffer that belongs to a column with these quantiles."""
        raise NotImplementedError

    def _make(self, columns: int) -> None:
        """Make the parameters."""

    def _checked_rows(self, x: Tensor) -> Tensor:
        if not self.built:
            with building:
                if not self.built:
                    self.build(x.shape[1:])
        if x.shape[1:] != self.input_shape or x.ndim != 2:
            raise ValueError(f"{type(self).__name__}: x has shape {x.shape}, wanted {(None, *(self.input_shape or ()))}")
        return x


def _filled(values: Array, size: int, fill: float) -> Array:
    """Return values in front of an array of this size, and fill after them."""
    whole = np.full(size, fill)
    whole[: len(values)] = values
    return whole


@lru_cache(maxsize=64)
def _least(bins: int, dtype: str) -> Array:
    """Return the least value of each bin: none for the first, 0 for the others."""
    return np.where(np.arange(bins), 0.0, -np.inf).astype(dtype)


class PiecewiseLinearEmbedding(Quantiles):
    """Layer that turns each number of a row into a vector, by a function that is linear between the quantiles of its column.

    The range of a column is divided into T bins with about as many samples each. A number becomes T values, one for each bin: 1
    for the bins below it, 0 for those above it, and for its own bin the part of the bin that is below it. Beyond the bins, the
    first value goes on below 0, and the last one above 1. Then each column has a dense layer of its own.

    Source: Gorishniy, Rubachev, Babenko, On Embeddings for Numerical Features in Tabular Deep Learning, arXiv 2203.05556.

    Args:
        units: E, the size of the vectors; with None the layer returns the T values of each number, and there is no dense layer.
        bins: T, the greatest number of bins of a column. Bins without width, from a value that occurs often, are left out; their
            values are 0.
        activation: what is applied to the vectors: a name, a layer or a function, as for `Dense`.
        input_shape: (F,), the number of columns; by default it is known from `adapt` or the first call.
        dtype: "float32" or "float64".

    Shapes: x (B, F), y (B, F, E), or (B, F, T) without units; kernel (F, T, E), bias (F, 1, E). The buffers ``left``,
    ``inverse_width`` and ``most`` (F, T) describe the bins.

    >>> import fastnn
    >>> layer = fastnn.PiecewiseLinearEmbedding(bins=2)
    >>> layer.adapt([[0.0], [1.0], [3.0]])
    >>> layer([[0.5], [2.0], [5.0]]).tolist()
    [[[0.5, 0.0]], [[1.0, 0.5]], [[1.0, 2.0]]]
    """

    _checked_arguments: ClassVar = {
        "units": optional(positive_int),
        "bins": positive_int,
        "activation": named(activations.get),
    }
    _fixed_arguments = ("units", "bins")

    def __init__(
        self,
        units: int | None = None,
        bins: int = 48,
        activation: Any = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.units, self.bins, self.activation = units, bins, activation
        self._set(input_shape, dtype, name)

    @property
    def _levels(self) -> int:  # type: ignore[override]
        return self.bins + 1

    def _buffers_of(self, edges: Array) -> dict[str, Array]:
        edges = np.unique(edges)
        widths = np.diff(edges)
        most = np.ones(self.bins)
        if len(widths):
            most[len(widths) - 1] = np.inf
        return {
            "left": _filled(edges[:-1], self.bins, 0.0),
            "inverse_width": _filled(1 / widths, self.bins, 0.0),
            "most": most,
        }

    def _make(self, columns: int) -> None:
        if self.units is None:
            return
        dtype, bound = np.dtype(self._dtype or "float32"), initializers.LinearBias(self.bins)
        self.kernel = initial(bound, (columns, self.bins, self.units), dtype)
        self.bias = initial(bound, (columns, 1, self.units), dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = self._checked_rows(x)
        own = self._buffers
        n, (columns,) = x.shape[0], x.shape[1:]
        shape = (columns, 1, self.bins)
        left, inverse, most = (reshape(own[key], shape) for key in ("left", "inverse_width", "most"))
        least = Tensor(current().constant(_least(self.bins, x.dtype.name)))
        places = mul(sub(reshape(transpose(x, (1, 0)), (columns, n, 1)), left), inverse)
        y = minimum(maximum(places, least), most)
        if self.units is not None:
            y = add(matmul(y, self.kernel), self.bias)
        if self.activation != LINEAR:
            y = applied(self.activation, y, type(self).__name__)
        return transpose(y, (1, 0, 2))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape, self.bins if self.units is None else self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            "units": self.units,
            "bins": self.bins,
            "activation": activations.config(self.activation),
            "input_shape": self.input_shape,
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        return f"{self.units}, bins={self.bins}"


def _output(value: Any, name: str) -> str:
    if value not in ("normal", "uniform"):
        raise ValueError(f"{name} is {value!r}, wanted 'normal' or 'uniform'")
    return str(value)


def _several(value: Any, name: str) -> int:
    return whole_number(value, name, 2)


class QuantileNormalization(Quantiles):
    """Layer that gives each column a normal or uniform distribution, by the ranks of its numbers.

    A number becomes the fraction of the samples below it, or the number that has this fraction of a standard normal distribution
    below it. Between two quantiles the result is linear, and beyond the data it is constant. A number that occurs often gets the
    mean of its ranks. The result suits columns with outliers or long tails.

    Args:
        quantiles: Q, the number of quantiles of a column, at least 2. Of fewer samples, each is a quantile.
        output: "normal" or "uniform". For "normal", the fraction is kept from 1 / (2 Q) to 1 - 1 / (2 Q): with 1000 quantiles,
            the result is from -3.29 to 3.29.
        input_shape: (F,), the number of columns; by default it is known from `adapt` or the first call.
        dtype: "float32" or "float64".

    Shapes: x (B, F), y (B, F). The buffers ``edges``, ``values`` and ``slopes`` (F, P), with P the power of 2 from Q on, describe
    the function.

    >>> import fastnn
    >>> layer = fastnn.QuantileNormalization(output="uniform")
    >>> layer.adapt([[1.0], [10.0], [1000.0]])
    >>> layer([[1.0], [10.0], [505.0], [9999.0]]).tolist()
    [[0.0], [0.5], [0.75], [1.0]]
    """

    _checked_arguments: ClassVar = {"quantiles": _several, "output": _output}
    _fixed_arguments = ("quantiles", "output")

    def __init__(
        self,
        quantiles: int = 1000,
        output: str = "normal",
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.quantiles, self.output = quantiles, output
        self._set(input_shape, dtype, name)

    @property
    def _levels(self) -> int:  # type: ignore[override]
        return self.quantiles

    @property
    def _size(self) -> int:
        return 1 << (self.quantiles - 1).bit_length()

    def _buffers_of(self, edges: Array) -> dict[str, Array]:
        levels = np.linspace(0, 1, len(edges))
        edges, place, counts = np.unique(edges, return_inverse=True, return_counts=True)
        values = np.bincount(place.ravel(), levels) / counts  # equal quantiles get the mean of their ranks
        if self.output == "normal":
            outermost = 0.5 / len(levels)
            values = normal_quantiles(values.clip(outermost, 1 - outermost))
        slopes = np.append(np.diff(values) / np.diff(edges), 0.0)
        size = self._size
        return {
            "edges": _filled(edges, size, np.inf),
            "values": _filled(values, size, values[-1]),
            "slopes": _filled(slopes, size, 0.0),
        }

    def forward(self, x: Tensor) -> Tensor:
        x = self._checked_rows(x)
        size, columns = self._size, x.shape[1]
        edges, values, slopes = (reshape(self._buffers[key], (-1,)) for key in ("edges", "values", "slopes"))
        place = broadcast_to(Tensor(current().constant(np.arange(columns) * size)), x.shape)
        x = minimum(maximum(x, take(edges, place)), float(np.finfo(x.dtype).max))
        step = size // 2
        while step:  # search for the last quantile that is not above the number
            further = add(place, step)
            place = where(le(take(edges, further), x), further, place)
            step //= 2
        return add(mul(sub(x, take(edges, place)), take(slopes, place)), take(values, place))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "quantiles": self.quantiles,
            "output": self.output,
            "input_shape": self.input_shape,
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        return f"{self.quantiles}, output={self.output!r}"
