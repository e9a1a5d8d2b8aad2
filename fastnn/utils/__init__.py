"""Tools with PyTorch's names: `data` with data sets and their batches."""

from ..core.lazy import lazily as _lazily

_NAMES = {".": "data"}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
