"""Reads the contents of Keras's files by h5py: models (.keras, .h5) and weights (.weights.h5).

Files are not trusted: the arrays in a file have to be in the file itself, uncompressed, and together no larger than it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any, BinaryIO, NamedTuple

from .tensors import MOST_HEADER, Array, parsed, short

HDF5 = b"\x89HDF\r\n\x1a\n"
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
"""Members of a .keras file: the layers, and their weights."""
MOST_ARRAYS = 100_000
"""Largest number of arrays and groups in a file."""
MAX_DEPTH = 100


class KerasFile(NamedTuple):
    """Contents of a file of Keras."""

    config: dict[str, Any] | None
    """Class and config of the model; None in a file of weights."""
    tree: dict[str, Any]
    """Arrays by name, in nested dicts as in the file. In files before Keras 3, a dict of each layer by its name."""
    lists: dict[str, list[Array]] | None
    """In files before Keras 3, the arrays of each layer in order, by its name; else None."""

    def flat(self) -> dict[str, Array]:
        """Return the arrays by their paths."""
        found: dict[str, Array] = {}
        stack: list[tuple[str, Any]] = [("", self.tree)]
        while stack:
            path, item = stack.pop()
            if isinstance(item, dict):
                stack += [(f"{path}/{key}" if path else key, inner) for key, inner in reversed(item.items())]
            else:
                found[path] = item
        return found


def is_keras(start: bytes, names: list[str]) -> bool:
    """Return whether a file with these first bytes, and with these names if it is a zip, is one of Keras."""
    return start.startswith(HDF5) or (CONFIG in names and any(name.endswith(".h5") for name in names))


def read(f: BinaryIO, size: int) -> KerasFile:
    """Return the contents of a file.

    Raises:
        ImportError: h5py is not installed.
        ValueError: the file is damaged, or larger in memory than in the file.
    """
    f.seek(0)
    if f.read(2) != b"PK":
        return _hdf5(f, size, None)
    try:
        with zipfile.ZipFile(f) as archive:
            if sum(m.file_size for m in archive.infolist()) > size:
                raise ValueError("it is damaged: Keras's archives are not compressed")
            if WEIGHTS not in archive.namelist():
                raise ValueError(f"it has no {WEIGHTS}; wanted a model that Keras saved in one file")
            config = parsed(archive.read(CONFIG), CONFIG)
            weights = archive.read(WEIGHTS)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        raise ValueError(f"it is damaged: {short(str(error))}") from None
    return _hdf5(io.BytesIO(weights), len(weights), config)


def _hdf5(f: BinaryIO, size: int, config: Any) -> KerasFile:
    try:
        import h5py
    except ImportError:
        raise ImportError("files of Keras are read by h5py: pip install 'fastnn[h5]'") from None
    try:
        with h5py.File(f, "r") as file:
            text = file.attrs.get("model_config")
            if config is None and text is not None:
                if len(text) > MOST_HEADER:
                    raise ValueError(f"its model_config is larger than {MOST_HEADER} bytes")
                config = parsed(text, "model_config")
            root = file["model_weights"] if isinstance(file.get("model_weights"), h5py.Group) else file
            tree = _tree(h5py, root, size)
            lists = None
            if "layer_names" in root.attrs:
                lists = {name: _of_layer(root, tree, name) for name in _texts(root.attrs["layer_names"])}
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it is damaged: {short(str(error))}") from None
    if config is not None and not isinstance(config, dict):
        raise ValueError("it is damaged: its config is no dict")
    return KerasFile(config, tree, lists)


def _tree(h5py: Any, root: Any, size: int) -> dict[str, Any]:
    """Return the arrays in a group and in the groups in it. Links to other places are not followed."""
    found: dict[str, Any] = {}
    left, count = size, 0
    stack = [(root, found, 0)]
    while stack:
        group, into, depth = stack.pop()
        for name in group:
            count += 1
            if count > MOST_ARRAYS or depth > MAX_DEPTH:
                raise ValueError(f"it has more than {MOST_ARRAYS} arrays, or groups in more than {MAX_DEPTH} others")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"it has a link, {short(name)!r}, and no array there")
            item = group[name]
            if isinstance(item, h5py.Group):
                into[name] = {}
                stack.append((item, into[name], depth + 1))
                continue
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub" or item.external or item.is_virtual:
                raise ValueError(f"{short(item.name)!r} is no array of numbers in this file")
            left -= item.nbytes
            if left < 0:
                raise ValueError("it is damaged: its arrays are larger than the file")
            into[name] = item[()] if item.shape else item[()].reshape(())
    return found


def _of_layer(root: Any, tree: dict[str, Any], layer: str) -> list[Array]:
    """Return the arrays of a layer in the order of its list of names, in a file before Keras 3."""
    arrays = []
    for path in _texts(root[layer].attrs["weight_names"]):
        item: Any = tree[layer]
        for part in path.split("/"):
            item = item[part]
        if isinstance(item, dict):
            raise ValueError(f"it is damaged: {short(path)!r} is no array")
        arrays.append(item)
    return arrays


def _texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
