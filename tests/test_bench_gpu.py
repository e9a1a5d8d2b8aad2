"""The benches on a GPU, as far as they run without one: wrong results are refused, nobody is left out silently, and the page says
what was measured."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHES = Path(__file__).parents[1] / "benches"


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHES))


def gpu(module: str) -> Any:
    return importlib.import_module(f"gpu.{module}")


def small(kind: str, *args: Any, **more: Any) -> Any:
    return gpu("rows").Row(f"a small {kind}", kind, args, **more)


def measured(**seconds: float) -> Any:
    """Two blocks for each column; underscores are spaces."""
    measure, job = gpu("measure"), gpu("job")
    row = next(r for r in gpu("rows").rows() if r.kind == "train" and r.target and r.target.times)
    took = {name.replace("_", " "): [job.Took(s, s)] * 2 for name, s in seconds.items()}
    return measure.Measured(row, took, left_out={"JAX": "RuntimeError: not here"}, wrong={"JAX scan": "wrong: an error of 1"})


SMALL = {
    "matmul": ((24, 16, 40),),
    "train": ((8, 64, 64, 4), 16),
    "predict": ((8, 64, 64, 4), 3),
    "head": (12, 300, 20),
    "adam": (5000,),
}


def test_rows_have_contenders_and_limits() -> None:
    rows, most = gpu("rows"), gpu("reference").MOST
    names = [r.name for r in rows.rows()]
    assert len(set(names)) == len(names)
    assert set(SMALL) | {"digits"} == {r.kind for r in rows.rows()} == set(rows.MODES)
    for r in rows.rows():
        assert set(r.columns) <= set(rows.MODULES)
        assert ("JAX scan" in r.columns) == (r.kind == "train" and r.args[1] < 256)
        assert callable(getattr(gpu("fastnn").Contender, r.kind))
        assert r.kind == "digits" or r.precision in most[r.kind]
        assert r.target is None or {*r.target.times} <= set(r.columns)


@pytest.mark.parametrize("kind", SMALL)
def test_fastnn_is_right_and_timed(kind: str) -> None:
    bench = gpu("measure").Bench("cpu", 0.001, ["fastnn"])
    copied = 4096 if kind == "adam" else 0
    m = bench.measure(small(kind, *SMALL[kind], nbytes=1000.0, copied=copied))
    ours = {column for column in m.row.columns if column.startswith("fastnn")}
    assert set(m.took) == set(m.errors) == ours and not m.failed
    assert set(m.left_out) == set(m.row.columns) - ours and set(m.left_out.values()) == {"not asked for"}
    assert all(0 < s < 1 for s in m.seconds.values())
    if copied:
        assert 0 < m.share < 1e6


PEERS = [
    *(("torch", kind, "float32", "eager") for kind in SMALL),
    *(("jax", kind, "float32", "jit") for kind in SMALL),
    ("jax", "train", "float32", "scan"),
    *((peer, kind, "bfloat16", mode) for peer, mode in (("torch", "eager"), ("jax", "jit")) for kind in ("matmul", "train")),
]


@pytest.mark.parametrize(("peer", "kind", "precision", "mode"), PEERS)
def test_peers_are_right(peer: str, kind: str, precision: str, mode: str) -> None:
    library = pytest.importorskip(peer)
    if peer == "torch":
        before = library.get_num_threads()
        library.set_num_threads(1)
    try:
        contender, reference = gpu(peer).Contender("cpu"), gpu("reference")
        job = getattr(contender, kind)(*SMALL[kind], precision, mode)
        reference.check(kind, precision, job.result(), reference.expected(kind, SMALL[kind]))
        job.settle()
        assert 0 < job.block(contender.clock(), 2).device < 1
        contender.free()
    finally:
        if peer == "torch":
            library.set_num_threads(before)


@pytest.mark.parametrize("kind", SMALL)
def test_wrong_results_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = gpu("reference")
    want = reference.expected(kind, SMALL[kind])
    for precision, most in reference.MOST[kind].items():
        reference.check(kind, precision, [w * (1 + most / 2) for w in want], want)
        for wrong in ([w * (1 + 2 * most) for w in want], [w * np.nan for w in want], want[:-1], [w[..., None] for w in want]):
            with pytest.raises(reference.WrongResultError):
                reference.check(kind, precision, wrong, want)
    bench = gpu("measure").Bench("cpu", 0.001, ["fastnn"])
    monkeypatch.setattr(bench, "_expected", lambda kind, args: [1.1 * w for w in want])
    m = bench.measure(small(kind, *SMALL[kind]))
    assert not m.took and m.failed and all("wrong: an error of" in line for line in m.failed)


def test_who_fails_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = gpu("measure").Bench("cpu", 0.001, ["fastnn"])

    def broken(*args: Any) -> Any:
        raise MemoryError("no room\nat all")

    monkeypatch.setattr(bench.contenders["fastnn"], "matmul", broken)
    m = bench.measure(small("matmul", *SMALL["matmul"]))
    assert m.left_out["fastnn"] == "MemoryError: no room at all"
    assert m.failed == [f"{column}: MemoryError: no room at all" for column in ("fastnn", "fastnn captured")]
    monkeypatch.setattr(bench, "bandwidth", broken)
    m = bench.measure(small("adam", 5000, copied=4096))
    assert set(m.took) == {"fastnn"} and m.failed == ["copy in device memory: MemoryError: no room at all"]
    absent = gpu("measure").Bench("cpu", 0.001, ["nothing"])
    assert "No module named 'gpu.nothing'" in absent.absent["nothing"] and not absent.contenders


def test_the_large_net_repeats_rows() -> None:
    nets = gpu("nets")
    x, y = nets.data(nets.LARGE, 1100)[0]
    assert x.shape == (1100, 4096) and y.shape == (1100,)
    assert (x[:512] == x[512:1024]).all() and (y[:76] == y[1024:]).all()


def test_targets_in_words() -> None:
    page = gpu("page")
    assert page.target(measured(fastnn=1e-5, PyTorch=1e-4, PyTorch_CUDA_graph=1e-5))[1] == "met"
    aims, outcome = page.target(measured(fastnn=5e-5, PyTorch=1e-4))
    assert aims == "fastnn >= 5x PyTorch; fastnn >= 1x PyTorch CUDA graph"
    assert outcome == "missed: 2.00x PyTorch, 60.0 % short; PyTorch CUDA graph not measured"
    assert "fastnn not measured" in page.target(measured(PyTorch=1e-4))[1]
    rows = gpu("rows")
    close = measured(fastnn=2e-3, fastnn_captured=1e-3, PyTorch=3e-3, PyTorch_compiled=0.9e-3)
    close.row = small("train", *SMALL["train"], target=rows.CLOSE)
    assert page.target(close) == (">= 0.95x PyTorch's best", "missed: 0.90x PyTorch compiled, 5.26 % short")
    adam = measured(fastnn=1e-3)
    adam.row, adam.bandwidth = small("adam", 5000, nbytes=8e8, target=rows.Target(bandwidth=0.85)), 1e12
    assert page.target(adam)[1] == "missed: 80.0 %, 5.0 points short"
    adam.bandwidth = 9e11
    assert page.target(adam)[1] == "met"


def test_numbers_become_a_page_and_json() -> None:
    page = gpu("page")
    m = measured(fastnn=1e-5, fastnn_captured=2e-5, PyTorch=1e-4, PyTorch_CUDA_graph=3e-5)
    given = [m], page.Machine(["a GPU"], "a system", {"numpy": "2"}), ["fastnn 1", "PyTorch 2"], "a command", 0.3
    text = page.page(*given)
    cells = "| 10.0 us | 20.0 us | 100 us | 30.0 us | wrong | 3.00x PyTorch CUDA graph |"
    assert f"| {m.row.name} {cells}" in text and text.count("| met |") == 1
    for part in ("- GPU: a GPU", "fastnn 1, PyTorch 2", "`a command`", "numpy 2", "2 to 2 rounds", "Targets met: 1 of 1."):
        assert part in text
    assert f"- {m.row.name}: JAX: RuntimeError: not here" in text and "JAX scan: wrong: an error of 1" in text
    assert "JAX: RuntimeError: not here" in page.text(m)
    row = json.loads(json.dumps(page.as_json(*given)))["rows"][0]
    assert row["seconds"]["fastnn"] == 1e-5 and row["blocks"]["PyTorch"] == [1e-4, 1e-4] and row["outcome"] == "met"


def test_the_command_line() -> None:
    command = [sys.executable, str(BENCHES / "bench_gpu.py")]
    for arguments, message in ((["--only", "nonsense"], "no row has that"), (["--seconds", "0"], "--seconds must be")):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 2 and message in done.stderr
    done = subprocess.run(["bash", str(BENCHES / "gpu.sh"), "a", "b"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "usage:" in done.stderr
