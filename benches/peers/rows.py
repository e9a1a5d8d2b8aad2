"""The table's rows: what is done, by whom, and what is aimed at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import nets

Way = tuple[str, str]
"""A module of this package and its function."""

OURS = "fastnn float32"
"""fastnn itself as a peer, in rows of bfloat16."""

MODULES = {
    "NumPy": "numpy",
    "PyTorch": "torch",
    "JAX": "jax",
    "ONNX Runtime": "onnxruntime",
    "scikit-learn": "sklearn",
}


@dataclass(frozen=True)
class Target:
    """What is aimed at: any of a time, a share of what the machine can do, factors over peers, and shares of their memory.

    Args:
        seconds: the longest time.
        share: the least share of the limit.
        times: how many times as fast as a peer.
        memory: the largest share of a peer's memory.
    """

    seconds: float | None = None
    share: float | None = None
    times: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A piece of work.

    Args:
        name: what the table calls it.
        kind: "matmul", "predict", "train", "head" or "digits": how results are checked.
        ours: fastnn's function.
        args: the arguments of the functions of all contenders.
        peers: their functions, by the name of the column.
        threads: the number of threads, where the row is about one.
        limit: fastnn's function that measures what the machine can do, in units of `amount` a second and core.
        unit: of that limit, and amount: how much of it a call takes.
        isa: the instruction set, where it is not the best one.
        memory: arguments with which the memory of calls is measured too.
        dtype: "bfloat16" where factors of products are rounded to it; results then differ by more.
    """

    name: str
    kind: str
    ours: str
    args: tuple[Any, ...]
    peers: dict[str, Way]
    target: Target | None = None
    threads: int | None = None
    limit: str = ""
    unit: str = ""
    amount: float = 0.0
    isa: str = ""
    memory: tuple[tuple[Any, ...], ...] = ()
    dtype: str = "float32"

    @property
    def limit_name(self) -> str:
        """The limit in words."""
        return {"peak": "the multiply-add peak", "reading": "the read bandwidth"}[self.limit]


def _ways(function: str, *names: str, **more: Way) -> dict[str, Way]:
    return {name: (MODULES[name], function) for name in names} | {k.replace("_", " "): way for k, way in more.items()}


def _product(m: int, k: int, n: int, threads: int, target: Target | None, isa: str = "") -> Row:
    shape = f"{m}^3" if m == k == n else f"{m}x{k}x{n}"
    peers = {} if isa else _ways("matmul", "NumPy", "PyTorch", "JAX")
    name = f"sgemm {shape}, {threads} thread{'s' if threads > 1 else ''}{', AVX2' if isa else ''}"
    return Row(name, "matmul", "matmul", (m, k, n), peers, target, threads, "peak", "GFLOP/s", 2e-9 * m * k * n, isa)


def _training(sizes: tuple[int, ...], batch: int, target: Target) -> Row:
    peers = _ways("fit", *(p for p in MODULES if p != "ONNX Runtime"), JAX_scan=("jax", "scan"))
    return Row(f"training step in fit, {nets.title(sizes)}, batch {batch}", "train", "fit", (sizes, batch), peers, target)


def _mixed(sizes: tuple[int, ...], batch: int, times: float) -> Row:
    """Training with products of bfloat16, beside our own with float32."""
    peers = {OURS: ("fastnn", "fit"), **_ways("fit_bfloat16", "PyTorch")}
    name = f"training step in fit, bfloat16, {nets.title(sizes)}, batch {batch}"
    target = Target(times={OURS: times})
    return Row(name, "train", "fit_bfloat16", (sizes, batch), peers, target, dtype="bfloat16")


def _inference(sizes: tuple[int, ...], batch: int, target: Target, freeze: bool) -> list[Row]:
    """Through predict_on_batch and, where models have it, frozen; the target is the faster one's."""
    peers = _ways("predict", *MODULES, ONNX_Runtime_bound=("onnxruntime", "bound"))
    work, args = f"{nets.title(sizes)}, batch {batch}", (sizes, batch)
    frozen = [Row(f"inference, frozen, {work}", "predict", "frozen", args, peers, target)] if freeze else []
    return [Row(f"inference, predict_on_batch, {work}", "predict", "predict", args, peers, None if freeze else target), *frozen]


