"""Callbacks that write files while fit trains: models and logs."""

from __future__ import annotations

import os
import warnings
from typing import Any, TextIO

from ...files.names import name_of, refuse_suffix
from .base import Callback, Logs, Monitor


class ModelCheckpoint(Monitor):
    """Callback that saves the model, or its weights, after each epoch or after a number of batches.

    Files are never incomplete.

    filepath: path of the file; it may have fields such as ``{epoch:02d}``, ``{batch}`` and ``{val_loss:.3f}`` (epochs and
    batches count from 1). monitor, mode: name and direction of the number for save_best_only. verbose: 1 prints.
    save_best_only: save only if the number is better than ever before. save_weights_only: call `Module.save_weights` instead of
    `Module.save`. save_freq: "epoch", or a number of batches; then training returns to Python after each batch.
    initial_value_threshold: value that the first model must improve.

    >>> best = ModelCheckpoint("best.fastnn", monitor="val_accuracy", save_best_only=True)
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
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
        self.best: float | None = None
        self._epoch = self._batches = 0

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
        if not self._wanted(logs, epoch):
            return
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            print(f"Epoch {epoch}: saved model to {path}")

    def _wanted(self, logs: dict[str, float], epoch: int) -> bool:
        if not self.save_best_only:
            return True
        if self.monitor not in logs:
            warnings.warn(
                f"ModelCheckpoint: {self.monitor} is not in the logs, so each model is saved", RuntimeWarning, stacklevel=4
            )
            return True
        best = self.initial_value_threshold if self.best is None else self.best
        if not self._improves(logs[self.monitor], best):
            if self.verbose:
                print(f"Epoch {epoch}: {self.monitor} did not improve from {best:.5f}")
            return False
        self.best = logs[self.monitor]
        return True


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
        self._file: TextIO | None = None
        self._writer: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._close()
        self._header = not (self.append and os.path.isfile(self.filename) and os.path.getsize(self.filename))
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115 (open while training runs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        assert self._file is not None
        if self._writer is None:
            import csv

            names = sorted(logs)
            if not any(name.startswith("val_") for name in names):  # validation may come in later epochs
                names += [f"val_{name}" for name in names]
            fields = ["epoch", *names]
            self._writer = csv.DictWriter(self._file, fields, "NA", "ignore", delimiter=self.separator, lineterminator="\n")
            if self._header:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **logs})
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._writer = None
