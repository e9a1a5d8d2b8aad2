"""Order of samples in training, and the place that training has reached, which files store to continue there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.seeding import generator

if TYPE_CHECKING:
    from ...distributed import Comm
    from .source import Source

Array = np.ndarray[Any, Any]


class Order:
    """Order of the samples in each pass, from a random number stream.

    Args:
        shuffle: whether to shuffle.
        own: stream of a loaded model; None for the stream of `fastnn.seed`.
        ranks: all draw the order that rank 0 draws; None if each has an order of its own.
    """

    def __init__(self, shuffle: bool, own: np.random.Generator | None = None, ranks: Comm | None = None) -> None:
        self.shuffle = shuffle
        self._ranks = ranks
        self._own = own
        self._next: np.random.Generator | None = None  # stream of the next order alone
        self._before: Any = None

    def draw(self, n: int, places: int | None = None) -> Array | None:
        """Return a new order of n items, or n random whole numbers below `places`, if it is given; None without shuffling."""
        if not self.shuffle:
            return None
        stream = self._stream() if self._next is None else self._next
        if self._ranks is not None:  # other ranks may have another seed, or have drawn other numbers since
            stream.bit_generator.state = self._ranks.broadcast(stream.bit_generator.state)
        self._before, self._next = stream.bit_generator.state, None
        return stream.permutation(n) if places is None else stream.integers(places, size=n)

    def before(self) -> list[int] | None:
        """Return the state of the stream before the last order was drawn."""
        return None if self._before is None else _words(self._before)

    def now(self) -> list[int] | None:
        """Return the state of the stream."""
        return state_of(self._stream()) if self.shuffle else None

    @property
    def own(self) -> bool:
        """Return whether the orders come from the stream of a loaded model."""
        return self._own is not None

    def go_on(self, stream: list[int] | None, own: bool, drawn: bool) -> None:
        """Continue with the orders of another run.

        stream: state of the stream from which the next order is drawn. own: whether it was the stream of a loaded model. drawn:
        whether the run had drawn this order already, so that the stream of `fastnn.seed` is behind it.
        """
        if stream is not None and own:
            self._own = generator_of(stream)
        elif stream is not None and drawn:
            self._next = generator_of(stream)

    def _stream(self) -> np.random.Generator:
        return generator() if self._own is None else self._own


class Place:
    """Place that a fit has reached.

    epoch, steps: the epoch, from 0, and the number of its steps that are done. logs: those of the epoch before, or None.
    """

    def __init__(self, source: Source, order: Order, epoch: int, steps: int) -> None:
        self.source, self.order = source, order
        self.epoch, self.steps = epoch, steps
        self.logs: dict[str, float] | None = None

    def config(self) -> dict[str, Any]:
        """Return the place as a dict, for a file."""
        source, order, epoch, steps = self.source, self.order, self.epoch, self.steps
        at = steps - source.began
        whole = source.length is not None and at >= source.length
        if source.steps is not None and steps >= source.steps:
            epoch, steps = epoch + 1, 0
        stream = order.now() if whole or not at else order.before()
        at = 0 if whole else at
        return {"epoch": epoch, "steps": steps, "at": at, "size": source.size, "stream": stream, "source": source.state()}


class Resumed:
    """Place in a file at which training stopped. It is valid until `fastnn.seed` is called.

    Args:
        config: result of `Place.config`.

    Raises:
        ValueError: the config is damaged.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        numbers = [config["epoch"], config["steps"], config["at"], *config["size"]]
        if not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
            raise ValueError(f"the place {str(numbers)[:40]} is not a list of whole numbers")
        self.stream = None if config["stream"] is None else generator_of(config["stream"])
        self._config: dict[str, Any] | None = config
        self._host = generator()

    @property
    def holds(self) -> bool:
        return self._host is generator()

    def go_on(self, source: Source, epoch: int) -> int:
        """Move a source to the place where training stopped, if this is the first call and the epoch is the same.

        Return the number of steps that are done in the epoch, else 0.
        """
        config, self._config = self._config, None
        if config is None or config["epoch"] != epoch or not source.resume(config):
            return 0
        return int(config["steps"])


def state_of(rng: np.random.Generator) -> list[int] | None:
    """Return the state of a generator as whole numbers; None for a generator that is not of fastnn's kind (Philox)."""
    return _words(rng.bit_generator.state)


def _words(state: Any) -> list[int] | None:
    if state["bit_generator"] != "Philox":
        return None
    inner = state["state"]
    words = [*inner["counter"], *inner["key"], *state["buffer"]]
    return [*map(int, words), state["buffer_pos"], state["has_uint32"], state["uinteger"]]


def generator_of(state: Any) -> np.random.Generator:
    """Return a generator with this state.

    Raises:
        ValueError: the state is not valid.
    """
    bits = np.random.Philox()
    bits.state = state_from(state)
    return np.random.Generator(bits)


def state_from(state: Any) -> Any:
    """Return NumPy's form of the result of `state_of`.

    Raises:
        ValueError: the state is not valid.
    """
    words = isinstance(state, list) and len(state) == 13 and all(type(n) is int and 0 <= n < 1 << 64 for n in state)
    if not words or state[10] > 4 or state[11] > 1 or state[12] >= 1 << 32:
        raise ValueError(f"the state of a stream of random numbers is {str(state)[:40]}, wanted 13 whole numbers")
    return {
        "bit_generator": "Philox",
        "state": {"counter": np.array(state[:4], np.uint64), "key": np.array(state[4:6], np.uint64)},
        "buffer": np.array(state[6:10], np.uint64),
        "buffer_pos": state[10],
        "has_uint32": state[11],
        "uinteger": state[12],
    }
