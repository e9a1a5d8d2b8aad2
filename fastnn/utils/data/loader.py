"""Batches of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from ...ops.checks import positive_int, whole_number
from ...training.data.prefetch import ahead_of
from .collate import default_collate
from .datasets import IterableDataset, rows_of
from .samplers import BatchSampler, RandomSampler, SequentialSampler


class DataLoader:
    """Iterable of the batches of a data set, with PyTorch's arguments. Model.fit takes it, too.

    Args:
        dataset: an object with ``__getitem__`` and ``__len__``, or an `IterableDataset`.
        batch_size: number of samples of a batch; None for single samples without an axis of the samples.
        shuffle: whether each pass has a new order, which depends on `fastnn.seed` or the generator.
        sampler: iterable of indices, in place of shuffle.
        batch_sampler: iterable of lists of indices, in place of batch_size, shuffle, sampler and drop_last.
        num_workers: number of batches that a thread makes ahead; 0 makes them when they are asked for.
        collate_fn: makes a batch of a list of samples; `default_collate` by default.
        drop_last: whether a smaller batch at the end is left out.
        generator: a `fastnn.Generator` or one of NumPy, for the order.
        pin_memory, timeout, worker_init_fn, prefetch_factor, persistent_workers: accepted for compatibility with PyTorch; they
            have no effect.

    Raises:
        ValueError: arguments contradict each other.

    >>> import fastnn
    >>> data = fastnn.utils.data.TensorDataset(fastnn.arange(5))
    >>> [x.shape for (x,) in fastnn.utils.data.DataLoader(data, batch_size=2, shuffle=True, drop_last=True)]
    [(2,), (2,)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        generator: np.random.Generator | None = None,
        **kwargs: Any,
    ) -> None:
        if unknown := kwargs.keys() - {"multiprocessing_context", "pin_memory_device", "in_order"}:
            raise TypeError(f"DataLoader: unknown argument {min(unknown)!r}")
        self.dataset, self.drop_last, self.generator = dataset, bool(drop_last), generator
        self.num_workers = whole_number(num_workers, "DataLoader: num_workers", 0)
        self.batch_size = None if batch_size is None else positive_int(batch_size, "DataLoader: batch_size")
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader: shuffle or a sampler came, but an IterableDataset has an order of its own")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: shuffle and a sampler came, wanted one of them")
        if batch_sampler is not None and (self.batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler came together with batch_size, shuffle, sampler or drop_last")
        if self.batch_size is None and drop_last:
            raise ValueError("DataLoader: drop_last came without a batch_size")
        self.batch_sampler: Any = batch_sampler
        self.sampler: Any = sampler
        if not self._iterable and sampler is None:
            self.sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is not None:
            self.batch_size = None
        elif self.batch_size is not None and not self._iterable:
            self.batch_sampler = BatchSampler(self.sampler, self.batch_size, self.drop_last)
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self._single = collate_fn

    def __class_getitem__(cls, item: Any) -> Any:  # DataLoader[...] in annotations, as in PyTorch
        return cls

    def __len__(self) -> int:
        if not self._iterable:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        batches = self._batches()
        return ahead_of(batches, self.num_workers) if self.num_workers else batches

    def _batches(self) -> Iterator[Any]:
        if self._iterable:
            yield from self._of_iterable()
            return
        if self.batch_sampler is None:
            one = self._single or (lambda sample: sample)
            yield from (one(self.dataset[i]) for i in self.sampler)
            return
        rows = rows_of(self.dataset) if self._single is None else None
        for indices in self.batch_sampler:
            if rows is not None:
                yield rows(indices)
            else:
                yield self.collate_fn([self.dataset[i] for i in indices])

    def _of_iterable(self) -> Iterator[Any]:
        samples = iter(self.dataset)
        if self.batch_size is None:
            one = self._single or (lambda sample: sample)
            yield from map(one, samples)
            return
        while batch := list(islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)
