"""Predictions for more rows than memory holds, by this process or by the workers of joblib, Ray or Dask."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import threading
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..files import place
from ..files.names import name_of
from ..tables.columns import to_numbers
from ..tables.encoder import with_names
from ..tables.files import require
from . import engines
from .parts import Part, of_files, of_rows

Array: TypeAlias = np.ndarray[Any, Any]
PART = 1 << 26
JOB = "job.json"
"""File in the folder of outputs that says what they are of."""
_loaded = threading.local()
"""Model that a thread loaded last. Threads do not share one, since `predict` stores its recording in the model."""


@dataclass(frozen=True)
class Job:
    """Predict rows of parts, in a worker. ``model`` is the path of a file, or a pickled model; ``key`` tells models apart."""

    model: str | bytes
    key: str
    batch_size: int | None
    columns: tuple[str, ...]
    keep: tuple[str, ...]
    output: str | None = None

    def __call__(self, part: Part) -> Any:
        """Return the predictions of a part, or the name of the file that they are written to."""
        try:
            results = [self.rows(chunk) if part.table else self.array(chunk) for chunk in part.chunks()]
        except (TypeError, ValueError) as e:
            raise type(e)(f"predict: part {part.name}: {e}") from e
        result = joined(results)
        if self.output is None:
            return result
        file = os.path.join(self.output, part.name + part.ending)
        place.write(file, [_bytes(result, part.ending)], "predict", part.ending)
        return file

    def loaded(self) -> Any:
        """Return the model; a thread loads it once."""
        if getattr(_loaded, "key", None) != self.key:
            from .. import load

            _loaded.model = load(self.model, compile=False) if isinstance(self.model, str) else pickle.loads(self.model)
            _loaded.key = self.key
        return _loaded.model

    def array(self, x: Any) -> Array:
        """Return the predictions of an array, or of a dict of arrays."""
        if isinstance(x, dict):
            x = _features({name: x[name] for name in self.columns} if self.columns else x)
        y = self.loaded().predict(x, batch_size=self.batch_size, verbose=0)
        if not isinstance(y, np.ndarray):
            raise ValueError(f"the model returns a {type(y).__name__} of outputs; wanted a model with one output")
        return y

    def rows(self, frame: Any) -> Any:
        """Return the predictions of the rows of a data frame as columns, after those that are kept."""
        frame = with_names(frame, [*self.columns, *self.keep], "the table")
        encoder = self.loaded().table_encoder
        if encoder is not None:
            y = self.loaded().predict(encoder.encode(frame, warnings.warn), batch_size=self.batch_size, verbose=0)
            out = encoder.decode(y)
        else:
            names = self.columns or [name for name in frame.columns if name not in self.keep]
            out = require().DataFrame(_columns(self.array({name: to_numbers(frame[name], name) for name in names})))
        for name in reversed(self.keep):
            out.insert(0, name, frame[name].to_numpy())
        return out

    def batch(self, columns: dict[str, Array]) -> dict[str, Any]:
        """Return the predictions of a batch of columns, after those that are kept."""
        if self.loaded().table_encoder is not None:
            out = self.rows(require().DataFrame(columns))
            return {name: out[name].to_numpy() for name in out.columns}
        names = self.columns or [name for name in columns if name not in self.keep]
        y = self.array({name: columns[name] for name in names})
        return {**{name: columns[name] for name in self.keep}, "prediction": y}


def predict(
    model: Any,
    source: Any,
    *,
    engine: str | None = None,
    output: Any = None,
    batch_size: int | None = None,
    workers: int | None = None,
    part_bytes: int = PART,
    columns: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> Any:
    """Compute a model's outputs for the rows of files, arrays or tables, in parts.

    Workers get the places of their parts and read the rows themselves, so that each holds one part at a time. Each loads the
    model once, and computes with the threads that its engine gives it.

    With an output folder, each part becomes a file there, which is complete or absent. The same call after an interruption
    computes only what is absent.

    Args:
        model: the path of a saved model, which all workers can read; or a model, or a `fastnn.Tabular`, which is sent to them.
        source: the path of a file, or a list of paths: .npy, .npz, or tables as of `fastnn.tables.read`. Or an array or a data
            frame; only of a memory-mapped array are places sent instead of rows. Or a Dask array or frame, or a Ray Dataset.
        engine: None for this process, "joblib", "ray" or "dask". Dask uses the current Client, Ray the current cluster.
        output: a folder for the predictions, made if it is absent: for arrays .npy, for tables .csv or .parquet.
        batch_size: as of `Module.predict`; of a Ray Dataset also the rows of a batch. Results do not depend on it.
        workers: number of processes of joblib, or of Ray's actors; by default one for each core, or what the engine chooses.
        part_bytes: size of a part, 64 MiB by default. Files .npz, .xlsx and compressed texts are one part, and so is each row
            group of a Parquet file, which is read in pieces of this size.
        columns: names of the columns, or arrays of an .npz file, that the model takes, in its order; by default all that are not
            kept. One array is passed as it is, several columns of numbers as one array (rows, columns), arrays of more axes as
            inputs by name. A model of a table finds its own columns.
        keep: names of columns that are copied to the predictions.

    Returns:
        With an output folder, the paths of its files in the order of the rows. Else an array (rows, ...), or of tables a data
        frame, with the column "prediction" or several, "prediction_0" and so on. Of a Dask collection or a Ray Dataset the same
        kind of collection, which computes when it is used.

    Raises:
        FileNotFoundError: a file is missing.
        ImportError: the package of the engine is not installed.
        TypeError: the model or the source is of another type.
        ValueError: the rows do not fit the model, an argument does not fit, or the folder has outputs of another model or source.

    >>> import fastnn, pathlib, tempfile
    >>> import numpy as np
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> net = fastnn.Sequential([fastnn.Dense(2, input_shape=(3,))])
    >>> net.save(folder / "net.fastnn")
    >>> np.save(folder / "x.npy", np.ones((1000, 3), "float32"))
    >>> files = predict(folder / "net.fastnn", folder / "x.npy", output=folder / "out", part_bytes=6000)
    >>> [file.name for file in files]
    ['x.00000.npy', 'x.00001.npy']
    >>> np.load(files[0]).shape
    (500, 2)
    """
    engines.check(engine, workers)
    if part_bytes < 1:
        raise ValueError(f"predict: part_bytes is {part_bytes}; wanted at least 1")
    kept = tuple([keep] if isinstance(keep, str) else keep)
    job = Job(*_model(model), batch_size, tuple([columns] if isinstance(columns, str) else columns), kept)
    if (lazy := engines.collection(source)) is not None:
        if engine not in (None, lazy):
            raise ValueError(f"predict: engine {engine!r} came for a collection of {lazy}; wanted {lazy!r} or None")
        if output is not None:
            raise ValueError(f"predict: output came for a collection of {lazy}; call a method of the result that writes it")
        return engines.mapped(lazy, job, source, workers)
    parts, origin = _parts(source, part_bytes)
    if output is None:
        return joined(list(engines.run(engine, job, parts, workers)))
    folder = os.path.abspath(name_of(output, "predict: output"))
    os.makedirs(folder, exist_ok=True)
    _same_job(folder, {"model": job.key, "source": origin, "arguments": [part_bytes, [*job.columns], [*kept]]})
    job = Job(job.model, job.key, batch_size, job.columns, kept, folder)
    files = [Path(folder, part.name + part.ending) for part in parts]
    for _ in engines.run(engine, job, [part for part, file in zip(parts, files, strict=True) if not file.exists()], workers):
        pass
    return files


def _model(model: Any) -> tuple[str | bytes, str]:
    """Return a model for a Job, and its key: a digest of the file, or of the weights."""
    from ..nn.module import Module
    from ..tables.tabular import Tabular

    if isinstance(model, str | os.PathLike):
        path = os.path.abspath(name_of(model, "predict: model"))
        if not os.path.isfile(path):
            raise FileNotFoundError(f"predict: there is no model {path!r}")
        with open(path, "rb") as f:
            return path, _digest(iter(lambda: f.read(1 << 20), b""))
    model = model.network if isinstance(model, Tabular) else model
    if not isinstance(model, Module):
        raise TypeError(f"predict: model is a {type(model).__name__}; wanted a model of fastnn, or the path of a saved one")
    return pickle.dumps(model), _digest([str(model).encode(), *(w.tobytes() for w in model.get_weights())])


def _parts(source: Any, most: int) -> tuple[list[Part], list[Any]]:
    """Return the parts of a source, and what tells it from other ones."""
    paths = [source] if isinstance(source, str | os.PathLike) else source
    if isinstance(paths, list | tuple) and paths and all(isinstance(path, str | os.PathLike) for path in paths):
        parts = of_files(paths, most)
        status = map(os.stat, paths)
        return parts, [[os.path.basename(p), s.st_size, s.st_mtime_ns] for p, s in zip(paths, status, strict=True)]
    if hasattr(source, "iloc") and hasattr(source, "columns"):
        hashes = require().util.hash_pandas_object(source, index=False).to_numpy()
        return of_rows(source, most), [[*map(str, source.columns)], _digest([hashes.tobytes()])]
    if isinstance(source, np.ndarray) and source.ndim:
        parts = of_rows(source, most)
        return parts, [str(source.dtype), [*source.shape], _digest(np.ascontiguousarray(a) for p in parts for a in p.chunks())]
    raise TypeError(
        f"predict: source is a {type(source).__name__}; wanted the path of a file, a list of paths, an array, a data frame, "
        f"a Dask array or frame, or a Ray Dataset"
    )


def _digest(pieces: Iterable[Any]) -> str:
    state = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()


def _same_job(folder: str, job: dict[str, Any]) -> None:
    """Note in a folder what its files are of; ValueError if it has those of another model, source or arguments."""
    note = os.path.join(folder, JOB)
    if not os.path.exists(note):
        place.write(note, [json.dumps(job).encode()], "predict")
        return
    with open(note, encoding="utf-8") as f:
        before = json.load(f)
    if other := [what for what in job if before.get(what) != json.loads(json.dumps(job[what]))]:
        raise ValueError(f"predict: {folder} has predictions with another {other[0]}; wanted the same one, or another folder")


def joined(results: Sequence[Any]) -> Any:
    """Return arrays or data frames as one."""
    if len(results) == 1:
        return results[0]
    if not isinstance(results[0], np.ndarray):
        return require().concat(results, ignore_index=True)
    return np.concatenate(results)


def _bytes(result: Any, ending: str) -> bytes:
    """Return the contents of a file of predictions."""
    if ending == ".csv":
        return bytes(result.to_csv(index=False).encode())
    buffer = io.BytesIO()
    if ending == ".parquet":
        result.to_parquet(buffer, index=False)
    else:
        np.save(buffer, result)
    return buffer.getvalue()


def _features(columns: dict[str, Array]) -> Any:
    """Return columns as a model takes them: one array as it is, columns as one array, others by their names."""
    if len(columns) == 1:
        (only,) = columns.values()
        return only if only.ndim > 1 else only[:, None]
    return np.stack([*columns.values()], axis=1) if all(a.ndim == 1 for a in columns.values()) else columns


def _columns(y: Array) -> dict[str, Array]:
    """Return the outputs of a model as columns of a table."""
    if y.ndim > 2:
        raise ValueError(f"the model's output has shape {y.shape}, which makes no columns; wanted one axis or two")
    flat = y.reshape(len(y), -1)
    return {"prediction" if flat.shape[1] == 1 else f"prediction_{i}": flat[:, i] for i in range(flat.shape[1])}
