"""Reads weights in files of several formats: safetensors, those of PyTorch, and those of Keras."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from . import keras_file, torch_file
from . import tensors as tensors_py
from .tensors import Array, opened, short

OF_TORCH = {"format": "torch.save"}
_HELD = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")
"""Keys under which checkpoints of PyTorch hold the state_dict of the model."""
_WRAPPERS = ("module.", "_orig_mod.", "model.")
"""Prefixes that PyTorch's wrappers, and modules of training libraries, put before all names."""


def contents(path: Any, op: str) -> tuple[Any, dict[str, str]]:
    """Return what a file holds, and its metadata: a dict of arrays by name; what torch.save got; or a `KerasFile`.

    The metadata of a file of PyTorch is `OF_TORCH`.

    Raises the errors of `fastnn.files.tensors.opened`.
    """

    def read(f: BinaryIO, size: int, name: str) -> tuple[Any, dict[str, str]]:
        start, members = f.read(64), _members(f)
        if torch_file.is_torch(start, members):
            return torch_file.read(f, size), OF_TORCH
        if keras_file.is_keras(start, members):
            return keras_file.read(f, size), {}
        f.seek(0)
        return tensors_py.read(f, size, name)

    return opened(path, op, read)


def _members(f: BinaryIO) -> list[str]:
    """Return the names in a zip; none for other files."""
    f.seek(0)
    if f.read(2) != b"PK":
        return []
    try:
        with zipfile.ZipFile(f) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def load_state(path: Any) -> Any:
    """Return the arrays in a file of weights: safetensors, a saved model, PyTorch (.pt, .pth), or Keras (.keras, .h5).

    Files of PyTorch are read without PyTorch, and without running anything in them: only tensors, dicts, lists, tuples, numbers
    and texts are read. float16 stays float16; bfloat16 becomes float32. Files of Keras are read by h5py, which the extra `h5`
    installs.

    Args:
        path: the file.

    Returns:
        A dict of arrays by name, for `Module.load_state_dict`. For a file of PyTorch with something else, such as a checkpoint
        with the state of an optimizer, the dicts and lists in it, with arrays in place of tensors. In a file of Keras, the names
        are paths such as "layers/dense/vars/0".

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the file does not exist or cannot be read.
        ImportError: the file is one of Keras, and h5py is not installed.
        ValueError: the file is truncated, damaged, has another format, or names code, such as the class of a whole module.

    >>> import fastnn, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "w.safetensors")
    >>> fastnn.nn.Linear(2, 1).save_weights(path)
    >>> sorted(fastnn.load_state(path))
    ['bias', 'weight']
    """
    held = contents(path, "load_state")[0]
    return held.flat() if isinstance(held, keras_file.KerasFile) else held


def weights(held: Any, own: Mapping[str, Any], where: str) -> dict[str, Array]:
    """Return the state_dict in what `contents` gave. Prefixes that all names have, and the model's have not, are removed.

    Raises:
        ValueError: there is no dict of arrays.
    """
    found = held
    if isinstance(held, dict) and not _is_state(held):
        found = next((held[key] for key in _HELD if _is_state(held.get(key))), None)
    if not _is_state(found):
        what = (
            f"a dict with the keys {short(', '.join(map(repr, held)))}" if isinstance(held, dict) else f"a {type(held).__name__}"
        )
        raise ValueError(f"{where}: it holds {what}, and no state_dict; fastnn.load_state() returns what it holds")
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in found) and not all(name.startswith(prefix) for name in own):
            found = {name.removeprefix(prefix): a for name, a in found.items()}
    return {name: a for name, a in found.items() if name in own or not name.endswith("num_batches_tracked")}


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(a, np.ndarray) and isinstance(n, str) for n, a in value.items())
    )
