"""Parts of the rows of a source: places in files, not data, so that a worker holds only the part that it reads.

A part has a ``name`` and yields ``chunks`` of rows: arrays, dicts of columns, or data frames.
"""

from __future__ import annotations

import io
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..datasets.arrays import read_npz
from ..tables.files import COMPRESSED, READ, TEXTS, dialect, ending_of, named, read, require

Array: TypeAlias = np.ndarray[Any, Any]
_BLOCK = 1 << 20
"""Bytes of a text file that are searched at a time for the ends of its rows."""
_QUOTE, _LINE, _BLANK = b'"\n '


@dataclass(frozen=True)
class Part(ABC):
    """Rows of a source. ``name``: what its output file is named, without ending. ``table``: whether the chunks have columns."""

    name: str
    table = False
    ending = ".npy"
    """Ending of the file of its predictions."""

    @abstractmethod
    def chunks(self) -> Iterator[Any]:
        """Yield the rows in pieces of limited size."""


@dataclass(frozen=True)
class Held(Part):
    """Rows of an array or a data frame in memory. They travel with the part."""

    rows: Any
    table: bool = False
    ending: str = ".npy"

    def chunks(self) -> Iterator[Any]:
        yield self.rows


@dataclass(frozen=True)
class Mapped(Part):
    """Rows of an array in a file, which are mapped into memory."""

    path: str
    offset: int
    shape: tuple[int, ...]
    dtype: str

    def chunks(self) -> Iterator[Any]:
        yield np.memmap(self.path, np.dtype(self.dtype), "r", self.offset, self.shape)


@dataclass(frozen=True)
class Lines(Part):
    """Rows of a text file between two places, with its first line, which names the columns."""

    path: str
    head: bytes
    begin: int
    end: int
    how: dict[str, Any]
    table = True
    ending = ".csv"

    def chunks(self) -> Iterator[Any]:
        with open(self.path, "rb") as f:
            f.seek(self.begin)
            text = self.head + f.read(self.end - self.begin)
        yield named(require().read_csv(io.BytesIO(text), **self.how), self.path)


@dataclass(frozen=True)
class Group(Part):
    """A row group of a Parquet file. ``rows``: number of rows to read at a time."""

    path: str
    group: int
    rows: int
    table = True
    ending = ".parquet"

    def chunks(self) -> Iterator[Any]:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(self.path) as file:
            for batch in file.iter_batches(self.rows, row_groups=[self.group]):
                yield named(batch.to_pandas(), self.path)


@dataclass(frozen=True)
class Whole(Part):
    """All rows of a file that can only be read from its beginning."""

    path: str
    table: bool
    ending: str

    def chunks(self) -> Iterator[Any]:
        yield read(self.path) if self.table else read_npz(Path(self.path))


def of_files(paths: Sequence[Any], most: int) -> list[Part]:
    """Return the parts of files, each of about ``most`` bytes.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the ending is unknown, a file is damaged, or two files have the same name, as their outputs would have.
    """
    parts: list[Part] = []
    seen: dict[str, Any] = {}
    for path in map(os.fspath, paths):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"predict: there is no file {path!r}")
        ending, file = ending_of(path), Path(path)
        stem = file.name[: file.name.lower().rindex(ending)] if ending else file.name
        if stem in seen:
            raise ValueError(
                f"predict: {seen[stem]} and {path} have the same name, as their outputs would; wanted different ones"
            )
        seen[stem] = path
        if ending == ".npy":
            found = _mapped(path, most)
        elif ending in TEXTS and not path.lower().endswith(COMPRESSED):
            found = _lines(path, most)
        elif ending == ".parquet":
            found = _groups(path, most)
        elif ending in READ:
            found = [Whole("", os.path.abspath(path), ending != ".npz", ".npy" if ending == ".npz" else ".csv")]
        else:
            raise ValueError(f"predict: {path}: wanted a file that ends with .npy, {', '.join(READ)}")
        parts += [_renamed(part, f"{stem}.{i:05d}") for i, part in enumerate(found)]
    return parts


