"""Reads tensors in files that `torch.save` wrote, without PyTorch and without its unpickler.

Files are not trusted. Only tensors, dicts, lists, tuples, numbers and texts are read; `pickled.py` refuses anything else by name.
Tensors are parts of the file's contents, so that no file needs much more memory than its own size.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from .foreign import OLD_TORCH, is_main
from .pickled import Name, RefusedError, unpickled
from .tensors import MOST_HEADER, Array, short

_STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}
"""NumPy's names of the numbers in a storage."""
_DTYPES = frozenset(
    ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    + ["double", "float", "half", "long", "int", "short", "strided"]
)


def _known(name: Name) -> bool:
    return name.module == "torch" and (name.name in _STORAGES or name.name in _DTYPES)


def is_torch(start: bytes, names: list[str]) -> bool:
    """Return whether a file with these first bytes, and with these names if it is a zip, is one of PyTorch."""
    return start.startswith(OLD_TORCH) or any(map(is_main, names))


def read(f: BinaryIO, size: int) -> Any:
    """Return what a file of PyTorch holds, with arrays in place of tensors.

    Raises:
        ValueError: the file is damaged, or holds something else than tensors, dicts, lists, tuples, numbers and texts.
    """
    f.seek(0)
    try:
        return _old(f, size) if f.read(len(OLD_TORCH)) == OLD_TORCH else _archive(f, size)
    except RefusedError as error:
        raise ValueError(f"{error}; torch.save(module.state_dict(), path) writes weights without code") from None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error, struct.error) as error:
        raise ValueError(f"it is damaged: {short(str(error))}") from None


def _archive(f: BinaryIO, size: int) -> Any:
    """Read a zip: data.pkl, and a member with the bytes of each storage."""
    with zipfile.ZipFile(f) as archive:
        members = archive.infolist()
        names = [m.filename for m in members]
        if any(m.compress_type != zipfile.ZIP_STORED for m in members) or sum(m.file_size for m in members) > size:
            raise ValueError("it is damaged: PyTorch's archives are not compressed")
        if len(set(names)) < len(names):
            raise ValueError("it is damaged: it has two members of the same name")
        main = next(name for name in names if is_main(name))
        folder = main.removesuffix("data.pkl")
        if archive.getinfo(main).file_size > MOST_HEADER:
            raise ValueError(f"its data.pkl is larger than {MOST_HEADER} bytes")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise ValueError("it is damaged: its byte order is unknown")
        contents: dict[str, bytearray] = {}

        def content(key: str) -> bytearray:
            if key not in contents:
                if f"{folder}data/{key}" not in names:
                    raise ValueError(f"there is no storage {short(key)}")
                contents[key] = bytearray(archive.read(f"{folder}data/{key}"))
            return contents[key]

        return _value(io.BytesIO(archive.read(main)), content, "<" if order == b"little" else ">")


def _old(f: BinaryIO, size: int) -> Any:
    """Read a file before PyTorch 1.6, after its first pickle: pickles of the version, system, value and keys; then storages."""
    plain: Callable[[Any], Any] = lambda key: None  # noqa: E731
    protocol, system = (unpickled(f, {}, lambda name: False, plain) for _ in range(2))
    if protocol != 1001 or not isinstance(system, dict):
        raise ValueError("it is damaged: its version is unknown")
    begin, kinds = f.tell(), dict[str, str]()

    def noted(given: Any) -> None:
        kind, key, _ = _storage(given)
        kinds[key] = kind

    unpickled(f, dict.fromkeys(_functions(), lambda *args: None), _known, noted)
    keys = unpickled(f, {}, lambda name: False, plain)
    contents: dict[str, bytearray] = {}
    for key in keys if isinstance(keys, list) else ():
        if key not in kinds:
            raise ValueError("it is damaged: it has a storage that no tensor uses")
        (count,) = struct.unpack("<q", f.read(8))
        wanted = count * (2 if kinds[key] == "bfloat16" else np.dtype(kinds[key]).itemsize)
        if not 0 <= wanted <= size - f.tell():
            raise ValueError("it is truncated")
        contents[key] = bytearray(f.read(wanted))
    f.seek(begin)
    return _value(f, lambda key: contents[key], "<")


def _value(f: BinaryIO, content: Callable[[str], bytearray], order: str) -> Any:
    """Return the value of a pickle, whose storages have these contents."""
    storages: dict[tuple[str, str], Array] = {}

    def storage(given: Any) -> Array:
        kind, key, count = _storage(given)
        if (kind, key) not in storages:
            own = np.frombuffer(content(key), f"{order}{'u2' if kind == 'bfloat16' else kind}")
            if kind == "b1" and own.view(np.uint8).max(initial=0) > 1:
                raise ValueError("a storage has other values than True and False")
            if kind == "bfloat16":
                own = (own.astype(np.uint32) << np.uint32(16)).view(np.float32)
            native = (order == "<") == (sys.byteorder == "little")
            storages[kind, key] = own if native else own.astype(own.dtype.newbyteorder("="))
        if len(storages[kind, key]) != count:
            raise ValueError(f"storage {short(key)} has {len(storages[kind, key])} numbers, but tensors of {count}")
        return storages[kind, key]

    return unpickled(f, _functions(), _known, storage)


def _storage(given: Any) -> tuple[str, str, int]:
    """Return the kind of numbers, the key and the number of elements of a storage in a pickle."""
    if not isinstance(given, tuple) or len(given) < 5 or given[0] != "storage" or not isinstance(given[1], Name):
        raise ValueError("a persistent id that is no storage")
    if len(given) > 5 and given[5] is not None:
        raise RefusedError("it has storages that are parts of others, which PyTorch wrote before version 0.4")
    if given[1].name not in _STORAGES:
        raise RefusedError(f"it has a storage of {short(str(given[1]))}, which fastnn does not read")
    if type(given[2]) is not str or type(given[4]) is not int:
        raise ValueError("a storage without a key")
    return _STORAGES[given[1].name], given[2], given[4]


def _functions() -> dict[Name, Callable[..., Any]]:
    """Return what may be called in a file, by name."""
    return {
        Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
        Name("torch._utils", "_rebuild_tensor"): _tensor,
        Name("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        Name("torch", "Size"): lambda sizes: tuple(sizes),
        Name("torch", "device"): lambda *place: "",
    }


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Array:
    """Return a part of a storage."""
    whole = [offset, *size, *stride]
    if not isinstance(storage, np.ndarray) or not all(type(n) is int and n >= 0 for n in whole) or len(size) > 32:
        raise ValueError("a tensor without numbers or with unknown sizes")
    count = math.prod(size)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if count else 0
    if count > len(storage) or last >= max(len(storage), 1):
        raise ValueError(f"a tensor of shape {short(str(tuple(size)))} in a storage of {len(storage)} numbers")
    if not count:
        return np.empty(size, storage.dtype)
    steps = [s * storage.itemsize if n > 1 else 0 for n, s in zip(size, stride, strict=True)]
    return np.ndarray(size, storage.dtype, storage, offset * storage.itemsize, steps)
