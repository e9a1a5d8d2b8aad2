"""evaluate and predict: methods of every Module, as in Keras."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..autograd.tensor import Array, Tensor, no_grad
from ..backends import current, get_backend, get_isa
from ..backends.base import Backend
from ..core.keywords import naming_method
from ..core.precision import precision
from ..core.structure import Arrays, Structure, chunk_size, kinds, own_code, stacked
from ..nn.mode import sampling, unsaid
from ..ops.checks import positive_int
from .batch import as_returned
from .callbacks.base import Callback, CallbackList
from .callbacks.lines import numbers
from .callbacks.progress import shown, watched
from .compiled import Logs
from .data import arrays as data
from .data.batches import chunked, of_all_ranks, ranks_of, to_evaluate, to_predict
from .data.feed import gives_batches
from .metrics import Metric
from .own_step import Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..replay.forward_pass import Forward

MOST_WORK = 1 << 22
"""Maximal number of multiplications in a batch for which predict records the forward pass. Beyond it, Python's share of the time
is small and the memory of a recording is large."""


class Evaluator(Steps):
    """Methods of a model for evaluation and prediction."""

    _predicted: tuple[Any, Forward | Literal[False] | None] = (None, None)
    """Kind of the last batch of predict, and the forward pass that was recorded for it; False if it must not be recorded."""

    @property
    def metrics(self) -> list[Metric]:
        """Return the metrics that fit and evaluate compute. They are known after the shapes are known.

        Models with custom steps also have a metric of the loss, and the metrics that are attributes of the model.
        """
        if self._compiled is None or self._compiled.own is None:
            return self._compiled.metrics if self._compiled else []
        attributes = [m for m in vars(self).values() if isinstance(m, Metric)]
        return [self._compiled.own.loss, *self._compiled.metrics, *attributes]

    @property
    def metrics_names(self) -> list[str]:
        """Return the names of the results of evaluate: "loss", and those of the metrics after the first batch."""
        return ["loss"] if self._compiled is None or not self._compiled.objectives else list(self._compiled.running())

    def reset_metrics(self) -> None:
        """Set the losses and metrics of train_on_batch and test_on_batch to their start."""
        self._need("reset_metrics").reset()

    @property
    def optimizer(self) -> Any:
        """Return the optimizer that was passed to compile."""
        return self._need("optimizer").optimizer

    @naming_method
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute the loss and metrics on data. Return a float, or a list with the metrics, or a dict with return_dict.

        If several ranks train the model, all of them have to call this. Each takes its part of the rows.

        Args:
            x, y, sample_weight: as for fit.
            batch_size: number of samples to process at a time; results do not depend on it.
            verbose: 1 and 2 print a line, 0 prints nothing. "auto" is 1 on a terminal and in a notebook, and 2 elsewhere. With 1,
                a bar shows the batches that are done if they take longer than a second.
            steps: maximal number of batches. Batches of arrays then have 32 samples by default.
            callbacks: objects of `fastnn.callbacks`. Of several ranks, each gets the logs of its own rows after a batch, and
                those of all rows at the end.
            return_dict: whether to return a dict by the names in the logs.

        Raises:
            ValueError: the data do not fit the model or each other.
        """
        verbose = shown(verbose, "evaluate") if self._need("evaluate").writes else 0
        batches = to_evaluate(self, (x, y, sample_weight), batch_size, steps)
        with closing(batches()) as parts:
            logs = self._evaluate(watched(parts, verbose, "evaluate"), CallbackList(callbacks, self, {}, "evaluate"))
        if verbose:
            print(numbers(logs), flush=True)
        return as_returned(logs, return_dict)

    def _evaluate(self, batches: Iterable[Arrays], hooks: CallbackList) -> Logs:
        c = self._need("evaluate")
        k: Backend = current()
        with c.set_aside():
            hooks.on_test_begin()
            i = -1
            for i, batch in enumerate(batches):
                hooks.on_test_batch_begin(i)
                self._test_batch([k.asarray(a) for a in batch], batch.inputs)
                hooks.on_test_batch_end(i, c.own_logs() if hooks.callbacks else None)
            logs = c.logs() if c.on_any_rank(i >= 0) else {}
            hooks.on_test_end(logs)
        return logs

    @naming_method
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Sequence[Callback] | Callback | None = None,
        mc: int | None = None,
    ) -> NDArray[Any] | Any:
        """Compute the outputs for samples, in evaluation mode.

        If several ranks train the model, all of them have to call this. Each takes its part of the rows, and all return the
        outputs of all rows. For samples that differ by rank (batches, or ``data="sharded"``), these are in the order of ranks.

        Args:
            x: the samples, in rows; or batches as for fit, whose y and weights are ignored.
            batch_size: number of samples to process at a time; results do not depend on it.
            steps: maximal number of batches. Batches of arrays then have 32 samples by default.
            verbose: with 1, and with "auto" on a terminal and in a notebook, a bar shows the batches that are done if they take
                longer than a second. 0 and 2 show nothing.
            callbacks: objects of `fastnn.callbacks`.
            mc: number of passes with dropout and noise as in training; the result has shape (mc, ...). The mean over the passes
                is the prediction, the deviation shows its uncertainty (Gal and Ghahramani, arXiv 1506.02142).

        Returns:
            A NumPy array; for several outputs a list, tuple or dict of arrays, as the model returns them.

        Raises:
            RuntimeError: the input shape is unknown, so there are no weights yet.
            ValueError: x does not fit the model, or an output does not have one row for each sample.
        """
        model: Any = self
        if mc is not None:
            with unsaid(), sampling():  # in chunks, to avoid the recorded forward pass, which has no random layers
                passes = positive_int(mc, "predict: mc")
                if hasattr(x, "__next__"):
                    raise ValueError(f"predict: x is a {type(x).__name__}, which has one pass; mc wants {passes}")
                size = batch_size if gives_batches(x) or steps is not None else chunk_size(batch_size, "predict: batch_size")
                return stacked([self.predict(x, size, 0, steps, callbacks) for _ in range(passes)])
        comm = ranks_of(self)
        kind = kinds(x) if batch_size is None and callbacks is None and steps is None and comm is None else None
        plain = kind is not None
        if plain:
            name = get_backend()
            isa = get_isa() if name == "cpp" else ""
            key = (name, isa, precision(), kind, model._version)
            before, forward = self._predicted
            if before == key and forward and forward.fits():
                current().host_reads("predict")
                return forward.run(x)
        if not model.built:
            raise RuntimeError(
                "predict: the model has no weights yet, because the input shape is unknown; "
                "give the first layer input_shape, or fit it first"
            )
        k: Backend = current()
        k.host_reads("predict")
        features: Sequence[Array] = ()
        batches, divided = to_predict(self, x, batch_size, steps)
        if batches is None:
            inputs, features = self._inputs("predict", x, "x")
            given = dict(zip(inputs.names, features, strict=True))
            data.check_same_length("predict", **(given if len(given) > 1 else {"x": features[0]}))
            batches = chunked(Arrays(map(k.asarray, features), inputs), "predict", "batch_size", batch_size, steps, comm)()
        hooks = CallbackList(callbacks, self, {}, "predict")
        hooks.on_predict_begin()
        parts, own = [], self._overrides("predict_step")
        with no_grad(), closing(batches):
            verbose = shown(verbose, "predict") if comm is None or comm.rank == 0 else 0
            for i, batch in enumerate(watched(batches, verbose, "predict")):
                hooks.on_predict_batch_begin(i)
                inputs = batch.inputs
                xs = [Tensor(a) for a in batch]
                if own:
                    structure, tensors = Structure.of(
                        self.predict_step(inputs.build(xs) if len(xs) == 1 else (inputs.build(xs),))
                    )
                else:
                    structure, tensors = Structure.of(inputs.call(model, xs, training=False))
                outs = [_as_array(k, t) for t in tensors]
                for out in outs:
                    if out.shape[:1] != batch[0].shape[:1]:
                        rows = len(batch[0])
                        raise ValueError(f"predict: an output has shape {out.shape} for {rows} samples, wanted a row for each")
                host = [a for a in batch if isinstance(a, np.ndarray)]
                parts.append([out.copy() if any(np.may_share_memory(out, a) for a in host) else out for out in outs])
                hooks.on_predict_batch_end(i, {"outputs": structure.build(parts[-1])} if hooks.callbacks else None)
        hooks.on_predict_end()
        whole = parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        if comm is not None:
            return of_all_ranks(comm, (structure, whole) if parts else None, divided)
        if features and plain and not own and len(parts) == 1 and isinstance(k, Backend):
            leaves = [x] if inputs.kind == "one" else inputs.spread(x, "predict", "x")
            if all(map(operator.is_, leaves, features)):  # if no array was cast or copied
                self._remember(key, inputs, features)
        return structure.build(whole)

    def _remember(self, key: Any, inputs: Structure, features: Sequence[Array]) -> None:
        """Record the forward pass at the second batch of a kind, if it is small and all layers belong to fastnn."""
        from ..replay.forward_pass import Forward

        model: Any = self
        before, forward = self._predicted
        if before != key or (forward and not forward.fits()):
            forward = None
        elif forward is None:
            small = len(features[0]) * sum(p.size for p in model.weights) <= MOST_WORK
            forward = (Forward.of(model, inputs, features) if small and self._ours() else None) or False
        object.__setattr__(self, "_predicted", (key, forward))

    def _ours(self) -> bool:
        """Return whether all layers belong to fastnn, so that they do the same work in each call."""
        model: Any = self
        return all(own_code(code) for m in model.modules() for code in (type(m).__module__, m.forward.__module__))


def _as_array(k: Backend, output: Any) -> Array:
    """Return an output of a model or of its predict_step as a NumPy array."""
    if isinstance(output, Tensor):
        output = output.data
    elif not isinstance(output, np.ndarray | k.xp.ndarray):
        raise TypeError(f"predict: an output is a {type(output).__name__}, wanted Tensors or arrays")
    array: Array = k.to_numpy(output)
    return array
