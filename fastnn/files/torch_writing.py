"""Writes tensors, and dicts and lists of them, to files as `torch.save` does, without PyTorch and without its pickler."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from .place import write

_STORAGES = {
    "float64": "Double",
    "float32": "Float",
    "float16": "Half",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}
"""PyTorch's names of storages, by dtype."""
MAX_DEPTH = 100
SUFFIXES = (".pt", ".pth", ".ckpt")


def save(obj: Any, path: Any) -> None:
    """Write Tensors, or dicts and lists of them, to a file of PyTorch's format, as `torch.save` does.

    `fastnn.load` and `torch.load` read the file; both give the Tensors. Whole models are written by `Module.save`.

    Args:
        obj: a state_dict, or dicts, lists and tuples of Tensors, arrays, numbers, texts and None, nested to any depth: a
            checkpoint such as ``{"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict()}``.
        path: the file, usually named .pt or .pth. An existing file is replaced only after the new one is complete.

    Raises:
        OSError: the file cannot be written.
        TypeError: something else is in it, such as a model.
        ValueError: the suffix is that of files of another library.

    >>> import fastnn, tempfile, os
    >>> model = fastnn.nn.Linear(2, 1)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.pt")
    >>> fastnn.save(model.state_dict(), path)
    >>> model.load_state_dict(fastnn.load(path))
    """
    if hasattr(obj, "state_dict"):
        raise TypeError(
            f"save: a {type(obj).__name__} came, wanted Tensors, and dicts and lists of them; pass its state_dict(),"
            " or write the whole model by model.save(path)"
        )
    writer = _Pickle()
    writer.add(obj, "", 0)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        parts = {"data.pkl": b"\x80\x02" + bytes(writer.out) + b".", "byteorder": b"little", "version": b"3\n"}
        parts |= {f"data/{i}": a.tobytes() for i, a in enumerate(writer.arrays)}
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), part)  # without the time, so that equal values give equal files
    suffix = os.path.splitext(os.fsdecode(path))[1].lower() if isinstance(path, str | bytes | os.PathLike) else ""
    write(path, [content.getbuffer()], "save", suffix if suffix in SUFFIXES else "")


class _Pickle:
    """Instructions of a pickle that makes a value, and the arrays in it."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.arrays: list[np.ndarray[Any, Any]] = []

    def add(self, value: Any, place: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise TypeError(f"save: the value is nested more than {MAX_DEPTH} deep")
        out = self.out
        if isinstance(value, Tensor):
            value = value.detach().numpy()
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool):
            out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, np.ndarray):
            self._array(value, place)
        elif isinstance(value, int):
            self._whole(value)
        elif isinstance(value, float):
            out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            self._text(value)
        elif isinstance(value, list | tuple):
            out += b"](" if isinstance(value, list) else b"("
            for i, item in enumerate(value):
                self.add(item, f"{place}[{i}]", depth + 1)
            out += b"e" if isinstance(value, list) else b"t"
        elif isinstance(value, Mapping):
            out += b"}("
            for key, item in value.items():
                if not isinstance(key, str | int | float):
                    raise TypeError(f"save: the key {key!r} came{place and f' at {place}'}, wanted texts and numbers")
                self.add(key, place, depth + 1)
                self.add(item, f"{place}[{key!r}]", depth + 1)
            out += b"u"
        else:
            where = place and f" at {place}"
            raise TypeError(f"save: a {type(value).__name__} came{where}, wanted Tensors, numbers, texts, dicts and lists")

    def _whole(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
        else:
            digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(digits) > 255:
                raise TypeError("save: a whole number of more than 255 bytes came")
            self.out += b"\x8a" + bytes([len(digits)]) + digits

    def _text(self, value: str) -> None:
        text = value.encode("utf-8", "surrogatepass")
        self.out += b"X" + struct.pack("<I", len(text)) + text

    def _array(self, array: np.ndarray[Any, Any], place: str) -> None:
        """Add a call of PyTorch's function that makes a tensor of a storage."""
        kind = _STORAGES.get(array.dtype.name)
        if kind is None:
            raise TypeError(f"save: an array of {array.dtype} came{place and f' at {place}'}, wanted numbers or bools")
        whole = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        strides = tuple(n // whole.itemsize for n in whole.strides)
        out = self.out
        out += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        self._text("storage")
        out += f"ctorch\n{kind}Storage\n".encode()
        self._text(str(len(self.arrays)))
        self._text("cpu")
        self._whole(whole.size)
        out += b"tQ"
        for argument in (0, whole.shape, strides, False):
            self.add(argument, place, 0)
        out += b"ccollections\nOrderedDict\n)RtR"
        self.arrays.append(whole)
