"""Frozen models: a forward pass recorded for one shape, and called past everything but its kernels."""

from __future__ import annotations

import copy
import functools
import operator
import threading
from typing import Any

import numpy as np

from ..backends import current, recording
from ..backends.base import Backend
from ..backends.spec import LINEAR, PRECISIONS
from ..plan import Recorder
from ..precision import autocast, precision
from ..tensor import Array, Tensor, no_grad
from ..training import data
from ..training.structure import ONE, Structure, inputs_of
from .mode import mode
from .module import Module

_values = operator.attrgetter("data")


def freeze(model: Module, batch_size: int = 1, input_shape: Any = None) -> Any:
    """A callable that computes what the model computes now, for batches of a fixed size; see `Module.freeze`."""
    from .dense import positive_int, shape_of

    batch_size = positive_int(batch_size, "freeze: batch_size")
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
    return _freeze(_snapshot(model), inputs, shapes, PRECISIONS[precision()])


def _inputs(model: Module, shape: Any) -> Structure:
    """How a model takes its inputs, from its shapes: one is a list of sizes, several are a list or dict of shapes."""
    several = isinstance(shape, dict) or (isinstance(shape, list | tuple) and any(isinstance(s, list | tuple) for s in shape))
    if not several and model.input_structure is None:
        return ONE
    like = {key: np.empty((1, 1)) for key in shape} if isinstance(shape, dict) else [np.empty((1, 1))] * len(shape)
    return inputs_of(model, like, "freeze")


def _snapshot(model: Module) -> Module:
    """A copy that later training does not change, without what compile was given; other threads may use the model meanwhile."""
    return copy.deepcopy(model, {id(model._compiled): None} if model._compiled else None)


def _record(
    model: Module, inputs: Structure, shapes: list[tuple[int, ...]]
) -> tuple[Recorder, list[Array], Structure, list[Array]]:
    """The forward pass for these shapes: the recording, its inputs, what the model returns, and its outputs."""
    real: Backend = current()
    real.value_leaves("freeze")
    xs = [real.empty(shape, dtype) for shape, dtype in zip(shapes, inputs.dtypes or [model.dtype] * len(shapes), strict=True)]
    for x in xs:
        real.fill(x, 0.0)
    recorder = Recorder(real, tuple(xs))
    with recording(recorder), no_grad(), mode(training=False):
        structure, ys = Structure.of(inputs.call(model, [Tensor(x) for x in xs]))
        outs = []
        for y in ys:
            if not isinstance(y, Tensor) or y.dtype != model.dtype:
                raise TypeError("freeze: the model's output is no Tensor of its own dtype")
            outs.append(recorder.empty(y.shape, y.dtype))  # of its own: the output may be a view of the input
            recorder.activation_forward(outs[-1], y.data, LINEAR)
    if recorder.void:
        raise RuntimeError(f"freeze: the model cannot be frozen: {recorder.void}")
    return recorder, xs, structure, outs


def _freeze(model: Module, inputs: Structure, shapes: list[tuple[int, ...]], dtype: str = "float32") -> Any:
    with autocast(dtype):
        recorder, xs, outputs, outs = _record(model, inputs, shapes)
    reduced = (_freeze, (model, inputs, shapes, dtype))

    def converted(given: Any, i: int) -> Any:
        name = "x" if len(xs) == 1 else inputs.names[i]
        a = data.as_features(given, xs[i].dtype, "frozen model", name)
        if a.shape == shapes[i][1:] and shapes[i][0] == 1:
            a = a[None]
        if a.shape != shapes[i]:
            raise ValueError(f"frozen model: {name} has shape {a.shape}, but it was frozen for {shapes[i]}")
        return a

    if inputs.kind == "one" and outputs.kind == "one":
        convert = functools.partial(converted, i=0)
        return recorder.real.freeze(recorder.calls, xs[0], outs[0], recorder.owned, convert, reduced, True)
    return FrozenGraph(recorder.real, recorder.real.plan(recorder.calls), inputs, xs, outputs, outs, converted, reduced)


class Forward:
    """The forward pass of a model in evaluation mode for one shape, recorded. Unlike a frozen model it follows the weights."""

    def __init__(self, model: Module, shape: tuple[int, ...]) -> None:
        recorder, (x,), _, (out,) = _record(model, inputs_of(model, np.empty(shape[:1]), "predict"), [shape])
        # Nothing of this may lead back to the model: the garbage collector does not look into compiled objects.
        convert = functools.partial(np.require, requirements=["C", "A"])
        self.run = recorder.real.freeze(recorder.calls, x, out, recorder.owned, convert, (), False)
        self._parameters = tuple(model.weights)
        self._values = tuple(p.data for p in self._parameters)

    def fits(self) -> bool:
        """Whether the weights are still in the arrays in which they were."""
        return all(map(operator.is_, map(_values, self._parameters), self._values))


class FrozenList:
    """A frozen model on a backend without one of its own: the recorded calls, walked by Python."""

    def __init__(self, backend: Backend, plan: Any, x: Any, out: Any, convert: Any, reduced: Any) -> None:
        self._backend, self._plan, self._x, self._out, self._convert, self._reduced = backend, plan, x, out, convert, reduced
        self._lock = threading.Lock()
        self.batch_size = len(x)

    def __call__(self, x: Any, out: Any = None) -> Any:
        single = self.batch_size == 1 and isinstance(x, np.ndarray) and x.ndim == self._x.ndim - 1
        given = self._convert(x)
        with self._lock:
            self._backend.write(self._x, given)
            self._plan.run()
            result = self._backend.to_numpy(self._out[0] if single else self._out)
            if out is None:
                return result.copy()
            fits = isinstance(out, np.ndarray) and out.shape == result.shape and out.dtype == result.dtype
            if not fits or not out.flags.carray:
                raise ValueError("frozen model: out has not the output's shape, dtype and layout, or is read-only")
            out[...] = result
            return out

    def __reduce__(self) -> Any:
        return self._reduced


class FrozenGraph:
    """A frozen model with several inputs or outputs: f([a, b]), f(a, b), or f({"a": a, "b": b}) gives new arrays."""

    def __init__(
        self,
        backend: Backend,
        plan: Any,
        inputs: Structure,
        xs: list[Array],
        outputs: Structure,
        outs: list[Array],
        convert: Any,
        reduced: Any,
    ) -> None:
        self._backend, self._plan = backend, plan
        self._inputs, self._xs, self._outputs, self._outs = inputs, xs, outputs, outs
        self._convert, self._reduced = convert, reduced
        self._lock = threading.Lock()
        self.batch_size = len(xs[0])

    def __call__(self, x: Any, *more: Any) -> Any:
        leaves = (
            [x]
            if self._inputs.kind == "one" and not more
            else self._inputs.spread([x, *more] if more else x, "frozen model", "x")
        )
        single = all(isinstance(a, np.ndarray) and a.ndim == own.ndim - 1 for a, own in zip(leaves, self._xs, strict=True))
        given = [self._convert(a, i) for i, a in enumerate(leaves)]
        with self._lock:  # the arrays between are one caller's at a time
            for own, a in zip(self._xs, given, strict=True):
                self._backend.write(own, a)
            self._plan.run(1)
            host = map(self._backend.to_numpy, self._outs)
            return self._outputs.build([(out[0] if single else out).copy() for out in host])

    def __reduce__(self) -> Any:
        return self._reduced
