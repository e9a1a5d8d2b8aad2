"""Sums over the ranks with messages of half the size: numbers are rounded to bfloat16 or float16 on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .comm import Comm

Array = Any


class Compressed:
    """Sums of arrays over the ranks, rounded on their way.

    Each rank sums one part of the array: it gets that part of all ranks, rounded, and adds in the array's own dtype. Then it
    rounds the sum and sends it to all. So all ranks have the same bits, and an element's error is at most
    u (sum of the absolute values + absolute value of the sum), where u is 2^-8 for bfloat16, which has the range of float32, and
    2^-11 for float16: there numbers beyond 65504 become infinite, and the error is at least 2^-25.
    """

    def __init__(self, comm: Comm, dtype: str) -> None:
        self._comm = comm
        self._encode, self._decode = _CODES[dtype]
        self._made: dict[tuple[int, str], tuple[Array, Array, Array]] = {}

    def sum(self, array: Array) -> None:
        """Replace a flat array by its sum over all ranks."""
        comm, n = self._comm, array.size
        sent, got, whole = self._buffers(array)
        self._encode(array, sent.reshape(-1)[:n])
        comm.all_to_all(sent, got)
        self._encode(self._decode(got, array.dtype).sum(0), got[0])
        comm.join(got[0], whole)
        array[...] = self._decode(whole.reshape(-1)[:n], array.dtype)

    def _buffers(self, array: Array) -> tuple[Array, Array, Array]:
        key = array.size, array.dtype.str
        if key not in self._made:
            shape = self._comm.size, -(-array.size // self._comm.size)
            sent, got, whole = (np.zeros_like(array, np.uint16, shape=shape, subok=False) for _ in range(3))
            self._made[key] = sent, got, whole
        return self._made[key]


def _to_bfloat16(x: Array, bits: Array) -> None:
    """Round to the nearest, ties to even, as a float32 without its lower 16 bits."""
    whole = x.astype("float32", copy=False).view("uint32")
    bits[...] = (whole + (((whole >> 16) & 1) + 0x7FFF)) >> 16


def _from_bfloat16(bits: Array, dtype: Any) -> Array:
    return (bits.astype("uint32") << 16).view("float32").astype(dtype, copy=False)


def _to_float16(x: Array, bits: Array) -> None:
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        bits.view("float16")[...] = x


def _from_float16(bits: Array, dtype: Any) -> Array:
    return bits.view("float16").astype(dtype)


_CODES: dict[str, tuple[Callable[[Array, Array], None], Callable[[Array, Any], Array]]] = {
    "bfloat16": (_to_bfloat16, _from_bfloat16),
    "float16": (_to_float16, _from_float16),
}
"""Functions of each dtype: one rounds numbers to 16 bits, the other converts them back."""
