"""Losses and metrics as text."""

from __future__ import annotations

from collections.abc import Mapping


def numbers(logs: Mapping[str, float]) -> str:
    """Return the names and numbers of logs in one line."""
    return "  ".join(f"{name} {number(value)}" for name, value in logs.items())


def number(value: float) -> str:
    """Return a loss or metric as text.

    >>> number(0.5), number(0.000123456)
    ('0.5000', '0.0001235')
    """
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.4g}"


def line(epoch: int, epochs: int, logs: Mapping[str, float], seconds: float) -> str:
    """Return the line of an epoch."""
    return f"Epoch {epoch + 1}/{epochs}  {seconds:.2f} s  {numbers(logs)}"
