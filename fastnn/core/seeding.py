"""The streams of random numbers: one for initial weights and shuffling, and one that operations draw from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..backends.base import Backend

_generator: Any = None
_streams: dict[Any, Any] = {}  # by the array module of the backends that draw from it


def seed(n: int) -> None:
    """Make everything random from here on repeatable: initial weights, the order of batches, dropout, `rand` and its kin.

    Recorded steps and models draw from the same streams, and follow. A frozen model has a stream of its own.

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


def generator() -> np.random.Generator:
    """Return the stream of the host; unpredictable until `seed` is called."""
    global _generator
    if _generator is None:
        _generator = np.random.Generator(np.random.Philox())
    result: np.random.Generator = _generator
    return result


def stream(k: Backend) -> Any:
    """Return the stream that kernels draw from: uint64 (2,), seed and offset, in memory where recorded steps find it again."""
    state = _streams.get(k.xp)
    if state is None:
        state = _streams[k.xp] = k.shared_array(_start(), np.uint64)
    return state


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put the streams back where they were after a block, that of NumPy's functions too."""
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
    """Return where the stream of kernels begins: it follows from the seed, and leaves the host's stream as it is."""
    source: Any = generator().bit_generator.seed_seq
    return np.array([np.random.SeedSequence(source.entropy, spawn_key=(1,)).generate_state(1, np.uint64)[0], 0], np.uint64)
