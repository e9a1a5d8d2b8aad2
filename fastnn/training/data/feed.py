"""Sources of batches that users pass instead of arrays: iterables of batches and datasets."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import current
from ...core.structure import users_level
from ...core.tree import first_leaf, replace
from ...datasets.folders import ImageFolder
from ...datasets.lengths import Buckets
from ...datasets.tokens import Windows
from .arrays import _array as np_array
from .order import Array, Order
from .prefetch import Prefetch, ahead_of

_ARRAYS = ("__array__", "__array_interface__", "to_numpy", "__dlpack__", "toarray", "columns")
"""Attributes that arrays, frames and sparse matrices have, but iterables of batches do not."""
PLAIN = 32
"""Default batch size."""


class Feed:
    """Iterable that allows several passes: a DataLoader, or an object with `__iter__`.

    Args:
        given: the iterable.
        name: its name in messages, such as "x".
    """

    own = True
    """Whether user code makes the batches."""
    once = False
    """Whether only one pass is possible."""
    divided = False
    """Whether these are the samples of one of several ranks."""
    size: Sequence[int] = ()
    """Sizes of a feed with indices. A feed can continue where another one with equal sizes stopped."""

    def __init__(self, given: Any, name: str) -> None:
        self.given, self.name = given, name
        self.kind = type(given).__name__
        self.ahead = 0
        self._running: Any = None

    @property
    def length(self) -> int | None:
        """Return the number of batches in a pass; None if it is unknown."""
        try:
            return len(self.given)
        except (TypeError, NotImplementedError, AttributeError):
            return None

    def run(self, order: Order, skip: int = 0) -> Iterator[Any]:
        """Begin a pass and skip its first `skip` batches."""
        batches = self._batches(order, skip)
        running = self._running = ahead_of(batches, self.ahead) if self.ahead else batches
        return running

    def _batches(self, order: Order, skip: int) -> Iterator[Any]:
        return iter(self.given)

    def leave(self) -> None:
        """End the current pass."""
        running, self._running = self._running, None
        if running is not self.given and hasattr(running, "close"):
            running.close()

    close = leave

    def kept(self) -> tuple[Any, Any] | None:
        """Return x and y of all samples, if they are kept in memory; else None."""
        return None

    def serve(self, model: Any, evaluates: bool = False) -> None:
        """Tell the feed which model gets its batches, and whether it only evaluates or predicts them."""

    def epoch_ended(self) -> None:
        """Call Keras's hook on_epoch_end, if the iterable has it."""
        if callable(hook := getattr(self.given, "on_epoch_end", None)):
            hook()

    def epoch_begins(self) -> None:
        """Call Keras's hook on_epoch_begin, if the iterable has it."""
        if callable(hook := getattr(self.given, "on_epoch_begin", None)):
            hook()


class Once(Feed):
    """Generator or another iterator, which the next epoch continues."""

    once = True
    length = None

    def run(self, order: Order, skip: int = 0) -> Iterator[Any]:
        return self._running if self._running is not None else super().run(order)

    def leave(self) -> None:
        """Do nothing: batches that were fetched ahead belong to the next epoch."""


class Indexed(Feed):
    """Keras's Sequence or PyDataset, which returns batches by their number. `shuffle` changes their order, as in Keras."""

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
        places = order.draw(n)  # draw here, not on the thread that may fetch the batches
        return (self.given[i] for i in (range(n) if places is None else places.tolist())[skip:])


