"""compile, fit, evaluate and predict: what every Module has of Keras's way of training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..backends import current, get_backend, get_isa
from ..backends.base import Backend, aligned
from ..nn import parameter as parameters_py
from ..precision import checked, precision
from ..seeding import generator
from ..tensor import Array, Tensor, no_grad
from . import data
from . import metrics as metrics_py
from .callbacks import Callback, CallbackList
from .history import History
from .metrics import Metric
from .progress import Progress
from .step import Batches, TrainStep

if TYPE_CHECKING:
    from ..nn.frozen import Forward

Logs = dict[str, float]

MOST_BATCH_SHAPES = 16
"""Shapes of batches for which train_on_batch keeps a step."""
CHUNK = 1024
"""Samples that evaluate and predict take at a time where no batch_size is given: results do not depend on it."""
MOST_WORK = 1 << 22
"""Multiplications of a batch for which predict records the forward pass: with more, Python's part is small and memory large."""


class Compiled:
    """What `compile` was told, and what follows from it once the shapes are known."""

    def __init__(self, optimizer: Any, loss: Any, metrics: Sequence[Any], capture: bool, dtype: str) -> None:
        from .. import losses, optim

        self.optimizer = optim.get(optimizer)
        self.loss = losses.get(loss)
        self.given = {"optimizer": optimizer, "loss": loss, "metrics": list(metrics)}
        for m in metrics:  # unknown names are told here, not in fit
            metrics_py.check(m)
        self.metrics: list[Metric] | None = None
        self.loss_total = np.zeros(2)
        self.owns_optimizer = not self.optimizer.params
        self.capture = capture
        checked(dtype, "compile")
        self.dtype = dtype
        self.probed: tuple[Any, tuple[int, ...]] = (None, ())  # what _probe found, and for which samples
        self.batch_steps: dict[Any, TrainStep] = {}
        self.batch_structure = -1  # the version of the structure that they were made for

    def reset(self) -> None:
        """Starts the running means anew."""
        self.loss_total[:] = 0
        for m in self.metrics or ():
            m.reset_state()

    def logs(self) -> Logs:
        """The running means."""
        total, count = self.loss_total.tolist()
        return {"loss": total / count if count else 0.0, **{m.name: m.result() for m in self.metrics or ()}}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "batch_steps": {}, "probed": (None, ())}


