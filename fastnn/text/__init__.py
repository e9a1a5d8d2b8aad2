"""Turn text into token ids, whole numbers from 0, and ids into text again: tokenizers."""

from __future__ import annotations

from .base import Tokenizer, from_config, load
from .bpe import BPETokenizer
from .characters import ByteTokenizer, CharTokenizer
from .words import WordTokenizer

__all__ = ["BPETokenizer", "ByteTokenizer", "CharTokenizer", "Tokenizer", "WordTokenizer", "from_config", "load"]


def __dir__() -> list[str]:
    return sorted(__all__)
