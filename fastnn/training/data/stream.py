"""Training on batches that Python makes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tensor import Array
from ...backends import current
from ...backends.base import aligned
from ...core.structure import Arrays
from ...distributed.data import Share
from ..batch import MOST_BATCH_SHAPES, structured_key
from ..step import FEW
from .feed import Feed, unpack, warn
from .order import Order, Place
from .source import Make

if TYPE_CHECKING:
    from ...distributed import Comm
    from ..step import TrainStep


class Stream:
    """Source of batches from a feed. Each batch is copied into the buffers of the recorded step for its shape.

    Args:
        feed: source of the batches.
        steps: number of batches in an epoch, where the next epoch continues the pass; None for a whole pass.
        order: shuffles feeds with indices.
        prepare: makes the arrays of a batch from its number in the epoch, x, y and the weights.
        make: makes the training steps.
        reserve: called with the number of samples in the epoch so far, for metrics.
        ranks: those that share each batch, of which this feed gives a part; None for a process alone.
    """

    def __init__(
        self,
        feed: Feed,
        steps: int | None,
        order: Order,
        prepare: Callable[[int, Any, Any, Any], Arrays],
        make: Make,
        reserve: Callable[[int], Any],
        ranks: Comm | None = None,
    ) -> None:
        self.feed, self.steps, self.order = feed, steps, order
        self.length = feed.length
        self.began = 0
        self._whole = steps is None
        if self._whole:
            self.steps = self.length
        self._prepare, self._make, self._reserve, self._ranks = prepare, make, reserve, ranks
        self._last: Arrays | None = None  # of the last batch
        self._made: OrderedDict[Any, TrainStep] = OrderedDict()
        self._iterator: Iterator[Any] | None = None
        self._at = 0
        self._skip = self._done = 0  # batches of the first pass and steps of the first epoch that were done before loading
        self._first = True  # until the first batch
        self._begun: set[TrainStep] = set()  # steps that this epoch has used
        self.exhausted = False
        self._unsafe = ""
        if feed.own:
            batches = f"the batches come from {feed.name}, a {feed.kind}"
            self._unsafe = f"{batches}, which may change values that your code uses; if not, compile with capture=True"

    @property
    def size(self) -> list[int]:
        return list(self.feed.size)

    def epoch(self, left: int, alone: bool) -> Iterator[tuple[TrainStep, int]]:
        self.feed.epoch_begins()
        done, self._done = self._done, 0
        self.began = done - self._at
        self._begun.clear()
        if self._iterator is None:
            self._begin(done)  # draw the order before callbacks draw random numbers, as with arrays
        return self._runs(done, left, alone)

    def _runs(self, done: int, left: int, alone: bool) -> Iterator[tuple[TrainStep, int]]:
        samples = 0
        items = self._items(done)
        for i, (item, lacking) in enumerate(self._together(items), done):
            arrays = self._none() if item is None else self._prepare(i, *item)
            self._last = arrays
            samples += len(arrays[0])
            self._reserve(samples)
            step = self._step(arrays)
            if step not in self._begun:
                self._begun.add(step)
                step.start_epoch(self.steps or FEW, left, alone)
            step.dealt(Share(len(arrays[0]), 0, lacking))
            write = current().write
            for buffer, a in zip(step.buffers, arrays, strict=True):
                if a.size:
                    write(buffer, a)
            yield step, 1

    def _together(self, items: Iterator[Any]) -> Iterator[tuple[Any, bool]]:
        """Yield batches, with whether a rank has none, as long as any rank has one; None if it is another rank."""
        while True:
            item = next(items, None)
            if self._ranks is None:
                if item is None:
                    return
                yield item, False
                continue
            found = np.array([item is not None, item is None], np.int64)  # whether any rank has a batch, and whether any has none
            self._ranks.maximum(found)
            if not found[0]:
                return
            yield item, bool(found[1])

    def _none(self) -> Arrays:
        """Return a batch without rows."""
        if self._last is None:
            raise ValueError(f"fit: {self.feed.name} is a {self.feed.kind} that returned no batches")
        return Arrays((a[:0] for a in self._last), self._last.inputs)

    def _begin(self, done: int) -> None:
        """Begin a pass over the data after `done` steps of the epoch."""
        self.length = self.feed.length
        self._iterator = self.feed.run(self.order, self._skip if self.feed.size else 0)
        self._at, self._skip = self._skip, 0
        self.began = done - self._at

    def _items(self, done: int) -> Iterator[tuple[Any, Any, Any]]:
        """Yield the batches of an epoch in which `done` steps are done."""
        feed = self.feed
        while self._whole or self.steps is None or done < self.steps:
            if self._iterator is None:
                self._begin(done)
            try:
                item = next(self._iterator)  # type: ignore[arg-type]
            except StopIteration:
                self._iterator = None
                if self._first:
                    raise ValueError(f"fit: {feed.name} is a {feed.kind} that returned no batches") from None
                self.exhausted = feed.once or not self._at  # or __iter__ does not start again
                if self.exhausted or self._whole:
                    break
                continue  # start again within the epoch
            done += 1
            self._at += 1
            self._first = False
            yield unpack(item, "fit", feed.name)
        if self._whole and not self.exhausted:
            self.steps = self.length = done
        feed.epoch_ended()

    def _step(self, arrays: Arrays) -> TrainStep:
        """Return the step for arrays of these shapes; the steps that were used last are kept."""
        key = structured_key(arrays)
        step = self._made.get(key)
        if step is None:
            step = self._made[key] = self._make([buffer(a) for a in arrays], None, arrays.inputs, self._unsafe)
            if len(self._made) > MOST_BATCH_SHAPES:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(key)
        return step

    def resume(self, config: dict[str, Any]) -> bool:
        load = getattr(self.feed.given, "load_state_dict", None)
        if config["source"] is not None and callable(load):
            load(config["source"])
        elif not self.size or config["size"] != self.size or config["at"] >= (self.length or 0):
            return False
        if self.steps is not None and config["steps"] >= self.steps:
            return False
        self._skip, self._done, self._first = config["at"], config["steps"], False
        return True

    def state(self) -> Any:
        save = getattr(self.feed.given, "state_dict", None)
        return (
            save() if callable(save) and not self.feed.ahead else None
        )  # with prefetching, the state would be ahead of training

    def ended(self, place: Place, epochs: int) -> bool:
        """Return whether training stops because the data ended in this epoch, and warn if they ended too soon."""
        if not self.exhausted:
            return False
        feed, epoch, more = self.feed, place.epoch + 1, epochs - place.epoch - 1
        ended = f"fit: {feed.name} is a {feed.kind}, which returns its batches once, and ended in epoch {epoch} of {epochs}"
        if not self._whole and (more or place.steps < (self.steps or 0)):
            warn(f"{ended}, after {place.steps} of {self.steps} steps; training stops")
        elif more:
            warn(f"{ended}; training stops. Pass steps_per_epoch, or an object whose __iter__ starts again")
        return True

    def close(self) -> None:
        self._iterator = None
        self.feed.close()


def buffer(a: Array) -> Array:
    """Return a buffer with the shape and dtype of an array."""
    return aligned(current(), a.shape, a.dtype) if a.size else a
