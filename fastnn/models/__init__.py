"""Define models of sequences and tables: compositions of the layers of fastnn, each in one readable file.

They are modules like those that users write. They train by `fit` or in a custom loop, and are saved, frozen and copied like all
others.
"""

from ..core.lazy import lazily as _lazily

_NAMES = {
    ".attention": "CrossAttention SelfAttention",
    ".blocks": "Block FeedForward",
    ".cache": "Cache",
    ".encoder": "TextEncoder",
    ".gpt": "GPT",
    ".encoder_decoder": "EncoderDecoder",
    ".tabm": "TabM",
    ".tabular_residual": "TabularResidual",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES)
