"""Mixed precision: the rounding of factors of matrix products."""

from __future__ import annotations

from contextvars import ContextVar

from ..backends import current
from ..backends.spec import PRECISIONS
from .block import Block

_precision: ContextVar[int] = ContextVar("fastnn_precision", default=0)

precision = _precision.get
"""The position in PRECISIONS of what factors are rounded to, in this thread."""


def checked(dtype: str, op: str) -> int:
    """Return the precision of that name, where the backend in use has it.

    Raises:
        ValueError: the name is not known.
        RuntimeError: the backend, the CPU or the GPU cannot do it; the message says why.
    """
    if dtype not in PRECISIONS:
        raise ValueError(f"{op}: dtype is {dtype!r}; there are: {', '.join(PRECISIONS)}")
    if why := current().why_unavailable(dtype):
        raise RuntimeError(f"{op}: dtype {dtype!r} is not available here: {why}")
    return PRECISIONS.index(dtype)


def _there(precision: int) -> None:
    checked(PRECISIONS[precision], "autocast")


class autocast(Block):  # noqa: N801 (PyTorch's name)
    """A block in which the factors of matrix products are rounded to a shorter type: mixed precision.

    With "bfloat16", products of layers and `matmul`, forward and backward, have factors of 8 significant bits, with "tf32" of 11,
    and are summed in float32; weights, gradients, all other operations and what the optimizer keeps stay as they are. Backward
    follows what forward did, also where it is called after the block. Factors, products and sums below 1.2e-38 may count as zero.
    Tensors of float64 are rounded too, are summed in float64, and gain no speed. Training by `fit` and `train_on_batch` follows
    `compile(dtype=...)` instead.

    "bfloat16" is for CPUs that multiply it and for GPUs, "tf32" for NVIDIA GPUs alone, of the generation Ampere and later: it
    rounds to the nearest, ties away from zero, but large products may cut off what small ones round.

    Blocks may be nested; each thread has its own.

    Args:
        dtype: "bfloat16" or "tf32", or "float32" for a block in which nothing is rounded.

    Raises:
        ValueError: dtype is none of them.
        RuntimeError: the backend, the CPU or the GPU has no products of it.

    >>> import fastnn
    >>> with fastnn.autocast("float32"):
    ...     fastnn.matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """

    def __init__(self, dtype: str = "bfloat16") -> None:
        super().__init__(_precision, checked(dtype, "autocast"), _there)  # when entered, the backend may be another one
