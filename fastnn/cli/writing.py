"""Let a model write text: `fastnn generate`, and the samples of `fastnn train text`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unicodedata import category

import click

import fastnn

from ..text import Tokenizer
from .common import backend_option, clean_errors, use


def written(model: Any, prompt: str, n: int, **how: Any) -> Iterator[str]:
    """Yield the text that a model writes after a prompt, as it comes, n tokens in all; how: arguments of `Module.generate`."""
    for text in model.generate(prompt, n, stream=True, slide=True, **how):
        yield printable(text)


def start_of(tokenizer: Tokenizer, prompt: str | None) -> str:
    """Return a prompt; without one, a line end, or the first token if the tokenizer has no line end.

    Raises:
        ValueError: the prompt has no tokens, or a character without a token.
    """
    if prompt is not None:
        try:
            ids = tokenizer.encode(prompt)
        except ValueError as error:
            raise ValueError(f"--prompt: {error}") from None
        if not len(ids):
            raise ValueError("--prompt has no tokens; wanted at least one")
        return prompt
    try:
        has_lines = len(tokenizer.encode("\n")) > 0
    except ValueError:
        has_lines = False
    return "\n" if has_lines else tokenizer.decode([0])


def printable(text: str) -> str:
    """Return a text whose control characters, except tabs and line ends, are U+FFFD: a terminal would obey them."""
    return "".join("\ufffd" if category(c) == "Cc" and c not in "\t\n\r" else c for c in text)


@click.command(short_help="Let a saved model of texts write.")
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
@click.option("--stop", default=None, help="End before this text.")
@click.option("--seed", default=None, type=click.IntRange(min=0), help="Make the text repeatable.")
@backend_option
def generate(
    model_file: str,
    prompt: str | None,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    stop: str | None,
    seed: int | None,
    backend: str | None,
) -> None:
    """Continue a text with a saved MODEL of `fastnn train text`, and show it as it is written.

    Control characters that a model writes are shown as U+FFFD, except line ends and tabs.
    """
    with clean_errors():
        use(backend)
        model = fastnn.load(model_file, compile=False)
        if model.tokenizer is None:
            raise ValueError(f"{model_file} has no tokenizer; wanted a model of `fastnn train text`, or one with model.tokenizer")
        start = start_of(model.tokenizer, prompt)
        click.echo(prompt or "", nl=False)
        how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "stop": stop, "seed": seed}
        for text in written(model, start, max_new_tokens, **how):
            click.echo(text, nl=False)
        click.echo()
