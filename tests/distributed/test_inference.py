"""Predictions of many rows in parts, by this process and by workers of joblib, Dask and Ray."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.distributed import predict
from fastnn.distributed.inference import JOB
from fastnn.distributed.parts import Lines, Mapped, of_files, of_rows

ROWS = np.random.default_rng(0).random((200, 3)).astype("float32")


@pytest.fixture
def net() -> Any:
    with fastnn.core.seeding.seeded(0):
        return fastnn.Sequential([fastnn.Dense(5, activation="relu", input_shape=(3,)), fastnn.Dense(2)])


def _table(pd: Any) -> Any:
    """Return rows with texts that hold separators, quotes and ends of lines."""
    table = pd.DataFrame(ROWS.astype("float64").round(4), columns=["a", "b", "c"])
    table["id"] = [f'row "{i}",\nof {len(ROWS)}' for i in range(len(ROWS))]
    return table


def _sources(folder: Path) -> Iterator[tuple[Any, slice]]:
    """Yield sources of ROWS, and which of them they have."""
    np.save(folder / "x.npy", ROWS)
    np.savez(folder / "z.npz", x=ROWS)
    yield ROWS, slice(None)
    yield folder / "x.npy", slice(None)
    yield [str(folder / "x.npy"), folder / "z.npz"], slice(None)
    yield np.load(folder / "x.npy", mmap_mode="r")[7:150], slice(7, 150)


def _all_alike(net: Any, folder: Path, engine: str | None) -> None:
    """Check the predictions of arrays and tables in memory and in files, and those that are written to files."""
    net.save(folder / "net.fastnn")
    wanted = net.predict(ROWS)
    for source, rows in _sources(folder):
        got = predict(folder / "net.fastnn", source, engine=engine, part_bytes=900)
        repeats = len(source) if isinstance(source, list) else 1
        np.testing.assert_allclose(got, np.concatenate([wanted[rows]] * repeats), atol=1e-6)
    files = predict(net, folder / "x.npy", engine=engine, output=folder / "out", part_bytes=900)
    assert len(files) == 3 and len(list((folder / "out").iterdir())) == 4
    np.testing.assert_allclose(np.concatenate([np.load(file) for file in files]), wanted, atol=1e-6)


@pytest.mark.parametrize("engine", [None, "joblib"])
def test_arrays(net: Any, tmp_path: Path, engine: str | None) -> None:
    if engine:
        pytest.importorskip(engine)
    _all_alike(net, tmp_path, engine)


def test_tables(net: Any, tmp_path: Path) -> None:
    pd, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    table = _table(pd)
    wanted = net.predict(table[["a", "b", "c"]].to_numpy("float32"))
    table.to_csv(tmp_path / "t.csv", index=False, lineterminator="\r\n")
    table.to_csv(tmp_path / "u.csv.gz", index=False)
    table.to_parquet(tmp_path / "p.parquet", row_group_size=70)
    for source, n in [(table, 0), (tmp_path / "t.csv", 0), (tmp_path / "p.parquet", 3), (tmp_path / "u.csv.gz", 1)]:
        files = predict(net, source, output=tmp_path / f"of {type(source).__name__} {n}", keep="id", part_bytes=1000)
        assert len(files) == n or (n == 0 and len(files) > 3)
        parts = [pd.read_csv(f) if f.suffix == ".csv" else pd.read_parquet(f) for f in files]
        got = pd.concat(parts, ignore_index=True)
        assert list(got.columns) == ["id", "prediction_0", "prediction_1"]
        np.testing.assert_allclose(got[["prediction_0", "prediction_1"]], wanted, atol=1e-5)
        assert [text.replace("\r", "") for text in got["id"]] == list(table["id"])
    one = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    got = predict(one, tmp_path / "t.csv", columns=["c", "a"], part_bytes=1000)
    np.testing.assert_allclose(got["prediction"], one.predict(table[["c", "a"]].to_numpy("float32"))[:, 0], atol=1e-5)


def test_a_model_of_a_table(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    table = _table(pd)
    table["kind"] = np.where(table["a"] > table["b"], "more", "less")
    model = fastnn.Tabular(seed=0, epochs=3, drop=["id"]).fit(table, "kind")
    table.to_csv(tmp_path / "t.csv", index=False)
    model.save(tmp_path / "kinds.fastnn")
    for given in (model, tmp_path / "kinds.fastnn"):
        got = predict(given, tmp_path / "t.csv", part_bytes=2000)
        assert list(got["prediction"]) == list(model.predict(table))
        np.testing.assert_allclose(got[["p_less", "p_more"]], model.predict_proba(table), atol=1e-6)


def test_inputs_by_name(tmp_path: Path) -> None:
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((2, 2), name="b")
    model = fastnn.Model({"a": a, "b": b}, fastnn.Dense(1)(fastnn.Concatenate()([a, fastnn.Flatten()(b)])))
    x = {"a": ROWS, "b": ROWS[:, :1, None].repeat(2, 1).repeat(2, 2)}
    np.savez(tmp_path / "x.npz", **x, other=ROWS)
    np.testing.assert_allclose(predict(model, tmp_path / "x.npz", columns=["a", "b"]), model.predict(x), atol=1e-6)


def test_parts_are_places(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    for parts in (of_files([tmp_path / "x.npy"], 600), of_rows(np.load(tmp_path / "x.npy", mmap_mode="r"), 600)):
        assert len(parts) == 4 and all(isinstance(part, Mapped) for part in parts)
        np.testing.assert_array_equal(np.concatenate([rows for part in parts for rows in part.chunks()]), ROWS)


@pytest.mark.parametrize("block", [7, 64, 1 << 20])
def test_lines_end_where_rows_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    pd = pytest.importorskip("pandas")
    (tmp_path / "t.csv").write_text("\ufeffa,b\n" + "".join(f'"{i},""\n",  "{"x" * (i % 9)}"\n' for i in range(99)), "utf-8")
    monkeypatch.setattr("fastnn.distributed.parts._BLOCK", block)
    parts = of_files([tmp_path / "t.csv"], 100)
    assert len(parts) > 9 and all(isinstance(part, Lines) for part in parts)
    got = pd.concat([frame for part in parts for frame in part.chunks()], ignore_index=True).fillna("")
    assert list(got["a"]) == [f'{i},"\n' for i in range(99)] and list(got["b"]) == ["x" * (i % 9) for i in range(99)]


def test_goes_on_where_it_ended(net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    out, computed = tmp_path / "out", []
    of_part = Mapped.chunks

    def chunks(part: Mapped, broken: bool) -> Iterator[Any]:
        if broken and len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(part.name)
        return of_part(part)

    monkeypatch.setattr(Mapped, "chunks", lambda part: chunks(part, True))
    with pytest.raises(KeyboardInterrupt):
        predict(net, tmp_path / "x.npy", output=out, part_bytes=600)
    assert sorted(file.name for file in out.iterdir()) == [JOB, "x.00000.npy", "x.00001.npy"]
    monkeypatch.setattr(Mapped, "chunks", lambda part: chunks(part, False))
    files = predict(net, tmp_path / "x.npy", output=out, part_bytes=600)
    assert computed == [f"x.{i:05d}" for i in range(4)]
    np.testing.assert_allclose(np.concatenate([np.load(file) for file in files]), net.predict(ROWS), atol=1e-6)

    with pytest.raises(ValueError, match="another arguments"):
        predict(net, tmp_path / "x.npy", output=out, part_bytes=900)
    with pytest.raises(ValueError, match="another source"):
        predict(net, ROWS, output=out, part_bytes=600)
    net.set_weights([w + 1 for w in net.get_weights()])
    with pytest.raises(ValueError, match="another model"):
        predict(net, tmp_path / "x.npy", output=out, part_bytes=600)


_LIMITED = """
import resource, sys
import numpy as np
import fastnn
from fastnn.distributed import predict

