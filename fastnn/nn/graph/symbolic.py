"""Symbolic tensors, which stand for the data of a functional model, and the layers of their arithmetic and slices."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ...autograd.tensor import Tensor
from ...core.convert import dtype_of
from ...core.structure import Structure
from ...core.tree import Tree, flatten
from ...ops.checks import positive_int
from ..module import Module
from ..spec import ANY


class Call:
    """Call of a layer on symbols. Calls are numbered in order, so the inputs of a call come from calls with lower numbers."""

    __slots__ = ("args", "module", "number", "options", "outputs", "structure")
    _count = itertools.count()

    def __init__(self, module: Module | None, args: tuple[Any, ...], training: bool | None = None) -> None:
        self.module = module
        self.args = args
        self.options: dict[str, bool] = {} if training is None else {"training": bool(training)}
        self.structure = Structure("one", ["output"])
        self.outputs: list[Symbol] = []
        self.number = next(Call._count)

    def inputs(self) -> list[Symbol]:
        """Return the symbols among its arguments."""
        return [s for a in self.args for s in symbols_in(a)[1]]


def _no_value(what: str) -> Callable[..., Any]:
    def refuse(self: Symbol, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"{what}: {self!r} is symbolic: it represents the data of a future model and has no values; "
            "put code that needs values into the forward of a layer"
        )

    return refuse


class Symbol:
    """Symbolic tensor of a functional model, with a shape (None for the batch and unknown sizes) and a dtype, but no values.

    `fastnn.Input` makes input symbols. Layers and arithmetic (+, -, *, /, **, slices) on symbols return new symbols.
    """

    __slots__ = ("call", "dtype", "name", "shape")
    __array_ufunc__ = None  # NumPy leaves `array + symbol` to Symbol

    def __init__(self, shape: tuple[int | None, ...], dtype: np.dtype[Any], call: Call, name: str) -> None:
        self.shape: tuple[int | None, ...] = (None, *shape)
        self.dtype, self.call, self.name = dtype, call, name

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def sample_shape(self) -> tuple[int | None, ...]:
        """Return the shape without the batch axis."""
        return self.shape[1:]

    def __repr__(self) -> str:
        return f"<symbolic tensor {self.name!r}, shape {self.shape}, {self.dtype}>"

    __bool__, __float__, __int__, __index__, __array__, __len__, __iter__, numpy, item, tolist = (
        _no_value(name) for name in ("bool", "float", "int", "index", "array", "len", "iteration", "numpy", "item", "tolist")
    )

    def __add__(self, other: Any) -> Any:
        return arithmetic("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return arithmetic("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return arithmetic("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return arithmetic("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return arithmetic("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return arithmetic("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return arithmetic("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return arithmetic("div", other, self)

    def __pow__(self, other: Any) -> Any:
        return arithmetic("pow", self, other)

    def __neg__(self) -> Any:
        return arithmetic("mul", self, -1.0)

    def __getitem__(self, key: Any) -> Any:
        return Slice(_slice_config(key))(self)


class Arithmetic(Module):
    """Layer for arithmetic on symbols: x op y, or x op number.

    Args:
        op: "add", "sub", "mul", "div" or "pow".
        value: a number that is one of the operands, or None.
        reflected: whether the number is the left operand.
    """

    _any_dtype = True
    input_spec = ANY
    _OPS: ClassVar = {"add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__", "pow": "__pow__"}

    def __init__(self, op: str, value: float | None = None, reflected: bool = False, name: str | None = None) -> None:
        super().__init__()
        if op not in self._OPS:
            raise ValueError(f"Arithmetic: op is {op!r}; there are: {', '.join(self._OPS)}")
        self.op, self.value, self.reflected = op, value, bool(reflected)
        self.name = name or op

    def forward(self, x: Any, y: Any = None) -> Any:
        y = self.value if y is None else y
        if y is None:
            raise ValueError(f"Arithmetic: {self.op} of one tensor; wanted two, or a value")
        if isinstance(y, Tensor) and (y.ndim != x.ndim or any(a != b != 1 != a for a, b in zip(x.shape, y.shape, strict=True))):
            raise ValueError(f"{self.op}: symbols of shapes {(None, *x.shape[1:])} and {(None, *y.shape[1:])} do not fit")
        method = self._OPS[self.op]
        return getattr(x, method.replace("__", "__r", 1) if self.reflected else method)(y)

    def get_config(self) -> dict[str, Any]:
        return {"op": self.op, "value": self.value, "reflected": self.reflected, "name": self.name}

    def extra_repr(self) -> str:
        value = "" if self.value is None else f", {self.value}"
        return f"{self.op!r}{value}"


def arithmetic(op: str, x: Any, y: Any) -> Any:
    """Return the symbol of x op y."""
    if isinstance(x, Symbol) and isinstance(y, Symbol):
        return Arithmetic(op)(x, y)
    number = y if isinstance(x, Symbol) else x
    if isinstance(number, bool) or not isinstance(number, int | float | np.integer | np.floating):
        raise TypeError(f"{op}: a symbol and a {type(number).__name__} came; wanted two symbols, or a symbol and a number")
    return Arithmetic(op, float(number), not isinstance(x, Symbol))(x if isinstance(x, Symbol) else y)


class Slice(Module):
    """Layer for indexing of symbols: x[:, key], a part of each sample.

    Args:
        key: for each axis after the batch axis, an integer, or [start, stop, step] for a slice.
    """

    _any_dtype = True
    input_spec = ANY

    def __init__(self, key: Any, name: str | None = None) -> None:
        super().__init__()
        self.key = [k if isinstance(k, int) else list(k) for k in key]
        self.name = name or "slice"

    def forward(self, x: Tensor) -> Tensor:
        return x[(slice(None), *(k if isinstance(k, int) else slice(*k) for k in self.key))]

    def get_config(self) -> dict[str, Any]:
        return {"key": self.key, "name": self.name}

    def extra_repr(self) -> str:
        return repr(self.key)


def _slice_config(key: Any) -> list[Any]:
    batch, *rest = key if isinstance(key, tuple) else (key,)
    if not isinstance(batch, slice) or batch != slice(None):
        raise TypeError("indexing: the first axis of a symbol is the batch, which cannot be indexed; begin with a colon, x[:, 0]")
    config: list[Any] = []
    for k in rest:
        if isinstance(k, slice):
            config.append([k.start, k.stop, k.step])
        elif isinstance(k, int | np.integer) and not isinstance(k, bool):
            config.append(int(k))
        else:
            raise TypeError(f"indexing: {k!r} of a symbol; wanted whole numbers and slices")
    return config


def Input(  # noqa: N802 (Keras's name)
    shape: Any = None, batch_size: int | None = None, dtype: Any = None, name: str | None = None, *, batch_shape: Any = None
) -> Symbol:
    """Return a symbolic input of a functional model, or of a `Sequential`.

    Args:
        shape: shape of one sample, without the batch axis; () for one number. None is an unknown size, which may differ between
            batches.
        batch_size: accepted for compatibility with Keras; models take batches of any size.
        dtype: dtype of the data, to which arrays are cast; float32 by default. Whole numbers of any size are int64.
        name: name of the input in dicts of data and in errors.
        batch_shape: instead of shape, the shape with the batch axis, whose size is ignored.

    >>> import fastnn
    >>> x = fastnn.Input(shape=(4,), name="features")
    >>> model = fastnn.Model(x, fastnn.Dense(2)(x))
    >>> model.predict([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 2)
    >>> fastnn.Dense(2)(fastnn.Input(shape=(None, 3))).shape
    (None, None, 2)
    """
    if batch_shape is not None:
        if shape is not None or batch_size is not None:
            raise ValueError("Input: batch_shape came with shape or batch_size; wanted one or the other")
        if not isinstance(batch_shape, list | tuple) or not batch_shape:
            raise ValueError(f"Input: batch_shape is {batch_shape!r}; wanted the shape with the batch, such as (None, 4)")
        batch_size, *shape = batch_shape
    if batch_size is not None:
        positive_int(batch_size, "Input: batch_size")
    if shape is None or isinstance(shape, str):
        raise ValueError("Input: no shape is given; wanted that of one sample, such as shape=(4,)")
    sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    own = tuple(None if n is None else positive_int(n, "Input: shape") for n in sizes)
    call = Call(None, ())
    dtype = "int64" if str(dtype) in ("int8", "int16", "int32") else dtype
    symbol = Symbol(own, dtype_of("float32" if dtype is None else dtype, "Input"), call, name or f"input_{call.number + 1}")
    call.outputs = [symbol]
    return symbol


def symbols_in(value: Any) -> tuple[Tree, list[Symbol]]:
    """Return the nesting of an argument of a call, and its symbols; a single constant has no symbols."""
    tree, leaves = flatten(value)
    for item in leaves if tree else ():
        if not isinstance(item, Symbol):
            raise TypeError(
                f"a symbol and a {type(item).__name__} came together; wanted symbols only (constants go into a layer)"
            )
    return tree, [item for item in leaves if isinstance(item, Symbol)]
