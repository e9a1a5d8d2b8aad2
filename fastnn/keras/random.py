"""Random Tensors with Keras's names and arguments."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily
from . import absent

_NAMES = {
    ".draws": "SeedGenerator categorical dropout normal randint uniform",
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__, absent.RANDOM)
