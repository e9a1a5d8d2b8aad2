"""Pictures in folders, a folder for each class: listed at once, decoded on threads while they are used."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..ops.checks import positive_int
from .pictures import ENDINGS, header, image, pillow

Array = np.ndarray[Any, Any]

IN_MEMORY = 1 << 28
"""Pictures that have together at most so many bytes are decoded once. As float32, they fill a gigabyte."""
AHEAD = 2
"""Number of batches that are decoded in advance."""
PROBED = 64
"""Number of files, spread over all of them, from which the size and the channels are chosen."""
MOST_SIDE = 64
"""Largest height and width that are chosen."""
_IGNORED = ("Thumbs.db", "desktop.ini")
"""Files that file managers leave behind, besides those whose names begin with a dot."""


class ImageFolder:
    """Pictures with class labels; `fastnn.datasets.images` makes it.

    It is the x of `fit`, `evaluate` and `predict`, and the validation_data of `fit`. ``folder[i]`` is picture i with its label.

    Attributes:
        files: the paths of the files, in the order of the classes, then by name.
        labels: the number of each file's class, int64 (n,).
        class_names: the names of the classes, by number.
        shape: shape of a picture, (height, width, channels).
        as_float: whether pictures are float32 in [0, 1]; otherwise uint8.
    """

    def __init__(
        self,
        files: list[str],
        labels: Array,
        class_names: list[str],
        shape: tuple[int, int, int],
        as_float: bool,
        threads: int,
        memory: int,
    ) -> None:
        self.files, self.labels, self.class_names, self.shape = files, labels, class_names, shape
        self.as_float, self.threads, self.memory = as_float, threads, memory
        self._decoded: Array | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Array, int]:
        return self._picture(i), int(self.labels[i])

    def __repr__(self) -> str:
        n, classes = len(self), len(self.class_names)
        return f"ImageFolder({n} pictures of shape {self.shape} in {classes} {'class' if classes == 1 else 'classes'})"

    @property
    def fits(self) -> bool:
        """Return whether the pictures are kept in memory once they are decoded."""
        return len(self) * int(np.prod(self.shape)) <= self.memory

    def arrays(self) -> tuple[Array, Array]:
        """Return all pictures (n, height, width, channels), uint8 or with as_float float32, and their labels, int64 (n,)."""
        if self._decoded is None:
            x = np.empty((len(self), *self.shape), np.uint8)
            at = 0
            for batch, _ in self._batches(np.arange(len(self)), 64, as_float=False):
                x[at : at + len(batch)] = batch
                at += len(batch)
            if self.fits:
                self._decoded = x
        else:
            x = self._decoded
        return (_floats(x) if self.as_float else x), self.labels

    def batches(self, order: Array, batch_size: int) -> Iterator[tuple[Array, Array]]:
        """Yield batches of the pictures with these indices, in this order; threads decode the next ones meanwhile.

        Args:
            order: indices of pictures.
            batch_size: number of pictures in a batch; the last one may have fewer.

        Raises:
            ValueError: a file is damaged; the message names it.
        """
        if not self.fits:
            yield from self._batches(order, batch_size, self.as_float)
            return
        if self._decoded is None:
            self.arrays()
        assert self._decoded is not None
        for at in range(0, len(order), batch_size):
            places = order[at : at + batch_size]
            x = self._decoded[places]
            yield (_floats(x) if self.as_float else x), self.labels[places]

    def _batches(self, order: Array, batch_size: int, as_float: bool) -> Iterator[tuple[Array, Array]]:
        """Decode batches on threads, which end with the iterator, also after an error and Ctrl-C."""
        waiting: deque[tuple[Array, list[Future[None]], Array]] = deque()
        pool = ThreadPoolExecutor(self.threads, "fastnn-images")

        def read(batch: Array, row: int, i: int) -> None:
            batch[row] = self._picture(i, as_float)

        try:
            for at in range(0, len(order) + AHEAD * batch_size, batch_size):
                places = order[at : at + batch_size]
                if len(places):
                    batch = np.empty((len(places), *self.shape), np.float32 if as_float else np.uint8)
                    futures = [pool.submit(read, batch, row, int(i)) for row, i in enumerate(places)]
                    waiting.append((batch, futures, self.labels[places]))
                if waiting and (len(waiting) > AHEAD or not len(places)):
                    batch, futures, labels = waiting.popleft()
                    for future in futures:
                        future.result()  # the error of the first damaged file, whatever the number of threads
                    yield batch, labels
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _picture(self, i: int, as_float: bool | None = None) -> Array:
        *size, channels = self.shape
        return image(self.files[i], (size[0], size[1]), channels, self.as_float if as_float is None else as_float)


def _floats(x: Array) -> Array:
    return x.astype(np.float32) / np.float32(255)


def find_classes(folder: str, class_names: Sequence[str] | None) -> list[str]:
    """Return the names of the classes: the folders inside of a folder, sorted."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"images: there is no folder {folder!r}")
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                found.append(entry.name)
            elif entry.name.lower().endswith(ENDINGS):
                raise ValueError(f"images: {entry.path} is in no class; wanted a folder for each class, with its pictures")
    if not found:
        raise ValueError(f"images: {folder} has no folders; wanted a folder for each class, with its pictures")
    if class_names is None:
        return sorted(found)
    names = list(class_names)
    if unknown := sorted(set(found) - set(names)):
        raise ValueError(f"images: {os.path.join(folder, unknown[0])} is none of the classes {', '.join(map(str, names))}")
    return names


