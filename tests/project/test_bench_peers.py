"""The comparison with other libraries, on a CPU and, as far as it runs without one, on a GPU.

Wrong results are refused, nobody is left out silently, and the pages show what was measured.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import emulator
import numpy as np
import pytest
from bench_rows import BENCHES, measured, peers, row, run_of

import fastnn

DEVICES = ("cpu", "cuda")


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHES))
    images = peers("images")  # the nets of the rows take JAX long to compile
    first = images.Conv(3, 8, 3, 2), images.Norm(8), images.Relu(), images.Pool()
    block = images.Block((images.Conv(8, 8, 3, 1, 8), images.Norm(8)), (images.Conv(8, 8, 1), images.Norm(8)))
    monkeypatch.setitem(images.NETS, "small", (12, (*first, block, images.Mean(), images.Linear(8, 10))))
    monkeypatch.setitem(images.LR, "small", 1e-4)
    sequences = peers("sequences")
    for name, net in (("small LSTM", sequences.Lstm(11, 6, 8, 5)), ("small GPT", sequences.Gpt(11, 8, 2, 1, 12))):
        monkeypatch.setitem(sequences.NETS, name, net)
        monkeypatch.setitem(sequences.LR, name, 1e-3)


class Local:
    """A worker in this process."""

    def __init__(self, module: str, device: str, threads: int, isa: str = "") -> None:
        self.commands = peers("worker").Commands(module, device, threads)

    def __call__(self, command: str, *args: Any) -> Any:
        try:
            return getattr(self.commands, command)(*args)
        except Exception as error:
            raise peers("worker").WorkerError(peers("worker").words(error)) from error

    def close(self) -> None:
        pass


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bench of fastnn alone, in this process."""
    monkeypatch.setattr(peers("measure"), "Worker", Local)
    with peers("measure").Bench("cpu", [], 0.001) as bench:
        yield bench


SMALL = {
    "matmul": ((24, 16, 40), "nn", 0),
    "train": ((8, 64, 64, 4), 16),
    "predict": ((8, 64, 64, 4), 3),
    "latency": ((8, 64, 64, 4), 40),
    "head": (12, 300, 20),
    "adam": (5000,),
    "cnn_train": (2,),
    "cnn_predict": (2,),
    "net_train": ("small", 4),
    "convolution": (2, 5, 8, 1),
    "convolution_gradients": (2, 5, 8, 8),
    "text_train": ("small LSTM", 3),
    "text_predict": ("small LSTM", 3),
    "stream": ("small LSTM",),
    "generate": ("small GPT", 3, 6),
    "attention_gradients": (2, 3, 7, 4),
    "embedding": (300, 8, 2, 5),
    "sparse_embedding": (300, 8, 2, 5),
}
WORKS = SMALL | {"text_train, GPT": ("small GPT", 3)}
CPU_ONLY = {"latency", *list(SMALL)[list(SMALL).index("cnn_train") :]}


def small(work: str, device: str = "cuda", **more: Any) -> Any:
    """The first row of a kind with a small piece of work, without its target."""
    kind = work.split(",")[0]
    found = next(r for d in (device, "cpu") for r in peers("rows").rows(d) if r.kind == kind)
    limits = {"adam": {"amount": 1e-9, "limit_args": (4096,)}, "generate": {"limit_args": WORKS[work][:1]}}
    limit = limits.get(kind, {"memory": ()})
    return dataclasses.replace(found, name=f"a small {work}", target=None, **{"args": WORKS[work], **limit, **more})


@pytest.mark.parametrize("device", DEVICES)
def test_rows_have_contenders_and_checks(device: str) -> None:
    rows, most = peers("rows"), peers("reference").MOST
    every, libraries = rows.rows(device), {library.module for library in peers("row").LIBRARIES[device].values()}
    assert len({r.name for r in every}) == len(every)
    assert {*SMALL, "digits"} - ({"adam"} if device == "cpu" else CPU_ONLY) == {r.kind for r in every}
    for r in every:
        assert r.section in peers("notes").SECTIONS
        assert r.kind == "digits" or r.precision in most[r.kind]
        assert r.target is None or {*r.target.times, *r.target.amx, *r.target.memory} <= set(r.columns)
        assert r.isa in ("", *peers("worker").ISAS)
        assert "fastnn" in {way.module for way in r.columns.values()} <= libraries
        for module, function in [
            *((way.module, r.kind) for way in r.columns.values()),
            *([("fastnn", r.limit)] if r.limit else []),
        ]:
            files = [BENCHES / "peers" / f"{name}.py" for name in (module, f"{module}_images", f"{module}_sequences")]
            texts = [file.read_text() for file in files if file.exists()]
            assert any(f"def {function}(" in text for text in texts), f"{r.name}: {module}.{function}"
    if device == "cpu":
        assert [r for r in every if r.precision == "float32"] == rows.rows("cpu", bfloat16=False)
    else:
        assert all(("JAX scan" in r.columns) == (r.kind == "train" and r.args[1] < 256) for r in every)


