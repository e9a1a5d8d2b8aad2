"""Sums of places along an axis: padding by what an image has, and images of another size."""

from __future__ import annotations

KERNELS = """
    resample  y:T[A,J,C] <- x:T[A,I,C] index:i64[J,K] weight:f64[J,K] value:float
"""
