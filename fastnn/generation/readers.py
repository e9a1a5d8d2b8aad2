"""Read tokens, and keep what a model needs of those that it has read, so that each further one is little work."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..autograd.tensor import Tensor
from ..backends import current
from ..core.structure import own_code
from ..models.gpt import last_of
from ..nn.carried import States, carrying
from ..ops.elementwise import log
from ..ops.shape import concatenate
from ..training.sanity import last_activation

if TYPE_CHECKING:
    from ..nn.module import Module

Array = np.ndarray[Any, Any]


class Reader(Protocol):
    """Interface of a model to generation: it reads tokens of several texts, and returns the logits of those that follow."""

    recordable: bool
    """Whether a call with one token for each text does the same kernel calls each time."""

    def read(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Read more tokens (B, T) of each text, of which `lengths` (B,) count; return logits (B, V) of the next tokens."""

    def select(self, rows: Array) -> None:
        """Replace each text by the one with a given number."""

    def reset(self) -> None:
        """Forget all texts; steps that were recorded still fit."""


class Cached:
    """Reader of a model with a cache, which has the methods ``cache(batch)`` and ``step(ids, cache, lengths)`` like `GPT`."""

    recordable = True

    def __init__(self, model: Any, rows: int) -> None:
        self._model, self._cache = model, model.cache(rows)

    def read(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        logits: Tensor = self._model.step(ids, self._cache, lengths)
        return logits

    def select(self, rows: Array) -> None:
        self._cache.select(rows)

    def reset(self) -> None:
        self._cache.reset()


class Carrying:
    """Reader of a model with recurrent layers, whose states are carried from call to call."""

    recordable = True

    def __init__(self, model: Any) -> None:
        self._model, self._states = model, States()

    def read(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        with carrying(self._states.counting(lengths)):
            return logits_of(self._model, ids, lengths)

    def select(self, rows: Array) -> None:
        self._states.select(rows)

    def reset(self) -> None:
        self._states.reset()


class Rereading:
    """Reader that keeps the tokens and reads all of them again in each call. It needs nothing of a model but its output."""

    recordable = False

    def __init__(self, model: Any) -> None:
        self._model = model
        self._texts: list[Array] | None = None

    def read(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        k = current()
        new = k.to_numpy(ids.data)
        counts = np.full(len(new), new.shape[1]) if lengths is None else k.to_numpy(lengths.data)
        more = [row[:n] for row, n in zip(new, counts, strict=True)]
        before = self._texts or [row[:0] for row in more]
        self._texts = [np.concatenate(pair) for pair in zip(before, more, strict=True)]
        if len({len(ids) for ids in self._texts}) == 1:
            return logits_of(self._model, Tensor(k.asarray(np.stack(self._texts))), None)
        return concatenate([logits_of(self._model, Tensor(k.asarray(ids[None])), None) for ids in self._texts])

    def select(self, rows: Array) -> None:
        assert self._texts is not None
        self._texts = [self._texts[i] for i in rows]

    def reset(self) -> None:
        self._texts = None


def padded_ids(texts: list[Array]) -> tuple[Tensor, Tensor | None]:
    """Return texts as one Tensor (B, T), padded at the end by 0, and their lengths (B,); None if all are T."""
    k = current()
    sizes = np.array([len(ids) for ids in texts], np.int64)
    ids = np.zeros((len(texts), int(sizes.max())), np.int64)
    for row, own in zip(ids, texts, strict=True):
        row[: len(own)] = own
    return Tensor(k.asarray(ids)), None if (sizes == ids.shape[1]).all() else Tensor(k.asarray(sizes))


def logits_of(model: Any, ids: Tensor, lengths: Tensor | None) -> Tensor:
    """Return what a model computes for the last tokens, (B, V); of probabilities the logarithms, which are logits, too."""
    y = model(ids)
    y = y[0] if isinstance(y, tuple | list) and y else y
    if not isinstance(y, Tensor) or y.ndim not in (2, 3) or len(y) != len(ids) or (y.ndim == 3 and y.shape[1] != ids.shape[1]):
        came = f"{y.dtype} {y.shape}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise TypeError(
            f"generate: {type(model).__name__} returns {came} for ids of shape {ids.shape}; wanted logits, "
            "(texts, tokens, vocabulary) or (texts, vocabulary)"
        )
    logits = last_of(y, lengths) if y.ndim == 3 else y
    return log(logits) if last_activation(model) == "softmax" else logits


def context_of(model: Module) -> int | None:
    """Return the greatest number of tokens of a text that a model can read; None if there is no limit, as for states."""
    if not callable(getattr(model, "cache", None)) and any(m._carries for m in model.modules()):
        return None
    context = getattr(model, "context", None)
    return int(context) if isinstance(context, int | np.integer) and context > 0 else None


def reading_of(model: Module, use_cache: bool) -> Callable[[int], Reader]:
    """Return a function that makes the reader of a model for a number of texts.

    Raises:
        TypeError: the model cannot generate; the message says why.
    """
    if not use_cache:
        return lambda rows: Rereading(model)
    step: Any = getattr(model, "step", None)
    if callable(step) and callable(getattr(model, "cache", None)):
        needed = [p.name for p in inspect.signature(step).parameters.values() if p.default is p.empty]
        if len(needed) > 2:
            raise TypeError(f"generate: {type(model).__name__}.step needs {', '.join(needed[2:])}, too; call step in a loop")
        return lambda rows: Cached(model, rows)
    recurrent = any(m._carries for m in model.modules())
    other = next((m for m in model.modules() if mixes_tokens(m)), None)
    if recurrent and other is None:
        return lambda rows: Carrying(model)
    name = type(model).__name__
    why = f"its layer {type(other).__name__} looks at several tokens" if other is not None else "it has no recurrent layers"
    raise TypeError(
        f"generate: {name} cannot read token by token: it has no methods cache and step, as fastnn.models.GPT has, and {why}; "
        "use_cache=False reads the whole text again for each token"
    )


_MIXING = ("attention", "convolution", "pooling", "positions", "transformer")


def mixes_tokens(layer: Any) -> bool:
    """Return whether a layer of fastnn looks at other tokens than the current one, and has no state to carry."""
    kind = type(layer)
    backwards = getattr(layer, "go_backwards", False) or getattr(layer, "bidirectional", False)
    words = kind.__module__.rpartition(".")[2]
    mixes = kind.__name__ == "Bidirectional" or backwards or any(word in words for word in _MIXING)
    return bool(mixes) and own_code(kind.__module__)
