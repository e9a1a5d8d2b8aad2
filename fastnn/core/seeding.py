"""Random number streams: one for initial weights and shuffling, and one that operations draw from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from .block import Block

if TYPE_CHECKING:
    from ..backends.base import Backend

_generator: Any = None
_streams: dict[Any, Any] = {}  # array module of a backend -> state of its stream


class _Streams:
    """Streams of a block: the generator of the host, and the states of the streams that kernels draw from."""

    def __init__(self, n: int) -> None:
        self.generator = np.random.Generator(np.random.Philox(n))
        self.states: dict[Any, Any] = {}


_own: ContextVar[_Streams | None] = ContextVar("fastnn_streams", default=None)


def seed(n: int) -> None:
    """Set the seed of all random numbers: initial weights, the order of batches, dropout, `rand` and similar functions.

    Recorded steps and models draw from the same streams, so the seed applies to them too. A frozen model has a separate stream.

    >>> import fastnn
    >>> fastnn.seed(0); a = fastnn.Dense(2, input_shape=(3,)).get_weights()[0]
    >>> fastnn.seed(0); b = fastnn.Dense(2, input_shape=(3,)).get_weights()[0]
    >>> bool((a == b).all())
    True
    """
    global _generator
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise ValueError(f"seed: {n!r}, wanted a whole number of at least 0")
    _generator = np.random.Generator(np.random.Philox(int(n)))
    for state in _streams.values():
        state[...] = _start()


_set_seed = seed


class Generator(np.random.Generator):
    """Stream of random numbers of its own, as arguments ``generator=`` take it. It is one of NumPy's.

    Args:
        device: accepted for compatibility with PyTorch; the numbers are drawn on the CPU.

    >>> import fastnn
    >>> g = fastnn.Generator().manual_seed(0)
    >>> fastnn.randperm(5, generator=g).tolist() == fastnn.randperm(5, generator=g.manual_seed(0)).tolist()
    True
    """

    def __init__(self, device: Any = "cpu") -> None:
        super().__init__(np.random.Philox())

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream with this seed; return the generator."""
        self.bit_generator.state = np.random.Philox(seed).state
        return self


def manual_seed(seed: int) -> Generator:
    """Set the seed of all random numbers, as `fastnn.seed` does; return a generator with this seed."""
    _set_seed(seed)
    return Generator().manual_seed(seed)


def generator() -> np.random.Generator:
    """Return the host's random number generator; its seed is random until `seed` is called."""
    global _generator
    if (own := _own.get()) is not None:
        return own.generator
    if _generator is None:
        _generator = np.random.Generator(np.random.Philox())
    result: np.random.Generator = _generator
    return result


def stream(k: Backend) -> Any:
    """Return the state of the stream that kernels draw from: uint64 (2,), seed and offset.

    It is always the same array, so that recorded steps can use it.
    """
    own = _own.get()
    streams = _streams if own is None else own.states
    state = streams.get(k.xp)
    if state is None:
        state = streams[k.xp] = k.shared_array(_start(), np.uint64)
    return state


def seeded(n: int) -> Block:
    """Return a block with random number streams of its own, which start from a seed. Only this thread draws from them.

    >>> import fastnn
    >>> def draw():
    ...     with seeded(0):
    ...         return fastnn.rand(1).item(), float(generator().random())
    >>> draw() == draw()
    True
    """
    return Block(_own, _Streams(n))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore all random number streams after a block, including the global state of `numpy.random`."""
    own, theirs = generator().bit_generator, np.random.get_state()  # noqa: NPY002 (users draw from it)
    before, kept = own.state, [(state, state.copy()) for state in _streams.values()]
    try:
        yield
    finally:
        own.state = before
        np.random.set_state(theirs)  # noqa: NPY002
        for state, values in kept:
            state[...] = values


def _start() -> Any:
    """Return the initial state of the kernels' stream. It is derived from the seed, without a draw from the host's stream."""
    source: Any = generator().bit_generator.seed_seq
    return np.array([np.random.SeedSequence(source.entropy, spawn_key=(1,)).generate_state(1, np.uint64)[0], 0], np.uint64)
