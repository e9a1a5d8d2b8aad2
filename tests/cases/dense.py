"""Cases of the dense family: tiles and their neighbours, layers of small networks, and the paths that K and M take."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.spec import LINEAR, Activation, activation

from .activation import FUNCTION, FUNCTIONS, value
from .case import FLOATS, Array, Case, Values

TILES = (1, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65)
EXTREMES = (
    *((0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (1, 300, 7), (2, 1, 129)),
    *((33, 65, 17), (64, 64, 64), (97, 101, 103), (14, 64, 128), (28, 32, 512)),
)
SHAPES: tuple[tuple[int, int, int], ...] = (  # M, N, K
    *((m, 19, 11) for m in TILES),
    *((7, n, 11) for n in TILES),
    *((7, 19, k) for k in TILES),
    *EXTREMES,
)
# A region of packed panels ends at 4096 rows or 2048 columns; M > 512 packs; rows of 4 KiB collide in the cache. Few rows times
# many columns are sums of b's rows, four of them and three of a's at a time, in pieces of 4096 columns.
LARGE = (
    *((4103, 20, 9), (9, 2100, 7), (520, 17, 1030), (20, 1024, 40), (70, 1024, 24), (64, 128, 1100)),
    *((2, 528, 9), (7, 272, 6), (1, 4150, 5)),
)
SPLIT = ((15, 15, 4000), (10, 15, 4000), (3, 2, 1500), (1, 33, 2049), (13, 40, 1024))


def mixed(turn: int) -> tuple[tuple[int, int, int], ...]:
    """Mix the tiles: each stands once for M, once for N and once for K, in other pairs at every turn.

    One kernel has all of SHAPES. Tiles are computed in one way whatever the kernel, so that a mix is enough for the others.
    """
    count = len(TILES)
    return tuple((TILES[i], TILES[(7 * i + turn) % count], TILES[(3 * i + 2 * turn + 1) % count]) for i in range(count))


SCALES = ((1.0, 0.0), (1.0, 1.0), (0.5, 0.0), (-1.5, 0.25))
"""alpha and beta."""
LAYERS = ((32, 15, 400), (32, 15, 15), (32, 10, 15), (4000, 15, 15), (4000, 10, 15), (1, 15, 400))

RELU, TANH, SIGMOID, GELU = (activation(name) for name in ("relu", "tanh", "sigmoid", "gelu"))


SIGNIFICANT = {1: 8, 2: 11}
"""Bits of factors, by precision."""
CUT_OFF = 2.0**-9
"""How much products of tf32 may differ, as GPUs may cut off the bits of both factors that are rounded elsewhere."""


def rounded_factor(a: Array, precision: int) -> Array:
    """To the significant bits of the precision."""
    if not precision:
        return a
    m, e = np.frexp(a)
    bits = SIGNIFICANT[precision]
    return np.ldexp(np.round(np.ldexp(m, bits)), e - bits)


def dot_error(k: int, eps: float, precision: int) -> float:
    """The error of a sum of k products, in units of the sum of their absolute values."""
    return eps * (2 + math.sqrt(k) / 2) + (CUT_OFF if precision == 2 else 0)


def _matmul_error(v: SimpleNamespace, want: Values, ta: bool, tb: bool) -> Values:
    a, b = np.abs(v.a.T if ta else v.a), np.abs(v.b.T if tb else v.b)
    scale = abs(v.alpha) * (a @ b) * dot_error(a.shape[1], v.eps, v.precision)
    return {"c": scale + 2 * v.eps * abs(v.beta) * np.abs(v.c) if v.beta else scale}


def _matmul(name: str, m: int, n: int, k: int, alpha: float = 1.0, beta: float = 0.0, precision: int = 0, **flags: Any) -> Case:
    ta, tb = name[-2] == "t", name[-1] == "t"
    arrays = {} if beta else {"c": lambda rng, v: np.full((m, n), np.nan)}
    return Case(
        name,
        {"M": m, "N": n, "K": k},
        {"alpha": alpha, "beta": beta, "precision": precision},
        arrays=arrays,
        error=lambda v, want: _matmul_error(v, want, ta, tb),
        **flags,
    )


def _matmuls() -> Iterable[Case]:
    for turn, name in enumerate(("matmul_nn", "matmul_nt", "matmul_tn")):
        first = name == "matmul_nn"
        for i, shape in enumerate(SHAPES if first else (*mixed(turn), *EXTREMES)):
            yield _matmul(name, *shape, *SCALES[i % len(SCALES)], edges=shape == (33, 65, 17))
        for i, shape in enumerate((*LARGE, *SPLIT)):
            yield _matmul(name, *shape, *SCALES[(i + turn) % len(SCALES)], dtypes=FLOATS if first else ("float32",))
        yield _matmul(name, 15, 15, 4000, -1.5, 0.25, note="split")
        for n in (64, 512):
            yield _matmul(name, n, n, n, bench=True, test=False)
    yield _matmul("matmul_nn", 1024, 1024, 1024, bench=True, test=False)


def _spans(act: Activation) -> dict[str, tuple[float, float]]:
    """Values of x, w and b for which act is smooth at x w + b."""
    positive = FUNCTION[act].low > -1  # log and its kin
    low, high = (0.1, 1.0) if positive else (-1.0, 1.0)
    return {"x": (low, high), "w": (low, high), "b": (low, high)}


def _forward_error(v: SimpleNamespace, want: Values) -> Values:
    x, w = (rounded_factor(a, v.precision) for a in (v.x, v.w))
    z = x @ w + (v.b if v.b.size else 0)
    # The bias is what the sums begin with.
    off = dot_error(v.x.shape[1], v.eps, v.precision) * (np.abs(v.x) @ np.abs(v.w) + (np.abs(v.b) if v.b.size else 0))
    y = want["y"]
    moved = np.fmax(np.abs(value(z - off, v.act) - y), np.abs(value(z + off, v.act) - y))
    return {"y": moved + FUNCTION[v.act].error(z, y, v.eps), "aux": off if want["aux"].size else 0}


def _forward(
    m: int,
    n: int,
    k: int,
    act: Activation,
    bias: bool = True,
    aux: bool | None = None,
    precision: int = 0,
    **flags: Any,
) -> Case:
    aux = act.saves_z if aux is None else aux
    return Case(
        "dense_forward",
        {"M": m, "N": n, "K": k, "L": m * n},
        {"act": act, "precision": precision},
        absent=(*(() if aux else ("aux",)), *(() if bias else ("b",))),
        spans=_spans(act),
        shapes={"aux": (m, n)},
        error=_forward_error,
        **flags,
    )


def _z(rng: np.random.Generator, v: Values) -> Array:
    with np.errstate(all="ignore"):  # what BLAS reports depends on the CPU, even for plain numbers
        result: Array = v["x"] @ v["w"]
    return result


def _backward_error(v: SimpleNamespace, want: Values) -> Values:
    linear = v.act.id == LINEAR.id
    dz = v.dy if linear else want["dz"]
    off = np.zeros_like(v.dy) if linear else FUNCTION[v.act].slope_error(v.dy, dz, v.eps, v.aux)
    size, eps = np.abs(dz), v.eps
    (m, n), errors = dz.shape, {}
    if not linear:
        errors["dz"] = off
    if v.dx.size:
        errors["dx"] = (off + dot_error(n, eps, v.precision) * size) @ np.abs(v.w.T)
    if v.dw.size:
        errors["dw"] = np.abs(v.x.T) @ (off + dot_error(m, eps, v.precision) * size) + 2 * eps * np.abs(want["dw"])
    if v.db.size:
        errors["db"] = (off + dot_error(m, eps, 0) * size).sum(0) + 2 * eps * np.abs(want["db"])
    return errors


GRADIENTS = {"dx": 0, "dw": 2, "db": 4}
"""The gradients of a layer, and the bits of the mask that add them; dx is never added."""
ADD = 2 | 4
WANTED = [
    (wanted, mask)
    for n in range(4)
    for wanted in combinations(GRADIENTS, n)
    for mask in (0, 2, 4, 6)
    if not mask & ~sum(GRADIENTS[name] for name in wanted)
]
"""Every choice of gradients, with every mask of those that are wanted."""


def _backward(
    m: int,
    n: int,
    k: int,
    act: Activation,
    add: int = 0,
    wanted: tuple[str, ...] = tuple(GRADIENTS),
    precision: int = 0,
    **flags: Any,
) -> Case:
    def before(name: str, shape: tuple[int, ...]) -> Any:
        """What is set holds NaN before the call; what is added to, numbers."""
        return (lambda rng, v: rng.uniform(-2, 2, shape)) if add & GRADIENTS[name] else np.full(shape, np.nan)

    linear = act.id == LINEAR.id
    arrays = {
        "dx": before("dx", (m, k)),
        "dw": before("dw", (k, n)),
        "db": before("db", (n,)),
        "aux": _z,
        "y": lambda rng, v: value(_z(rng, v), act),
    }
    return Case(
        "dense_backward",
        {"M": m, "N": n, "K": k, "L": m * n},
        {"act": act, "add": add, "precision": precision},
        absent=(
            *(name for name in GRADIENTS if name not in wanted),
            *(("dz",) if linear else ()),
            *(() if act.saves_z else ("aux",)),
        ),
        spans=_spans(act),
        shapes={"aux": (m, n)},
        arrays=arrays,
        error=_backward_error,
        **flags,
    )


def _of_nets(one: Case, nets: int, shared: bool, **flags: Any) -> Case:
    """Return the call for many nets whose layers each have the sizes of a case for one."""
    sizes = one.sizes

    def of_one(v: Values, net: int) -> Values:
        return {
            name: a[0 if name == "x" and shared else net] if isinstance(a, np.ndarray) and a.ndim > 1 else a
            for name, a in v.items()
        }

    def made(name: str, maker: Any) -> Any:
        def of_nets(rng: np.random.Generator, v: Values) -> Any:
            return np.array([maker(rng, of_one(v, net)) if callable(maker) else maker for net in range(nets)])

        return of_nets

    def error(v: SimpleNamespace, want: Values) -> Values:
        assert callable(one.error)
        given = vars(v)
        errors = [one.error(SimpleNamespace(**of_one(given, net)), of_one(want, net)) for net in range(nets)]
        there = [name for name in errors[0] if want[name].ndim > 1]
        return {name: np.array([np.broadcast_to(e[name], want[name].shape[1:]) for e in errors]) for name in there}

    return replace(
        one,
        kernel=one.kernel.replace("dense", "dense_nets"),
        sizes={"G": nets, "S": 1 if shared else nets, **sizes, "L": nets * sizes["M"] * sizes["N"]},
        shapes={"aux": (nets, *one.shapes["aux"])},
        arrays={name: made(name, maker) for name, maker in one.arrays.items()},
        error=error,
        note=one.note or "nets",
        **flags,
    )


FEW = (RELU, LINEAR, TANH, SIGMOID, GELU)
"""Functions that stand for all: the function of a layer is that of the activation family."""


def _layers() -> Iterable[Case]:
    for i, (to, back) in enumerate(zip(mixed(3), mixed(4), strict=True)):
        yield _forward(*to, FEW[i % len(FEW)], bias=i % 3 > 0)
        yield _backward(*back, FEW[i % len(FEW)], 0 if i % 2 else ADD)
    for i, shape in enumerate((*EXTREMES, *LARGE, *SPLIT)):
        act, dtypes = FEW[i % len(FEW)], ("float32",) if shape in (*LARGE, *SPLIT) else FLOATS
        yield _forward(*shape, act, bias=i % 3 > 0, dtypes=dtypes)
        yield _backward(*shape, act, 0 if i % 2 else ADD, dtypes=dtypes)
    for shape in ((1, 300, 7), (7, 272, 6)):
        yield _forward(*shape, RELU, note="few rows")
    for shape in LAYERS:
        for act in (RELU, LINEAR):
            yield _forward(*shape, act, note="layer", bench=shape[0] == 32 and act is RELU)
            yield _backward(*shape, act, note="layer", bench=shape[0] == 32 and act is RELU)
    for i, act in enumerate(FEW):
        yield _forward(17, 33, 9, act, edges=True, grad=True, note="few")
        yield _forward(17, 33, 9, act, bias=False, aux=not act.saves_z, note="other_aux")
        yield _forward(4, 3, 1100, act, aux=i % 2 == 0, note="split")
        yield _backward(17, 33, 9, act, edges=True, note="few")
    for act in {f.act.id: f.act for f in FUNCTIONS}.values():
        # In place, as in a model that is not trained; the activation family has them from one array to another.
        yield _forward(17, 33, 9, act, aux=False, note="function", dtypes=("float32",))
        yield _backward(17, 33, 9, act, note="function")
    for wanted, add in WANTED:
        for act in (RELU, LINEAR):
            yield _backward(9, 17, 5, act, add, wanted, note="wanted")
    yield _backward(130, 1100, 3, TANH, note="db in pieces")
    for shape in ((128, 512, 784), (128, 512, 512)):
        yield _forward(*shape, RELU, bench=True, test=False)
        yield _backward(*shape, RELU, bench=True, test=False)
    yield _forward(1, 1024, 1024, RELU, bench=True, test=False)


def _nets() -> Iterable[Case]:
    """Layers of many nets: with one input or their own, few enough for a worker each or so large that all share each."""
    for i, (m, n, k) in enumerate(((9, 17, 5), (1, 1, 1), (0, 3, 4), (3, 0, 4), (3, 4, 0), (33, 65, 17), (70, 16, 24))):
        for j, act in enumerate((FEW[i % 4], LINEAR, GELU)):
            nets, shared, some = (5, 1, 3)[(i + j) % 3], (i + j) % 2 == 0, (i + j) % 4 < 2
            yield _of_nets(_forward(m, n, k, act, bias=some), nets, shared)
            yield _of_nets(_backward(m, n, k, act, 0 if some else ADD), nets, shared)
    yield _of_nets(_forward(17, 33, 9, GELU, edges=True, grad=True, note="few"), 3, False)
    yield _of_nets(_forward(17, 33, 9, TANH, edges=True, note="few"), 3, True)
    yield _of_nets(_backward(17, 33, 9, RELU, edges=True, note="few"), 3, True)
    for wanted, add in WANTED:
        yield _of_nets(_backward(9, 17, 5, RELU, add, wanted, note="wanted"), 3, True)
    for shared in (False, True):  # the workers share each net
        yield _of_nets(_forward(150, 130, 140, TANH, dtypes=("float32",)), 2, shared)
        yield _of_nets(_backward(150, 130, 140, TANH, ADD, dtypes=("float32",)), 2, shared)
    yield _of_nets(_forward(9, 17, 5, RELU, precision=1), 3, True)
    yield _of_nets(_backward(9, 17, 5, RELU, precision=1), 3, True)
    yield _of_nets(_forward(32, 64, 64, RELU), 32, False, bench=True, test=False)
    yield _of_nets(_backward(32, 64, 64, RELU), 32, False, bench=True, test=False)


def _bfloat16() -> Iterable[Case]:
    """Factors rounded to bfloat16: pairs of steps of K and their rests, blocks of K, the slopes that need no rounding of dz."""
    names = ("matmul_nn", "matmul_nt", "matmul_tn")
    for turn, name in enumerate(names):
        for i, shape in enumerate(mixed(5 + turn)):
            yield _matmul(name, *shape, *SCALES[i % len(SCALES)], precision=1)
        yield _matmul(name, 33, 65, 17, precision=1, edges=True)
    for i, shape in enumerate((*EXTREMES[:6], *EXTREMES[7:], *LARGE, (3, 2, 1500), (40, 70, 2051))):
        blocks = shape[2] > 1000  # of K
        for name in names if blocks else (names[i % 3],):
            yield _matmul(name, *shape, *SCALES[i % len(SCALES)], precision=1, dtypes=("float32",) if blocks else FLOATS)
    for i, shape in enumerate(((9, 17, 5), (64, 64, 64), (130, 70, 33), (3, 40, 1101))):
        for act in (RELU, LINEAR):
            yield _forward(*shape, act, bias=i % 2 == 0, precision=1)
            yield _backward(*shape, act, 0 if i % 2 else ADD, precision=1)
    yield _forward(17, 33, 9, GELU, precision=1)
    yield _forward(128, 512, 512, RELU, bench=True, test=False, precision=1)
    yield _backward(128, 512, 512, RELU, bench=True, test=False, precision=1)


def _tf32() -> Iterable[Case]:
    """Factors rounded to 11 significant bits, by backends that have it."""
    for i, shape in enumerate(((1, 1, 1), (33, 65, 17), (64, 64, 64), (3, 2, 1500))):
        for name in ("matmul_nn", "matmul_nt", "matmul_tn"):
            yield _matmul(name, *shape, *SCALES[i % len(SCALES)], precision=2, edges=shape == (33, 65, 17))
    for act in (RELU, LINEAR, GELU):
        yield _forward(17, 33, 9, act, precision=2)
        yield _backward(130, 70, 33, act, precision=2)


CASES = [*_matmuls(), *_layers(), *_nets(), *_bfloat16(), *_tf32()]
