"""Matrix products and the dense layer."""

from __future__ import annotations

PRECISIONS = ("float32", "bfloat16", "tf32")
"""What the factors of matrix products are rounded to: nothing, that is their own type, or 8 or 11 significant bits."""

KERNELS = """
    matmul_nn       &c:T[M,N] <- a:T[M,K] b:T[K,N] alpha:float beta:float precision:PRECISIONS | flops=2*M*N*K
    matmul_nt       &c:T[M,N] <- a:T[M,K] b:T[N,K] alpha:float beta:float precision:PRECISIONS | flops=2*M*N*K
    matmul_tn       &c:T[M,N] <- a:T[K,M] b:T[K,N] alpha:float beta:float precision:PRECISIONS | flops=2*M*N*K
    dense_forward   y:T[M,N] aux:own[*L]? <- x:T[M,K] w:T[K,N] b:T[N]? act:act precision:PRECISIONS | flops=2*M*N*K
    dense_backward  dx:T[M,K]? &dw:T[K,N]? &db:T[N]? dz:T[M,N]? <- dy:T[M,N] x:T[M,K] w:T[K,N] y:T[M,N] aux:own[*L]? act:act
        add:mask precision:PRECISIONS | flops=2*M*N*K*(dx+dw)
    dense_nets_forward   y:T[G,M,N] aux:own[*L]? <- x:T[S,M,K] w:T[G,K,N] b:T[G,N]? act:act precision:PRECISIONS | flops=2*G*M*N*K
    dense_nets_backward  dx:T[G,M,K]? &dw:T[G,K,N]? &db:T[G,N]? dz:T[G,M,N]? <- dy:T[G,M,N] x:T[S,M,K] w:T[G,K,N] y:T[G,M,N]
        aux:own[*L]? act:act add:mask precision:PRECISIONS | flops=2*G*M*N*K*(dx+dw)
"""
