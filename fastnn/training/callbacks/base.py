"""Callbacks, which fit, evaluate and predict call while they run, with Keras's hooks in Keras's order."""

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
    """Base class of callbacks: override the hooks that you need.

    ``model`` is the model, ``params`` a dict with ``epochs``, ``steps`` (None while it is unknown) and ``verbose``. ``logs`` maps
    names to numbers: the loss and metrics so far within an epoch, or of the whole epoch (with ``val_``) at its end. All callbacks
    get the same dict, so a callback can add numbers for the callbacks after it. ``model.stop_training = True`` ends training
    after the current batch or epoch.

    With batch hooks, training returns to Python after every batch, which costs time with small models.

    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, logs["loss"])
    >>> PrintLoss().on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    _alone = False
    """Whether the class itself neither calls functions of the user nor changes objects of the user. Not inherited."""

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    @property
    def wants_batches(self) -> bool:
        """Return whether training must return to Python after every batch, since the callback overrides a training batch hook."""
        return any(getattr(type(self), hook, None) is not getattr(Callback, hook) for hook in _TRAIN_BATCH_HOOKS)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Run before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Run after the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Run before the first batch of an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Run after an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a training batch; older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a training batch; older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a training batch; batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a training batch, with the loss and metrics of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        """Run before evaluation, also before the validation of an epoch."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Run after evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Run after a batch of evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Run before prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Run after prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Run before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Run after a batch of prediction; ``logs["outputs"]`` are its outputs."""


class CallbackList:
    """List of callbacks, which are called in order."""

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
                raise TypeError(f"{op}: callbacks contains the class {c.__name__}; wanted an instance, {c.__name__}(...)")
            if not isinstance(c, Callback):
                raise TypeError(f"{op}: callbacks contains a {type(c).__name__}; wanted instances of fastnn.callbacks.Callback")
        self.callbacks: list[Callback] = []
        self.params, self._model = params or {}, model
        for c in given:
            self.add(c)

    def add(self, callback: Callback) -> None:
        """Append a callback."""
        callback.set_params(self.params)
        callback.set_model(self._model)
        self.callbacks.append(callback)

    @property
    def wants_batches(self) -> bool:
        """Return whether any callback must be called at every training batch."""
        return any(c.wants_batches for c in self.callbacks)

    def runs_users_code(self) -> bool:
        """Return whether user code, or code that changes the user's objects, may run between epochs."""
        return not all(vars(type(c)).get("_alone") for c in self.callbacks)

    def changes_batches(self) -> str:
        """Return the reason why user code may behave differently in each batch; "" if no user's callback runs between batches."""
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
    """Callback made of functions, which are passed under the names of the hooks and get their arguments.

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
    """Base class of callbacks that monitor a number in the logs of the epochs.

    monitor: name of the number. mode: "min", "max", or "auto", which uses the direction of the metric with this name. min_delta:
    smallest change that counts as an improvement. NaN is never an improvement.
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
        """Return the monitored number; warn and return None if it is not in the logs."""
        logs = logs or {}
        if self.monitor in logs:
            return logs[self.monitor]
        have, name = ", ".join(logs) or "none", type(self).__name__
        warnings.warn(f"{name}: {self.monitor} is not in the logs, which contain: {have}", RuntimeWarning, stacklevel=3)
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
    """Callback that stops training when a monitored number has not improved for ``patience`` epochs.

    monitor: a name in the logs. min_delta: smallest change that counts as an improvement. mode: "min", "max", or "auto", which
    uses the direction of the metric with this name. baseline: patience restarts only at improvements that are also better than
    the baseline. restore_best_weights: training ends with the weights of the best epoch, whether it was stopped or not.
    start_from_epoch: earlier epochs are ignored. verbose: 1 prints a line when training stops or weights are restored.

    Afterwards, ``stopped_epoch``, ``best_epoch`` and ``best`` contain the results. NaN is never an improvement.

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
    """Callback that stops training, with a warning, when the loss of an epoch is NaN or infinite.

    If another callback has batch hooks, the loss is checked after every batch.
    """

    _alone = True

    @property
    def wants_batches(self) -> bool:
        return False  # a check after every epoch is enough, and costs nothing

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._check(f"batch {batch}", logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._check(f"epoch {epoch + 1}", logs)

    def _check(self, where: str, logs: Logs) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss) and not getattr(self.model, "stop_training", False):
            warnings.warn(f"TerminateOnNaN: the loss is {loss} at {where}; training stops", RuntimeWarning, stacklevel=2)
            self.model.stop_training = True
