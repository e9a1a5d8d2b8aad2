"""Layers that only change the shape."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ...autograd.tensor import Tensor
from ...ops.checks import axis_of, positive_int, shape_of, whole_number
from ...ops.matrices import sizes_of, unflatten
from ...ops.shape import broadcast_to, reshape, transpose
from ..module import Module
from ..spec import ANY, InputSpec


class Flatten(Module):
    """Layer that reshapes each sample to one row of numbers.

    Args:
        start_dim, end_dim: first and last of the axes to merge, as in PyTorch; by default all axes except the batch.
        input_shape: shape of one sample.

    >>> import fastnn
    >>> x = fastnn.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    >>> fastnn.Flatten()(x).shape, fastnn.nn.Flatten(0, 1)(x).shape
    ((1, 4), (2, 2))
    """

    _any_dtype = True
    _checked_arguments: ClassVar = {"start_dim": whole_number, "end_dim": whole_number, "input_shape": shape_of}

    def __init__(self, start_dim: int = 1, end_dim: int = -1, input_shape: Any = None, name: str | None = None) -> None:
        super().__init__()
        if isinstance(start_dim, tuple | list):
            raise TypeError(
                f"Flatten: start_dim is {start_dim}, wanted a whole number; pass a shape by name: input_shape={start_dim}"
            )
        self.start_dim = start_dim
        self.end_dim = end_dim
        self.input_shape = input_shape
        self.name = name or "flatten"

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: any dtype, with the given input_shape."""
        return ANY if self.input_shape is None else InputSpec(shape=(None, *self.input_shape))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 1 and (self.start_dim, self.end_dim) == (1, -1):
            return x
        return reshape(x, self._merged(x.shape))

    def _merged(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """Return the shape of a batch with the axes merged."""
        first, last = (axis_of(d, len(shape), "Flatten") for d in (self.start_dim, self.end_dim))
        if first > last:
            raise ValueError(f"Flatten: start_dim {self.start_dim} of shape {shape} comes after end_dim {self.end_dim}")
        merged: Any = shape[first : last + 1]  # None if one of the sizes is unknown
        return (*shape[:first], None if None in merged else math.prod(merged), *shape[last + 1 :])

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._merged((1, *input_shape))[1:] if input_shape else (1,)  # a sample's shape is without the batch

    def get_config(self) -> dict[str, Any]:
        dims = {} if (self.start_dim, self.end_dim) == (1, -1) else {"start_dim": self.start_dim, "end_dim": self.end_dim}
        return {**dims, "input_shape": self.input_shape}

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Layer that returns its input, as a place for another layer, or for none.

    Arguments without a name are ignored, as in PyTorch.

    >>> import fastnn
    >>> fastnn.nn.Identity()(fastnn.tensor([1.0])).tolist()
    [1.0]
    """

    _any_dtype = True
    supports_masking = True

    def __init__(self, *args: Any, name: str | None = None) -> None:
        super().__init__()
        self.name = name or "identity"

    def forward(self, x: Tensor) -> Tensor:
        return x

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {}


def _target(value: Any, name: str) -> tuple[int, ...]:
    sizes = tuple(whole_number(n, name, -1) for n in (value if isinstance(value, tuple | list) else (value,)))
    if sizes.count(-1) > 1:
        raise ValueError(f"{name} is {value!r}, wanted at most one size -1")
    return sizes


class Reshape(Module):
    """Layer that gives each sample another shape.

    Args:
        target_shape: shape of one sample; one size may be -1, which is then inferred.

    >>> import fastnn
    >>> fastnn.Reshape((2, -1))(fastnn.zeros(5, 6)).shape
    (5, 2, 3)
    """

    _any_dtype = True
    _checked_arguments: ClassVar = {"target_shape": _target}

    def __init__(self, target_shape: Any, name: str | None = None) -> None:
        super().__init__()
        self.target_shape = target_shape
        self.name = name or "reshape"

    def _shape(self, sample: tuple[int, ...]) -> tuple[int, ...]:
        """Return the target shape for samples of this shape.

        Raises:
            ValueError: the numbers of elements differ.
        """
        wanted, n = self.target_shape, math.prod(sample)
        known = math.prod(size for size in wanted if size != -1)
        if (n % known if known else n) if -1 in wanted else n != known:
            raise ValueError(f"Reshape: samples of shape {sample} into {wanted}; the number of elements differs")
        return tuple(n // max(1, known) if size == -1 else size for size in wanted)

    def forward(self, x: Tensor) -> Tensor:
        return reshape(x, (x.shape[0], *self._shape(x.shape[1:])))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if None in input_shape:
            return tuple(None if size == -1 else size for size in self.target_shape)  # type: ignore[misc]
        return self._shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {"target_shape": list(self.target_shape)}

    def extra_repr(self) -> str:
        return f"{self.target_shape}"


def _order(value: Any, name: str) -> tuple[int, ...]:
    dims = tuple(whole_number(n, name, 1) for n in (value if isinstance(value, tuple | list) else (value,)))
    if sorted(dims) != list(range(1, len(dims) + 1)):
        raise ValueError(f"{name} is {value!r}, wanted each number from 1 to {len(dims)} once")
    return dims


class Permute(Module):
    """Layer that changes the order of the axes of each sample.

    Args:
        dims: for each axis of the output, an axis of the input; the first after the batch is 1.

    >>> import fastnn
    >>> fastnn.Permute((2, 1))(fastnn.zeros(5, 6, 7)).shape
    (5, 7, 6)
    """

    _any_dtype = True
    _checked_arguments: ClassVar = {"dims": _order}

    def __init__(self, dims: Any, name: str | None = None) -> None:
        super().__init__()
        self.dims = dims
        self.name = name or "permute"

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: any dtype, with as many axes as `dims` has."""
        return InputSpec(ndim=len(self.dims) + 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != len(self.dims) + 1:
            raise ValueError(
                f"Permute: x has shape {x.shape}, wanted {len(self.dims) + 1} dimensions, the first of them the samples"
            )
        return transpose(x, (0, *self.dims))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(input_shape[axis - 1] for axis in self.dims)

    def get_config(self) -> dict[str, Any]:
        return {"dims": list(self.dims)}

    def extra_repr(self) -> str:
        return f"{self.dims}"


class RepeatVector(Module):
    """Layer that repeats each sample as the steps of a sequence.

    Args:
        n: number of steps.

    Shapes: x (n_samples, features), y (n_samples, n, features).

    >>> import fastnn
    >>> fastnn.RepeatVector(3)(fastnn.zeros(5, 6)).shape
    (5, 3, 6)
    """

    _any_dtype = True
    _checked_arguments: ClassVar = {"n": positive_int}

    def __init__(self, n: int, name: str | None = None) -> None:
        super().__init__()
        self.n = n
        self.name = name or "repeat_vector"

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: any dtype, rows of features."""
        return InputSpec(ndim=2)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ValueError(f"RepeatVector: x has shape {x.shape}, wanted (n, features)")
        return broadcast_to(reshape(x, (x.shape[0], 1, x.shape[1])), (x.shape[0], self.n, x.shape[1]))

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.n, *input_shape)

    def get_config(self) -> dict[str, Any]:
        return {"n": self.n}

    def extra_repr(self) -> str:
        return f"{self.n}"


class Unflatten(Module):
    """Layer that replaces an axis by several, as in PyTorch; the inverse of `Flatten`.

    Args:
        dim: the axis; 0 is that of the samples.
        unflattened_size: the sizes, one of which may be -1.

    >>> import fastnn
    >>> fastnn.nn.Unflatten(1, (3, 2))(fastnn.zeros(5, 6)).shape
    (5, 3, 2)
    """

    _any_dtype = True
    _checked_arguments: ClassVar = {"dim": whole_number, "unflattened_size": _target}

    def __init__(self, dim: int, unflattened_size: Any, name: str | None = None) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = unflattened_size
        self.name = name or "unflatten"

    input_spec = ANY

    def forward(self, x: Tensor) -> Tensor:
        return unflatten(x, self.dim, self.unflattened_size)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        axis = axis_of(self.dim, len(input_shape) + 1, "Unflatten") - 1
        if axis < 0:
            raise ValueError("Unflatten: dim is 0, the axis of the samples; wanted another one in a model")
        return (*input_shape[:axis], *sizes_of(self.unflattened_size, input_shape[axis]), *input_shape[axis + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
