"""compile and fit: the training methods of every Module, as in Keras."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from ..autograd.tensor import Array
from ..backends import current
from ..core.keywords import naming_method
from ..core.structure import ONE, Arrays, Structure, chunk_size
from ..nn import of_training
from ..nn import parameter as parameters_py
from ..ops.checks import positive_int
from . import ranks, sanity
from .callbacks.backup import BackupAndRestore
from .callbacks.base import Callback, CallbackList
from .callbacks.history import History
from .callbacks.progress import Progress, ProgressBar, shown
from .compiled import Compiled, Logs
from .data import arrays as data
from .data.batches import Batches as Evaluated
from .data.batches import Validation, chunked, epochs_of, validation_of
from .data.feed import PLAIN, Rows, find
from .data.large import by_batch
from .data.order import Order, Place
from .data.source import Batches, InMemory, Source
from .data.stream import Stream
from .data.windows import gathered_windows
from .evaluation import Evaluator
from .own_step import OwnLogs, OwnStep
from .reports import Reporter
from .step import UNASKED, TrainStep, own_parts


class Trainer(Evaluator, Reporter):
    """Training methods of `fastnn.nn.Module`."""

    stop_training: bool
    _compiled: Compiled | None

    @naming_method
    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        metrics: Any = None,
        capture: bool | None = None,
        dtype: str = "float32",
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool | None = None,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        distribute: Any = None,
    ) -> None:
        """Set the optimizer, loss and metrics for training, and put the model into evaluation mode, as in Keras.

        `fit` and `train_on_batch` always use training mode. For other calls, use `model.train()` or `model(x, training=True)`.

        For a model with several outputs, loss, metrics, weighted_metrics and loss_weights are lists with an entry for each
        output, or dicts by the names of the outputs. These are the names of a functional model's output layers, or the keys of
        a dict that forward returns, or else output_1, output_2 and so on. A single loss applies to all outputs. An output with
        the loss None is not trained.

        Args:
            optimizer: a Keras name ("adam", "sgd", "adamw", ...) or an object of `fastnn.optim`. An optimizer that was made with
                groups of parameters has separate settings for each group.
            loss: a Keras name, an object of `fastnn.losses` or `fastnn.nn`, or a function of y_true and y_pred. It may be omitted
                if a custom train_step computes the loss, or layers call add_loss.
            metrics: names ("accuracy", "mse", "mae"), objects of `fastnn.metrics`, or functions of y_true and y_pred. They
                ignore sample and class weights.
            weighted_metrics: the same, but with sample and class weights. The logs contain "weighted_accuracy" if metrics
                include an "accuracy", too.
            capture: whether fit may record steps with user code (layers, losses, metrics, optimizers) and replay them. With
                None, steps are recorded if the watched steps have no effects that a replay would omit; otherwise one warning
                gives the reason. With True, steps are recorded without a new check after callbacks and validation, in
                train_on_batch too. With False, they are never recorded. Steps without user code are always recorded.
            dtype: "float32" rounds nothing. "bfloat16" and "tf32" round the factors of matrix products in training steps, like
                `fastnn.autocast`, on CPUs and GPUs that support it. Large layers then train faster (docs/performance.md), small
                layers do not. Weights keep their dtype. Evaluation and prediction are not rounded.
            loss_weights: factors of the outputs' losses in the total loss; 1 by default.
            distribute: result of `fastnn.distributed.init`, whose ranks then train the model together. All ranks have to call
                fit, evaluate and predict in the same order. They return the same values on all ranks, and rank 0 alone prints
                and writes files.
            run_eagerly: whether capture is False. Keras's steps_per_execution, jit_compile, auto_scale_loss have no effect.

        Raises:
            ValueError: a name is unknown; the message lists the known names.
            RuntimeError: the backend, the CPU or the GPU does not support the dtype; the message gives the reason.
        """
        steps = self._overrides("train_step", "test_step", "compute_loss", "compute_metrics")
        model: Any = self
        added = loss is None and any(m._adds_losses for m in model.modules())
        if loss is None and not steps and not added:
            raise ValueError("compile: no loss is given")
        given = [
            [m] if isinstance(m, str) or (m is not None and not isinstance(m, Sequence | Mapping)) else m or []
            for m in (metrics, weighted_metrics)
        ]
        if run_eagerly and capture:
            raise ValueError("compile: run_eagerly=True and capture=True came; wanted one of them")
        capture = False if run_eagerly else capture
        before = self._compiled
        self._compiled = Compiled(optimizer, loss, given[0], loss_weights, capture, dtype, given[1], distribute)
        self._compiled.added = added
        if steps:
            self._compiled.own = OwnLogs(self, self._compiled)
        if before is not None and before.optimizer is self._compiled.optimizer and before.owns_optimizer:
            own = (p for m in model.modules() for p in m._parameters.values() if p is not None)
            self._compiled.owns_optimizer |= not set(before.optimizer.params).isdisjoint(map(parameters_py.stored, own))
        self.eval()  # type: ignore[attr-defined]

    def _train_step(
        self,
        buffers: list[Array],
        fetch: Callable[[list[Array]], None] | None,
        check_finite: bool = False,
        inputs: Structure = ONE,
        unsafe: str = "",
    ) -> TrainStep:
        """Make a training step on buffers.

        unsafe: reason why Python may change values between steps that user code depends on; "" if it cannot.
        """
        c = self._need("fit")
        model: Any = self
        if c.owns_optimizer:
            c.optimizer.add(model.parameters())
        elif set(c.optimizer.params).isdisjoint(model.weights) and c.own is None:
            raise ValueError("fit: the optimizer has the parameters of another model; each model needs a separate optimizer")
        if c.own is not None and c.own.train:
            if c.distribute is not None:
                why = "the gradients of its own train_step or loss are not added up over ranks; compile without distribute"
                raise ValueError(f"fit: {why}, and call fastnn.distributed.average_gradients(optimizer) in train_step")
            c.active = c.own
            return OwnStep(self, c, inputs, buffers, fetch, check_finite, True, UNASKED)
        own = own_parts(self, c)
        why = "" if c.capture or not own else unsafe if c.capture is None else UNASKED
        return TrainStep(self, c, inputs, buffers, fetch, check_finite, own, why)

    # ---- the loop ----

    @naming_method
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
        resume: Any = None,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x, y: samples and targets, as arrays, lists or frames. They are cast to the dtype of the model, labels to int64.
                Several inputs or outputs are lists, tuples or dicts of them. Or x alone is an iterable of batches (x, y) or
                (x, y, sample_weight): a generator, a Keras Sequence or a DataLoader. It may also be a PyTorch Dataset, whose
                samples fit puts together. Data frames that the model later gets must have the columns of the first one, in
                the same order.
            batch_size: number of samples in a step; by default 32, or all samples with L-BFGS. Not for iterables of batches.
            epochs: number of the last epoch.
            verbose: 0 shows nothing, 1 a progress bar or, in a notebook, a table that is updated, 2 a line per epoch. "auto" is 1
                on a terminal and in a notebook, and 2 elsewhere.
            callbacks: objects of `fastnn.callbacks`.
            validation_split: fraction of the samples to use for validation, taken from the end before shuffling.
            validation_data: (x, y) or (x, y, sample_weight), or an iterable of batches.
            shuffle: whether each epoch has a new order. For a Sequence, the order of its batches changes. Iterables that define
                their order are not changed.
            class_weight: a dict of a weight for each label; not used in validation.
            sample_weight: a weight for each sample (n,), or for each element of the loss, such as (n, T). validation_split
                divides it, too. For several outputs, it may be a list or dict of weights.
            initial_epoch: number of the first epoch.
            steps_per_epoch: number of batches in an epoch, if it is not one pass over the data. The next epoch continues where
                this one stopped, and data that end start again. A generator has one pass; training stops with a warning if it
                ends too soon.
            validation_steps: number of batches for validation. Each validation starts at the beginning of validation_data, but a
                generator continues.
            validation_batch_size: number of samples that validation processes at a time.
            validation_freq: validate every validation_freq epochs, or after the epochs with these numbers, counted from 1.
            check_data: check the data once, before the first step or batch by batch in the first epoch. NaN or infinity is an
                error, except in targets of weight 0. Data on which training is useless (labels 1 and 2 with a binary loss, ...)
                give one warning.
            check_finite: check every layer's output and gradients in every step, before the weights change; slow.
            resume: a folder for backups after each epoch. If it has a backup, training continues from it, to the same bits as
                without a break. It is short for the callback `BackupAndRestore` with delete_checkpoint=False.

        Returns:
            The losses and metrics of each epoch; `history.history["loss"]` is a list.

        Raises:
            ValueError: the data do not fit the model or each other, or contain NaN or infinity.
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
        model: Any = self
        floats = model.dtype
        verbose = shown(verbose, "fit")
        together = {"y": y, "sample_weight": sample_weight, "validation_split": validation_split or None}
        feed = find(x, "fit", "x", batch_size, together)
        if feed is not None and (kept := feed.kept()) is not None:
            (x, y), feed = kept, None
        validation: Evaluated | None = None
        if feed is None and (large := by_batch(self, "fit", x, y, sample_weight, batch_size)) is not None:
            feed = large
            if validation_split and validation_data is None:
                feed, held_back = large.split(validation_split, chunk_size(validation_batch_size, "fit: validation_batch_size"))
                validation = Validation(self, held_back, validation_steps, check_data)
        if feed is not None and batch_size is None and c.optimizer.takes_closure and isinstance(feed, Rows):
            feed.batch_size = feed.n
        if feed is not None:
            feed.serve(self)
        deal = partial(ranks.deal, c.distribute)
        gathered = None if feed is None or class_weight is not None else gathered_windows(self, feed, check_data, deal)
        arrays = None if feed is not None else self._prepare("fit", x, y, sample_weight, bytes_stay=True)
        if check_data and arrays is not None:
            sanity.check(self, c, arrays.inputs, arrays, (x, y), ("x", "y"))
        if arrays is not None:
            self._remember_columns(x)
        if validation_data is not None:
            wanted = map(validates, range(initial_epoch, epochs))
            validation = validation_of(self, validation_data, validation_batch_size, validation_steps, check_data, wanted)
        elif validation_split and arrays is not None:
            split = data.validation_split(arrays, validation_split)
            arrays, rest = (Arrays(part, arrays.inputs) for part in split)
            rest = Arrays((data.as_floats(a, floats) for a in rest), rest.inputs)
            validation = chunked(
                rest.on(current()), "fit", "validation_batch_size", validation_batch_size, validation_steps, c.distribute
            )

        history = History()
        hooks = CallbackList(callbacks, self, {"epochs": epochs, "steps": None, "verbose": verbose})
        hooks.add(history)
        if resume is not None:
            hooks.add(BackupAndRestore(resume, delete_checkpoint=False))
        resumed = c.resumed if c.resumed is not None and c.resumed.holds else None
        common = c.distribute is not None and c.distribute.data == "all" and (feed is None or isinstance(feed, Rows))
        order = Order(shuffle, None if resumed is None else resumed.stream, c.distribute if common else None)

        def make(buffers: list[Array], fetch: Any, inputs: Structure, unsafe: str) -> TrainStep:
            return self._train_step(buffers, fetch, check_finite, inputs, hooks.changes_batches() or unsafe)

        source: Source
        if gathered is not None:
            windows, inputs, batch_size = gathered
            c.reserve(windows.n if steps_per_epoch is None else steps_per_epoch * batch_size)
            source = InMemory(windows, inputs, batch_size, steps_per_epoch, order, make)
        elif feed is not None:

            def prepare(i: int, x: Any, y: Any, weight: Any) -> Arrays:
                op = f"fit: batch {i} of x"
                prepared = self._prepare(op, x, y, weight)
                if check_data and place.epoch == initial_epoch:
                    sanity.check(self, c, prepared.inputs, prepared, (x, y), ("x", "y"), op)
                return self._class_weighted(op, prepared, class_weight)

            source = Stream(feed, steps_per_epoch, order, prepare, make, c.reserve, c.distribute)
        else:
            assert arrays is not None
            arrays = self._class_weighted("fit", arrays, class_weight).on(current())  # validation does not use class weights
            n = len(arrays[0])
            if batch_size is None:
                batch_size = max(n, 1) if c.optimizer.takes_closure else PLAIN
            c.reserve(n if steps_per_epoch is None else steps_per_epoch * batch_size)
            source = InMemory(
                Batches(arrays, floats, deal=deal(n, batch_size)), arrays.inputs, batch_size, steps_per_epoch, order, make
            )
        hooks.params["steps"] = source.steps
        done = (
            0 if resumed is None else resumed.go_on(source, initial_epoch)
        )  # steps of the first epoch that were done before saving
        c.place = place = Place(source, order, initial_epoch, done)
        bar = any(isinstance(callback, ProgressBar) for callback in hooks.callbacks)
        progress = Progress((1 if bar else verbose) if c.writes else 0, epochs, source.steps)
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
        validation: Evaluated | None,
        validates: Callable[[int], bool],
        hooks: CallbackList,
        progress: Progress,
    ) -> None:
        """Train from this place to the end of the last epoch, or until a callback or the data stop training."""
        c = self._need("fit")
        alone = validation is None and not hooks.runs_users_code()
        self.stop_training, first = False, True
        hooks.on_train_begin()  # where a backup continues
        if c.distribute is not None:
            ranks.begin(self, c.distribute)
        logs: Logs | None = place.logs
        for epoch in () if self.stop_training and logs is not None else range(place.epoch, epochs):
            start = time.perf_counter()
            if not first:
                place.epoch, place.steps = epoch, 0
            first = False
            if c.distribute is not None:
                ranks.salt(self, c.distribute)
            runs = source.epoch(epochs - epoch, alone)
            c.reset()
            hooks.on_epoch_begin(epoch)
            progress.epoch_begin(epoch)
            each = c.on_any_rank(hooks.wants_batches)
            for step, count in runs:
                self._run(step, count, place, hooks if each else None, progress)
                if self.stop_training:
                    break
            if source.ended(place, epochs):
                self.stop_training = True
                if not place.steps:
                    break
            hooks.params["steps"] = source.steps
            ranks.meet(c.optimizer, c.distribute)
            logs = c.logs()
            if validation is not None and validates(epoch):
                with closing(validation()) as batches:
                    logs.update({f"val_{k}": v for k, v in self._evaluate(batches, hooks).items()})
            progress.epoch_end(epoch, logs, time.perf_counter() - start, place.steps)
            hooks.on_epoch_end(epoch, logs)
            self.stop_training = c.on_any_rank(self.stop_training)
            if self.stop_training:
                break
        c.optimizer.finalize()
        hooks.on_train_end(logs)
        if c.distribute is not None:
            c.distribute.barrier()  # the files of rank 0 are complete

    def _run(self, step: TrainStep, count: int, place: Place, hooks: CallbackList | None, progress: Progress) -> None:
        """Run a step `count` times. Before and after it, the model has the weights for evaluation.

        hooks: callbacks that are called after each step; None to call none.
        """
        c = self._need("fit")
        before = place.steps
        if hooks is None:

            def between(done: int) -> bool:
                place.steps = before + done
                if progress.verbose == 1:
                    progress.update(place.steps, c.own_logs())
                return not self.stop_training or c.distribute is not None  # ranks stop together, at the end of the epoch

            step.run_sliced(count, between)
            return
        for i in range(before, before + count):
            hooks.on_train_batch_begin(i)
            step.run()
            place.steps = i + 1
            logs = c.logs()
            hooks.on_train_batch_end(i, logs)
            progress.update(i + 1, logs)
            self.stop_training = c.on_any_rank(self.stop_training)
            if self.stop_training:
                return


# Training adds its methods to Module, so that the modules of layers need not import it.
_of_module: Any = vars(of_training)["Trainer"]
_given = {name: value for c in reversed(Trainer.__mro__[:-1]) for name, value in vars(c).items() if not name.startswith("__")}
for _name in sorted(
    _given, key=lambda name: not name.startswith("_")
):  # public methods are set last, since another thread may call them
    setattr(_of_module, _name, _given[_name])
