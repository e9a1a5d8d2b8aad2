"""Keras's helpers for data and models."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence as Listed
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Tensor
from ..core.lazy import guessing
from ..core.seeding import seed as set_seed
from . import absent
from .data_sets import PyDataset, Timeseries
from .saving import register_keras_serializable

__all__ = [
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "get_file",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "normalize",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "set_random_seed",
    "timeseries_dataset_from_array",
    "to_categorical",
]


def __dir__() -> list[str]:
    return __all__.copy()


if not TYPE_CHECKING:  # which report unknown names themselves
    __getattr__ = guessing(__name__, __all__, absent.UTILS)


Array = np.ndarray[Any, Any]
Sequence = PyDataset


def set_random_seed(seed: int) -> None:
    """Set the seeds of fastnn, of NumPy and of Python's `random`.

    >>> import fastnn.keras as keras
    >>> keras.utils.set_random_seed(1)
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (programs draw from it)
    set_seed(seed)


def clear_session(free_memory: bool = True) -> None:
    """Do nothing: fastnn keeps no global state of models."""


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Return rows of zeros with a 1 at the place of each label, as float64.

    Args:
        x: labels from 0 on, of any shape; a last axis of size 1 is removed.
        num_classes: number of classes; by default the largest label and 1.

    >>> import fastnn.keras as keras
    >>> keras.utils.to_categorical([0, 2], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = _array(x)
    if labels.dtype.kind not in "iub" and not np.array_equal(labels, labels.astype(np.int64)):
        raise ValueError(f"to_categorical: labels of dtype {labels.dtype} came, with fractions; wanted whole numbers")
    labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"to_categorical: labels from {labels.min()} to {labels.max()} came; wanted 0 to {classes - 1}")
    rows: Array = np.eye(classes)[labels]
    return rows


