"""Callbacks, which fit, evaluate and predict call while they run, with Keras's hooks in Keras's order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ...core.keywords import naming
from ...core.structure import own_code
from ...files.tensors import short

Logs: TypeAlias = "dict[str, float] | Any"

_TRAIN_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class Callback:
    """Base class of callbacks: override the hooks that you need.

    ``model`` is the model, ``params`` a dict with ``epochs``, ``steps`` (None while it is unknown) and ``verbose``. ``logs`` maps
    names to numbers: the loss and metrics so far within an epoch, or of the whole epoch (with ``val_``) at its end. All callbacks
    get the same dict, so a callback can add numbers for the callbacks after it. ``model.stop_training = True`` ends training
    after the current batch or epoch.

    If several ranks train the model, each has the callbacks that its program passes. They get the same logs, of the rows of all
    ranks, and training stops if a callback stops it on any rank. Callbacks of fastnn print and write files only on rank 0.

    With batch hooks, training returns to Python after every batch, which costs time with small models.

    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, logs["loss"])
    >>> PrintLoss().on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    _alone = False
    """Whether the class itself neither calls functions of the user nor changes objects of the user. Not inherited."""
    _last = False
    """Whether the callback runs after all callbacks that are not last."""
    _state: Mapping[str, Any] = {}
    """Names and types of the attributes that `state_dict` returns."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls) and own_code(cls.__module__):
            cls.__init__ = naming(vars(cls)["__init__"])  # type: ignore[method-assign]

    @naming
    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def __repr__(self) -> str:
        """Return the class with the arguments that differ from their defaults, as far as they are attributes."""
        given = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value, default = vars(self).get(name, parameter.default), parameter.default
            if value is not default and (type(value) is not type(default) or value != default):
                given.append(f"{name}={short(getattr(value, '__name__', None) or repr(value))}")
        return f"{type(self).__name__}({', '.join(given)})"

    def set_model(self, model: Any) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def state_dict(self) -> dict[str, Any]:
        """Return the state that `BackupAndRestore` stores: numbers, texts, arrays, lists and dicts of them. Empty by default."""
        return {name: getattr(self, name) for name in self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the result of `state_dict` of another run. fit calls this after on_train_begin."""
        for name, kind in self._state.items():
            if not isinstance(state[name], kind):
                raise ValueError(f"{type(self).__name__}: the state has {name}={str(state[name])[:40]}; wanted {kind}")
            setattr(self, name, state[name])

    @property
    def _writes(self) -> bool:
        """Return whether this process prints and writes files: of several ranks that train a model, rank 0 does."""
        compiled = getattr(self.model, "_compiled", None)
        return compiled is None or bool(compiled.writes)

    def _joins(self, callbacks: CallbackList) -> None:
        """Learn of the list of callbacks to which this callback was added."""

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
        self.callbacks.sort(key=lambda c: c._last)
        callback._joins(self)

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

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        super().__init__()
        for name, hook in hooks.items():
            if hook is None:
                continue
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ValueError(f"LambdaCallback: there is no hook {name!r}")
            setattr(self, name, hook)

    def __repr__(self) -> str:
        hooks = (f"{name}={getattr(hook, '__name__', repr(hook))}" for name, hook in vars(self).items() if name.startswith("on_"))
        return f"LambdaCallback({', '.join(hooks)})"

    @property
    def wants_batches(self) -> bool:
        return any(hook in vars(self) for hook in _TRAIN_BATCH_HOOKS)
