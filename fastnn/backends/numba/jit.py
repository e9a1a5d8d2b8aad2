"""How the kernels of this backend are compiled."""

from __future__ import annotations

from numba import njit

jit = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
"""Compiles a function at its first call: without the GIL, kept on disk, dividing by zero as NumPy does.

Products and sums may become one operation, and nothing else may change: NaN and infinity pass through, and sums keep their order.
"""
