"""Specs of the inputs of layers (dtype and shape), which calls, training, freezing and graphs use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.convert import StepInput, check_whole, dtype_of, host_array, own_array
from ..core.structure import Structure, input_names

if TYPE_CHECKING:
    from ..backends.base import Backend

_KINDS = ("float", "int", "bool")
_INT64, _BOOL = np.dtype(np.int64), np.dtype(np.bool_)


class InputSpec:
    """Spec of one input of a layer, like Keras's class with this name.

    Args:
        dtype: "float" means the dtype of the layer's parameters, "int" int64, "bool" bool; other names are dtypes. With None,
            any dtype is accepted: integers become int64, bool stays bool, floats get the dtype of the parameters.
        shape: the sizes, with the batch axis first; None for unknown sizes.
        ndim, min_ndim, max_ndim: number of dimensions with the batch axis, if no shape is given.
        axes: a dict from axis to size.
        allow_last_axis_squeeze: whether data may lack a last axis of size 1, or have an additional one.
        name: name of the input.

    Arrays are cast to the dtype; fractions for an int input are an error.

    >>> import fastnn
    >>> class Embed(fastnn.Module):
    ...     input_spec = fastnn.InputSpec(dtype="int", ndim=2)
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weight = fastnn.nn.Parameter(fastnn.rand(10, 4))
    ...     def forward(self, ids):
    ...         return fastnn.take(self.weight, ids)
    >>> Embed()([[1, 2, 3]]).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
    ) -> None:
        self.dtype = dtype if dtype is None or (isinstance(dtype, str) and dtype in _KINDS) else dtype_of(dtype, "InputSpec").name
        self.shape: Any = None if shape is None else tuple(None if n is None else int(n) for n in shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        known = [*[(i, n) for i, n in enumerate(self.shape or ()) if i], *self.axes.items()]
        self._sizes = tuple((axis, size) for axis, size in known if size is not None)
        self.checks_calls = bool(self._sizes) or (self.ndim, max_ndim, min_ndim) != (None, None, None)
        """Whether direct calls of the layer check the shape."""
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name

    def wants(self, floats: np.dtype[Any]) -> np.dtype[Any] | None:
        """Return the dtype to which arrays are cast if parameters have the dtype `floats`; None if any dtype is accepted."""
        if self.dtype is None:
            return None
        if self.dtype == "float":
            return floats
        return _INT64 if self.dtype == "int" else np.dtype(self.dtype)

    def cast(self, dtype: np.dtype[Any], floats: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype to which an array with this dtype is cast."""
        return self.wants(floats) or (floats if dtype.kind == "f" else _BOOL if dtype.kind == "b" else _INT64)

    def fitted(self, shape: tuple[Any, ...], op: str, name: str) -> tuple[Any, ...]:
        """Return the shape to which data of this shape are reshaped; it may have a last axis of size 1 more or less.

        Raises:
            ValueError: the shape does not fit; the message names the operation, the array and the wanted shape.
        """
        if self._fits(shape):
            return shape
        if self.allow_last_axis_squeeze:
            if len(shape) == 1 and (self.shape is None or self.shape[-1] == 1) and self._fits((*shape, 1)):
                return (*shape, 1)
            if len(shape) > 1 and shape[-1] == 1 and self._fits(shape[:-1]):
                return shape[:-1]
        hint = f"; for one sample: {name}[None]" if self._fits((1, *shape)) else ""
        if not hint and len(shape) > 2 and None not in shape[1:] and self._fits((shape[0], math.prod(shape[1:]))):
            hint = f"; as rows: {name}.reshape(len({name}), -1), or a Flatten layer before"
        raise ValueError(f"{op}: {name} has shape {shape}, wanted {self._described(len(shape))}{hint}")

    def _fits(self, shape: tuple[Any, ...]) -> bool:
        n = len(shape)
        if self.ndim is not None:
            if n != self.ndim:
                return False
        elif n < (self.min_ndim or 0) or (self.max_ndim is not None and n > self.max_ndim):
            return False
        return all(-n <= axis < n and shape[axis] in (size, None) for axis, size in self._sizes)

    def _described(self, came: int) -> str:
        """Describe the wanted shape, for an array with `came` dimensions."""
        if self.shape is not None:
            return _sizes(self.shape[1:])
        n = self.ndim or max(came, self.min_ndim or 0)
        if self.max_ndim is not None:
            n = min(n, self.max_ndim)
        sizes: list[Any] = [None] * n
        for axis, size in self.axes.items():
            if -n <= axis < n:
                sizes[axis] = size
        if any(size is not None for size in sizes[1:]):
            return _sizes(sizes[1:])
        most = "at least " if self.max_ndim is None else "at most " if came > n else ""
        return f"{'' if self.ndim else most}{n} dimension{'s' * (n != 1)}, the first of them the samples"

    def __repr__(self) -> str:
        names = "dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "name"
        given = [(key, getattr(self, key)) for key in names if getattr(self, key) not in (None, {}, "")]
        return f"InputSpec({', '.join(f'{key}={value!r}' for key, value in given if key != 'ndim' or self.shape is None)})"


def _sizes(sizes: Sequence[Any]) -> str:
    return f"({', '.join(['n', *map(str, sizes)])}{',' * (not sizes)})"


class Features(InputSpec):
    """Spec of floats with a given size of the last axis, or any size if it is unknown.

    Data have the samples in rows. A direct call may be with one sample without the batch axis, as in PyTorch.
    """

    def __init__(self, inputs: int | None = None) -> None:
        super().__init__("float", min_ndim=2, axes={-1: inputs}, allow_last_axis_squeeze=True)
        self.checks_calls = False


FLOATS = InputSpec("float")
"""Default spec of the layers of fastnn."""
ANY = InputSpec()
"""Default spec of custom modules."""


features = lru_cache(maxsize=256)(Features)
"""Spec of a dense layer, cached by the number of inputs."""


def each(model: Any, structure: Structure, op: str) -> list[InputSpec]:
    """Return the spec of each input from the model's `input_spec`: nested like the inputs, a dict by names, or one for all.

    Specs of optional arguments of forward that were not passed are omitted.

    Raises:
        TypeError, ValueError: input_spec has objects of other types, or their number is not that of the inputs.
    """
    spec = model.input_spec
    if isinstance(spec, InputSpec | None):
        return [spec or ANY] * len(structure)
    if structure.kind in ("one", "args"):
        count, names = len(structure.tree[2]) if structure.tree else 1, input_names(model)
        if isinstance(spec, Mapping):
            spec = {name: one for name, one in spec.items() if name not in names[count:]}
            if structure.kind == "one" and names[0] in spec:
                spec[structure.names[0]] = spec.pop(names[0])
        else:
            spec = spec[:count]
    alone = isinstance(spec, list | tuple) and len(spec) == len(structure) == 1
    found = list(spec) if alone else structure.spread(spec, op, "input_spec", optional=True)
    for one in found:
        if not isinstance(one, InputSpec | None):
            raise TypeError(f"{op}: input_spec holds a {type(one).__name__}; wanted InputSpec, or a list or dict of them")
    return [one or ANY for one in found]


def of_argument(spec: Any, name: str, position: int) -> Any:
    """Return the spec of one argument of forward, from one spec for all or a list, tuple or dict of specs; None without one."""
    if isinstance(spec, Mapping):
        return spec.get(name)
    if isinstance(spec, list | tuple):
        return spec[position] if position < len(spec) else None
    return spec


def as_input(k: Backend, x: Any, spec: InputSpec, floats: np.dtype[Any], op: str, name: str = "x") -> Any:
    """Convert an input of a layer to an array of the backend k, in the dtype of the spec.

    Raises:
        ValueError: the shape does not fit, an int input has fractions, or a bool input has numbers other than 0 and 1.
    """
    wanted = spec.wants(floats)
    whole = wanted if wanted is not floats and wanted is not None and wanted.kind in "ib" else None
    if whole is not None and not isinstance(x, StepInput) and (k.xp is np or type(x) is not k.xp.ndarray):
        x = host_array(x, None, op, floats=np.dtype(np.float64))
        if x.dtype.kind == "f" or (whole.kind == "b" and x.dtype.kind != "b"):
            check_whole(x, whole, op, name)
    array = own_array(k, x, wanted, op, False, floats)
    if spec.checks_calls and (shape := spec.fitted(array.shape, op, name)) != array.shape:
        array = array.reshape(shape)
    return array
