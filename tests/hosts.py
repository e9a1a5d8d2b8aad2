"""What only the backends on the host have: arrays that are NumPy's."""

import os

import pytest


def host_only(reason: str) -> pytest.MarkDecorator:
    """Skips a test of that on the cupy backend."""
    return pytest.mark.skipif(os.environ.get("FASTNN_BACKEND") == "cupy", reason=reason)
