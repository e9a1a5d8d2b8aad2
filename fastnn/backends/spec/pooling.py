"""Pooling: the largest number or the mean of each window of an image."""

from __future__ import annotations

KERNELS = """
    max_pool_forward   y:T[N,E,P,Q,C] index:u8[N,E,P,Q,C]? <- x:T[N,D,H,W,C] window:i64[5,3]
    max_pool_backward  dx:T[N,D,H,W,C] <- dy:T[N,E,P,Q,C] index:u8[N,E,P,Q,C] window:i64[5,3]
    avg_pool_forward   y:T[N,E,P,Q,C] <- x:T[N,D,H,W,C] window:i64[5,3] border:bool
    avg_pool_backward  dx:T[N,D,H,W,C] <- dy:T[N,E,P,Q,C] window:i64[5,3] border:bool
"""