if __name__ == "__main__":
    folder = sys.argv[1]
    fastnn.set_num_threads(1)
    fastnn.load(folder + "/net.fastnn").predict(np.zeros((1, 256), "float32"))
    held = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
    limit = held + (24 << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        np.load(folder + "/x.npy")
    except MemoryError:
        print("does not fit")
    files = predict(folder + "/net.fastnn", folder + "/x.npy", output=folder + "/out", part_bytes=1 << 20)
    print(sum(int(np.load(file).argmax(1).sum()) for file in files))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
def test_more_rows_than_memory(tmp_path: Path) -> None:
    net = fastnn.Sequential([fastnn.Dense(8, input_shape=(256,))])
    net.save(tmp_path / "net.fastnn")
    rows = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "float32", (48 << 10, 256))  # 48 MiB, twice the memory
    rows[:] = np.random.default_rng(0).random((1 << 10, 256), "float32").repeat(48, 0)
    wanted = int(net.predict(rows).argmax(1).sum())
    rows.flush()
    (tmp_path / "run.py").write_text(_LIMITED)
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, tmp_path / "run.py", tmp_path], capture_output=True, text=True, timeout=60, env=env)
    assert done.stdout.split("\n")[:2] == ["does not fit", str(wanted)], done.stderr


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        ("absent.npy", {}, "there is no file 'absent.npy'"),
        (3, {}, "source is a int"),
        (ROWS, {"engine": "spark"}, "engine is 'spark'; wanted None, 'joblib', 'ray', 'dask'"),
        (ROWS, {"workers": 0}, "workers"),
        (ROWS, {"part_bytes": 0}, "part_bytes is 0"),
        (ROWS[:, :2], {}, "part rows.00000: .*3"),
    ],
)
def test_errors(net: Any, source: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError, TypeError, ImportError), match=message):
        predict(net, source, **arguments)


