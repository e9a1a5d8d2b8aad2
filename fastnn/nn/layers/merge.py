"""Layers of several inputs: sums, products, extremes, concatenation, dot products; and the residual connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...ops import elementwise
from ...ops.checks import as_tensor, axis_of, same_dtype
from ...ops.create import ones
from ...ops.shape import concatenate
from ..graph.sequential import Sequential
from ..masks import any_of
from ..module import Module
from ..remade import RemadeModule
from ..spec import ANY


class Merge(Module):
    """Base of merging layers, which are called on a list of Tensors and return one."""

    _saved_as = ""
    most: int | None = None
    """Maximal number of inputs."""
    input_spec = ANY
    supports_masking = True
    broadcasts = True
    """Whether axes of size 1 are broadcast to the sizes of the other inputs."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name or type(self).__name__.lower()

    def _input(self, x: Any) -> Any:
        if not isinstance(x, list | tuple):
            raise ValueError(f"{type(self).__name__}: {type(x).__name__} came, wanted a list of inputs")
        return [item if isinstance(item, Tensor) else super(Merge, self)._input(item) for item in x]

    def __call__(self, x: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if isinstance(x, Tensor):
            raise ValueError(f"{type(self).__name__}: one Tensor came, wanted a list of inputs")
        return super().__call__(x, *args, training=training, **kwargs)

    def forward(self, x: Any) -> Tensor:
        name = type(self).__name__
        parts = [as_tensor(t, name) for t in x]
        if len(parts) < 2 or (self.most and len(parts) > self.most):
            raise ValueError(f"{name}: {len(parts)} inputs came, wanted {self.most or 'two or more'}")
        if any(t.dtype != parts[0].dtype for t in parts):  # whole numbers beside floats, as in Keras
            floats = next((t.dtype for t in parts if t.dtype.kind == "f"), parts[0].dtype)
            parts = [t if t.dtype.kind == "f" else elementwise.astype(t, floats) for t in parts]
            same_dtype(name, *parts)
        self._check([t.shape for t in parts])
        return self.merge(parts)

    def _check(self, shapes: list[tuple[int, ...]]) -> None:
        """Raise ValueError unless the shapes fit."""
        text = " and ".join(map(str, shapes))
        if len({len(s) for s in shapes}) > 1:
            raise ValueError(f"{type(self).__name__}: inputs of shapes {text}; wanted the same number of dimensions")
        if self.broadcasts:
            for sizes in zip(*shapes, strict=True):
                if len(set(sizes) - {1}) > 1:
                    raise ValueError(f"{type(self).__name__}: inputs of shapes {text} do not fit; wanted equal sizes, or 1")

    def merge(self, parts: list[Tensor]) -> Tensor:
        """Merge two or more Tensors with fitting shapes into one."""
        raise NotImplementedError

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the logical or of the masks: what is data in one of the inputs is data; None if an input has no mask."""
        return any_of(previous_mask)

    @property
    def takes_several(self) -> bool:
        return True

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*input_shape, strict=True))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class Add(Merge):
    """The sum of its inputs.

    >>> import fastnn
    >>> fastnn.Add()([fastnn.tensor([[1.0, 2.0]]), fastnn.tensor([[3.0, 4.0]])]).tolist()
    [[4.0, 6.0]]
    """

    _op: Callable[[Any, Any], Tensor] = staticmethod(elementwise.add)

    def merge(self, parts: list[Tensor]) -> Tensor:
        y = parts[0]
        for t in parts[1:]:
            y = self._op(y, t)
        return y


class Multiply(Add):
    """The product of its inputs, element by element."""

    _op = staticmethod(elementwise.mul)


class Maximum(Add):
    """The greatest of its inputs, element by element."""

    _op = staticmethod(elementwise.maximum)


class Minimum(Add):
    """The smallest of its inputs, element by element."""

    _op = staticmethod(elementwise.minimum)


class Average(Add):
    """The mean of its inputs, element by element."""

    def merge(self, parts: list[Tensor]) -> Tensor:
        return super().merge(parts) * (1.0 / len(parts))


class Subtract(Add):
    """The first input minus the second."""

    most = 2
    _op = staticmethod(elementwise.sub)


class Concatenate(RemadeModule, Merge):
    """Concatenation of inputs along an axis.

    Args:
        axis: the axis; -1 is the last one. Axis 0, the batch, is not allowed.

    >>> import fastnn
    >>> fastnn.Concatenate()([fastnn.tensor([[1.0]]), fastnn.tensor([[2.0, 3.0]])]).tolist()
    [[1.0, 2.0, 3.0]]
    """

    broadcasts = False

    def __init__(self, axis: int = -1, name: str | None = None) -> None:
        super().__init__(name)
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or axis == 0:
            raise ValueError(f"Concatenate: axis is {axis!r}, wanted a whole number; 0 is the batch")
        self.axis = int(axis)

    def merge(self, parts: list[Tensor]) -> Tensor:
        if axis_of(self.axis, parts[0].ndim, "Concatenate") == 0:
            raise ValueError(f"Concatenate: axis {self.axis} of inputs of shape {parts[0].shape} is the batch")
        return concatenate(parts, self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return the masks one after the other if the time steps are, else their logical or."""
        if self.axis % inputs[0].ndim != 1:
            return any_of(previous_mask)
        own = [ones(x.shape[:2], dtype=bool) if m is None else m for x, m in zip(inputs, previous_mask, strict=True)]
        return concatenate(own, 1)

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        axis = self.axis - 1 if self.axis > 0 else self.axis
        shape = list(input_shape[0])
        sizes = [s[axis] for s in input_shape]
        shape[axis] = None if None in sizes else sum(sizes)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis, "name": self.name}

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class Dot(RemadeModule, Merge):
    """Dot product of two inputs for each sample: shapes (n, m) and (n, m) give (n, 1).

    Args:
        axes: 1 or -1, or a pair of them: the axis of the sum.
        normalize: whether to divide both by their norms first, which gives the cosine of the angle between them.
    """

    most = 2
    broadcasts = False

    def __init__(self, axes: Any = -1, normalize: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        pair = tuple(axes) if isinstance(axes, list | tuple) else (axes, axes)
        if len(pair) != 2 or any(a not in (1, -1) for a in pair):
            raise ValueError(f"Dot: axes is {axes!r}; wanted 1 or -1, for inputs of shape (n, m)")
        self.axes, self.normalize = axes, bool(normalize)

    def merge(self, parts: list[Tensor]) -> Tensor:
        x, y = parts
        if x.ndim != 2 or x.shape != y.shape:
            raise ValueError(f"Dot: inputs of shapes {x.shape} and {y.shape}; wanted two of one shape (n, m)")
        if self.normalize:
            x, y = _unit(x), _unit(y)
        return (x * y).sum(1, keepdims=True)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return None: there is one number for each sample."""
        return None

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        return (1,)

    def get_config(self) -> dict[str, Any]:
        return {"axes": self.axes, "normalize": self.normalize, "name": self.name}


def _unit(x: Tensor) -> Tensor:
    """Divide the rows by their norms; as in Keras, squared norms are at least 1e-12."""
    return x / (x * x).sum(1, keepdims=True).clip(1e-12).sqrt()


class Residual(Sequential):
    """y = x + f(x), where f is one layer or several after one another.

    Source: He et al., CVPR 2016.

    >>> import fastnn
    >>> block = fastnn.Residual(fastnn.Dense(4, activation="relu"), fastnn.Dense(3))
    >>> model = fastnn.Sequential([fastnn.Dense(3, input_shape=(2,)), block, fastnn.Dense(1)])
    >>> model.predict([[1.0, 2.0]]).shape
    (1, 1)
    """

    supports_masking = True

    def __init__(self, *layers: Any, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(*layers, dtype=dtype, name=name or "residual")

    def forward(self, x: Any) -> Any:
        y = super().forward(x)
        if y.shape != x.shape:
            raise ValueError(
                f"Residual: the layers change the shape from {x.shape} to {y.shape}; wanted the same shape, to add them"
            )
        return x + y
