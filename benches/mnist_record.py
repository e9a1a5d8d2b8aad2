"""Train a small convolutional net on MNIST to 99 % test accuracy, beside PyTorch with the same recipe.

`python benches/mnist_record.py FOLDER` reads the four IDX files in FOLDER, trains on all 60,000 images and tests on the 10,000
others, with several seeds. The time is that of everything after the import: reading the files, training, testing. fastnn and
PyTorch, on as many threads, take turns.

The recipe: 8 filters of 5x5, pooling, 32 filters of 5x5, pooling, 64 neurons, 10 classes; Adam, with a rate that rises to its
peak and falls to zero (one cycle); two epochs; no augmentation.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import fastnn

EPOCHS, BATCH, PEAK = 2, 64, 6e-3
FILTERS, NEURONS = (8, 32), 64
MEAN, SCALE = 33.3, 78.6
"""Of the numbers of the training images."""


def images(folder: str) -> tuple[Any, Any]:
    """Return training and test images with their labels; images are (n, 28, 28, 1) with mean 0 and variance 1."""
    train, test = fastnn.datasets.mnist(folder)
    return tuple(((x.reshape(-1, 28, 28, 1).astype(np.float32) - MEAN) / SCALE, y) for x, y in (train, test))  # type: ignore[return-value]


def run_fastnn(folder: str, seed: int) -> tuple[float, float]:
    """Return seconds and test accuracy."""
    start = time.perf_counter()
    (x, y), (x_test, y_test) = images(folder)
    fastnn.seed(seed)
    model = fastnn.Sequential(
        [
            *(fastnn.Conv2D(FILTERS[0], 5, activation="relu", input_shape=(28, 28, 1)), fastnn.MaxPooling2D(2)),
            *(fastnn.Conv2D(FILTERS[1], 5, activation="relu"), fastnn.MaxPooling2D(2), fastnn.Flatten()),
            *(fastnn.Dense(NEURONS, activation="relu"), fastnn.Dense(10, activation="softmax")),
        ]
    )
    rate = fastnn.schedules.OneCycle(PEAK, EPOCHS * -(-len(x) // BATCH))
    model.compile(fastnn.optim.Adam(lr=rate), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    found = model.predict(x_test, batch_size=256, verbose=0).argmax(1)
    return time.perf_counter() - start, float((found == y_test).mean())


def run_torch(folder: str, seed: int) -> tuple[float, float]:
    """Return seconds and test accuracy of PyTorch, with channels last, which is faster here."""
    import torch
    from torch import nn

    torch.set_num_threads(fastnn.get_num_threads())
    start = time.perf_counter()
    torch.manual_seed(seed)
    (x, y), (x_test, y_test) = (
        (
            torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last),
            torch.from_numpy(y.astype(np.int64)),
        )
        for x, y in images(folder)
    )
    a, b = FILTERS
    model = nn.Sequential(
        *(nn.Conv2d(1, a, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(a, b, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(16 * b, NEURONS), nn.ReLU(), nn.Linear(NEURONS, 10)),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK, fused=True)
    steps = EPOCHS * -(-len(x) // BATCH)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss_of(model(x[batch]), y[batch]).backward()
            optimizer.step()
            rates.step()
    with torch.inference_mode():
        found = torch.cat([model.eval()(part).argmax(1) for part in x_test.split(256)])
    return time.perf_counter() - start, float((found == y_test).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder with MNIST's four IDX files")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (5)")
    options = parser.parse_args()
    runs: dict[str, Callable[[str, int], tuple[float, float]]] = {"fastnn": run_fastnn}
    if find_spec("torch"):
        runs["PyTorch"] = run_torch
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for seed in range(options.seeds):
        for name, run in runs.items():
            found[name].append(run(options.folder, seed))
            seconds, accuracy = found[name][-1]
            print(f"seed {seed}: {name} {seconds:.2f} s, test accuracy {100 * accuracy:.2f} %", flush=True)
    print(f"{EPOCHS} epochs, batch {BATCH}, {fastnn.get_num_threads()} threads: mean of {options.seeds} seeds")
    for name, results in found.items():
        seconds, accuracy = (statistics.mean(r[i] for r in results) for i in (0, 1))
        print(f"{name:8} {seconds:6.2f} s, test accuracy {100 * accuracy:.2f} %")


if __name__ == "__main__":
    main()
