"""Attention: each query's average of values, weighted by how well their keys fit it; and rotary positions."""

from __future__ import annotations

FAR = 1 << 48
"""Position beyond all keys. Positions of queries that are farther away count as this one, so sums with them do not overflow."""

KERNELS = """
    attention_forward   y:T[*n] lse:T[B,H,M] aux:u64[2]? &state:u64[2]? <- q:T[*p] k:T[*r] v:T[*s] bias:T[*t]? mask:bool[*u]?
        lengths:i64[B]? starts:i64[B]? slopes:T[H]? rate:f64[1]? places:i64[6,5] groups:int keys:int depth:int width:int
        first:int window:int causal:bool scale:float | flops=2*B*H*M*keys*(depth+width)
    attention_backward  &dq:T[*p] &dk:T[*r] &dv:T[*s] <- dy:T[*n] q:T[*p] k:T[*r] v:T[*s] bias:T[*t]? mask:bool[*u]?
        lengths:i64[B]? starts:i64[B]? slopes:T[H]? rate:f64[1]? places:i64[6,5] y:T[*n] lse:T[B,H,M] aux:u64[2]? groups:int
        keys:int depth:int width:int first:int window:int causal:bool scale:float | flops=2*B*H*M*keys*(3*depth+2*width)
    rotary              y:T[B,M,H,D] <- x:T[B,M,H,D] table:T[P,R] positions:i64[S,M] heads:int halves:bool inverse:bool
"""
