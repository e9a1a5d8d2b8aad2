"""Defines the rows of the tables, for a CPU and for a GPU: the work, the contenders and the targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import nets


class Library(NamedTuple):
    """Library that takes part: its module in this package, the modules that it needs, and its packages."""

    module: str
    needs: tuple[str, ...]
    packages: tuple[str, ...]


FASTNN = Library("fastnn", ("fastnn",), ("fastnn",))
LIBRARIES: dict[str, dict[str, Library]] = {
    "cpu": {
        "fastnn": FASTNN,
        "NumPy": Library("numpy", ("numpy",), ("numpy",)),
        "PyTorch": Library("torch", ("torch",), ("torch",)),
        "JAX": Library("jax", ("jax",), ("jax", "jaxlib")),
        "ONNX Runtime": Library("onnxruntime", ("onnxruntime", "onnx"), ("onnxruntime", "onnx")),
        "scikit-learn": Library("sklearn", ("sklearn",), ("scikit-learn",)),
    },
    "cuda": {
        "fastnn": FASTNN._replace(packages=("fastnn", "numpy", "cupy-cuda13x", "nvmath-python")),
        "PyTorch": Library("torch", ("torch",), ("torch", "triton")),
        "JAX": Library("jax", ("jax",), ("jax", "jaxlib", "jax-cuda13-plugin")),
    },
}
"""Libraries that can take part, by device."""

OURS = "fastnn float32"
"""Column of fastnn with float32, which is a peer in the bfloat16 rows of a CPU."""


class Way(NamedTuple):
    """Way in which a column does a row's work: module, mode, and the precision if it differs from that of the row."""

    module: str
    mode: str
    precision: str = ""


