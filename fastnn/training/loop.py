"""compile and fit: what every Module has of Keras's way of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

from ..autograd.tensor import Array
from ..backends import current
from ..core.structure import ONE, Arrays, Structure, chunk_size
from ..nn import of_training
from ..nn import parameter as parameters_py
from ..ops.checks import positive_int
from . import sanity
from .callbacks.base import Callback, CallbackList
from .callbacks.history import History
from .callbacks.progress import Progress, shown
from .compiled import Compiled, Logs
from .data import arrays as data
from .data.batches import Batches, Validation, chunked, epochs_of, validation_of
from .data.feed import PLAIN, Rows, find
from .data.large import by_batch
from .data.order import Order, Place
from .data.source import InMemory, Source
from .data.stream import Stream
from .evaluation import Evaluator
from .metrics import Metric
from .own_step import OwnLogs, OwnStep
from .step import UNASKED, TrainStep, own_parts


class Trainer(Evaluator):
    """The training half of `fastnn.nn.Module`."""

    stop_training: bool
    _compiled: Compiled | None

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        capture: bool | None = None,
        dtype: str = "float32",
        loss_weights: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        """Says how to train, and puts the model into evaluation mode: called by hand, a compiled model infers, as in Keras.

        `fit` and `train_on_batch` train in any case; `model.train()` or `model(x, training=True)` asks for training mode.

        For a model with several outputs, loss, metrics, weighted_metrics and loss_weights are lists with an entry for each, or
        dicts by the names of the outputs: those of a functional model's layers, the keys of a dict that forward returns, else
        output_1, output_2 and so on. One loss stands for all outputs; None is that of an output that is not trained.

        Args:
            optimizer: a Keras name ("adam", "sgd", "adamw", ...) or an object of `fastnn.optim`; one that was given groups of
                parameters has settings of their own for them.
            loss: a Keras name, an object of `fastnn.losses` or `fastnn.nn`, or a function of y_true and y_pred; may be left out
                where a train_step of the model's own computes it.
            metrics: names ("accuracy", "mse", "mae"), objects of `fastnn.metrics`, or functions of y_true and y_pred; sample and
                class weights do not count in them.
            weighted_metrics: the same, in which sample and class weights count; "weighted_accuracy" in the logs where metrics
                have an "accuracy", too.
            capture: whether fit may record steps with code of your own (layers, losses, rules, optimizers) and replay them. None
                does it where steps that are watched show nothing that a replay would leave out, and says once why not
                elsewhere. True does it without looking anew after callbacks and validation, in train_on_batch too. False
                never does it. Steps of fastnn's parts alone are recorded in any case.
            dtype: "float32" rounds nothing. "bfloat16" and "tf32" round the factors of matrix products in training steps to it,
                as `fastnn.autocast` does, on CPUs and GPUs that multiply it: large layers then train faster
                (docs/performance.md), small ones no faster. Weights stay as they are; evaluation and prediction are not
                rounded.

            loss_weights: the factors of the outputs' losses in their sum; 1 where left out.

        Raises:
            ValueError: a name is not known; the message lists those that are.
            RuntimeError: the backend, the CPU or the GPU has no products of the dtype; the message says why.
        """
        steps = self._overrides("train_step", "test_step", "compute_loss", "compute_metrics")
        if loss is None and not steps:
            raise ValueError("compile: no loss is given")
        given = [
            [m] if isinstance(m, str) or (m is not None and not isinstance(m, Sequence | Mapping)) else m or []
            for m in (metrics, weighted_metrics)
        ]
        before = self._compiled
        self._compiled = Compiled(optimizer, loss, given[0], loss_weights, capture, dtype, given[1])
        if steps:
            self._compiled.own = OwnLogs(self, self._compiled)
        if before is not None and before.optimizer is self._compiled.optimizer and before.owns_optimizer:
            model: Any = self
            own = (p for m in model.modules() for p in m._parameters.values() if p is not None)
            self._compiled.owns_optimizer |= not set(before.optimizer.params).isdisjoint(map(parameters_py.stored, own))
        self.eval()  # type: ignore[attr-defined]

    @property
    def metrics(self) -> list[Metric]:
        """Return the metrics that fit and evaluate compute; known once the shapes are.

        Models with steps of their own also have one of the loss, and those that are attributes of the model.
        """
        if self._compiled is None or self._compiled.own is None:
            return self._compiled.metrics if self._compiled else []
        attributes = [m for m in vars(self).values() if isinstance(m, Metric)]
        return [self._compiled.own.loss, *self._compiled.metrics, *attributes]

    @property
    def optimizer(self) -> Any:
        """Return the optimizer that compile was given."""
        return self._need("optimizer").optimizer

    def _train_step(
        self,
        buffers: list[Array],
        fetch: Callable[[list[Array]], None] | None,
        check_finite: bool = False,
        inputs: Structure = ONE,
        unsafe: str = "",
    ) -> TrainStep:
        """Make a step on buffers; unsafe says why Python may change between steps what code of the user's own depends on."""
        c = self._need("fit")
        model: Any = self
        if c.owns_optimizer:
            c.optimizer.add(model.parameters())
        elif set(c.optimizer.params).isdisjoint(model.weights) and c.own is None:
            raise ValueError("fit: the optimizer holds parameters of another model; each model needs an optimizer of its own")
        if c.own is not None and c.own.train:
            c.active = c.own
            return OwnStep(self, c, inputs, buffers, fetch, check_finite, True, UNASKED)
        own = own_parts(self, c)
        why = "" if c.capture or not own else unsafe if c.capture is None else UNASKED
        return TrainStep(self, c, inputs, buffers, fetch, check_finite, own, why)

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
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
        check_finite: bool = False,
        check_data: bool = True,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x, y: samples and targets, as arrays, lists or frames; cast to what the model takes, labels to int64. Several inputs
                or outputs are lists, tuples or dicts of them. Or x alone is an iterable of batches (x, y) or (x, y,
                sample_weight): a generator, a Sequence of Keras's, a DataLoader, or a Dataset of PyTorch's, whose samples are
                put together here.
            batch_size: samples in a step; 32 if not given, all of them with L-BFGS. Not for iterables of batches.
            epochs: the number of the last epoch.
            verbose: 0 nothing, 1 a bar, 2 a line an epoch; "auto" is a bar on a terminal and nothing elsewhere.
            callbacks: objects of `fastnn.callbacks`.
            validation_split: the share of the samples, taken from the end before shuffling, that is kept for validation.
            validation_data: (x, y) or (x, y, sample_weight), or an iterable of batches.
            shuffle: whether each epoch has a new order. It changes that of the batches of a Sequence, and nothing where an
                iterable has an order of its own.
            class_weight: a weight for each label, as a dict; validation does not take it.
            sample_weight: a weight for each sample (n,), or for each element of the loss, as (n, T); validation_split divides
                it, too; for several outputs also a list or dict of weights.
            initial_epoch: the number of the first epoch.
            steps_per_epoch: batches in an epoch, if they are not those of one pass over the data: the next epoch goes on where
                this one stopped, and data that come to their end begin again. A generator has one pass; training stops with a
                warning when it ends too soon.
            validation_steps: batches that validation takes, from the beginning of validation_data each time; a generator goes on.
            validation_batch_size: samples that validation takes at a time.
            validation_freq: validates after so many epochs each, or after the epochs of these numbers, counted from 1.
            check_data: looks at the data once, before the first step, or in the first epoch batch by batch: NaN or infinity is an
                error, except in targets of weight 0, and what trains to no purpose (labels 1 and 2 under a binary loss, ...)
                gives one warning.
            check_finite: looks at every layer's output and gradients in every step, before the weights change; slow.

        Returns:
            The losses and metrics of each epoch; `history.history["loss"]` is a list.

        Raises:
            ValueError: the data do not fit the model or each other, or hold NaN or infinity.
            FloatingPointError: with check_finite, an output or gradient is NaN or infinite; the message names the layer.
        """
        c = self._need("fit")
        if batch_size is not None:
            batch_size = positive_int(batch_size, "fit: batch_size")
        epochs = positive_int(epochs, "fit: epochs")
        initial_epoch = positive_int(initial_epoch, "fit: initial_epoch") if initial_epoch else 0
        if steps_per_epoch is not None:
            steps_per_epoch = positive_int(steps_per_epoch, "fit: steps_per_epoch")
        validates = epochs_of(validation_freq)
        verbose = shown(verbose, "fit")
        together = {"y": y, "sample_weight": sample_weight, "validation_split": validation_split or None}
        feed = find(x, "fit", "x", batch_size, together)
        validation: Batches | None = None
        if feed is None and (large := by_batch(self, "fit", x, y, sample_weight, batch_size)) is not None:
            feed = large
            if validation_split and validation_data is None:
                feed, held_back = large.split(validation_split, chunk_size(validation_batch_size, "fit: validation_batch_size"))
                validation = Validation(self, held_back, validation_steps, check_data)
        arrays = None if feed is not None else self._prepare("fit", x, y, sample_weight)
        if check_data and arrays is not None:
            sanity.check(self, c, arrays.inputs, arrays, (x, y), ("x", "y"))
        if validation_data is not None:
            wanted = map(validates, range(initial_epoch, epochs))
            validation = validation_of(self, validation_data, validation_batch_size, validation_steps, check_data, wanted)
        elif validation_split and arrays is not None:
            split = data.validation_split(arrays, validation_split)
            arrays, rest = (Arrays(part, arrays.inputs) for part in split)
            validation = chunked(rest.on(current()), "fit", "validation_batch_size", validation_batch_size, validation_steps)

        history = History()
        hooks = CallbackList(callbacks, self, {"epochs": epochs, "steps": None, "verbose": verbose})
        hooks.add(history)
        resumed = c.resumed if c.resumed is not None and c.resumed.holds else None
        order = Order(shuffle, None if resumed is None else resumed.stream)

        def make(buffers: list[Array], fetch: Any, inputs: Structure, unsafe: str) -> TrainStep:
            return self._train_step(buffers, fetch, check_finite, inputs, hooks.changes_batches() or unsafe)

        source: Source
        if feed is not None:
            if batch_size is None and c.optimizer.takes_closure and isinstance(feed, Rows):
                feed.batch_size = feed.n

            def prepare(i: int, x: Any, y: Any, weight: Any) -> Arrays:
                op = f"fit: batch {i} of x"
                prepared = self._prepare(op, x, y, weight)
                if check_data and place.epoch == initial_epoch:
                    sanity.check(self, c, prepared.inputs, prepared, (x, y), ("x", "y"), op)
                return self._class_weighted(op, prepared, class_weight)

            source = Stream(feed, steps_per_epoch, order, prepare, make, c.reserve)
        else:
            assert arrays is not None
            arrays = self._class_weighted("fit", arrays, class_weight).on(current())  # validation knows no weights of classes
            n = len(arrays[0])
            if batch_size is None:
                batch_size = max(n, 1) if c.optimizer.takes_closure else PLAIN
            c.reserve(n if steps_per_epoch is None else steps_per_epoch * batch_size)
            source = InMemory(arrays, batch_size, steps_per_epoch, order, make)
        hooks.params["steps"] = source.steps
        done = 0 if resumed is None else resumed.go_on(source, initial_epoch)  # steps of the first epoch, before it was saved
        c.place = place = Place(source, order, initial_epoch, done)
        progress = Progress(verbose, epochs, source.steps)
        try:
            self._epochs(source, place, epochs, validation, validates, hooks, progress)
        finally:
            c.place = place.config()
            source.close()
            if isinstance(validation, Validation):
                validation.close()
            progress.close()
        self.history = history
        return history

    def _epochs(
        self,
        source: Source,
        place: Place,
        epochs: int,
        validation: Batches | None,
        validates: Callable[[int], bool],
        hooks: CallbackList,
        progress: Progress,
    ) -> None:
        """Train from the place on to the end of the last epoch, or until something stops it."""
        c = self._need("fit")
        alone = validation is None and not hooks.runs_users_code()
        logs: Logs | None = None
        self.stop_training = False
        hooks.on_train_begin()
        for epoch in range(place.epoch, epochs):
            start = time.perf_counter()
            if logs is not None:
                place.epoch, place.steps = epoch, 0
            runs = source.epoch(epochs - epoch, alone)
            c.reset()
            hooks.on_epoch_begin(epoch)
            progress.epoch_begin(epoch)
            for step, count in runs:
                self._run(step, count, place, hooks, progress)
                if self.stop_training:
                    break
            if source.ended(place, epochs):
                self.stop_training = True
                if not place.steps:
                    break
            hooks.params["steps"] = source.steps
            logs = c.logs()
            if validation is not None and validates(epoch):
                with closing(validation()) as batches:
                    logs.update({f"val_{k}": v for k, v in self._evaluate(batches, hooks).items()})
            progress.epoch_end(epoch, logs, time.perf_counter() - start, place.steps)
            hooks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        c.optimizer.finalize()
        hooks.on_train_end(logs)

    def _run(self, step: TrainStep, count: int, place: Place, hooks: CallbackList, progress: Progress) -> None:
        """Run a step so many times; before and after it the weights are those to be evaluated."""
        c = self._need("fit")
        before = place.steps
        if not hooks.wants_batches:

            def between(done: int) -> bool:
                place.steps = before + done
                if progress.verbose == 1:
                    progress.update(place.steps, c.logs())
                return True

            step.run_sliced(count, between)
            return
        for i in range(before, before + count):
            hooks.on_train_batch_begin(i)
            step.run()
            place.steps = i + 1
            logs = c.logs()
            hooks.on_train_batch_end(i, logs)
            progress.update(i + 1, logs)
            if self.stop_training:
                return

    def profile(self, x: Any, y: Any, batch_size: int | None = None, print_fn: Callable[[Any], Any] | None = print) -> Any:
        """Time every kernel of a training step on these data, and print the table and what limits the step.

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


# Training stands above layers: it gives Module its methods, so that no layer imports it.
_of_module: Any = vars(of_training)["Trainer"]
_given = {name: value for c in reversed(Trainer.__mro__[:-1]) for name, value in vars(c).items() if not name.startswith("__")}
for _name in sorted(_given, key=lambda name: not name.startswith("_")):  # what another thread may call comes last
    setattr(_of_module, _name, _given[_name])
