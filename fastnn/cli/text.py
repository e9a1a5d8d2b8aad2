"""Train a model that writes text: `fastnn train text`."""

from __future__ import annotations

import math
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastnn

from .. import callbacks, datasets, losses, plot, schedules
from ..datasets.texts import PIECE, pieces, read_text, sample
from ..text import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, load
from . import nets
from .common import backend_option, check_plot, check_targets, finite, has_bar, show_backend, training_ranks, use
from .writing import start_of, written

LARGEST = 1 << 27
"""Size in bytes above which a file is tokenized into a temporary file instead of memory."""
LEARNED_FROM = 32
"""Number of pieces of a large file from which subwords are learned: 33 million characters."""
MOST_VALIDATED = 2000
"""Largest number of windows of a validation."""
HELD_BACK = 0.1
"""Share of the text at its end that is not trained on, but validated."""
_SAMPLE = 120
"""Number of tokens that the model writes as it learns."""
_LAST_SAMPLE = 500
"""Number of tokens that it writes at the end."""

count = click.IntRange(min=1)
share = click.FloatRange(min=0, max=1, max_open=True)


@click.command("train text")
@click.argument("file", required=False)
@click.option(
    "--model", "kind", default="gpt", show_default=True, type=click.Choice(["gpt", "lstm", "gru"]), help="Kind of model."
)
@click.option("--context", default=64, show_default=True, type=count, help="Number of tokens of a window.")
@click.option("--width", default=128, show_default=True, type=count, help="Size of the vectors of tokens and of the layers.")
@click.option("--layers", default=None, type=count, help="Number of layers.  [default: 4; 2 for lstm and gru]")
@click.option("--heads", default=4, show_default=True, type=count, help="Number of heads of attention, for gpt.")
@click.option("--dropout", default=0.0, show_default=True, type=share, help="Share of the values that dropout sets to 0.")
@click.option("--steps", default=None, type=count, help="Number of training steps.  [default: 2000]")
@click.option("--epochs", default=None, type=count, help="Instead of --steps: number of times that the text is read.")
@click.option("--batch-size", default=12, show_default=True, type=count, help="Number of windows in a step.")
@click.option("--every", default=250, show_default=True, type=count, help="Number of steps between validations.")
@click.option(
    "--lr",
    default=1e-3,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    help="Largest learning rate. It falls to a tenth, as a cosine.",
)
@click.option(
    "--warmup", default=100, show_default=True, type=click.IntRange(min=0), help="Number of steps in which the rate rises."
)
@click.option(
    "--weight-decay",
    default=0.1,
    show_default=True,
    type=click.FloatRange(min=0),
    callback=finite,
    help="Weight decay of AdamW.",
)
@click.option(
    "--tokenizer",
    default="char",
    show_default=True,
    help="char, byte or bpe (learned from the text), or a file: of fastnn.text, or a tokenizer.json.",
)
@click.option("--vocabulary", default=1000, show_default=True, type=count, help="Number of tokens of bpe.")
@click.option("--prompt", default=None, help="What the samples begin with.  [default: a line end]")
@click.option("--output", default=None, help="Save the model to this file, after each validation.  [default: NAME.fastnn]")
@click.option("--resume", is_flag=True, help="Go on with the model in this file, with the same options.")
@click.option(
    "--plot",
    "plot_path",
    default=None,
    help="Draw the losses into this file (.png, .pdf, .svg). Its epochs are the parts between validations.",
)
@click.option("--seed", default=None, type=click.IntRange(min=0), help="Make the run repeatable.")
@backend_option
def train_text(
    file: str | None,
    kind: str,
    context: int,
    width: int,
    layers: int | None,
    heads: int,
    dropout: float,
    steps: int | None,
    epochs: int | None,
    batch_size: int,
    every: int,
    lr: float,
    warmup: int,
    weight_decay: float,
    tokenizer: str,
    vocabulary: int,
    prompt: str | None,
    output: str | None,
    resume: bool,
    plot_path: str | None,
    seed: int | None,
    backend: str | None,
) -> None:
    """Train a model that writes text like that in FILE, and save it.

    FILE is a text in UTF-8, of any size. Without it, the text is the first chapters of Moby-Dick, which come with fastnn.

    The model learns to predict each next token. The last tenth of the text is held back for validation. After each validation,
    the losses are shown (in nats for each token, and in bits for each character, which can be compared between tokenizers), the
    model writes a few words, and it is saved. `fastnn generate` lets it write more.
    """
    with training_ranks() as comm:
        if comm.size > 1:
            raise ValueError(
                f"train text: mpirun has started {comm.size} processes, wanted one; several train in a program of yours"
            )
        if steps is not None and epochs is not None:
            raise ValueError("--steps and --epochs are given together; wanted one of them")
        target = Path(output or f"{Path(file or 'text').stem}.fastnn")
        check_targets(file or "", None, {"--output": str(target), "--plot": plot_path})
        check_plot(plot_path)
        use(backend)
        if seed is not None:
            fastnn.seed(seed)
        model = fastnn.load(target) if resume else None
        with tempfile.TemporaryDirectory(prefix="fastnn-", ignore_cleanup_errors=True) as folder:
            own = None if model is None else _tokenizer_of(model, target)
            corpus = _corpus(file, own or tokenizer, vocabulary, context, folder)
            if model is None:
                n = len(corpus.tokenizer)
                if kind == "gpt":
                    model = nets.gpt(n, context, width, layers or 4, heads, dropout)
                else:
                    model = nets.recurrent(kind, n, width, layers or 2, dropout)
                model.tokenizer = corpus.tokenizer
            if steps is None:
                windows = (len(corpus.training.ids) - 1) // context
                steps = 2000 if epochs is None else -(-epochs * windows // batch_size)
            rounds = max(1, round(steps / every))
            every = -(-steps // rounds)  # all rounds have as many steps
            corpus.training.samples = every * batch_size
            if model._compiled is None:
                rate = _rate(lr, min(warmup, rounds * every - 1), rounds * every)
                optimizer = fastnn.optim.AdamW(lr=rate, betas=(0.9, 0.99), weight_decay=weight_decay, global_clipnorm=1.0)
                model.compile(optimizer, losses.SparseCategoricalCrossentropy(from_logits=True))
            report = _Report(model, corpus, target, every, rounds, prompt)
            done = model.optimizer.iterations
            if done >= steps:
                raise ValueError(f"{target} has been trained for {done} steps already; wanted more --steps")
            report.begin()
            history = _train(model, corpus, report, every, rounds, batch_size, target)
            if plot_path is not None:
                plot.history(history, plot_path)
                click.echo(f"saved the curves to {plot_path}")


@dataclass
class Corpus:
    """Text as token ids.

    characters: number of characters for each token.
    """

    tokenizer: Tokenizer
    training: datasets.Windows
    validation: datasets.Windows
    characters: float


def _corpus(file: str | None, tokenizer: Tokenizer | str, vocabulary: int, context: int, folder: str) -> Corpus:
    """Return the windows of a text; a large file is tokenized into the folder."""
    if file is None or (Path(file).is_file() and Path(file).stat().st_size <= LARGEST):
        text = sample() if file is None else read_text(file, "train text")
        made = _made(tokenizer, vocabulary, lambda: iter([text]))
        source: Any = made.encode(text)
    else:
        made = _made(tokenizer, vocabulary, lambda: pieces(file, "train text"))
        source = Path(folder) / "ids.npy"
        datasets.tokenize(file, made, source)
    try:
        training, validation = datasets.windows(source, context, validation_split=HELD_BACK, samples=1)
    except ValueError as error:
        raise ValueError(f"{file or 'the text'} is too short for --context {context}: {error}") from None
    if len(validation) > MOST_VALIDATED:
        validation.samples = MOST_VALIDATED  # spread evenly
    ids = np.asarray(validation.ids[:PIECE])
    return Corpus(made, training, validation, len(made.decode(ids)) / len(ids))


def _made(tokenizer: Tokenizer | str, vocabulary: int, parts: Any) -> Tokenizer:
    """Return the tokenizer of an option; parts() yields the text, from which some learn their tokens."""
    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    if tokenizer == "byte":
        return ByteTokenizer()
    if tokenizer == "char":
        found: set[str] = set()
        for part in parts():
            found.update(part)
        return CharTokenizer("".join(found))
    if tokenizer == "bpe":
        return BPETokenizer.train(islice(parts(), LEARNED_FROM), vocabulary)
    if not tokenizer.endswith(".json"):
        raise ValueError(f"--tokenizer {tokenizer}: wanted char, byte, bpe, or a .json file")
    return load(tokenizer)


def _tokenizer_of(model: Any, target: Path) -> Tokenizer:
    if model.tokenizer is None or model._compiled is None:
        raise ValueError(f"--resume: {target} is not of `fastnn train text`: it has no tokenizer or no optimizer")
    tokenizer: Tokenizer = model.tokenizer
    return tokenizer


def _rate(lr: float, warmup: int, steps: int) -> Any:
    """Return the schedule: a line up to lr, then half a cosine down to a tenth."""
    return schedules.CosineDecay(0.0 if warmup else lr, steps - warmup, 0.1, warmup_target=lr, warmup_steps=warmup)


def _train(model: Any, corpus: Corpus, report: _Report, every: int, rounds: int, batch_size: int, target: Path) -> Any:
    """Train, and return the history. The report saves the model."""
    with warnings.catch_warnings(), _interrupts(model) as interrupted:
        warnings.filterwarnings("ignore", "TerminateOnNaN", RuntimeWarning)  # it becomes an error below
        history = model.fit(
            corpus.training,
            validation_data=corpus.validation,
            initial_epoch=model.optimizer.iterations // every,
            epochs=rounds,
            batch_size=batch_size,
            verbose=int(report.bar),
            callbacks=[callbacks.TerminateOnNaN(), report],
        )
    losses = [history.history[name][-1] for name in ("loss", "val_loss")]
    if not _finite(*losses):
        raise ValueError(
            f"the loss is {losses[0]}, in validation {losses[1]}, so no more was saved to {target}; try a lower --lr"
        )
    if interrupted and model.optimizer.iterations < every * rounds:
        click.echo(f"\nstopped after {model.optimizer.iterations} steps; saved the model to {target}; --resume goes on")
    else:
        report.end(history.history)
    return history


@contextmanager
def _interrupts(model: Any) -> Iterator[list[bool]]:
    """Return a block in which Ctrl-C stops training after a validation; the list is then not empty. A second one ends at once."""
    interrupted: list[bool] = []
    before = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: Any) -> None:
        interrupted.append(True)
        model.stop_training = True
        signal.signal(signal.SIGINT, before)

    if before is not signal.default_int_handler:  # interrupts are ignored, or are the business of another program
        yield interrupted
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _finite(*numbers: float) -> bool:
    return all(map(math.isfinite, numbers))


class _Report(callbacks.Callback):
    """Callback that shows losses and samples, and saves the model."""

    def __init__(self, model: Any, corpus: Corpus, target: Path, every: int, rounds: int, prompt: str | None) -> None:
        super().__init__()
        self.corpus, self.target, self.every, self.rounds = corpus, target, every, rounds
        self.prompt = start_of(corpus.tokenizer, prompt)
        self.bar = has_bar()
        self._start, self._language = time.perf_counter(), model

    def begin(self) -> None:
        """Show what is trained on what."""
        corpus, n = self.corpus, sum(p.size for p in self._language.parameters())
        click.echo(f"{corpus.tokenizer}, {len(corpus.training.ids)} to train, {len(corpus.validation.ids)} to validate")
        click.echo(
            f"{type(self._language).__name__} with {n} parameters, {self.rounds * self.every} steps, validated every {self.every}"
        )
        show_backend()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not _finite(logs["loss"], logs["val_loss"]):
            self.model.stop_training = True
            return
        numbers = "" if self.bar else f"{time.perf_counter() - self._start:.1f} s  loss {logs['loss']:.4f}  "  # fit shows them
        step, total = self._language.optimizer.iterations, self.rounds * self.every
        self._say(f"step {step} of {total}  {numbers}validation {self._in_units(logs['val_loss'])}")
        self._say(f"  {self._sample(_SAMPLE)!r}")
        self._language.save(self.target)

    def end(self, history: dict[str, list[float]]) -> None:
        """Show the best validation and a longer text."""
        values = history["val_loss"]
        best = int(np.argmin(values))
        if best < len(values) - 1:
            step = (self.rounds - len(values) + best + 1) * self.every
            self._say(f"\nthe lowest validation loss was {values[best]:.4f}, after {step} steps; those after it were worse")
        self._say(f"\n{self._sample(_LAST_SAMPLE)}\n")
        self._say(f"saved the model to {self.target}; `fastnn generate {self.target} --prompt TEXT` lets it write")

    def _in_units(self, nats: float) -> str:
        return f"{nats:.4f} nats a token, {nats / math.log(2) / self.corpus.characters:.4f} bits a character"

    def _sample(self, n: int) -> str:
        return "".join(written(self._language, self.prompt, n, seed=0))

    def _say(self, line: str) -> None:
        from tqdm import tqdm

        tqdm.write(line)  # above the bar, if there is one
