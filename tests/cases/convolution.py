"""Cases of the convolution family: strides, dilations, borders, groups and numbers of axes, in pairs; and depthwise filters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.reference.convolution import conv_backward, conv_forward
from fastnn.backends.spec import LINEAR, Activation, activation

from .activation import FUNCTION, value
from .case import FLOATS, Array, Case, Values
from .dense import dot_error, rounded_factor

NONE = np.empty(0)
RELU, TANH, GELU = (activation(name) for name in ("relu", "tanh", "gelu"))
GRADIENTS = {"dx": 0, "dw": 2, "db": 4}
"""The gradients, and the bits of the mask that add them; dx is never added."""
Three = Sequence[int]


def _forward(v: SimpleNamespace, x: Array, w: Array, b: Array, like: Array) -> Array:
    z = np.zeros(like.shape)
    conv_forward(np, z, NONE, x, w, b, v.geometry, LINEAR, 0)
    return z


def _forward_error(v: SimpleNamespace, want: Values) -> Values:
    x, w, y = rounded_factor(v.x, v.precision), rounded_factor(v.w, v.precision), want["y"]
    z = _forward(v, x, w, v.b, y)
    off = dot_error(math.prod(w.shape[:4]), v.eps, v.precision) * _forward(v, np.abs(v.x), np.abs(v.w), np.abs(v.b), y)
    moved = np.fmax(np.abs(value(z - off, v.act) - y), np.abs(value(z + off, v.act) - y))
    return {"y": moved + FUNCTION[v.act].error(z, y, v.eps), "aux": off if want["aux"].size else 0}


def _backward(v: SimpleNamespace, dz: Array, x: Array, w: Array) -> Values:
    """The gradients of a linear layer; what is not wanted is absent."""
    out = {name: np.zeros(getattr(v, name).shape) for name in GRADIENTS}
    conv_backward(np, *out.values(), NONE, dz, x, w, NONE, NONE, v.geometry, LINEAR, 0, 0)
    return out


def _backward_error(v: SimpleNamespace, want: Values) -> Values:
    linear = v.act.id == LINEAR.id
    dz = v.dy if linear else want["dz"]
    off = np.zeros_like(v.dy) if linear else FUNCTION[v.act].slope_error(v.dy, dz, v.eps, v.aux)
    x, w = np.abs(v.x), np.abs(v.w)
    moved, size = _backward(v, off, x, w), _backward(v, np.abs(dz), x, w)
    rows, outputs = math.prod(dz.shape[:4]), math.prod(w.shape[:3]) * w.shape[4]
    errors = {} if linear else {"dz": off}
    for name, terms, precision in (("dx", outputs, v.precision), ("dw", rows, v.precision), ("db", rows, 0)):
        if size[name].size:
            errors[name] = moved[name] + dot_error(terms, v.eps, precision) * size[name] + 2 * v.eps * np.abs(want[name])
    return errors


def _z(v: Values, geometry: Array) -> Array:
    with np.errstate(all="ignore"):
        return _forward(SimpleNamespace(geometry=geometry), v["x"], v["w"], NONE, v["dy"])


class Conv:
    """The sizes of a convolution.

    Args:
        images: how many there are.
        image, filter: their sizes along the last axes, up to three.
        channels, outputs, groups: of the image, of the result, and how many groups of them.
        stride, dilation, before, after: a number for each axis, or one for all.
    """

    def __init__(
        self,
        images: int,
        image: Three,
        channels: int,
        filter: Three,
        outputs: int,
        groups: int = 1,
        stride: Any = 1,
        dilation: Any = 1,
        before: Any = 0,
        after: Any = None,
    ) -> None:
        n = len(image)

        def three(numbers: Any, rest: int) -> tuple[int, ...]:
            return (rest,) * (3 - n) + ((numbers,) * n if isinstance(numbers, int) else tuple(numbers))

        image, filter = three(image, 1), three(filter, 1)
        stride, dilation, before = three(stride, 1), three(dilation, 1), three(before, 0)
        after = before if after is None else three(after, 0)
        sides = zip(image, filter, stride, dilation, before, after, strict=True)
        places = [(size + b + a - (r - 1) * d - 1) // s + 1 for size, r, s, d, b, a in sides]
        assert min(places) > 0, "the filters are larger than the image"
        letters = ("N", *"DHW", "C", *"RUV", "I", "O", *"EPQ")
        numbers = (images, *image, channels, *filter, channels // groups, outputs, *places)
        self.sizes = dict(zip(letters, numbers, strict=True))
        self.geometry = [stride, dilation, before]

    def forward(self, act: Activation, bias: bool = True, aux: bool | None = None, precision: int = 0, **flags: Any) -> Case:
        aux = act.saves_z if aux is None else aux
        return Case(
            "conv_forward",
            self.sizes,
            {"act": act, "precision": precision},
            absent=(*(() if aux else ("aux",)), *(() if bias else ("b",))),
            span=(-1.0, 1.0),
            arrays={"geometry": self.geometry},
            error=_forward_error,
            **self._flags(flags),
        )

    def backward(
        self, act: Activation, add: int = 0, wanted: Iterable[str] = tuple(GRADIENTS), precision: int = 0, **flags: Any
    ) -> Case:
        def before(name: str) -> Any:
            """What is set holds NaN before the call; what is added to, numbers."""
            arg = next(a for a in Case("conv_backward", self.sizes).spec.args if a.name == name)
            shape = tuple(self.sizes[s] for s in arg.shape)
            return (lambda rng, v: rng.uniform(-2, 2, shape)) if add & GRADIENTS[name] else np.full(shape, np.nan)

        linear, geometry = act.id == LINEAR.id, np.array(self.geometry)
        return Case(
            "conv_backward",
            self.sizes,
            {"act": act, "add": add, "precision": precision},
            absent=(
                *(name for name in GRADIENTS if name not in wanted),
                *(("dz", "y") if linear else ()),
                *(() if act.saves_z else ("aux",)),
            ),
            span=(-1.0, 1.0),
            arrays={
                **{name: before(name) for name in GRADIENTS},
                "geometry": self.geometry,
                "aux": lambda rng, v: _z(v, geometry),
                "y": lambda rng, v: value(_z(v, geometry), act),
            },
            error=_backward_error,
            **self._flags(flags),
        )

    def _flags(self, flags: dict[str, Any]) -> dict[str, Any]:
        geometry = "_".join("".join(str(n) for n in row) for row in self.geometry)
        return {**flags, "note": "_".join(filter(None, (geometry, flags.get("note", ""))))}


SHAPES = (
    Conv(2, (9,), 3, (3,), 5, before=1),
    Conv(3, (40,), 4, (5,), 33, stride=2, before=2),
    Conv(2, (17,), 2, (3,), 6, dilation=4, before=4),
    Conv(2, (7, 9), 3, (3, 3), 8, before=1),
    Conv(1, (12, 11), 5, (3, 2), 17, stride=(2, 3), before=(1, 0), after=(0, 1)),
    Conv(2, (10, 10), 16, (3, 3), 64, before=1),
    Conv(2, (13, 9), 17, (1, 1), 15),
    Conv(2, (8, 8), 6, (1, 1), 7, stride=2),
    Conv(2, (9, 9), 8, (3, 3), 12, groups=2, before=1),
    Conv(2, (7, 8), 6, (2, 3), 6, groups=3, stride=2, dilation=2, before=2),
    Conv(2, (6, 6), 6, (1, 1), 4, groups=2),
    Conv(1, (11, 12), 2, (5, 5), 3, stride=3, dilation=2, before=4),
    Conv(2, (5, 6, 7), 3, (3, 3, 3), 4, before=1),
    Conv(1, (6, 7, 5), 4, (2, 3, 1), 10, groups=2, stride=(1, 2, 1), dilation=(2, 1, 1), before=(1, 1, 0)),
    Conv(3, (4, 4), 2, (4, 4), 3),
    Conv(2, (3, 3), 2, (5, 5), 2, before=2),
    Conv(1, (1,), 1, (1,), 1),
    Conv(1, (1, 1), 3, (3, 3), 2, before=1),
    Conv(0, (5, 5), 3, (3, 3), 4, before=1),
)
DEPTHWISE = (
    Conv(2, (9, 10), 19, (3, 3), 19, groups=19, before=1),
    Conv(1, (11, 9), 32, (3, 3), 32, groups=32, stride=2, before=1),
    Conv(2, (8, 7), 5, (2, 3), 5, groups=5, stride=(1, 2), dilation=(3, 1), before=(2, 1), after=(1, 1)),
    Conv(2, (30,), 67, (5,), 67, groups=67, before=2),
    Conv(1, (5, 6, 4), 8, (3, 3, 3), 8, groups=8, before=1),
    Conv(2, (7, 7), 4, (3, 3), 8, groups=4, before=1),
)
VALID = Conv(2, (6, 7), 5, (3, 2), 9)
POINTS = Conv(2, (5, 4), 7, (1, 1), 9)
# Many places: pieces of the gradient of the filters, blocks of rows; many channels: blocks of K, panels of columns.
LARGE = (
    Conv(5, (28, 28), 1, (3, 3), 8, before=1),
    Conv(3, (20, 20), 12, (3, 3), 70, before=1),
    Conv(1, (6, 6), 130, (3, 3), 140, before=1),
    Conv(1, (40, 33), 40, (3, 3), 40, groups=40, before=1),
    Conv(2, (132, 130), 2, (3, 3), 3, before=1),
    # More than two vectors of channels on any ISA: the gradient of the image has another way for fewer.
    Conv(2, (9, 8), 37, (3, 3), 18, stride=2, before=1),
    Conv(1, (9, 12), 35, (3, 2), 6, dilation=(2, 3), before=(1, 2)),
    Conv(1, (5, 6, 5), 34, (2, 3, 3), 5, stride=(2, 1, 2), before=1),
)
ACTS = (RELU, LINEAR, TANH, GELU)
WANTED = [
    (wanted, mask)
    for n in range(4)
    for wanted in combinations(GRADIENTS, n)
    for mask in (0, 2, 4, 6)
    if not mask & ~sum(GRADIENTS[name] for name in wanted)
]


def _cases() -> Iterable[Case]:
    for i, conv in enumerate((*SHAPES, *DEPTHWISE)):
        act = ACTS[i % len(ACTS)]
        yield conv.forward(act, bias=i % 3 > 0)
        yield conv.backward(act, 0 if i % 2 else 6)
    for i, conv in enumerate(LARGE):
        yield conv.forward(ACTS[i % len(ACTS)], dtypes=FLOATS if i == 0 else ("float32",))
        yield conv.backward(ACTS[i % len(ACTS)], 0 if i % 2 else 6, dtypes=FLOATS if i == 0 else ("float32",))
    for act in ACTS:
        yield SHAPES[3].forward(act, bias=False, aux=not act.saves_z, note="other_aux")
        yield VALID.forward(act, edges=True, note="edges")
        yield POINTS.backward(act, edges=True, note="edges")
        yield VALID.backward(act, wanted=("dw", "db"), edges=True, note="edges")
        yield SHAPES[9].forward(act, grad=True, note="grad")
    for wanted, add in WANTED:
        for act in (RELU, LINEAR):
            yield SHAPES[3].backward(act, add, wanted, note="wanted")
    for i, conv in enumerate((SHAPES[4], SHAPES[5], SHAPES[8], SHAPES[12], LARGE[0], LARGE[2], DEPTHWISE[0])):
        yield conv.forward(ACTS[i % 2], precision=1, dtypes=FLOATS if i < 2 else ("float32",))
        yield conv.backward(ACTS[i % 2], 6, precision=1, dtypes=FLOATS if i < 2 else ("float32",))
    yield SHAPES[5].forward(RELU, precision=2)
    yield SHAPES[5].backward(RELU, precision=2)
    for conv in (
        Conv(16, (56, 56), 64, (3, 3), 64, before=1),
        Conv(64, (28, 28), 1, (3, 3), 32, before=1),
        Conv(16, (56, 56), 64, (3, 3), 64, groups=64, before=1),
    ):
        yield conv.forward(RELU, bench=True, test=False)
        yield conv.backward(RELU, bench=True, test=False)


CASES = list(_cases())
