"""A case: one call of a kernel, with everything that tests and benchmarks need to make it, check it and rate it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastnn.backends.spec import DTYPES, KERNELS, PRECISIONS, SHORT, Activation, Arg, Kernel, PointwiseLoss, array_dtype

Array = np.ndarray[Any, Any]
Values = dict[str, Any]
"""A call's arguments by name, in the order of the spec."""
Maker = Callable[[np.random.Generator, Values], Any]
"""Makes an array that cannot be uniformly random; sees the arguments made so far, scalars first."""
Errors = Callable[[SimpleNamespace, Values], Mapping[str, Any]]
"""(arguments and ``eps``, exact results) -> the error allowed in each output; an output that is not named must be exact."""

FLOATS = ("float32", "float64")


@dataclass(frozen=True, eq=False)
class Case:
    """One call of a kernel.

    Args:
        kernel: its name.
        sizes: the letters of the spec; those that follow from others may be left out.
        scalars: its int, float, act and loss arguments.
        absent: optional arrays that are left out.
        span: the values of arrays are uniform in this range; ``spans`` has the exceptions by name.
        shapes: the shapes of flat arrays; one dimension, if not given.
        arrays: the arrays that are not uniformly random: values, or a function that makes them.
        error: the error allowed. A number is relative, in units of eps; a function gives it for each output; None means that
            every bit must be right.
        dtypes: what the letter of the spec stands for; all that it may, if not given.
        touched: how many elements of an array the call has to look at, where that is not all.
        bench, test: whether benchmarks and tests take it.
        edges: whether tests put NaN, infinity and the like into its inputs.
        grad: whether tests check its gradient; the function must be smooth where the values lie.
        note: tells apart cases of the same sizes and scalars.
    """

    kernel: str
    sizes: Mapping[str, int]
    scalars: Mapping[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    span: tuple[float, float] = (-2.0, 2.0)
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    arrays: Mapping[str, Any] = field(default_factory=dict)
    error: Errors | float | None = None
    dtypes: tuple[str, ...] = ()
    touched: Mapping[str, int] = field(default_factory=dict)
    bench: bool = False
    test: bool = True
    edges: bool = False
    grad: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtypes", self.dtypes or self.spec.dtypes or ("int64",))
        known = {**self.scalars, **self.sizes}
        sizes = dict(self.sizes)
        for letter, formula in self.spec.derived.items():
            if letter not in sizes:
                sizes[letter] = known[letter] = formula(known)  # formulas after it may have this size in them
        object.__setattr__(self, "sizes", sizes)

    @property
    def spec(self) -> Kernel:
        return KERNELS[self.kernel]

    @property
    def flops(self) -> int:
        """Floating-point operations, for kernels that compute more than they move; 0 for the others."""
        formula = self.spec.formulas.get("flops")
        there = {a.name: int(a.name not in self.absent) for a in self.spec.arrays}
        numbers = {name: value for name, value in self.scalars.items() if isinstance(value, int)}
        return formula({**there, **self.sizes, **numbers}) if formula else 0

    @property
    def precision(self) -> str:
        """What the factors of a product are rounded to."""
        return PRECISIONS[self.scalars.get("precision", 0)]

    def __str__(self) -> str:
        names = {a.name for a in self.spec.args}
        if "places" in names:
            return f"{self.kernel}-{self.note}"
        letters = {s.lstrip("*") for a in self.spec.arrays if a.dtype != "own" for s in a.shape}
        # Walks are named by their note.
        sizes = [] if "layout" in names else ["x".join(str(n) for letter, n in self.sizes.items() if letter in letters)]
        named = (v for name, v in self.scalars.items() if name not in ("op", "to", "precision"))
        scalars = [v.name if isinstance(v, Activation | PointwiseLoss) else str(v) for v in named]
        scalars += [self.precision] * (self.precision != "float32")
        return "-".join(filter(None, [self.kernel, *sizes, *scalars, *(f"no_{a}" for a in self.absent), self.note]))

    def shape(self, arg: Arg) -> tuple[int, ...]:
        return self.shapes.get(arg.name) or tuple(int(s) if s.isdigit() else self.sizes[s.lstrip("*")] for s in arg.shape)

    def dtype(self, arg: Arg, dtype: str) -> str:
        """The dtype of an argument in a call with that dtype."""
        if arg.dtype in self.scalars:
            return array_dtype(DTYPES[self.scalars[arg.dtype]])
        return array_dtype(SHORT.get(arg.dtype, dtype))

    def make(self, dtype: str, unwritten: float = np.nan, put: tuple[str, float] | None = None) -> Values:
        """The arguments: the same at every call.

        Args:
            dtype: what the letter of the spec stands for.
            unwritten: what outputs hold before the call.
            put: an argument, and a value that takes a few places in it.
        """
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        values: Values = dict(self.scalars)
        for arg in self.spec.arrays:
            kind, shape = np.dtype(self.dtype(arg, dtype)), self.shape(arg) if arg.name not in self.absent else (0,)
            if arg.name in self.absent:
                a = np.empty(0, kind)
            elif arg.name in self.arrays:
                made = self.arrays[arg.name]
                a = np.array(made(rng, values) if callable(made) else made, kind).reshape(shape)
            elif not arg.reads:
                a = np.full(shape, unwritten if kind.kind == "f" else kind.type(1), kind)
            elif kind == np.uint16:  # bfloat16
                a = (rng.uniform(*self.spans.get(arg.name, self.span), shape).astype(np.float32).view(np.uint32) >> 16).astype(
                    kind
                )
            elif kind.kind == "b":
                a = rng.integers(0, 2, shape).astype(kind)
            else:
                low, high = self.spans.get(arg.name, self.span)
                whole = kind.kind != "f"
                a = (rng.integers(int(low), int(high) + 1, shape) if whole else rng.uniform(low, high, shape)).astype(kind)
            if put and put[0] == arg.name and a.size:
                a.flat[[0, a.size // 2, -1]] = put[1]
            values[arg.name] = a
        return {arg.name: values[arg.name] for arg in self.spec.args}

    def bytes(self, dtype: str, twice: bool = True) -> int:
        """Bytes that the call reads and writes; what it both reads and writes counts twice, or once as memory that it takes."""
        return sum(
            self.touched.get(a.name, int(np.prod(self.shape(a))))
            * np.dtype(self.dtype(a, dtype)).itemsize
            * (a.reads + a.writes if twice else 1)
            for a in self.spec.arrays
            if a.name not in self.absent
        )
