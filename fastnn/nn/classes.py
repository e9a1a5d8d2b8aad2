"""What a model knows about its data: the names of its classes, what it was trained on, its tokenizer, its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..tables.encoder import Encoder
    from ..text.base import Tokenizer

MOST_LETTERS = 1000
"""Largest length of a name."""


def names_or_none(value: Any, what: str) -> list[str] | None:
    """Return a list of class names, or None.

    Raises:
        TypeError: the value is no list or tuple of strings.
        ValueError: a name is empty, too long, not printable, or occurs twice.
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"{what} is {str(value)[:40]!r}; wanted a list of strings")
    for name in value:
        text_or_none(name, what)
    if len(set(value)) < len(value):
        twice = next(name for i, name in enumerate(value) if name in value[:i])
        raise ValueError(f"{what} has {twice[:40]!r} twice; wanted different names")
    return list(value)


def text_or_none(value: Any, what: str) -> str | None:
    """Return a name, or None.

    Raises:
        TypeError: the value is no string.
        ValueError: the string is empty, too long or not printable.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{what} is {str(value)[:40]!r}; wanted a string")
    if not value.isprintable() or not 0 < len(value) <= MOST_LETTERS:
        raise ValueError(f"{what} has {value[:40]!r}; wanted a name of at most {MOST_LETTERS} letters that can be printed")
    return value


def tokenizer_or_none(value: Any, what: str) -> Tokenizer | None:
    """Return a tokenizer, or None. A dict is what a file has of a tokenizer.

    Raises:
        TypeError: the value is no tokenizer.
        ValueError: the dict describes none.
    """
    if value is None:
        return None
    from ..text import Tokenizer, from_config

    if isinstance(value, dict):
        return from_config(value)
    if not isinstance(value, Tokenizer):
        raise TypeError(f"{what} is {str(value)[:40]!r}; wanted a tokenizer of fastnn.text")
    return value


def encoder_or_none(value: Any, what: str) -> Encoder | None:
    """Return the encoder of a table, or None. A dict is what a file has of an encoder.

    Raises:
        TypeError: the value is no encoder.
        ValueError: the dict describes none.
    """
    if value is None:
        return None
    from ..tables.encoder import Encoder

    if isinstance(value, dict):
        return Encoder.from_config(value)
    if not isinstance(value, Encoder):
        raise TypeError(f"{what} is {str(value)[:40]!r}; wanted a fastnn.tables.Encoder")
    return value
