"""Cases of the normalization family: batch, instance, group, layer and RMS norm, with and without scale and averages."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.spec import activation

from .case import FLOATS, Case, Values

GRADIENTS = {"dx": 0, "dgamma": 2, "dbeta": 4}
"""The gradients, and the bits of the mask that add them; dx is never added."""


def _forward_error(v: SimpleNamespace, want: Values) -> Values:
    n, eps = v.x.shape[1] * v.x.shape[3], v.eps
    rough = eps * (4 + np.sqrt(n))
    mean, rstd = want["mean"], want["rstd"]
    size = np.abs(v.x).mean((1, 3))  # of the numbers whose sums are taken
    off_mean = rough * size
    off_rstd = rough * rstd * (2 + (off_mean * rstd) ** 2 + size * rstd)
    scale = np.abs(v.gamma) if v.gamma.size else np.ones((1, 1))
    normal = np.abs(v.x - mean[:, None, :, None]) * rstd[:, None, :, None]
    moved = off_mean * rstd + 2 * eps * size * rstd
    y = (moved[:, None, :, None] + normal * (off_rstd / rstd)[:, None, :, None] + 4 * eps * normal) * scale
    variance = 1 / rstd**2
    errors = {"mean": off_mean, "rstd": off_rstd, "y": y + 2 * eps * np.abs(want["y"])}
    if v.running_mean.size:
        errors["running_mean"] = off_mean[0] + 2 * eps * np.abs(v.running_mean)
    if v.running_var.size:
        errors["running_var"] = 4 * (off_rstd / rstd * variance)[0] * (n / max(1, n - 1)) + 2 * eps * np.abs(v.running_var)
    return errors


def _backward_error(v: SimpleNamespace, want: Values) -> Values:
    n, rows, eps = v.x.shape[1] * v.x.shape[3], v.x.shape[0] * v.x.shape[1], v.eps
    scale = np.abs(v.rstd)[:, None, :, None]
    normal = (np.abs(v.x) + np.abs(v.mean)[:, None, :, None]) * scale
    dy = np.abs(v.dy)
    errors: Values = {}
    if v.dx.size:
        slope = dy * np.abs(v.gamma) if v.gamma.size else dy
        sums = slope.mean((1, 3), keepdims=True) + normal * (slope * normal).mean((1, 3), keepdims=True)
        errors["dx"] = eps * (6 + np.sqrt(n)) * scale * (slope + sums)
    for name, terms in (("dgamma", dy * normal), ("dbeta", dy)):
        if getattr(v, name).size:
            errors[name] = eps * (6 + np.sqrt(rows)) * terms.sum((0, 1)) + 2 * eps * np.abs(want[name])
    return errors


def _sizes(a: int, b: int, c: int, d: int) -> dict[str, int]:
    return {"A": a, "B": b, "C": c, "D": d}


def _forward(
    a: int,
    b: int,
    c: int,
    d: int,
    absent: tuple[str, ...] = (),
    center: int = 1,
    momentum: float = 0.1,
    unbiased: int = 1,
    relu: int = 0,
    **flags: Any,
) -> Case:
    absent = (*absent, *(() if a == 1 else ("running_mean", "running_var")))
    return Case(
        "norm_forward",
        _sizes(a, b, c, d),
        {"epsilon": 1e-3, "momentum": momentum, "unbiased": unbiased, "center": center, "relu": relu},
        absent=tuple(dict.fromkeys(absent)),
        arrays={"running_var": lambda rng, v: rng.uniform(0.5, 2, c), "running_mean": lambda rng, v: rng.uniform(-1, 1, c)},
        error=_forward_error,
        **flags,
    )


def _backward(
    a: int, b: int, c: int, d: int, add: int = 0, wanted: Iterable[str] = tuple(GRADIENTS), center: int = 1, gamma: bool = True,
    relu: bool = False, **flags: Any,
) -> Case:  # fmt: skip
    def before(name: str) -> Any:
        shape = (a, b, c, d) if name == "dx" else (c, d)
        return (lambda rng, v: rng.uniform(-2, 2, shape)) if add & GRADIENTS[name] else np.full(shape, np.nan)

    return Case(
        "norm_backward",
        _sizes(a, b, c, d),
        {"center": center, "relu": int(relu), "add": add},
        absent=(*(name for name in GRADIENTS if name not in wanted), *(() if gamma else ("gamma",)), *(() if relu else ("y",))),
        arrays={
            **{name: before(name) for name in GRADIENTS},
            "mean": lambda rng, v: v["x"].mean((1, 3)) if center else np.zeros((a, c)),
            "rstd": lambda rng, v: rng.uniform(0.5, 1.5, (a, c)),
        },
        error=_backward_error,
        **flags,
    )


def _fold_error(v: SimpleNamespace, want: Values) -> Values:
    eps, scale = v.eps, np.abs(want["scale"])
    moved = np.abs(v.mean) + (np.abs(v.bias) if v.bias.size else 0)
    return {"scale": 4 * eps * scale, "shift": eps * (6 * moved * scale + 2 * (np.abs(v.beta) if v.beta.size else 0))}


def _fold(c: int, *absent: str) -> Case:
    arrays = {"var": lambda rng, v: rng.uniform(0.5, 2, c)}
    return Case("norm_fold", {"C": c}, {"epsilon": 1e-3}, absent=absent, arrays=arrays, error=_fold_error)


def _apply_error(v: SimpleNamespace, want: Values) -> Values:
    terms = np.abs(v.x * v.scale) + (np.abs(v.shift) if v.shift.size else 0)
    return {"y": 4 * v.eps * (terms + np.abs(want["y"]))}  # the slopes of the functions here are at most 1.1


def _apply(a: int, c: int, name: str = "linear", absent: tuple[str, ...] = (), **flags: Any) -> Case:
    return Case("norm_apply", {"A": a, "C": c}, {"act": activation(name)}, absent=absent, error=_apply_error, **flags)


SHAPES = (
    *((1, 40, 19, 1), (1, 300, 64, 1), (1, 2, 5, 1), (1, 1, 3, 1), (1, 513, 1, 1)),  # batch norm
    *((3, 12, 17, 1), (2, 1, 4, 1)),  # instance norm
    *((2, 9, 3, 4), (3, 20, 2, 16)),  # group norm
    *((7, 1, 1, 33), (1, 1, 1, 5), (70, 1, 1, 129)),  # layer norm
)
NO_AVERAGES = ("running_mean", "running_var")
WANTED = [
    (wanted, mask)
    for n in range(4)
    for wanted in combinations(GRADIENTS, n)
    for mask in (0, 2, 4, 6)
    if not mask & ~sum(GRADIENTS[name] for name in wanted)
]


def _cases() -> Iterable[Case]:
    for i, shape in enumerate(SHAPES):
        yield _forward(*shape, momentum=0.25 if i % 2 else 0.01, unbiased=int(i % 3 > 0), relu=i % 2)
        yield _forward(*shape, absent=(*NO_AVERAGES, "gamma") if i % 2 else (*NO_AVERAGES, "gamma", "beta"), note="plain")
        yield _backward(*shape, add=0 if i % 2 else 6, gamma=i % 3 > 0, relu=i % 4 > 1)
    for shape in ((9, 1, 1, 40), (3, 5, 2, 8), (2, 7, 3, 1)):
        yield _forward(*shape, center=0, note="rms")
        yield _backward(*shape, center=0, note="rms")
    for shape in ((2, 5, 4, 3), (2, 6, 5, 1)):
        yield _forward(*shape, edges=True, grad=True, note="edges")
        yield _forward(*shape, relu=1, edges=True, grad=True, note="edges")
        # With D = 1, gamma is taken out of sums: infinity times a sum is not the sum of infinities.
        yield _backward(*shape, gamma=shape[3] > 1, edges=True, note="edges")
    for wanted, add in WANTED:
        for shape in ((2, 5, 9, 1), (5, 2, 2, 9)):
            yield _backward(*shape, add=add, wanted=wanted, note="wanted")
    yield _forward(0, 1, 1, 4, dtypes=FLOATS, note="none")
    yield _backward(0, 1, 1, 4, note="none")
    for i, absent in enumerate(((), ("gamma",), ("beta",), ("bias",), ("gamma", "beta", "bias"))):
        yield _fold((1, 5, 16, 33, 130)[i], *absent)
    for a, c in ((1, 1), (3, 5), (7, 16), (300, 19), (2, 130)):
        for name in ("linear", "relu", "silu"):
            yield _apply(a, c, name, absent=("shift",) if a == 7 else ())
    yield _apply(5, 9, "relu", edges=True, note="edges")
    yield _apply(0, 4)
    yield _apply(12544, 64, "relu", bench=True, test=False)
    for shape in ((1, 12544, 64, 1), (4096, 1, 1, 384)):
        yield _forward(*shape, bench=True, test=False)
        yield _backward(*shape, bench=True, test=False)


CASES = list(_cases())
