"""Training, testing and predicting on single batches."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array
from ..backends import current, get_backend, get_isa
from ..backends.base import Backend, aligned
from ..core.structure import CHUNK, Arrays
from ..core.tree import flatten
from ..distributed.data import Share
from .callbacks.base import CallbackList
from .data.checks import DataChecks
from .ranks import begin
from .step import UNASKED

if TYPE_CHECKING:
    from .compiled import Logs
    from .step import TrainStep

MOST_BATCH_SHAPES = 16
"""Maximal number of batch shapes for which train_on_batch keeps a step."""


class BatchTrainer(DataChecks):
    """Methods of a model that process one batch."""

    if TYPE_CHECKING:
        _train_step: Callable[..., TrainStep]
        _evaluate: Callable[..., Logs]
        _version: int
        predict: Callable[..., Any]

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Take one training step on a batch. Return the loss before the step, or a list with the metrics, or a dict."""
        c = self._need("train_on_batch")
        arrays: Sequence[Array] = (x, y)
        form: Any = None
        step = None
        if sample_weight is None and class_weight is None:
            step = self._known_batch_step(x, y)
            if step is None and (type(x) is not np.ndarray or type(y) is not np.ndarray):
                form, arrays = _form(x, y)
                step = self._known_graph_step(form, arrays)
        if step is None:
            leaves, arrays = arrays, self._prepare("train_on_batch", x, y, sample_weight)
            arrays = self._class_weighted("train_on_batch", arrays, class_weight)
            step = self._batch_step(arrays)
            same = len(leaves) == len(arrays) - len(c.objectives) and all(map(operator.is_, leaves, arrays))
            if form is not None and same:  # later batches of this form need no preparation
                c.batch_forms[form] = step
        write = current().write
        for buffer, a in zip(step.buffers, arrays, strict=False):
            write(buffer, a)
        c.reset()
        step.run()
        return as_returned(c.logs(), return_dict)

    def _batch_step(self, arrays: Arrays) -> TrainStep:
        """Return the step for arrays of these shapes."""
        c = self._need("train_on_batch")
        alone = len(arrays) == 3 and arrays.inputs.kind == "one"
        key = _batch_key(*arrays) if alone else structured_key(arrays)
        step = c.batch_steps.get(key) if c.batch_structure == self._version else None
        if step is None:
            if c.batch_structure != self._version or len(c.batch_steps) >= MOST_BATCH_SHAPES:
                c.batch_steps.clear()
                c.batch_forms.clear()
            k: Backend = current()
            buffers = [aligned(k, a.shape, a.dtype) for a in arrays]
            step = c.batch_steps[key] = self._train_step(buffers, None, inputs=arrays.inputs, unsafe=UNASKED)
            c.batch_structure = self._version
            if c.distribute is not None:
                if c.optimizer.distribute is not c.distribute:  # the first batch, on all ranks
                    begin(self, c.distribute)
                step.dealt(Share(len(buffers[0]), 0))
        return step

    def _known_batch_step(self, x: Any, y: Any) -> TrainStep | None:
        """Return the step for these arrays if `_prepare` would not change them, judged by shapes and dtypes; else None."""
        c = self._need("train_on_batch")
        if type(x) is not np.ndarray or type(y) is not np.ndarray:
            return None
        version = self._version
        if c.batch_structure != version or c.probed[0] != (x.shape[1:], x.dtype, version):
            return None
        step = c.batch_steps.get(_batch_key(x, y))
        if step is not None:
            current().host_reads("train_on_batch")
            objective = c.objectives[0]
            if objective.loss.targets == "labels" and y.dtype == np.int64:
                objective.check_labels(y, "train_on_batch", "y")
        return step

    def _known_graph_step(self, form: Any, leaves: Sequence[Array]) -> TrainStep | None:
        """Return the step for several inputs or outputs if `_prepare` did not change arrays of this form; else None."""
        c = self._need("train_on_batch")
        step = c.batch_forms.get(form) if c.batch_structure == self._version else None
        if step is not None:
            current().host_reads("train_on_batch")
            targets = leaves[-len(c.objectives) :]
            for o, y, name in zip(c.objectives, targets, c.returned.names, strict=True):
                if o.loss is not None and o.loss.targets == "labels" and y.dtype == np.int64:
                    o.check_labels(y, "train_on_batch", f"y[{name!r}]")
        return step

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Compute the loss and metrics of a batch, as `evaluate` returns them."""
        arrays = self._prepare("test_on_batch", x, y, sample_weight)
        return as_returned(self._evaluate([arrays], CallbackList(None, self)), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Compute the outputs for a batch, in evaluation mode, as `predict` returns them."""
        return self.predict(x, None if isinstance(x, np.ndarray) and x.ndim and len(x) <= CHUNK else sys.maxsize)


def _batch_key(x: Array, y: Array, weight: Array | None = None) -> Any:
    """Return a key that is equal for batches with the same step."""
    return get_backend(), get_isa(), x.shape, x.dtype, y.shape, y.dtype, weight is not None and weight.size > 0 and weight.shape


def _form(x: Any, y: Any) -> tuple[Any, list[Any]]:
    """Return a key of the nesting, shapes and dtypes of inputs and targets (None if not all are NumPy arrays), and the arrays."""
    tree, leaves = flatten((x, y))
    if set(map(type, leaves)) != {np.ndarray}:
        return None, leaves
    return (get_backend(), get_isa(), tree, *[(a.shape, a.dtype) for a in leaves]), leaves


def structured_key(arrays: Arrays) -> Any:
    """Return a key that is equal for batches of several inputs or outputs with the same step."""
    return (
        get_backend(),
        get_isa(),
        arrays.inputs.kind,
        arrays.inputs.tree,
        *arrays.inputs.names,
        *((a.shape, a.dtype) for a in arrays),
    )


def as_returned(logs: Logs, return_dict: bool) -> Any:
    """Return logs in Keras's form: a float, a list or a dict."""
    return logs if return_dict else next(iter(logs.values())) if len(logs) == 1 else list(logs.values())
