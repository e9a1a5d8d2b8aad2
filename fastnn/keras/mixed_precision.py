"""Keras's switch of the precision for all models; fastnn has one for each model, `compile(dtype=...)`."""

from __future__ import annotations

from .config import dtype_policy, set_dtype_policy
from .optimizers.named import LossScaleOptimizer

__all__ = ["LossScaleOptimizer", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]
global_policy, set_global_policy = dtype_policy, set_dtype_policy


def __dir__() -> list[str]:
    return __all__.copy()
