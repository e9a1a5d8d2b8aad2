"""A model of the time that an all-reduce takes on a network, and of the efficiency of training on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Network:
    """A network on which a message of n bytes takes ``latency + n * per_byte`` seconds, whoever else sends.

    An all-reduce over p ranks is the faster of two algorithms (Thakur, Rabenseifner, Gropp: Optimization of Collective
    Communication Operations in MPICH, 2005). Recursive doubling sends everything log2(p) times. Reduce-scatter with all-gather
    sends twice as many messages, 2 log2(p), but only 2 (p - 1) / p times the bytes. The time of adding numbers is part of
    `per_byte`.

    Args:
        latency: seconds of an empty message.
        per_byte: seconds for each byte.

    >>> ethernet = Network.of(latency_us=30, gbit=10)
    >>> round(1e6 * ethernet.all_reduce(26_816, ranks=8))    # microseconds
    154
    """

    latency: float
    per_byte: float

    @classmethod
    def of(cls, latency_us: float, gbit: float) -> Network:
        """Make a network from the microseconds of an empty message and the gigabits in a second.

        Raises:
            ValueError: the latency is negative, or the rate is not above 0.
        """
        if not latency_us >= 0 or not gbit > 0:
            raise ValueError(f"Network: got latency {latency_us} us and rate {gbit} Gbit/s; wanted at least 0, and above 0")
        return cls(1e-6 * latency_us, 8e-9 / gbit)

    @classmethod
    def fitted(cls, sizes: Sequence[int], times: Sequence[float], ranks: int) -> Network:
        """Find the network whose all-reduces come nearest to measured ones.

        Errors are compared as factors, so that small messages count as much as large ones.

        Args:
            sizes: bytes of the messages, at least two different numbers.
            times: seconds of the all-reduce of each.
            ranks: number of ranks of the measurement, at least 2.

        Raises:
            ValueError: there are fewer than two sizes, or fewer than two ranks.

        >>> slow = Network(1e-3, 1e-8)
        >>> sizes = [4, 10_000, 1_000_000]
        >>> found = Network.fitted(sizes, [slow.all_reduce(n, 4) for n in sizes], 4)
        >>> bool(np.isclose(found.latency, 1e-3) and np.isclose(found.per_byte, 1e-8))
        True
        """
        if len(set(sizes)) < 2 or ranks < 2:
            raise ValueError(
                f"Network.fitted: got sizes {list(sizes)} and {ranks} ranks; wanted two sizes and two ranks, or more"
            )
        found = cls(min(times) / _counts(ranks)[0][0], max(times) / (2 * max(sizes)))
        measured = np.asarray(times)
        for _ in range(30):
            predicted = [found.all_reduce(n, ranks) for n in sizes]
            weights = 1 / np.sqrt(measured * np.maximum(predicted, measured / 100))  # half and twice a time are as wrong
            rows = np.array([[m, share * n] for n in sizes for m, share in [_fastest(found, n, ranks)]])
            found = cls(*_least_squares(rows * weights[:, None], measured * weights))
        return found

    def all_reduce(self, bytes_: int, ranks: int) -> float:
        """Return the seconds of an all-reduce of so many bytes over so many ranks.

        >>> Network(1e-5, 1e-9).all_reduce(1_000_000, ranks=1)
        0.0
        """
        if ranks == 1:
            return 0.0
        messages, share = _fastest(self, bytes_, ranks)
        return messages * self.latency + share * bytes_ * self.per_byte

    def efficiency(self, seconds: float, bytes_: int, ranks: int) -> float:
        """Return which part of a step is computation, from 0 to 1.

        Args:
            seconds: computation of a step on one rank, with the rows that each rank has.
            bytes_: size of the gradients.
            ranks: number of ranks.

        >>> Network(1e-5, 1e-9).efficiency(1e-3, 1_000_000, ranks=2)  # 1 ms, and 1.01 ms for the gradients
        0.4975...
        """
        return seconds / (seconds + self.all_reduce(bytes_, ranks))


def _counts(ranks: int) -> tuple[tuple[float, float], ...]:
    """Return, for each algorithm, how many messages follow each other, and how many times the bytes they hold together."""
    rounds = math.ceil(math.log2(ranks))
    return (rounds, rounds), (2 * rounds, 2 * (ranks - 1) / ranks)


def _fastest(network: Network, bytes_: int, ranks: int) -> tuple[float, float]:
    return min(_counts(ranks), key=lambda c: c[0] * network.latency + c[1] * bytes_ * network.per_byte)


def _least_squares(rows: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Solve ``rows @ (latency, per_byte) = wanted`` for values of at least 0."""
    solution = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    for i in (0, 1):
        if solution[i] < 0:  # then the best value is 0, and the other is found alone
            other = rows[:, 1 - i]
            solution[i], solution[1 - i] = 0.0, other @ wanted / (other @ other)
    return float(solution[0]), float(solution[1])
