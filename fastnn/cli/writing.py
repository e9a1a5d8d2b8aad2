"""`fastnn generate`, and the text that a model writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unicodedata import category

import click
import numpy as np

import fastnn

from ..text import Tokenizer
from .common import backend_option, clean_errors, use

Array = np.ndarray[Any, Any]


def written(
    model: Any,
    prompt: Array,
    n: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> Iterator[str]:
    """Yield the text that a model writes after a prompt of token ids, as it comes, n tokens in all."""
    stream, rng = model.tokenizer.stream(), np.random.default_rng(seed)
    ids = list(prompt)
    context = getattr(model, "context", 256)
    for _ in range(n):
        with fastnn.no_grad():
            logits = model(np.array([ids[-context:]], np.int64), training=False).numpy()[0, -1].astype(np.float64)
        ids.append(_chosen(logits, temperature, top_k, top_p, rng))
        yield stream.feed(ids[-1])
    yield stream.end()


def start_of(tokenizer: Tokenizer, prompt: str | None) -> Array:
    """Return the ids of a prompt; without one, those of a line end, or token 0 if the tokenizer has no line end."""
    if prompt is None:
        try:
            ids = tokenizer.encode("\n")
        except ValueError:
            ids = np.empty(0, np.int64)
        return ids if len(ids) else np.zeros(1, np.int64)
    ids = tokenizer.encode(prompt)
    if not len(ids):
        raise ValueError("--prompt has no tokens; wanted at least one")
    return ids


def printable(text: str) -> str:
    """Return a text whose control characters, except tabs and line ends, are U+FFFD: a terminal would obey them."""
    return "".join("\ufffd" if category(c) == "Cc" and c not in "\t\n\r" else c for c in text)


def _chosen(logits: Array, temperature: float, top_k: int | None, top_p: float | None, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    order = np.argsort(-logits, kind="stable")[:top_k]
    p = np.exp((logits[order] - logits[order[0]]) / temperature)
    p /= p.sum()
    if top_p is not None:
        p = p[: int(np.searchsorted(p.cumsum(), top_p)) + 1]
    return int(order[rng.choice(len(p), p=p / p.sum())])


@click.command()
@click.argument("model_file", metavar="MODEL")
@click.option("--prompt", default=None, help="The text that the model continues.  [default: a line end]")
@click.option("--max-new-tokens", default=500, show_default=True, type=click.IntRange(min=1), help="Length of the new text.")
@click.option(
    "--temperature",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Below 1, less is left to chance; 0: nothing.",
)
@click.option("--top-k", default=None, type=click.IntRange(min=1), help="Choose among so many tokens, the likeliest.")
@click.option(
    "--top-p",
    default=None,
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Choose among the likeliest tokens that have this probability together.",
)
@click.option("--seed", default=None, type=click.IntRange(min=0), help="Make the text repeatable.")
@backend_option
def generate(
    model_file: str,
    prompt: str | None,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    backend: str | None,
) -> None:
    """Continue a text with a saved MODEL of `fastnn train text`, and show it as it is written."""
    with clean_errors():
        use(backend)
        model = fastnn.load(model_file, compile=False)
        if model.tokenizer is None:
            raise ValueError(f"{model_file} has no tokenizer; wanted a model of `fastnn train text`, or one with model.tokenizer")
        ids = start_of(model.tokenizer, prompt)
        click.echo(prompt or "", nl=False)
        for text in written(model, ids, max_new_tokens, temperature, top_k, top_p, seed):
            click.echo(printable(text), nl=False)
        click.echo()
