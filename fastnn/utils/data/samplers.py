"""Samplers: iterables of the indices of samples, in the order in which they are to be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np

from ...core.seeding import generator as own_generator
from ...ops.checks import positive_int


class Sampler:
    """Base of samplers. Derive from it and define ``__iter__()``, and ``__len__()`` if the length is known."""

    def __class_getitem__(cls, item: Any) -> Any:  # Sampler[int] in annotations, as in PyTorch
        return cls

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__()")


class SequentialSampler(Sampler):
    """Indices from 0 on."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """Indices in random order.

    Args:
        data_source: the data set.
        replacement: whether an index may occur again; otherwise all indices come before one comes again.
        num_samples: number of indices; by default that of the samples.
        generator: a `fastnn.Generator` or one of NumPy; without it, the order depends on `fastnn.seed`.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, bool(replacement), generator
        self._num_samples = None if num_samples is None else positive_int(num_samples, "RandomSampler: num_samples")

    @property
    def num_samples(self) -> int:
        """Return the number of indices in a pass."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, draws = len(self.data_source), self.generator or own_generator()
        if not n:
            return
        if self.replacement:
            yield from draws.integers(0, n, self.num_samples).tolist()
            return
        left = self.num_samples
        while left > 0:
            yield from draws.permutation(n)[:left].tolist()
            left -= n

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: np.random.Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        return (self.indices[i] for i in (self.generator or own_generator()).permutation(len(self.indices)).tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices with probabilities in the ratio of their weights.

    Args:
        weights: a weight for each sample.
        num_samples: number of indices.
        replacement: whether an index may occur again.
        generator: a `fastnn.Generator` or one of NumPy; without it, the order depends on `fastnn.seed`.

    Raises:
        ValueError: a weight is negative or not finite, or they are all 0.
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.weights = np.asarray(weights, np.float64)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any() or not self.weights.any():
            raise ValueError("WeightedRandomSampler: wanted a finite weight of at least 0 for each sample, and one above 0")
        self.num_samples = positive_int(num_samples, "WeightedRandomSampler: num_samples")
        self.replacement, self.generator = bool(replacement), generator

    def __iter__(self) -> Iterator[int]:
        draws, p = self.generator or own_generator(), self.weights / self.weights.sum()
        return iter(draws.choice(len(p), self.num_samples, self.replacement, p).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of the indices of another sampler.

    Args:
        sampler: an iterable of indices.
        batch_size: length of a list.
        drop_last: whether a shorter list at the end is left out.

    >>> from fastnn.utils.data import BatchSampler
    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler, self.drop_last = sampler, bool(drop_last)
        self.batch_size = positive_int(batch_size, "BatchSampler: batch_size")

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