def modes(kind: str, devices: Sequence[str]) -> dict[str, Any]:
    """fastnn's columns for a kind of work, in all its modes."""
    rows = [r for device in devices for r in peers("rows").rows(device) if r.kind == kind]
    ways = [way for r in rows for way in r.columns.values() if way.module == "fastnn"]
    return {f"fastnn {way.mode}": way._replace(precision="") for way in ways}


@pytest.mark.parametrize("work", WORKS)
def test_fastnn_is_right_and_timed_in_every_mode(work: str, local: Any) -> None:
    kind = work.split(",")[0]
    columns = modes(kind, DEVICES)
    found = local.measure(small(work, columns={**columns, "PyTorch": peers("row").Way("torch", "eager")}))
    assert set(found.took) == set(found.errors) == set(columns) and len(columns) >= 1
    assert not found.left_out and not found.failed
    assert all(0 < s < 1 for s in [*found.seconds.values(), *found.wall.values()])
    if kind in ("adam", "generate"):
        assert 0 < found.share < 1e6
    if kind == "latency":
        assert set(found.percentiles) == set(columns) and all(0 < a <= b <= c for a, b, c in found.percentiles.values())


@pytest.mark.parametrize("layout", ["nn", "nt", "tn"])
@pytest.mark.parametrize("start", [0, 16])
def test_products_of_stored_transposes_and_misaligned_arrays(layout: str, start: int, local: Any) -> None:
    nets, shape = peers("nets"), (24, 16, 40)
    assert all(array.ctypes.data % 64 == start and array.flags.c_contiguous for array in nets.matrices(*shape, layout, start))
    np.testing.assert_array_equal(nets.factors(*shape, layout, start)[0], nets.factors(*shape)[0])
    columns = {"fastnn": peers("row").Way("fastnn", "called"), "NumPy": peers("row").Way("numpy", "eager")}
    local.modules.add("numpy")
    found = local.measure(small("matmul", args=(shape, layout, start), columns=columns))
    assert set(found.took) == set(columns) and not found.failed


@pytest.mark.skipif(not emulator.runs_here(), reason="no compiler for the emulated device")
@pytest.mark.parametrize("kind", [kind for kind in SMALL if kind not in CPU_ONLY])
def test_fastnn_is_right_on_a_device(kind: str, local: Any) -> None:
    columns = {column: way for column, way in modes(kind, ["cuda"]).items() if way.mode != "fit"}  # its epochs take long there
    with emulator.using("emulated"):
        found = local.measure(small(kind, columns=columns))
    assert set(found.took) == set(columns) and not found.failed


PEERS = [
    *(("torch", work, "float32", "eager") for work in WORKS if work != "latency"),
    *(("jax", work, "float32", "jit") for work in WORKS if work not in ("latency", "sparse_embedding")),
    ("jax", "train", "float32", "scan"),
    *((peer, "train", "float32", "on_batch") for peer in ("torch", "jax")),
    *((peer, kind, "bfloat16", "eager") for peer in ("torch", "jax") for kind in ("matmul", "train")),
    *(
        ("onnxruntime", kind, "float32", mode)
        for kind in ("predict", "latency", "cnn_predict", "text_predict", "stream")
        for mode in ("eager", "bound")
    ),
    *(("torch", kind, "float32", "channels_last") for kind in ("cnn_train", "net_train", "convolution_gradients")),
    ("sklearn", "predict", "float32", "eager"),
    *(("numpy", kind, "float32", "eager") for kind in ("matmul", "train", "predict")),
]


