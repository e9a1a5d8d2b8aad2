"""Defines the rows of a CPU."""

from __future__ import annotations

from . import cnn, images, nets, sequences
from .row import LIBRARIES, OURS, Row, Target, Way

PRODUCTS, NETWORKS, BFLOAT16 = "Matrix products, float32", "Networks, float32", "Networks, products of bfloat16"
LATENCY = "Latency"
IMAGES = "Convolutional networks, float32"
SEQUENCES = "Sequences, float32"

CALLS = 100_000
"""Calls in a row of latencies."""

SQUARE = 64, 512, 1024, 2048
TRANSPOSED = (
    ("nt", (128, 512, 512)),
    ("tn", (784, 128, 512)),
    ("nt", (256, 2048, 2048)),
    ("tn", (2048, 256, 2048)),
)
"""Layouts and shapes of the products in a backward pass: gradients of inputs (nt) and of weights (tn)."""
OFF = 16
"""Bytes between a multiple of 64 and the start of a misaligned array."""
BATCHES = 1, 8, 32, 128, 256


def _columns(ours: str, mode: str, *names: str) -> dict[str, Way]:
    """Return the columns of fastnn and of libraries that use the same mode."""
    return {"fastnn": Way("fastnn", ours)} | {name: Way(LIBRARIES["cpu"][name].module, mode) for name in names}


def _product(shape: tuple[int, int, int], threads: int, layout: str = "nn", start: int = 0, isa: str = "") -> Row:
    """Return a row of one product; up to 512^3 its target includes a share of the peak.

    JAX does not take part if the instruction set is limited: with --xla_cpu_max_isa=AVX2 its products still use AVX-512.
    """
    m, k, n = shape
    size, count = f"{m}^3" if m == k == n else f"{m}x{k}x{n}", f"{threads} thread{'s' if threads > 1 else ''}"
    parts = [f"sgemm {size}", layout.upper() if layout != "nn" else "", count, "misaligned" if start else "", isa.upper()]
    small = m * k * n <= 512**3 and (threads == 1 or m * k * n > 64**3)
    target = Target(share=0.95 if small else None, peers=1.0)
    if isa:
        target = Target(share=0.9 if small else None, peers=0.95)
    columns = _columns("called", "eager", "NumPy", "PyTorch", *([] if isa else ["JAX"]))
    limited = {"amount": 2e-9 * m * k * n, "unit": "GFLOP/s", "limit": "peak", "limit_args": (shape,)}
    args = shape, layout, start
    return Row(", ".join(filter(None, parts)), PRODUCTS, "matmul", args, columns, target, threads=threads, isa=isa, **limited)


def _products() -> list[Row]:
    shapes = [(64,) * 3, (128, 784, 512), *((n,) * 3 for n in SQUARE[1:])]
    rows = [_product(shape, threads) for threads in (1, 2) for shape in shapes]
    rows += [_product(shape, threads, layout) for threads in (1, 2) for layout, shape in TRANSPOSED]
    rows += [_product(shape, threads, start=OFF) for threads in (1, 2) for shape in shapes[1:-1]]
    rows += [_product(shape, 1, isa="avx2") for shape in shapes[:-1]]
    vector = (1, 1024, 1024)
    limited = {"amount": 4e-9 * 1024 * 1024, "unit": "GB/s", "limit": "reading", "limit_args": (vector,)}
    columns = _columns("called", "eager", "NumPy", "PyTorch", "JAX")
    name, target = "gemv 1x1024x1024, 1 thread", Target(share=0.85)
    return [*rows, Row(name, PRODUCTS, "matmul", (vector, "nn", 0), columns, target, threads=1, **limited)]


def _fit(sizes: tuple[int, ...], batch: int, target: Target) -> Row:
    columns = _columns("fit", "eager", "NumPy", "PyTorch", "JAX")
    columns |= {"JAX scan": Way("jax", "scan"), "scikit-learn": Way("sklearn", "fit")}
    return Row(f"training step in fit, {nets.title(sizes)}, batch {batch}", NETWORKS, "train", (sizes, batch), columns, target)


def _mixed(sizes: tuple[int, ...], batch: int, target: Target) -> Row:
    """Return a row of training with bfloat16 products, compared with the float32 training of fastnn, too."""
    columns = {"fastnn": Way("fastnn", "fit"), OURS: Way("fastnn", "fit", "float32"), "PyTorch": Way("torch", "eager")}
    name = f"training step in fit, bfloat16, {nets.title(sizes)}, batch {batch}"
    return Row(name, BFLOAT16, "train", (sizes, batch), columns, target, "bfloat16")