def test_errors_of_files_and_models(net: Any, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    np.save(tmp_path / "f.npy", np.asfortranarray(ROWS))
    (tmp_path / "q.csv").write_text('a,b,c\n1,5" pipe,2\n')
    (tmp_path / "x.txt.zst").write_text("")
    (tmp_path / "empty.csv").write_text("a,b,c\n")
    for name, message in [
        ("f.npy", "stored by columns"),
        ("q.csv", "byte 9 "),
        ("x.txt.zst", "wanted a file that ends with"),
        ("empty.csv", "no rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            predict(net, tmp_path / name)
    np.save(tmp_path / "x.npy", ROWS)
    with pytest.raises(ValueError, match="same name"):
        predict(net, [tmp_path / "x.npy", tmp_path / "x.npy"])
    with pytest.raises(TypeError, match="model is a list"):
        predict([], ROWS)
    with pytest.raises(FileNotFoundError, match="there is no model"):
        predict(tmp_path / "absent.fastnn", ROWS)


@pytest.mark.slow
def test_dask(net: Any, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    import dask.array
    import dask.dataframe
    import pandas as pd

    wanted = net.predict(ROWS)
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, distributed.Client(cluster):
        _all_alike(net, tmp_path, "dask")
        got = predict(net, dask.array.from_array(ROWS, chunks=(60, 2)))
        assert got.shape == (200, 2) and got.chunks[0] == (60, 60, 60, 20)
        np.testing.assert_allclose(got.compute(), wanted, atol=1e-6)
        table = dask.dataframe.from_pandas(
            pd.DataFrame({**dict(zip("abc", ROWS.T, strict=True)), "id": range(200)}), npartitions=3
        )
        found = predict(net, table, keep="id")
        assert list(found.columns) == ["id", "prediction_0", "prediction_1"] and list(found.dtypes)[1] == "float32"
        np.testing.assert_allclose(found.compute()[["prediction_0", "prediction_1"]], wanted, atol=1e-6)
        with pytest.raises(ValueError, match="collection of dask"):
            predict(net, table, engine="joblib")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray warns of its own settings
def test_ray(net: Any, tmp_path: Path) -> None:
    data = pytest.importorskip("ray.data")
    import ray

    path = os.pathsep.join(sys.path)  # Ray's processes import fastnn as this one does
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=1 << 28,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    try:
        _all_alike(net, tmp_path, "ray")
        rows = predict(net, data.from_numpy(ROWS), workers=2).take_all()
        np.testing.assert_allclose(np.stack([row["prediction"] for row in rows]), net.predict(ROWS), atol=1e-6)
        with pytest.raises(ValueError, match="collection of ray"):
            predict(net, data.from_numpy(ROWS), output=tmp_path / "out")
    finally:
        ray.shutdown()
