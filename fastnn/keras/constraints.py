"""Keras's constraints."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    "..constraints": (
        "Constraint MaxNorm MinMaxNorm NonNeg UnitNorm deserialize=get get max_norm=MaxNorm min_max_norm=MinMaxNorm "
        "non_neg=NonNeg serialize unit_norm=UnitNorm"
    ),
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