def find_files(folder: str) -> list[str]:
    """Return the paths of the pictures of a class, sorted by name."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name in _IGNORED:
                continue
            if not name.lower().endswith(ENDINGS) or not entry.is_file():
                what = "a folder inside of a class" if entry.is_dir() else "no PNG or JPEG file"
                raise ValueError(f"images: {entry.path} is {what}; move it out, or give it a name that begins with a dot")
            found.append(entry.path)
    if not found:
        raise ValueError(f"images: {folder} is empty; wanted PNG or JPEG files of this class")
    return sorted(found)


def chosen(files: list[str], size: Any, channels: Any) -> tuple[int, int, int]:
    """Return the shape of the pictures: what is given, and what is not from some of the files."""
    if size is not None:
        pair = isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2
        if not pair:
            raise TypeError(f"images: size is {size!r}; wanted (height, width)")
        size = tuple(positive_int(n, "images: size") for n in size)
    if channels not in (None, 1, 3) or isinstance(channels, bool):
        raise ValueError(f"images: channels is {channels!r}; wanted 1 for grey, 3 for colour, or None")
    if size is None or channels is None:
        some = sorted({int(i) for i in np.linspace(0, len(files) - 1, PROBED)})
        heights, widths, found = zip(*(header(files[i]) for i in some), strict=True)
        if size is None:
            height, width = float(np.median(heights)), float(np.median(widths))
            part = min(1.0, MOST_SIDE / max(height, width))
            size = tuple(max(1, round(side * part)) for side in (height, width))
        channels = max(found) if channels is None else channels
    return (*size, channels)


def held_back(n: int, fraction: float, seed: int, number: int) -> Array:
    """Return for each of the n files of a class whether it is for validation: a share of them, at random by the seed."""
    last = np.zeros(n, bool)
    count = min(max(round(n * fraction), 1), n - 1)
    last[np.random.default_rng([seed, number]).permutation(n)[:count]] = True
    return last


def images(
    folder: str | os.PathLike[str],
    size: tuple[int, int] | None,
    channels: int | None,
    as_float: bool,
    validation_split: float | None,
    seed: int,
    class_names: Sequence[str] | None,
    threads: int | None,
    memory: int,
) -> ImageFolder | tuple[ImageFolder, ImageFolder]:
    """Return the pictures of a folder; see `fastnn.datasets.images`."""
    pillow()
    fraction = validation_split
    if fraction is not None and not (isinstance(fraction, float) and 0 < fraction < 1):
        raise ValueError(f"images: validation_split is {fraction!r}; wanted a number between 0 and 1")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"images: seed is {seed!r}; wanted a whole number of at least 0")
    threads = min(8, os.cpu_count() or 1) if threads is None else positive_int(threads, "images: threads")
    root = os.fspath(folder)
    names = find_classes(root, class_names)
    paths = [os.path.join(root, name) for name in names]
    lists = [find_files(path) if class_names is None or os.path.isdir(path) else [] for path in paths]
    files = [file for found in lists for file in found]
    labels = np.repeat(np.arange(len(names), dtype=np.int64), [len(found) for found in lists])
    shape = chosen(files, size, channels)

    def part(of: Array) -> ImageFolder:
        return ImageFolder([files[i] for i in np.flatnonzero(of)], labels[of], list(names), shape, as_float, threads, memory)

    if fraction is None:
        return part(np.ones(len(files), bool))
    last = np.concatenate([held_back(len(found), fraction, int(seed), i) for i, found in enumerate(lists) if found])
    if not last.any():
        raise ValueError(f"images: {root} has one picture in each class, which leaves nothing to validate with")
    return part(~last), part(last)
