"""Train two textbook nets on all of MNIST, with several seeds, and show the mean of their test accuracies.

`python benches/mnist_accuracy.py FOLDER` reads the four IDX files in FOLDER. The nets: LeNet-5 as `fastnn train mnist` builds it,
10 epochs, and dense layers 784-512-512-10 with dropout, 20 epochs. Both have Adam with one cycle of the rate. No picture
is changed for training.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

import fastnn
from fastnn.cli.nets import lenet

BATCH = 128


def dense() -> Any:
    """Return 784-512-512-10 with dropout."""
    return fastnn.Sequential(
        [
            *(fastnn.Flatten(input_shape=(28, 28, 1)), fastnn.Dropout(0.2)),
            *(
                fastnn.Dense(512, activation="relu"),
                fastnn.Dropout(0.5),
                fastnn.Dense(512, activation="relu"),
                fastnn.Dropout(0.5),
            ),
            fastnn.Dense(10, activation="softmax"),
        ]
    )


NETS = {"LeNet-5": (lambda: lenet((28, 28, 1), 10), 10, 4e-3), "784-512-512-10": (dense, 20, 2e-3)}
"""Functions that make the nets, numbers of epochs, and peaks of the rate, by the names of the nets."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder with MNIST's four IDX files")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (3)")
    options = parser.parse_args()
    train, test = fastnn.datasets.mnist(options.folder)
    (x, y), (x_test, y_test) = ((images[..., None].astype(np.float32) / 255, labels) for images, labels in (train, test))
    for name, (make, epochs, peak) in NETS.items():
        accuracies = []
        start = time.perf_counter()
        for seed in range(options.seeds):
            fastnn.seed(seed)
            model = make()
            rate = fastnn.schedules.OneCycle(peak, epochs * -(-len(x) // BATCH))
            model.compile(fastnn.optim.Adam(lr=rate), "sparse_categorical_crossentropy", ["accuracy"])
            model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
            accuracies.append(100 * model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"])
        seconds = (time.perf_counter() - start) / options.seeds
        found = " ".join(f"{a:.2f}" for a in accuracies)
        print(
            f"{name:15} {epochs} epochs, {seconds:5.1f} s each: {statistics.mean(accuracies):.2f} % (seeds: {found})", flush=True
        )


if __name__ == "__main__":
    main()
