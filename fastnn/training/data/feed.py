"""What users pass in place of arrays: iterables of batches, datasets, and arrays that are cast batch by batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...core.structure import users_level
from ...core.tree import first_leaf, replace
from .arrays import _array as np_array
from .order import Order
from .prefetch import Prefetch, ahead_of

_ARRAYS = ("__array__", "__array_interface__", "to_numpy", "__dlpack__", "toarray", "columns")
"""What arrays, frames and sparse matrices have, and no iterable of batches."""
PLAIN = 32
"""Samples in a batch by default."""


class Feed:
    """An iterable that can be run through again and again: a DataLoader, or an object with `__iter__`.

    Args:
        given: the iterable.
        name: what messages call it, such as "x".
    """

    own = True
    """Whether code that is not fastnn's makes the batches."""
    once = False
    """Whether there is one pass only."""
    size: Sequence[int] = ()
    """What two feeds of indices have in common of which one can go on where the other stopped."""

    def __init__(self, given: Any, name: str) -> None:
        self.given, self.name = given, name
        self.kind = type(given).__name__
        self.ahead = 0
        self._running: Any = None

    @property
    def length(self) -> int | None:
        """Batches in a pass; None where that is not known."""
        try:
            return len(self.given)
        except (TypeError, NotImplementedError, AttributeError):
            return None

    def run(self, order: Order, skip: int = 0) -> Iterator[Any]:
        """Begin a pass, of which the first `skip` batches are left out."""
        batches = self._batches(order, skip)
        running = self._running = ahead_of(batches, self.ahead) if self.ahead else batches
        return running

    def _batches(self, order: Order, skip: int) -> Iterator[Any]:
        return iter(self.given)

    def leave(self) -> None:
        """End the pass that is running."""
        running, self._running = self._running, None
        if running is not self.given and hasattr(running, "close"):
            running.close()

    close = leave

    def epoch_ended(self) -> None:
        """Call Keras's hook, where there is one."""
        if callable(hook := getattr(self.given, "on_epoch_end", None)):
            hook()

    def epoch_begins(self) -> None:
        """Call Keras's hook, where there is one."""
        if callable(hook := getattr(self.given, "on_epoch_begin", None)):
            hook()


class Once(Feed):
    """A generator or another iterator, which a later epoch goes on with."""

    once = True
    length = None

    def run(self, order: Order, skip: int = 0) -> Iterator[Any]:
        return self._running if self._running is not None else super().run(order)

    def leave(self) -> None:
        """Do nothing: what was fetched ahead belongs to the next epoch."""


class Indexed(Feed):
    """Keras's Sequence or PyDataset: batches by their number. `shuffle` changes their order, as in Keras."""

    @property
    def length(self) -> int | None:
        if hasattr(self.given, "__len__"):
            return len(self.given)
        batches = getattr(self.given, "num_batches", None)
        return None if batches is None else int(batches)

    @property
    def size(self) -> list[int]:  # type: ignore[override]
        return [self.length or 0, 1]

    def _batches(self, order: Order, skip: int) -> Iterator[Any]:
        n = self.length
        assert n is not None  # checked by `find`
        places = order.draw(n)  # now, and not on the thread that may fetch the batches
        return (self.given[i] for i in (range(n) if places is None else places.tolist())[skip:])


