"""Train a GPT and an LSTM on the characters of a text, with fastnn and with PyTorch, and compare their losses on the end of it.

`python benches/text_convergence.py FILE` reads a text in UTF-8, such as the whole of Moby-Dick, and holds out its last tenth. The
nets: a GPT with 4 blocks of 4 heads, width 128, context 64, batch 12; an embedding of 128 features, an LSTM of 256 units and a
dense layer, on 64 characters, batch 32. fastnn and PyTorch begin with the same weights, and have the same batches, AdamW and
rates. In the end, a GPT with 50,000 words trains for a few steps with the loss that never has all logits in memory.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers import fastnn_sequences
from peers.sequences import Gpt, Lstm

import fastnn
from fastnn.datasets import windows
from fastnn.text import CharTokenizer, WordTokenizer

PEAK, DECAY, BETAS = 1e-3, 0.1, (0.9, 0.99)
WORDS, WORD_STEPS = 50_000, 60


def rates(steps: int) -> Any:
    """Return the schedule: a rise in a twentieth of the steps, then a cosine to a tenth of the peak."""
    rise = max(1, steps // 20)
    return fastnn.schedules.CosineDecay(PEAK / 100, steps - rise, 0.1, warmup_target=PEAK, warmup_steps=rise)


def run_fastnn(model: Any, batch: int, steps: int, train: Any, held: Any) -> tuple[float, float]:
    """Return the seconds of the training and the loss on the held-out text."""
    optimizer = fastnn.optim.AdamW(lr=rates(steps), betas=BETAS, weight_decay=DECAY)
    model.compile(optimizer, fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    start = time.perf_counter()
    model.fit(*train, batch_size=batch, shuffle=False, verbose=0)
    seconds = time.perf_counter() - start
    return seconds, model.evaluate(*held, batch_size=batch, verbose=0)


def run_torch(net: Gpt | Lstm, weights: list[np.ndarray], batch: int, steps: int, train: Any, held: Any) -> tuple[float, float]:
    """Return the seconds of the training and the loss on the held-out text, of PyTorch on as many threads."""
    import torch
    from peers import torch_sequences
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(fastnn.get_num_threads())
    model, rate = torch_sequences.filled(torch_sequences.made(net), weights), rates(steps)
    optimizer = torch.optim.AdamW(model.parameters(), betas=BETAS, weight_decay=DECAY, fused=True)

    def batches(data: Any) -> Any:
        return zip(*(torch.from_numpy(a).split(batch) for a in data), strict=True)

    def loss_of(x: Any, y: Any, **how: Any) -> Any:
        return cross_entropy(model(x).flatten(0, 1), y.flatten(), **how)

    start = time.perf_counter()
    for i, (x, y) in enumerate(batches(train)):
        optimizer.param_groups[0]["lr"] = float(rate(i))
        optimizer.zero_grad()
        loss_of(x, y).backward()
        optimizer.step()
    seconds = time.perf_counter() - start
    with torch.inference_mode():
        return seconds, sum(loss_of(x, y, reduction="sum").item() for x, y in batches(held)) / held[1].size


def compare(name: str, net: Gpt | Lstm, batch: int, steps: int, train: np.ndarray, held: np.ndarray) -> None:
    """Train with both libraries and print a line for each, and one with the difference."""
    fastnn.seed(1)
    starts = np.random.default_rng(1).integers(0, len(train) - net.length, steps * batch)
    data = windows(train, net.length).batch(starts), windows(held, net.length).arrays()
    model = fastnn_sequences.made(net)
    weights = fastnn_sequences.values(model)
    runs: dict[str, Callable[[], tuple[float, float]]] = {
        "fastnn": lambda: run_fastnn(model, batch, steps, *data),
        "PyTorch": lambda: run_torch(net, weights, batch, steps, *data),
    }
    losses = []
    for library, run in runs.items():
        seconds, loss = run()
        losses.append(loss)
        print(
            f"{name:9} {library:8} {steps} steps in {seconds:6.1f} s: {loss:.4f} nats, {loss / math.log(2):.4f} bits", flush=True
        )
    print(f"{name:9} difference: {losses[0] - losses[1]:+.4f} nats", flush=True)


def words(text: str) -> None:
    """Train a GPT with a head of 50,000 words for a few steps."""
    length, rng = 64, np.random.default_rng(2)
    data = windows(WordTokenizer(text, WORDS).encode(text), length)
    model = fastnn.models.GPT(WORDS, length, 128, 2, 4, tied=False)
    optimizer = fastnn.optim.AdamW(model.parameters(), lr=PEAK)

    @fastnn.capture
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = model.loss(x, y)
        loss.backward()
        optimizer.step()
        return loss

    start, losses = time.perf_counter(), []
    for _ in range(WORD_STEPS):
        batch = data.batch(rng.integers(0, data.places, 12))
        losses.append(step(*map(fastnn.tensor, batch)).item())
    first, last = (np.mean(part) for part in (losses[:5], losses[-5:]))
    seconds = time.perf_counter() - start
    print(f"{WORDS} words: {WORD_STEPS} steps in {seconds:.1f} s: {first:.2f} nats in the first 5, {last:.2f} in the last 5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="text in UTF-8")
    parser.add_argument("--steps", type=int, default=2000, help="training steps (2000)")
    options = parser.parse_args()
    text = options.file.read_text(encoding="utf-8")
    tokenizer = CharTokenizer(text)
    ids = tokenizer.encode(text)
    end = len(ids) * 9 // 10
    print(f"{len(ids)} characters, {len(tokenizer)} different ones, the last {len(ids) - end} held out", flush=True)
    nets = {"GPT": (Gpt(len(tokenizer), 128, 4, 4, 64), 12), "char-LSTM": (Lstm(len(tokenizer), 128, 256, 64), 32)}
    for name, (net, batch) in nets.items():
        compare(name, net, batch, options.steps, ids[:end], ids[end:])
    words(text)


if __name__ == "__main__":
    main()