def normalize(x: Any, axis: int = -1, order: int = 2) -> Array:
    """Return the array divided by its norms along an axis; a norm of 0 divides by 1.

    >>> import fastnn.keras as keras
    >>> keras.utils.normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    values = _array(x)
    norms = np.atleast_1d(np.linalg.norm(values, order, axis))
    norms[norms == 0] = 1
    return np.asarray(values / np.expand_dims(norms, axis))


def pad_sequences(
    sequences: Listed[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Return sequences of different lengths as one array (n, maxlen), or (n, maxlen, ...) if they have more axes.

    Args:
        sequences: lists or arrays of numbers.
        maxlen: length of the result; by default that of the longest sequence.
        dtype: dtype of the result.
        padding: "pre" or "post": whether ``value`` is put before or after a sequence.
        truncating: "pre" or "post": whether a sequence that is too long loses its begin or its end.
        value: the number to fill with.

    >>> import fastnn.keras as keras
    >>> keras.utils.pad_sequences([[1, 2, 3], [4]], maxlen=2).tolist()
    [[2, 3], [0, 4]]
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} is {given!r}; wanted 'pre' or 'post'")
    arrays = [np.asarray(s) for s in sequences]
    length = max(map(len, arrays), default=0) if maxlen is None else maxlen
    rest = next((a.shape[1:] for a in arrays if len(a)), ())
    padded = np.full((len(arrays), length, *rest), value, dtype)
    for i, a in enumerate(arrays):
        if len(a) and a.shape[1:] != rest:
            raise ValueError(f"pad_sequences: sequence {i} has steps of shape {a.shape[1:]}; wanted {rest} as in the first one")
        a = a[max(0, len(a) - length) :] if truncating == "pre" else a[:length]
        if len(a):
            first = length - len(a) if padding == "pre" else 0
            padded[i, first : first + len(a)] = a
    return padded


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> Timeseries:
    """Return the windows of a series, and the targets at the places where they begin, in batches for fit.

    Args:
        data: the series, (T,) or (T, features).
        targets: one for the window that begins at each step; None gives only windows.
        sequence_length: number of steps of a window.
        sequence_stride: distance of the begins of windows.
        sampling_rate: distance of the steps of a window.
        batch_size: number of windows of a batch.
        shuffle, seed: whether the windows have a random order, and its seed.
        start_index, end_index: range of the data to use.

    >>> import numpy as np
    >>> import fastnn.keras as keras
    >>> x, y = keras.utils.timeseries_dataset_from_array(np.arange(10.0), np.arange(3.0, 10.0), 3)[0]
    >>> x[0].tolist(), y[0].item(), x.shape
    ([0.0, 1.0, 2.0], 3.0, (7, 3))
    """
    series, wanted = _array(data), None if targets is None else _array(targets)
    first = start_index or 0
    last = len(series) if end_index is None else end_index
    most = last - first - sequence_length * sampling_rate + 1
    if wanted is not None:
        wanted = wanted[first:last]
        most = min(most, len(wanted))
    if most < 1:
        raise ValueError(f"timeseries_dataset_from_array: {last - first} steps came, fewer than a window needs")
    starts = np.arange(0, most, sequence_stride)
    if shuffle:
        np.random.default_rng(seed).shuffle(starts)
    part = series[first:last]
    return Timeseries(part, wanted, starts, np.arange(sequence_length) * sampling_rate, batch_size)


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str = "int",
    class_names: Listed[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
) -> Any:
    """Return the pictures in the folders of a folder, one for each class: `fastnn.datasets.images` with Keras's arguments.

    fit decides the size of a batch and the order: give batch_size and shuffle to it. Values are uint8 from 0 to 255.

    Raises:
        ValueError: an argument has a value that fastnn does not have.
    """
    from ..datasets import images

    for name, given, known in (
        ("labels", labels, ("inferred",)),
        ("label_mode", label_mode, ("int",)),
        ("color_mode", color_mode, ("rgb", "grayscale")),
        ("subset", subset, (None, "training", "validation", "both")),
    ):
        if given not in known:
            raise ValueError(f"image_dataset_from_directory: {name} is {given!r}; wanted {' or '.join(map(repr, known))}")
    if (validation_split is None) != (subset is None):
        raise ValueError("image_dataset_from_directory: give validation_split and subset together, or none of them")
    channels = 3 if color_mode == "rgb" else 1
    if validation_split is None:
        return images(directory, image_size, channels, class_names=class_names)
    parts = images(directory, image_size, channels, validation_split=validation_split, seed=seed or 0, class_names=class_names)
    return parts if subset == "both" else parts[0 if subset == "training" else 1]


def load_img(
    path: str | os.PathLike[str], color_mode: str = "rgb", target_size: tuple[int, int] | None = None, **unused: Any
) -> Any:
    """Return a picture file as a Pillow image, resized to target_size (height, width)."""
    from ..datasets import image

    if color_mode not in ("rgb", "grayscale"):
        raise ValueError(f"load_img: color_mode is {color_mode!r}; wanted 'rgb' or 'grayscale'")
    if unused:
        raise TypeError(f"load_img: {', '.join(unused)} came; fastnn has path, color_mode and target_size")
    return array_to_img(image(path, target_size, 3 if color_mode == "rgb" else 1), scale=False)


def img_to_array(img: Any, dtype: Any = "float32") -> Array:
    """Return a Pillow image as an array (height, width, channels)."""
    values = np.asarray(img, dtype)
    return values if values.ndim == 3 else values[..., None]


def array_to_img(x: Any, scale: bool = True) -> Any:
    """Return an array (height, width, channels) as a Pillow image; with scale, its values are stretched to 0 to 255.

    >>> import fastnn.keras as keras
    >>> keras.utils.array_to_img([[[0.0], [1.0]]]).size
    (2, 1)
    """
    from ..datasets.pictures import pillow

    values = _array(x).astype(np.float64)
    if values.ndim != 3 or values.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"array_to_img: an array of shape {values.shape} came; wanted (height, width, channels), 1, 3 or 4 channels"
        )
    if scale:
        values = values - values.min()
        values = values / (values.max() or 1.0) * 255
    pixels = values.astype(np.uint8)
    return pillow().fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def save_img(path: str | os.PathLike[str], x: Any, scale: bool = True) -> None:
    """Write an array (height, width, channels) as a picture, whose format follows from the suffix; `array_to_img` has scale.

    >>> import os, tempfile
    >>> import fastnn.keras as keras
    >>> path = os.path.join(tempfile.mkdtemp(), "picture.png")
    >>> keras.utils.save_img(path, [[[0.0], [1.0]]])
    >>> keras.utils.load_img(path).size
    (2, 1)
    """
    array_to_img(x, scale).save(path)


def plot_model(model: Any, to_file: str | os.PathLike[str] | None = "model.png", **unused: Any) -> Any:
    """Draw the layers of a model into a file, by `fastnn.plot.network`, which needs Matplotlib and not Graphviz.

    Keras's other arguments have no effect.
    """
    from ..plot import network

    return network(model, to_file)


def get_file(*args: Any, **settings: Any) -> str:
    """Raise an error: fastnn downloads nothing.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("get_file: fastnn downloads nothing; load the file yourself and give its path")


def _array(x: Any) -> Array:
    return np.asarray(x.numpy() if isinstance(x, Tensor) else x)
