"""SwapEMAWeights: evaluate and save with the moving averages of the weights while training goes on with the weights."""

from __future__ import annotations

from typing import Any

from .base import Callback, Logs


class SwapEMAWeights(Callback):
    """Callback that exchanges the weights with their moving averages during evaluation and prediction.

    The optimizer has to be made with use_ema=True. Validation in fit then measures the averages.

    Args:
        swap_on_epoch: whether the averages also stay in the model from the end of an epoch to the beginning of the next one, for
            the callbacks after this one in the list, such as `ModelCheckpoint`.

    Raises:
        ValueError: in fit, evaluate or predict, the optimizer keeps no averages.

    >>> swap = SwapEMAWeights(swap_on_epoch=True)
    """

    _alone = True

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch

    def state_dict(self) -> dict[str, Any]:
        return {"swapped": self._optimizer().swapped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._optimizer().swapped = bool(state["swapped"])

    def _optimizer(self) -> Any:
        optimizer = self.model.optimizer
        if not optimizer.use_ema:
            name = type(optimizer).__name__
            raise ValueError(f"SwapEMAWeights: the optimizer {name} keeps no averages; make it with use_ema=True")
        return optimizer

    def _swap(self, averages: bool) -> None:
        optimizer = self._optimizer()
        if optimizer.swapped is not averages:
            optimizer.swap_averages()

    def on_train_begin(self, logs: Logs = None) -> None:
        self._swap(False)  # an error in an earlier fit may have left the averages in the model

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._swap(self.swap_on_epoch)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: Logs = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._swap(False)
