"""Layers with Keras's names that bring the numbers of data into a range that suits a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from ...autograd.tape import no_grad
from ...autograd.tensor import Tensor
from ...ops.checks import check_number, flag, whole_number
from ...ops.elementwise import add, div, maximum, mul, sqrt, sub
from ...ops.shape import reshape
from ..dtype import real_dtype
from ..module import Module
from ..parameter import building
from ..spec import InputSpec

_SMALLEST = 1e-7
"""The smallest deviation that `Normalization` divides by, as in Keras."""
_PART = 4096
"""Samples that `adapt` converts to float64 at a time."""


def _number(value: Any, name: str) -> float:
    return check_number(value, name, float("-inf"))


class Rescaling(Module):
    """Layer that multiplies by a number and adds another one.

    Args:
        scale: what the input is multiplied by.
        offset: what is added then.

    >>> import fastnn
    >>> fastnn.Rescaling(1 / 255)(fastnn.tensor([0.0, 255.0])).tolist()
    [0.0, 1.0]
    """

    input_spec = InputSpec("float")
    supports_masking = True
    _checked_arguments: ClassVar = {"scale": _number, "offset": _number}

    def __init__(self, scale: float, offset: float = 0.0, name: str | None = None) -> None:
        super().__init__()
        self.scale = scale
        self.offset = offset
        self.name = name or "rescaling"

    def forward(self, x: Tensor) -> Tensor:
        y = mul(x, self.scale)
        return add(y, self.offset) if self.offset else y

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "offset": self.offset}

    def extra_repr(self) -> str:
        return f"scale={self.scale}, offset={self.offset}"


def _kept(value: Any, name: str) -> Any:
    """Check the axes that have a mean each."""
    if value is None:
        return ()
    given = value if isinstance(value, tuple | list) else (value,)
    return tuple(whole_number(n, name) for n in given)


class Normalization(Module):
    """Layer that subtracts the mean of the data and divides by its standard deviation. `adapt` finds them.

    Args:
        axis: the axis or axes along which each place has its own mean and variance; None for one of all numbers.
        mean, variance: what `adapt` would find: both or none, numbers or arrays of the sizes of the axes.
        invert: whether the layer does the opposite: normalized numbers become those of the data.
        input_shape: shape of one sample; by default it is known from `adapt` or the first call.
        dtype: "float32" or "float64".

    ``mean`` and ``variance`` of a built layer are Tensors, which files contain.

    Raises:
        ValueError: only one of mean and variance came, or an axis is that of the samples.

    >>> import fastnn
    >>> layer = fastnn.Normalization()
    >>> layer.adapt([[1.0, 10.0], [3.0, 10.0]])
    >>> layer.mean.tolist(), layer([[3.0, 10.0]]).tolist()
    ([2.0, 10.0], [[1.0, 0.0]])
    """

    _checked_arguments: ClassVar = {"axis": _kept, "invert": flag}
    _fixed_arguments = ("axis",)
    _input_shape: tuple[int | None, ...] | None = None

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if (mean is None) != (variance is None):
            raise ValueError("Normalization: wanted both mean and variance, or none of them")
        self.axis = axis
        self.invert = invert
        self._given = None if mean is None else tuple(np.asarray(a, np.float64) for a in (mean, variance))
        self._dtype = None if dtype is None else real_dtype(dtype, "Normalization")
        self.name = name or "normalization"
        if input_shape is not None:
            self.build(tuple(input_shape))

    @property
    def built(self) -> bool:
        return "mean" in self._buffers

    def _own_built(self) -> bool:
        return self.built

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """Return the shape of one sample, with None for sizes that do not matter; None until it is known."""
        return self._input_shape

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, with the sizes of the axes that have means, if they are known."""
        if self._input_shape is None:
            return InputSpec("float")
        return InputSpec("float", ndim=len(self._input_shape) + 1, axes=dict(enumerate(self._input_shape, 1)))

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make mean and variance for samples of this shape."""
        n = len(input_shape) + 1
        axes = sorted(a + n if a < 0 else a for a in self.axis)
        if len(set(axes)) != len(axes) or any(not 0 < a < n or input_shape[a - 1] is None for a in axes):
            given = (None, *input_shape)
            raise ValueError(
                f"Normalization: axis {self.axis} of an input of shape {given}, wanted axes of known sizes, not the first"
            )
        shape: Any = tuple(input_shape[a - 1] for a in axes)
        dtype = np.dtype(self._dtype or "float32")
        values = []
        for name, usual, at in (("mean", 0.0, 0), ("variance", 1.0, 1)):
            value = np.asarray(usual) if self._given is None else self._given[at]
            try:
                values.append((name, np.broadcast_to(value, shape).astype(dtype)))
            except ValueError:
                raise ValueError(f"Normalization: {name} has shape {value.shape}, wanted {shape}") from None
        self._input_shape = tuple(input_shape[a - 1] if a in axes else None for a in range(1, n))
        for name, value in values:
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        if not self.built:
            with building:
                if not self.built:
                    self.build(x.shape[1:])
        own: Any = self._input_shape
        if x.ndim != len(own) + 1 or any(n not in (None, size) for n, size in zip(own, x.shape[1:], strict=True)):
            raise ValueError(f"Normalization: x has shape {x.shape}, wanted {(None, *own)}")
        shape = (1, *(1 if n is None else n for n in own))
        mean, deviation = (reshape(self._buffers[name], shape) for name in ("mean", "variance"))
        deviation = maximum(sqrt(deviation), _SMALLEST)
        return add(mul(x, deviation), mean) if self.invert else div(sub(x, mean), deviation)

    def adapt(self, data: Any) -> None:
        """Set mean and variance to those of the data.

        Args:
            data: samples, as one array or Tensor, or an iterable of batches of them, for data larger than memory. Of batches
                that are tuples, the first array counts.

        Raises:
            ValueError: there are no samples, or the layer was made with mean and variance.
        """
        if self._given is not None:
            raise ValueError("Normalization: adapt after mean and variance were given; make the layer without them")
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for part in parts(data, "Normalization: adapt"):
            if not self.built:
                self.build(part.shape[1:])
            own: Any = self._input_shape
            if part.ndim != len(own) + 1 or any(n not in (None, size) for n, size in zip(own, part.shape[1:], strict=True)):
                raise ValueError(f"Normalization: adapt: samples of shape {part.shape[1:]}, wanted {own}")
            axes = (0, *(i for i, n in enumerate(own, 1) if n is None))
            here, n = part.mean(axes, keepdims=True), part.size // max(1, int(np.prod([n for n in own if n is not None])))
            new = ((part - here) ** 2).sum(axes)
            difference = here.squeeze(axes) - mean
            squares = squares + new + difference**2 * (count * n / (count + n))
            mean = mean + difference * (n / (count + n))
            count += n
        if not count:
            raise ValueError("Normalization: adapt: no samples came")
        with no_grad():
            for name, value in (("mean", mean), ("variance", squares / count)):
                buffer = self._buffers[name]
                buffer.copy_(value.astype(buffer.dtype))

    def get_config(self) -> dict[str, Any]:
        given = (None, None) if self._given is None else tuple(a.tolist() for a in self._given)
        return {
            "axis": list(self.axis) or None,
            "mean": given[0],
            "variance": given[1],
            "invert": self.invert,
            "input_shape": None if self._input_shape is None else list(self._input_shape),
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        return f"axis={self.axis or None}, invert={self.invert}"


def parts(data: Any, op: str) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the data in parts, in float64. data: what `Normalization.adapt` takes. op: name of the operation in messages."""
    whole = isinstance(data, np.ndarray | Tensor | list) or hasattr(data, "__array__")
    batches: Iterable[Any] = (data,) if whole else data
    for batch in batches:
        values = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
        if not values.ndim:
            raise ValueError(f"{op}: a number came, wanted samples")
        for begin in range(0, len(values), _PART):
            part = values[begin : begin + _PART].astype(np.float64)
            if part.size:
                yield part
