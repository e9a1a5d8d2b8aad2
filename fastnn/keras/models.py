"""Keras's models, and functions that save, load and copy them."""

from __future__ import annotations

from ..core.lazy import lazily as _lazily

_NAMES = {
    "..nn": "Model Sequential",
    ".saving": "clone_model load_model model_from_json save_model",
}

__all__, __getattr__, __dir__ = _lazily(__package__ or "", _NAMES, __name__)
