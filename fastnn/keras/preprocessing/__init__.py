"""Keras's functions that prepare data: `sequence` and `image`."""

from __future__ import annotations

from ...core.lazy import lazily as _lazily
from .. import absent

_NAMES = {
    ".": "image sequence",
    "..utils": "image_dataset_from_directory timeseries_dataset_from_array",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES, absent=absent.PREPROCESSING)
