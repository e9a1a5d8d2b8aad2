"""Calls of layers on symbols, which try the layers on small batches to find the shapes of their outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np

from ...autograd.tensor import Tensor, no_grad
from ...backends import current, recording
from ...core.seeding import generator
from ...core.structure import Structure, argument_names, missing_inputs, positional_names
from ...core.tree import replace
from ..dtype import offer_dtype
from ..mode import mode, trying
from ..module import Module
from ..parameter import filling
from ..spec import each
from .symbolic import Call, Symbol, symbols_in

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
    vars(module)["_node"] = call
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
