"""Symbolic tensors. Calls of layers on them define the graph of a functional model."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np

from ...autograd.tensor import Tensor, no_grad
from ...backends import current, recording
from ...core.convert import dtype_of
from ...core.seeding import generator
from ...core.structure import Structure, argument_names, missing_inputs, positional_names
from ...core.tree import Tree, flatten, replace
from ...ops.checks import positive_int
from ..dtype import offer_dtype
from ..mode import mode, trying
from ..module import Module
from ..parameter import filling
from ..spec import ANY, each

_OPEN_SIZES = 24, 48
"""Sizes that replace unknown ones in trial calls of a layer. An output size that differs between the two calls is unknown."""
_SAMPLES = 2
"""Number of samples in trial calls of layers. With two, an output without the batch axis is detected."""
MOST_NUMBERS = 1 << 25
"""Maximal number of elements for one sample in the inputs of a layer."""


class _Trial:
    """Backend for trial calls of layers. It rejects arrays of more than MOST_NUMBERS elements for a sample."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def empty(self, shape: Any, dtype: Any) -> Any:
        size = float(np.prod(shape, dtype=float))
        if size > _SAMPLES * MOST_NUMBERS:
            raise ValueError(f"an array of shape {shape} came up, more than {MOST_NUMBERS} numbers for a sample")
        if (own := filling.get()) is not None:
            own.try_(size)
        return self._real.empty(shape, dtype)


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
        dtype: dtype of the data, to which arrays are cast; float32 by default.
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


def call_on_symbols(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None = None) -> Any:
    """Call a layer on symbols and return the symbols of its outputs.

    This builds the layer, and calls it with a small batch without a tape to find the shapes of its outputs. The trial call is in
    evaluation mode, so that it draws no random numbers. With `training`, the model calls the layer in this mode.

    Raises:
        TypeError, ValueError: the layer does not take such inputs, or its output is not a batch of samples.
    """
    name = getattr(module, "name", None) or type(module).__name__.lower()
    args = _by_position(module, args, kwargs, name)
    if missing := missing_inputs(module, len(args)):
        arguments = ", ".join(missing)
        raise TypeError(
            f"{name}: {len(args)} of {len(missing)} inputs came; forward takes {arguments}; call it as layer({arguments})"
        )
    for a in args:
        if not isinstance(a, Symbol | list | tuple | dict | int | float | str | None):
            raise TypeError(f"{name}: a symbol and a {type(a).__name__} came together; wanted symbols and numbers")
    inputs = [s for a in args for s in symbols_in(a)[1]]
    if (size := sum(int(np.prod(_shape(s, _OPEN_SIZES[0]))) for s in inputs)) > MOST_NUMBERS:
        raise ValueError(f"{name}: inputs of more than {MOST_NUMBERS} numbers for one sample")
    if (own := filling.get()) is not None:
        own.begin(_SAMPLES * size)
    if any(s.dtype == np.float64 for s in inputs):
        offer_dtype(module, "float64", name, made=False)
    _check(module, args, inputs, name)
    call = Call(module, args, training)
    if any(None in s.sample_shape for s in inputs):
        call.structure, leaves = _tried_open(module, args, inputs, name)
    else:
        call.structure, leaves = _tried(module, args, name, _shape)
    call.outputs = [Symbol(shape, dtype, call, name) for shape, dtype in leaves]
    return call.structure.build(call.outputs)


