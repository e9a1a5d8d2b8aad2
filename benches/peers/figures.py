"""Formats figures: times, numbers with three digits, and factors."""

from __future__ import annotations

import textwrap


def time(seconds: float) -> str:
    """Format a time with three digits and a unit."""
    unit, name = next((u, n) for u, n in ((1e-6, "us"), (1e-3, "ms"), (1.0, "s")) if seconds < 999.5 * u or u == 1.0)
    return f"{digits(seconds / unit)} {name}"


def digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def factor(value: float) -> str:
    return f"{digits(value)}x"


def item(text: str) -> str:
    """Return an item of a Markdown list, wrapped."""
    lines = textwrap.wrap(text, 126, break_long_words=False, break_on_hyphens=False)
    return "- " + "\n  ".join(lines)
