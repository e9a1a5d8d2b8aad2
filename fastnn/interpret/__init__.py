"""What a trained network looks at, as arrays; `fastnn.plot` draws them.

The model never changes: the functions compute with a copy of it, in evaluation mode.
"""

from __future__ import annotations

from .ascent import maximise
from .attention import attention
from .maps import activations, occlusion, saliency

__all__ = ["activations", "attention", "maximise", "occlusion", "saliency"]


def __dir__() -> list[str]:
    return sorted(__all__)
