"""Dropout, noise and random numbers."""

from __future__ import annotations

KERNELS = """
    dropout_forward            y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] rate:f64[1]
    dropout_backward           dx:T[*n] <- dy:T[*n] aux:u64[2] rate:f64[1]
    alpha_dropout_forward      y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] rate:f64[1]
    alpha_dropout_backward     dx:T[*n] <- dy:T[*n] aux:u64[2] rate:f64[1]
    gaussian_dropout_forward   y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] rate:f64[1]
    gaussian_dropout_backward  dx:T[*n] <- dy:T[*n] aux:u64[2] rate:f64[1]
    gaussian_noise_forward     y:T[*n] aux:u64[2] &state:u64[2] <- x:T[*n] stddev:f64[1]
    random_uniform             y:T[*n] aux:u64[2] &state:u64[2] <-
    random_normal              y:T[*n] aux:u64[2] &state:u64[2] <-
    random_integers            y:i64[*n] aux:u64[2] &state:u64[2] <- low:int last:int
"""
