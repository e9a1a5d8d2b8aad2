"""Rows and elements picked by index."""

from __future__ import annotations

KERNELS = """
    gather_batch          y:S[J,C] <- x:S[B,C] index:i64[Q] cursor:i64[1]
    take_forward          y:S[J,C] <- x:S[B,C] index:i64[J]
    take_backward         &dx:T[B,C] &touched:bool[B]? <- dy:T[J,C] index:i64[J] add:mask
    take_backward_marked  &dx:T[B,C] &touched:bool[B] <- dy:T[J,C] index:i64[J]
    gather_forward        y:A[I,J,L] <- x:A[I,K,L] index:i64[I,J,L]
    gather_backward       dx:T[I,K,L] <- dy:T[I,J,L] index:i64[I,J,L]
"""
