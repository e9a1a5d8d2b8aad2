"""Read the data sets of the command line, and turn their samples into what a model takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from ..datasets.arrays import read_npz
from ..nn.layers.preprocessing import Normalization, Rescaling
from ..training import sanity
from ..training.data import arrays as data

Array = np.ndarray[Any, Any]


@dataclass
class Dataset:
    """Images or rows of features with class labels. ``test`` is None if there is no test data."""

    train: tuple[Array, Array]
    test: tuple[Array, Array] | None


def load_dataset(name: str, folder: str | None) -> Dataset:
    """Return the digits, MNIST in a folder, or the arrays of an .npz file."""
    if name == "mnist":
        assert folder is not None
        return Dataset(*datasets.mnist(folder))
    if name == "digits":
        return Dataset(*datasets.digits())
    if not name.endswith(".npz"):
        raise ValueError(f"unknown dataset {name!r}; wanted digits, mnist, images, or an .npz file")
    return _load_npz(Path(name))


def _load_npz(file: Path) -> Dataset:
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(file)!r}")
    parts = read_npz(file, ("x_train", "y_train", "x_test", "y_test"))
    for key in ("x_train", "y_train"):
        if key not in parts:
            raise ValueError(f"{file} lacks the array {key}")
    if ("x_test" in parts) != ("y_test" in parts):
        raise ValueError(f"{file} has only one of x_test and y_test")
    read = [_npz_part(file, parts, name) for name in ("train", "test") if f"x_{name}" in parts]
    if len(read) == 2 and read[0][0].shape[1:] != read[1][0].shape[1:]:
        raise ValueError(f"{file}: samples of x_train have shape {read[0][0].shape[1:]}, those of x_test {read[1][0].shape[1:]}")
    return Dataset(read[0], read[1] if len(read) == 2 else None)


def _npz_part(file: Path, parts: dict[str, Array], name: str) -> tuple[Array, Array]:
    raw, op = parts[f"x_{name}"], str(file)
    x = data.as_features(raw, raw.dtype if raw.dtype == np.uint8 else np.float32, op, f"x_{name}")
    y = data.as_targets(parts[f"y_{name}"], "labels", np.int64, op, f"y_{name}")
    data.check_same_length(op, **{f"x_{name}": x, f"y_{name}": y})
    if not x[0].size:
        raise ValueError(f"{file}: samples of x_{name} have no values: its shape is {x.shape}")
    sanity.check_finite(op, f"x_{name}", x, hint="")
    if y.min() < 0:
        raise ValueError(f"{file}: y_{name}[{int((y < 0).argmax())}] is {y.min()}; labels are whole numbers from 0")
    return x, y


def features(x: Array, shape: tuple[int, ...] | None = None, scaled: bool = True) -> Array:
    """Return float32 samples of this shape, by default rows; with scaled, uint8 is scaled to [0, 1]."""
    samples = x.reshape(len(x), *((math.prod(x.shape[1:]),) if shape is None else shape)).astype(np.float32)
    return samples / np.float32(255) if scaled and x.dtype == np.uint8 else samples


def scales(model: Any) -> bool:
    """Return whether a model scales its samples itself: it begins with Rescaling or Normalization."""
    first = next((m for m in model.modules() if not m._modules), None)
    return isinstance(first, Rescaling | Normalization)
