"""Normalization: numbers with mean 0 and variance 1, by channel, by sample or by group."""

from __future__ import annotations

KERNELS = """
    norm_forward   y:T[A,B,C,D] mean:T[A,C] rstd:T[A,C] &running_mean:T[C]? &running_var:T[C]? <- x:T[A,B,C,D]
        gamma:T[C,D]? beta:T[C,D]? epsilon:float momentum:float unbiased:bool
        center:bool relu:bool
    norm_backward  dx:T[A,B,C,D]? &dgamma:T[C,D]? &dbeta:T[C,D]? <- dy:T[A,B,C,D] x:T[A,B,C,D] mean:T[A,C] rstd:T[A,C]
        gamma:T[C,D]? y:T[A,B,C,D]? center:bool relu:bool add:mask
    norm_fold      scale:T[C] shift:T[C] <- mean:T[C] var:T[C] gamma:T[C]? beta:T[C]? bias:T[C]? epsilon:float
    norm_apply     y:T[A,C] <- x:T[A,C] scale:T[C] shift:T[C]? act:act
"""
