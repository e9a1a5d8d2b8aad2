"""Random number streams: one for initial weights and shuffling, and one that operations draw from.

The process has a pair of streams. A thread other than the main one has a pair of its own from its first call of `seed` on, and a
`seeded` block has one. The pair is found by a context variable, so code that runs in a copy of the context uses it, too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from .block import Block

if TYPE_CHECKING:
    from ..backends.base import Backend


class _Streams:
    """Hold two random number streams: the generator of the host, and the states of the stream that kernels draw from.

    Args:
        n: the seed; None begins at random.
        thread: the thread that the streams belong to; None for those of the process.
    """

    def __init__(self, n: int | None = None, thread: threading.Thread | None = None) -> None:
        self.seed, self.thread = n, thread
        self._generator: np.random.Generator | None = None
        self.states: dict[Any, Any] = {}  # array module of a backend -> state of its stream

    @property
    def generator(self) -> np.random.Generator:
        if self._generator is None:
            self._generator = np.random.Generator(np.random.Philox(self.seed))
        return self._generator

    def restart(self, n: int) -> None:
        """Begin again with a seed. Recorded steps use the arrays of the states, so these are changed in place."""
        self.seed, self._generator = n, None
        for state in self.states.values():
            state[...] = self.start()

    def start(self) -> Any:
        """Return the first state of the kernels' stream. It is derived from the seed, without a draw from the host's stream."""
        source: Any = self.generator.bit_generator.seed_seq
        return np.array([np.random.SeedSequence(source.entropy, spawn_key=(1,)).generate_state(1, np.uint64)[0], 0], np.uint64)


_process = _Streams()
_own: ContextVar[_Streams | None] = ContextVar("fastnn_streams", default=None)


def _current() -> _Streams:
    return _own.get() or _process


def seed(n: int) -> None:
    """Set the seed of all random numbers: initial weights, the order of batches, dropout, `rand` and similar functions.

    In the main thread, it is the seed of the process: threads without a seed of their own draw from the same streams. In another
    thread, it is the seed of this thread alone, so that searches on threads repeat if each trial calls `seed`. A new
    `asyncio.to_thread` and `contextvars.copy_context` take the streams of their caller.

    Recorded steps and models draw from the same streams, so the seed applies to them too; a step draws from the streams of the
    thread in which it was recorded. A frozen model has a separate stream.

    Raises:
        ValueError: n is no whole number of at least 0.

    >>> import fastnn
    >>> fastnn.seed(0); a = fastnn.Dense(2, input_shape=(3,)).get_weights()[0]
    >>> fastnn.seed(0); b = fastnn.Dense(2, input_shape=(3,)).get_weights()[0]
    >>> bool((a == b).all())
    True
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise ValueError(f"seed: {n!r}, wanted a whole number of at least 0")
    streams, thread = _current(), threading.current_thread()
    if streams.thread is thread or (streams is _process and thread is threading.main_thread()):
        streams.restart(int(n))
    else:  # those of the process, or of the thread whose context this one has copied
        _own.set(_Streams(int(n), thread))


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
    return _current().generator


def stream(k: Backend) -> Any:
    """Return the state of the stream that kernels draw from: uint64 (2,), seed and offset.

    It is always the same array, so that recorded steps can use it.
    """
    streams = _current()
    state = streams.states.get(k.xp)
    if state is None:
        state = streams.states[k.xp] = k.shared_array(streams.start(), np.uint64)
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
    return Block(_own, _Streams(n, threading.current_thread()))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore all random number streams after a block, including the global state of `numpy.random`."""
    streams, theirs = _current(), np.random.get_state()  # noqa: NPY002 (users draw from it)
    own = streams.generator.bit_generator
    before, kept = own.state, [(state, state.copy()) for state in streams.states.values()]
    try:
        yield
    finally:
        own.state = before
        np.random.set_state(theirs)  # noqa: NPY002
        for state, values in kept:
            state[...] = values
