"""docs/performance.md is written from the stored figures of all machines. Names of CPUs, instruction sets, percentiles."""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

BENCHES = Path(__file__).parents[2] / "benches"
ROWS = ("sgemm 512^3, 1 thread", "training step in fit, 8-64-64-4, batch 64", "latency, frozen, 8-64-64-4, batch 1")


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHES))


def peers(module: str) -> Any:
    return importlib.import_module(f"peers.{module}")


def rows(*names: str) -> list[Any]:
    every = {row.name: row for row in peers("rows").rows("cpu")}
    return [every[name] for name in names]


def measured(row: Any, limit: float = 0.0, **seconds: float) -> Any:
    took = {name.replace("_", " "): [peers("job").Took(s, s)] * 5 for name, s in seconds.items()}
    return peers("measure").Measured(row, took, limit=limit)


def machine(cpu: str, *found: Any, **facts: Any) -> Any:
    made = peers("results").Machine(cpu, **facts)
    made.add(found)
    return made


def table(text: str, section: str) -> list[list[str]]:
    lines = text.partition(f"## {section}\n")[2].partition("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


@pytest.fixture
def two() -> list[Any]:
    """Two machines: one with three rows, and an older one with one row."""
    product, step, latency = rows(*ROWS)
    calls = measured(latency, fastnn=1e-6, ONNX_Runtime=4e-6)
    calls.percentiles = {"fastnn": [1e-6, 2e-6, 4e-6], "ONNX Runtime": [4e-6, 4e-6, 12e-6]}
    flops = 2e-9 * 512**3
    new = machine(
        "AMD EPYC (Zen 4)",
        measured(product, 100.0, fastnn=flops / 97, NumPy=flops / 50, JAX=flops / 100),
        measured(step, fastnn=10e-6, JAX_scan=20e-6, PyTorch=200e-6),
        calls,
        date="2026-11-29",
        command="a command",
        contenders=["fastnn 1", "NumPy 2"],
    )
    return [new, machine("Intel", measured(step, fastnn=30e-6, JAX_scan=27e-6), title="Intel, earlier", note="by hand")]


def test_a_table_has_a_column_for_each_machine(two: list[Any]) -> None:
    text = peers("report").report(two, peers("rows").rows("cpu"))
    heads = ["AMD EPYC (Zen 4)", "Intel, earlier"]
    assert table(text, "Matrix products, float32") == [
        ["work", "target", heads[0]],
        ["---"] * 3,
        [
            "sgemm 512^3, 1 thread",
            ">= 95 % of the multiply-add peak; >= 1x the best peer",
            "97.0 GFLOP/s (97.0 %), 0.97x JAX; missed: 0.97x JAX, 3.00 % short",
        ],
    ]
    head, _, line = table(text, "Networks, float32")
    assert head == ["work", "target", *heads]
    assert line[2:] == [
        "10.0 us, 2.00x JAX scan; met",
        "30.0 us, 0.90x JAX scan; missed: 0.90x JAX scan, 50.0 % short; not measured: PyTorch",
    ]
    assert table(text, "Latency")[2][2] == "1.00 / 2.00 / 4.00 us, 4.00x / 2.00x / 3.00x the best peer; met"
    assert "by `a command`" in text and "date and command unknown" in text and "by hand" in text
    assert "## Why rows miss their targets on AMD EPYC (Zen 4)\n\n- sgemm 512^3, 1 thread. Not analysed yet." in text
    assert "nan" not in text


def test_the_summary_counts_rows_and_names_those_behind(two: list[Any]) -> None:
    report, every = peers("report"), peers("rows").rows("cpu")
    assert report.summary(two[0], every) == (
        "On AMD EPYC (Zen 4): ahead of the best peer in 2 of 3 rows; behind in: sgemm 512^3, 1 thread (0.97x JAX). "
        "Targets met: 2 of 3."
    )
    product = rows(ROWS[0])[0]
    close = machine("A", measured(product, fastnn=1.0, JAX=0.999))
    assert "(0.9990x JAX)" in report.summary(close, every) and report.summary(close, every).endswith("met: 0 of 1.")
    ahead = machine("A", measured(product, fastnn=1.0, JAX=1.0))
    assert report.summary(ahead, every) == "On A: ahead of the best peer in 1 of 1 rows. Targets met: 0 of 0."
    text = f"before\n{report.MARKS[0]}- old\n{report.MARKS[1]}after\n"
    new = report.readme(text, two, every)
    assert new.startswith(f"before\n{report.MARKS[0]}- On AMD EPYC") and new.endswith(f"\n{report.MARKS[1]}after\n")
    assert "old" not in new and report.readme(new, two, every) == new


def test_a_machine_is_stored_and_read(two: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = peers("results")
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    assert [one.save().name for one in two] == ["amd-epyc-zen-4.json", "intel-earlier.json"]
    assert results.load() == two
    again = machine("AMD EPYC (Zen 4)", measured(rows(ROWS[1])[0], fastnn=9e-6), date="2026-11-30")
    again.save()  # the file of the other machine remains
    assert results.load() == [again, two[1]]
    head = next(row for row in peers("rows").rows("cpu") if row.kind == "head")
    found = measured(head, fastnn=1.0, PyTorch=2.0)
    found.memory, found.wrong = {head.memory[0]: {"fastnn": 1.0, "PyTorch": 4.0}}, {"JAX": "wrong: an error of 1"}
    one = machine("B", found)
    one = results.Machine(**json.loads(json.dumps(dataclasses.asdict(one))))
    stored = one.measured(head)
    assert stored.memory == found.memory and stored.seconds == found.seconds
    text = peers("report").report([one], [head])
    assert "- B, 256 rows: fastnn 1.00 MiB, PyTorch 4.00 MiB" in text and "JAX: wrong: an error of 1" in text
    assert one.measured(rows(ROWS[0])[0]) is None


def test_a_run_stores_this_machine_beside_the_others(two: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, report, command = peers("results"), peers("report"), peers("command")
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    report.README.write_text("".join(report.MARKS))
    two[1].save()
    hopeless = dataclasses.replace(rows(ROWS[1])[0], target=peers("row").Target(1e-9))
    monkeypatch.setattr(command, "rows", lambda device, bfloat16=True: [hopeless])
    monkeypatch.setattr(command.process, "costs", lambda peers, rounds: {"fastnn": peers_cost()})
    monkeypatch.setattr(peers("measure"), "installed", lambda device: [])
    monkeypatch.setattr(sys, "argv", ["bench", "--write", "--seconds", "0.002"])
    assert command.main("cpu", "bench", None) == 0
    here = next(one for one in results.load() if one.cpu != "Intel")
    assert here.cpu == peers("cpu").name(peers("cpu").info()) and here.command == "python bench --write --seconds 0.002"
    assert set(here.rows) == {hopeless.name} and set(here.rows[hopeless.name]["seconds"]) == {"fastnn"}
    text = report.PAGE.read_text()
    assert f"| work | target | {here.heading} | Intel, earlier |" in text and "missed: " in text
    assert "A training step of 8-64-64-4, batch 64, by `model.profile(x, y)`" in text and "| fastnn | 1.00 s |" in text
    assert report.README.read_text().count("- On ") == 2


def peers_cost() -> Any:
    return peers("process").Cost(importing=1.0, memory=2.0, step=3.0, prediction=4.0, size=5.0)


def test_the_pages_are_those_of_the_stored_figures() -> None:
    """README.md and docs/performance.md show what benches/results has; bench_peers.py --render writes both."""
    report, every = peers("report"), peers("rows").rows("cpu")
    machines = peers("results").load()
    names = {row.name for row in every}
    for one in machines:
        assert one.path.exists() and set(one.rows) <= names
    assert report.PAGE.read_text() == report.report(machines, every)
    readme = report.README.read_text()
    assert all(mark in readme for mark in report.MARKS) and readme == report.readme(readme, machines, every)


EPYC = {"vendor_id": "AuthenticAMD", "model name": "AMD EPYC"}
XEON = {"vendor_id": "GenuineIntel", "cpu family": "6", "model name": "Intel(R) Xeon(R) Processor @ 2.10GHz"}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (EPYC | {"cpu family": "25", "model": "1"}, "AMD EPYC (Zen 3)"),
        (EPYC | {"cpu family": "25", "model": "17"}, "AMD EPYC (Zen 4)"),
        (EPYC | {"cpu family": "25", "model": "160"}, "AMD EPYC (Zen 4)"),
        (EPYC | {"cpu family": "26", "model": "2"}, "AMD EPYC (Zen 5)"),
        (EPYC | {"cpu family": "23", "model": "49"}, "AMD EPYC (Zen 2)"),
        (EPYC | {"cpu family": "99", "model": "7"}, "AMD EPYC (family 99 model 7)"),
        (
            EPYC | {"cpu family": "25", "model": "97", "model name": "AMD Ryzen 9 7950X 16-Core Processor"},
            "AMD Ryzen 9 7950X (Zen 4)",
        ),
        (XEON | {"model": "207"}, "Intel Xeon (Emerald Rapids)"),
        (XEON | {"model": "85", "stepping": "4"}, "Intel Xeon (Skylake)"),
        (XEON | {"model": "85", "stepping": "7"}, "Intel Xeon (Cascade Lake)"),
        (XEON | {"model": "3", "model name": "Intel(R) Xeon(R) CPU 8000X @ 2GHz"}, "Intel Xeon 8000X (family 6 model 3)"),
        ({"CPU implementer": "0x41", "CPU part": "0xd40"}, "Arm Neoverse V1"),
    ],
)
def test_names_of_cpus(fields: dict[str, str], name: str) -> None:
    assert peers("cpu").name(fields) == name


def test_an_unknown_system_has_a_name_and_a_file_name(tmp_path: Path) -> None:
    cpu = peers("cpu")
    assert cpu.info(tmp_path / "absent") == {} and cpu.name({}) and cpu.numbers({}) == ""
    assert cpu.slug("AMD EPYC (Zen 4)") == "amd-epyc-zen-4"
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: A (R) CPU\nflags\t\t: fpu\n\nmodel name\t: B\n")
    assert cpu.info(path) == {"model name": "A (R) CPU", "flags": "fpu"}


def test_a_worker_limits_its_library_to_an_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, found = peers("worker"), {}

    class Process:
        def __init__(self, **settings: Any) -> None: ...

        def start(self) -> None:
            found.update(os.environ)

    class Closed:
        def close(self) -> None: ...

    context = types.SimpleNamespace(Pipe=lambda: (Closed(), Closed()), Process=Process)
    monkeypatch.setattr(worker, "get_context", lambda kind: context)
    monkeypatch.setenv("MKL_CBWR", "given")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "given")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    worker.Worker("numpy", "cpu", 1, "avx2")
    assert worker.ISAS["avx2"].items() <= found.items() and "OPENBLAS_L2_SIZE" not in found
    assert os.environ["MKL_CBWR"] == os.environ["OPENBLAS_L2_SIZE"] == "given" and "OPENBLAS_CORETYPE" not in os.environ


