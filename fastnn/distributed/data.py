"""Deal the samples of a pass over the data to batches, and those of a batch to the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Share(NamedTuple):
    """Describe the part of a batch that one rank has.

    rows: number of its rows. whole: number of the rows of all ranks; 0 if it is not known before the step. lacking: whether some
    rank may have no rows.
    """

    rows: int
    whole: int
    lacking: bool = False


class Deal:
    """List the batches of a pass, and the rows that this rank has of each.

    Args:
        n: number of samples of all ranks.
        batch_size: number of rows of a batch on all ranks together.
        runs: equal batches in a row: their number, and the share of this rank.
        take: which places of an order of all samples are those of this rank; None if the order is of its samples alone.
    """

    def __init__(self, n: int, batch_size: int, runs: Sequence[tuple[int, Share]], take: Array | None = None) -> None:
        self.n, self.batch_size, self.runs, self._take = n, batch_size, list(runs), take
        self.length = sum(count for count, _ in self.runs)

    @property
    def shares(self) -> list[Share]:
        """Return the different shares of the batches."""
        return list(dict.fromkeys(share for _, share in self.runs))

    def at(self, i: int) -> tuple[Share, int]:
        """Return the share of batch i, and the number of equal batches from it on."""
        for count, share in self.runs:
            if i < count:
                return share, count - i
            i -= count
        raise IndexError(f"batch {i + self.length} of {self.length}")

    def before(self, i: int) -> int:
        """Return the number of this rank's rows in the batches before batch i."""
        rows = 0
        for count, share in self.runs:
            rows += max(0, min(count, i)) * share.rows
            i -= count
        return rows

    def own(self, order: Array) -> Array:
        """Return this rank's part of an order of all samples."""
        return order if self._take is None else order[self._take]


def alone(n: int, batch_size: int) -> Deal:
    """Deal n samples to the batches of one process.

    >>> alone(10, 4).runs
    [(2, Share(rows=4, whole=4, lacking=False)), (1, Share(rows=2, whole=2, lacking=False))]
    """
    return dealt(n, batch_size, 0, 1)


def dealt(n: int, batch_size: int, rank: int, ranks: int) -> Deal:
    """Deal n samples, which all ranks have: of each batch, a rank takes every ranks-th row, from its own number on.

    >>> deal = dealt(10, 4, 1, 2)
    >>> deal.own(np.arange(10)).tolist(), deal.length, deal.before(2)
    ([1, 3, 5, 7, 9], 3, 4)
    """
    whole, rest = divmod(n, batch_size)
    parts = [(count, rows) for count, rows in ((whole, batch_size), (1, rest)) if count and rows]
    runs = [(count, Share(len(range(rank, rows, ranks)), rows, rows < ranks)) for count, rows in parts]
    return Deal(n, batch_size, runs, None if ranks == 1 else np.arange(n) % batch_size % ranks == rank)


def sharded(sizes: Sequence[int], batch_size: int, rank: int) -> Deal:
    """Deal the samples that each rank has for itself: a rank adds its part of each batch until its samples end.

    sizes: number of samples of each rank.

    >>> [(times, *share) for times, share in sharded([5, 3], 4, 1).runs]
    [(1, 2, 4, False), (1, 1, 3, False), (1, 0, 1, True)]
    """
    parts = [len(range(r, batch_size, len(sizes))) for r in range(len(sizes))]
    ends = {end for n, part in zip(sizes, parts, strict=True) for end in (n // part, -(-n // part))}
    runs, begin = [], 0
    for end in sorted(ends - {0}):  # between two of these batches, no rank's samples end
        rows = [max(0, min(n - begin * part, part)) for n, part in zip(sizes, parts, strict=True)]
        runs.append((end - begin, Share(rows[rank], sum(rows), 0 in rows)))
        begin = end
    return Deal(sum(sizes), batch_size, runs)
