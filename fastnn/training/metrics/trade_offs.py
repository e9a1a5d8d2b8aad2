"""The best of two opposed scores, such as precision, over the thresholds at which the other one is good enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...ops.checks import check_number, positive_int
from .base import Array
from .classes import _ByClass, _quotient

if TYPE_CHECKING:
    from ...backends.base import Backend


class _TradeOff(_ByClass):
    """Base of these metrics.

    Args:
        num_thresholds: number of thresholds from 0 to 1 at which both scores are computed.
        class_id: the only output to use; by default all of them, counted together.
    """

    limited = ""
    """Name of the argument, the least value of the other score."""

    def __init__(self, least: float, num_thresholds: int, class_id: int | None, name: str | None) -> None:
        op = type(self).__name__
        least = check_number(least, f"{op}: {self.limited}", 0, 1)
        self.num_thresholds = positive_int(num_thresholds, f"{op}: num_thresholds")
        at = [0.5] if num_thresholds == 1 else np.linspace(0, 1, num_thresholds).tolist()
        at[0] = at[0] or -1e-7  # outputs of 0 are above the least threshold
        super().__init__(name, at, None, class_id)
        setattr(self, self.limited, least)

    def scalar(self, outputs: int) -> bool:
        return True

    def of_logits(self, k: Backend, y_pred: Array, logits: str) -> Array:
        from .rows import probabilities

        return probabilities(k, y_pred, logits)

    def _pair(self, hits: Array, false: Array, missed: Array, rest: Array) -> tuple[Array, Array]:
        """Return the scores at each threshold: the limited one, and the one whose greatest value is the result."""
        raise NotImplementedError

    def result(self) -> float:
        """Return the greatest score; 0.0 if the other one is never good enough."""
        if self.counts is None:
            return 0.0
        counts = self.counts.sum(1) if self.class_id is None else self.counts[:, self._checked_class()]
        limited, wanted = self._pair(*np.moveaxis(counts, -1, 0))
        return float(wanted[limited >= getattr(self, self.limited)].max(initial=0.0))

    def _checked_class(self) -> int:
        assert self.counts is not None and self.class_id is not None
        if not 0 <= self.class_id < self.counts.shape[1]:
            raise ValueError(f"metric {self.name}: class_id is {self.class_id}, but there are {self.counts.shape[1]} outputs")
        return self.class_id

    def get_config(self) -> dict[str, Any]:
        names = (self.limited, "num_thresholds", "class_id", "name")
        return {name: getattr(self, name) for name in names}


class PrecisionAtRecall(_TradeOff):
    """Greatest precision at a threshold where the recall is at least this.

    Args:
        recall: least recall.
        num_thresholds: number of thresholds from 0 to 1.
        class_id: the only output to use.

    >>> m = PrecisionAtRecall(0.5)
    >>> m.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
    >>> m.result()
    0.5
    """

    limited = "recall"

    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(recall, num_thresholds, class_id, name)

    def _pair(self, hits: Array, false: Array, missed: Array, rest: Array) -> tuple[Array, Array]:
        return _quotient(hits, hits + missed), _quotient(hits, hits + false)


class RecallAtPrecision(_TradeOff):
    """Greatest recall at a threshold where the precision is at least this; arguments as of `PrecisionAtRecall`."""

    limited = "precision"

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None) -> None:
        super().__init__(precision, num_thresholds, class_id, name)

    def _pair(self, hits: Array, false: Array, missed: Array, rest: Array) -> tuple[Array, Array]:
        return _quotient(hits, hits + false), _quotient(hits, hits + missed)


class SensitivityAtSpecificity(_TradeOff):
    """Greatest TP / (TP + FN) at a threshold where TN / (TN + FP) is at least this; arguments as of `PrecisionAtRecall`."""

    limited = "specificity"

    def __init__(
        self, specificity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name)

    def _pair(self, hits: Array, false: Array, missed: Array, rest: Array) -> tuple[Array, Array]:
        return _quotient(rest, rest + false), _quotient(hits, hits + missed)


class SpecificityAtSensitivity(_TradeOff):
    """Greatest TN / (TN + FP) at a threshold where TP / (TP + FN) is at least this; arguments as of `PrecisionAtRecall`."""

    limited = "sensitivity"

    def __init__(
        self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name)

    def _pair(self, hits: Array, false: Array, missed: Array, rest: Array) -> tuple[Array, Array]:
        return _quotient(hits, hits + missed), _quotient(rest, rest + false)
