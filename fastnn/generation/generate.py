"""Generation of tokens by a model: its arguments, and what it returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.arguments import errors_of
from ..core.seeding import generator
from ..nn.layers.embedding import Table
from ..ops.checks import check_number, positive_int, whole_number
from ..ops.generation import row_seeds, sampling_settings
from .beams import searched
from .readers import context_of, reading_of
from .replayed import Surroundings
from .rows import Row, stops_of
from .writing import Writer

if TYPE_CHECKING:
    from ..nn.module import Module

Array = np.ndarray[Any, Any]

OP = "generate"


class Prompts(NamedTuple):
    """Checked prompts: token ids of each, their texts unless they came as ids, and whether there is one without a batch."""

    ids: list[Array]
    texts: list[str] | None
    alone: bool


def prompts_of(model: Module, prompt: Any) -> Prompts:
    """Return prompts as token ids.

    Raises:
        TypeError, ValueError: they are neither texts nor ids; a prompt is empty; a token is not in the table; or the model has no
            tokenizer for texts.
    """
    alone = isinstance(prompt, str)
    texts = [prompt] if alone else list(prompt) if isinstance(prompt, list | tuple) and prompt else []
    if texts and all(isinstance(text, str) for text in texts):
        if model.tokenizer is None:
            raise ValueError(f"{OP}: the prompt is text, but {type(model).__name__} has no tokenizer; set it, or pass token ids")
        ids = [model.tokenizer.encode(text) for text in texts]
    else:
        texts, (ids, alone) = [], _ids_of(prompt)
    table = next((len(m._table) for m in model.modules() if isinstance(m, Table)), None)
    for i, row in enumerate(ids):
        which = "the prompt" if alone else f"prompt[{i}]"
        if not len(row):
            raise ValueError(f"{OP}: {which} is empty; wanted at least one token to begin with")
        if table is not None and (row.min() < 0 or row.max() >= table):
            at = int(((row < 0) | (row >= table)).argmax())
            raise ValueError(f"{OP}: {which} has the token {row[at]} at [{at}], but the model has the tokens 0 to {table - 1}")
    return Prompts(ids, texts or None, alone)


def _ids_of(prompt: Any) -> tuple[list[Array], bool]:
    """Return the rows of ids, and whether there is a single one without a batch."""
    host = prompt.numpy() if hasattr(prompt, "numpy") else prompt
    if isinstance(host, list | tuple) and any(isinstance(row, list | tuple) or np.ndim(row) for row in host):
        rows, alone = [np.asarray(row.numpy() if hasattr(row, "numpy") else row) for row in host], False
    else:
        a = np.asarray(host)
        alone = a.ndim == 1
        rows = [a] if alone else list(a) if a.ndim == 2 else []
    if not rows or any(row.ndim != 1 or (row.size and row.dtype.kind not in "iu") for row in rows):
        came = f"a {type(prompt).__name__}"
        raise TypeError(
            f"{OP}: {came} came as a prompt, wanted a text, ids (n,), or a batch: a list of texts or of ids, or ids (batch, n)"
        )
    return [row.astype(np.int64) for row in rows], alone


def generate(
    model: Module,
    prompt: Any,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    repetition_penalty: float,
    *,
    seed: int | Sequence[int] | None,
    stop: Any,
    stream: bool,
    num_beams: int,
    length_penalty: float,
    slide: bool,
    use_cache: bool,
    padding: int,
) -> Any:
    """Generate tokens; see `Module.generate`."""
    n = whole_number(max_new_tokens, f"{OP}: max_new_tokens", 0)
    width = positive_int(num_beams, f"{OP}: num_beams")
    power = check_number(length_penalty, f"{OP}: length_penalty", -np.finfo(np.float64).max)
    settings = _settings(temperature, top_k, top_p, min_p, repetition_penalty)
    if not model.built:
        raise RuntimeError(f"{OP}: {type(model).__name__} has no parameters yet; call it once, or give its first layer a size")
    prompts = prompts_of(model, prompt)
    ends = stops_of(stop, prompts.texts is not None)
    around, reading = Surroundings(), reading_of(model, use_cache)
    count, context = len(prompts.ids), context_of(model)
    over = context is not None and max(map(len, prompts.ids)) + n > context
    if over and not slide:
        raise ValueError(
            f"{OP}: a prompt of {max(map(len, prompts.ids))} tokens and {n} new ones came, but the context of the model is "
            f"{context} tokens; slide=True goes on with the last half of the context each time that it is full"
        )
    if width > 1:
        if stream or over or ends.strings or (settings != _settings(1.0, None, None, None, 1.0)).any():
            raise ValueError(
                f"{OP}: num_beams={width} searches for the most likely text, which takes no temperature, top_k, top_p, min_p or "
                "repetition_penalty, no stream, no slide, and no stop but tokens"
            )
        found = (
            searched(model, reading(count * width), prompts.ids, n, width, power, ends.ids, around)
            if n
            else [[] for _ in prompts.ids]
        )
        return _result(model, prompts, [_of_tokens(model, prompts, i, tokens) for i, tokens in enumerate(found)], padding)
    seeds = _seeds(seed, count)
    penalty = repetition_penalty != 1
    size = 1 if over else count  # contexts that are full are full at different times
    parts = [slice(i, i + size) for i in range(0, count if n else 0, size)]
    each = [
        Writer.of(model, size, use_cache, around, penalty).tokens(prompts.ids[part], n, settings, seeds[part]) for part in parts
    ]
    source = map(np.concatenate, zip(*each, strict=True))
    rows = [Row(ends, None if prompts.texts is None else _stream(model, ids)) for ids in prompts.ids]
    if stream:
        return _pieces(prompts, rows, source, padding)
    for _ in _fed(rows, source):
        pass
    return _result(model, prompts, rows, padding)


def _settings(temperature: Any, top_k: Any, top_p: Any, min_p: Any, penalty: Any) -> Array:
    with errors_of(OP, "sample"):
        return sampling_settings(temperature, top_k, 1.0 if top_p is None else top_p, 0.0 if min_p is None else min_p, penalty)


def _seeds(seed: Any, rows: int) -> Array:
    """Return a seed for each row."""
    if seed is None:
        seed = int(generator().integers(2**63))
    if isinstance(seed, list | tuple | np.ndarray):
        if len(seed) != rows:
            raise ValueError(f"{OP}: {len(seed)} seeds came for {rows} prompts, wanted one for each, or a number")
        return np.concatenate([row_seeds(whole_number(one, f"{OP}: seed"), 1) for one in seed])
    return row_seeds(whole_number(seed, f"{OP}: seed"), rows)


def _stream(model: Module, ids: Array) -> Any:
    """Return a stream that decodes what follows these ids."""
    assert model.tokenizer is not None
    stream = model.tokenizer.stream()
    stream.feed(ids)
    return stream


def _of_tokens(model: Module, prompts: Prompts, i: int, tokens: Iterable[int]) -> Row:
    """Return a row that has got these tokens."""
    row = Row(stops_of(None, True), None if prompts.texts is None else _stream(model, prompts.ids[i]))
    for token in tokens:
        row.feed(token)
    row.finish()
    return row


def _fed(rows: list[Row], source: Iterator[Array]) -> Iterator[tuple[Array, list[str]]]:
    """Give the rows their tokens, until all have ended; yield the tokens, and the new pieces of text."""
    for tokens in source:
        yield tokens, [row.feed(int(token)) for row, token in zip(rows, tokens, strict=True)]
        if all(row.ended for row in rows):
            break
    yield np.zeros(0, np.int64), [row.finish() for row in rows]


def _pieces(prompts: Prompts, rows: list[Row], source: Iterator[Array], padding: int) -> Iterator[Any]:
    """Yield what is new: pieces of text, or tokens; for a batch, those of each row."""
    for tokens, pieces in _fed(rows, source):
        if prompts.texts is not None:
            if any(pieces):
                yield pieces[0] if prompts.alone else pieces
        elif len(tokens) and not all(row.ended for row in rows):
            shown = np.where([row.ended for row in rows], padding, tokens)
            yield int(shown[0]) if prompts.alone else shown


def _result(model: Module, prompts: Prompts, rows: list[Row], padding: int) -> Any:
    """Return the prompts with what was written after them."""
    if prompts.texts is not None:
        texts = [text + row.text for text, row in zip(prompts.texts, rows, strict=True)]
        return texts[0] if prompts.alone else texts
    whole = [np.concatenate([ids, np.array(row.tokens, np.int64)]) for ids, row in zip(prompts.ids, rows, strict=True)]
    if prompts.alone:
        return whole[0]
    table = np.full((len(whole), max(map(len, whole))), padding, np.int64)
    for out, ids in zip(table, whole, strict=True):
        out[: len(ids)] = ids
    return table
