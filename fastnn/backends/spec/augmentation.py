"""Augmentation: images seen through an affine map of their coordinates."""

from __future__ import annotations

INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("constant", "nearest", "reflect", "wrap")

KERNELS = """
    affine_transform_forward   y:T[N,P,Q,C] <- x:T[N,H,W,C] matrix:f64[N,6]
                               interpolation:INTERPOLATIONS fill_mode:FILL_MODES fill_value:float
    affine_transform_backward  dx:T[N,H,W,C] <- dy:T[N,P,Q,C] matrix:f64[N,6]
                               interpolation:INTERPOLATIONS fill_mode:FILL_MODES
"""
