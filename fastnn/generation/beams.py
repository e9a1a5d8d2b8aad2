"""Search for the most likely text with beams: a number of texts that are written side by side."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..ops.activation import log_softmax
from .readers import Reader, padded_ids
from .replayed import Replayed, Surroundings

if TYPE_CHECKING:
    from ..nn.module import Module

Array = np.ndarray[Any, Any]


class Found(NamedTuple):
    """Text that beam search found: its score, and its new tokens without the one that ended it."""

    score: float
    tokens: list[int]


class Beams:
    """Texts after one prompt: those that the search follows, and those that have ended.

    Args:
        width: number of texts that are followed.
        n: greatest number of new tokens.
        penalty: the score is the logarithm of the probability, divided by the number of new tokens to this power.
        stop: tokens that end a text.
    """

    def __init__(self, width: int, n: int, penalty: float, stop: Collection[int]) -> None:
        self._width, self._n, self._penalty, self._stop = width, n, penalty, stop
        self._sums = np.full(width, -np.inf)
        self._sums[0] = 0.0  # all begin with the same prompt; only the first one counts, until they differ
        self._tokens: list[list[int]] = [[] for _ in range(width)]
        self._ended: list[Found] = []
        self.done = False

    def take(self, log_p: Array) -> tuple[Array, Array]:
        """Go on by a token: from log-probabilities (width, V) to the texts that go on, by number, and their new tokens."""
        size = log_p.shape[1]
        if np.isnan(log_p).any():
            raise ValueError("generate: the model returns NaN, or only -infinity, so that no token can be chosen")
        sums = (self._sums[:, None] + log_p).reshape(-1)
        most = min(self._width * (1 + len(self._stop)), len(sums))  # enough, even if each text could end by each of them
        best = np.argpartition(-sums, most - 1)[:most]
        best = best[np.lexsort((best, -sums[best]))]
        parents, tokens = np.zeros(self._width, np.int64), np.zeros(self._width, np.int64)
        new_sums, new_tokens = np.full(self._width, -np.inf), [list[int]() for _ in range(self._width)]
        kept = 0
        for i in best[sums[best] > -np.inf]:
            parent, token = divmod(int(i), size)
            text = self._tokens[parent]
            if token in self._stop:
                self._end(Found(self._score(sums[i], len(text) + 1), text))
            elif kept < self._width:
                parents[kept], tokens[kept], new_sums[kept], new_tokens[kept] = parent, token, sums[i], [*text, token]
                kept += 1
        self._sums, self._tokens = new_sums, new_tokens
        length = max(map(len, self._tokens))
        # The sums only fall; with a positive power the longest text has the best score of the same sum.
        could_be = self._score(self._sums[0], self._n if self._penalty > 0 else length) if kept else -np.inf
        self.done = not kept or (len(self._ended) == self._width and self._ended[-1].score >= could_be)
        return parents, tokens

    def best(self) -> list[int]:
        """Return the new tokens of the text with the highest score."""
        going_on = [Found(self._score(s, len(t)), t) for s, t in zip(self._sums, self._tokens, strict=True) if s > -np.inf]
        return max([*self._ended, *going_on], key=lambda found: found.score).tokens

    def _score(self, log_p: float, length: int) -> float:
        return float(log_p / length**self._penalty)

    def _end(self, found: Found) -> None:
        self._ended = sorted([*self._ended, found], key=lambda f: -f.score)[: self._width]


def searched(
    model: Module,
    reader: Reader,
    prompts: list[Array],
    n: int,
    width: int,
    penalty: float,
    stop: Collection[int],
    around: Surroundings,
) -> list[list[int]]:
    """Return the new tokens of each prompt. The reader is one of width rows for each prompt."""
    k, rows = around.backend, len(prompts) * width
    last = Tensor(k.asarray(np.zeros((rows, 1), np.int64)))
    beams = [Beams(width, n, penalty, stop) for _ in prompts]
    with around.block():
        first = log_softmax(reader.read(*padded_ids([ids for ids in prompts for _ in range(width)])), -1)
    log_p = Tensor(k.asarray(np.array(k.to_numpy(first.data))))

    def step() -> None:
        log_p.copy_(log_softmax(reader.read(last), -1))

    following = Replayed(step, model, around) if reader.recordable else step
    for left in reversed(range(n)):
        of_prompts = k.to_numpy(log_p.data).reshape(len(prompts), width, -1)
        order = np.arange(rows)
        tokens = np.zeros(rows, np.int64)
        for i, (beam, own) in enumerate(zip(beams, of_prompts, strict=True)):
            if not beam.done:
                place = slice(i * width, (i + 1) * width)
                parents, tokens[place] = beam.take(own.astype(np.float64))
                order[place] = parents + i * width
        if not left or all(beam.done for beam in beams):
            break
        k.write(last.data, tokens[:, None])
        with around.block():
            if (order != np.arange(rows)).any():
                reader.select(order)
            following()
    return [beam.best() for beam in beams]