@pytest.mark.parametrize(("peer", "work", "precision", "mode"), PEERS)
def test_peers_are_right(peer: str, work: str, precision: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip(peer)
    if peer == "onnxruntime":
        pytest.importorskip("onnx")
    if peer == "jax":
        monkeypatch.setattr("os.sched_setaffinity", lambda pid, cores: None)
    before = library.get_num_threads() if peer == "torch" else library.get_config() if peer == "sklearn" else None
    try:
        contender, reference = peers(peer).Contender("cpu", 1), peers("reference")
        kind, args = work.split(",")[0], WORKS[work]
        job, want = getattr(contender, kind)(*args, precision, mode), reference.expected(kind, args)
        want = [*map(reference.probabilities, want)] if peer == "sklearn" else want
        reference.check(kind, precision, job.result(), want)
        job.settle()
        assert 0 < job.block(contender.clock(), 2).device < 1
        contender.free()
    finally:
        if peer == "torch":
            library.set_num_threads(before)
        if peer == "sklearn":
            library.set_config(**before)


@pytest.mark.parametrize("kind", SMALL)
def test_wrong_results_are_refused(kind: str, local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = peers("reference")
    want = reference.expected(kind, SMALL[kind])
    for precision, most in reference.MOST[kind].items():
        reference.check(kind, precision, [w * (1 + most / 2) for w in want], want)
        for wrong in ([w * (1 + 2 * most) for w in want], [w * np.nan for w in want], want[:-1], [w[..., None] for w in want]):
            with pytest.raises(reference.WrongResultError):
                reference.check(kind, precision, wrong, want)
        for i in range(len(want)):
            with pytest.raises(reference.WrongResultError):
                reference.check(kind, precision, [w * (1 + 2 * most * (i == j)) for j, w in enumerate(want)], want)
    monkeypatch.setattr(local, "_expected", lambda kind, args: [1.1 * w for w in want])
    found = local.measure(small(kind))
    assert not found.took and found.failed and all("wrong: an error of" in line for line in found.failed)


def test_one_wrong_element_and_the_smaller_bounds_of_a_cpu() -> None:
    reference = peers("reference")
    want = [np.ones((1000, 1000))]
    got = want[0].copy()
    got[3, 4] += 1e-3  # of the norm, a millionth
    with pytest.raises(reference.WrongResultError, match=r"an error of 1\.0e-03, wanted 1e-05"):
        reference.check("predict", "float32", [got], want)
    reference.check("train", "bfloat16", [np.array([1.02])], [np.ones(1)], "cuda")
    with pytest.raises(reference.WrongResultError):
        reference.check("train", "bfloat16", [np.array([1.02])], [np.ones(1)], "cpu")
    reference.check_accuracies({"fastnn": 0.87, "PyTorch": 0.88})
    with pytest.raises(reference.WrongResultError, match="test accuracy"):
        reference.check_accuracies({"fastnn": 0.80, "PyTorch": 0.88})


@pytest.mark.parametrize("mode", ["fit", "on_batch", "captured"])
def test_a_contender_that_learns_otherwise_is_refused(mode: str, local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"fastnn": peers("row").Way("fastnn", mode)}
    assert set(local.measure(small("train", columns=columns)).took) == {"fastnn"}
    monkeypatch.setattr(peers("nets"), "lr", lambda sizes: 3e-3)
    found = local.measure(small("train", columns=columns))
    assert not found.took and "wrong: an error of" in found.failed[0]


def test_who_fails_is_left_out_with_the_reason(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise MemoryError("no room\nat all")

    contender = peers("fastnn").Contender
    monkeypatch.setattr(contender, "copy", broken)
    found = local.measure(small("adam"))
    assert set(found.took) == {"fastnn"} and found.failed == ["the copy bandwidth: MemoryError: no room at all"]
    monkeypatch.setattr(contender, "matmul", broken)
    found = local.measure(small("matmul"))
    assert found.left_out["fastnn"] == "MemoryError: no room at all" and not found.took
    assert found.failed == [f"{column}: MemoryError: no room at all" for column in ("fastnn", "fastnn captured")]
    monkeypatch.setattr(contender, "matmul", lambda *args: peers("job").Job(broken))
    assert local.measure(small("matmul")).left_out["fastnn"] == "MemoryError: no room at all"
    monkeypatch.setattr(contender, "free", broken)
    local.measure(small("head"))
    assert not local._workers  # the next row starts anew
    monkeypatch.setattr(contender, "__init__", broken)
    assert local.measure(small("head")).left_out["fastnn captured"] == "MemoryError: no room at all"


def test_a_process_that_ends_or_fails_says_so() -> None:
    worker = peers("worker")
    process = worker.Worker("fastnn", "cpu", 1)
    try:
        process("load")
        with pytest.raises(worker.WorkerError, match=r"AttributeError: .*nothing"):
            process("make", "a key", "nothing", ())
        process.process.kill()
        with pytest.raises(worker.WorkerError, match="fastnn, 1 thread: the process ended during load"):
            process("load")
    finally:
        process.close()


def test_the_memory_of_a_head_is_measured() -> None:
    args, more = (16, 60000, 300), (16, 60000, 600)  # half of the logits are more than malloc keeps for later calls
    r = dataclasses.replace(row("LM head"), args=args, memory=(args, more))
    with peers("measure").Bench("cpu", [], 0.002) as bench:
        measured = bench.measure(r)
    assert not measured.failed
    if all(measured.memory.values()):  # logits of 300 rows take 69 MiB
        most = 100 if fastnn.get_backend() == "cpp" else 400  # NumPy's expressions have results between
        assert 30 < measured.memory[args]["fastnn"] < measured.memory[more]["fastnn"] < most
        assert "300 rows: fastnn " in peers("page").text(measured)
    assert "<= 0.5x the memory of PyTorch at 300 rows" in peers("page").target(measured)[0]


def test_bfloat16_is_measured_beside_float32() -> None:
    with peers("measure").Bench("cpu", [], 0.002) as bench:
        measured = bench.measure(dataclasses.replace(row("bfloat16, 784"), args=SMALL["train"]))
        if fastnn.info().precisions["bfloat16"]:
            assert set(measured.seconds) == {"fastnn float32"} and "is not available here" in measured.failed[0]
        else:
            processes = {worker.process.pid for worker in bench._workers.values()}
            assert set(measured.seconds) == {"fastnn", "fastnn float32"} and len(processes) == 2


def test_steps_that_miss_their_targets_are_profiled() -> None:
    rows = [row("training step in fit, 8-64"), dataclasses.replace(row("training step in fit, GPT d128"), args=("small GPT", 3))]
    slow = [measured(r, fastnn=1.0, PyTorch=1.0) for r in rows]
    found = peers("why").profiles(slow)
    assert list(found) == ["8-64-64-4, batch 64", "small GPT, batch 3"]
    assert "dense_forward" in found["8-64-64-4, batch 64"] and "attention_forward" in found["small GPT, batch 3"]


def test_a_run_becomes_a_page() -> None:
    names = ("training step in fit, 8-64", "predict_on_batch, 400-15-15-15-10, batch 1", "loop by hand, eager")
    page, process = peers("page"), peers("process")
    with peers("measure").Bench("cpu", ["NumPy"], 0.002) as bench:
        found = [bench.measure(row(name)) for name in names]
    assert [set(m.seconds) for m in found] == [{"fastnn", "NumPy"}, {"fastnn", "NumPy"}, {"fastnn"}]
    assert all(0 < s < 1 for m in found for s in m.seconds.values())
    text = page.page(found, run_of("cpu"), page.costs(process.costs([], 1), 0))
    for m in found:
        assert f"| {m.row.name} | {page.time(m.seconds['fastnn'])} |" in text
    assert "a processor" in text and "Targets met:" in text and "nan" not in text
    assert "| fastnn |" in text.partition("## Processes")[2]


def test_numbers_of_a_gpu_become_a_page_and_json() -> None:
    page, run = peers("page"), run_of("cuda")
    m = measured(row("training step, 400", "cuda"), fastnn=1e-5, fastnn_captured=2e-5, PyTorch=1e-4, PyTorch_CUDA_graph=3e-5)
    m.left_out["JAX"], m.wrong["JAX scan"] = "RuntimeError: not here", "wrong: an error of 1"
    text = page.page([m], run)
    cells = "| 10.0 us | 20.0 us | 100 us | 30.0 us | wrong | 3.00x PyTorch CUDA graph |"
    assert f"| {m.row.name} {cells}" in text and text.count("| met |") == 1
    for part in ("- GPU: a processor", "fastnn 1, PyTorch 2", "`a command`", "2 to 2 rounds", "Targets met: 1 of 1."):
        assert part in text
    assert f"- {m.row.name}: JAX: RuntimeError: not here" in text and "JAX scan: wrong: an error of 1" in text
    assert "JAX: RuntimeError: not here" in page.text(m)
    written = json.loads(json.dumps(page.as_json([m], run)))["rows"][0]
    assert written["seconds"]["fastnn"] == 1e-5 and written["blocks"]["PyTorch"] == [1e-4, 1e-4] and written["outcome"] == "met"


@pytest.mark.parametrize("script", ["bench_peers.py", "bench_gpu.py"])
def test_the_command_line(script: str) -> None:
    for arguments, message in ((["--only", "nonsense"], "no row has that"), (["--seconds", "0"], "--seconds must be")):
        command = [sys.executable, str(BENCHES / script), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 2 and message in done.stderr


def test_the_command_line_of_the_script_for_a_gpu() -> None:
    done = subprocess.run(["bash", str(BENCHES / "gpu.sh"), "a", "b"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "usage:" in done.stderr