def _by_position(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> tuple[Any, ...]:
    """Return the arguments of a call by position, with None for those in between that are left out."""
    if not kwargs:
        return args
    places = positional_names(module)
    if unknown := [key for key in kwargs if key not in places[len(args) :]]:
        raise TypeError(f"{name}: forward takes no argument {unknown[0]!r} by keyword in a call on symbols")
    last = max(places.index(key) for key in kwargs)
    return (*args, *(kwargs.get(key) for key in places[len(args) : last + 1]))


def _check(module: Module, args: tuple[Any, ...], inputs: list[Symbol], name: str) -> None:
    """Raise ValueError or TypeError if the inputs do not fit the layer's spec. Functional models check their own inputs."""
    if module.input_structure is not None:
        return
    structure = Structure.of(args[0])[0] if len(args) == 1 else Structure("args", argument_names(module, len(inputs)))
    for s, spec in zip(inputs, each(module, structure, name), strict=False):
        spec.fitted(s.shape, name, s.name)
        wanted = spec.wants(module.dtype)
        if wanted is not None and wanted.kind in "ib" and s.dtype.kind != wanted.kind:
            raise TypeError(f"{name}: {s!r} came, wanted {wanted}; Input takes dtype={wanted.name!r}")


Outputs = tuple[Structure, list[tuple[tuple[int | None, ...], np.dtype[Any]]]]
"""Type of a layer's outputs: their structure, and the shape of a sample and the dtype of each."""


def _tried(module: Module, args: tuple[Any, ...], name: str, shape: Callable[[Symbol], Any]) -> Outputs:
    """Call a layer on a small batch of samples with these shapes, and return the structure, shapes and dtypes of its outputs."""

    def batch(symbol: Symbol) -> Tensor:
        """Return a batch of ones, for which logarithms and quotients are finite; for integers zeros, which are valid indices."""
        k = current()
        data = k.empty((_SAMPLES, *shape(symbol)), symbol.dtype)
        data[...] = symbol.dtype.kind == "f"
        return Tensor(data)

    with recording(cast(Any, _Trial(current()))), no_grad(), mode(training=False), trying(), np.errstate(all="ignore"):
        y = module(*replace(args, lambda a: batch(a) if isinstance(a, Symbol) else a))
    structure, leaves = Structure.of(y)
    for leaf, place in zip(leaves, structure.places(""), strict=True):
        if not isinstance(leaf, Tensor):
            where = place and f" at outputs{place}"
            raise TypeError(
                f"{name}: forward returned a {type(leaf).__name__}{where}; wanted a Tensor, or a list, tuple or dict of Tensors"
            )
        if not leaf.ndim or leaf.shape[0] != _SAMPLES:
            what = f"outputs{place}" if place else "the output"
            raise ValueError(f"{name}: {what} for {_SAMPLES} samples has shape {leaf.shape}; its first axis is not the batch")
    return structure, [(leaf.shape[1:], leaf.dtype) for leaf in leaves]


def _shape(symbol: Symbol, size: int = 0) -> tuple[int, ...]:
    """Return the shape of a sample, with this size for unknown sizes."""
    return tuple(size if n is None else n for n in symbol.sample_shape)


def _tried_open(module: Module, args: tuple[Any, ...], inputs: list[Symbol], name: str) -> Outputs:
    """Return the outputs of a layer for inputs with unknown sizes.

    The layer is called with two different sizes in their place. Output sizes that differ are unknown. If a call fails, the
    unknown size may have to equal that of another input on the same axis, as in sums; this is tried next.

    Raises:
        TypeError, ValueError: the layer does not take inputs of all sizes.
    """
    if hasattr(module, "build") and not module.built:
        module.build(inputs[0].sample_shape)
    shapes = " and ".join(str(s.shape) for s in inputs)
    known: dict[int, int] = {}
    for s in inputs:
        known |= {axis: n for axis, n in enumerate(s.sample_shape) if n is not None and n > 1}

    def unified(symbol: Symbol, size: int) -> tuple[int, ...]:
        return tuple(known.get(axis, size) if n is None else n for axis, n in enumerate(symbol.sample_shape))

    # A layer without parameters is first tried as a copy, so that a failed trial neither builds it nor draws random numbers.
    state = generator().bit_generator.state
    failed: Exception | None = None
    for fill in (_shape, unified) if len(inputs) > 1 else (_shape,):
        try:
            tried = module if module.built else copy.deepcopy(module)
            runs = [_tried(tried, args, name, partial(_sized, fill, size)) for size in _OPEN_SIZES]
        except (TypeError, ValueError) as error:
            failed = failed or error
            continue
        finally:
            generator().bit_generator.state = state
        if tried is not module:
            _tried(module, args, name, partial(_sized, fill, _OPEN_SIZES[0]))
        break
    else:
        sizes = " and ".join(map(str, _OPEN_SIZES))
        raise ValueError(
            f"{name}: inputs of shape {shapes} do not fit; sizes {sizes} were tried for None, with the error: {failed}"
        ) from failed
    (structure, first), (_, second) = runs
    outputs = []
    for (a, dtype), (b, _) in zip(first, second, strict=True):
        if len(a) != len(b):
            raise ValueError(f"{name}: the number of dimensions of its output depends on the unknown size in {shapes}")
        outputs.append((tuple(n if n == m else None for n, m in zip(a, b, strict=True)), dtype))
    return structure, outputs


def _sized(fill: Callable[[Symbol, int], Any], size: int, symbol: Symbol) -> Any:
    return fill(symbol, size)
