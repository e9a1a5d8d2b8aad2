"""Choice of the next token of a sequence."""

from __future__ import annotations

KERNELS = """
    sample_tokens  token:i64[N] w:f64[N,V] <- logits:T[N,V] settings:f64[5] seed:u64[N] position:i64[N] previous:i64[N,L]?
                     count:i64[N]?
"""