def _loop(how: str, ours: str, times: float) -> Row:
    args, target = (nets.SEED, 32), Target(times={"PyTorch": times})
    return Row(f"loop by hand, {how}, {nets.title(nets.SEED)}, batch 32", "train", ours, args, _ways("loop", "PyTorch"), target)


def _head(features: int, classes: int, rows: int, more: int) -> Row:
    """A language model's last layer and its loss; the memory for more rows too."""
    peers = _ways("head", "PyTorch", "JAX", PyTorch_chunked=("torch", "chunked_head"))
    target = Target(times={"JAX": 1.3, "PyTorch": 2.0, "PyTorch chunked": 2.0}, memory={"PyTorch": 0.5})
    name = f"LM head {features} -> {classes} + cross-entropy, {rows} rows, forward and backward"
    args = (features, classes, rows)
    return Row(name, "head", "head", args, peers, target, memory=(args, (features, classes, more)))


def rows(freeze: bool, bfloat16: bool) -> list[Row]:
    """All rows; freeze tells whether models can be frozen, bfloat16 whether this CPU multiplies it."""
    good, fair = Target(share=0.95), Target(share=0.92)
    seed = nets.title(nets.SEED)
    return [
        _product(64, 64, 64, 1, fair),
        _product(128, 784, 512, 1, fair),
        _product(512, 512, 512, 1, good),
        _product(1024, 1024, 1024, 1, good),
        _product(2048, 2048, 2048, 1, fair),
        _product(128, 784, 512, 2, None),
        _product(1024, 1024, 1024, 2, Target(share=0.92, times={"JAX": 1.0})),
        _product(512, 512, 512, 1, Target(share=0.93), "avx2"),
        Row(
            *("gemv 1x1024x1024, 1 thread", "matmul", "matmul", (1, 1024, 1024)),
            *(_ways("matmul", "NumPy", "PyTorch", "JAX"), Target(share=0.85), 1, "reading", "GB/s", 4e-9 * 1024 * 1024),
        ),
        _training(nets.SEED, 32, Target(8e-6, times={"JAX": 10, "PyTorch": 20})),
        _training(nets.SMALL, 64, Target(12e-6, times={"JAX": 5})),
        _training(nets.MEDIUM, 128, Target(times={"JAX": 1.4, "PyTorch": 2.3})),
        _training(nets.WIDE, 256, Target(times={"JAX": 1.3, "PyTorch": 2.1})),
        *([_mixed(nets.MEDIUM, 128, 1.3), _mixed(nets.WIDE, 256, 1.5)] if bfloat16 else []),
        Row(
            *(f"train_on_batch, {seed}, batch 32", "train", "on_batch", (nets.SEED, 32)),
            *(_ways("on_batch", *(p for p in MODULES if p != "ONNX Runtime")), Target(15e-6)),
        ),
        _loop("eager", "loop", 3.0),
        _loop("captured", "captured", 10.0),
        *_inference(nets.SEED, 1, Target(1e-6, times={"ONNX Runtime": 4}), freeze),
        *_inference(nets.SEED, 32, Target(3e-6, times={"ONNX Runtime": 2}), freeze),
        *_inference(nets.SMALL, 1, Target(0.8e-6, times={"ONNX Runtime": 5}), freeze),
        *_inference(nets.MEDIUM, 1, Target(times={"ONNX Runtime": 1.0}), freeze),
        *_inference(nets.MEDIUM, 128, Target(times={"ONNX Runtime": 1.0}), freeze),
        *_inference(nets.WIDE, 256, Target(times={"JAX": 1.1}), freeze),
        _head(768, 50257, 256, 2048),
        Row(
            *(f"30 epochs of the digits, {seed}, batch 32", "digits", "digits", ()),
            *(_ways("digits", "PyTorch", "scikit-learn"), Target(0.045, times={"scikit-learn": 15, "PyTorch": 20})),
        ),
    ]
