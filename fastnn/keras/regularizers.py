"""Keras's regularizers; `l2(0.01)` is another name of `L2(0.01)`."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    "..regularizers": (
        "L1 L1L2 L2 OrthogonalRegularizer Regularizer deserialize=get get l1=L1 l1_l2=L1L2 l2=L2 "
        "orthogonal_regularizer=OrthogonalRegularizer serialize"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
