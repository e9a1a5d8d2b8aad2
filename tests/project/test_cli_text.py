"""The command line with text: training models that write, going on with it, and letting them write."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import fastnn
from fastnn import cli
from fastnn.cli import text as job
from fastnn.cli import writing
from fastnn.text import BPETokenizer, ByteTokenizer, CharTokenizer, WordTokenizer

TEXT = "call me Ishmael. some years ago, never mind how long — precisely: having little or no money.\n" * 30
SMALL = ("--width", 8, "--heads", 2, "--layers", 1, "--context", 8, "--batch-size", 4, "--steps", 6, "--every", 2, "--seed", 0)
KINDS = ("gpt", "lstm", "gru")


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def bad(*arguments: object) -> str:
    """The error's one line."""
    result = CliRunner().invoke(cli.main, [str(a) for a in arguments])
    assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit), result.output
    return result.output.splitlines()[-1]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "_LAST_SAMPLE", 20)
    monkeypatch.setattr(job, "_SAMPLE", 10)
    Path("whale.txt").write_text(TEXT, encoding="utf-8")
    before = fastnn.get_backend()
    yield tmp_path
    fastnn.set_backend(before)


@pytest.mark.parametrize("kind", KINDS)
def test_train_and_generate(kind: str) -> None:
    out = run("train", "text", "whale.txt", "--model", kind, *SMALL)
    assert (
        f"CharTokenizer({len(set(TEXT))} tokens), 2511 to train, 279 to validate" in out and "6 steps, validated every 2\n" in out
    )
    lines = re.findall(r"step (\d) of 6 .* loss (.*)  validation (.*) nats a token, (.*) bits a character\n", out)
    assert [line[0] for line in lines] == ["2", "4", "6"]
    assert all(float(bits) == pytest.approx(float(nats) / np.log(2), abs=2e-4) for _, _, nats, bits in lines)
    assert "saved the model to whale.fastnn" in out
    model = fastnn.load("whale.fastnn")
    assert model.tokenizer == CharTokenizer(TEXT) and model.optimizer.iterations == 6
    windows = fastnn.datasets.windows(model.tokenizer.encode(TEXT), 8, validation_split=0.1)
    assert model.evaluate(windows[1]) == pytest.approx(float(lines[-1][2]), abs=1e-4)
    texts = [run("generate", "whale.fastnn", "--prompt", "call", "--max-new-tokens", 30, "--seed", seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2] and texts[0].startswith("call") and len(texts[0]) == 4 + 30 + 1
    out = run("generate", "whale.fastnn", "--prompt", "call me", "--stop", " ", "--seed", 1)
    assert out.startswith("call me") and " " not in out[7:]
    assert len(run("generate", "whale.fastnn", "--max-new-tokens", 5, "--top-k", 3, "--top-p", 0.9)) == 6


def test_it_learns() -> None:
    """A text that repeats can be learned nearly by heart, and the model then goes on with it."""
    steps = ("--steps", 250, "--every", 250, "--lr", 0.02, "--warmup", 10, "--width", 24, "--context", 16)
    out = run("train", "text", "whale.txt", "--model", "gru", *SMALL, *steps)
    assert float(re.findall(r"validation (.*) nats", out)[0]) < 0.3
    out = run("generate", "whale.fastnn", "--prompt", "call me", "--max-new-tokens", 20, "--temperature", 0)
    assert out == TEXT[:27] + "\n"


def test_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that was stopped in the middle goes on as if it had not been, with the same windows."""
    run("train", "text", "whale.txt", "--model", "gru", *SMALL, "--every", 3, "--output", "whole.fastnn")
    taken: list[int] = []

    def interrupt(self: Any, batch: int, logs: Any = None) -> None:
        taken.append(batch)
        if len(taken) == 5:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start what runs in the background without it
    try:
        with monkeypatch.context() as m:
            m.setattr(job._Report, "on_train_batch_end", interrupt)
            out = run("train", "text", "whale.txt", "--model", "gru", *SMALL, "--every", 3)
    finally:
        signal.signal(signal.SIGINT, before)
    assert taken == [0, 1, 2, 0, 1] and "step 5 of 6" in out
    assert "stopped after 5 steps; saved the model to whale.fastnn; --resume goes on" in out
    out = run("train", "text", "whale.txt", *SMALL, "--every", 3, "--seed", 5, "--resume")
    assert "step 6 of 6" in out and "step 5 of 6" not in out
    whole, resumed = (fastnn.load(name) for name in ("whole.fastnn", "whale.fastnn"))
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    assert "has been trained for 6 steps already" in bad("train", "text", "whale.txt", *SMALL, "--resume")
    assert "no file" in bad("train", "text", "whale.txt", "--resume", "--output", "none.fastnn")
    fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))]).save("other.fastnn")
    assert "no tokenizer or no optimizer" in bad("train", "text", "whale.txt", "--resume", "--output", "other.fastnn")


@pytest.mark.parametrize("name", ["byte", "bpe", "own.json", "tokenizer.json"])
def test_tokenizers(name: str) -> None:
    pytest.importorskip("tokenizers")
    trained = BPETokenizer.train(TEXT, 280)
    ByteTokenizer().save("own.json")
    Path("tokenizer.json").write_text(json.dumps(trained.get_config()["description"]), encoding="utf-8")
    out = run("train", "text", "whale.txt", "--model", "gru", *SMALL, "--tokenizer", name, "--vocabulary", 280)
    model = fastnn.load("whale.fastnn")
    assert model.tokenizer == (ByteTokenizer() if name in ("byte", "own.json") else trained)
    held_back = fastnn.datasets.windows(model.tokenizer.encode(TEXT), 8, validation_split=0.1)[1]
    characters = len(model.tokenizer.decode(held_back.ids))
    nats, bits = re.findall(r"validation (.*) nats a token, (.*) bits", out)[-1]
    assert float(bits) == pytest.approx(float(nats) / np.log(2) * len(held_back.ids) / characters, rel=1e-3)
    assert run("generate", "whale.fastnn", "--prompt", "né", "--max-new-tokens", 5, "--seed", 0).startswith("né")


def test_the_text_of_the_package_and_large_files(monkeypatch: pytest.MonkeyPatch) -> None:
    out = run("train", "text", "--model", "gru", *SMALL, "--epochs", 1, "--steps", 2, code=1)
    assert "--steps and --epochs are given together" in out
    out = run("train", "text", "--model", "gru", *SMALL)
    assert "CharTokenizer(75 tokens), 195083 to train" in out and Path("text.fastnn").exists()
    outs = []
    for largest in (1 << 20, 100):  # once in memory, once from a file of ids
        monkeypatch.setattr(job, "LARGEST", largest)
        outs.append(run("train", "text", "whale.txt", "--model", "gru", *SMALL))
    strip = [re.sub(r"\d+\.\d s", "", out) for out in outs]
    assert strip[0] == strip[1]


def test_epochs_and_a_plot() -> None:
    pytest.importorskip("matplotlib")
    small = [a for a in SMALL if a not in ("--steps", 6)]
    out = run("train", "text", "whale.txt", "--model", "gru", *small, "--epochs", 1, "--every", 30, "--plot", "curves.png")
    assert "step 81 of 81" in out  # 313 windows, 4 in a step: 79 steps, and 3 parts of as many
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")


def test_errors() -> None:
    Path("empty.txt").write_bytes(b"")
    Path("short.txt").write_text("too short")
    Path("latin.txt").write_bytes(b"caf\xe9")
    for arguments, words in (
        (("none.txt",), "train text: there is no file 'none.txt'"),
        (("empty.txt",), "is empty"),
        (("short.txt",), "short.txt is too short for --context 8"),
        (("latin.txt",), "is no text in UTF-8"),
        (("whale.txt", "--tokenizer", "syllables"), "wanted char, byte, bpe, or a .json file"),
        (("whale.txt", "--tokenizer", "none.json"), "there is no file 'none.json'"),
        (("whale.txt", "--output", "whale.txt"), "is the same file as whale.txt"),
        (("whale.txt", "--plot", "a.gif"), "wanted the name of a .png"),
        (("whale.txt", "--prompt", ""), "--prompt has no tokens"),
        (("whale.txt", "--prompt", "X"), "text[0] is 'X'"),
        (("whale.txt", "--lr", "nan"), "nan"),
        (("whale.txt", "--width", 10, "--heads", 4), "--width 10 cannot be divided into --heads 4"),
        (("whale.txt", "--width", 100_000), "more than 268435456; try a smaller --width"),
    ):
        assert words in bad("train", "text", *SMALL, *arguments)
    assert "options for text come after the word" in bad("train", "--seed", 0, "text")
    fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))]).save("other.fastnn")
    assert "other.fastnn has no tokenizer" in bad("generate", "other.fastnn")
    other = fastnn.models.GPT(2, 4, 4, 1, 1)
    other.tokenizer = CharTokenizer("ab")
    other.save("other.fastnn")
    assert bad("generate", "other.fastnn", "--prompt", "X").startswith("Error: --prompt: CharTokenizer.encode: text[0] is 'X'")


def test_a_loss_that_is_not_finite_saves_nothing() -> None:
    out = bad("train", "text", "whale.txt", "--model", "gru", *SMALL, "--lr", 1e30, "--warmup", 0)
    assert out.startswith("Error: the loss is ") and "lower --lr" in out and not Path("whale.fastnn").exists()


def test_control_characters_are_not_written() -> None:
    assert writing.printable("a\x1b[2J\tb\n\x00\x9b") == "a\ufffd[2J\tb\n\ufffd\ufffd"


def test_a_prompt_that_no_option_gives() -> None:
    assert writing.start_of(CharTokenizer("a\n"), None) == "\n" == writing.start_of(ByteTokenizer(), None)
    assert writing.start_of(CharTokenizer("ba"), None) == "a"
    assert writing.start_of(WordTokenizer("call me"), None) == "<unknown>"