def test_the_command_line_renders_the_page_without_measuring() -> None:
    command = [sys.executable, str(BENCHES / "bench_peers.py"), "--write", "--only", "sgemm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2 and "--write stores all rows" in done.stderr


def test_percentiles_are_those_of_the_timed_calls() -> None:
    job = peers("job")
    ordered = list(range(1, 1001))
    assert [job.percentile(ordered, share) for share in job.PERCENTILES] == [500, 990, 999]
    assert job.percentile([7], 0.999) == 7 and job.percentile([1, 2, 3], 0.5) == 2
    calls = job.Calls(job.Job(lambda: None), 30)
    for _ in range(3):
        calls.warm(10)
        assert 0 < calls.block(job.host_clock(), 10).wall < 1
    assert len(calls.nanoseconds) == 30
    assert min(calls.percentiles()) > 0 and not calls.nanoseconds
    calls.nanoseconds.extend(range(1000, 101000))
    assert calls.percentiles() == pytest.approx([50.999e-6, 99.999e-6, 100.899e-6])


def test_the_large_net_repeats_rows() -> None:
    nets = peers("nets")
    x, y = nets.data(nets.LARGE, 1100)[0]
    assert x.shape == (1100, 4096) and y.shape == (1100,)
    assert (x[:512] == x[512:1024]).all() and (y[:76] == y[1024:]).all()
