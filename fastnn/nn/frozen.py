"""Frozen models: a forward pass recorded for one shape, and called past everything but its kernels."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import current
from ..backends.base import Backend, Call
from ..backends.spec import PRECISIONS
from ..convert import dtype_of
from ..ops.door import positive_int, shape_of, whole_number
from ..precision import autocast, precision
from ..seeding import generator
from ..structure import ONE, Structure, inputs_of
from .forward_pass import Pass, arrays_of, difference, record
from .ports import Ports

if TYPE_CHECKING:
    from .module import Module


MOST_PASSES = 3
"""Forward passes in which two in a row must do the same: the first may make what later ones keep."""


def freeze(model: Module, batch_size: int = 1, input_shape: Any = None, input_dtype: Any = None, seed: int | None = None) -> Any:
    """Makes a callable that computes what the model computes now, for batches of a fixed size; see `Module.freeze`."""
    batch_size = positive_int(batch_size, "freeze: batch_size")
    if seed is not None:
        seed = whole_number(seed, "freeze: seed", 0)
    if input_shape is None:
        input_shape = getattr(model, "input_shape", None)
    if not model.built or input_shape is None:
        raise RuntimeError("freeze: no shape is known; give the first layer input_shape, or pass input_shape")
    inputs = _inputs(model, input_shape)
    if inputs.kind == "one":
        leaves = [input_shape]
    elif len(inputs) == 1:
        leaves = Structure.of(input_shape)[1]
    else:
        leaves = inputs.spread(input_shape, "freeze", "input_shape")
    shapes = [(batch_size, *(shape_of(leaf, "freeze: input_shape") or ())) for leaf in leaves]
    dtypes = [np.dtype(d) for d in inputs.dtypes or [model.dtype] * len(shapes)]
    if input_dtype is not None:
        several = isinstance(input_dtype, dict | list | tuple)
        given = inputs.spread(input_dtype, "freeze", "input_dtype") if several else [input_dtype] * len(shapes)
        dtypes = [dtype_of(d, "freeze: input_dtype") for d in given]
    return _freeze(_snapshot(model), inputs, shapes, dtypes, PRECISIONS[precision()], seed)


def _inputs(model: Module, shape: Any) -> Structure:
    """Says how a model takes its inputs, from its shapes: one is a list of sizes, several are a list or dict of shapes."""
    several = isinstance(shape, dict) or (isinstance(shape, list | tuple) and any(isinstance(s, list | tuple) for s in shape))
    if not several and model.input_structure is None:
        return ONE
    like = {key: np.empty((1, 1)) for key in shape} if isinstance(shape, dict) else [np.empty((1, 1))] * len(shape)
    return inputs_of(model, like, "freeze")


def _snapshot(model: Module) -> Module:
    """Copies a model, without what compile was given: later training changes no copy, and other threads may use the model."""
    return copy.deepcopy(model, {id(model._compiled): None} if model._compiled else None)


def _freeze(
    model: Module, inputs: Structure, shapes: list[tuple[int, ...]], dtypes: list[Any], rounded: str, seed: int | None
) -> Any:
    real: Backend = current()
    real.value_leaves("freeze")
    xs = [real.empty(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    reduced = (_freeze, (model, inputs, shapes, dtypes, rounded, seed))
    passes: list[Pass] = []
    with autocast(rounded):
        while len(passes) < 2 or (why := difference(*passes[-2:])):
            if len(passes) == MOST_PASSES:
                raise RuntimeError(f"freeze: the model cannot be frozen: {why}")
            passes.append(record(model, inputs, xs))
            if passes[-1].void:
                raise RuntimeError(f"freeze: the model cannot be frozen: {passes[-1].void}")
    for recorded in reversed(passes):
        recorded.restore()
    last = passes[-1]
    door = Ports(inputs, xs, last.structure, last.outs)
    return real.freeze(_with_own_streams(real, last.calls, seed), xs, last.outs, last.owned, door, reduced, True)


def _with_own_streams(real: Backend, calls: list[Call], seed: int | None) -> list[Call]:
    """Gives calls streams of random numbers that nothing else draws from, which begin by the seed, or by `fastnn.seed`."""
    shared = {id(a): a for arg, a in arrays_of(calls) if arg.dtype == "u64" and arg.reads and arg.writes}
    if not shared:
        return calls
    rng = generator() if seed is None else np.random.Generator(np.random.Philox(seed))
    own = {key: real.numbers(np.array([rng.integers(2**63), 0], np.uint64), np.uint64) for key in shared}
    return [(name, tuple(own.get(id(a), a) for a in args)) for name, args in calls]
