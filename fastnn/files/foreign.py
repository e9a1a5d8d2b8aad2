"""Recognizes files of other libraries by their first bytes."""

from __future__ import annotations

import os
import zipfile
import zlib

from .names import GGUF, JOBLIB, NUMPY, ONNX, PICKLE, SUFFIXES, TENSORFLOW, TORCH

OLD_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of files of PyTorch before version 1.6: a pickle of a number."""
_STARTS = (
    (OLD_TORCH, TORCH),
    (b"\x93NUMPY", NUMPY),
    (b"GGUF", GGUF),
    (b"version https://git-lfs", ("Git LFS", "it refers to a file that was not fetched: git lfs pull")),
    (b"\x1f\x8b", ("gzip", "unpack it first")),
    *((bytes([0x80, protocol]), PICKLE) for protocol in range(2, 6)),
)


def described(path: str, start: bytes) -> str | None:
    """Describe which library wrote a file, by its first bytes, and how to load its weights; None for unknown files."""
    known = next((whose for begin, whose in _STARTS if start.startswith(begin)), None)
    own = SUFFIXES.get(os.path.splitext(path)[1].lower())
    if start.startswith(b"PK"):
        known = _in_archive(path) or own or ("zip", "unpack it first")
    elif start[4:8] == b"TFL3":
        known = TENSORFLOW
    elif known is None or (known == PICKLE and own in (JOBLIB, TORCH)):
        # Protobuf has no fixed first bytes: an ONNX file begins with a version, then a field with text or a graph.
        onnx = len(start) > 2 and start[0] == 8 and start[1] < 32 and start[2] in b"\x12\x1a\x22\x2a\x32\x3a\x42"
        known = own or (ONNX if onnx else known)
    return None if known is None else f"it is a {known[0]} file; {known[1]}"


def _in_archive(path: str) -> tuple[str, str] | None:
    """Return the library that wrote a zip, by the names in it; None if they are unknown or cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, zlib.error):
        return None
    if any(is_main(name) for name in names):
        return TORCH
    return NUMPY if names and all(name.endswith(".npy") for name in names) else None


def is_main(name: str) -> bool:
    """Return whether a member of a zip with this name is the pickle of a file of PyTorch."""
    return name == "data.pkl" or name.endswith("/data.pkl")
