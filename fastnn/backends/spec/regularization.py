"""Penalties on weights, and limits of their norms."""

from __future__ import annotations

KERNELS = """
    penalty_forward   value:T[1] <- x:T[*n] weights:f64[2]
    penalty_backward  &dx:T[*n] <- dvalue:T[1] x:T[*n] weights:f64[2] add:mask
    limit_norms       &w:T[A,B,C] <- limits:f64[3]
"""