class Rows(Feed):
    """Samples that are put together here.

    Args:
        n: their number.
        rows: returns the batch of samples at some indices, an array of them or a slice.
        batch_size: samples in a batch.
    """

    def __init__(self, given: Any, name: str, n: int, rows: Callable[[Any], Any], batch_size: int) -> None:
        super().__init__(given, name)
        self.n, self.rows, self.batch_size = n, rows, batch_size

    @property
    def length(self) -> int:
        return -(-self.n // self.batch_size)

    @property
    def size(self) -> list[int]:  # type: ignore[override]
        return [self.n, self.batch_size]

    def _batches(self, order: Order, skip: int) -> Iterator[Any]:
        places = order.draw(self.n)
        parts = (slice(i, i + self.batch_size) for i in range(skip * self.batch_size, self.n, self.batch_size))
        return (self.rows(part if places is None else places[part]) for part in parts)

    def epoch_ended(self) -> None:
        pass

    def epoch_begins(self) -> None:
        pass


def gives_batches(x: Any) -> bool:
    """Return whether x is no array, list or frame, but an iterable of batches or a dataset.

    >>> gives_batches(iter([])), gives_batches([[1.0]]), gives_batches(np.ones(3))
    (True, False, False)
    """
    if x is None or isinstance(x, np.ndarray | list | tuple | Mapping | str | bytes | Number | Tensor):
        return False
    if isinstance(x, type) or any(hasattr(x, name) for name in _ARRAYS):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or hasattr(x, "__getitem__")


def find(x: Any, op: str, name: str, batch_size: int | None = None, together: Mapping[str, Any] | None = None) -> Feed | None:
    """Return what fit, evaluate or predict take batches from; None where x is arrays.

    Args:
        x: what the user passed as the argument `name` of `op`.
        batch_size: is for datasets of samples alone.
        together: other arguments of the call, which have to be None.

    Raises:
        ValueError: arguments that x makes superfluous; a Sequence without a length.
        TypeError: a dataset that has to be wrapped in a DataLoader.
    """
    if not gives_batches(x):
        return None
    given, ahead = (x.data, x.ahead) if isinstance(x, Prefetch) else (x, 0)
    kind = type(given).__name__
    for argument, value in (together or {}).items():
        if value is not None:
            what = "cannot be divided" if argument == "validation_split" else f"holds {argument} in its batches"
            raise ValueError(f"{op}: {argument} is given together with {name}, a {kind}, which {what}; leave it out")
    of_torch = _torch_kind(given)
    if of_torch == "IterableDataset":
        raise TypeError(f"{op}: {name} is an IterableDataset of single samples; wanted DataLoader({name}, batch_size=...)")
    feed: Feed
    if of_torch == "Dataset":
        feed = Rows(given, name, len(given), Samples(given, op, name), PLAIN if batch_size is None else batch_size)
    elif batch_size is not None:
        size = "validation_batch_size" if op == "fit" and name != "x" else "batch_size"
        raise ValueError(f"{op}: {size} is given together with {name}, a {kind}, whose batches are what it gives; leave it out")
    elif hasattr(given, "__getitem__") and (hasattr(given, "on_epoch_end") or not hasattr(given, "__iter__")):
        feed = Indexed(given, name)
        if feed.length is None:
            raise ValueError(f"{op}: {name} is a {kind} without a length; wanted one with __len__, or an iterator of its batches")
    else:
        feed = Once(given, name) if hasattr(given, "__next__") else Feed(given, name)
    feed.ahead = ahead
    return feed


def _torch_kind(x: Any) -> str:
    """Return which kind of dataset of PyTorch's x is, whose items are samples; "" for others."""
    names = [cls.__name__ for cls in type(x).__mro__ if cls.__module__.startswith("torch.utils.data")]
    return next((name for name in ("IterableDataset", "Dataset") if name in names), "")


class Samples:
    """Batches of a dataset that gives single samples: (x, y), (x, y, sample_weight) or x, of arrays, tensors and numbers."""

    def __init__(self, dataset: Any, op: str, name: str) -> None:
        self.dataset, self.op, self.name = dataset, op, name

    def __call__(self, places: Any) -> Any:
        indices = range(len(self.dataset))[places] if isinstance(places, slice) else places.tolist()
        return self._stacked([self.dataset[i] for i in indices])

    def _stacked(self, samples: list[Any]) -> Any:
        first = samples[0]
        if isinstance(first, Mapping):
            return {key: self._stacked([sample[key] for sample in samples]) for key in first}
        if isinstance(first, list | tuple):
            return tuple(self._stacked(list(column)) for column in zip(*samples, strict=True))
        arrays = [np.asarray(sample) for sample in samples]
        if len({a.shape for a in arrays}) > 1:
            shapes = sorted({a.shape for a in arrays})
            raise ValueError(
                f"{self.op}: samples of {self.name} have different shapes, {shapes[0]} and {shapes[1]}; "
                "pad them, in a DataLoader by collate_fn"
            )
        return np.stack(arrays)


def unpack(item: Any, op: str, name: str) -> tuple[Any, Any, Any]:
    """Return x, y and sample_weight of a batch, None for what it does not have.

    >>> unpack([1, 2], "fit", "x")
    (1, 2, None)
    """
    if not isinstance(item, list | tuple):
        return _on_host(item, op, name), None, None
    if not 1 <= len(item) <= 3:
        raise ValueError(f"{op}: a batch of {name} has {len(item)} parts; wanted (x, y) or (x, y, sample_weight)")
    x, y, weight = (_on_host(part, op, name) for part in (*item, None, None)[:3])
    return x, y, weight


def _on_host(value: Any, op: str, name: str) -> Any:
    """Return tensors of other libraries as NumPy arrays, also nested ones; without a copy where the library allows it."""
    if isinstance(value, list | tuple) and not any(isinstance(a, Mapping) or _is_tensor(first_leaf(a)) for a in value):
        return value  # rows of numbers
    return replace(value, lambda a: np_array(a, op, name) if _is_tensor(a) else a)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray | Tensor) and not hasattr(value, "columns")


def warn(message: str) -> None:
    """Warn at the line of the user's code that called fastnn."""
    warnings.warn(message, RuntimeWarning, stacklevel=users_level())
