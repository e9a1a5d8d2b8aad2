"""Products of many matrices that lie in larger arrays, such as the heads of attention, which are views of one array.

``layout`` says where they lie. Its first row has the sizes: any number of batch axes, then M, N and K. The rows of c, a and b
follow, with an offset, a stride for each batch axis, and those of rows and of columns, in elements. A stride of 0 uses a matrix
again. A transposed factor has the strides of its rows and columns exchanged. The columns of c lie together, and of a and b the
rows or the columns do.
"""

from __future__ import annotations

from typing import Any

from ...core.layout import within
from .dense import rounded

Array = Any


def matmul_batched(xp: Any, c: Array, a: Array, b: Array, layout: Array, alpha: float, beta: float, precision: int) -> None:
    """c = alpha a b + beta c for each index of the batch axes: a (M, K), b (K, N), c (M, N); with beta = 0, c is only written.

    Along a batch axis of size other than 1 on which c has stride 0, the products are added up. Matrices of c do not overlap
    otherwise; what lies between them stays as it is. ``precision`` says what a and b are rounded to. With a layout that leaves
    its arrays, or whose rows and columns do not lie together, all of c is NaN, and nothing is read.
    """
    sizes, *places = ([int(i) for i in row] for row in layout)
    if not within(sizes, places, (c.size, a.size, b.size)):
        c[...] = xp.nan
        return
    *batch, m, n, k = sizes
    added = tuple(axis for axis, size in enumerate(batch) if size != 1 and places[0][1 + axis] == 0)
    shapes = [[1 if axis in added else size for axis, size in enumerate(batch)] + [m, n], [*batch, m, k], [*batch, k, n]]
    of_c, of_a, of_b = (_view(xp, x, shape, place) for x, shape, place in zip((c, a, b), shapes, places, strict=True))
    product = alpha * (rounded(xp, of_a, precision) @ rounded(xp, of_b, precision)).sum(added, keepdims=True)
    of_c[...] = product if beta == 0 else product + beta * of_c


def _view(xp: Any, x: Array, shape: list[int], place: list[int]) -> Array:
    flat = x.reshape(-1)[place[0] if all(shape) else 0 :]
    return xp.lib.stride_tricks.as_strided(flat, shape, [stride * x.itemsize for stride in place[1:]])
