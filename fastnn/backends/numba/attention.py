"""Attention and rotary positions, as the reference computes them."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..reference import attention

attention_forward = partial(attention.attention_forward, np)
attention_backward = partial(attention.attention_backward, np)
rotary = partial(attention.rotary, np)
