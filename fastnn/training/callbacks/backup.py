"""BackupAndRestore: a run that ends at any moment continues in another process as if there had been no break."""

from __future__ import annotations

from typing import Any

from ...files import backups
from ...files.layers import DAMAGE, message
from ..backup import fit_state, of_all_ranks, of_rank, restore, restore_streams, restore_totals
from .base import Callback, CallbackList, Logs


class BackupAndRestore(Callback):
    """Callback that writes backups of the training into a folder, from which the next fit continues.

    If a process ends, for any reason, run the same program again. fit continues after the last backup, with the same results to
    the bit as without a break: weights, state of the optimizer, averages, schedules, order of the samples, random numbers,
    history, logs of the epoch, and state of the callbacks. A backup is a file that is complete or not there.

    If several ranks train the model, all of them need the callback. Rank 0 alone writes and reads the folder. Another number of
    ranks may continue, with the same weights up to rounding.

    Args:
        backup_dir: the folder. Each run needs a separate one.
        save_freq: "epoch", or a number of batches; then training returns to Python after each batch.
        double_checkpoint: whether to keep the backup before the newest one, in case that the disk damages the newest.
        delete_checkpoint: whether to delete the backups when training has ended. With False, the same fit returns the finished
            model at once, and a fit with more epochs continues.

    Raises:
        RuntimeError: in fit, the model has no weights yet; give the first layer input_shape.
        ValueError: in fit, the backup is damaged, or is that of another model, optimizer or data.

    >>> import tempfile
    >>> backup = BackupAndRestore(tempfile.mkdtemp(), save_freq=100)
    """

    _alone = True
    _last = True

    def __init__(
        self,
        backup_dir: Any,
        save_freq: int | str = "epoch",
        double_checkpoint: bool = True,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        number = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not number:
            raise ValueError(f"BackupAndRestore: save_freq is {save_freq!r}; wanted 'epoch' or a number of batches")
        self.backup_dir = backups.folder_of(backup_dir, "BackupAndRestore")
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._list: CallbackList | None = None
        self._start()

    def _start(self) -> None:
        self._batches = 0  # batches since the last backup
        self._within: dict[str, Any] | None = None  # a backup in the middle of an epoch, whose sums are to be restored

    @property
    def wants_batches(self) -> bool:
        return self.save_freq != "epoch" or self._within is not None

    def _joins(self, callbacks: CallbackList) -> None:
        self._list = callbacks

    def _others(self) -> list[Callback]:
        return [] if self._list is None else [c for c in self._list.callbacks if c is not self]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._start()
        if not self.model.built:
            raise RuntimeError(
                "BackupAndRestore: the model has no weights yet, because the input shape is unknown; give the first layer "
                "input_shape, or call the model first"
            )
        comm = self.model._compiled.distribute
        found = backups.read(self.backup_dir, "BackupAndRestore") if self._writes else None
        found = found if comm is None else comm.broadcast(found)
        if found is None:
            return
        place, state, path = found
        try:
            place, state = of_rank(self.model, place, state)
            restore(self.model, self._others(), place, state)
            within = state["totals"] is not None and not state["stopped"] and self.model._compiled.place.steps
        except DAMAGE as error:
            raise ValueError(f"BackupAndRestore: {path} does not fit this run: {message(error)}") from error
        self._within = state if within else None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if self._within is not None:  # other callbacks may have drawn random numbers, which they had drawn before the backup
            restore_streams(self._within)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self._within is not None:
            try:
                restore_totals(self.model._compiled, self._within)
            except DAMAGE as error:
                raise ValueError(f"BackupAndRestore: the losses and metrics are not those of the backup: {error}") from error
            self._within = None

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        last = batch + 1 == self.params.get("steps")
        if self.save_freq != "epoch" and self._batches >= int(self.save_freq) and not last and not self.model.stop_training:
            self._save(None, False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch" or self._batches >= int(self.save_freq) or self.model.stop_training:
            self._save(logs, True)

    def on_train_end(self, logs: Logs = None) -> None:
        if self.delete_checkpoint and self._writes:
            backups.remove(self.backup_dir)

    def _save(self, logs: Logs, whole: bool) -> None:
        self._batches = 0
        reached = self.model._compiled.place
        state, place = fit_state(self.model, self._others(), logs if whole else reached.logs, whole), reached.config()
        state = of_all_ranks(self.model, place, state)
        if self._writes:
            backups.write(self.backup_dir, place, state, self.double_checkpoint, "BackupAndRestore")
