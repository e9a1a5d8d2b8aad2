"""Steps of the optimizers, their averages, and what limits gradients."""

from __future__ import annotations

KERNELS = """
    advance               &step:i64[P] <- by:int
    every                 flag:i64[1] <- count:i64[1] period:int
    scheduled             &hyper:f64[H] <- table:f64[S,L] slot:i64[S] count:i64[1]
    sgd_step              &w:T[*n] &v:T[*n]? <- dw:T[*n] hyper:f64[6] step:i64[P]
    adam_step             &w:T[*n] &m:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
    adam_rows_step        &w:T[B,C] &m:T[B,C] &v:T[B,C] &seen:bool[B] <- dw:T[B,C] touched:bool[B] hyper:f64[6] step:i64[P]
    sparse_adam_step      &w:T[B,C] &m:T[B,C] &v:T[B,C] <- dw:T[B,C] touched:bool[B] hyper:f64[4] step:i64[P]
    amsgrad_step          &w:T[*n] &m:T[*n] &v:T[*n] &top:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
    radam_step            &w:T[*n] &m:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
    adamax_step           &w:T[*n] &m:T[*n] &u:T[*n] <- dw:T[*n] hyper:f64[6] step:i64[P]
    nadam_product         &product:f64[P] <- hyper:f64[7] step:i64[P]
    nadam_step            &w:T[*n] &m:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[7] product:f64[P] step:i64[P]
    rmsprop_step          &w:T[*n] &v:T[*n] &mean:T[*n]? &b:T[*n]? <- dw:T[*n] hyper:f64[7]
    adagrad_step          &w:T[*n] &s:T[*n] <- dw:T[*n] hyper:f64[5] step:i64[P]
    adadelta_step         &w:T[*n] &v:T[*n] &u:T[*n] <- dw:T[*n] hyper:f64[5]
    lion_step             &w:T[*n] &m:T[*n] <- dw:T[*n] hyper:f64[5]
    schedule_free_weight  &average:f64[P,3] <- hyper:f64[8] step:i64[P]
    schedule_free_step    &w:T[*n] &z:T[*n] &v:T[*n] <- dw:T[*n] hyper:f64[8] average:f64[P,3] step:i64[P]
    muon_momentum         &b:T[*n] u:T[*n] <- dw:T[*n] hyper:f64[5]
    muon_step             &w:T[*n] <- u:T[*n] hyper:f64[5] scale:float
    lerp                  &x:T[*n] <- y:T[*n] weight:f64[1]
    ema_step              &average:T[*n] <- w:T[*n] momentum:f64[1] step:i64[P]
    accumulate            &mean:T[*n] <- x:T[*n] share:f64[1]
    sum_squares           &total:f64[1] <- x:T[*n]
    clip_norm             &x:T[*n] <- total:f64[1] limit:f64[1]
    unit_norm             &x:T[*n] <- total:f64[1] eps:f64[1]
    clip_value            &x:T[*n] <- limit:f64[1]
"""
