"""Attention and rotary positions run on the reference."""

from __future__ import annotations

from typing import Any

from .device import Device


def table(device: Device) -> dict[str, Any]:
    """Return the kernels of this family: none."""
    return {}
