"""Cases of the elementwise family: walks of all kinds, in every dtype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.spec import BINARY_OPS, COMPARE_OPS, REDUCE_OPS, SCAN_OPS, STORED, TENSOR_DTYPES

from .case import FLOATS, Case, Values

Shape = tuple[int, ...]


def _strides(shape: Shape, out: Shape) -> list[int]:
    """The strides, counted in elements, with which an array of that shape is walked over a shape that it broadcasts to."""
    walked = np.broadcast_to(np.empty(shape, np.int8), out)
    return [s if n > 1 else 0 for s, n in zip(walked.strides, out, strict=True)]


def _layout(*shapes: Shape) -> tuple[Shape, list[Sequence[int]]]:
    out = np.broadcast_shapes(*shapes)
    return out, [out, *(_strides(s, out) for s in shapes)]


def _size(shape: Shape) -> int:
    return int(np.prod(shape))


def _names(*shapes: Shape) -> str:
    return "_".join("x".join(map(str, s)) or "scalar" for s in shapes)


def _pow_error(v: SimpleNamespace, want: Values) -> Values:
    return {"z": 4 * v.eps * np.abs(want["z"])}


def _binary(op: str, x: Shape, y: Shape, **flags: Any) -> Case:
    out, layout = _layout(x, y)
    sizes = {"n": _size(out), "p": _size(x), "q": _size(y), "R": len(out)}
    spans = {"x": (0.1, 3.0), "y": (0.0, 3.0)} if op == "pow" else {"x": (-9.0, 9.0), "y": (1.0, 9.0)}
    return Case(
        "binary_forward",
        sizes,
        {"op": BINARY_OPS.index(op)},
        spans=spans,
        arrays={"layout": layout},
        error=_pow_error if op == "pow" else None,
        note=f"{_names(x, y)}_{op}",
        **flags,
    )


def _compare(op: str, x: Shape, y: Shape, **flags: Any) -> Case:
    out, layout = _layout(x, y)
    sizes = {"n": _size(out), "p": _size(x), "q": _size(y), "R": len(out)}
    # Floats on a coarse grid, so that some are equal.
    grid = {"x": lambda rng, v: rng.integers(-3, 3, x), "y": lambda rng, v: rng.integers(-3, 3, y), "layout": layout}
    note = f"{_names(x, y)}_{op}"
    return Case("compare_forward", sizes, {"op": COMPARE_OPS.index(op)}, arrays=grid, note=note, **flags)


def _where(c: Shape, x: Shape, y: Shape, **flags: Any) -> Case:
    out, layout = _layout(c, x, y)
    sizes = {"n": _size(out), "p": _size(c), "q": _size(x), "r": _size(y), "R": len(out)}
    return Case("where_forward", sizes, arrays={"layout": layout}, note=_names(c, x, y), **flags)


def _copy(note: str, n: int, p: int, shape: Shape, y: Shape, x: Shape, offsets: tuple[int, int] = (0, 0), **flags: Any) -> Case:
    """A walk of that shape with the strides of y and x; n and p are the sizes of y and x."""
    last = [*offsets, *[0] * (len(shape) - 2)]
    if len(shape) == 1:  # the offsets take two places
        shape, y, x = (1, *shape), (0, *y), (0, *x)
    layout = [shape, y, x, last]
    arrays = {"layout": layout, "y": lambda rng, v: rng.integers(0, 9, n)}  # what is not copied stays
    return Case("strided_copy", {"n": n, "p": p, "R": len(shape)}, arrays=arrays, note=note, **flags)


def _transpose(m: int, n: int, **flags: Any) -> Case:
    return _copy(f"transpose_{m}x{n}", m * n, m * n, (n, m), (m, 1), (1, n), **flags)


BROADCASTS: tuple[tuple[Shape, Shape], ...] = (
    ((0,), (0,)),
    ((0, 3), (1, 3)),
    ((), ()),
    ((1,), (1,)),
    *(((n,), (n,)) for n in (3, 7, 15, 16, 17, 33, 2047, 2049)),
    ((), (17,)),
    ((17,), ()),
    ((5, 17), (17,)),
    ((5, 17), (5, 1)),
    ((5, 1), (1, 17)),
    ((3, 1, 5), (1, 4, 1)),
    ((2, 3, 1, 5, 1), (3, 1, 1, 7)),
    ((70, 65), (65,)),
    ((2, 1200), (2, 1)),
)
COPIES = (
    _copy("all", 17, 17, (17,), (1,), (1,), edges=True),
    _copy("none", 4, 4, (0, 2), (2, 1), (2, 1)),
    _copy("every_other", 9, 18, (9,), (1,), (2,)),
    _copy("backwards", 9, 9, (9,), (1,), (-1,), (0, 8)),
    _copy("into_the_middle", 40, 12, (3, 4), (8, 1), (4, 1), (9, 0)),
    _copy("spread", 33, 1, (33,), (1,), (0,)),
    _copy("column", 35, 5, (5,), (7,), (1,), (3, 0)),
    _copy("swap_three", 210, 210, (5, 6, 7), (42, 7, 1), (7, 35, 1)),
    _copy("rotate_three", 3 * 50 * 40, 3 * 50 * 40, (40, 3, 50), (150, 50, 1), (1, 2000, 40)),
    _copy("swap_and_batch", 3 * 33 * 18, 3 * 33 * 18, (3, 33, 18), (594, 18, 1), (594, 1, 33)),
    *(_transpose(m, n) for m, n in ((1, 5), (15, 17), (16, 16), (17, 15), (33, 65), (130, 70))),
)


def _fill(n: int, value: float, **flags: Any) -> Case:
    return Case("fill", {"n": n}, {"value": value}, **flags)


def _cast(n: int, dtype: str, to: str, **flags: Any) -> Case:
    return Case("cast", {"n": n}, {"to": STORED.index(to)}, dtypes=(dtype,), note=f"{dtype}_{to}", span=(-99.0, 99.0), **flags)


def _cast_beyond(dtype: str, to: str) -> Case:
    """Floats that int64 does not hold, the last ones that it does, and halves of the last bit of a bfloat16."""
    last = float(np.nextafter(np.array(2.0**63, dtype), np.array(0, dtype)))
    x = [np.nan, np.inf, -np.inf, 1e30, -1e30, 2.0**63, -(2.0**63), last, 0.9, -0.9, -2.7, 1 + 2**-8, 1 + 3 * 2**-8, 3.4e38] * 3
    return Case("cast", {"n": len(x)}, {"to": STORED.index(to)}, dtypes=(dtype,), arrays={"x": x}, note=f"{dtype}_{to}_beyond")


def _whole_numbers(op: str) -> Case:
    """Whole numbers of both signs and 0: quotients by 0, powers by numbers below 0, overflow."""
    x, y = (a.reshape(-1) for a in np.meshgrid([-(2**63), -3, -2, -1, 0, 1, 2, 7, 2**63 - 1], np.arange(-4, 5)))
    layout = [x.shape, (1,), (1,)]
    sizes = {"n": x.size, "p": x.size, "q": y.size, "R": 1}
    arrays = {"x": x, "y": y, "layout": layout}
    scalars = {"op": BINARY_OPS.index(op)}
    return Case("binary_forward", sizes, scalars, dtypes=("int64",), arrays=arrays, note=f"whole_{op}")


def _reduce_error(v: SimpleNamespace, want: Values) -> Values:
    if REDUCE_OPS[v.op] in ("max", "min"):
        return {}
    n = v.x.shape[1]
    if REDUCE_OPS[v.op] == "prod":
        return {"y": v.eps * (2 + n) * np.abs(want["y"])}
    size = np.abs(v.x).sum(1) / (n if REDUCE_OPS[v.op] == "mean" else 1)
    return {"y": v.eps * (2 + min(n, 256) ** 0.5 / 2 + np.finfo(np.float64).eps / v.eps * n**0.5) * size}


def _reductions(a: int, b: int, c: int, ops: Iterable[str] = REDUCE_OPS, **flags: Any) -> Iterable[Case]:
    sizes, span = {"A": a, "B": b, "C": c}, (-99.0, 99.0)
    for op in ops:
        error = None if op in ("max", "min") else _reduce_error
        near = (-1.1, 1.1) if op == "prod" and b < 40 else (0.9, 1.1) if op == "prod" else span  # products stay in range
        yield Case("reduce_forward", sizes, {"op": REDUCE_OPS.index(op)}, span=near, error=error, note=op, **flags)
    # On a coarse grid the greatest value is there more than once.
    yield Case("argmax_forward", sizes, arrays={"x": lambda rng, v: rng.integers(-5, 5, (a, b, c))}, **flags)
    yield Case("argmax_forward", sizes, span=span, note="distinct", **flags)


def _scan_error(v: SimpleNamespace, want: Values) -> Values:
    n = v.x.shape[1]
    if SCAN_OPS[v.op] == "prod":
        return {"y": v.eps * (2 + n) * np.abs(want["y"])}
    return {"y": v.eps * (2 + n**0.5) * np.abs(np.where(np.isfinite(v.x), v.x, 0)).sum(1, keepdims=True) + 0 * want["y"]}


def _scans(a: int, b: int, c: int, **flags: Any) -> Iterable[Case]:
    sizes = {"A": a, "B": b, "C": c}
    for op in SCAN_OPS:
        span = (-9.0, 9.0) if op == "sum" else (-1.1, 1.1) if b < 40 else (0.9, 1.1)
        for reverse, exclusive in ((0, 0), (1, 0), (0, 1), (1, 1)):
            scalars = {"op": SCAN_OPS.index(op), "reverse": reverse, "exclusive": exclusive}
            yield Case("cumulate", sizes, scalars, span=span, error=_scan_error, note=op, **flags)


def _sorts(a: int, b: int, c: int, **flags: Any) -> Iterable[Case]:
    for descending in (0, 1):
        # On a coarse grid some are equal.
        arrays = {"x": lambda rng, v: rng.integers(-5, 5, (a, b, c))}
        yield Case("argsort", {"A": a, "B": b, "C": c}, {"descending": descending}, arrays=arrays, **flags)


# A, B, C
SCANS = ((0, 3, 2), (2, 0, 3), (2, 3, 0), (1, 1, 1), (1, 33, 1), (3, 7, 5), (2, 9, 65), (1, 5000, 1), (1, 300, 130))
REDUCTIONS = (
    *((0, 3, 2), (2, 0, 3), (2, 3, 0), (1, 1, 1), (1, 33, 1), (3, 15, 1), (2, 16, 1), (2, 17, 1), (5, 64, 1)),
    *((3, 7, 5), (2, 9, 16), (1, 6, 17), (2, 5, 63), (2, 300, 65), (1, 40, 300)),
    *((1, 5000, 1), (1, 4000, 15), (1, 20000, 1), (3, 9000, 2)),
)

CASES = [
    *(_binary(op, (7, 17), (17,), edges=True) for op in BINARY_OPS),
    *(_compare(op, (7, 17), (17,), edges=True) for op in COMPARE_OPS),
    *(_binary(BINARY_OPS[i % 4], x, y) for i, (x, y) in enumerate(BROADCASTS)),
    *(_binary(BINARY_OPS[4 + i % 3], x, y) for i, (x, y) in enumerate(BROADCASTS)),
    *(_compare(COMPARE_OPS[i % 6], x, y) for i, (x, y) in enumerate(BROADCASTS)),
    *(_where(x, x, y) for x, y in BROADCASTS),
    _where((7, 1), (17,), (7, 17), edges=True),
    _where((17,), (1,), ()),
    *COPIES,
    *(_fill(n, value) for n, value in ((0, 1.0), (1, 0.0), (17, 1.0), (2049, -3.0))),
    *(_cast(n, a, b) for a in STORED for b in STORED for n in ((0, 1, 17, 2049) if {a, b} <= {*TENSOR_DTYPES} else (34,))),
    *(_cast(33, a, b, edges=True) for a in FLOATS for b in STORED if b in TENSOR_DTYPES or a == "float32"),
    *(_cast_beyond(a, b) for a in FLOATS for b in ("int64", "int32", "uint8", "bfloat16")),
    *map(_whole_numbers, BINARY_OPS),
    *(case for shape in REDUCTIONS for case in _reductions(*shape, edges=shape in ((3, 7, 5), (1, 33, 1)))),
    *_reductions(1, 3, 70001, ("sum",)),
    *(case for shape in SCANS for case in _scans(*shape, edges=shape == (3, 7, 5))),
    *(case for shape in SCANS for case in _sorts(*shape, edges=shape == (3, 7, 5))),
    _binary("add", (1 << 20,), (1 << 20,), bench=True, test=False),
    _binary("mul", (512, 1024), (1024,), bench=True, test=False),
    _compare("lt", (1 << 20,), (1 << 20,), bench=True, test=False),
    _where((1 << 20,), (1 << 20,), (1 << 20,), bench=True, test=False),
    _transpose(1024, 1024, bench=True, test=False),
    _fill(1 << 20, 0.0, bench=True, test=False),
    _cast(1 << 20, "float32", "float64", bench=True, test=False),
    *_reductions(1, 1 << 20, 1, ("sum", "max"), bench=True, test=False),
    *_reductions(1024, 1024, 1, ("sum", "max"), bench=True, test=False),
    *_reductions(1, 4000, 256, ("mean",), bench=True, test=False),
    *_scans(256, 1024, 4, bench=True, test=False),
    *_sorts(256, 1024, 4, bench=True, test=False),
]
