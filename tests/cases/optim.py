"""Cases of the optim family: every rule of each optimizer, on buffers that end inside of a vector."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.spec import KERNELS

from .case import Array, Case, Values

LENGTHS = (0, 1, 7, 15, 16, 17, 63, 65, 2047, 2049, 4133)
SPANS = {"v": (0.0, 1.0), "m": (-0.5, 0.5), "w": (-1.0, 1.0)}

# lr, momentum, dampening, nesterov, weight_decay, decoupled; and the step
SGD: dict[str, tuple[tuple[float, ...], int]] = {
    "plain": ((0.1, 0, 0, 0, 0, 0), 1),
    "decay": ((0.1, 0, 0, 0, 0.01, 0), 3),
    "decoupled": ((0.1, 0, 0, 0, 0.01, 1), 3),
    "first": ((0.1, 0.9, 0.5, 0, 0, 0), 1),
    "momentum": ((0.1, 0.9, 0, 0, 0, 0), 2),
    "dampening": ((0.1, 0.9, 0.25, 0, 0.02, 0), 7),
    "nesterov": ((0.1, 0.9, 0, 1, 0.02, 1), 5),
    "nesterov_first": ((0.1, 0.9, 0, 1, 0, 0), 1),
}
# lr, beta1, beta2, eps, weight_decay, decoupled
ADAM: dict[str, tuple[tuple[float, ...], int]] = {
    "first": ((1e-3, 0.9, 0.999, 1e-8, 0, 0), 1),
    "later": ((1e-3, 0.9, 0.999, 1e-7, 0, 0), 1000),
    "decay": ((1e-2, 0.9, 0.99, 1e-8, 0.1, 0), 3),
    "decoupled": ((1e-2, 0.8, 0.99, 1e-8, 0.1, 1), 3),
    "no_eps": ((1e-2, 0.9, 0.99, 0, 0, 0), 9),
}
SETTLED: dict[str, tuple[str, ...]] = {
    "sgd_step": ("v",),
    "ema_step": ("average",),
    "lerp": ("x",),
    "muon_momentum": ("b",),
    "rmsprop_step": ("mean", "b"),
    **dict.fromkeys(("adam_step", "amsgrad_step", "radam_step", "adamax_step", "nadam_step"), ("m",)),
}
"""Averages that are stored as 0 where they are small."""
HELD: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("adam_step", "radam_step", "nadam_step", "rmsprop_step", "schedule_free_step"), ("v",)),
    "amsgrad_step": ("v", "top"),
    "adamax_step": ("u",),
    "adagrad_step": ("s",),
    "adadelta_step": ("v", "u"),
}
"""Averages of squares and maxima, which are not below a bound."""
LION: dict[str, tuple[str, ...]] = {"lion_step": ("m",)}
"""Average whose sign is the step: it is 0, or its magnitude is not below that bound."""


def _gradient(v: SimpleNamespace) -> tuple[Array, Array]:
    """The gradient after weight decay, and the size of what it is added up from."""
    decay, decoupled = v.hyper[-2:]
    if not decay or decoupled:
        return v.dw, np.abs(v.dw)
    return v.dw + decay * v.w, np.abs(v.dw) + np.abs(decay * v.w)


def _sgd(v: SimpleNamespace, want: Values) -> Values:
    lr, momentum = v.hyper[:2]
    g = _gradient(v)[1]
    size = g + (1 + momentum) * (np.abs(momentum * v.v) + g) if v.v.size else g
    errors = {"w": v.eps * (3 * np.abs(v.w) + 6 * lr * size)}
    return errors | ({"v": v.eps * 4 * (np.abs(momentum * v.v) + g)} if v.v.size else {})


def _adam(v: SimpleNamespace, want: Values) -> Values:
    lr, beta1, beta2, eps = v.hyper[:4]
    t = int(v.step[0])
    g, size = _gradient(v)
    m = beta1 * np.abs(v.m) + (1 - beta1) * size
    # g^2 has twice the relative error of g, which weight decay can make large.
    errors = {"m": 4 * v.eps * m, "v": v.eps * (4 * np.abs(want["v"]) + 4 * (1 - beta2) * np.abs(g) * size)}
    root = np.sqrt(want["v"] / (1 - beta2**t)) + eps
    off = errors["v"] / np.maximum(want["v"], np.finfo(np.float32).tiny)  # relative
    return errors | {"w": v.eps * 3 * np.abs(v.w) + lr / (1 - beta1**t) * m / root * (10 * v.eps + off)}


def _steps(n: int, sgd: Iterable[str] = SGD, adam: Iterable[str] = ADAM, **flags: Any) -> Iterable[Case]:
    for rules, kernel, names, error in ((SGD, "sgd_step", sgd, _sgd), (ADAM, "adam_step", adam, _adam)):
        for name in names:
            hyper, step = rules[name]
            absent = ("v",) if kernel == "sgd_step" and not hyper[1] else ()
            arrays = {"hyper": hyper, "step": [step] * 3}
            yield Case(kernel, {"n": n, "P": 3}, absent=absent, spans=SPANS, arrays=arrays, error=error, note=name, **flags)


def _adam_of_rows(v: SimpleNamespace, want: Values) -> Values:
    """Return the errors of Adam from the gradients of touched rows; rows that were not seen only have weight decay."""
    errors = _adam(SimpleNamespace(**{**vars(v), "dw": np.where(v.touched[:, None], v.dw, 0)}), want)
    small, least = (float(np.float32(x)) for x in (1e-30, 1e-36))  # what is smaller is stored as 0, or as the least square
    return {**errors, "m": errors["m"] + small, "v": errors["v"] + least}


def _sparse_adam(v: SimpleNamespace, want: Values) -> Values:
    return _adam(SimpleNamespace(**{**vars(v), "hyper": [*v.hyper, 0.0, 0.0]}), want)


def _rows(b: int, c: int, names: Iterable[str] = ADAM, **flags: Any) -> Iterable[Case]:
    for name in names:
        hyper, step = ADAM[name]
        sizes, common = {"B": b, "C": c, "P": 3}, {"spans": SPANS, "note": name, **flags}
        yield Case("adam_rows_step", sizes, arrays={"hyper": hyper, "step": [step] * 3}, error=_adam_of_rows, **common)
        if hyper[4] == 0:
            yield Case("sparse_adam_step", sizes, arrays={"hyper": hyper[:4], "step": [step] * 3}, error=_sparse_adam, **common)


def _sum_squares(v: SimpleNamespace, want: Values) -> Values:
    return {"total": np.finfo(np.float64).eps * (2 + len(v.x) ** 0.5 / 2) * want["total"]}


def _clipping(n: int, limits: tuple[tuple[str, float], ...] = (("clips", 0.5), ("leaves", 5.0)), **flags: Any) -> Iterable[Case]:
    yield Case("sum_squares", {"n": n}, spans={"total": (0.0, 9.0)}, error=_sum_squares, **flags)
    for note, limit in limits:
        yield Case("clip_norm", {"n": n}, arrays={"total": [4.0], "limit": [limit]}, error=2.0, note=note, **flags)
    yield Case("clip_value", {"n": n}, arrays={"limit": [0.75]}, **flags)
    yield Case("unit_norm", {"n": n}, arrays={"total": [7.0], "eps": [1e-7]}, error=2.0, note="norm", **flags)


COUNTS_AND_CLIPPING = [
    *(Case("advance", {"P": p}, {"by": by}) for p, by in ((0, 1), (1, 1), (3, 7), (2500, -1))),
    *_steps(1009, edges=True),
    *(case for n in LENGTHS for case in _steps(n, ("dampening",), ("decay",))),
    *(case for n in LENGTHS for case in _clipping(n, edges=n == 65)),
    *_rows(9, 15, edges=True),
    *(case for sizes in ((0, 3), (3, 0), (1, 1), (150, 17), (70, 65)) for case in _rows(*sizes, ("later", "decoupled"))),
    *_rows(50257, 64, ("later",), bench=True, test=False),
    *(case for n in (8191, 8193, 30011) for case in _clipping(n)),
    *(case for n in (1 << 16, 1 << 22) for case in _steps(n, ("plain", "momentum"), ("first",), bench=True, test=False)),
    # A scale just below 1: after many calls the numbers are still normal.
    *_clipping(1 << 20, (("clips", 2.0),), bench=True, test=False),
    Case("advance", {"P": 1}, {"by": 1}, note="bench", bench=True, test=False),
]


# ---- the other optimizers ----


def _relative(error: Any, value: Any) -> Any:
    return error / np.maximum(np.abs(value), np.finfo(np.float32).tiny)


def _first(v: SimpleNamespace, beta: float) -> tuple[Array, Array]:
    """The size of what a running mean of gradients is added up from, and the error allowed in the mean."""
    size = beta * np.abs(v.m) + (1 - beta) * _gradient(v)[1]
    return size, 4 * v.eps * size


def _second(v: SimpleNamespace, want: Array, beta: float) -> Array:
    """The error allowed in a running mean of squared gradients; g^2 has twice the relative error of g."""
    g, size = _gradient(v)
    return v.eps * (4 * np.abs(want) + 4 * (1 - beta) * np.abs(g) * size)


def _stepped(v: SimpleNamespace, size: Array, off: Any) -> Array:
    """The error allowed in the weights after a step that is added up from so much and has such a relative error."""
    return v.eps * 4 * np.abs(v.w) + size * (12 * v.eps + off)


def _amsgrad(v: SimpleNamespace, want: Values) -> Values:
    lr, beta1, beta2, eps = v.hyper[:4]
    t = int(v.step[0])
    m, m_error = _first(v, beta1)
    v_error = _second(v, want["v"], beta2)
    root = np.sqrt(want["top"] / (1 - beta2**t)) + eps
    w = _stepped(v, lr / (1 - beta1**t) * m / root, _relative(v_error, want["top"]))
    return {"m": m_error, "v": v_error, "top": v_error + 2 * v.eps * want["top"], "w": w}


def _radam(v: SimpleNamespace, want: Values) -> Values:
    lr, beta1, beta2, eps = v.hyper[:4]
    t = int(v.step[0])
    m, m_error = _first(v, beta1)
    v_error = _second(v, want["v"], beta2)
    r = 2 / (1 - beta2) - 1
    rho = r - 2 * t * beta2**t / (1 - beta2**t)
    adaptive = rho > 5
    size = lr / (1 - beta1**t) * m * (1 / (np.sqrt(want["v"]) + eps) if adaptive else 1)
    return {"m": m_error, "v": v_error, "w": _stepped(v, size, _relative(v_error, want["v"]) if adaptive else 0)}


def _adamax(v: SimpleNamespace, want: Values) -> Values:
    lr, beta1 = v.hyper[:2]
    m, m_error = _first(v, beta1)
    u_error = 4 * v.eps * (want["u"] + _gradient(v)[1])
    w = _stepped(v, lr / (1 - beta1 ** int(v.step[0])) * m / want["u"], _relative(u_error, want["u"]))
    return {"m": m_error, "u": u_error, "w": w}


def _nadam(v: SimpleNamespace, want: Values) -> Values:
    lr, beta1, beta2, eps, momentum_decay = v.hyper[:5]
    t, product = int(v.step[0]), float(v.product[0])
    mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (i * momentum_decay)) for i in (t, t + 1))
    m, m_error = _first(v, beta1)
    v_error = _second(v, want["v"], beta2)
    size = lr * ((1 - mu) / (1 - product) * _gradient(v)[1] + ahead / (1 - product * ahead) * m)
    root = np.sqrt(want["v"] / (1 - beta2**t)) + eps
    return {"m": m_error, "v": v_error, "w": _stepped(v, size / root, _relative(v_error, want["v"]))}


def _rmsprop(v: SimpleNamespace, want: Values) -> Values:
    lr, alpha, eps, momentum, inside = v.hyper[:5]
    size = _gradient(v)[1]
    errors = {"v": _second(v, want["v"], alpha)}
    square, off = want["v"], errors["v"]
    if v.mean.size:
        errors["mean"] = 4 * v.eps * (alpha * np.abs(v.mean) + (1 - alpha) * size)
        square = np.maximum(want["v"] - want["mean"] ** 2, 0)
        off = off + 2 * np.abs(want["mean"]) * errors["mean"] + v.eps * want["mean"] ** 2
    root = np.sqrt(square + eps) if inside else np.sqrt(square) + eps
    u, off = size / root, _relative(off, square)
    if v.b.size:
        errors["b"] = 4 * v.eps * momentum * np.abs(v.b) + u * (8 * v.eps + off)
        u = momentum * np.abs(v.b) + u
    return errors | {"w": _stepped(v, lr * u, off)}


def _adagrad(v: SimpleNamespace, want: Values) -> Values:
    lr, lr_decay, eps = v.hyper[:3]
    g, size = _gradient(v)
    s_error = v.eps * (2 * np.abs(v.s) + 4 * np.abs(g) * size)
    step = lr / (1 + (int(v.step[0]) - 1) * lr_decay) * size / (np.sqrt(want["s"]) + eps)
    return {"s": s_error, "w": _stepped(v, step, _relative(s_error, want["s"]))}


def _adadelta(v: SimpleNamespace, want: Values) -> Values:
    lr, rho, eps = v.hyper[:3]
    v_error = _second(v, want["v"], rho)
    off = _relative(v_error, want["v"] + eps)
    d = np.sqrt(v.u + eps) / np.sqrt(want["v"] + eps) * _gradient(v)[1]
    u_error = 4 * v.eps * want["u"] + (1 - rho) * d * d * (16 * v.eps + 2 * off)
    return {"v": v_error, "u": u_error, "w": _stepped(v, lr * d, off)}


def _lion(v: SimpleNamespace, want: Values) -> Values:
    lr, beta1, beta2 = v.hyper[:3]
    g, size = _gradient(v)
    # Where the direction is a rounding error, its sign may be either.
    close = np.abs(beta1 * v.m + (1 - beta1) * g) <= 4 * v.eps * (beta1 * np.abs(v.m) + (1 - beta1) * size)
    return {"m": _first(v, beta2)[1], "w": _stepped(v, np.full_like(v.w, lr), 0) + 2 * lr * close}


def _schedule_free(v: SimpleNamespace, want: Values) -> Values:
    lr, _, beta2, eps, weight_decay = v.hyper[:5]
    t = int(v.step[0])
    v_error = v.eps * (4 * np.abs(want["v"]) + 4 * (1 - beta2) * v.dw**2)
    d = np.abs(v.dw) / (np.sqrt(want["v"] / (1 - beta2**t)) + eps) + weight_decay * np.abs(v.w)
    off = _relative(v_error, want["v"])
    start = np.abs(v.w) if t == 1 else np.abs(v.z)
    return {
        "v": v_error,
        "z": 4 * v.eps * start + lr * d * (12 * v.eps + off),
        "w": _stepped(v, lr * d, off) + 8 * v.eps * start,
    }


def _sum_of(output: str, *terms: tuple[float, str]) -> Any:
    """The error allowed in a sum of such multiples of arguments."""
    return lambda v, want: {output: 4 * v.eps * sum(share * np.abs(getattr(v, name)) for share, name in terms)}


def _muon_momentum(v: SimpleNamespace, want: Values) -> Values:
    momentum = v.hyper[1]
    b = momentum * np.abs(v.b) + (1 - momentum) * np.abs(v.dw)
    return {"b": 4 * v.eps * b, "u": 8 * v.eps * (momentum * b + (1 - momentum) * np.abs(v.dw))}


POSITIVE = {"v": (1.0, 2.0), "s": (0.1, 1.0), "u": (0.1, 1.0), "top": (0.1, 1.0), "mean": (-0.5, 0.5), "m": (-0.5, 0.5)}
AVERAGE = [[5.0, 0.01, 0.2]] * 3

# Kernel, what may go wrong in it, and its rules: hyper-parameters, step, absent arrays.
RULES: dict[str, tuple[Any, dict[str, tuple[tuple[float, ...], int, tuple[str, ...]]]]] = {
    "amsgrad_step": (
        _amsgrad,
        {"first": ((1e-2, 0.9, 0.99, 1e-8, 0, 0), 1, ()), "decay": ((1e-2, 0.9, 0.99, 1e-8, 0.1, 0), 9, ())},
    ),
    "radam_step": (
        _radam,
        {
            "early": ((1e-2, 0.9, 0.99, 1e-8, 0.1, 0), 2, ()),
            "late": ((1e-2, 0.9, 0.99, 1e-8, 0, 0), 50, ()),
            "decoupled": ((1e-2, 0.9, 0.99, 1e-8, 0.1, 1), 50, ()),
        },
    ),
    "adamax_step": (
        _adamax,
        {
            "first": ((1e-2, 0.9, 0.99, 1e-8, 0, 0), 1, ()),
            "decay": ((1e-2, 0.9, 0.9, 1e-8, 0.1, 0), 7, ()),
            "no_eps": ((1e-2, 0.9, 0.99, 0, 0, 0), 7, ()),
        },
    ),
    "nadam_step": (
        _nadam,
        {"first": ((1e-2, 0.9, 0.99, 1e-8, 4e-3, 0, 0), 1, ()), "decay": ((1e-2, 0.9, 0.99, 1e-8, 1, 0.1, 0), 8, ())},
    ),
    "rmsprop_step": (
        _rmsprop,
        {
            "all": ((1e-2, 0.9, 1e-8, 0.9, 0, 0.1, 0), 0, ()),
            "plain": ((1e-2, 0.99, 1e-8, 0, 0, 0, 0), 0, ("mean", "b")),
            "centered": ((1e-2, 0.9, 1e-7, 0, 1, 0.1, 1), 0, ("b",)),
            "momentum": ((1e-2, 0.9, 1e-8, 0.5, 0, 0, 0), 0, ("mean",)),
        },
    ),
    "adagrad_step": (
        _adagrad,
        {"plain": ((1e-2, 0, 1e-10, 0, 0), 1, ()), "decay": ((1e-2, 0.1, 1e-10, 0.1, 0), 4, ())},
    ),
    "adadelta_step": (_adadelta, {"plain": ((1.0, 0.9, 1e-6, 0, 0), 0, ()), "decay": ((0.5, 0.9, 1e-6, 0.1, 0), 0, ())}),
    "lion_step": (_lion, {"plain": ((1e-2, 0.9, 0.99, 0, 1), 0, ()), "decay": ((1e-2, 0.8, 0.9, 0.1, 1), 0, ())}),
    "schedule_free_step": (
        _schedule_free,
        {"first": ((1e-2, 0.9, 0.99, 1e-8, 0.1, 5, 0, 2), 1, ()), "later": ((1e-2, 0.9, 0.99, 1e-8, 0.1, 0, 0, 2), 6, ())},
    ),
    "muon_momentum": (_muon_momentum, {"plain": ((0.1, 0.9, 0, 0, 1e-7), 0, ()), "nesterov": ((0.1, 0.9, 1, 0, 1e-7), 0, ())}),
    "ema_step": (_sum_of("average", (0.9, "average"), (0.1, "w")), {"first": ((), 1, ()), "later": ((), 2, ())}),
    "muon_step": (_sum_of("w", (1.0, "w"), (0.1, "u")), {"plain": ((0.05, 0.9, 1, 0.1, 1e-7), 0, ())}),
    "lerp": (_sum_of("x", (1.5, "x"), (0.5, "y")), {"plain": ((), 0, ())}),
    "accumulate": (_sum_of("mean", (1.0, "mean"), (0.25, "x")), {"plain": ((), 0, ())}),
}
FIXED = {"product": [0.4] * 3, "average": AVERAGE, "weight": [-0.4], "share": [0.25], "momentum": [0.9]}


def _updates(n: int, only_first: bool = False, **flags: Any) -> Iterable[Case]:
    for kernel, (error, rules) in RULES.items():
        names = {arg.name for arg in KERNELS[kernel].arrays if arg.dtype != "T"}
        sizes = {letter: 3 if letter == "P" else n for letter in KERNELS[kernel].sizes}
        scalars = {"scale": 1.5} if kernel == "muon_step" else {}
        for name, (hyper, step, absent) in list(rules.items())[: 1 if only_first else None]:
            arrays = {key: value for key, value in FIXED.items() if key in names}
            arrays |= {"hyper": hyper} if "hyper" in names else {}
            arrays |= {"step": [step] * 3} if "step" in names else {}
            yield Case(kernel, sizes, scalars, absent, (-1.0, 1.0), POSITIVE, {}, arrays, error, note=name, **flags)


NADAM, SCHEDULE_FREE = (0.01, 0.9, 0.99, 1e-8, 4e-3, 0, 0), (0.01, 0.9, 0.99, 1e-8, 0, 10, 0.5, 2)
EXACT: dict[str, Any] = {"dtypes": ("float64",), "error": 4.0}

CASES = [
    *COUNTS_AND_CLIPPING,
    *(Case("every", {}, {"period": p}, arrays={"count": [c]}, note=str(c)) for p, c in ((1, 5), (3, 5), (3, 6), (4, 0))),
    Case("scheduled", {"H": 6, "S": 2, "L": 5}, arrays={"slot": [4, 0], "count": [13]}),
    *(
        Case("nadam_product", {"P": 3}, arrays={"hyper": NADAM, "step": steps}, note=note, **EXACT)
        for note, steps in (("first", [1, 1, 1]), ("later", [2, 5, 900]))
    ),
    *(
        Case("schedule_free_weight", {"P": 3}, arrays={"hyper": hyper, "average": AVERAGE, "step": steps}, note=note, **EXACT)
        for note, hyper, steps in (
            ("warmup", SCHEDULE_FREE, [1, 2, 11]),
            ("plain", (0.01, 0.9, 0.99, 1e-8, 0, 0, 0, 2), [1, 7, 7]),
            ("no rate", (0.0, 0.9, 0.99, 1e-8, 0, 0, 0, 2), [1, 1, 1]),
        )
    ),
    *_updates(1009, edges=True),
    *(case for n in (0, 1, 15, 17, 65, 4133) for case in _updates(n, only_first=True)),
    Case("unit_norm", {"n": 7}, arrays={"total": [1e-20], "eps": [1e-7]}, error=2.0, note="eps"),
    *_updates(1 << 20, only_first=True, bench=True, test=False),
]
