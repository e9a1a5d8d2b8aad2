"""Data sets: objects with a length and samples by index."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ...core.seeding import generator as own_generator
from ...ops.checks import as_tensor


class Dataset:
    """Base of data sets. Derive from it and define ``__getitem__(index)`` and ``__len__()``.

    >>> from fastnn.utils.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return index**2
    >>> (Squares() + Squares())[4]
    1
    """

    def __class_getitem__(cls, item: Any) -> Any:  # Dataset[...] in annotations, as in PyTorch
        return cls

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__(index)")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} defines no __len__()")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Base of data sets that are only read in their order. Derive from it and define ``__iter__()``."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__()")


class TensorDataset(Dataset):
    """Samples that are the rows of Tensors.

    Args:
        tensors: Tensors or arrays with the same number of rows.

    Raises:
        ValueError: their numbers of rows differ.

    >>> import fastnn
    >>> data = fastnn.utils.data.TensorDataset(fastnn.ones(3, 2), fastnn.arange(3))
    >>> len(data), data[1]
    (3, (tensor([1., 1.]), tensor(1, dtype=int64)))
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(as_tensor(t, "TensorDataset") for t in tensors)
        rows = {t.shape[:1] for t in self.tensors}
        if len(rows) != 1 or rows == {()}:
            raise ValueError(f"TensorDataset: shapes {[t.shape for t in self.tensors]} came, wanted the same number of rows")

    def __getitem__(self, index: Any) -> Any:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class StackDataset(Dataset):
    """Samples that are tuples of the samples of several data sets, or dicts for keywords.

    Raises:
        ValueError: their lengths differ.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: wanted data sets, or data sets by name")
        self.datasets: Any = kwargs or args
        lengths = {len(d) for d in (kwargs.values() or args)}
        if len(lengths) > 1:
            raise ValueError(f"StackDataset: data sets of lengths {sorted(lengths)} came, wanted one length")
        self._length = lengths.pop()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: d[index] for name, d in self.datasets.items()}
        return tuple(d[index] for d in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset):
    """Samples of several data sets, one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: no data set came, wanted at least one")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> Any:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {n}")
        index %= n
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class Subset(Dataset):
    """Samples of a data set with these indices."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[[self.indices[i] for i in index] if isinstance(index, list) else self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def rows_of(dataset: Any) -> Callable[[Sequence[int]], list[Any]] | None:
    """Return a function that makes the batch of the samples with these indices at once; None if there is none.

    Classes with a ``__getitem__`` of their own have none.
    """
    own = type(dataset).__getitem__
    if own is TensorDataset.__getitem__:
        return lambda indices: [t[np.asarray(indices, np.int64)] for t in dataset.tensors]
    inner = rows_of(dataset.dataset) if own is Subset.__getitem__ else None
    return None if inner is None else lambda indices: inner([dataset.indices[i] for i in indices])


def random_split(dataset: Any, lengths: Sequence[float], generator: np.random.Generator | None = None) -> list[Subset]:
    """Split a data set at random into parts without common samples.

    Args:
        dataset: a data set with a length.
        lengths: the lengths of the parts, or fractions that add up to 1. The parts of fractions are rounded down; samples that
            are left are given to the first parts.
        generator: a `fastnn.Generator` or one of NumPy; without it, the split depends on `fastnn.seed`.

    Raises:
        ValueError: the lengths do not add up to that of the data set.

    >>> import fastnn
    >>> [len(part) for part in fastnn.utils.data.random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    n, total = len(dataset), sum(lengths)
    if any(isinstance(m, float) for m in lengths):
        if abs(total - 1) > 1e-6 or min(lengths) < 0:
            raise ValueError(f"random_split: fractions {list(lengths)} came, wanted numbers that add up to 1")
        sizes = [int(n * fraction) for fraction in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    else:
        sizes = [int(m) for m in lengths]
        if total != n:
            raise ValueError(f"random_split: lengths {sizes} came, which add up to {total}; the data set has {n} samples")
    order = (generator or own_generator()).permutation(n).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
