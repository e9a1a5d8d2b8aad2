"""Products of many matrices that lie in larger arrays."""

from __future__ import annotations

from .dense import PRECISIONS as PRECISIONS

KERNELS = """
    matmul_batched  &c:T[*n] <- a:T[*p] b:T[*q] layout:i64[4,S] alpha:float beta:float precision:PRECISIONS
"""
