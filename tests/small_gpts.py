"""Small GPTs for the tests of generate."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn
from fastnn.models import GPT

KINDS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": {"kv_heads": 1, "positions": "rotary", "norm": "rms", "feed_forward": "swiglu", "bias": False, "tied": False},
    "alibi": {"positions": "alibi"},
    "first": {"positions": "sinusoidal", "norm_first": False},
    "window": {"positions": "none", "window": 3},
}
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 0]]


@fastnn.no_grad()
def make(kind: str = "gpt2", vocabulary: int = 11, context: int = 24, **more: Any) -> GPT:
    """A model with large weights, so that its tokens depend on all those before."""
    fastnn.seed(1)
    model = GPT(vocabulary, context, 8, 2, 2, **KINDS[kind], **more)
    for p in model.parameters():
        p.copy_(p.numpy() + 0.4 * np.random.default_rng(p.size).standard_normal(p.shape))
    return model
