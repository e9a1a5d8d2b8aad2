"""Files of tensors in the format safetensors: a header of JSON with names, dtypes, shapes and places, then the values.

The format is written and read here, not by the library of that name, which ends the process where there is not enough memory, and
holds the values once more. Files are read as hostile. They are read into memory, never mapped: a file that another process
shortens meanwhile is an error and no signal. The metadata of what fastnn writes has a checksum of all that the file holds.
"""

from __future__ import annotations

import json
import math
import os
import stat
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from .foreign import described
from .names import name_of
from .place import failed, kind_of_node, write

Array = np.ndarray[Any, Any]
DTYPES = {
    **{name: f"<{kind}{size}" for name, kind, size in (("F64", "f", 8), ("F32", "f", 4), ("F16", "f", 2))},
    **{f"{letter}{8 * size}": f"<{kind}{size}" for letter, kind in (("I", "i"), ("U", "u")) for size in (8, 4, 2, 1)},
    "BOOL": "|b1",
    "BF16": "<u2",  # its bits, which are widened to float32
}
"""NumPy's names of the format's dtypes."""
NAMES = {np.dtype(own): name for name, own in DTYPES.items() if name != "BF16"}
"""The format's names of dtypes."""
METADATA = "__metadata__"
"""What stands among the tensors' names and is none."""
KEYS = {"dtype": 0, "shape": 0, "data_offsets": 0}.keys()
"""What the header says of a tensor."""
MOST_HEADER = 100_000_000
"""Bytes of a header above which a file is refused, as safetensors does."""
SHORTENED = "it was shortened while it was read"
CHECKSUM = "checksum"
"""The metadata's name of the CRC-32 of all that the file holds."""


def save(path: Any, tensors: Mapping[str, Array], metadata: Mapping[str, str], op: str) -> None:
    """Write tensors and metadata, with a checksum of both, which `load` looks at.

    Raises:
        OSError: the file cannot be written.
        ValueError: the format has no such name or dtype.
    """
    whole = {name: np.ascontiguousarray(a, a.dtype.newbyteorder("<")).reshape(a.shape) for name, a in tensors.items()}
    header: dict[str, Any] = {METADATA: dict(sorted({**metadata, CHECKSUM: _checksum(whole, metadata)}.items()))}
    end, values = 0, []
    for name in sorted(whole, key=lambda name: (-whole[name].itemsize, name)):  # wide ones first: all are aligned
        a = whole[name]
        if name == METADATA:
            raise ValueError(f"{op}: an array cannot be named {name!r}, which files use themselves")
        if a.dtype not in NAMES:
            raise ValueError(f"{op}: the array {name!r} is {a.dtype}; wanted one of {', '.join(map(str, NAMES))}")
        begin, end = end, end + a.nbytes
        header[name] = {"dtype": NAMES[a.dtype], "shape": a.shape, "data_offsets": [begin, end]}
        values.append(a.reshape(-1).view(np.uint8))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write(path, [len(text).to_bytes(8, "little"), text, *values], op)


