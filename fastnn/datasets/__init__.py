"""Datasets: the digits that come with the package, MNIST from its files, and pictures in folders."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, cast, overload

import numpy as np

from .folders import IN_MEMORY, ImageFolder
from .pictures import image

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ImageFolder", "digits", "image", "images", "mnist"]


def __dir__() -> list[str]:
    return sorted(__all__)


Array = np.ndarray[Any, Any]
Split = tuple[Array, Array]


def digits(as_float: bool = False) -> tuple[Split, Split]:
    """Return handwritten digits: 4,000 images to train and 1,000 to test, 20x20 grey, ((x_train, y_train), (x_test, y_test)).

    Images are uint8 (n, 20, 20), 0 the background and 255 the pen; with as_float they are float32 (n, 400) in [0, 1]. Labels
    are int64 (n,), 0 to 9. They are MNIST's (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0), cut to the box of the digit.

    >>> (x_train, y_train), (x_test, y_test) = digits()
    >>> x_train.shape, x_test.shape
    ((4000, 20, 20), (1000, 20, 20))
    """
    with np.load(os.path.join(os.path.dirname(__file__), "digits.npz"), allow_pickle=False) as z:
        train, test = ((z[f"x_{part}"], z[f"y_{part}"]) for part in ("train", "test"))
    return _finish(train, as_float), _finish(test, as_float)


def mnist(path: str | os.PathLike[str], as_float: bool = False) -> tuple[Split, Split]:
    """Read MNIST from a folder with its four IDX files (``train-images-idx3-ubyte`` and so on, plain or ``.gz``).

    Gives ((x_train, y_train), (x_test, y_test)): images uint8 (n, 28, 28), or float32 (n, 784) in [0, 1] with as_float, and
    labels int64 (n,). Raises FileNotFoundError for a missing folder or file, ValueError for one that is not what it should be.
    """
    from pathlib import Path

    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"mnist: there is no folder {str(folder)!r}")
    train, test = _mnist_part(folder, "train"), _mnist_part(folder, "t10k")
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(f"mnist: {folder}: training images are {train[0].shape[1:]}, test images {test[0].shape[1:]}")
    return _finish(train, as_float), _finish(test, as_float)


@overload
def images(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    as_float: bool = False,
    validation_split: None = None,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    threads: int | None = None,
    memory: int = IN_MEMORY,
) -> ImageFolder: ...


@overload
def images(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    as_float: bool = False,
    *,
    validation_split: float,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    threads: int | None = None,
    memory: int = IN_MEMORY,
) -> tuple[ImageFolder, ImageFolder]: ...


def images(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    as_float: bool = False,
    validation_split: float | None = None,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    threads: int | None = None,
    memory: int = IN_MEMORY,
) -> ImageFolder | tuple[ImageFolder, ImageFolder]:
    """Return the PNG and JPEG files in the folders of a folder, one for each class, as data for `fit`. Needs Pillow.

    The files are listed now and decoded on threads when they are used: the pictures of the next batches while a step runs. The
    batches do not depend on the number of threads. `fit` shuffles the pictures in each epoch, as it shuffles arrays.

    `image` describes how a file becomes an array. A network needs small numbers: pass as_float, or put a layer that scales
    in front of it.

    Args:
        folder: has a folder for each class; in it are pictures, and perhaps files whose names begin with a dot.
        size: (height, width) of all pictures, without regard to their proportions. By default the median of the heights and of
            the widths of up to 64 files, both scaled down if one of them is above 64.
        channels: 1 for grey, 3 for colour; by default 3 if one of these files has colours.
        as_float: whether pictures are float32 in [0, 1], the uint8 values divided by 255; otherwise uint8.
        validation_split: share of each class for validation, at least one picture of each class that has two. If given, the
            result is (training, validation).
        seed: determines which pictures are for validation.
        class_names: the names of the folders, in the order of their numbers, such as `model.class_names`; by default sorted. A
            class without a folder then has no pictures.
        threads: number of threads that decode; by default the number of CPUs, at most 8.
        memory: if all pictures as uint8 take at most this number of bytes, they are decoded once, by the first use, and `fit` is
            as fast as with arrays. Otherwise they are decoded in each epoch.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: there are no classes; a class is empty or has another file or a folder in it; the message names it. A file
            that is damaged is an error when it is used.
        ImportError: Pillow is not installed.

    >>> import tempfile, os
    >>> from PIL import Image
    >>> folder = tempfile.mkdtemp()
    >>> for name in ("black", "white"):
    ...     os.mkdir(os.path.join(folder, name))
    ...     for i in range(5):
    ...         Image.new("L", (8, 6), name).save(os.path.join(folder, name, f"{i}.png"))
    >>> train, validation = images(folder, validation_split=0.2)
    >>> train
    ImageFolder(8 pictures of shape (6, 8, 1) in 2 classes)
    >>> x, y = validation.arrays()
    >>> x[:, 0, 0, 0].tolist(), y.tolist(), validation.class_names
    ([0, 255], [0, 1], ['black', 'white'])
    """
    from .folders import images as found

    return found(folder, size, channels, as_float, validation_split, seed, class_names, threads, memory)


def _finish(part: Split, as_float: bool) -> Split:
    x, y = part
    if as_float:
        x = x.reshape(len(x), -1).astype(np.float32) / np.float32(255)
    return x, y.astype(np.int64)


def _mnist_part(folder: Path, name: str) -> Split:
    images, labels = (_find(folder, f"{name}-{what}-ubyte") for what in ("images-idx3", "labels-idx1"))
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise ValueError(f"mnist: {images} holds {len(x)} images, but {labels} {len(y)} labels")
    if y.max() > 9:
        i = int((y > 9).argmax())
        raise ValueError(f"mnist: {labels}: label {i} is {y[i]}; wanted 0 to 9")
    return x, y


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise FileNotFoundError(f"mnist: neither {name} nor {name}.gz is in {folder}")


def read_idx(file: Path, ndim: int) -> Array:
    """Read an IDX file of uint8 with that many dimensions, gzipped if its name ends in .gz; ValueError if it is not one."""
    import gzip
    import zlib

    from .arrays import most_bytes, read_bytes

    size = file.stat().st_size
    compressed = file.suffix == ".gz"
    try:
        with cast("IO[bytes]", gzip.open(file, "rb") if compressed else open(file, "rb")) as f:
            header = f.read(4 + 4 * ndim)
            if header[:4] != bytes((0, 0, 8, ndim)):
                raise ValueError(f"mnist: {file} is no {ndim}-dimensional IDX file of bytes: it begins with {header[:4]!r}")
            if len(header) < 4 + 4 * ndim:
                raise ValueError(f"mnist: {file} ends within its header")
            shape = tuple(int(n) for n in np.frombuffer(header, ">u4", offset=4))
            n = math.prod(shape)
            if n == 0:
                raise ValueError(f"mnist: {file} is empty: its shape is {shape}")
            # What the header promises is believed, and memory taken for it, only if a file of this size can hold it.
            if n > (most_bytes(size) if compressed else size - len(header)):
                raise ValueError(f"mnist: {file} has {size} bytes, too few for the shape {shape} in its header")
            data = read_bytes(f, n)
            if len(data) < n:
                raise ValueError(f"mnist: {file} ends after {len(data)} of {n} values")
            if f.read(1):
                raise ValueError(f"mnist: {file} goes on after the {n} values that its header promises")
    except (EOFError, gzip.BadGzipFile, zlib.error) as e:
        raise ValueError(f"mnist: {file} is a damaged gzip file: {e}") from e
    return np.frombuffer(data, np.uint8).reshape(shape)
