"""Compare a training step of `models.TabM` with the same net of plain operations in PyTorch, in turns.

    python benches/tables_tabm.py [threads]

The times are medians of rounds, and the ratio is the median of the rounds' ratios. With one thread they are CPU times, to which
other processes add little; else they are wall times.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn
from fastnn.backends import get_isa

SIZES = [(128, 8, 32, 64, 2), (256, 16, 32, 128, 3), (256, 16, 32, 256, 2)]
"""Rows of a batch, features, members, width, depth."""
CLASSES, DROPOUT, STEPS, ROUNDS = 4, 0.1, 8, 5


def of_fastnn(x: np.ndarray, y: np.ndarray, batch: int, k: int, width: int, depth: int) -> Callable[[], float]:
    """Return a function that takes STEPS steps of Adam and returns the loss."""
    fastnn.seed(0)
    model = fastnn.models.TabM(x.shape[1], CLASSES, k, width, depth, DROPOUT, output_activation="softmax")
    model.compile(fastnn.optim.Adam(lr=1e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
    return lambda: float(model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0).history["loss"][0])


def of_torch(x: np.ndarray, y: np.ndarray, batch: int, k: int, width: int, depth: int) -> Callable[[], float]:
    """Return the same with PyTorch. The layout is the same, too: members first, the product of all members as one."""
    import torch
    from torch.nn.functional import cross_entropy, dropout, linear

    torch.manual_seed(0)
    sizes = [x.shape[1], *[width] * depth]

    def made(value: Any) -> Any:
        return value.requires_grad_()

    layers = []
    for i in range(depth):
        inputs, bound = sizes[i], sizes[i] ** -0.5
        r = torch.ones(k, 1, inputs) if i else torch.randint(0, 2, (k, 1, inputs)) * 2.0 - 1
        weight = torch.empty(width, inputs).uniform_(-bound, bound)
        bias = torch.empty(k, 1, width).uniform_(-bound, bound)
        layers.append([made(t) for t in (r, weight, torch.ones(k, 1, width), bias)])
    bound = width**-0.5
    head = [made(torch.empty(k, n, CLASSES).uniform_(-bound, bound)) for n in (width, 1)]
    optimizer = torch.optim.Adam([p for part in (*layers, head) for p in part], lr=1e-3)
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)

    def step(begin: int) -> Any:
        h, t = rows[begin : begin + batch], labels[begin : begin + batch]
        for r, weight, s, bias in layers:
            h = dropout((linear(h * r, weight) * s + bias).relu(), DROPOUT)
        z = torch.baddbmm(head[1], h, head[0])
        loss = cross_entropy(z.reshape(-1, CLASSES), t.repeat(k))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    def run() -> float:
        return float(torch.stack([step(i) for i in range(0, len(rows), batch)]).mean())

    run()
    return run


def main() -> None:
    """Compare all sizes, and print a line for each."""
    import torch

    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    clock = time.process_time if threads == 1 else time.perf_counter
    torch.set_num_threads(threads)
    fastnn.set_num_threads(threads)
    print(f"fastnn {fastnn.__version__} ({get_isa()}), torch {torch.__version__}, {threads} threads; ms a step")
    for batch, features, k, width, depth in SIZES:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch * STEPS, features)).astype(np.float32)
        y = (x[:, :CLASSES].argmax(1)).astype(np.int64)
        runs = {name: make(x, y, batch, k, width, depth) for name, make in (("fastnn", of_fastnn), ("torch", of_torch))}
        times: dict[str, list[float]] = {name: [] for name in runs}
        loss = {}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                start = clock()
                loss[name] = run()
                times[name].append((clock() - start) / STEPS * 1e3)
        middle = {name: statistics.median(t) for name, t in times.items()}
        ratio = statistics.median(t / f for f, t in zip(times["fastnn"], times["torch"], strict=True))
        print(
            f"batch {batch}, {features} features, k={k}, {depth} x {width}: fastnn {middle['fastnn']:.2f}, torch "
            f"{middle['torch']:.2f}, ratio {ratio:.2f}; losses {loss['fastnn']:.3f}, {loss['torch']:.3f}"
        )


if __name__ == "__main__":
    main()
