"""Compare the training of 400-15-15-15-10 on the digits, 30 epochs, batch 32, Adam, with that of other libraries.

`python benches/bench_training.py` runs fastnn, scikit-learn and PyTorch (fused Adam, with one thread and with two) in turn, in
several rounds in one process. It prints the median times, the ratios and the mean test accuracies. fastnn is also measured with
bfloat16 if that is faster. `--mnist FOLDER`, the folder of MNIST's four IDX files, adds the training of 784-512-512-10
on MNIST in both precisions, 5 epochs, batch 128.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastnn

EPOCHS, BATCH, LR = 30, 32, 1e-3
MNIST = (784, 512, 512, 10)
MNIST_EPOCHS, MNIST_BATCH = 5, 128
Run = Callable[[int], tuple[float, float]]
"""Function: seed -> (seconds of training, test accuracy)."""

(X, Y), (X_TEST, Y_TEST) = fastnn.datasets.digits(as_float=True)


def compiled(sizes: tuple[int, ...], seed: int, dtype: str = "float32") -> fastnn.Sequential:
    """Return a classifier with ReLU between its layers, Adam and cross-entropy."""
    fastnn.seed(seed)
    layers = [fastnn.Dense(o, activation="relu", input_shape=(i,)) for i, o in pairwise(sizes[:-1])]
    model = fastnn.Sequential([*layers, fastnn.Dense(sizes[-1], activation="softmax", input_shape=(sizes[-2],))])
    model.compile(fastnn.optim.Adam(lr=LR), "sparse_categorical_crossentropy", dtype=dtype)
    return model


def train_fastnn(sizes: tuple[int, ...], data: Any, batch: int, epochs: int, seed: int, dtype: str) -> tuple[float, float]:
    (x, y), (x_test, y_test) = data
    model = compiled(sizes, seed, dtype)
    start = time.perf_counter()
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    return seconds, float((model.predict(x_test).argmax(1) == y_test).mean())


def run_fastnn(seed: int, dtype: str = "float32") -> tuple[float, float]:
    return train_fastnn((400, 15, 15, 15, 10), ((X, Y), (X_TEST, Y_TEST)), BATCH, EPOCHS, seed, dtype)


def run_sklearn(seed: int) -> tuple[float, float]:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (15, 15, 15), alpha=0.0, batch_size=BATCH, learning_rate_init=LR, max_iter=EPOCHS, tol=0.0, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that training has not converged
        start = time.perf_counter()
        model.fit(X, Y)
        seconds = time.perf_counter() - start
    assert model.n_iter_ == EPOCHS
    return seconds, float(model.score(X_TEST, Y_TEST))


def run_torch(seed: int, threads: int) -> tuple[float, float]:
    from peers.torch import Contender

    return Contender("cpu", threads).train_digits(seed, "eager")


PEERS: dict[str, tuple[str, Run]] = {
    "fastnn": ("fastnn", run_fastnn),
    "scikit-learn": ("sklearn", run_sklearn),
    "PyTorch, 1 thread": ("torch", lambda seed: run_torch(seed, 1)),
    "PyTorch, 2 threads": ("torch", lambda seed: run_torch(seed, 2)),
}


def bfloat16_pays() -> bool:
    """Return whether products of bfloat16 are available and not computed in float32."""
    return not fastnn.info().engines.get("bfloat16", "float32").startswith("float32")


def digits_runs() -> dict[str, Run]:
    """Return the training functions for the digits: of each installed library, and of fastnn with bfloat16 if that is faster."""
    short = {"fastnn, bfloat16": lambda seed: run_fastnn(seed, "bfloat16")} if bfloat16_pays() else {}
    (ours, run), *peers = ((name, run) for name, (module, run) in PEERS.items() if find_spec(module))
    return {ours: run, **short, **dict(peers)}


def mnist_runs(folder: str) -> dict[str, Run]:
    """Return the training functions of fastnn for MNIST, in each precision that has own instructions."""
    data = fastnn.datasets.mnist(folder, as_float=True)

    def run_of(dtype: str) -> Run:
        return lambda seed: train_fastnn(MNIST, data, MNIST_BATCH, MNIST_EPOCHS, seed, dtype)

    dtypes = ["float32", "bfloat16"] if bfloat16_pays() else ["float32"]
    return {f"fastnn, {dtype}": run_of(dtype) for dtype in dtypes}


def compare(runs: dict[str, Run], rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Run all in turn, with a seed for each round; return the times and the accuracies of each."""
    results: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in runs}
    for run in runs.values():
        run(1000)  # warm-up
    for seed in range(rounds):
        for name, run in runs.items():
            seconds, accuracy = run(seed)
            results[name][0].append(seconds)
            results[name][1].append(accuracy)
    return results


