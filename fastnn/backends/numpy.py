"""Backend that runs the reference with NumPy. It is readable and always available, and trains like the others."""

from __future__ import annotations

import numpy as np

from .base import Backend
from .reference import table


def load() -> Backend:
    return Backend("numpy", np, table(np))


def unavailable() -> str:
    return ""
