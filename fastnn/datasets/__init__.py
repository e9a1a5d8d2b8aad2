"""Datasets: the digits and the text that come with the package, points to draw, MNIST, pictures in folders, windows of text."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, cast, overload

import numpy as np

from .folders import IN_MEMORY, ImageFolder
from .lengths import Buckets, Packed
from .pictures import image
from .tokens import IN_MEMORY as IDS_IN_MEMORY
from .tokens import Windows
from .toy import blobs, circles, moons, spirals

if TYPE_CHECKING:
    from pathlib import Path

    from ..text import Tokenizer

__all__ = ["Buckets", "ImageFolder", "Packed", "Windows", "buckets", "digits", "image", "images", "mnist", "pack", "text"]
__all__ += ["blobs", "circles", "moons", "spirals", "tokenize", "windows"]


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


def text() -> str:
    """Return a text of 217,000 characters, 75 different ones: the first 22 chapters of Moby-Dick (H. Melville, 1851).

    It is in the public domain. The chapters have their titles, without numbers; a line is a paragraph.

    >>> text()[:27]
    'Loomings.\\n\\nCall me Ishmael.'
    """
    from .texts import sample

    return sample()


def tokenize(path: str | os.PathLike[str], tokenizer: Tokenizer, to: str | os.PathLike[str]) -> int:
    """Write the token ids of a text to a .npy file, for `windows`; return their number. The text may be larger than memory.

    The ids are uint16, or int32 if there are more than 65,536 tokens.

    Args:
        path: the file of the text, in UTF-8.
        tokenizer: of `fastnn.text`. Subwords that would reach over the end of a line may be divided there.
        to: the new file, whose name ends in .npy.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no text in UTF-8, is empty, or has a character without a token.

    >>> import tempfile, os
    >>> from fastnn.text import ByteTokenizer
    >>> folder = tempfile.mkdtemp()
    >>> file, to = os.path.join(folder, "a.txt"), os.path.join(folder, "a.npy")
    >>> with open(file, "w") as f:
    ...     f.write("call me Ishmael")
    15
    >>> tokenize(file, ByteTokenizer(), to)
    15
    >>> windows(to, context=4)
    Windows(3 windows of 4 tokens from 15)
    """
    from .texts import tokenize as written

    return written(path, tokenizer, to)


@overload
def windows(
    source: Any,
    context: int,
    stride: int | None = None,
    samples: int | None = None,
    streams: int | None = None,
    validation_split: None = None,
    dtype: Any = None,
    memory: int = IDS_IN_MEMORY,
) -> Windows: ...


@overload
def windows(
    source: Any,
    context: int,
    stride: int | None = None,
    samples: int | None = None,
    streams: int | None = None,
    *,
    validation_split: float,
    dtype: Any = None,
    memory: int = IDS_IN_MEMORY,
) -> tuple[Windows, Windows]: ...


def windows(
    source: Any,
    context: int,
    stride: int | None = None,
    samples: int | None = None,
    streams: int | None = None,
    validation_split: float | None = None,
    dtype: Any = None,
    memory: int = IDS_IN_MEMORY,
) -> Windows | tuple[Windows, Windows]:
    """Return windows of token ids with the tokens that follow, as data for `fit`, `evaluate` and `predict`.

    A window is `context` ids, int64; its target is the same number of ids, each one the token after it. By default, windows lie
    one behind the other, and fit shuffles them in each epoch. A rest that does not fill a window is left out.

    Args:
        source: token ids: an array, a list, or the name of a file, which may be larger than memory: .npy, as of `tokenize`, or
            .bin without a header.
        context: number of tokens in a window.
        stride: distance between the first tokens of windows, `context` by default; 1 gives all windows there are.
        samples: number of windows in an epoch. In `fit` with shuffle, each epoch has other ones, which begin anywhere, drawn by
            `fastnn.seed`; elsewhere they are spread evenly.
        streams: size of the batches, for layers that keep their state from batch to batch. The text is cut into as many parts;
            row i of each batch continues row i of the last one. fit does not shuffle.
        validation_split: share of the tokens, at the end, for validation; the result is (training, validation). Windows for
            validation lie one behind the other, or begin every `stride` tokens.
        dtype: dtype of a .bin file, by default uint16.
        memory: ids that take at most so many bytes as int64 are read at once, and `fit` draws its batches without Python. Larger
            files stay on the disk.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: the ids are no whole numbers of one axis.
        ValueError: there are fewer tokens than a window and its next token need, or the file is damaged.

    >>> data = windows([0, 1, 2, 3, 4, 5, 6, 7], context=3)
    >>> x, y = data.arrays()
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    >>> windows(range(1000), context=10, validation_split=0.1)
    (Windows(89 windows of 10 tokens from 900), Windows(9 windows of 10 tokens from 100))
    """
    from .tokens import windows as made

    return made(source, context, stride, samples, streams, validation_split, dtype, memory)


def buckets(
    sequences: Sequence[Any],
    y: Any = None,
    batch_size: int = 32,
    *,
    pad: float = 0,
    lengths: bool = False,
    multiple: int = 8,
) -> Buckets:
    """Return batches of sequences of different lengths, as data for `fit`, `evaluate` and `predict`.

    Sequences of similar lengths are in the same batch, and are padded at the end to the length of the longest. fit shuffles the
    batches in each epoch. A layer such as `Masking` or ``Embedding(mask_zero=True)`` tells the padding from data.

    Args:
        sequences: a list of arrays or lists of shape (length, ...), which differ only in their lengths.
        y: a target for each sequence, in an array or a list of numbers; or a list of sequences with a target for each step, of
            the same lengths. In this case, the batches have weights (rows, T), which are 0 in padding.
        batch_size: number of sequences in a batch.
        pad: the value of padding in x; padded targets are 0.
        lengths: whether x of a batch is (sequences, lengths), with the lengths as int64 (rows,), for models that take both.
        multiple: the padded length is a multiple of this number. `fit` records a step for each length that there is.

    Raises:
        TypeError, ValueError: the sequences are no numbers, have different shapes, or do not fit y.

    >>> data = buckets([[1, 2, 3], [4], [5, 6, 7, 8], [9, 9]], y=[0, 1, 0, 1], batch_size=2, multiple=1)
    >>> data
    Buckets(4 sequences of 1 to 4 in 2 batches)
    >>> x, y = data[0]
    >>> x.tolist(), y.tolist()
    ([[4, 0], [9, 9]], [1, 1])
    """
    from .lengths import buckets as made

    return made(sequences, y, batch_size, pad, lengths, multiple)


def pack(sequences: Sequence[Any], context: int, separator: int, pad: int | None = None) -> Packed:
    """Put several short sequences of token ids into each row, which wastes less than padding every sequence.

    A row begins with the separator, and one follows each sequence. No sequence is divided. The longest sequences come first, and
    each goes into the row with the least space that is enough (best fit, decreasing).

    Args:
        sequences: a list of arrays or lists of token ids.
        context: number of tokens in a row.
        separator: the token between sequences, such as the end of a line.
        pad: the token for what is left of a row; by default the separator.

    Returns:
        `Packed`, with x, y and weights for ``fit(x, y, sample_weight=weights)``, and segments, the number of the sequence of each
        token. ``segments[:, None, :, None] == segments[:, None, None, :]`` is an attention mask that keeps sequences apart.

    Raises:
        TypeError: the sequences are no token ids.
        ValueError: a sequence is longer than context - 1.

    >>> p = pack([[1, 2], [3], [4, 5, 6, 7]], context=6, separator=0)
    >>> p.x.tolist()
    [[0, 4, 5, 6, 7, 0], [0, 1, 2, 0, 3, 0]]
    >>> p.y.tolist(), p.weights[0].tolist(), p.segments[1].tolist()
    ([[4, 5, 6, 7, 0, 0], [1, 2, 0, 3, 0, 0]], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [1, 1, 1, 2, 2, 0])
    """
    from .lengths import pack as made

    return made(sequences, context, separator, pad)


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
