"""Loop over the tokens of a text: a pass over the prompts, then a step for each token, which samples and reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Tensor
from ..ops.create import arange
from ..ops.generation import sample
from ..ops.logic import eq, where
from .readers import context_of, padded_ids, reading_of
from .replayed import Replayed, Surroundings

if TYPE_CHECKING:
    from ..nn.module import Module

Array = np.ndarray[Any, Any]


class Writer:
    """Writer of tokens after prompts.

    All that changes from token to token is in arrays: the last token of each text, the number of its tokens, and for a repetition
    penalty all of them. So the step is recorded, and replayed for each token. A model keeps its last writer for the next text,
    which then need not be recorded again.

    Args:
        model: the module that the reader calls.
        rows: number of texts.
        use_cache: whether the model keeps what it has read.
        around: where the model computes.
    """

    def __init__(self, model: Module, rows: int, use_cache: bool, around: Surroundings) -> None:
        self._model, self._around, self._key = model, around, (rows, use_cache, around.key)
        self._reader = reading_of(model, use_cache)(rows)
        k = around.backend
        self._settings = Tensor(k.asarray(np.zeros(5)))
        self._seeds = k.asarray(np.zeros(rows, np.uint64))
        self._count = Tensor(k.asarray(np.zeros(rows, np.int64)))
        self._last = Tensor(k.asarray(np.zeros((rows, 1), np.int64)))
        self._text: Tensor | None = None
        self._next = Replayed(self._step, model, around) if self._reader.recordable else self._eager

    @classmethod
    def of(cls, model: Module, rows: int, use_cache: bool, around: Surroundings, penalty: bool) -> Writer:
        """Return the writer that the model kept, if it fits, or a new one."""
        kept = None if penalty else vars(model).pop("_writer", None)
        if isinstance(kept, Writer) and kept._key == (rows, use_cache, around.key) and kept._lasts():
            kept._reader.reset()
            return kept
        return cls(model, rows, use_cache, around)

    def _lasts(self) -> bool:
        return isinstance(self._next, Replayed) and self._next.lasts()

    def tokens(self, prompts: list[Array], n: int, settings: Array, seeds: Array) -> Iterator[Array]:
        """Yield the next token of all texts, int64 (B,), n times.

        Args:
            prompts: token ids of each text, at least one.
            n: number of new tokens, at least 1.
            settings: those of `fastnn.ops.generation.sampling_settings`.
            seeds: uint64, one for each text.

        Raises:
            ValueError: the model returns NaN.
        """
        complete = False  # whether no computation was interrupted
        try:
            for new in self._written(prompts, n, settings, seeds):
                complete = True
                yield new
                complete = False
            complete = True
        finally:
            if complete and self._text is None and self._lasts():
                object.__setattr__(self._model, "_writer", self)

    def _written(self, prompts: list[Array], n: int, settings: Array, seeds: Array) -> Iterator[Array]:
        texts, context = [list(ids) for ids in prompts], context_of(self._model)
        sizes = np.array([len(ids) for ids in prompts], np.int64)
        k = self._around.backend
        for own, values in ((self._settings.data, settings), (self._seeds, seeds), (self._count.data, sizes)):
            k.write(own, values)
        if settings[-1] != 1:
            text = np.zeros((len(prompts), int(sizes.max()) + n), np.int64)
            for row, ids in zip(text, prompts, strict=True):
                row[: len(ids)] = ids
            self._text = Tensor(k.asarray(text))
        with self._around.block():
            read = [ids if context is None else ids[-context:] for ids in prompts]
            self._choose(self._reader.read(*padded_ids(read)))
        held = max(map(len, read))
        for left in reversed(range(n)):
            new = self._read_last()
            yield new
            if not left:
                return
            for so_far, token in zip(texts, new, strict=True):
                so_far.append(token)
            if held == context:
                held = self._begin_again(texts, context)
            else:
                held += 1
                self._next()

    def _step(self) -> None:
        self._choose(self._reader.read(self._last))

    def _eager(self) -> None:
        with self._around.block():
            self._step()

    def _choose(self, logits: Tensor) -> None:
        """Choose a token for each text."""
        text, count = self._text, self._count
        past: dict[str, Any] = {} if text is None else {"previous": text, "count": count}
        new = sample(logits, settings=self._settings, seed=self._seeds, position=count, **past).reshape(-1, 1)
        if text is not None:
            text.copy_(where(eq(arange(text.shape[1], dtype="int64"), count.reshape(-1, 1)), new, text))
        self._last.copy_(new)
        count.copy_(count + 1)

    def _read_last(self) -> Array:
        new = np.array(self._around.backend.to_numpy(self._last.data)[:, 0])
        if new.min() < 0:
            raise ValueError(
                f"generate: the logits of text {int(new.argmin())} have NaN, or all are -infinity, so that no token can be chosen"
            )
        return new

    def _begin_again(self, texts: list[list[int]], context: int) -> int:
        """Read the last half of a context once more, as if the text began there; return the number of its tokens."""
        half = max(context // 2, 1)
        with self._around.block():
            self._reader.reset()
            self._choose(self._reader.read(*padded_ids([np.array(text[-half:], np.int64) for text in texts])))
        return half