def load(path: Any, op: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the tensors and the metadata of a file.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, OSError: it cannot be read.
        TypeError: the path is none.
        ValueError: it is empty, truncated, damaged, or another library's.
    """
    name = name_of(path, op)
    try:
        status = os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{op}: there is no file {name}" if name else f"{op}: the path is empty") from None
    except OSError as error:
        raise failed(error, op, name, "read") from error
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{op}: {name} is a folder; wanted a file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{op}: {name} is {kind_of_node(status.st_mode)}; wanted a file")
    try:
        with open(name, "rb") as f:
            return _read(f, os.fstat(f.fileno()).st_size, name)
    except ValueError as error:
        raise ValueError(f"{op}: {name}: {error}") from None
    except OSError as error:
        raise failed(error, op, name, "read") from error


def _read(f: BinaryIO, size: int, name: str) -> tuple[dict[str, Array], dict[str, str]]:
    if not size:
        raise ValueError("it is empty, so truncated or no safetensors file")
    start = f.read(64)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 10 or length > size - 8 or start[8:9] != b"{":
        if length <= MOST_HEADER and start[8:9] == b"{":
            raise ValueError(f"it is truncated or no safetensors file: it has {size} bytes, but a header of {length}")
        raise ValueError(described(name, start) or "it is truncated or no safetensors file")
    if length > MOST_HEADER:
        raise ValueError(f"it has a header of {length} bytes, more than {MOST_HEADER}")
    f.seek(8)
    text = f.read(length)
    if len(text) < length:
        raise ValueError(SHORTENED)
    header = parsed(text, "the header")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("it is damaged: its metadata is no dict of texts")
    _check_entries(header, size - 8 - length)
    content = bytearray(size - 8 - length)
    if f.readinto(content) < len(content):  # type: ignore[attr-defined]
        raise ValueError(SHORTENED)
    tensors = {key: _array(key, entry, content) for key, entry in header.items()}
    stated = metadata.pop(CHECKSUM, None)
    if stated is not None and stated != _checksum(tensors, metadata):
        raise ValueError("it is damaged: its checksum is another than that of what it holds")
    return {key: _native(a, header[key]["dtype"]) for key, a in tensors.items()}, metadata


def _check_entries(header: dict[str, Any], size: int) -> None:
    """Raise ValueError unless a header describes tensors that fill so many bytes without gaps and overlaps."""
    spans = []
    for key, entry in header.items():
        what = f"it is damaged: the tensor {short(repr(key))}"
        if not isinstance(entry, dict) or entry.keys() != KEYS:
            came = ", ".join(sorted(entry)) if isinstance(entry, dict) else repr(entry)
            raise ValueError(f"{what} has {short(came)}; wanted {', '.join(KEYS)}")
        dtype, shape, offsets = (entry[key] for key in KEYS)
        if not isinstance(dtype, str) or dtype not in DTYPES:
            named = short(str(dtype))
            raise ValueError(f"the tensor {short(repr(key))} has the dtype {named}; fastnn reads {', '.join(DTYPES)}")
        if not _are_sizes(shape) or len(shape) > 32:
            raise ValueError(f"{what} has the shape {short(str(shape))}")
        if not _are_sizes(offsets) or len(offsets) != 2:
            raise ValueError(f"{what} has the data_offsets {short(str(offsets))}")
        begin, end = offsets
        if math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize != end - begin:
            raise ValueError(f"{what} of {dtype} and shape {short(str(shape))} has the data_offsets {short(str(offsets))}")
        spans.append((begin, end, key))
    at = 0
    for begin, end, key in sorted(spans):
        if begin != at:
            raise ValueError(f"it is damaged: the tensor {short(repr(key))} begins at {begin}, wanted {at}")
        at = end
    if at != size:
        raise ValueError(f"it is truncated or no safetensors file: its tensors have {at} bytes, but {size} follow the header")


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _array(key: str, entry: dict[str, Any], content: bytearray) -> Array:
    """Return a tensor's values as they stand in the file; they share memory with the content."""
    dtype = entry["dtype"]
    begin, end = entry["data_offsets"]
    try:
        a = np.frombuffer(memoryview(content)[begin:end], DTYPES[dtype]).reshape(entry["shape"])
    except ValueError:  # sizes that NumPy cannot count, beside a 0
        raise ValueError(f"it is damaged: the tensor {short(repr(key))} has the shape {short(str(entry['shape']))}") from None
    if dtype == "BOOL" and a.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f"it is damaged: the tensor {short(repr(key))} has other values than True and False")
    return a


def _native(a: Array, dtype: str) -> Array:
    """Return the values in the byte order of this machine; bfloat16 as float32, which has all of its numbers."""
    if dtype == "BF16":
        return (a.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return a.astype(a.dtype.newbyteorder("="), copy=False)


def _checksum(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the CRC-32 of metadata and tensors, in whatever order a file has them."""
    ordered = sorted(tensors.items())
    what = [sorted(metadata.items()), [(name, a.dtype.str, a.shape) for name, a in ordered]]
    checksum = zlib.crc32(json.dumps(what).encode())
    for _, a in ordered:
        values: Any = a.reshape(-1).view(np.uint8)
        checksum = zlib.crc32(values, checksum)
    return f"crc32:{checksum:08x}"


def parsed(text: bytes | str, what: str) -> Any:
    """Read JSON in which no key stands twice; ValueError says where one does."""
    doubled: list[tuple[dict[str, Any], str]] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            doubled.append((found, next(key for key, _ in pairs if key in seen or seen.add(key))))  # type: ignore[func-returns-value]
        return found

    try:
        if isinstance(text, bytes):
            text = text.decode()  # what is not UTF-8 is damaged, too
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise ValueError(f"it is damaged: {what} is no JSON") from None
    if doubled:
        inside, key = doubled[0]
        raise ValueError(f"it is damaged: {what}: {short(_where(value, inside))} has the key {short(repr(key))} twice")
    return value


def _where(root: Any, wanted: Any) -> str:
    """Say where in nested lists and dicts an object stands."""
    stack = [(root, "")]
    while stack:
        value, place = stack.pop()
        if value is wanted:
            return place.lstrip(".") or "it"
        if isinstance(value, dict):
            stack += [(inner, f"{place}.{key}") for key, inner in value.items() if isinstance(inner, dict | list)]
        elif isinstance(value, list):
            stack += [(inner, f"{place}[{i}]") for i, inner in enumerate(value) if isinstance(inner, dict | list)]
    return "it"


def short(text: str) -> str:
    """Return a text of the file's without the middle of a long one."""
    return text if len(text) <= 160 else f"{text[:80]} ... {text[-80:]}"
