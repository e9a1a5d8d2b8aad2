"""The kernel contract: every kernel's name and arguments, written once.

Each family has a module here, with a line for each of its kernels in ``KERNELS``, which lines that stand further in continue::

    name  outputs <- inputs | formulas

An array is ``name:dtype[shape]``. ``&`` before the name means that the kernel reads and writes it, ``?`` after the shape that it
may be absent (an array of size 0): an output that is absent is not wanted. In a shape, a letter is a size that all arrays of the
call share, a number is itself, and ``*n`` stands for any shape with ``n`` elements in all.

dtypes: ``T`` float32 or float64, ``N`` those and int64, ``A`` those and bool, ``S`` those and uint8, int32 and bfloat16 (in
uint16 arrays, as NumPy has none): one letter is one dtype throughout a call; ``own`` is a dtype that each backend chooses, in an
array that `Backend.aux` makes; the name of an argument, the dtype that the argument chooses; the rest by name. All arrays are
C-contiguous and aligned. Give an ``own`` array its real shape where that is the same on all backends: nothing checks the size of
one with the shape ``*L``.

A scalar is ``name:kind``: ``int``, ``float``, ``bool``, ``act`` (an `Activation`), ``loss`` (a `PointwiseLoss`), ``mask`` (a
whole number: where bit i is set, output i, which has ``&``, adds to what is there), a choice of numbers such as ``1|2``, or the
name of a tuple of the family's module: the argument is the position of one of its names.

A formula gives a size that follows from others, as ``OH=(H+2*P-KH)/S+1``, which the binding checks, or ``flops``. It knows sizes,
whole numbers, and by their names whether arrays are there (1) or absent (0); ``/`` rounds down.

From these lines come the checks of the compiled binding, what a recorded plan knows of reads and writes, the argument structs of
CUDA programs, the calls of ``fastnn warmup``, the types of a backend's kernels, the list of kernels in the documentation, and
tests that all backends have the same signatures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .activation import ACTIVATION_IDS, ACTIVATIONS, LINEAR, Activation, ActivationKind, activation
from .dense import PRECISIONS
from .dtypes import DTYPES, LETTERS, SHORT, STORED, TENSOR_DTYPES, array_dtype
from .elementwise import BINARY_OPS, COMPARE_OPS, REDUCE_OPS, SCAN_OPS
from .loss import POINTWISE_LOSS_IDS, POINTWISE_LOSSES, REDUCE_LOSS_MODES, PointwiseKind, PointwiseLoss, pointwise_loss

if TYPE_CHECKING:
    from .grammar import Arg, Kernel

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_IDS",
    "BINARY_OPS",
    "COMPARE_OPS",
    "DTYPES",
    "FAMILIES",
    "HOST_CALL",
    "KERNELS",
    "LETTERS",
    "LINEAR",
    "POINTWISE_LOSSES",
    "POINTWISE_LOSS_IDS",
    "PRECISIONS",
    "REDUCE_LOSS_MODES",
    "REDUCE_OPS",
    "SCAN_OPS",
    "SHORT",
    "STORED",
    "TENSOR_DTYPES",
    "Activation",
    "ActivationKind",
    "Arg",
    "Kernel",
    "PointwiseKind",
    "PointwiseLoss",
    "activation",
    "arguments",
    "array_dtype",
    "pointwise_loss",
]

FAMILIES = (
    *("dense", "batched", "convolution", "pooling", "normalization", "activation", "loss", "optim", "random", "regularization"),
    *("augmentation", "data", "elementwise", "generation", "metrics", "resample", "recurrent", "attention", "ctc"),
)
"""The families of kernels: the modules here, and on every backend."""

HOST_CALL = "host_call"
"""Name of a call of Python among recorded kernel calls; its only argument is the function."""

KERNELS: dict[str, Kernel]
"""All kernels by name; read from the families' modules at first use, which `import fastnn` is not."""


def lists(family: str) -> dict[str, tuple[str, ...]]:
    """Return the tuples of names that a family's lines choose from, by their names."""
    module = import_module(f".{family}", __name__)
    found = {"STORED": STORED, **vars(module)}
    return {
        key: value for key, value in found.items() if key.isupper() and isinstance(value, tuple) and isinstance(value[0], str)
    }


def arguments(call: str) -> tuple[Arg, ...]:
    """Return the arguments of a recorded call: of a kernel of this name, or of a host call."""
    from . import KERNELS
    from .grammar import Arg

    return (Arg("fn", "host"),) if call == HOST_CALL else KERNELS[call].args


def __getattr__(name: str) -> Any:
    if name not in ("KERNELS", "Arg", "Kernel"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    grammar = import_module(".grammar", __name__)
    if name != "KERNELS":
        return getattr(grammar, name)
    kernels: dict[str, Kernel] = {}
    for family in FAMILIES:
        text = import_module(f".{family}", __name__).KERNELS
        for line in grammar.lines(text):
            kernel = grammar.read(family, line, lists(family))
            kernels[kernel.name] = kernel
    return globals().setdefault("KERNELS", kernels)
