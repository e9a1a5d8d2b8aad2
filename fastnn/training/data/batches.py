"""Batches for evaluation, validation and prediction, from arrays and from feeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ...backends import current
from ...core.structure import Arrays, chunk_size, chunks
from ...ops.checks import positive_int
from .. import sanity
from .arrays import check_same_length
from .feed import PLAIN, Feed, Rows, find, unpack, warn
from .large import by_batch
from .order import Order

if TYPE_CHECKING:
    from ...core.structure import Structure
    from ...distributed import Comm

Batches = Callable[[], Generator[Arrays]]
"""Type of the function that begins a pass over the batches of an evaluation."""


def batches_of(feed: Feed, op: str, steps: int | None) -> Generator[tuple[Any, Any, Any]]:
    """Yield x, y and weights of the batches of an evaluation or prediction: `steps` batches, or a whole pass.

    An iterator keeps its position after the last batch.

    Raises:
        ValueError: there are no batches.
    """
    if steps is not None:
        _checked(steps, op)
    feed.epoch_begins()
    iterator, done = feed.run(Order(False)), 0
    try:
        while steps is None or done < steps:
            try:
                item = next(iterator)
            except StopIteration:
                break
            done += 1
            yield unpack(item, op, feed.name)
    finally:
        if op == "fit":
            feed.leave()  # the next validation may continue
        else:
            feed.close()
    if steps is not None and done < steps and (done or feed.once):
        warn(f"{op}: {feed.name} is a {feed.kind} that ended after {done} batches; wanted {steps}")
    goes_on = op == "fit" and steps is not None and feed.once  # fit continues without validation
    if not done and not feed.divided and not goes_on:
        raise ValueError(f"{op}: {feed.name} is a {feed.kind} that returned no batches")
    feed.epoch_ended()


def in_chunks(arrays: Arrays, op: str, name: str, size: int | None, steps: int | None) -> Generator[Arrays]:
    """Yield parts of arrays with `size` samples, at most `steps` of them; name is the name of size in messages."""
    parts = chunks(arrays, _rows_at_a_time(size, f"{op}: {name}", steps))
    for part in parts if steps is None else islice(parts, _checked(steps, op)):
        yield Arrays(part, arrays.inputs)


def _rows_at_a_time(size: int | None, name: str, steps: int | None) -> int:
    return chunk_size(PLAIN if size is None and steps is not None else size, name)


def _checked(steps: int, op: str) -> int:
    return positive_int(steps, "fit: validation_steps" if op == "fit" else f"{op}: steps")


def chunked(arrays: Arrays, op: str, name: str, size: int | None, steps: int | None, comm: Comm | None = None) -> Batches:
    """Check the arguments and return a function that calls `in_chunks`, for the rows of this rank of several ones."""
    rows = _rows_at_a_time(size, f"{op}: {name}", steps)
    if steps is not None:
        _checked(steps, op)
    if comm is not None and divides(comm):
        end = None if steps is None else steps * rows
        arrays, steps = Arrays((a[:end][comm.rank :: comm.size].copy() for a in arrays), arrays.inputs), None
    return lambda: in_chunks(arrays, op, name, size, steps)


def ranks_of(model: Any) -> Comm | None:
    """Return the ranks that train a model together; None for this process alone."""
    comm: Comm | None = None if model._compiled is None else model._compiled.distribute
    return comm


def divides(comm: Comm | None, feed: Feed | None = None) -> bool:
    """Return whether each rank takes a part of the rows, since all ranks have all of them. Batches are parts already."""
    return comm is not None and comm.data == "all" and (feed is None or isinstance(feed, Rows))


def _divided(model: Any, feed: Feed, steps: int | None) -> int | None:
    """Divide the rows of a feed among the ranks; return the number of batches of this rank, or None for a whole pass."""
    comm = ranks_of(model)
    if comm is None or not isinstance(feed, Rows) or not divides(comm, feed):
        return steps
    feed.divide(comm.rank, comm.size, steps)
    return None


def of_all_ranks(comm: Comm, own: tuple[Structure, list[Any]] | None, divided: bool) -> Any:
    """Return the outputs of predict for the rows of all ranks; own: those of this rank; None if it had no rows.

    divided: whether each rank took every size-th row. Otherwise the rows are in the order of the ranks.
    """
    ranks = [found for found in comm.all_gather(own) if found is not None]
    if not ranks:
        raise ValueError("predict: x has no samples on any rank")
    columns = list(zip(*(outputs for _, outputs in ranks), strict=True))
    if not divided:
        return ranks[0][0].build([np.concatenate(parts) for parts in columns])
    whole = [np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype) for parts in columns]
    for out, parts in zip(whole, columns, strict=True):
        for rank, part in enumerate(parts):  # ranks without rows are the last ones
            out[rank :: comm.size] = part
    return ranks[0][0].build(whole)


def to_evaluate(model: Any, given: tuple[Any, Any, Any], size: int | None, steps: int | None) -> Batches:
    """Return the batches of evaluate from x, y and the weights: `steps` batches of `size` samples."""
    x, y, weight = given
    feed = find(x, "evaluate", "x", size, {"y": y, "sample_weight": weight})
    if feed is None:
        feed = by_batch(model, "evaluate", x, y, weight, _rows_at_a_time(size, "evaluate: batch_size", steps))
    if feed is None:
        arrays = model._prepare("evaluate", x, y, weight).on(current())
        return chunked(arrays, "evaluate", "batch_size", size, steps, model._compiled.distribute)
    feed.serve(model, evaluates=True)
    steps = _divided(model, feed, steps)
    return lambda: prepared(model, "evaluate", feed, steps)


def validation_of(
    model: Any, given: Any, size: int | None, steps: int | None, looks: bool, epochs: Iterable[bool] = ()
) -> Batches:
    """Return the batches of fit's validation_data.

    Args:
        size, steps: number of samples in a batch, and number of batches.
        looks: whether NaN in the data is an error.
        epochs: for each epoch, whether it has a validation.
    """
    c = model._need("fit")
    feed = find(given, "fit", "validation_data", size)
    if feed is not None and (kept := feed.kept()) is not None:
        given, feed = kept, None
    if feed is not None:
        feed.serve(model, evaluates=True)
        if steps is not None:
            _checked(steps, "fit")
        elif feed.once and (times := sum(epochs)) > 1:
            raise ValueError(
                f"fit: validation_data is a {feed.kind}, which returns its batches once, but validation runs {times} times; "
                "pass validation_steps, or an object whose __iter__ starts again"
            )
        return Validation(model, feed, steps, looks)
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise ValueError("fit: validation_data is neither (x, y) or (x, y, sample_weight) nor an iterable of such batches")
    x, y, weight = (*given, None)[:3]
    if large := by_batch(model, "fit", x, y, weight, _rows_at_a_time(size, "fit: validation_batch_size", steps)):
        return Validation(model, large, steps, looks)
    names = ("validation x", "validation y")
    arrays = model._prepare("fit", x, y, weight, names)
    if looks:
        sanity.check(model, c, arrays.inputs, arrays, (x, y), names)
    return chunked(arrays.on(current()), "fit", "validation_batch_size", size, steps, c.distribute)


class Validation:
    """Batches of a feed for validation; their data are checked in the first pass."""

    def __init__(self, model: Any, feed: Feed, steps: int | None, looks: bool) -> None:
        self._model, self._feed, self._looks = model, feed, looks
        self._steps = _divided(model, feed, steps)

    def __call__(self) -> Generator[Arrays]:
        looks, self._looks = self._looks, False
        return prepared(self._model, "fit", self._feed, self._steps, looks)

    def close(self) -> None:
        """Close the feed, which stops prefetching."""
        self._feed.close()


def epochs_of(validation_freq: Any) -> Callable[[int], bool]:
    """Return a function that tells whether there is a validation after an epoch, counted from 0."""
    if isinstance(validation_freq, Iterable) and not isinstance(validation_freq, str):
        numbers: Collection[int] = list(validation_freq)
        if all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in numbers):
            return lambda epoch: epoch + 1 in numbers
    elif isinstance(validation_freq, int | np.integer):
        every = positive_int(validation_freq, "fit: validation_freq")
        return lambda epoch: (epoch + 1) % every == 0
    raise TypeError(f"fit: validation_freq is {validation_freq!r}; wanted a number of epochs, or a list of the numbers of epochs")


def prepared(model: Any, op: str, feed: Feed, steps: int | None, looks: bool = False) -> Generator[Arrays]:
    """Yield the batches of a feed as arrays for evaluation; looks: whether NaN in them is an error."""
    with closing(batches_of(feed, op, steps)) as batches:
        for i, (x, y, weight) in enumerate(batches):
            label = f"{op}: batch {i} of {feed.name}"
            arrays = model._prepare(label, x, y, weight)
            if looks:
                sanity.check(model, model._need(op), arrays.inputs, arrays, (x, y), ("x", "y"), label)
            yield arrays


def to_predict(model: Any, x: Any, size: int | None, steps: int | None) -> tuple[Generator[Arrays] | None, bool]:
    """Return a generator of the inputs in the batches of x; None if x consists of arrays that are prepared as a whole.

    Also return whether the rows of x are divided among ranks.
    """
    comm = ranks_of(model)
    feed: Feed | None = find(x, "predict", "x", size)
    if feed is None:
        feed = by_batch(model, "predict", x, None, None, _rows_at_a_time(size, "predict: batch_size", steps))
    if feed is None:
        return None, divides(comm)
    feed.serve(model, evaluates=True)
    return _inputs_of(model, feed, _divided(model, feed, steps)), divides(comm, feed)


def _inputs_of(model: Any, feed: Feed, steps: int | None) -> Generator[Arrays]:
    k = current()
    with closing(batches_of(feed, "predict", steps)) as batches:
        for i, (item, _, _) in enumerate(batches):
            op = f"predict: batch {i} of x"
            inputs, features = model._inputs(op, item, "x")
            check_same_length(op, **dict(zip(inputs.names, features, strict=True)))
            yield Arrays(map(k.asarray, features), inputs)