def _inference(sizes: tuple[int, ...], batch: int) -> list[Row]:
    """Return the inference rows with a frozen model and, for some batches, with predict_on_batch, which has no target."""
    measured = {nets.SEED: (1, 32), nets.SMALL: (1,), nets.MEDIUM: (1, 128), nets.WIDE: (256,)}.get(sizes, ())
    modes = ["predict_on_batch", "frozen"] if batch in measured else ["frozen"]
    names = list(LIBRARIES["cpu"])[1:] if batch in measured else ["PyTorch", "JAX", "ONNX Runtime"]
    columns = {mode: _columns(mode, "eager", *names) | {"ONNX Runtime bound": Way("onnxruntime", "bound")} for mode in modes}
    short = batch == 1 and sizes in (nets.SEED, nets.SMALL, nets.RL)
    targets = {"frozen": Target(libraries={"ONNX Runtime": 5.0 if short else 1.0})}
    title = f"{nets.title(sizes)}, batch {batch}"
    return [
        Row(f"inference, {mode}, {title}", NETWORKS, "predict", (sizes, batch), columns[mode], targets.get(mode))
        for mode in modes
    ]


def _latency(sizes: tuple[int, ...]) -> Row:
    """Return a row of the times of single calls of a frozen model with one sample."""
    columns = {
        "fastnn": Way("fastnn", "frozen"),
        "ONNX Runtime": Way("onnxruntime", "eager"),
        "ONNX Runtime bound": Way("onnxruntime", "bound"),
    }
    target = Target(percentiles={"ONNX Runtime": 2.0})
    return Row(f"latency, frozen, {nets.title(sizes)}, batch 1", LATENCY, "latency", (sizes, CALLS), columns, target)


def _loop(mode: str, times: float) -> Row:
    name, target = f"loop by hand, {mode}, {nets.title(nets.SEED)}, batch 32", Target(times={"PyTorch": times})
    return Row(name, NETWORKS, "train", (nets.SEED, 32), _columns(mode, "eager", "PyTorch"), target)


def _images() -> list[Row]:
    """Return the rows of a convolutional net; fastnn and PyTorch take part with channels last and channels first."""
    last, peers = _layouts()
    bound = {"ONNX Runtime": Way("onnxruntime", "eager"), "ONNX Runtime bound": Way("onnxruntime", "bound")}
    train, predict = Target(times={"PyTorch": 2.5, "JAX": 5}, memory={"PyTorch": 1.0}), Target(times={"PyTorch": 4, "JAX": 1.1})
    one, title = Target(libraries={"ONNX Runtime": 2.0}), cnn.TITLE
    rows = [
        Row(f"training step in fit, {title}, batch 64", IMAGES, "cnn_train", (64,), last | peers, train, memory=((64,),)),
        Row(f"inference, frozen, {title}, batch 64", IMAGES, "cnn_predict", (64,), last | peers | bound, predict),
        Row(f"inference, frozen, {title}, batch 1", IMAGES, "cnn_predict", (1,), last | peers | bound, one),
    ]
    nets_of = ((images.MOBILE, 1.5), (images.RESIDUAL, 1.2))
    ours = {"fastnn": Way("fastnn", "channels_first")}
    rows += [
        Row(
            *(f"training step in fit, {net}, batch 16", IMAGES, "net_train", (net, 16)),
            *(ours | peers, Target(libraries={"PyTorch": aim})),
        )
        for net, aim in nets_of
    ]
    return [*rows, *_convolutions()]


def _layouts() -> tuple[dict[str, Way], dict[str, Way]]:
    """Return the columns of fastnn and of its peers for images."""
    ours = {"fastnn": Way("fastnn", "channels_last"), "fastnn channels first": Way("fastnn", "channels_first")}
    peers = {"PyTorch": Way("torch", "eager"), "PyTorch channels last": Way("torch", "channels_last"), "JAX": Way("jax", "eager")}
    return ours, peers


def _convolutions() -> list[Row]:
    """Return the rows of one layer: a convolution with its share of the peak, and a depthwise one."""
    ours, peers = _layouts()
    full, depthwise = (16, 56, 64, 1), (16, 28, 128, 128)
    title, deep = "convolution 3x3, 64->64, 56x56, batch 16", "depthwise convolution 3x3, 128 channels, 28x28, batch 16"
    limited = {"amount": 2e-9 * 16 * 56**2 * 64 * 64 * 9, "unit": "GFLOP/s", "limit": "peak", "limit_args": ((64, 576, 64),)}
    back, share, aim = "convolution_gradients", Target(share=0.8), Target(libraries={"PyTorch": 1.5})
    both = Target(libraries={"PyTorch": 1.3})
    return [
        Row(f"{title}, forward, 1 thread", IMAGES, "convolution", full, ours | peers, share, threads=1, **limited),
        Row(f"{title}, forward, 2 threads", IMAGES, "convolution", full, ours | peers, share, threads=2, **limited),
        Row(f"{title}, forward and backward", IMAGES, back, full, ours | peers, both),
        Row(f"{deep}, forward", IMAGES, "convolution", depthwise, ours | peers, aim),
        Row(f"{deep}, forward and backward", IMAGES, back, depthwise, ours | peers, aim),
    ]