NETS = {(400, 15, 15, 15, 10): 32, (8, 64, 64, 4): 64, (784, 512, 512, 10): 128, (1024, 2048, 2048, 1024): 256}
"""Batch sizes of the nets, by the sizes of their layers."""
HOST = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]  # benches/gpu.sh times cupy


@pytest.mark.parametrize("backend", HOST)
@pytest.mark.parametrize("sizes", NETS, ids=lambda sizes: "-".join(map(str, sizes)))
def bench_step(benchmark: Any, sizes: tuple[int, ...], backend: str) -> None:
    """Time an epoch of training in `fit`, on each backend of the CPU."""
    batch, steps = NETS[sizes], 64 if sizes[0] < 1024 else 4
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((steps * batch, sizes[0]), np.float32), rng.integers(0, sizes[-1], steps * batch)
    losses = {}
    for name in dict.fromkeys(("numpy", backend)):
        with fastnn.use_backend(name):
            model = compiled(sizes, 0)
            losses[name] = model.fit(x, y, batch_size=batch, verbose=0).history["loss"][0]
    assert abs(losses[backend] - losses["numpy"]) < 1e-3 * losses["numpy"]
    benchmark.group = f"training: {steps} steps of {'-'.join(map(str, sizes))}, batch {batch}"
    benchmark.extra_info.update(case="fit", backend=backend, threads=fastnn.get_num_threads())
    with fastnn.use_backend(backend):
        benchmark.pedantic(
            lambda: model.fit(x, y, batch_size=batch, verbose=0), rounds=20 if sizes[0] < 784 else 5, warmup_rounds=1
        )


def bench_digits(benchmark: Any) -> None:
    """Time 30 epochs of the digits on the current backend."""
    accuracies = []
    benchmark.group = "training: 30 epochs of the digits"
    benchmark.extra_info["backend"] = fastnn.get_backend()
    benchmark.pedantic(lambda: accuracies.append(run_fastnn(0)[1]), rounds=3)
    assert min(accuracies) > 0.82


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="number of rounds, each with another seed (10)")
    parser.add_argument("--mnist", metavar="FOLDER", help="folder with MNIST's four IDX files; train on MNIST, too")
    options = parser.parse_args()
    machine = f"{fastnn.info().threads} threads, {fastnn.info().isa}"
    table(f"30 epochs of the digits through 400-15-15-15-10, batch 32, Adam; {machine}", compare(digits_runs(), options.rounds))
    if options.mnist:
        work = f"{MNIST_EPOCHS} epochs of MNIST through {'-'.join(map(str, MNIST))}, batch {MNIST_BATCH}, Adam; {machine}"
        table(work, compare(mnist_runs(options.mnist), options.rounds))


def table(title: str, results: dict[str, tuple[list[float], list[float]]]) -> None:
    """Print the medians, the ratios to the first entry, and the accuracies."""
    ours = statistics.median(next(iter(results.values()))[0])
    print(f"{title}\n{'':22}{'median s':>10}{'ratio':>8}{'test accuracy, mean and range':>34}")
    for name, (seconds, accuracies) in results.items():
        t = statistics.median(seconds)
        spread = f"{np.mean(accuracies):.4f}  ({min(accuracies):.3f}-{max(accuracies):.3f})"
        print(f"{name:22}{t:10.4f}{t / ours:8.1f}{spread:>34}")


if __name__ == "__main__":
    main()
