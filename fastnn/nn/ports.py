"""The inputs and outputs of a frozen model: their names, shapes and dtypes, and what is checked of arrays that come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..structure import Structure
from ..tensor import Array
from ..training import data


class Port(NamedTuple):
    """An input or output: its name, shape and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.name}: {_described(self.shape, self.dtype)}"


def _described(shape: Any, dtype: Any) -> str:
    return f"{dtype} {tuple(shape)}"


class Ports:
    """Checks what comes into a frozen model, and puts together what comes out. Keeps no reference to the model."""

    def __init__(self, inputs: Structure, xs: Sequence[Array], outputs: Structure, outs: Sequence[Array]) -> None:
        names = ["x"] if len(xs) == 1 else inputs.names
        self._inputs, self._outputs = inputs, outputs
        self.xs = [Port(name, tuple(x.shape), np.dtype(x.dtype)) for name, x in zip(names, xs, strict=True)]
        self.outs = [Port(name, tuple(y.shape), np.dtype(y.dtype)) for name, y in zip(outputs.names, outs, strict=True)]
        self.alone = outputs.kind == "one"
        self.batch_size = len(xs[0])
        self.build = outputs.build

    def convert(self, args: tuple[Any, ...]) -> tuple[list[Any], bool]:
        """Returns the inputs as arrays that fit, and whether they came as one sample without the dimension of the batch.

        Raises TypeError and ValueError for what does not fit; the message says what came and what is wanted.
        """
        if not args or (self._inputs.kind == "one" and len(args) > 1):
            wanted = ", ".join(port.name for port in self.xs)
            raise TypeError(f"frozen model: {len(args)} arguments came, wanted {wanted} (and out=)")
        x = args[0] if len(args) == 1 else list(args)
        leaves = [x] if self._inputs.kind == "one" else self._inputs.spread(x, "frozen model", "x")
        arrays, single = [], True
        for leaf, (name, shape, dtype) in zip(leaves, self.xs, strict=True):
            a = data.as_features(
                leaf[None] if isinstance(leaf, np.ndarray) and leaf.shape == () else leaf, dtype, "frozen model", name
            )
            alone = shape[0] == 1 and a.shape == (shape[1:] or (1,)) and a.shape != shape
            if alone:
                a = a[None] if len(shape) > 1 else a
            if a.shape != shape:
                raise ValueError(
                    f"frozen model: {name} has shape {a.shape}, but it was frozen for {shape}, {dtype}; freeze takes batch_size"
                )
            arrays.append(a)
            single &= alone
        return arrays, single

    def arrays(self, out: Any) -> list[Any]:
        """Returns the arrays of out=, which several outputs are written to."""
        return self._outputs.spread(out, "frozen model", "out")

    def refuse(self, i: int, out: Any, single: bool) -> NoReturn:
        """Raises ValueError for an array of out= that does not fit the output of this number."""
        name, shape, dtype = self.outs[i]
        what = "out" if self.alone else f"out[{name!r}]"
        wanted = _described(shape[1:] if single else shape, dtype)
        came = f"a {type(out).__name__}"
        if isinstance(out, np.ndarray):
            flags = [
                text
                for flag, text in ((out.flags.c_contiguous, "not C-contiguous"), (out.flags.writeable, "read-only"))
                if not flag
            ]
            came = " and ".join([_described(out.shape, out.dtype), *flags])
        raise ValueError(f"frozen model: {what} is {came}, wanted a C-contiguous, writable array of {wanted}")

    def __str__(self) -> str:
        outs = ", ".join(_described(port.shape, port.dtype) if self.alone else str(port) for port in self.outs)
        return f"FrozenModel({', '.join(map(str, self.xs))} -> {outs})"
