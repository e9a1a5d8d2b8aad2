"""Callbacks: what fit, evaluate and predict call on the way, with Keras's hooks in Keras's order."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from ...core.structure import own_code
from .. import metrics

Logs: TypeAlias = "dict[str, float] | None"

_TRAIN_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class Callback:
    """Base class: override the hooks that are wanted.

    ``model`` is the model at work, ``params`` a dict with ``epochs``, ``steps`` (None while it is not known) and ``verbose``.
    ``logs`` maps names to numbers: the loss and metrics so far within an epoch, those of the whole epoch (with ``val_``) at its
    end; all callbacks get the same dict, so that one can add to it for those after it. ``model.stop_training = True`` ends
    training after the running batch or epoch.

    A callback with batch hooks makes training come back to Python after every batch, which costs time on small models.

    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, logs["loss"])
    >>> PrintLoss().on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    _alone = False
    """Whether a class, without those derived from it, neither calls functions of the user's nor changes objects of theirs."""

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    @property
    def wants_batches(self) -> bool:
        """Return whether training has to stop after every batch for this callback: it overrides a hook of training batches."""
        return any(getattr(type(self), hook, None) is not getattr(Callback, hook) for hook in _TRAIN_BATCH_HOOKS)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Is called before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Is called after the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Is called before the first batch of an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Is called after an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Is the older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Is the older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Is called before a training batch; batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Is called after a training batch, with the loss and metrics of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Is called before evaluation, also before the validation of an epoch."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Is called after evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Is called before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Is called after a batch of evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Is called before prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Is called after prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Is called before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Is called after a batch of prediction; ``logs["outputs"]`` are its outputs."""


class CallbackList:
    """Calls each of the callbacks, in the order given."""

    def __init__(
        self,
        callbacks: Callback | Iterable[Callback] | None = None,
        model: Any = None,
        params: dict[str, Any] | None = None,
        op: str = "fit",
    ) -> None:
        given: list[Any] = list(callbacks) if isinstance(callbacks, Iterable) else [] if callbacks is None else [callbacks]
        for c in given:
            if isinstance(c, type):
                raise TypeError(f"{op}: callbacks holds the class {c.__name__}; wanted an instance, {c.__name__}(...)")
            if not isinstance(c, Callback):
                raise TypeError(f"{op}: callbacks holds a {type(c).__name__}; wanted instances of fastnn.callbacks.Callback")
        self.callbacks: list[Callback] = []
        self.params, self._model = params or {}, model
        for c in given:
            self.add(c)

    def add(self, callback: Callback) -> None:
        """Append one."""
        callback.set_params(self.params)
        callback.set_model(self._model)
        self.callbacks.append(callback)

    @property
    def wants_batches(self) -> bool:
        """Return whether any callback has to be called at every training batch."""
        return any(c.wants_batches for c in self.callbacks)

    def runs_users_code(self) -> bool:
        """Return whether code of the user's own, or what changes their objects, may run between epochs."""
        return not all(vars(type(c)).get("_alone") for c in self.callbacks)

    def changes_batches(self) -> str:
        """Return why code of the user's own may change between batches, in words; "" if no callback of theirs runs there."""
        for c in self.callbacks:
            if c.wants_batches and (isinstance(c, LambdaCallback) or not own_code(type(c).__module__)):
                return (
                    f"the callback {type(c).__name__} runs between batches, where it may change what your code depends on; "
                    "if it does not, compile with capture=True"
                )
        return ""

    def on_train_begin(self, logs: Logs = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: Logs = None) -> None:
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._call("on_epoch_begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._call("on_epoch_end", logs, epoch)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_train_batch_begin", logs, batch)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_train_batch_end", logs, batch)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: Logs = None) -> None:
        self._call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_test_batch_begin", logs, batch)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._call("on_test_batch_end", logs, batch)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._call("on_predict_end", logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._call("on_predict_batch_begin", logs, batch)

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._call("on_predict_batch_end", logs, batch)

    def _call(self, hook: str, logs: dict[str, Any] | None, *index: int) -> None:
        logs = {} if logs is None else logs
        for c in self.callbacks:
            getattr(c, hook)(*index, logs)


