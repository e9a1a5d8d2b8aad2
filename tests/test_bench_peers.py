"""The comparison with other libraries: wrong results are refused, and the table says what was measured."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn

BENCHES = Path(__file__).parents[1] / "benches"


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHES))


def peers(module: str) -> Any:
    return importlib.import_module(f"peers.{module}")


def row(name: str) -> Any:
    return next(r for r in peers("rows").rows(freeze=False, bfloat16=True) if name in r.name)


class Answer:
    """A worker that knows one result."""

    name = "contender"

    def __init__(self, result: Any) -> None:
        self.result = result

    def __call__(self, command: str, *args: Any) -> Any:
        return self.result


def test_rows_have_contenders() -> None:
    rows = peers("rows").rows(freeze=True, bfloat16=True)
    assert len({r.name for r in rows}) == len(rows)
    for r in rows:
        for module, function in [("fastnn", r.ours), *r.peers.values(), *([("fastnn", r.limit)] if r.limit else [])]:
            assert callable(getattr(peers(module), function)), f"{r.name}: {module}.{function}"
        assert r.target is None or {*r.target.times, *r.target.memory} <= set(r.peers)
    assert [r for r in rows if r.dtype == "float32"] == peers("rows").rows(freeze=True, bfloat16=False)


def test_wrong_results_are_refused() -> None:
    check, expected = peers("measure").check, np.array([[1.0, -2.0]])
    check("work", "predict", "fastnn", expected * (1 + 1e-7), expected)
    check("work", "predict", "scikit-learn", np.exp(expected) / np.exp(expected).sum(), expected)
    for wrong in (expected * 1.001, expected * np.nan, expected[0]):
        with pytest.raises(ValueError, match="work"):
            check("work", "predict", "fastnn", wrong, expected)
    check("work", "train", "PyTorch", expected * 1.005, expected, "bfloat16")
    for dtype, factor in (("float32", 1.005), ("bfloat16", 1.05)):
        with pytest.raises(ValueError, match="is wrong"):
            check("work", "train", "PyTorch", expected * factor, expected, dtype)
    peers("measure").check_accuracies({"fastnn": 0.87, "PyTorch": 0.88})
    with pytest.raises(ValueError, match="test accuracy"):
        peers("measure").check_accuracies({"fastnn": 0.80, "PyTorch": 0.88})


def test_a_contender_that_learns_otherwise_is_refused() -> None:
    with peers("measure").Bench([], 0.001) as bench:
        worker = bench.worker("fastnn", 1)
        for name in ("training step in fit, 8-64", "train_on_batch", "loop by hand, captured"):
            r = row(name)
            good = peers("numpy").reference("train", r.args)
            peers("measure").check(name, "train", "fastnn", worker("result", r.ours, (*r.args, 1e-3)), np.asarray(good))
            with pytest.raises(ValueError, match="is wrong"):
                peers("measure").check(name, "train", "fastnn", worker("result", r.ours, (*r.args, 3e-3)), np.asarray(good))
        with pytest.raises(RuntimeError, match=r"fastnn, 1 thread: result.* failed: AttributeError"):
            worker("result", "nothing", ())


def test_a_head_is_checked_part_by_part_and_its_memory_measured() -> None:
    args = (16, 5000, 300)
    r = dataclasses.replace(row("LM head"), args=args, memory=(args, (16, 5000, 600)))
    expected = peers("numpy").reference("head", args)
    assert [part.shape for part in expected] == [(), (300, 16), (16,), (5000,), (16, 64)]
    with peers("measure").Bench([], 0.002) as bench:
        measured = bench.measure(r)
        for i in range(len(expected)):
            wrong = [part * (1.001 if i == j else 1) for j, part in enumerate(expected)]
            with pytest.raises(ValueError, match=r"LM head.* is wrong"):
                bench._check(r, [("fastnn", 1, Answer(wrong), "head")])
    if all(measured.memory.values()):  # logits of 300 rows take 5.7 MiB
        most = 40 if fastnn.get_backend() == "cpp" else 120  # NumPy's expressions have results between
        assert 4 < measured.memory[args]["fastnn"] < measured.memory[(16, 5000, 600)]["fastnn"] < most
        assert "300 rows: fastnn " in peers("page").text(measured)
    assert "<= 0.5x the memory of PyTorch at 300 rows" in peers("page").target(measured)[0]


def test_bfloat16_is_measured_beside_float32() -> None:
    r = row("bfloat16, 784")
    with peers("measure").Bench([], 0.002) as bench:
        if lacking := fastnn.info().precisions["bfloat16"]:
            with pytest.raises(RuntimeError, match="is not available here"):
                bench.measure(r)
            assert "bfloat16" in lacking
        else:
            measured = bench.measure(r)
            assert set(measured.seconds) == {"fastnn", "fastnn float32"}
            processes = [worker.process.pid for key, worker in bench._workers.items() if key[0] == "fastnn"]
            assert len(set(processes)) == len(processes) == 2
            losses = peers("numpy").reference("train", r.args)
            with pytest.raises(ValueError, match="is wrong"):
                bench._check(r, [("fastnn", 1, Answer(np.multiply(losses, 1.02)), "fit_bfloat16")])
            with pytest.raises(ValueError, match="is wrong"):  # of float32 more is wanted
                bench._check(r, [("fastnn float32", 1, Answer(np.multiply(losses, 1.002)), "fit")])


def test_bfloat16_on_the_page() -> None:
    page = peers("page")
    measured = peers("measure").Measured(row("bfloat16, 784"), 5, {"fastnn": 1e-3, "fastnn float32": 1.2e-3, "PyTorch": 2e-3})
    assert page.target(measured) == (">= 1.3x fastnn float32", "missed: 1.20x fastnn float32, 7.69 % short")
    assert measured.best == "PyTorch"
    measured.seconds["fastnn float32"] = 1.5e-3
    text = page.page([measured], {}, page.Machine("a processor", 2, "avx512", 0.0, "a system"), ["fastnn"], "command", 1.0)
    head, line = text.partition("## Networks, products of bfloat16")[2].split("\n\n")[2].splitlines()[::2]
    assert head.startswith("| work | fastnn | fastnn float32 | PyTorch |")
    assert line.startswith(f"| {measured.row.name} | 1.00 ms | 1.50 ms | 2.00 ms | 2.00x PyTorch |") and line.endswith("| met |")


def test_targets_in_words() -> None:
    page = peers("page")
    measured = peers("measure").Measured(row("training step in fit, 400"), 5)
    measured.seconds.update({"fastnn": 8e-6, "JAX": 100e-6, "PyTorch": 200e-6})
    assert page.target(measured) == ("<= 8.00 us; >= 10x JAX; >= 20x PyTorch", "met")
    measured.seconds["fastnn"] = 20e-6
    assert page.target(measured)[1] == "missed: 20.0 us, 150 % over; 5.00x JAX, 50.0 % short; 10.0x PyTorch, 50.0 % short"
    del measured.seconds["JAX"]
    assert "JAX not measured" in page.target(measured)[1]
    product = peers("measure").Measured(
        row("sgemm 1024^3, 2 threads"), 5, {"fastnn": 2.0 * 1.024**3 / 360, "JAX": 1.0}, limit=200.0
    )
    assert product.share == pytest.approx(0.9)
    assert page.target(product)[1] == "missed: 90.0 %, 2.0 points short"


def test_a_run_becomes_a_page() -> None:
    names = ("training step in fit, 8-64", "predict_on_batch, 400-15-15-15-10, batch 1", "loop by hand, eager")
    page, process = peers("page"), peers("process")
    with peers("measure").Bench(["NumPy"], 0.002) as bench:
        measured = [bench.measure(row(name)) for name in names]
    assert [set(m.seconds) for m in measured] == [{"fastnn", "NumPy"}, {"fastnn", "NumPy"}, {"fastnn"}]
    assert all(0 < s < 1 for m in measured for s in m.seconds.values())
    costs = process.costs(["NumPy"], 1)
    machine = page.Machine("a processor", 2, "avx512", 0.0, "a system")
    text = page.page(measured, costs, machine, ["fastnn", "NumPy"], "python benches/bench_peers.py --write", 0.002)
    for m in measured:
        assert f"| {m.row.name} | {page.time(m.ours)} |" in text
    assert "a processor, 2 cores, avx512" in text
    assert "| fastnn |" in text.partition("## Processes")[2]
    assert "Targets met:" in text
    assert "nan" not in text
