"""Batch inference of more rows than the memory of a process holds: this process, joblib, Dask and Ray, beside each other.

python benches/distributed_predict.py [none joblib dask ray] [--rows 200000]

Each process that computes gets a limit of its data (RLIMIT_DATA) of half the size of the rows, above what it holds at its start
(interpreter, packages, engine). A line shows the time with the engine already started, the sum of the labels, and the peak of the
memory that a process held, of which pages of the mapped file are a part; Ray's workers belong to its daemon, and are not counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import fastnn
from fastnn.distributed import predict

WIDTH, WORKERS, PART = 784, 2, 16 << 20


def limit(size: int) -> None:
    """Limit the data of this process to what it holds now and this many bytes."""
    with open("/proc/self/status") as lines:
        held = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (held + size,) * 2)


def fits(path: str) -> bool:
    """Return whether the rows fit into this process."""
    try:
        np.load(path)
    except MemoryError:
        return False
    return True


@contextmanager
def started(engine: str, size: int) -> Iterator[None]:
    """Start an engine whose workers have this limit."""
    if engine == "dask":
        from dask.distributed import Client, LocalCluster

        with LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            client.run(limit, size)
            yield
    elif engine == "ray":
        import ray

        def hook() -> None:
            import ray.data  # noqa: F401 - it holds much memory itself, as pandas and pyarrow do

            limit(size)

        env = {"worker_process_setup_hook": hook, "env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}}
        ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 28, runtime_env=env)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
        ray.shutdown()
    else:
        limit(size)  # processes of joblib inherit it
        if engine == "joblib":
            from joblib import Parallel, delayed

            Parallel(WORKERS)(delayed(abs)(0) for _ in range(WORKERS))
        yield
        if engine == "joblib":
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True)


def measured(engine: str, folder: str, size: int) -> str:
    """Return the line of an engine."""
    fastnn.load(f"{folder}/net.fastnn").predict(np.zeros((1, WIDTH), "float32"))
    with started(engine, size // 2), tempfile.TemporaryDirectory() as output:
        own = "" if engine in ("dask", "ray") else f", all rows fit: {fits(f'{folder}/rows.npy')}"
        begin = time.perf_counter()
        chosen = None if engine == "none" else engine
        workers = None if engine in ("none", "dask") else WORKERS
        files = predict(
            f"{folder}/net.fastnn", f"{folder}/rows.npy", engine=chosen, output=output, workers=workers, part_bytes=PART
        )
        seconds = time.perf_counter() - begin
        parts = [np.load(file) for file in files]
    rows, labels = sum(map(len, parts)), sum(int(part.argmax(1).sum()) for part in parts)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) >> 10
    held = "" if engine == "ray" else f", peak {peak} MiB"
    return f"{engine:7} {rows / seconds / 1e3:7.0f} k rows/s, {seconds:6.2f} s, sum of labels {labels}{held}{own}"


def apart(job: Callable[[], str]) -> None:
    """Print the result of a function in a process of its own, whose limits end with it."""
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        try:
            print(job(), flush=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engines", nargs="*", default=["none", "joblib", "dask", "ray"])
    parser.add_argument("--rows", type=int, default=200_000)
    given: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fastnn.seed(0)
        layers = [
            fastnn.Dense(512, activation="relu", input_shape=(WIDTH,)),
            fastnn.Dense(512, activation="relu"),
            fastnn.Dense(10),
        ]
        fastnn.Sequential(layers).save(f"{folder}/net.fastnn")
        rows = np.lib.format.open_memmap(f"{folder}/rows.npy", "w+", "float32", (given.rows, WIDTH))
        for begin in range(0, given.rows, 10_000):
            rows[begin : begin + 10_000] = np.random.default_rng(begin).random(rows[begin : begin + 10_000].shape, "float32")
        rows.flush()
        size = rows.nbytes
        del rows
        print(f"{given.rows} rows, {size >> 20} MiB; limit {size >> 21} MiB above the start of each process")
        for engine in given.engines:
            apart(lambda engine=engine: measured(engine, folder, size))


if __name__ == "__main__":
    main()
