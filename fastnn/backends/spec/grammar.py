"""Kernels and their arguments, and how a line of the contract is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .dtypes import DTYPES, LETTERS, SHORT
from .formula import Formula


class Arg(NamedTuple):
    """One argument of a kernel."""

    name: str
    kind: str
    """"array", "int", "float", "act", "loss", "mask" (bit i: output i adds to what is there) or "choice" (a position)."""
    reads: bool = True
    writes: bool = False
    dtype: str = ""
    """A letter of `LETTERS`, a name of `SHORT`, "own" (what `Backend.aux` gives) or the name of an argument of `DTYPES`."""
    shape: tuple[str, ...] = ()
    """Sizes; a single "*n" is any shape with n elements."""
    optional: bool = False
    choices: tuple[Any, ...] = ()
    """What an int or a choice may be: a choice is the position of one of these names, an int one of these numbers."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Return the dtypes that an array may have."""
        return LETTERS.get(self.dtype) or ((SHORT[self.dtype],) if self.dtype in SHORT else DTYPES)

    @property
    def letter(self) -> str:
        """Return the template parameter for the dtype: "T" for a letter, "X" for a dtype of its own, "" for a fixed one."""
        return "T" if self.dtype in LETTERS else "" if self.dtype in SHORT else "X"


class Kernel(NamedTuple):
    """A kernel's signature."""

    name: str
    family: str
    signature: str
    args: tuple[Arg, ...]
    formulas: Mapping[str, Formula] = {}
    """What follows from the sizes: ``flops``, and sizes by their letter."""

    @property
    def arrays(self) -> tuple[Arg, ...]:
        return tuple(a for a in self.args if a.kind == "array")

    @property
    def outputs(self) -> tuple[Arg, ...]:
        return tuple(a for a in self.args if a.writes)

    @property
    def sizes(self) -> tuple[str, ...]:
        """Return the letters in the shapes, in order of appearance."""
        letters = (s.lstrip("*") for a in self.arrays for s in a.shape)
        return tuple(dict.fromkeys(s for s in letters if not s.isdigit()))

    @property
    def derived(self) -> dict[str, Formula]:
        """Return the sizes that follow from others."""
        return {name: formula for name, formula in self.formulas.items() if name in self.sizes}

    @property
    def slots(self) -> str:
        """Return the fields of the C++ argument struct: the arguments, then the sizes."""
        return " ".join([a.name for a in self.args] + list(self.sizes))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Return what the letter of the line stands for; empty where it has none."""
        return next((LETTERS[a.dtype] for a in self.arrays if a.dtype in LETTERS), ())

    def values(self, args: Sequence[Any]) -> dict[str, int]:
        """Return the values that formulas use in a call: sizes, whole numbers, and 1 or 0 for present or absent arrays."""
        found = dict.fromkeys(self.sizes, 0)
        for arg, value in zip(self.args, args, strict=True):
            if arg.kind in ("int", "mask", "choice"):
                found[arg.name] = int(value)
            elif arg.kind == "array":
                found[arg.name] = int(value.size > 0)
                if arg.optional and not value.size:
                    continue
                if arg.shape[0].startswith("*"):
                    found[arg.shape[0][1:]] = int(value.size)
                else:
                    found.update((s, int(n)) for s, n in zip(arg.shape, value.shape, strict=True) if not s.isdigit())
        return found


_ARRAY = re.compile(r"(?P<rw>&?)(?P<name>\w+):(?P<dtype>\w+)\[(?P<shape>[\w,*]+)\](?P<opt>\??)$")
_SCALAR = re.compile(r"(?P<name>\w+):(?P<kind>[\w|]+)$")
_FLAGS = ("no", "yes")


def _parse_arg(text: str, output: bool, lists: Mapping[str, Any]) -> Arg:
    if m := _ARRAY.match(text):
        inout = bool(m["rw"])
        return Arg(m["name"], "array", not output or inout, output, m["dtype"], tuple(m["shape"].split(",")), bool(m["opt"]))
    if (m := _SCALAR.match(text)) and not output:
        name, kind = m["name"], m["kind"]
        if kind in ("int", "float", "act", "loss", "mask"):
            return Arg(name, kind)
        if kind == "bool":
            return Arg(name, "choice", choices=_FLAGS)
        if "|" in kind:
            return Arg(name, "int", choices=tuple(int(number) for number in kind.split("|")))
        if kind in lists:
            return Arg(name, "choice", choices=lists[kind])
    raise ValueError(f"kernel spec: cannot read {text!r}")


def lines(text: str) -> list[str]:
    """Split the text of a family into the lines of its kernels; one that stands further in than the first continues the last."""
    found: list[str] = []
    first = None
    for line in filter(str.strip, text.splitlines()):
        indent = len(line) - len(line.lstrip())
        first = indent if first is None else first
        if indent > first:
            found[-1] += " " + line.strip()
        else:
            found.append(line.strip())
    return found


def read(family: str, line: str, lists: Mapping[str, Any]) -> Kernel:
    """Read a line of the contract.

    Args:
        family: the family's name.
        line: as `fastnn.backends.spec` describes.
        lists: tuples of names, by the name that lines have for them.

    Raises:
        ValueError: for a line that does not follow the grammar.
    """
    name, rest = line.split(None, 1)
    signature, _, formulas = rest.partition(" | ")
    outputs, inputs = signature.split("<-")
    args = [_parse_arg(a, True, lists) for a in outputs.split()] + [_parse_arg(a, False, lists) for a in inputs.split()]
    known = {word: Formula(text) for word, text in (part.split("=") for part in formulas.split())}
    kernel = Kernel(name, family, " ".join(rest.split()), tuple(args), known)
    names = {*kernel.sizes, *(a.name for a in args)}
    for word, formula in known.items():
        if word != "flops" and word not in kernel.sizes:
            raise ValueError(f"kernel spec: {name} has a formula of {word!r}, which is no size of its arrays")
        if unknown := [n for n in formula.names if n not in names]:
            raise ValueError(f"kernel spec: {name}: {word}={formula.text} names {unknown[0]!r}, which the line does not have")
    for arg in args:
        if arg.kind == "array" and arg.letter == "X" and arg.dtype != "own" and arg.dtype not in names:
            raise ValueError(f"kernel spec: {name}: {arg.name} has dtype {arg.dtype!r}, wanted {', '.join((*LETTERS, *SHORT))}")
    return kernel
