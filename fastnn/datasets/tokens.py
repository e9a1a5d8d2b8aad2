"""Cut a long row of token ids into windows, with the tokens that follow: what language models are trained on."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..ops.checks import positive_int

Array = np.ndarray[Any, Any]

IN_MEMORY = 1 << 28
"""Largest number of bytes that ids take as int64 and are still kept in memory: 33 million tokens."""


class Windows:
    """Windows of token ids with the next tokens; `fastnn.datasets.windows` makes it.

    It is the x of `fit`, `evaluate` and `predict`, and the validation_data of `fit`. ``windows[i]`` is (x, y): `context` ids, and
    for each of them the id that follows it.

    Attributes:
        ids: all token ids, int64 (n,) in memory, or the memory map of a file.
        context: number of tokens in a window.
        stride: distance between the first tokens of windows.
        samples: number of windows in an epoch if they begin anywhere, else None.
        streams: number of rows in which windows follow each other from batch to batch, else None.
    """

    def __init__(self, ids: Array, context: int, stride: int, samples: int | None, streams: int | None, memory: int) -> None:
        self.ids, self.context, self.stride, self.samples, self.streams, self.memory = (
            ids,
            context,
            stride,
            samples,
            streams,
            memory,
        )
        if self.fits:
            self.ids = np.ascontiguousarray(ids, np.int64)

    def __len__(self) -> int:
        """Return the number of windows in an epoch."""
        if self.samples is not None:
            return self.samples
        if self.streams is not None:
            return self._of_stream() // self.context * self.streams
        return (self.places - 1) // self.stride + 1

    def __getitem__(self, i: int) -> tuple[Array, Array]:
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"Windows: there is no window {i}; there are {n}")
        x, y = self.batch(self.starts(np.array([i % n])))
        return x[0], y[0]

    def __repr__(self) -> str:
        how = f", {self.streams} streams" if self.streams else ", at random places" if self.samples else ""
        return f"Windows({len(self)} windows of {self.context} tokens from {len(self.ids)}{how})"

    @property
    def fits(self) -> bool:
        """Return whether the ids are kept in memory."""
        return len(self.ids) * 8 <= self.memory

    @property
    def places(self) -> int:
        """Return the number of tokens at which a window can begin."""
        return len(self.ids) - self.context

    def _of_stream(self) -> int:
        """Return the number of tokens in a stream that have a next one."""
        assert self.streams is not None
        return (len(self.ids) - 1) // self.streams

    def starts(self, numbers: Array) -> Array:
        """Return the positions of the first tokens of windows with these numbers, int64.

        Windows at random places have no positions of their own: here, they are spread evenly.
        """
        if self.samples is not None:
            spread: Array = numbers * (self.places - 1) // max(self.samples - 1, 1)
            return spread
        if self.streams is not None:
            first: Array = numbers % self.streams * self._of_stream() + numbers // self.streams * self.context
            return first
        return numbers * self.stride

    def batch(self, starts: Array) -> tuple[Array, Array]:
        """Return the windows that begin at these positions, int64 (rows, context), and their next tokens, of the same shape."""
        tokens = self.ids[starts[:, None] + np.arange(self.context + 1)].astype(np.int64)
        return tokens[:, :-1], tokens[:, 1:]

    def arrays(self) -> tuple[Array, Array]:
        """Return all windows of an epoch and their next tokens, int64 (n, context)."""
        return self.batch(self.starts(np.arange(len(self))))


def windows(
    source: Any,
    context: int,
    stride: int | None,
    samples: int | None,
    streams: int | None,
    validation_split: float | None,
    dtype: Any,
    memory: int,
) -> Windows | tuple[Windows, Windows]:
    """Return the windows of a row of ids; see `fastnn.datasets.windows`."""
    context = positive_int(context, "windows: context")
    chosen = {"stride": stride, "samples": samples, "streams": streams}
    given = [name for name, value in chosen.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"windows: {given[0]} and {given[1]} are given together; wanted at most one of them")
    for name in given:
        chosen[name] = positive_int(chosen[name], f"windows: {name}")
    ids = _ids(source, dtype)

    def made(part: Array, what: str, samples: int | None) -> Windows:
        least = context + 1 if streams is None else (chosen["streams"] or 0) * context + 1
        if len(part) < least:
            of = f"{streams} streams of windows" if streams is not None else "a window"
            raise ValueError(
                f"windows: {what} has {len(part)} tokens; wanted at least {least} for {of} of {context} and the next"
            )
        return Windows(part, context, chosen["stride"] or context, samples, chosen["streams"], memory)

    if validation_split is None:
        return made(ids, "source", chosen["samples"])
    if not isinstance(validation_split, float) or not 0 < validation_split < 1:
        raise ValueError(f"windows: validation_split is {validation_split!r}; wanted a number between 0 and 1")
    at = len(ids) - round(len(ids) * validation_split)
    return made(ids[:at], "the part for training", chosen["samples"]), made(ids[at:], "the part for validation", None)


def _ids(source: Any, dtype: Any) -> Array:
    """Return the ids of a source, which is an array, a list or the name of a file."""
    if isinstance(source, str | os.PathLike):
        return _mapped(os.fspath(source), dtype)
    if dtype is not None:
        raise ValueError("windows: dtype is for files without a header, not for arrays")
    ids = np.asarray(source.numpy() if hasattr(source, "numpy") else source)
    _check(ids, "source")
    if ids.size and ids.min() < 0:
        raise ValueError(f"windows: source[{int((ids < 0).argmax())}] is {ids[ids < 0][0]}; token ids are whole numbers from 0")
    return ids


def _check(ids: Array, name: str) -> None:
    if ids.dtype.kind not in "iu" or ids.ndim != 1:
        raise TypeError(f"windows: {name} has {ids.dtype} of shape {ids.shape}; wanted token ids, whole numbers of one axis")


def _mapped(name: str, dtype: Any) -> Array:
    """Return the memory map of a file of ids."""
    if not os.path.isfile(name):
        raise FileNotFoundError(f"windows: there is no file {name!r}")
    ending = os.path.splitext(name)[1]
    if ending == ".npy":
        if dtype is not None:
            raise ValueError(f"windows: {name} has its dtype in its header; omit dtype")
        try:
            ids: Array = np.load(name, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"windows: {name} is no .npy file, or a damaged one: {error}") from None
    elif ending == ".bin":
        kind = np.dtype("uint16" if dtype is None else dtype)
        size = os.path.getsize(name)
        if kind.kind not in "iu" or not size or size % kind.itemsize:
            raise ValueError(f"windows: {name} has {size} bytes, which are no ids of {kind}")
        ids = np.memmap(name, kind, "r")
    else:
        raise ValueError(
            f"windows: {name}: wanted a .npy or .bin file of token ids; fastnn.datasets.tokenize writes one from text"
        )
    _check(ids, name)
    return ids
