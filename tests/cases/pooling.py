"""Cases of the pooling family: windows that overlap, leave gaps, reach over the border, and numbers of axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.reference.pooling import avg_pool_backward, avg_pool_forward, max_pool_forward

from .case import Array, Case, Values


def _sums(v: SimpleNamespace, want: Values) -> Values:
    size = np.zeros(v.y.shape)
    avg_pool_forward(np, size, np.abs(v.x), v.window, v.border)
    return {"y": v.eps * (2 + math.prod(v.window[0].tolist())) * size}


def _max_backward(v: SimpleNamespace, want: Values) -> Values:
    size = np.zeros(v.dx.shape)
    avg_pool_backward(np, size, np.abs(v.dy), v.window, 1)
    return {"dx": 4 * v.eps * math.prod(v.window[0].tolist()) * size}


def _avg_backward(v: SimpleNamespace, want: Values) -> Values:
    size = np.zeros(v.dx.shape)
    avg_pool_backward(np, size, np.abs(v.dy), v.window, v.border)
    return {"dx": v.eps * (2 + math.prod(v.window[0].tolist())) * size}


def _index(rng: np.random.Generator, v: Values, shape: Sequence[int]) -> Array:
    index = np.zeros(v["dy"].shape, np.uint8)
    max_pool_forward(np, np.zeros(v["dy"].shape), index, rng.uniform(-2, 2, shape), np.array(v["window"]))
    return index


def _pool(
    images: int,
    image: Sequence[int],
    channels: int,
    size: Any,
    stride: Any,
    before: Any = 0,
    after: Any = None,
    dilation: Any = 1,
    border: Sequence[int] = (0, 1),
    **flags: Any,
) -> Iterable[Case]:
    n = len(image)

    def three(numbers: Any, rest: int) -> tuple[int, ...]:
        return (rest,) * (3 - n) + ((numbers,) * n if isinstance(numbers, int) else tuple(numbers))

    image, size, stride, dilation, before = (
        three(a, rest) for a, rest in ((image, 1), (size, 1), (stride, 1), (dilation, 1), (before, 0))
    )
    after = before if after is None else three(after, 0)
    sides = zip(image, size, stride, dilation, before, after, strict=True)
    places = [(pixels + b + a - d * (r - 1) - 1) // s + 1 for pixels, r, s, d, b, a in sides]
    window = [size, stride, dilation, before, after]
    sizes = dict(zip(("N", *"DHW", "C", *"EPQ"), (images, *image, channels, *places), strict=True))
    common: dict[str, Any] = {"arrays": {"window": window}, "note": "_".join("".join(map(str, row)) for row in window), **flags}
    shape = (images, *image, channels)
    yield Case("max_pool_forward", sizes, **common)
    index = {"window": window, "index": lambda rng, v: _index(rng, v | {"window": window}, shape)}
    yield Case("max_pool_backward", sizes, error=_max_backward, **common | {"arrays": index, "edges": False})
    for counts in border:
        yield Case("avg_pool_forward", sizes, {"border": counts}, error=_sums, **common)
        yield Case("avg_pool_backward", sizes, {"border": counts}, error=_avg_backward, **common)


def _cases() -> Iterable[Case]:
    yield from _pool(2, (8,), 3, 2, 2)
    yield from _pool(2, (9, 8), 17, 2, 2, edges=True)
    yield from _pool(1, (11, 10), 33, 3, 2, before=1, grad=True)
    yield from _pool(2, (7, 7), 5, 3, 1, before=1)
    yield from _pool(1, (9, 7), 64, (2, 3), (3, 2), before=(0, 1), after=(1, 0))
    yield from _pool(1, (10, 10), 70, 3, 4, border=(0,))
    yield from _pool(2, (9,), 4, 3, 2, dilation=2, before=1, border=(0, 1))
    yield from _pool(2, (5, 6, 7), 9, 2, 2, border=(0,))
    yield from _pool(1, (4, 5, 5), 3, (1, 3, 2), (1, 2, 1), before=(0, 1, 1), border=(1,))
    yield from _pool(1, (1, 1), 1, 1, 1)
    yield from _pool(0, (4, 4), 3, 2, 2, border=(0,))
    yield from _pool(1, (16, 16), 2, 16, 16, border=(0,))
    yield Case("max_pool_forward", {"N": 2, "D": 1, "H": 6, "W": 6, "C": 9, "E": 1, "P": 3, "Q": 3}, absent=("index",),
               arrays={"window": [(1, 2, 2), (1, 2, 2), (1, 1, 1), (0, 0, 0), (0, 0, 0)]}, note="no index")  # fmt: skip
    yield from _pool(64, (24, 24), 32, 2, 2, border=(0,), bench=True, test=False)


CASES = list(_cases())