@dataclass(frozen=True)
class Target:
    """Target of a row.

    Args:
        seconds: longest time of fastnn.
        share: smallest share of the limit.
        times: smallest speedup of the column "fastnn" over another column, by the name of that column.
        best: smallest speedup of fastnn's best column over PyTorch's best column.
        memory: largest memory of fastnn as a share of the memory of a column, by the name of that column.
    """

    seconds: float | None = None
    share: float | None = None
    times: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    memory: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Row of a table: one piece of work that contenders do.

    Args:
        name: name of the row in the table.
        section: title of the section on the page.
        kind: name of a method of each contender; it also determines how the results are checked.
        args: arguments of this method; precision and mode follow them.
        columns: the contenders and their ways to do the work, by column.
        target: target of the row, if any.
        precision: type to which factors of products are rounded.
        threads: the number of threads, if the row fixes it.
        isa: the instruction set of fastnn, if it is not the best one.
        amount: work of a call; divided by the time in seconds, it is the rate in `unit`.
        unit: unit of the rate, such as GFLOP/s.
        limit: name of fastnn's method that measures the peak rate of the machine.
        limit_args: arguments of this method.
        memory: arguments for which the memory of the calls is measured, too.
    """

    name: str
    section: str
    kind: str
    args: tuple[Any, ...]
    columns: dict[str, Way]
    target: Target | None = None
    precision: str = "float32"
    threads: int | None = None
    isa: str = ""
    amount: float = 0.0
    unit: str = ""
    limit: str = ""
    limit_args: tuple[Any, ...] = ()
    memory: tuple[tuple[Any, ...], ...] = ()

    @property
    def limit_name(self) -> str:
        """Return the name of the limit for the page."""
        return {"peak": "the multiply-add peak", "reading": "the read bandwidth", "copy": "the copy bandwidth"}[self.limit]


PRODUCTS, NETWORKS, BFLOAT16 = "Matrix products, float32", "Networks, float32", "Networks, products of bfloat16"


def _cpu(ours: str, mode: str, *names: str) -> dict[str, Way]:
    """Return the columns of fastnn and of libraries that use the same mode."""
    return {"fastnn": Way("fastnn", ours)} | {name: Way(LIBRARIES["cpu"][name].module, mode) for name in names}


def _product(shape: tuple[int, int, int], threads: int, target: Target | None, isa: str = "", limit: str = "peak") -> Row:
    m, k, n = shape
    size, what = f"{m}^3" if m == k == n else f"{m}x{k}x{n}", "sgemm" if limit == "peak" else "gemv"
    columns = _cpu("called", "eager", *([] if isa else ["NumPy", "PyTorch", "JAX"]))
    name = f"{what} {size}, {threads} thread{'s' if threads > 1 else ''}{', AVX2' if isa else ''}"
    amount, unit = (2e-9 * m * k * n, "GFLOP/s") if limit == "peak" else (4e-9 * k * n, "GB/s")
    limited = {"amount": amount, "unit": unit, "limit": limit, "limit_args": (shape,)}
    return Row(name, PRODUCTS, "matmul", (shape,), columns, target, threads=threads, isa=isa, **limited)


def _fit(sizes: tuple[int, ...], batch: int, target: Target) -> Row:
    columns = _cpu("fit", "eager", "NumPy", "PyTorch", "JAX")
    columns |= {"JAX scan": Way("jax", "scan"), "scikit-learn": Way("sklearn", "fit")}
    return Row(f"training step in fit, {nets.title(sizes)}, batch {batch}", NETWORKS, "train", (sizes, batch), columns, target)


def _mixed(sizes: tuple[int, ...], batch: int, times: float) -> Row:
    """Return a row of training with bfloat16 products, compared with the float32 training of fastnn."""
    columns = {"fastnn": Way("fastnn", "fit"), OURS: Way("fastnn", "fit", "float32"), "PyTorch": Way("torch", "eager")}
    name, target = f"training step in fit, bfloat16, {nets.title(sizes)}, batch {batch}", Target(times={OURS: times})
    return Row(name, BFLOAT16, "train", (sizes, batch), columns, target, "bfloat16")


def _frozen(sizes: tuple[int, ...], batch: int, target: Target) -> list[Row]:
    """Return the inference rows with predict_on_batch and with a frozen model; the target is that of the frozen model."""
    found = []
    for mode, aim in (("predict_on_batch", None), ("frozen", target)):
        columns = _cpu(mode, "eager", *list(LIBRARIES["cpu"])[1:]) | {"ONNX Runtime bound": Way("onnxruntime", "bound")}
        name = f"inference, {mode}, {nets.title(sizes)}, batch {batch}"
        found.append(Row(name, NETWORKS, "predict", (sizes, batch), columns, aim))
    return found


def _loop(mode: str, times: float) -> Row:
    name, target = f"loop by hand, {mode}, {nets.title(nets.SEED)}, batch 32", Target(times={"PyTorch": times})
    return Row(name, NETWORKS, "train", (nets.SEED, 32), _cpu(mode, "eager", "PyTorch"), target)


def _cpu_rows(bfloat16: bool) -> list[Row]:
    good, fair = Target(share=0.95), Target(share=0.92)
    seed = nets.title(nets.SEED)
    head, more = (768, 50257, 256), (768, 50257, 2048)
    head_target = Target(times={"JAX": 1.3, "PyTorch": 2.0, "PyTorch chunked": 2.0}, memory={"PyTorch": 0.5})
    digits_target = Target(0.045, times={"scikit-learn": 15, "PyTorch": 20})
    return [
        _product((64, 64, 64), 1, fair),
        _product((128, 784, 512), 1, fair),
        _product((512, 512, 512), 1, good),
        _product((1024, 1024, 1024), 1, good),
        _product((2048, 2048, 2048), 1, fair),
        _product((128, 784, 512), 2, None),
        _product((1024, 1024, 1024), 2, Target(share=0.92, times={"JAX": 1.0})),
        _product((512, 512, 512), 1, Target(share=0.93), "avx2"),
        _product((1, 1024, 1024), 1, Target(share=0.85), limit="reading"),
        _fit(nets.SEED, 32, Target(8e-6, times={"JAX": 10, "PyTorch": 20})),
        _fit(nets.SMALL, 64, Target(12e-6, times={"JAX": 5})),
        _fit(nets.MEDIUM, 128, Target(times={"JAX": 1.4, "PyTorch": 2.3})),
        _fit(nets.WIDE, 256, Target(times={"JAX": 1.3, "PyTorch": 2.1})),
        *([_mixed(nets.MEDIUM, 128, 1.3), _mixed(nets.WIDE, 256, 1.5)] if bfloat16 else []),
        Row(
            *(f"train_on_batch, {seed}, batch 32", NETWORKS, "train", (nets.SEED, 32)),
            *(_cpu("on_batch", "on_batch", "NumPy", "PyTorch", "JAX", "scikit-learn"), Target(15e-6)),
        ),
        _loop("eager", 3.0),
        _loop("captured", 10.0),
        *_frozen(nets.SEED, 1, Target(1e-6, times={"ONNX Runtime": 4})),
        *_frozen(nets.SEED, 32, Target(3e-6, times={"ONNX Runtime": 2})),
        *_frozen(nets.SMALL, 1, Target(0.8e-6, times={"ONNX Runtime": 5})),
        *_frozen(nets.MEDIUM, 1, Target(times={"ONNX Runtime": 1.0})),
        *_frozen(nets.MEDIUM, 128, Target(times={"ONNX Runtime": 1.0})),
        *_frozen(nets.WIDE, 256, Target(times={"JAX": 1.1})),
        Row(
            *("LM head 768 -> 50257 + cross-entropy, 256 rows, forward and backward", NETWORKS, "head", head),
            *(_cpu("captured", "eager", "PyTorch", "JAX") | {"PyTorch chunked": Way("torch", "chunked")}, head_target),
            memory=(head, more),
        ),
        Row(
            *(f"30 epochs of the digits, {seed}, batch 32", NETWORKS, "digits", ()),
            *(_cpu("fit", "eager", "PyTorch", "scikit-learn"), digits_target),
        ),
    ]


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
CLOSE = Target(best=0.95)


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
    return _gpu(f"product {n}^3, {precision}", "matmul", ((n, n, n),), precision, target=target, **rate)


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


def _gpu_rows() -> list[Row]:
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


def rows(device: str, bfloat16: bool = True) -> list[Row]:
    """List all rows of a device, "cpu" or "cuda"; with `bfloat16`, those of a CPU include bfloat16 rows."""
    return _cpu_rows(bfloat16) if device == "cpu" else _gpu_rows()
