"""Cases of the recurrent family: both orders of rows, lengths, masks, initial states, projections, and one or many sequences."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.spec import activation

from .case import Case, Values

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
HOW = [(b, r, n, (b + r + n) % 2) for b in (0, 1) for r in (0, 1) for n in (0, 1)]
"""Order of the rows, direction, whether there are lengths, and whether there are a mask and initial states: all pairs."""


def _error(v: SimpleNamespace, want: Values) -> Values:
    """Compute the errors of a product at each step, which the next steps pass on; states and gates are about 1."""
    steps = len(v.x if hasattr(v, "x") else v.dx) // max(1, len(v.h if hasattr(v, "h") else v.dh0))
    terms = np.sqrt(v.u.size) * 2
    out: Values = {}
    for name, w in want.items():
        out[name] = v.eps * (16 + terms) * (1 + steps) * (1 + np.abs(w))
    return out


def _lengths(rng: np.random.Generator, values: Values, n: int, steps: int) -> Any:
    return rng.permutation(np.resize([steps, 0, 1, steps + 3, -1, max(steps - 1, 0)], n))


def _case(
    kind: str, way: str, n: int, steps: int, h: int, how: tuple[int, int, int, int] = (1, 0, 0, 0), p: int = 0,
    without: tuple[str, ...] = (), scalars: dict[str, Any] | None = None, **flags: Any,
) -> Case:  # fmt: skip
    batch_first, reverse, lengths, more = how
    kernel, columns = f"{kind}_{way}", p or h
    sizes = {"R": n * steps, "N": n, "H": h} | ({"P": columns} if kind == "lstm" else {})
    forward = way == "forward"
    absent = [*without, *(() if lengths else ("lengths",)), *(() if more else ("mask",))]
    if kind != "rnn" or forward:
        states = {"rnn": ("h0",), "gru": ("h0",), "lstm": ("h0", "c0")}[kind]
        absent += [] if more else [s for s in states if forward or s != "h0" or kind == "gru"]
    if kind == "lstm" and not p:
        absent += ["projection", "hidden" if forward else "dz"]
    if kind == "gru" and not (scalars or {}).get("reset_after", 1):
        absent += ["bu" if forward else "dv"]
    given = {**({"act": activation("tanh")} if kind == "rnn" else {}), **(scalars or {})}
    if kind == "gru":
        given = {"reset_after": 1, "order": 0, **given}
    scale = 1.5 / np.sqrt(columns)
    arrays = {"lengths": lambda rng, v: _lengths(rng, v, n, steps)}
    gates = (0.02, 0.98) if kind != "rnn" else (-0.9, 0.9)
    return Case(
        kernel,
        sizes,
        {**given, "batch_first": batch_first, "reverse": reverse},
        absent=tuple(dict.fromkeys(absent)),
        spans={"u": (-scale, scale), "mask": (0.0, 2.0), "projection": (-scale, scale), "y": (-0.9, 0.9), "gates": gates},
        arrays=arrays,
        error=_error,
        **flags,
    )


def _cases() -> Iterable[Case]:
    sizes = ((3, 5, 4), (1, 7, 17), (9, 3, 33), (6, 4, 1), (2, 2, 64), (1, 1, 40), (13, 2, 16), (7, 6, 20))
    for i, how in enumerate(HOW):
        for way in ("forward", "backward"):
            for j, kind in enumerate(GATES):
                n, steps, h = sizes[(i + 3 * j) % len(sizes)]
                scalars: dict[str, Any] = {}
                if kind == "rnn":
                    scalars = {"act": activation(("tanh", "relu")[i % 2])}
                if kind == "gru":
                    scalars = {"reset_after": i % 2 ^ 1, "order": i // 2 % 2}
                name = f"of_{n}"
                yield _case(kind, way, n, steps, h, how, scalars=scalars, grad=way == "forward" and n < 9 and h < 40, note=name)
                if kind == "lstm" and i % 4 == 1:
                    yield _case(kind, way, n, steps, h, how, p=1 + h // 2, grad=way == "forward" and h < 40, note=name)
                if kind == "gru":
                    scalars["reset_after"] ^= 1
                    yield _case(kind, way, n, steps, h, how, scalars=scalars, grad=way == "forward" and h < 40, note=name)
    left = {
        "rnn": (("before",), ("dy",), ("dh",), ("dy", "dh")),
        "lstm": (("gates", "cells", "before"), ("dy",), ("dh", "dc"), ("dy", "dh", "dc")),
        "gru": (("gates", "inner", "before"), ("dy",), ("dh",), ("dy", "dh")),
    }
    for kind, (inference, *upstream) in left.items():
        for n, steps, h in ((3, 4, 19), (1, 1, 33), (20, 8, 40), (1, 40, 16)):
            yield _case(kind, "forward", n, steps, h, without=inference, note=f"inference_{n}")
        for without in upstream:
            yield _case(kind, "backward", 4, 3, 9, (1, 0, 1, 1), without=without, note="upstream")
        for n, steps, h in ((0, 0, 4), (3, 0, 4)):
            for way in ("forward", "backward"):
                yield _case(kind, way, n, steps, h, (1, 0, 0, 1), note="none")
        for way in ("forward", "backward"):
            yield _case(kind, way, 3, 4, 6, (1, 1, 1, 1), edges=True, note="edges")
    yield _case("gru", "forward", 3, 4, 6, (1, 1, 1, 1), scalars={"reset_after": 0}, edges=True, note="edges")
    yield _case("gru", "forward", 5, 4, 19, without=("bu",), note="no_bias")
    yield _case("gru", "forward", 20, 8, 40, without=("before",), scalars={"reset_after": 0}, note="inference_before")
    for way in ("forward", "backward"):
        yield _case("lstm", way, 40, 4, 72, p=40, note="large")
        for kind in GATES:
            yield _case(kind, way, 40, 4, 40, (0, 0, 0, 0), note="large")
            yield _case(kind, way, 2, 4, 520 if kind == "rnn" else 136, (0, 0, 0, 0), note="wide")
            yield _case(kind, way, 32, 64, 256, (0, 0, 0, 0), bench=True, test=False)
            yield _case(kind, way, 1, 64, 256, (0, 0, 0, 0), bench=True, test=False)


CASES = list(_cases())