class LambdaCallback(Callback):
    """A callback of functions, under the names of the hooks and with their arguments.

    >>> fit_done = LambdaCallback(on_train_end=lambda logs: print("done"))
    >>> fit_done.on_train_end({})
    done
    """

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        super().__init__()
        for name, hook in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ValueError(f"LambdaCallback: there is no hook {name!r}")
            setattr(self, name, hook)

    @property
    def wants_batches(self) -> bool:
        return any(hook in vars(self) for hook in _TRAIN_BATCH_HOOKS)


class Monitor(Callback):
    """Base class of callbacks that watch a number in the logs of the epochs.

    monitor: its name. mode: "min", "max", or "auto", which takes the direction of the metric of that name. min_delta: the least
    change that counts as an improvement. NaN is never an improvement.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode is {mode!r}; wanted 'auto', 'min' or 'max'")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = min_delta

    def _epochs(self, patience: Any, name: str) -> int:
        if isinstance(patience, bool) or not isinstance(patience, (int, np.integer)) or patience < 0:
            raise ValueError(f"{type(self).__name__}: {name} is {patience!r}; wanted a number of epochs")
        return int(patience)

    def _current(self, logs: Logs) -> float | None:
        """Return the number; None, with a warning, where the logs do not have it."""
        logs = logs or {}
        if self.monitor in logs:
            return logs[self.monitor]
        have, name = ", ".join(logs) or "none", type(self).__name__
        warnings.warn(f"{name}: {self.monitor} is not in the logs, which hold: {have}", RuntimeWarning, stacklevel=3)
        return None

    def _improves(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return not math.isnan(value)
        if self._direction() == "min":
            return value + abs(self.min_delta) < reference
        return value - abs(self.min_delta) > reference

    def _direction(self) -> str:
        if self.mode != "auto":
            return self.mode
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return "min"
        compiled = getattr(self.model, "_compiled", None)
        of_model = {m.name: m.direction for m in getattr(self.model, "metrics", ())}
        of_model |= {} if compiled is None else {key: m.direction for key, m in compiled.named_metrics()}
        direction = of_model.get(name) or metrics.direction(name)
        if direction is None:
            raise ValueError(f"{type(self).__name__}: should {self.monitor} rise or fall? Pass mode='max' or mode='min'")
        return direction


class EarlyStopping(Monitor):
    """Stops training when a monitored number has not improved for ``patience`` epochs.

    monitor: a name in the logs. min_delta: the least change that counts as an improvement. mode: "min", "max", or "auto",
    which takes the direction of the metric of that name. baseline: patience starts anew only at improvements that also beat
    it. restore_best_weights: training ends with the weights of the best epoch, whether it was stopped or not.
    start_from_epoch: epochs before this one are not looked at. verbose: 1 prints when it stops or restores.

    ``stopped_epoch``, ``best_epoch`` and ``best`` tell afterwards what happened. NaN is never an improvement.

    >>> stop = EarlyStopping("val_accuracy", patience=3, restore_best_weights=True)
    """

    _alone = True

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = self._epochs(patience, "patience")
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._start()

    def _start(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: Any = None
        self._weights_epoch = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._start()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        current = self._current(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        improves = self._improves(current, self.best)
        if self.restore_best_weights and (improves or self.best_weights is None):
            self.best_weights, self._weights_epoch = self.model.get_weights(), epoch
        if improves:
            self.best, self.best_epoch = current, epoch
            if self._improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch, {self._weights_epoch + 1}")
            self.model.set_weights(self.best_weights)


class TerminateOnNaN(Callback):
    """Stops training, with a warning, when the loss of an epoch is NaN or infinite.

    Where training comes back to Python after every batch (another callback has batch hooks), it stops at the batch.
    """

    _alone = True

    @property
    def wants_batches(self) -> bool:
        return False  # a look at every epoch is enough to stop, and costs nothing

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._check(f"batch {batch}", logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._check(f"epoch {epoch + 1}", logs)

    def _check(self, where: str, logs: Logs) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss) and not getattr(self.model, "stop_training", False):
            warnings.warn(f"TerminateOnNaN: the loss is {loss} at {where}; training stops", RuntimeWarning, stacklevel=2)
            self.model.stop_training = True