def of_rows(rows: Any, most: int) -> list[Part]:
    """Return the parts of an array or a data frame in memory; of a memory-mapped array its places in the file."""
    place = _place(rows) if isinstance(rows, np.memmap) else None
    if place is not None:
        found = _cut(place[0], place[1], rows.shape, rows.dtype, most)
    else:
        table = hasattr(rows, "iloc")
        size = int(rows.memory_usage().sum()) if table else rows.nbytes
        pieces = _pieces(len(rows), size // max(len(rows), 1), most)
        found = [Held("", rows.iloc[a:b] if table else rows[a:b], table, ".parquet" if table else ".npy") for a, b in pieces]
    return [_renamed(part, f"rows.{i:05d}") for i, part in enumerate(found)]


def _renamed(part: Part, name: str) -> Part:
    return type(part)(**{**vars(part), "name": name})


def _pieces(n: int, size: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of pieces of n rows of this size in bytes."""
    step = max(1, most // max(size, 1))
    return ((a, min(a + step, n)) for a in range(0, n, step))


def _cut(path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], most: int) -> list[Part]:
    size = math.prod(shape[1:]) * dtype.itemsize
    return [Mapped("", path, offset + a * size, (b - a, *shape[1:]), dtype.str) for a, b in _pieces(shape[0], size, most)]


def _mapped(path: str, most: int) -> list[Part]:
    """Return the parts of the array in an .npy file."""
    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as e:
        raise ValueError(f"predict: {path} cannot be read as an .npy file: {e}") from e
    if not array.ndim or not len(array):
        raise ValueError(f"predict: {path} has an array of shape {array.shape}; wanted rows")
    if not array.flags.c_contiguous:
        raise ValueError(f"predict: {path} is stored by columns; wanted rows: numpy.save(path, numpy.ascontiguousarray(array))")
    return _cut(os.path.abspath(path), array.offset, array.shape, array.dtype, most)


def _place(rows: Any) -> tuple[str, int] | None:
    """Return the file of a memory-mapped array, and the place of its first row; None if its rows are not in order there."""
    root = rows
    while isinstance(root.base, np.memmap):
        root = root.base
    if rows.filename is None or rows.mode == "c" or not rows.flags.c_contiguous:
        return None
    begin = rows.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return str(rows.filename), root.offset + begin


def _groups(path: str, most: int) -> list[Part]:
    """Return the row groups of a Parquet file."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as e:
        raise ImportError(f"{path}: .parquet files need pyarrow: pip install pyarrow") from e
    try:
        with ParquetFile(path) as file:
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    except (OSError, ValueError) as e:
        raise ValueError(f"predict: {path} cannot be read as a .parquet file: {e}") from e
    sizes = [(g.num_rows, g.total_byte_size // max(g.num_rows, 1)) for g in groups]
    where = os.path.abspath(path)
    return [Group("", where, i, max(1, most // max(size, 1))) for i, (rows, size) in enumerate(sizes) if rows]


def _lines(path: str, most: int) -> list[Part]:
    """Return the parts of a text file, which end where rows end.

    A line that ends within quotes does not end a row. Quotes are counted, which is right if each cell with quotes is quoted.
    """
    how = dialect(Path(path))
    before = {ord(how["sep"]), ord("\n"), ord("\r"), _QUOTE, 0xBF}  # 0xBF ends the mark of UTF-8
    head, begin, cuts, place, quoted, last = b"", 0, [], 0, 0, _LINE
    with open(path, "rb") as f:
        while block := f.read(_BLOCK):
            a = np.frombuffer(block, np.uint8)
            inside = (np.cumsum(a == _QUOTE) + quoted) & 1
            for i in np.flatnonzero((a == _QUOTE) & (inside == 1)).tolist():
                if _seen(block, i, last) not in before:
                    raise ValueError(
                        f"predict: {path}: at byte {place + i} a cell without quotes around it has one within, so that the ends "
                        f"of rows are not known; write it as Parquet, or let the writer quote such cells"
                    )
            ends = np.flatnonzero((a == _LINE) & (inside == 0)) + place + 1
            if not head:
                named_by = next((e for e in ends.tolist() if block[: e - place].strip()), None)
                if place or named_by is None:
                    return [Whole("", os.path.abspath(path), True, ".csv")]
                head, begin = block[:named_by], named_by
            while len(ends) and ends[-1] >= begin + most:
                end = int(ends[np.searchsorted(ends, begin + most)])
                cuts.append((begin, end))
                begin = end
            place, quoted, last = place + len(block), int(inside[-1]), _seen(block, len(block), last)
        f.seek(begin)
        if place - begin > _BLOCK or f.read().strip():
            cuts.append((begin, place))
    if not cuts:
        raise ValueError(f"predict: {path} has no rows")
    where = os.path.abspath(path)
    return [Lines("", where, head, begin, end, how) for begin, end in cuts]


def _seen(block: bytes, i: int, last: int) -> int:
    """Return the last byte before place i of a block that is no blank; ``last`` is that of the blocks before."""
    while i and block[i - 1] == _BLANK:
        i -= 1
    return block[i - 1] if i else last
