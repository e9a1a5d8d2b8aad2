"""Connectionist temporal classification."""

from __future__ import annotations

KERNELS = """
    ctc_loss  loss:T[N] alpha:f64[N,R,P] dx:T[L,N,C]? <- x:T[L,N,C] targets:i64[N,S] steps:i64[N] labels:i64[N] blank:int
                | R=L+2 P=2*S+1
"""
