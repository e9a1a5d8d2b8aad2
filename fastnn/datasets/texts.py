"""Read texts, the sample in the package and those in files, and write the token ids of a text to a file."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from collections.abc import Iterator
from itertools import chain

import numpy as np

from ..files.place import target_of, write
from ..text.base import Tokenizer

PIECE = 1 << 20
"""Number of characters of a file that are tokenized at a time, up to the end of a line."""
LONGEST_LINE = 1 << 24
"""Number of characters after which a line is cut."""


def sample() -> str:
    """Return the text in the package; see `fastnn.datasets.text`."""
    with gzip.open(os.path.join(os.path.dirname(__file__), "moby_dick.txt.gz"), "rb") as f:
        return f.read().decode()


def read_text(path: str | os.PathLike[str], op: str) -> str:
    """Return the text of a file in UTF-8."""
    return "".join(pieces(path, op))


def pieces(path: str | os.PathLike[str], op: str) -> Iterator[str]:
    """Yield the text of a file in UTF-8 in pieces that end with a line.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no text in UTF-8, or empty.
    """
    name = os.fsdecode(path)
    if not os.path.isfile(name):
        raise FileNotFoundError(f"{op}: there is no file {name!r}")
    empty = True
    with open(name, encoding="utf-8", newline="") as f:
        try:
            while piece := f.read(PIECE):
                empty = False
                yield piece + f.readline(LONGEST_LINE)
        except UnicodeDecodeError as error:
            raise ValueError(f"{op}: {name} is no text in UTF-8: {error.reason}") from None
    if empty:
        raise ValueError(f"{op}: {name} is empty")


def tokenize(path: str | os.PathLike[str], tokenizer: Tokenizer, to: str | os.PathLike[str]) -> int:
    """Write the ids of a text; see `fastnn.datasets.tokenize`."""
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"tokenize: tokenizer is a {type(tokenizer).__name__}; wanted one of fastnn.text")
    target = target_of(to, "tokenize", ".npy")
    if os.path.splitext(target)[1] != ".npy":
        raise ValueError(f"tokenize: {os.fsdecode(to)}: wanted a name that ends in .npy")
    dtype, n = np.dtype("<u2" if len(tokenizer) <= 1 << 16 else "<i4"), 0
    with tempfile.TemporaryFile(dir=os.path.dirname(target)) as ids:
        for piece in pieces(path, "tokenize"):
            n += ids.write(tokenizer.encode(piece).astype(dtype).tobytes()) // dtype.itemsize
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": dtype.str, "fortran_order": False, "shape": (n,)})
        ids.seek(0)
        write(target, chain([header.getvalue()], iter(lambda: ids.read(PIECE), b"")), "tokenize", ".npy")
    return n
