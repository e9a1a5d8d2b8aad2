"""Pictures of data, training and models; they need the ``plot`` extra (Matplotlib).

Each function returns its figure. It needs no display, and a notebook shows it. With ``path``, the figure is also written, as PNG,
PDF or SVG by the name of the file. `fastnn.interpret` computes what the figures of images show.
"""

from __future__ import annotations

from .attention import attention
from .classes import boundary, confusion, misclassified
from .diagram import network
from .embedding import embedding
from .images import activations, maximise, occlusion, saliency
from .parameters import filters, weights
from .training import history

__all__ = [
    "activations",
    "attention",
    "boundary",
    "confusion",
    "embedding",
    "filters",
    "history",
    "maximise",
    "misclassified",
    "network",
    "occlusion",
    "saliency",
    "weights",
]


def __dir__() -> list[str]:
    return sorted(__all__)
