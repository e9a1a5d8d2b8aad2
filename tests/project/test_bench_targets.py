"""The targets of the comparison with other libraries, in words and on the pages."""

import dataclasses

import pytest
from bench_rows import BENCHES, measured, peers, row, run_of


@pytest.fixture(autouse=True)
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHES))


def test_targets_in_words() -> None:
    target = peers("page").target
    found = measured(row("training step in fit, 400"), fastnn=8e-6, JAX_scan=24e-6, PyTorch=200e-6)
    assert target(found) == (">= 20x PyTorch; >= 3x JAX scan", "met")
    found = measured(row("training step in fit, 400"), fastnn=20e-6, JAX_scan=30e-6, PyTorch=200e-6)
    assert target(found)[1] == "missed: 10.0x PyTorch, 50.0 % short; 1.50x JAX scan, 50.0 % short"
    del found.took["JAX scan"]
    assert target(found)[1] == "missed: 10.0x PyTorch, 50.0 % short; not measured: JAX scan"
    assert target(measured(row("training step in fit, 400"), JAX=1e-4))[1] == "not measured: fastnn"
    assert target(measured(row("train_on_batch"), fastnn=30e-6)) == ("<= 15.0 us", "missed: 30.0 us, 100 % over")
    found = measured(row("sgemm 512^3, 2 threads"), fastnn=2.0 * 0.512**3 / 360, JAX=2.0 * 0.512**3 / 400)
    assert target(found)[1] == "missed: 0.90x JAX, 10.0 % short; not measured: the multiply-add peak"
    found.limit = 200.0
    assert found.share == pytest.approx(0.9)
    assert target(found)[1] == "missed: 90.0 %, 5.0 points short; 0.90x JAX, 10.0 % short"
    found = measured(
        row("frozen, 784-512-512-10, batch 8"), fastnn=1e-3, JAX=0.5e-3, ONNX_Runtime=2e-3, ONNX_Runtime_bound=0.9e-3
    )
    assert target(found) == (">= 1x ONNX Runtime's best", "missed: 0.90x ONNX Runtime bound, 10.0 % short")
    assert (found.ours, found.best) == ("fastnn", "JAX")


def test_targets_with_amx() -> None:
    found = measured(row("bfloat16, 1024"), fastnn=1e-3, fastnn_float32=1.2e-3, PyTorch=2e-3)
    assert peers("page").target(found) == (">= 1.1x PyTorch; with AMX >= 2.5x fastnn float32", "met")
    found.amx = True
    assert peers("page").target(found)[1] == "missed: 1.20x fastnn float32, 52.0 % short"
    assert (found.ours, found.best) == ("fastnn", "PyTorch")


def test_targets_of_latencies() -> None:
    found = measured(row("latency, frozen, 8-64"), fastnn=1e-6, ONNX_Runtime=3e-6, ONNX_Runtime_bound=2e-6)
    target = peers("page").target
    assert target(found)[1] == "not measured: ONNX Runtime's percentiles"
    found.percentiles = {
        "fastnn": [1e-6, 2e-6, 9e-6],
        "ONNX Runtime": [3e-6, 4e-6, 9e-6],
        "ONNX Runtime bound": [2e-6, 5e-6, 2e-5],
    }
    assert target(found) == (">= 2x ONNX Runtime's best at p50, p99, p99.9", "missed: 1.00x at p99.9")
    assert "fastnn 1.00 / 2.00 / 9.00 us" in peers("page").text(found)
    found.percentiles["ONNX Runtime"] = [1.5e-6, 1e-5, 1e-4]
    assert target(found)[1] == "missed: 1.50x at p50"


def test_targets_on_a_gpu_in_words() -> None:
    target, r = peers("page").target, row("training step, 400", "cuda")
    assert target(measured(r, fastnn=1e-5, PyTorch=1e-4, PyTorch_CUDA_graph=1e-5))[1] == "met"
    aims, outcome = target(measured(r, fastnn=5e-5, fastnn_captured=1e-5, PyTorch=1e-4))
    assert aims == ">= 5x PyTorch; >= 1x PyTorch CUDA graph"
    assert outcome == "missed: 2.00x PyTorch, 60.0 % short; not measured: PyTorch CUDA graph"
    close = row("training step, 4096", "cuda")
    found = measured(close, fastnn=2e-3, fastnn_captured=1e-3, PyTorch=3e-3, PyTorch_compiled=0.9e-3)
    assert target(found) == (">= 0.95x PyTorch's best", "missed: 0.90x PyTorch compiled, 5.26 % short")
    assert target(measured(close, fastnn=1e-3))[1] == "not measured: PyTorch's best"
    adam = measured(dataclasses.replace(row("Adam", "cuda"), amount=8e-4), fastnn=1e-3)
    assert target(adam)[1] == "not measured: the copy bandwidth"
    adam.limit = 1.0
    assert target(adam)[1] == "missed: 80.0 %, 5.0 points short"
    adam.limit = 0.9
    assert target(adam)[1] == "met"


def test_bfloat16_on_the_page() -> None:
    found = measured(row("bfloat16, 784"), fastnn=1e-3, fastnn_float32=1.5e-3, PyTorch=2e-3)
    text = peers("page").page([found], run_of("cpu"))
    head, line = text.partition("## Networks, products of bfloat16")[2].split("\n\n")[2].splitlines()[::2]
    assert head.startswith("| work | fastnn | fastnn float32 | PyTorch |")
    assert line.startswith(f"| {found.row.name} | 1.00 ms | 1.50 ms | 2.00 ms | 2.00x PyTorch |") and line.endswith("| met |")
