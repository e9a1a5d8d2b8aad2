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
from .mode import mode
from .module import Module

_values = operator.attrgetter("data")


def freeze(model: Module, batch_size: int = 1, input_shape: Any = None) -> Any:
    """A callable that computes what the model computes now, for batches of a fixed size; see `Module.freeze`."""
    from .dense import positive_int, shape_of

    batch_size = positive_int(batch_size, "freeze: batch_size")
    shape = shape_of(input_shape, "freeze: input_shape") or getattr(model, "input_shape", None)
    if not model.built or shape is None:
        raise RuntimeError("freeze: no shape is known; give the first layer input_shape, or pass input_shape")
    return _freeze(_snapshot(model), (batch_size, *shape), PRECISIONS[precision()])


def _snapshot(model: Module) -> Module:
    """A copy that later training does not change, without what compile was given; other threads may use the model meanwhile."""
    return copy.deepcopy(model, {id(model._compiled): None} if model._compiled else None)


def _record(model: Module, shape: tuple[int, ...]) -> tuple[Recorder, Array, Array]:
    """The forward pass for this shape, its input and its output."""
    real: Backend = current()
    real.value_leaves("freeze")
    x = real.empty(shape, model.dtype)
    real.fill(x, 0.0)
    recorder = Recorder(real, (x,))
    with recording(recorder), no_grad(), mode(training=False):
        y = model(Tensor(x))
        if not isinstance(y, Tensor) or y.dtype != model.dtype:
            raise TypeError("freeze: the model's output is no Tensor of its own dtype")
        out = recorder.empty(y.shape, y.dtype)  # of its own: the output may be a view of the input
        recorder.activation_forward(out, y.data, LINEAR)
    if recorder.void:
        raise RuntimeError(f"freeze: the model cannot be frozen: {recorder.void}")
    return recorder, x, out


def _freeze(model: Module, shape: tuple[int, ...], dtype: str = "float32") -> Any:
    with autocast(dtype):
        recorder, x, out = _record(model, shape)

    def convert(given: Any) -> Any:
        a = data.as_features(given, model.dtype, "frozen model")
        if a.shape == shape[1:] and shape[0] == 1:
            a = a[None]
        if a.shape != shape:
            raise ValueError(f"frozen model: x has shape {a.shape}, but it was frozen for {shape}")
        return a

    return recorder.real.freeze(recorder.calls, x, out, recorder.owned, convert, (_freeze, (model, shape, dtype)), True)


class Forward:
    """The forward pass of a model in evaluation mode for one shape, recorded. Unlike a frozen model it follows the weights."""

    def __init__(self, model: Module, shape: tuple[int, ...]) -> None:
        recorder, x, out = _record(model, shape)
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

    def __init__(self, plan: Any, x: Any, out: Any, convert: Any, reduced: Any) -> None:
        self._plan, self._x, self._out, self._convert, self._reduced = plan, x, out, convert, reduced
        self._lock = threading.Lock()
        self.batch_size = len(x)

    def __call__(self, x: Any, out: Any = None) -> Any:
        single = self.batch_size == 1 and isinstance(x, np.ndarray) and x.ndim == self._x.ndim - 1
        given = self._convert(x)
        with self._lock:
            self._x[...] = given
            self._plan.run()
            result = self._out[0] if single else self._out
            if out is None:
                return result.copy()
            fits = isinstance(out, np.ndarray) and out.shape == result.shape and out.dtype == result.dtype
            if not fits or not out.flags.carray:
                raise ValueError("frozen model: out has not the output's shape, dtype and layout, or is read-only")
            out[...] = result
            return out

    def __reduce__(self) -> Any:
        return self._reduced
