"""Convolutions of images with filters, in up to three dimensions, with groups of channels."""

from __future__ import annotations

from .dense import PRECISIONS as PRECISIONS

KERNELS = """
    conv_forward   y:T[N,E,P,Q,O] aux:T[N,E,P,Q,O]? <- x:T[N,D,H,W,C] w:T[R,U,V,I,O] b:T[O]? geometry:i64[3,3] act:act
        precision:PRECISIONS | flops=2*N*E*P*Q*O*R*U*V*I
    conv_backward  dx:T[N,D,H,W,C]? &dw:T[R,U,V,I,O]? &db:T[O]? dz:T[N,E,P,Q,O]? <- dy:T[N,E,P,Q,O] x:T[N,D,H,W,C]?
        w:T[R,U,V,I,O] y:T[N,E,P,Q,O]? aux:T[N,E,P,Q,O]? geometry:i64[3,3] act:act add:mask precision:PRECISIONS
        | flops=2*N*E*P*Q*O*R*U*V*I*(dx+dw)
"""