class Trainer:
    """The training half of `fastnn.nn.Module`."""

    stop_training: bool
    _compiled: Compiled | None
    _predicted: tuple[Any, Forward | Literal[False] | None] = (None, None)
    """The kind of batch that predict had last, and the forward pass recorded for it; False if none is to be."""

    def _init_trainer(self) -> None:
        object.__setattr__(self, "_compiled", None)
        object.__setattr__(self, "stop_training", False)

    def _trainer_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state without what cannot be copied."""
        return {k: v for k, v in state.items() if k not in ("history", "_predicted")}

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        capture: bool = False,
        dtype: str = "float32",
    ) -> None:
        """Says how to train.

        Args:
            optimizer: a Keras name ("adam", "sgd", "adamw") or an object of `fastnn.optim`.
            loss: a Keras name, an object of `fastnn.losses` or `fastnn.nn`, or a function of y_true and y_pred.
            metrics: names ("accuracy", "mse", "mae"), objects of `fastnn.metrics`, or functions of y_true and y_pred; sample and
                class weights do not count in them.
            capture: whether a hand-written forward may be recorded and replayed; models of fastnn's layers are in any case.
            dtype: "float32" rounds nothing. "bfloat16" rounds the factors of matrix products in training steps to it, as
                `fastnn.autocast` does, on CPUs that multiply it: large layers then train faster (docs/performance.md),
                small ones no faster. Weights stay as they are; evaluation and prediction are not rounded, and a saved model
                does not keep it.

        Raises:
            ValueError: a name is not known; the message lists those that are.
            RuntimeError: the backend or the CPU has no products of bfloat16; the message says why.
        """
        if loss is None:
            raise ValueError("compile: no loss is given")
        if isinstance(metrics, str) or (metrics is not None and not isinstance(metrics, Sequence)):
            metrics = [metrics]
        self._compiled = Compiled(optimizer, loss, metrics or (), capture, dtype)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that fit and evaluate compute; known once the shapes are."""
        return (self._compiled.metrics or []) if self._compiled else []

    @property
    def optimizer(self) -> Any:
        """The optimizer that compile was given."""
        return self._need("optimizer").optimizer

    def _need(self, op: str) -> Compiled:
        if self._compiled is None:
            raise RuntimeError(f"{op}: the model is not compiled yet; call compile(optimizer=..., loss=...) first")
        return self._compiled

    # ---- data at the door ----

    def _prepare(
        self, op: str, x: Any, y: Any, sample_weight: Any, class_weight: Any = None, names: tuple[str, str] = ("x", "y")
    ) -> tuple[Array, Array, Array]:
        """x, y and weights as arrays of the right dtypes, checked against each other and against the model's output."""
        c = self._need(op)
        model: Any = self
        if y is None:
            raise ValueError(f"{op}: {names[1]} is missing")
        current().value_leaves(op)  # its steps are recordings of their own
        dtype = model.dtype
        features = data.as_features(x, dtype, op, names[0])
        shape = self._probe(features)
        kind, given = c.loss.targets, _shape(y)
        if kind == "labels" and len(given) > 1 and given[1:] == shape[1:] and shape[-1] > 1:
            if not c.loss.takes_probabilities:
                raise ValueError(
                    f"{op}: {names[1]} has rows of {shape[-1]} values, wanted labels; for one-hot rows: categorical_crossentropy"
                )
            kind = "values"
        if kind == "any":  # a function's: whole numbers stay what they are
            whole = np.asarray(y).dtype.kind in "iub"
            targets = data.as_features(y, np.int64 if whole else dtype, op, names[1])
        else:
            targets = data.as_targets(y, kind, dtype, op, names[1], column=len(shape) > 1)
        weight = data.as_sample_weight(sample_weight, len(features), dtype, op)
        data.check_same_length(op, **{names[0]: features, names[1]: targets, "sample_weight": weight})
        if kind == "labels":
            data.check_labels(targets, shape[-1], op, c.loss.ignored, names[1])
        elif kind == "values" and targets.shape[1:] != shape[1:]:
            raise ValueError(
                f"{op}: {names[1]} has shape {targets.shape}, but the model's output has {(len(features), *shape[1:])}"
            )
        if class_weight is not None:
            weight = data.class_weight_to_sample_weight(class_weight, targets, weight, op)
        if c.metrics is None:
            if kind == "any":
                kind = "labels" if targets.ndim == 1 and targets.dtype == np.int64 else "values"
            c.metrics = [metrics_py.get(m, kind, int(shape[-1]) if len(shape) > 1 else 1) for m in c.given["metrics"]]
        k = current()
        return k.asarray(features), k.asarray(targets), k.asarray(weight)

    def _probe(self, features: Array) -> tuple[int, ...]:
        """The shape of the output for one sample; gives the layers their shapes if they have none."""
        model: Any = self
        c = self._need("fit")
        key = (features.shape[1:], features.dtype, parameters_py.structure_version)
        if c.probed[0] != key:
            with no_grad():
                y = model(Tensor(current().asarray(features[:1])), training=False)
            if not isinstance(y, Tensor):
                raise TypeError(f"{type(self).__name__}: forward returned a {type(y).__name__}, wanted a Tensor")
            # The first call may have given the layers their shapes: the version is that after it.
            c.probed = ((*key[:2], parameters_py.structure_version), y.shape)
        return c.probed[1]

    def _train_step(
        self, buffers: list[Array], fetch: Callable[[list[Array]], None] | None, check_finite: bool = False
    ) -> TrainStep:
        c = self._need("fit")
        model: Any = self
        if c.owns_optimizer:
            c.optimizer.add(model.parameters())
        elif set(c.optimizer.params).isdisjoint(model.weights):
            raise ValueError("fit: the optimizer holds parameters of another model; each model needs an optimizer of its own")
        record = c.capture or (self._ours() and c.loss.recordable)
        return TrainStep(self, c.loss, c.optimizer, c.metrics or [], c.loss_total, buffers, fetch, record, check_finite, c.dtype)

    def _ours(self) -> bool:
        """Whether all layers are fastnn's own, which do the same work in each call."""
        model: Any = self
        return all(
            code.partition(".")[0] == __name__.partition(".")[0]
            for m in model.modules()
            for code in (type(m).__module__, m.forward.__module__)
        )

    # ---- the loop ----

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        check_finite: bool = False,
    ) -> History:
        """Trains for a number of epochs.

        Args:
            x, y: samples and targets, as arrays, lists or frames; cast to the model's dtype, labels to int64.
            batch_size: samples in a step; 32 if not given.
            epochs: the number of the last epoch.
            verbose: 0 nothing, 1 a bar, 2 a line an epoch; "auto" is a bar on a terminal and nothing elsewhere.
            callbacks: objects of `fastnn.callbacks`.
            validation_split: the share of the samples, taken from the end before shuffling, that is kept for validation.
            validation_data: (x, y) or (x, y, sample_weight).
            shuffle: whether each epoch has a new order.
            class_weight: a weight for each label, as a dict.
            sample_weight: a weight for each sample.
            initial_epoch: the number of the first epoch.
            validation_batch_size: samples that validation takes at a time.
            check_finite: looks at every layer's output and gradients in every step, before the weights change; slow.

        Returns:
            The losses and metrics of each epoch; `history.history["loss"]` is a list.

        Raises:
            FloatingPointError: with check_finite, an output or gradient is NaN or infinite; the message names the layer.
        """
        from ..nn.dense import positive_int

        c = self._need("fit")
        batch_size = positive_int(32 if batch_size is None else batch_size, "fit: batch_size")
        epochs = positive_int(epochs, "fit: epochs")
        arrays = self._prepare("fit", x, y, sample_weight, class_weight)
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
                raise ValueError("fit: validation_data is not (x, y) or (x, y, sample_weight)")
            vx, vy, *vw = validation_data
            validation = self._prepare("fit", vx, vy, vw[0] if vw else None, None, ("validation x", "validation y"))
        elif validation_split:
            split = data.validation_split(arrays, validation_split)
            arrays, validation = split[0], split[1]  # type: ignore[assignment]

        history = History()
        n = len(arrays[0])
        for m in c.metrics or ():
            m.reserve(n)
        steps = -(-n // batch_size)
        params = {"epochs": epochs, "steps": steps, "verbose": verbose}
        own = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        hooks = CallbackList([*own, history], self, params)
        progress = Progress(verbose, epochs, steps)
        batches = Batches(arrays)
        sizes = [(batch_size, n // batch_size), (n % batch_size, 1 if n % batch_size else 0)]
        trained = {rows: self._train_step(batches.buffers(rows), batches.gather, check_finite) for rows, count in sizes if count}
        self.stop_training = False
        hooks.on_train_begin()
        try:
            for epoch in range(initial_epoch, epochs):
                start = time.perf_counter()
                batches.start_epoch(generator() if shuffle else None)
                c.reset()
                hooks.on_epoch_begin(epoch)
                progress.epoch_begin(epoch)
                done = 0
                for rows, count in sizes:
                    if count and not self.stop_training:
                        self._run(trained[rows], count, done, hooks, progress)
                        done += count
                logs = c.logs()
                if validation is not None:
                    logs.update({f"val_{k}": v for k, v in self._evaluate(validation, validation_batch_size, hooks).items()})
                progress.epoch_end(epoch, logs, time.perf_counter() - start)
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            hooks.on_train_end(logs if epochs > initial_epoch else None)
        finally:
            progress.close()
        self.history = history
        return history

    def _run(self, step: TrainStep, count: int, before: int, hooks: CallbackList, progress: Progress) -> None:
        """The epoch's steps of one batch size."""
        c = self._need("fit")
        if not hooks.wants_batches:

            def between(done: int) -> bool:
                if progress.verbose == 1:
                    progress.update(before + done, c.logs())
                return True

            step.run_sliced(count, between)
            return
        for i in range(before, before + count):
            hooks.on_train_batch_begin(i)
            step.run()
            logs = c.logs()
            hooks.on_train_batch_end(i, logs)
            progress.update(i + 1, logs)
            if self.stop_training:
                return

    # ---- evaluation and prediction ----

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        callbacks: Sequence[Callback] | Callback | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics on data: a float, or a list with the metrics; a dict with return_dict."""
        arrays = self._prepare("evaluate", x, y, sample_weight)
        logs = self._evaluate(arrays, batch_size, CallbackList(callbacks, self, {}, "evaluate"))
        if verbose in (1, 2):
            print("  ".join(f"{name} {value:.4f}" for name, value in logs.items()))
        return _as_returned(logs, return_dict)

    def _evaluate(self, arrays: tuple[Array, Array, Array], batch_size: int | None, hooks: CallbackList) -> Logs:
        c = self._need("evaluate")
        loss_total = c.loss_total.copy()
        saved = [m.set_aside() for m in c.metrics or ()]
        c.reset()
        hooks.on_test_begin()
        for i, batch in enumerate(_chunks(arrays, batch_size)):
            hooks.on_test_batch_begin(i)
            self._test_batch(*batch)
            hooks.on_test_batch_end(i, c.logs() if hooks.callbacks else None)
        logs = c.logs()
        hooks.on_test_end(logs)
        c.loss_total[:] = loss_total
        for m, kept in zip(c.metrics or (), saved, strict=True):
            m.take_back(kept)
        return logs

    def _test_batch(self, x: Array, y: Array, weight: Array) -> None:
        c = self._need("evaluate")
        model: Any = self
        k: Backend = current()
        # The tape is kept while the loss is taken: a loss on probabilities looks for the logits that made them.
        y_pred = model(Tensor(x), training=False)
        loss = c.loss(y, y_pred, weight if weight.size else None)
        k.mean_metric(c.loss_total, loss.data.reshape(1), float(len(x)))
        for metric in c.metrics or ():
            metric.update(k, y_pred.data, y, k.empty(0, x.dtype))

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] | Callback | None = None,
    ) -> np.ndarray[Any, Any]:
        """The outputs for samples, in evaluation mode, as a NumPy array.

        Raises:
            RuntimeError: no shape is known yet, so there are no weights.
        """
        model: Any = self
        plain = type(x) is np.ndarray and batch_size is None and callbacks is None
        if plain:
            name = get_backend()
            isa = get_isa() if name == "cpp" else ""
            key = (name, isa, precision(), x.shape, x.dtype, parameters_py.structure_version)
            before, forward = self._predicted
            if before == key and forward and forward.fits():
                current().value_leaves("predict")
                return forward.run(x)  # type: ignore[no-any-return]
        if not model.built:
            raise RuntimeError(
                "predict: the model has no weights yet, because no shape is known; "
                "give the first layer input_shape, or fit it first"
            )
        k: Backend = current()
        k.value_leaves("predict")
        features = k.asarray(data.as_features(x, model.dtype, "predict"))
        hooks = CallbackList(callbacks, self, {}, "predict")
        hooks.on_predict_begin()
        parts = []
        with no_grad():
            for i, (batch,) in enumerate(_chunks((features,), batch_size)):
                hooks.on_predict_batch_begin(i)
                out = k.to_numpy(model(Tensor(batch), training=False).data)
                parts.append(out.copy() if np.may_share_memory(out, batch) else out)
                hooks.on_predict_batch_end(i, {"outputs": parts[-1]} if hooks.callbacks else None)
        hooks.on_predict_end()
        if plain and len(parts) == 1 and x is features and isinstance(k, Backend):
            self._remember(key, x.shape)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _remember(self, key: Any, shape: tuple[int, ...]) -> None:
        """Records the forward pass once a second batch of one kind comes, if it is small and all layers are fastnn's."""
        from ..nn.frozen import Forward

        model: Any = self
        before, forward = self._predicted
        if before != key or (forward and not forward.fits()):
            forward = None
        elif forward is None:
            small = shape[0] * sum(p.size for p in model.weights) <= MOST_WORK
            forward = Forward(model, shape) if small and self._ours() else False
        object.__setattr__(self, "_predicted", (key, forward))

    def profile(self, x: Any, y: Any, batch_size: int | None = None, print_fn: Callable[[Any], Any] | None = print) -> Any:
        """Times every kernel of a training step on these data, and prints the table and what holds the step back.

        Args:
            x, y: one batch, as for fit. The model is not changed.
            batch_size: takes only so many samples.
            print_fn: what prints; None for nothing.

        Returns:
            The `Profile`: its rows, the time of a step replayed and run by Python, and the peaks that were measured.
        """
        from .profile import profile

        result = profile(self, x, y, batch_size)
        if print_fn is not None:
            print_fn(result)
        return result

    # ---- single batches ----

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step on a batch; returns the batch's loss before it, with metrics as a list, or a dict with return_dict."""
        c = self._need("train_on_batch")
        arrays: Sequence[Array] = (x, y)
        step = self._known_batch_step(x, y) if sample_weight is None and class_weight is None else None
        if step is None:
            arrays = self._prepare("train_on_batch", x, y, sample_weight, class_weight)
            key = _batch_key(*arrays)
            if c.batch_structure != parameters_py.structure_version:
                c.batch_steps.clear()
            step = c.batch_steps.get(key)
        if step is None:
            if len(c.batch_steps) >= MOST_BATCH_SHAPES:
                c.batch_steps.clear()
            k: Backend = current()
            step = c.batch_steps[key] = self._train_step([aligned(k.xp, a.shape, a.dtype) for a in arrays], None)
            c.batch_structure = parameters_py.structure_version
        for buffer, a in zip(step.buffers, arrays, strict=False):
            buffer[...] = a
        c.reset()
        step.run()
        return _as_returned(c.logs(), return_dict)

    def _known_batch_step(self, x: Any, y: Any) -> TrainStep | None:
        """The step for these arrays if `_prepare` would leave them as they are, which shapes and dtypes tell; else None."""
        c = self._need("train_on_batch")
        if type(x) is not np.ndarray or type(y) is not np.ndarray:
            return None
        version = parameters_py.structure_version
        if c.batch_structure != version or c.probed[0] != (x.shape[1:], x.dtype, version):
            return None
        step = c.batch_steps.get(_batch_key(x, y))
        if step is not None:
            current().value_leaves("train_on_batch")
            if c.loss.targets == "labels" and y.dtype == np.int64:
                data.check_labels(y, c.probed[1][-1], "train_on_batch", c.loss.ignored)
        return step

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of a batch, as `evaluate` returns them."""
        arrays = self._prepare("test_on_batch", x, y, sample_weight)
        return _as_returned(self._evaluate(arrays, len(arrays[0]), CallbackList(None, self)), return_dict)

    def predict_on_batch(self, x: Any) -> np.ndarray[Any, Any]:
        """The outputs for a batch, in evaluation mode, as a NumPy array."""
        return self.predict(x, None if isinstance(x, np.ndarray) and x.ndim and len(x) <= CHUNK else sys.maxsize)


def _shape(y: Any) -> tuple[int, ...]:
    """The shape of targets as they came; () for ragged lists, which are told of later."""
    try:
        return tuple(y.shape) if hasattr(y, "shape") else np.shape(y)
    except ValueError:
        return ()


def _batch_key(x: Array, y: Array, weight: Array | None = None) -> Any:
    """What batches have in common that take the same step."""
    return get_backend(), get_isa(), x.shape, x.dtype, y.shape, y.dtype, weight is not None and weight.size > 0


def _chunks(arrays: tuple[Array, ...], batch_size: int | None) -> Any:
    from ..nn.dense import positive_int

    size = CHUNK if batch_size is None else positive_int(batch_size, "batch_size")
    for i in range(0, len(arrays[0]), size):
        yield tuple(a[i : i + size] if a.size else a for a in arrays)


def _as_returned(logs: Logs, return_dict: bool) -> Any:
    return logs if return_dict else logs["loss"] if len(logs) == 1 else list(logs.values())
