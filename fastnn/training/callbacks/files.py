"""Callbacks that write files while fit trains: models and logs."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ...files.names import name_of, refuse_suffix
from ...ops.checks import positive_int
from .base import Callback, Logs
from .stopping import NUMBER, Monitor


class ModelCheckpoint(Monitor):
    """Callback that saves the model, or its weights, after each epoch or after a number of batches.

    Files are never incomplete.

    filepath: path of the file; it may have fields such as ``{epoch:02d}``, ``{batch}`` and ``{val_loss:.3f}`` (epochs and
    batches count from 1). monitor, mode: name and direction of the number for save_best_only and keep; the name may be a function
    of the logs. verbose: 1 prints. save_best_only: save only if the number is better than ever before. save_weights_only: call
    `Module.save_weights` instead of `Module.save`. save_freq: "epoch", or a number of batches; then training returns to Python
    after each batch. initial_value_threshold: value that the first model must improve. keep: number of files that remain: those
    with the best values, or with monitor=None the last ones; the others are deleted. None keeps all.

    >>> best = ModelCheckpoint("best.fastnn", monitor="val_accuracy", save_best_only=True)
    >>> three = ModelCheckpoint("models/{epoch:03d}.fastnn", monitor="val_loss", keep=3)
    """

    _state: Mapping[str, Any] = {"best": NUMBER, "_batches": int, "_saved": list, "_number": int}

    def __init__(
        self,
        filepath: Any,
        monitor: str | Callable[[dict[str, float]], float] | None = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
        keep: int | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(f"ModelCheckpoint: save_freq is {save_freq!r}; wanted 'epoch' or a number of batches")
        self.filepath = name_of(filepath, "ModelCheckpoint")
        refuse_suffix(self.filepath, "ModelCheckpoint")
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.initial_value_threshold = initial_value_threshold
        self.keep = None if keep is None else positive_int(keep, "ModelCheckpoint: keep")
        if self.keep is not None and "{" not in self.filepath:
            raise ValueError(f"ModelCheckpoint: keep needs a filepath with a field, such as {{epoch}}; got {self.filepath}")
        if monitor is None and save_best_only:
            raise ValueError("ModelCheckpoint: save_best_only needs a monitor, but monitor is None")
        self.best: float | None = None
        self._saved: list[list[Any]] = []  # value and path of each file that is kept, in the order of writing
        self._epoch = self._batches = self._number = 0

    @property
    def wants_batches(self) -> bool:
        return self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            self._save(logs or {}, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {})

    def _save(self, logs: dict[str, float], **place: int) -> None:
        epoch = self._epoch + 1
        try:
            path = self.filepath.format(**{**logs, "epoch": epoch, **place})
        except KeyError as error:
            raise KeyError(f"ModelCheckpoint: {self.filepath} names {error}; there are {', '.join(logs)}") from None
        value = self._value(logs)
        if not self._wanted(value, epoch):
            return
        if self._writes:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            (self.model.save_weights if self.save_weights_only else self.model.save)(path)
            if self.verbose:
                print(f"Epoch {epoch}: saved model to {path}")
        if self.keep is not None:
            self._prune(value, path)

    def _value(self, logs: dict[str, float]) -> float | None:
        """Return the number that decides, or None if none is needed or there is none."""
        if self.monitor is None:
            self._number += 1
            return self._number
        if not self.save_best_only and self.keep is None:
            return None
        value = self._found(logs)
        if value is None:
            text = f"ModelCheckpoint: {self._label()} is not in the logs, so each model is saved"
            warnings.warn(text, RuntimeWarning, stacklevel=5)
        return value

    def _wanted(self, value: float | None, epoch: int) -> bool:
        if value is None:
            return True
        if self.save_best_only:
            best = self.initial_value_threshold if self.best is None else self.best
            if not self._improves(value, best):
                if self.verbose and self._writes:
                    print(f"Epoch {epoch}: {self._label()} did not improve from {best:.5f}")
                return False
            self.best = value
            return True
        full = self.keep is not None and len(self._saved) >= self.keep
        return not full or self._improves(value, self._saved[self._worst()][0])

    def _worst(self) -> int:
        """Return the index of the file with the worst value; of those, the newest."""
        worst = 0
        for i, (value, _) in enumerate(self._saved):
            if not self._improves(value, self._saved[worst][0]):
                worst = i
        return worst

    def _prune(self, value: float | None, path: str) -> None:
        assert self.keep is not None
        self._saved = [item for item in self._saved if item[1] != path]
        while len(self._saved) >= self.keep:
            _, old = self._saved.pop(self._worst() if value is not None else 0)
            if self._writes:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(old)
        self._saved.append([math.nan if value is None else value, path])

    def _direction(self) -> str:
        return "max" if self.monitor is None else super()._direction()


class CSVLogger(Callback):
    """Callback that writes a line per epoch into a file: the epoch's number, counted from 0, and all logs, sorted by name.

    filename: path of the file. separator: separator of columns. append: whether to add lines to an existing file.

    >>> log = CSVLogger("training.csv")
    """

    _alone = True

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = name_of(filename, "CSVLogger")
        self.separator = separator
        self.append = append
        self._start()

    def _start(self) -> None:
        self._fields: list[str] = []
        self._kept: int | None = None if self.append else 0
        """Number of bytes of the file that stay when the first row is written; None for all."""
        self._begun = False

    def state_dict(self) -> dict[str, Any]:
        return {"fields": self._fields, "size": os.path.getsize(self.filename) if self._begun else self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._fields, self._kept = [str(name) for name in state["fields"]], state["size"]
        if self._kept is not None and (type(self._kept) is not int or self._kept < 0):
            raise ValueError(f"CSVLogger: the state has size={str(self._kept)[:40]}; wanted a whole number")

    def on_train_begin(self, logs: Logs = None) -> None:
        self._start()
        if self._writes:
            with open(self.filename, "a"):  # raises an error now if it cannot be written
                pass

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        import csv

        if not self._writes:
            return
        logs = logs or {}
        with open(self.filename, "a", newline="") as file:
            if not self._begun:
                there = os.fstat(file.fileno()).st_size
                file.truncate(there if self._kept is None else min(self._kept, there))  # rows after a backup come again
            if not self._fields:
                names = sorted(logs)
                if not any(name.startswith("val_") for name in names):  # validation may come in later epochs
                    names += [f"val_{name}" for name in names]
                self._fields = ["epoch", *names]
            rows = csv.DictWriter(file, self._fields, "NA", "ignore", delimiter=self.separator, lineterminator="\n")
            if not self._begun and not os.fstat(file.fileno()).st_size:
                rows.writeheader()
            self._begun = True
            rows.writerow({"epoch": epoch, **logs})
