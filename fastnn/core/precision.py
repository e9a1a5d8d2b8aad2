"""Mixed precision: the rounding of the factors of matrix products."""

from __future__ import annotations

from contextvars import ContextVar

from ..backends import current
from ..backends.spec import PRECISIONS
from .block import Block

_precision: ContextVar[int] = ContextVar("fastnn_precision", default=0)

precision = _precision.get
"""Return the index in PRECISIONS of the type to which this thread rounds factors."""


def rounded_to(precision: int) -> Block:
    """Return a block in which this thread rounds factors to the type with this index in PRECISIONS."""
    return Block(_precision, precision)


def checked(dtype: str, op: str) -> int:
    """Return the index of a precision, after a check that the current backend has it.

    Raises:
        ValueError: the name is unknown.
        RuntimeError: the backend, the CPU or the GPU does not have the precision; the message gives the reason.
    """
    if dtype not in PRECISIONS:
        raise ValueError(f"{op}: dtype is {dtype!r}; there are: {', '.join(PRECISIONS)}")
    if why := current().why_unavailable(dtype):
        raise RuntimeError(f"{op}: dtype {dtype!r} is not available here: {why}")
    return PRECISIONS.index(dtype)


def _there(precision: int) -> None:
    checked(PRECISIONS[precision], "autocast")


class autocast(Block):  # noqa: N801 (PyTorch's name)
    """Context manager for mixed precision: the factors of matrix products are rounded to a shorter type.

    This applies to the products of layers and `matmul`, forward and backward. Factors have 8 significant bits with "bfloat16",
    11 with "tf32". Products are summed in float32. Weights, gradients, optimizer state and all other operations keep their
    precision. Backward uses the precision of forward, also if it is called after the block. Factors, products and sums below
    1.2e-38 may count as zero. Tensors of float64 are rounded too, are summed in float64, and gain no speed. Training by `fit`
    and `train_on_batch` uses `compile(dtype=...)` instead.

    "bfloat16" is faster than "float32" on GPUs and on CPUs with AMX or a fast AVX512_BF16. Other CPUs multiply the rounded
    factors in float32, with the same precision but without a gain of speed; `fastnn info` says which way is used. "tf32" is only
    for NVIDIA GPUs from the Ampere generation on. It rounds to nearest, ties away from zero, but large products may truncate
    where small products round.

    Blocks may be nested; each thread has separate blocks.

    Args:
        dtype: "bfloat16" or "tf32", or "float32" for a block without rounding.

    Raises:
        ValueError: dtype is unknown.
        RuntimeError: the backend, the CPU or the GPU does not have the precision.

    >>> import fastnn
    >>> with fastnn.autocast("float32"):
    ...     fastnn.matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """

    def __init__(self, dtype: str = "bfloat16") -> None:
        super().__init__(_precision, checked(dtype, "autocast"), _there)  # checked again on entry, where the backend may differ