def _sequences() -> list[Row]:
    """Return the rows of an LSTM of characters and of two GPTs, of attention alone, and of an embedding of 50,257 tokens."""
    fit, peers = {"fastnn": Way("fastnn", "fit")}, _columns("eager", "eager", "PyTorch", "JAX")
    frozen = _columns("frozen", "eager", "PyTorch", "JAX", "ONNX Runtime") | {"ONNX Runtime bound": Way("onnxruntime", "bound")}
    small, memory = (sequences.SMALL, 16, 64), {"PyTorch": 1.0}
    aims = {
        (sequences.CHARACTERS, 32): Target(times={"PyTorch": 1.3, "JAX": 3}, memory=memory),
        (sequences.BABY, 12): Target(peers=2.0),
        (sequences.SMALL, 8): Target(peers=1.5, memory=memory),
    }
    inference, stream = Target(times={"PyTorch": 1.2}), Target(libraries={"ONNX Runtime": 3.0})
    reading = {
        "amount": 1e-9 * sequences.nbytes(sequences.SMALL),
        "unit": "GB/s",
        "limit": "weights_reading",
        "limit_args": small[:1],
    }
    attention, table = (4, 8, 1024, 64), (50257, 768, 8, 256)
    rows = [
        Row(
            *(f"training step in fit, {net}, batch {batch}", SEQUENCES, "text_train", (net, batch), peers | fit, aim),
            memory=((net, batch),) if aim.memory else (),
        )
        for (net, batch), aim in aims.items()
    ]
    title = sequences.CHARACTERS
    return [
        *rows,
        Row(f"inference, frozen, {title}, batch 32", SEQUENCES, "text_predict", (title, 32), frozen, inference),
        Row("a token of a stream, frozen, char-LSTM 65-128-256, batch 1", SEQUENCES, "stream", (title,), frozen, stream),
        Row(
            *(f"a token of 64 generated after 16, {sequences.SMALL}, batch 1", SEQUENCES, "generate", small),
            *(peers | {"fastnn": Way("fastnn", "generate")}, Target(share=0.7, times={"PyTorch": 5.0})),
            **reading,
        ),
        Row(
            *("causal attention, batch 4, 8 heads of 64, T 1024, forward and backward", SEQUENCES, "attention_gradients"),
            *(attention, peers, Target(times={"PyTorch": 1.5})),
        ),
        Row(
            *("training step, embedding 50257x768, Adam, 2048 tokens", SEQUENCES, "embedding", table),
            *(_columns("captured", "eager", "PyTorch", "JAX"), Target(times={"PyTorch": 2.0})),
        ),
        Row(
            *("training step, embedding 50257x768, sparse Adam, 2048 tokens", SEQUENCES, "sparse_embedding", table),
            *(_columns("captured", "eager", "PyTorch"), Target(peers=1.0)),
        ),
    ]


def cpu_rows(bfloat16: bool) -> list[Row]:
    """List all rows of a CPU."""
    seed = nets.title(nets.SEED)
    head, more = (768, 50257, 256), (768, 50257, 2048)
    head_target = Target(peers=1.1, memory={"PyTorch": 0.5})
    mixed = Target(times={"PyTorch": 1.1}), Target(times={"PyTorch": 1.1}, amx={OURS: 2.5})
    return [
        *_products(),
        _fit(nets.SEED, 32, Target(times={"PyTorch": 20, "JAX scan": 3})),
        _fit(nets.SMALL, 64, Target(times={"PyTorch": 12, "JAX scan": 1.8})),
        _fit(nets.MEDIUM, 128, Target(peers=1.5)),
        _fit(nets.WIDE, 256, Target(peers=1.2)),
        *([_mixed(nets.MEDIUM, 128, mixed[0]), _mixed(nets.WIDE, 256, mixed[1])] if bfloat16 else []),
        Row(
            *(f"train_on_batch, {seed}, batch 32", NETWORKS, "train", (nets.SEED, 32)),
            *(_columns("on_batch", "on_batch", "NumPy", "PyTorch", "JAX", "scikit-learn"), Target(15e-6)),
        ),
        _loop("eager", 3.0),
        _loop("captured", 10.0),
        *(row for sizes in nets.CPU for batch in BATCHES for row in _inference(sizes, batch)),
        *(_latency(sizes) for sizes in (nets.SMALL, nets.RL)),
        *_images(),
        *_sequences(),
        Row(
            *("LM head 768 -> 50257 + cross-entropy, 256 rows, forward and backward", NETWORKS, "head", head),
            *(_columns("captured", "eager", "PyTorch", "JAX") | {"PyTorch chunked": Way("torch", "chunked")}, head_target),
            memory=(head, more),
        ),
        Row(
            *(f"30 epochs of the digits, {seed}, batch 32", NETWORKS, "digits", ()),
            *(_columns("fit", "eager", "PyTorch", "scikit-learn"), Target(times={"scikit-learn": 15, "PyTorch": 20})),
        ),
    ]
