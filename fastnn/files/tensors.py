"""Files of tensors in the format of safetensors: a header in JSON, then the values, one tensor behind the other.

Files are read as hostile. Nothing is taken from the header before it is checked against the size of the file, and values are read
into memory, never mapped: a file that another process shortens meanwhile is an error and no signal.
"""

from __future__ import annotations

import io
import json
import math
import os
import stat
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .foreign import described
from .place import kind_of_node, write

Array = np.ndarray[Any, Any]
DTYPES = {
    **{name: f"<{kind}{size}" for name, kind, size in (("F64", "f", 8), ("F32", "f", 4), ("F16", "f", 2))},
    **{f"{letter}{8 * size}": f"<{kind}{size}" for letter, kind in (("I", "i"), ("U", "u")) for size in (8, 4, 2, 1)},
    "BOOL": "|b1",
    "BF16": "<u2",  # its bits, which are widened to float32
}
"""NumPy's names of the format's dtypes."""
MOST_HEADER = 100_000_000
"""Bytes of a header above which a file is refused, as the library safetensors does."""
CHECKSUM = "checksum"
"""The metadata's name of the CRC-32 of header and values."""
_NAMES = {np.dtype(text).newbyteorder("="): name for name, text in DTYPES.items() if name != "BF16"}


def save(path: Any, tensors: Mapping[str, Array], metadata: Mapping[str, str], op: str) -> None:
    """Write tensors and metadata, with a checksum of both, which `load` looks at."""
    header: dict[str, Any] = {}
    end, ordered = 0, sorted(tensors.items(), key=lambda item: -item[1].itemsize)  # so that all of them are aligned
    parts = []
    for name, a in ordered:
        begin, end = end, end + a.nbytes
        header[name] = {"dtype": _NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [begin, end]}
        parts.append(_bytes_of(np.ascontiguousarray(a, a.dtype.newbyteorder("<"))))
    header["__metadata__"] = dict(metadata)
    checksum = _checksum(header)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    header["__metadata__"][CHECKSUM] = f"crc32:{checksum:08x}"
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write(path, [len(text).to_bytes(8, "little"), text, *parts], op)


def load(path: Any, op: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the tensors and the metadata of a file.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, OSError: it cannot be read.
        ValueError: it is empty, truncated, damaged, or another library's.
    """
    name = os.fsdecode(path)
    if not os.path.exists(name):
        raise FileNotFoundError(f"{op}: there is no file {name}" if name else f"{op}: the path is empty")
    status = os.stat(name)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{op}: {name} is a folder; wanted a file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{op}: {name} is {kind_of_node(status.st_mode)}; wanted a file")
    try:
        with open(name, "rb", buffering=0) as f:
            return _read(f, os.fstat(f.fileno()).st_size, name)
    except ValueError as error:
        raise ValueError(f"{op}: {name}: {error}") from None


def _read(f: io.FileIO, size: int, name: str) -> tuple[dict[str, Array], dict[str, str]]:
    if not size:
        raise ValueError("it is empty, so truncated or no safetensors file")
    start = f.read(64) or b""
    length = int.from_bytes(start[:8], "little")
    if len(start) < 10 or length > size - 8 or start[8:9] != b"{":
        if length <= MOST_HEADER and start[8:9] == b"{":
            raise ValueError(f"it is truncated or no safetensors file: it has {size} bytes, but a header of {length}")
        raise ValueError(described(name, start) or "it is truncated or no safetensors file")
    if length > MOST_HEADER:
        raise ValueError(f"it has a header of {length} bytes, more than {MOST_HEADER}")
    f.seek(8)
    text = bytearray(length)
    _fill(f, memoryview(text))
    header = parsed(bytes(text), "the header")
    if not isinstance(header, dict):
        raise ValueError("it is damaged: its header is no dict")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("it is damaged: its metadata is no dict of texts")
    places = _places(header, size - 8 - length)
    stated = metadata.pop(CHECKSUM, None)
    checksum = _checksum({**header, "__metadata__": metadata}) if stated is not None else 0
    tensors = {}
    for key, dtype, shape in places:
        a = np.empty(shape, DTYPES[dtype])
        view = _bytes_of(a)
        _fill(f, view)
        if stated is not None:
            checksum = zlib.crc32(view, checksum)
        if dtype == "BOOL" and a.view(np.uint8).max(initial=0) > 1:
            raise ValueError(f"it is damaged: the tensor {short(repr(key))} has other values than True and False")
        tensors[key] = _widened(a) if dtype == "BF16" else a.astype(a.dtype.newbyteorder("="), copy=False)
    if stated is not None and stated != f"crc32:{checksum:08x}":
        raise ValueError("it is damaged: its checksum is another than that of what it holds")
    return tensors, metadata


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
    """A text of the file's, without the middle of a long one."""
    return text if len(text) <= 160 else f"{text[:80]} ... {text[-80:]}"


def _places(header: dict[str, Any], size: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """Check what the header says of the tensors; return their names, dtypes and shapes in the order of their values."""
    found = []
    for key, entry in header.items():
        where = f"it is damaged: the tensor {short(repr(key))}"
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"{where} has no dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ValueError(f"the tensor {short(repr(key))} has the dtype {short(str(dtype))}; fastnn reads {', '.join(DTYPES)}")
        if not _sizes(shape) or len(shape) > 32:
            raise ValueError(f"{where} has the shape {short(str(shape))}")
        if not _sizes(offsets) or len(offsets) != 2:
            raise ValueError(f"{where} has the data_offsets {short(str(offsets))}")
        begin, end = offsets
        if math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize != end - begin:
            raise ValueError(f"{where} has the shape {short(str(shape))} and {end - begin} bytes")
        found.append((begin, end, key, dtype, tuple(shape)))
    found.sort(key=lambda item: item[:2])
    last = 0
    for begin, end, key, _, _ in found:
        if begin != last:
            raise ValueError(f"it is damaged: the values of {short(repr(key))} begin at {begin}, those before them end at {last}")
        last = end
    if last != size:
        how = "it is truncated or no safetensors file" if last > size else "it is damaged"
        raise ValueError(f"{how}: it has {size} bytes of values, its header tells of {last}")
    return [item[2:] for item in found]


def _sizes(value: Any) -> bool:
    """Whether this is a list of sizes."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def _bytes_of(a: Array) -> memoryview:
    flat: Any = a.reshape(-1).view(np.uint8)
    return memoryview(flat)


def _fill(f: io.FileIO, room: memoryview) -> None:
    while len(room):
        if not (n := f.readinto(room)):
            raise ValueError("it was shortened while it was read")
        room = room[n:]


def _checksum(header: dict[str, Any]) -> int:
    """The CRC-32 of what a header says, in whatever order and with whatever spaces."""
    return zlib.crc32(json.dumps(header, sort_keys=True, separators=(",", ":")).encode())


def _widened(bits: Array) -> Array:
    """bfloat16 as float32, which has all of its numbers."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
