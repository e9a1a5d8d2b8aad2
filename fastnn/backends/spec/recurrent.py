"""Recurrent layers: the steps of a sequence, whose state goes through a product with weights from one step to the next."""

from __future__ import annotations

GATE_ORDERS = ("zrh", "rzn")
"""Orders of a GRU's gates: update, reset and candidate, as in Keras, or reset, update and candidate, as in PyTorch."""

FUNCTIONS = ("tanh", "relu", "sigmoid", "linear")
"""Activations of the plain cell: functions whose derivatives follow from their values."""

KERNELS = """
    rnn_forward    y:T[R,H] h:T[N,H] before:T[R,H]? <- x:T[R,H] u:T[H,H] h0:T[N,H]? lengths:i64[N]? mask:T[N,H]? act:act
        batch_first:bool reverse:bool | flops=2*R*H*H
    rnn_backward   dx:T[R,H] dh0:T[N,H] <- dy:T[R,H]? dh:T[N,H]? y:T[R,H] u:T[H,H] lengths:i64[N]? mask:T[N,H]? act:act
        batch_first:bool reverse:bool | flops=2*R*H*H
    lstm_forward   y:T[R,P] h:T[N,P] c:T[N,H] gates:T[R,4,H]? cells:T[R,H]? hidden:T[R,H]? before:T[R,P]? <- x:T[R,4,H]
        u:T[P,4,H] projection:T[H,P]? h0:T[N,P]? c0:T[N,H]? lengths:i64[N]? mask:T[N,P]?
        batch_first:bool reverse:bool | flops=2*R*H*P*(4+projection)
    lstm_backward  dx:T[R,4,H] dz:T[R,P]? dh0:T[N,P] dc0:T[N,H] <- dy:T[R,P]? dh:T[N,P]? dc:T[N,H]? gates:T[R,4,H]
        cells:T[R,H] u:T[P,4,H] projection:T[H,P]? c0:T[N,H]? lengths:i64[N]? mask:T[N,P]?
        batch_first:bool reverse:bool | flops=2*R*H*P*(4+projection)
    gru_forward    y:T[R,H] h:T[N,H] gates:T[R,3,H]? inner:T[R,H]? before:T[R,H]? <- x:T[R,3,H] u:T[H,3,H] bu:T[3,H]?
        h0:T[N,H]? lengths:i64[N]? mask:T[N,H]? reset_after:bool order:GATE_ORDERS
        batch_first:bool reverse:bool | flops=6*R*H*H
    gru_backward   dx:T[R,3,H] dv:T[R,3,H]? dh0:T[N,H] <- dy:T[R,H]? dh:T[N,H]? gates:T[R,3,H] inner:T[R,H] y:T[R,H]
        u:T[H,3,H] h0:T[N,H]? lengths:i64[N]? mask:T[N,H]? reset_after:bool order:GATE_ORDERS
        batch_first:bool reverse:bool | flops=6*R*H*H
"""
