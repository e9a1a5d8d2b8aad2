"""Define what all tokenizers share: the interface, checks of texts and ids, and files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

Array = np.ndarray[Any, Any]

MOST_BYTES = 50_000_000
"""Largest size of a file of a tokenizer."""
KINDS: dict[str, type[Tokenizer]] = {}
"""Classes of tokenizers by their names in files."""


class Tokenizer:
    """Base of tokenizers. `model.tokenizer` is saved with a model, so that it can write text once it is loaded.

    Subclasses define `encode`, `__len__`, `get_config` and `_texts`.
    """

    kind: ClassVar[str]
    """Name of the class in files."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in vars(cls):
            KINDS[cls.kind] = cls

    def encode(self, text: str) -> Array:
        """Return the ids of a text, int64 (n,)."""
        raise NotImplementedError

    def decode(self, ids: Any) -> str:
        """Return the text of ids, which are whole numbers in an array, a list or a Tensor of one axis.

        Raises:
            TypeError, ValueError: the ids are no whole numbers of one axis, or one is no token; the message has its position.
        """
        stream = self.stream()
        return stream.feed(ids) + stream.end()

    def stream(self) -> Stream:
        """Return an object that decodes ids which come one after the other, as while a model writes.

        >>> from fastnn.text import ByteTokenizer
        >>> stream = ByteTokenizer().stream()
        >>> [stream.feed(i) for i in "né".encode()]
        ['n', '', 'é']
        """
        raise NotImplementedError

    def __len__(self) -> int:
        """Return the number of tokens; ids are below it."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes the tokenizer of, for JSON."""
        raise NotImplementedError

    @classmethod
    def _of_config(cls, config: Mapping[str, Any]) -> Tokenizer:
        """Make a tokenizer from a config, whose keys are those of `get_config` except the kind."""
        return cls(**config)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to a JSON file, which `fastnn.text.load` reads."""
        from ..files.place import write

        write(path, [json.dumps(self.get_config()).encode()], "save")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Tokenizer) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), len(self)))

    def __reduce__(self) -> Any:
        return from_config, (self.get_config(),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} tokens)"

    def _checked_text(self, text: Any, op: str = "encode") -> str:
        if not isinstance(text, str):
            raise TypeError(f"{type(self).__name__}.{op}: text is a {type(text).__name__}; wanted a string")
        return text

    def _checked_ids(self, ids: Any) -> Array:
        """Return ids as int64 (n,)."""
        op, n = f"{type(self).__name__}.decode", len(self)
        a = np.asarray(ids.numpy() if hasattr(ids, "numpy") else ids)
        if a.size == 0:
            a = a.astype(np.int64)
        if a.dtype.kind not in "iu" or a.ndim > 1:
            raise TypeError(f"{op}: ids are {a.dtype} of shape {a.shape}; wanted whole numbers of one axis")
        bad = (a < 0) | (a >= n)
        if bad.any():
            i = int(np.atleast_1d(bad).argmax())
            raise ValueError(f"{op}: ids[{i}] is {a.reshape(-1)[i]}, but there are {n} tokens, 0 to {n - 1}")
        return a.reshape(-1).astype(np.int64)


class Stream:
    """Decoder of ids that come one after the other."""

    def feed(self, ids: Any) -> str:
        """Return the text of the next ids, a number or several. Bytes of a character that is not complete wait."""
        raise NotImplementedError

    def end(self) -> str:
        """Return the text that waits; bytes that are no characters are U+FFFD."""
        return ""


def from_config(config: Any) -> Tokenizer:
    """Make a tokenizer from the result of its `get_config`.

    Raises:
        ValueError: the config is no such result; the message says what is wrong.
        ImportError: the tokenizer needs the package tokenizers, which is missing.

    >>> from fastnn.text import CharTokenizer
    >>> from_config(CharTokenizer("abc").get_config()).decode([2, 0, 1])
    'cab'
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"tokenizer: the description is a {type(config).__name__}; wanted a dict")
    kind = config.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"tokenizer: the kind is {str(kind)[:40]!r}; wanted {', '.join(sorted(KINDS))}")
    rest = {str(key): value for key, value in config.items() if key != "kind"}
    try:
        return KINDS[kind]._of_config(rest)
    except TypeError as error:
        raise ValueError(f"tokenizer: the description of a {kind} tokenizer is damaged: {str(error)[:200]}") from None


def load(path: str | os.PathLike[str]) -> Tokenizer:
    """Read a tokenizer from a file that `save` wrote, or from a tokenizer.json of the package tokenizers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or no tokenizer's; the message says what is wrong.
        ImportError: the tokenizer needs the package tokenizers, which is missing.
    """
    from ..files.tensors import parsed

    name = os.fsdecode(path)
    try:
        config = parsed(contents(path, "load"), "the file")
        if isinstance(config, dict) and "kind" not in config and "model" in config:
            config = {"kind": "bpe", "description": config}
        return from_config(config)
    except ValueError as error:
        raise ValueError(f"load: {name}: {error}") from None


def contents(path: str | os.PathLike[str], op: str) -> bytes:
    """Return the bytes of a file of a tokenizer."""
    name = os.fsdecode(path)
    if not os.path.exists(name):
        raise FileNotFoundError(f"{op}: there is no file {name!r}")
    if not os.path.isfile(name):
        raise ValueError(f"{op}: {name} is no regular file")
    with open(name, "rb") as f:
        data = f.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{op}: {name} has more than {MOST_BYTES} bytes; no tokenizer has so many")
    return data


def texts_of(value: Any, what: str) -> list[str]:
    """Return a list of different texts that are not empty."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise TypeError(f"{what} are {str(value)[:40]!r}; wanted a list of strings that are not empty")
    if len(set(value)) < len(value):
        seen: set[str] = set()
        twice = next(item for item in value if item in seen or seen.add(item))  # type: ignore[func-returns-value]
        raise ValueError(f"{what} have {twice[:40]!r} twice; wanted different ones")
    return list(value)


def check_utf8(text: str, op: str) -> bytes:
    """Return a text as UTF-8; ValueError if it has half of a surrogate pair, which UTF-8 cannot express."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        i = error.start
        raise ValueError(f"{op}: text[{i}] is {text[i]!r}, half of a surrogate pair, which UTF-8 cannot express") from None
