"""Arithmetic of arrays, reductions, scans, sorting, casts."""

from __future__ import annotations

BINARY_OPS = ("add", "sub", "mul", "div", "pow", "maximum", "minimum")
COMPARE_OPS = ("eq", "ne", "lt", "le", "gt", "ge")
REDUCE_OPS = ("sum", "mean", "max", "min", "prod")
SCAN_OPS = ("sum", "prod")

KERNELS = """
    binary_forward   z:N[*n] <- x:N[*p] y:N[*q] layout:i64[3,R] op:BINARY_OPS
    compare_forward  z:bool[*n] <- x:N[*p] y:N[*q] layout:i64[3,R] op:COMPARE_OPS
    where_forward    z:A[*n] <- c:bool[*p] x:A[*q] y:A[*r] layout:i64[4,R]
    strided_copy     &y:S[*n] <- x:S[*p] layout:i64[4,R]
    fill             y:A[*n] <- value:float
    cast             y:to[*n] <- x:S[*n] to:STORED
    reduce_forward   y:N[A,C] <- x:N[A,B,C] op:REDUCE_OPS
    argmax_forward   index:i64[A,C] <- x:N[A,B,C]
    cumulate         y:N[A,B,C] <- x:N[A,B,C] op:SCAN_OPS reverse:bool exclusive:bool
    argsort          index:i64[A,B,C] <- x:N[A,B,C] descending:bool
"""
