"""Cases of the attention family: every way to mask, share heads and lie in an array; rotary positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.reference.attention import attention_forward, grouped, scores_of, views_of
from fastnn.core.layout import strides_of

from .case import FLOATS, Array, Case, Maker, Values

STATE = [0x0123456789ABCDEF, (1 << 32) - 32]
SIZES = ("groups", "keys", "depth", "width")


def _place(shape: Sequence[int], order: str = "bmhd", offset: int = 0, axes: str = "") -> list[int]:
    """Return the place of an array (B, H, M, D) whose axes are in this order; of a mask, `axes` are those whose size is not 1."""
    sizes = dict(zip("bhmd", shape, strict=True))
    own = {axis: sizes[axis] if axis in (axes or order) else 1 for axis in "bhmd"}
    strides = dict(zip(order, strides_of([own[axis] for axis in order]), strict=True))
    return [offset, *(strides[axis] if own[axis] > 1 else 0 for axis in "bhm"), 1 if own["d"] > 1 or not axes else 0]


def _packed(b: int, h: int, g: int, m: int, d: int) -> list[list[int]]:
    """Return the places of q, k and v in one array (b, m, h + 2 g, d)."""
    step = (h + 2 * g) * d
    return [[offset * d, m * step, d, step, 1] for offset in (0, h, h + g)]


class _Sizes:
    """Magnitudes by which errors of a call are measured, as views (B, H, M, keys) and the like."""

    def __init__(self, v: SimpleNamespace) -> None:
        self.v = v
        self.sizes = tuple(getattr(v, name) for name in SIZES)
        absolute = [np.abs(x) for x in (v.q, v.k, v.v, v.bias)]
        _, self.q, self.k, self.values, bias, mask = views_of(np, (v.y, *absolute, v.mask), v.places, v.lse.shape, self.sizes)
        _, q, k, _, signed, _ = views_of(np, (v.y, v.q, v.k, v.v, v.bias, v.mask), v.places, v.lse.shape, self.sizes)
        rest = (v.first, v.window, v.causal)
        self.scores = scores_of(np, q, k, signed, mask, v.lengths, v.starts, v.slopes, *rest, v.scale)
        size = scores_of(np, self.q, self.k, bias, mask, v.lengths, v.starts, -np.abs(v.slopes), *rest, abs(v.scale))
        self.off = v.eps * (6 + np.sqrt(v.depth)) * np.where(np.isfinite(size), size, 0)

    def weights(self, lse: Array) -> Array:
        return np.exp(self.scores - np.where(np.isneginf(lse), 0, lse)[..., None])

    def heads(self, x: Array) -> Array:
        """Repeat keys or values for the heads that share them."""
        return x.repeat(self.v.lse.shape[1] // self.sizes[0], 1)

    def groups(self, x: Array) -> Array:
        """Add up what heads contribute to keys or values."""
        return grouped(x, self.sizes[0]).sum(2)

    def flat(self, like: Array, errors: Array, row: int) -> Array:
        """Return errors where an array has its elements."""
        allowed = np.zeros(like.shape)
        arrays = [allowed if i == row else np.empty(0) for i in range(4)]
        views_of(np, tuple(arrays), self.v.places, self.v.lse.shape, self.sizes)[row][...] = errors
        return allowed


def _forward_error(v: SimpleNamespace, want: Values) -> Values:
    s, n = _Sizes(v), v.keys
    lse = want["lse"]
    p = s.weights(lse)
    off = (p * s.off).sum(-1)
    rough = v.eps * (12 + np.sqrt(n))
    kept = 1 / (1 - min(float(v.rate[0]), 0.99)) if v.rate.size else 1.0
    y = kept * ((p * (s.off + off[..., None] + rough)) @ s.heads(s.values))
    return {"lse": off + rough + 2 * v.eps * np.abs(lse), "y": s.flat(v.y, y, 0)}


def _backward_error(v: SimpleNamespace, want: Values) -> Values:
    s = _Sizes(v)
    dy, y = (np.abs(views_of(np, (x,), v.places, v.lse.shape, s.sizes)[0]) for x in (v.dy, v.y))
    lse = np.where(np.isfinite(v.lse), v.lse, 0)
    p = s.weights(v.lse)
    relative = s.off + v.eps * (12 + np.abs(lse))[..., None]
    kept = 1 / (1 - min(float(v.rate[0]), 0.99)) if v.rate.size else 1.0
    dp = kept * (dy @ s.heads(s.values).swapaxes(-1, -2)) + (dy * y).sum(-1)[..., None]
    ds = abs(v.scale) * p * dp * (relative + v.eps * (6 + np.sqrt(v.width)))
    sums = abs(v.scale) * p * dp * v.eps
    m, n = v.lse.shape[2], v.keys
    over = 4 + np.sqrt(m * v.lse.shape[1] / max(1, v.groups))
    dq = (ds + sums * (4 + np.sqrt(n))) @ s.heads(s.k)
    dk = s.groups((ds + sums * over).swapaxes(-1, -2) @ s.q)
    dv = s.groups(kept * (p * (relative + v.eps * over)).swapaxes(-1, -2) @ dy)
    return {"dq": s.flat(v.dq, dq, 1), "dk": s.flat(v.dk, dk, 2), "dv": s.flat(v.dv, dv, 3)}


def _bools(shape: Sequence[int], share: float) -> Maker:
    return lambda rng, v: rng.random(shape) < share


def _uniform(n: int) -> Maker:
    return lambda rng, v: rng.uniform(-1, 1, n)


def _attention(
    note: str, b: int, h: int, g: int, m: int, n: int, d: int, e: int = 0, *, order: str = "bmhd", packed: bool = False,
    bias: str = "", mask: str = "", seen: float = 0.7, lengths: Sequence[int] = (), starts: Sequence[int] = (),
    slopes: bool = False, rate: float = 0.0, first: int | None = None, window: int = 0, causal: int = 0,
    scale: float | None = None, backward: bool = True, **flags: Any,
) -> Iterable[Case]:  # fmt: skip
    """Yield a call of the forward kernel, and the backward call that belongs to it.

    Args:
        note: tells it apart.
        b, h, g, m, n, d, e: batch, heads, groups, queries, keys, columns of keys and of values.
        order: in which order the axes lie in memory.
        packed: whether q, k and v lie in arrays for all three.
        bias, mask: the axes that these arrays have of "bhmd", where d stands for the keys.
        seen: the share of the mask that is True.
        lengths, starts, slopes, rate, first, window, causal, scale: as the kernel has them; without, they are absent or the
            last query has the position of the last key, and the scale is 1 / sqrt(d).
        backward: whether there is the second case.
    """
    e = e or d
    shapes = [(b, h, m, e), (b, h, m, d), (b, g, n, d), (b, g, n, e)]
    places = [_place(shape, order) for shape in shapes]
    counts = [int(np.prod(shape)) for shape in shapes]
    if packed:
        places[1:4] = _packed(b, h, g, m, d)
        counts[1:4] = [b * m * (h + 2 * g) * d] * 3
    arrays: dict[str, Any] = {"slopes": 0.5 ** np.arange(h), "rate": [rate], "state": STATE, "aux": STATE}
    sizes = {"B": b, "H": h, "M": m, **dict(zip("nprs", counts, strict=True))}
    absent = []
    for letter, name, axes in (("t", "bias", bias), ("u", "mask", mask)):
        own = tuple(n if axis in axes else 1 for axis, n in zip("bhmd", (b, h, m, n), strict=True))
        places.append(_place((b, h, m, n), "bhmd", axes=axes) if axes else [0] * 5)
        sizes[letter] = int(np.prod(own)) if axes else 0
        absent += [name] * (not axes)
    arrays["mask"] = _bools(sizes["u"], seen)
    for name, values in (("lengths", lengths), ("starts", starts)):
        arrays[name] = list(values)
        absent += [name] * (not values)
    absent += [] if slopes else ["slopes"]
    absent += [] if rate else ["aux", "state", "rate"]
    arrays["places"] = places
    scalars = {
        "groups": g, "keys": n, "depth": d, "width": e, "first": n - m if first is None else first, "window": window,
        "causal": causal, "scale": d**-0.5 if scale is None else scale,
    }  # fmt: skip

    def forward(v: Values) -> list[Array]:
        y, lse = np.empty_like(v["dy"]), np.empty((b, h, m), v["dy"].dtype)
        given = [v[name] for name in ("q", "k", "v", "bias", "mask", "lengths", "starts", "slopes", "rate", "places")]
        with np.errstate(all="ignore"):
            attention_forward(np, y, lse, np.empty(2, np.uint64), np.array(STATE, np.uint64), *given, **scalars)
        return [y, lse]

    yield Case("attention_forward", sizes, scalars, absent=tuple(absent), arrays=arrays, error=_forward_error, note=note, **flags)
    if backward:
        made = {"y": lambda rng, v: forward(v)[0], "lse": lambda rng, v: forward(v)[1]}
        made |= {f"d{x}": _uniform(count) for x, count in zip("qkv", counts[1:], strict=True)}
        yield Case(
            "attention_backward",
            sizes,
            scalars,
            absent=tuple(name for name in absent if name != "state"),
            arrays=arrays | made,
            error=_backward_error,
            note=note,
            **{key: value for key, value in flags.items() if key != "grad"},
        )


def _rotary_error(v: SimpleNamespace, want: Values) -> Values:
    return {"y": 4 * v.eps * np.abs(v.x).max(initial=0) * np.abs(v.table).max(initial=1) * np.ones(v.x.shape)}


def _rotary(
    b: int, m: int, h: int, d: int, c: int, heads: int, p: int = 40, halves: int = 1, inverse: int = 0, each: int = 0,
    positions: Maker | None = None, **flags: Any,
) -> Case:  # fmt: skip
    rows = b if each else 1
    return Case(
        "rotary",
        {"B": b, "M": m, "H": h, "D": d, "P": p, "R": 2 * c, "S": rows},
        {"heads": heads, "halves": halves, "inverse": inverse},
        arrays={
            "table": lambda rng, v: (lambda x: np.concatenate([np.cos(x), np.sin(x)], 1))(rng.uniform(-3, 3, (p, c))),
            "positions": positions or (lambda rng, v: rng.integers(0, p, (rows, m))),
        },
        error=_rotary_error,
        **flags,
    )


def _cases() -> Iterable[Case]:
    yield from _attention(
        "everything", 2, 4, 2, 5, 9, 3, 2, bias="bhmd", mask="bhmd", lengths=(9, 6), starts=(3, 2), slopes=True, rate=0.25,
        window=7, causal=1, scale=0.4, grad=True,
    )  # fmt: skip
    yield from _attention("plain", 2, 3, 3, 7, 9, 8, grad=True, edges=True)
    yield from _attention("causal", 2, 2, 1, 5, 5, 4, causal=1, grad=True)
    yield from _attention("one", 1, 1, 1, 1, 1, 1)
    # Tails of tiles and of blocks, of rows, keys and columns.
    for i, (m, n, d, e) in enumerate(((17, 33, 5, 19), (65, 64, 16, 16), (64, 257, 40, 8), (130, 300, 33, 64), (3, 515, 64, 48))):
        yield from _attention(f"tails_{m}x{n}x{d}x{e}", 1, 2, 1 + i % 2, m, n, d, e, causal=i % 2)
    yield from _attention("wide", 1, 1, 1, 10, 20, 300, 270)
    yield from _attention("heads_first", 2, 3, 3, 20, 30, 16, 24, order="bhmd")
    yield from _attention("rows_first", 2, 2, 2, 20, 30, 16, order="mbhd", causal=1)
    yield from _attention("packed", 2, 4, 2, 37, 37, 16, packed=True, causal=1)
    yield from _attention("packed_all", 3, 2, 2, 70, 70, 32, packed=True)
    # One query, as in generation; the last sees all keys.
    yield from _attention("generation", 3, 4, 2, 1, 700, 32, causal=1)
    yield from _attention("generation_starts", 3, 8, 1, 1, 130, 16, starts=(0, 63, 129), causal=1)
    yield from _attention("far_starts", 3, 2, 2, 6, 9, 8, starts=(2**63 - 1, -(2**63), 1 << 48), window=1 << 50, causal=1)
    yield from _attention("prompt", 2, 2, 2, 40, 200, 16, starts=(0, 100), causal=1)
    # Nobody to attend to.
    yield from _attention("no_keys", 2, 2, 1, 3, 0, 4)
    yield from _attention("no_queries", 2, 2, 1, 0, 3, 4)
    yield from _attention("no_samples", 0, 2, 1, 2, 3, 4)
    yield from _attention("no_values", 2, 2, 1, 3, 5, 4, causal=1, first=-2)
    yield from _attention("lengths", 4, 2, 2, 20, 70, 16, lengths=(0, 1, 70, 64))
    yield from _attention("lengths_causal", 3, 2, 2, 20, 20, 16, lengths=(-1, 30, 13), causal=1)
    yield from _attention("blind", 2, 2, 2, 9, 11, 8, mask="bmd", seen=0.1)
    yield from _attention("blind_all", 1, 2, 2, 70, 300, 8, mask="d", seen=0.0)
    for axes in ("bd", "hmd", "bm", "h"):
        yield from _attention(f"mask_{axes}", 2, 3, 3, 11, 13, 8, mask=axes)
        yield from _attention(f"bias_{axes}", 2, 3, 3, 11, 13, 8, bias=axes)
    yield from _attention("window", 1, 2, 2, 300, 300, 16, window=40, causal=1)
    yield from _attention("window_around", 1, 2, 2, 90, 150, 16, window=9)
    yield from _attention("slopes", 2, 4, 4, 33, 40, 16, slopes=True, causal=1)
    yield from _attention("slopes_around", 2, 4, 4, 33, 40, 16, slopes=True, first=0)
    yield from _attention("top_left", 2, 2, 2, 10, 25, 16, first=0, causal=1)
    for rate in (0.1, 1.0):
        yield from _attention(f"rate_{rate}", 2, 2, 1, 70, 150, 16, rate=rate, causal=1)
    yield from _attention("long", 1, 1, 1, 4096, 130, 16, causal=1, dtypes=FLOATS[:1])
    yield from _attention("long_keys", 1, 1, 1, 70, 4096, 16, causal=1, dtypes=FLOATS[:1])
    for size in ((2, 5, 3, 8, 4, 3), (1, 1, 1, 2, 1, 1), (2, 3, 6, 40, 20, 4), (3, 7, 2, 33, 10, 2), (1, 2, 1, 6, 0, 1)):
        for halves in (0, 1):
            yield _rotary(*size, halves=halves, each=halves)
            yield _rotary(*size, halves=halves, inverse=1)
    yield _rotary(0, 3, 2, 4, 2, 2)
    yield _rotary(1, 5, 2, 6, 3, 1, edges=True, note="edges")
    yield _rotary(1, 4, 2, 8, 3, 2, p=5, positions=lambda rng, v: [[-1, 4, 5, 1 << 40]], note="unknown")
    yield from _attention("baby", 12, 4, 4, 64, 64, 32, packed=True, causal=1, bench=True, test=False)
    yield from _attention("far", 4, 8, 8, 1024, 1024, 64, causal=1, bench=True, test=False)
    yield from _attention("generation_bench", 1, 8, 8, 1, 1024, 64, bench=True, test=False, backward=False)
    yield _rotary(4, 1024, 8, 64, 32, 8, p=1024, bench=True, test=False)


CASES = list(_cases())
