"""Arrays from .npy and .npz files of strangers: no objects, and no more memory than a file of that size may ask for."""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

Array = np.ndarray[Any, Any]

RATIO = 100
"""So many times its size may a compressed file grow; DEFLATE could make a thousand of it."""
SMALL = 1 << 28
"""The bytes that a compressed file may hold however small it is."""
_DAMAGED = (ValueError, EOFError, OSError, RuntimeError, NotImplementedError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)


def most_bytes(size: int) -> int:
    """Return how many bytes a compressed file of this size may hold."""
    return max(SMALL, RATIO * size)


def read_npz(file: Path, names: tuple[str, ...] | None = None) -> dict[str, Array]:
    """Return those of the arrays that an .npz file has, by default all; ValueError if it cannot be read."""
    try:
        with zipfile.ZipFile(file) as archive:
            here, left, found = archive.namelist(), most_bytes(file.stat().st_size), {}
            for name in [entry.removesuffix(".npy") for entry in here] if names is None else names:
                if (entry := f"{name}.npy") in here:
                    with archive.open(entry) as f:
                        found[name] = _read(f, left)
                    left -= found[name].nbytes
            return found
    except _DAMAGED as e:
        raise ValueError(f"{file} cannot be read as an .npz file of plain arrays: {_line(e)}") from e


def read_npy(file: Path) -> Array:
    """Return the array in an .npy file; ValueError if it cannot be read."""
    try:
        with open(file, "rb") as f:
            return _read(f, os.fstat(f.fileno()).st_size)
    except _DAMAGED as e:
        raise ValueError(f"{file} cannot be read as an .npy file of a plain array: {_line(e)}") from e


def _line(error: Exception) -> str:
    """Return the first line of an error's text: NumPy's go on with advice to callers of other functions."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _read(f: IO[bytes], most: int) -> Array:
    version = np.lib.format.read_magic(f)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it has format version {version}, wanted 1.0 or 2.0")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(f)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"its header has the shape {shape}")
    size = math.prod(shape) * dtype.itemsize
    if size > most:
        raise ValueError(f"an array of shape {shape} has {size} bytes, but the file may hold {most}")
    data = read_bytes(f, size)
    if len(data) < size:
        raise ValueError(f"it ends after {len(data)} of {size} bytes")
    return np.frombuffer(data, dtype, math.prod(shape)).reshape(shape, order="F" if by_columns else "C")


def read_bytes(f: IO[bytes], n: int) -> bytearray:
    """Read up to n bytes; memory grows with what is really there."""
    data = bytearray()
    while len(data) < n and (chunk := f.read(min(1 << 20, n - len(data)))):
        data += chunk
    return data
