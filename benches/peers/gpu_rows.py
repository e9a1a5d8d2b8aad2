"""Defines the rows of a GPU."""

from __future__ import annotations

from typing import Any

from . import nets
from .row import Row, Target, Way

SECTIONS = {
    "matmul": "Matrix products",
    "train": "Training steps",
    "predict": "Inference",
    "head": "A language model's last layer",
    "adam": "Adam",
    "digits": "The digits",
}
"""Sections of the GPU page, by kind of work."""

GPU_COLUMNS = {
    "fastnn": Way("fastnn", "called"),
    "fastnn captured": Way("fastnn", "captured"),
    "PyTorch": Way("torch", "eager"),
    "PyTorch compiled": Way("torch", "compiled"),
    "PyTorch CUDA graph": Way("torch", "graph"),
    "JAX": Way("jax", "jit"),
    "JAX scan": Way("jax", "scan"),
}
MISSING = {
    "matmul": {"PyTorch compiled", "JAX scan"},
    "train": set(),
    "predict": {"fastnn", "JAX scan"},
    "head": {"fastnn", "JAX scan"},
    "adam": {"fastnn captured", "PyTorch compiled", "PyTorch CUDA graph", "JAX scan"},
    "digits": {"fastnn captured", "PyTorch compiled", "JAX", "JAX scan"},
}
"""Columns that are not measured, by kind of work."""

PRECISIONS = ("float32", "tf32", "bfloat16")
CLOSE = Target(libraries={"PyTorch": 0.95})


def _gpu(name: str, kind: str, args: tuple[Any, ...] = (), precision: str = "float32", **more: Any) -> Row:
    columns = {column: way for column, way in GPU_COLUMNS.items() if column not in MISSING[kind]}
    if kind in ("train", "digits"):
        columns["fastnn"] = Way("fastnn", "fit")
    if kind == "train" and args[0] in (nets.WIDE, nets.LARGE):  # an epoch of long steps gains nothing
        del columns["JAX scan"]
    return Row(name, SECTIONS[kind], kind, args, columns, precision=precision, **more)


def _gpu_product(n: int, precision: str) -> Row:
    target = CLOSE if n == 4096 and precision != "float32" else None
    rate = {"amount": 2e-12 * n**3, "unit": "TFLOP/s"}
    return _gpu(f"product {n}^3, {precision}", "matmul", ((n, n, n), "nn", 0), precision, target=target, **rate)


def _gpu_training(sizes: tuple[int, ...], batch: int, precision: str = "float32", target: Target | None = None) -> Row:
    name = f"training step, {nets.title(sizes)}, batch {batch}, {precision}"
    return _gpu(name, "train", (sizes, batch), precision, target=target)


def _gpu_inference(sizes: tuple[int, ...], batch: int) -> Row:
    return _gpu(f"inference, {nets.title(sizes)}, batch {batch}", "predict", (sizes, batch))


def _gpu_head(rows: int) -> Row:
    return _gpu(f"LM head 768 -> 50257 + cross-entropy, {rows} rows, forward and backward", "head", (768, 50257, rows))


def _gpu_adam(n: int, copied: int = 4_000_000_000) -> Row:
    """Return a row of Adam, which moves 28 bytes for each parameter: it reads four arrays and writes all except the gradient."""
    limited = {"amount": 28e-12 * n, "unit": "TB/s", "limit": "copy", "limit_args": (copied,)}
    return _gpu(f"Adam, {n // 1_000_000}M parameters", "adam", (n,), target=Target(share=0.85), **limited)


def gpu_rows() -> list[Row]:
    """Return all rows; those with targets are first."""
    return [
        *(_gpu_product(n, precision) for n in (1024, 4096) for precision in PRECISIONS),
        _gpu_training(nets.SEED, 32, target=Target(times={"PyTorch": 5.0, "PyTorch CUDA graph": 1.0})),
        *(_gpu_training(nets.LARGE, 4096, precision, CLOSE) for precision in PRECISIONS),
        _gpu_adam(100_000_000),
        _gpu(f"30 epochs of the digits, {nets.title(nets.SEED)}, batch 32", "digits"),
        _gpu_training(nets.SMALL, 64),
        _gpu_training(nets.MEDIUM, 128),
        *(_gpu_training(nets.WIDE, 256, precision) for precision in PRECISIONS),
        *(_gpu_inference(nets.SEED, batch) for batch in (1, 32)),
        _gpu_inference(nets.SMALL, 1),
        *(_gpu_inference(nets.MEDIUM, batch) for batch in (1, 128)),
        _gpu_inference(nets.WIDE, 256),
        _gpu_inference(nets.LARGE, 4096),
        _gpu_head(256),
        _gpu_head(2048),
    ]
