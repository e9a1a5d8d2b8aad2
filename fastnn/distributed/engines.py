"""Run a job on the parts of a source: in this process, or by the public functions of joblib, Ray Data and Dask."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..ops.checks import positive_int
from .parts import Part

ENGINES = {"joblib": ("joblib", "joblib"), "ray": ("ray.data", "'ray[data]'"), "dask": ("dask", "'dask[distributed]'")}
"""Engine -> module, and what pip installs."""


def check(engine: str | None, workers: int | None) -> None:
    """Raise the error of an engine that is unknown or not installed, or of a bad number of workers."""
    if engine is not None:
        if engine not in ENGINES:
            raise ValueError(f"predict: engine is {engine!r}; wanted None, {', '.join(map(repr, ENGINES))}")
        module, package = ENGINES[engine]
        try:
            import_module(module)
        except ImportError as e:
            raise ImportError(f"predict: engine {engine!r} needs a package: pip install {package}") from e
    if workers is not None:
        positive_int(workers, "predict: workers")
        if engine == "dask":
            raise ValueError("predict: the Client of Dask has its workers; wanted workers=None")


def run(engine: str | None, job: Any, parts: Sequence[Part], workers: int | None) -> Iterator[Any]:
    """Yield the job's results of the parts, in their order."""
    if engine is None or not parts:
        yield from map(job, parts)
    elif engine == "joblib":
        from joblib import Parallel, delayed

        yield from Parallel(n_jobs=workers or -1, return_as="generator")(delayed(job)(part) for part in parts)
    elif engine == "dask":
        import dask

        shared = dask.delayed(job)  # one node of the graph, so that the model is sent once
        yield from dask.compute(*(dask.delayed(_call)(shared, part) for part in parts))
    else:
        yield from _ray(job, parts, workers)


def _call(job: Any, part: Part) -> Any:
    return job(part)


class _Actor:
    """Keep the job, and so the model, in a worker of Ray for all of its parts."""

    def __init__(self, job: Any) -> None:
        self.job = job


class _OfParts(_Actor):
    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        results = [pickle.dumps(self.job(pickle.loads(part))) for part in batch["part"]]
        return {"place": batch["place"], "result": np.array(results, dtype=object)}


class _OfRows(_Actor):
    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return dict(self.job.batch(batch))


def _pool(workers: int | None, most: int | None = None) -> dict[str, Any]:
    """Return the arguments of map_batches for these actors, which share the cores of the cluster."""
    import ray
    from ray.data import ActorPoolStrategy

    if not ray.is_initialized():
        ray.init()
    cores = int(ray.cluster_resources().get("CPU", 1))
    size = min(n for n in (workers or cores, most) if n)
    least = size if most else 1  # a dataset may have fewer blocks than there are workers
    return {"compute": ActorPoolStrategy(min_size=least, max_size=size), "num_cpus": max(1, cores // size) if workers else 1}


def _ray(job: Any, parts: Sequence[Part], workers: int | None) -> Iterator[Any]:
    import ray

    pool = _pool(workers, len(parts))
    items = [{"place": i, "part": pickle.dumps(part)} for i, part in enumerate(parts)]
    rows = ray.data.from_items(items, override_num_blocks=len(items))
    done = rows.map_batches(_OfParts, fn_constructor_args=(job,), batch_size=1, **pool).take_all()
    for row in sorted(done, key=lambda row: int(row["place"])):
        yield pickle.loads(row["result"])


def collection(source: Any) -> str | None:
    """Return the engine of a collection that computes later; None for other sources."""
    package = type(source).__module__.partition(".")[0]
    return package if package in ("ray", "dask") and hasattr(source, "map_batches" if package == "ray" else "dask") else None


def mapped(engine: str, job: Any, source: Any, workers: int | None) -> Any:
    """Return the collection of a collection's predictions."""
    if engine == "ray":
        pool = _pool(workers)
        return source.map_batches(_OfRows, fn_constructor_args=(job,), batch_size=job.batch_size or 4096, **pool)
    if hasattr(source, "columns"):
        return source.map_partitions(job.rows, meta=job.rows(source._meta_nonempty).iloc[:0])
    if not hasattr(source, "map_blocks") or not source.ndim:
        raise TypeError(f"predict: source is a {type(source).__name__} of Dask; wanted an array or a frame")
    import dask.array

    x = source.rechunk(dict.fromkeys(range(1, source.ndim), -1))
    y = job.array(np.zeros((1, *x.shape[1:]), x.dtype))
    return dask.array.map_blocks(
        job.array,
        x,
        dtype=y.dtype,
        chunks=(x.chunks[0], *((n,) for n in y.shape[1:])),
        drop_axis=list(range(1, x.ndim)),
        new_axis=list(range(1, y.ndim)),
        meta=np.empty((0,) * y.ndim, y.dtype),
    )