class Rows(Feed):
    """Single samples, which this class puts together to batches.

    Args:
        n: number of samples.
        rows: returns the batch of samples with some indices, which are an array or a slice.
        batch_size: number of samples in a batch.
    """

    _rank, _ranks = 0, 1

    def __init__(self, given: Any, name: str, n: int, rows: Callable[[Any], Any], batch_size: int) -> None:
        super().__init__(given, name)
        self.n, self.rows, self.batch_size = n, rows, batch_size

    def divide(self, rank: int, ranks: int, steps: int | None) -> None:
        """Keep, for evaluation and prediction, the samples of one of several ranks; of all, or of the first `steps` batches."""
        n = self.n if steps is None else min(self.n, steps * self.batch_size)
        self._rank, self._ranks, self.divided = rank, ranks, True
        self.n = len(range(rank, n, ranks))

    def _of_all(self) -> Array:
        """Return the indices, among all samples, of this rank's samples."""
        places: Array = self._rank + self._ranks * np.arange(self.n)
        return places

    @property
    def length(self) -> int:
        return -(-self.n // self.batch_size)

    @property
    def size(self) -> list[int]:  # type: ignore[override]
        return [self.n, self.batch_size]

    def _batches(self, order: Order, skip: int) -> Iterator[Any]:
        places = order.draw(self.n) if not self.divided else self._of_all()
        parts = (slice(i, i + self.batch_size) for i in range(skip * self.batch_size, self.n, self.batch_size))
        return (self.rows(part if places is None else places[part]) for part in parts)

    def epoch_ended(self) -> None:
        pass

    def epoch_begins(self) -> None:
        pass


class Pictures(Rows):
    """Pictures in folders, which threads decode."""

    own = False

    def __init__(self, given: ImageFolder, name: str, batch_size: int) -> None:
        Feed.__init__(self, given, name)
        self.n, self.batch_size = len(given), batch_size

    def kept(self) -> tuple[Any, Any] | None:
        return self.given.arrays() if self.given.fits else None

    def _batches(self, order: Order, skip: int) -> Iterator[Any]:
        places = order.draw(self.n)
        places = self._of_all() if places is None else places
        batches: Iterator[Any] = self.given.batches(places[skip * self.batch_size :], self.batch_size)
        return batches


class TokenWindows(Rows):
    """Windows of token ids. With streams, the states of stateful layers are reset at the beginning of each pass."""

    own = False
    given: Windows

    def __init__(self, given: Windows, name: str, batch_size: int) -> None:
        super().__init__(given, name, len(given), given.batch, batch_size)
        self._stateful: list[Any] = []
        self._evaluates = False

    def serve(self, model: Any, evaluates: bool = False) -> None:
        self._evaluates = evaluates
        if self.given.streams is not None:
            self._stateful = [layer for layer in model.modules() if getattr(layer, "stateful", False)]

    def divide(self, rank: int, ranks: int, steps: int | None) -> None:
        streams = self.given.streams
        if streams is not None and streams % ranks:
            raise ValueError(f"{self.name} has {streams} streams, and there are {ranks} ranks; wanted a multiple of the ranks")
        super().divide(rank, ranks, steps)
        self.batch_size //= 1 if streams is None else ranks

    def starts(self, order: Order, skip: int = 0) -> Array:
        """Begin a pass, perhaps with its batch `skip`, and return the positions at which its windows begin."""
        if not skip:
            for layer in self._stateful:
                if layer.states:
                    layer.reset_states()
        windows = self.given
        drawn = None if windows.streams is not None else order.draw(self.n, None if windows.samples is None else windows.places)
        if drawn is not None and windows.samples is not None:
            return drawn
        return windows.starts(self._of_all() if drawn is None else drawn)

    def _batches(self, order: Order, skip: int) -> Iterator[Any]:
        before = [(state, state.numpy().copy()) for layer in self._stateful for state in layer.states if self._evaluates]
        starts = self.starts(order, skip)
        return self._passed(starts[skip * self.batch_size :], before)

    def _passed(self, starts: Array, before: list[tuple[Any, Array]]) -> Iterator[Any]:
        """Yield the windows that begin at these positions, and then set states to what they were before an evaluation."""
        try:
            for i in range(0, len(starts), self.batch_size):
                yield self.rows(starts[i : i + self.batch_size])
        finally:
            for state, values in before:
                state.copy_(Tensor(current().asarray(values)))


def gives_batches(x: Any) -> bool:
    """Return whether x is an iterable of batches or a dataset, and not an array, list or frame.

    >>> gives_batches(iter([])), gives_batches([[1.0]]), gives_batches(np.ones(3))
    (True, False, False)
    """
    if x is None or isinstance(x, np.ndarray | list | tuple | Mapping | str | bytes | Number | Tensor):
        return False
    if isinstance(x, type) or any(hasattr(x, name) for name in _ARRAYS):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or hasattr(x, "__getitem__")


def find(x: Any, op: str, name: str, batch_size: int | None = None, together: Mapping[str, Any] | None = None) -> Feed | None:
    """Return the feed from which fit, evaluate or predict take batches; None if x consists of arrays.

    Args:
        x: the argument `name` of `op`.
        batch_size: only allowed for datasets of samples.
        together: other arguments of the call, which must be None.

    Raises:
        ValueError: an argument is not allowed together with x, or a Sequence has no length.
        TypeError: a dataset must be wrapped in a DataLoader.
    """
    if not gives_batches(x):
        return None
    given, ahead = (x.data, x.ahead) if isinstance(x, Prefetch) else (x, 0)
    kind = type(given).__name__
    for argument, value in (together or {}).items():
        if value is not None:
            what = "cannot be divided" if argument == "validation_split" else f"holds {argument} in its batches"
            raise ValueError(f"{op}: {argument} is given together with {name}, a {kind}, which {what}; omit it")
    of_torch = _torch_kind(given)
    if of_torch == "IterableDataset":
        raise TypeError(f"{op}: {name} is an IterableDataset of single samples; wanted DataLoader({name}, batch_size=...)")
    feed: Feed
    if isinstance(given, ImageFolder):
        feed = Pictures(given, name, PLAIN if batch_size is None else batch_size)
    elif isinstance(given, Windows):
        if given.streams is not None and batch_size not in (None, given.streams):
            raise ValueError(f"{op}: {name} has {given.streams} streams, which is its batch size, but batch_size is {batch_size}")
        feed = TokenWindows(given, name, given.streams or (PLAIN if batch_size is None else batch_size))
    elif of_torch == "Dataset":
        feed = Rows(given, name, len(given), Samples(given, op, name), PLAIN if batch_size is None else batch_size)
    elif batch_size is not None:
        size = "validation_batch_size" if op == "fit" and name != "x" else "batch_size"
        raise ValueError(f"{op}: {size} is given together with {name}, a {kind}, which defines its batches; omit it")
    elif hasattr(given, "__getitem__") and (hasattr(given, "on_epoch_end") or not hasattr(given, "__iter__")):
        feed = Indexed(given, name)
        if feed.length is None:
            raise ValueError(f"{op}: {name} is a {kind} without a length; wanted one with __len__, or an iterator of its batches")
        feed.own = not isinstance(given, Buckets)
    else:
        feed = Once(given, name) if hasattr(given, "__next__") else Feed(given, name)
    feed.ahead = ahead
    return feed


def _torch_kind(x: Any) -> str:
    """Return the kind of PyTorch dataset that x is, "IterableDataset" or "Dataset"; "" for other objects."""
    names = [cls.__name__ for cls in type(x).__mro__ if cls.__module__.startswith("torch.utils.data")]
    return next((name for name in ("IterableDataset", "Dataset") if name in names), "")


class Samples:
    """Function that makes batches from a dataset of single samples: (x, y), (x, y, sample_weight) or x, of arrays or numbers."""

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
                "pad them, for example in collate_fn of a DataLoader"
            )
        return np.stack(arrays)


def unpack(item: Any, op: str, name: str) -> tuple[Any, Any, Any]:
    """Return x, y and sample_weight of a batch; None for missing parts.

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
    """Convert tensors of other libraries, also nested ones, to NumPy arrays, without a copy if the library allows it."""
    if isinstance(value, list | tuple) and not any(isinstance(a, Mapping) or _is_tensor(first_leaf(a)) for a in value):
        return value  # rows of numbers
    return replace(value, lambda a: np_array(a, op, name) if _is_tensor(a) else a)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray | Tensor) and not hasattr(value, "columns")


def warn(message: str) -> None:
    """Warn at the line of user code that called fastnn."""
    warnings.warn(message, RuntimeWarning, stacklevel=users_level())
