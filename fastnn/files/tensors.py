"""Reads and writes files of tensors. safetensors reads and writes the format; this module checks the rest.

Files are not trusted. They are read into memory and never mapped: if another process shortens a file at that time, an error is
raised instead of a signal. The metadata that fastnn writes has a checksum of the contents.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeVar

import numpy as np

from .foreign import described
from .names import name_of
from .place import failed, kind_of_node, write

Array = np.ndarray[Any, Any]
T = TypeVar("T")
DTYPES = {
    **{name: f"<{kind}{size}" for name, kind, size in (("F64", "f", 8), ("F32", "f", 4), ("F16", "f", 2))},
    **{f"{letter}{8 * size}": f"<{kind}{size}" for letter, kind in (("I", "i"), ("U", "u")) for size in (8, 4, 2, 1)},
    "BOOL": "|b1",
    "BF16": "<u2",  # its bits, which are converted to float32
}
"""NumPy's names of dtypes, by the names in the format."""
NAMES = {np.dtype(own): name for name, own in DTYPES.items() if name != "BF16"}
"""Names of dtypes in the format, by NumPy's dtypes."""
METADATA = "__metadata__"
"""Key of the metadata, which is among the names of tensors."""
HEADER_FACTOR = 8
"""Largest number of bytes of memory for one byte of a header."""
KEYS = {"dtype": 0, "shape": 0, "data_offsets": 0}.keys()
"""Keys of a tensor in the header."""
MOST_HEADER = 100_000_000
"""Largest size of a header in bytes, as in safetensors."""
CHECKSUM = "checksum"
"""Key of the CRC-32 of the contents, in the metadata."""


def save(path: Any, tensors: Mapping[str, Array], metadata: Mapping[str, str], op: str) -> None:
    """Write tensors and metadata, with a checksum of both, which `load` checks.

    Raises:
        OSError: the file cannot be written.
        ValueError: the format does not support a name or dtype, or the header is too large.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save as serialized

    whole = {name: np.ascontiguousarray(a, a.dtype.newbyteorder("<")).reshape(a.shape) for name, a in tensors.items()}
    for name, a in whole.items():
        if name == METADATA:
            raise ValueError(f"{op}: an array cannot be named {name!r}, which files use themselves")
        if a.dtype not in NAMES:
            raise ValueError(f"{op}: the array {name!r} is {a.dtype}; wanted one of {', '.join(map(str, NAMES))}")
    _check_memory(3 * sum(a.nbytes for a in whole.values()))
    try:
        content = memoryview(serialized(whole, {**metadata, CHECKSUM: _checksum(whole, metadata)}))
    except SafetensorError as error:
        raise ValueError(
            f"{op}: {len(whole)} arrays and {sum(map(len, metadata.values()))} bytes of settings make no file: {error}"
        ) from None
    # The library writes metadata in any order. It is sorted here, so that equal models give equal files.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(bytes(content[8 : 8 + length]))
    header[METADATA] = dict(sorted(header[METADATA].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write(path, [len(text).to_bytes(8, "little"), text, content[8 + length :]], op)


def load(path: Any, op: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the tensors and the metadata of a file.

    Raises the errors of `opened`, also for a file that another library wrote.
    """
    return opened(path, op, read)


def opened(path: Any, op: str, read: Callable[[BinaryIO, int, str], T]) -> T:
    """Open a file, and return what a function reads from it, given the file, its size and its name.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, OSError: the file cannot be read.
        TypeError: `path` is not a path.
        ValueError: the file is empty, truncated, damaged, or written by another library.
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
            return read(f, os.fstat(f.fileno()).st_size, name)
    except ValueError as error:
        raise ValueError(f"{op}: {name}: {error}") from None
    except OSError as error:
        raise failed(error, op, name, "read") from error


def read(f: BinaryIO, size: int, name: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the tensors and the metadata of an open file."""
    from safetensors import SafetensorError, deserialize

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
    f.seek(0)
    content = f.read(size)
    if len(content) < size:
        raise ValueError("it was shortened while it was read")
    header = parsed(content[8 : 8 + length], "the header")
    metadata = header.get(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("it is damaged: its metadata is no dict of texts")
    for key, entry in header.items():
        if key != METADATA and isinstance(entry, dict) and entry.keys() != KEYS:
            raise ValueError(
                f"it is damaged: {short(repr(key))} has the keys {short(', '.join(sorted(entry)))}; wanted {', '.join(KEYS)}"
            )
    _check_memory(size + HEADER_FACTOR * length)
    try:
        entries = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(f"it is truncated or no safetensors file ({short(str(error))})") from None
    tensors = {key: _array(key, entry) for key, entry in entries}
    stated = metadata.pop(CHECKSUM, None)
    if stated is not None and stated != _checksum(tensors, metadata):
        raise ValueError("it is damaged: its checksum is another than that of what it holds")
    return {key: _native(a, entry["dtype"]) for (key, entry), a in zip(entries, tensors.values(), strict=True)}, metadata


def _check_memory(size: int) -> None:
    """Raise MemoryError unless this many bytes are available. Without them, the library would end the process."""
    np.empty(size, np.uint8)


def _array(key: str, entry: dict[str, Any]) -> Array:
    """Return the values of a tensor as in the file; they share memory with the entry."""
    dtype = entry["dtype"]
    if dtype not in DTYPES:
        raise ValueError(f"the tensor {short(repr(key))} has the dtype {dtype}; fastnn reads {', '.join(DTYPES)}")
    if len(entry["shape"]) > 32:
        raise ValueError(f"it is damaged: the tensor {short(repr(key))} has {len(entry['shape'])} dimensions")
    try:
        a = np.frombuffer(entry["data"], DTYPES[dtype]).reshape(entry["shape"])
    except ValueError:  # sizes that are too large for NumPy, although another size is 0
        raise ValueError(f"it is damaged: the tensor {short(repr(key))} has the shape {short(str(entry['shape']))}") from None
    if dtype == "BOOL" and a.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f"it is damaged: the tensor {short(repr(key))} has other values than True and False")
    return a


def _native(a: Array, dtype: str) -> Array:
    """Return the values in the byte order of this machine. bfloat16 is converted to float32, which has all of its values."""
    if dtype == "BF16":
        return (a.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return a.astype(a.dtype.newbyteorder("="), copy=False)


def _checksum(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the CRC-32 of metadata and tensors; it does not depend on their order in the file."""
    ordered = sorted(tensors.items())
    what = [sorted(metadata.items()), [(name, a.dtype.str, a.shape) for name, a in ordered]]
    checksum = zlib.crc32(json.dumps(what).encode())
    for _, a in ordered:
        values: Any = a.reshape(-1).view(np.uint8)
        checksum = zlib.crc32(values, checksum)
    return f"crc32:{checksum:08x}"


def parsed(text: bytes | str, what: str) -> Any:
    """Read JSON. Raise ValueError if a dict contains a key twice."""
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
    """Return the path of an object in nested lists and dicts."""
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
    """Return a text of a file; the middle of a long text is left out."""
    return text if len(text) <= 160 else f"{text[:80]} ... {text[-80:]}"
