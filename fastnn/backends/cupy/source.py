"""Makes the CUDA program of a kernel: the argument struct from the contract, the source of the family, and one entry point.

In ``<family>.cu``, a kernel ``f`` of the contract is ``template <typename T> __device__ void f(const f_args<T>& a)``. There is no
template if no dtype is free. ``typename X`` follows T if an array has a separate dtype (``own`` or chosen). The struct has the
fields of the contract in its order, then the sizes. All fields have eight bytes: pointers, ``i64``, ``double``; act and loss are
a ``Function``. The entry point of a program has one dtype. If the kernel takes a function by number, the program has only one
function, and ``FUNCTION`` is its id.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from importlib import import_module
from pathlib import Path

from ..spec import KERNELS, SHORT, Arg, Kernel

FOLDER = Path(__file__).parent

TYPES = {
    "float32": "float",
    "float64": "double",
    "int64": "i64",
    "bool": "bool",
    "uint8": "u8",
    "int32": "int",
    "uint16": "Bfloat16",
    "uint64": "u64",
}
"""Types of elements in CUDA, by the dtype of the array; uint16 contains bfloat16."""
_SCALARS = {"float": "double", "act": "Function", "loss": "Function"}
_CODES = {"i64": "q", "double": "d", "Function": "qdd"}


def letters(kernel: Kernel) -> tuple[str, ...]:
    """List the free dtypes of a kernel: T, and X if an array has a separate dtype."""
    return tuple(sorted({a.letter for a in kernel.arrays} - {""}))


def _field(arg: Arg) -> str:
    if arg.kind != "array":
        return f"{_SCALARS.get(arg.kind, 'i64')} {arg.name};"
    kind = arg.letter or TYPES[SHORT[arg.dtype]]
    return f"{'' if arg.writes else 'const '}{kind}* {arg.name};"


@cache
def arguments(name: str) -> str:
    """Return the argument struct of a kernel."""
    kernel = KERNELS[name]
    free = ", ".join(f"typename {letter}" for letter in letters(kernel))
    fields = [_field(a) for a in kernel.args] + [f"i64 {size};" for size in kernel.sizes]
    return f"{f'template <{free}> ' if free else ''}struct {name}_args {{ {' '.join(fields)} }};\n"


def files(family: str) -> tuple[str, ...]:
    """Return the files of a family's program, after common.cuh: the FILES of its module in this package."""
    names: tuple[str, ...] = import_module(f".{family}", __package__).FILES
    return names


@cache
def _text(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


@cache
def layout(file: str, name: str) -> struct.Struct:
    """Return the memory layout of the argument struct with this name in a ``.cu`` file. All fields have eight bytes.

    It is for kernels outside of the contract, with structs written by hand: pointers, ``i64``, ``double``, ``Function``.
    """
    found = re.search(rf"^struct {name} {{(.*?)^}};", _text(file), re.DOTALL | re.MULTILINE)
    if found is None:
        raise KeyError(f"{file} has no struct {name}")
    codes = ""
    for field in filter(None, map(str.strip, re.sub(r"//.*", "", found[1]).split(";"))):
        kind, names = field.removeprefix("const ").split(None, 1)
        codes += ("Q" if "*" in names or kind.endswith("*") else _CODES[kind]) * (names.count(",") + 1)
    return struct.Struct(f"<{codes}")


def program(name: str, dtypes: tuple[str, ...], function: int = -1) -> str:
    """Return the source whose entry point, of the kernel's name, takes arrays of these dtypes (one for each of `letters`).

    Args:
        name: a kernel of the contract.
        dtypes: names of the arrays' dtypes.
        function: the id of the activation or loss that it computes; -1 if it takes none.
    """
    types = f"<{', '.join(TYPES[d] for d in dtypes)}>" if dtypes else ""
    structs = "".join(arguments(k.name) for k in KERNELS.values() if k.family == KERNELS[name].family)
    return own_program(KERNELS[name].family, name, f"{name}_args{types}", f"{name}{types}", function, structs)


def own_program(
    family: str, name: str, struct: str, call: str, function: int = -1, structs: str = "", blocks_at_once: int = 1
) -> str:
    """Return the source of an entry point that calls a function of the family with its argument struct.

    Args:
        family: family of the files.
        name: the entry point is ``<name>_entry``.
        struct: type of the argument.
        call: the function.
        function: as in `program`.
        structs: source before the files.
        blocks_at_once: number of blocks that fit on a multiprocessor, which limits their registers.
    """
    parts = [f"constexpr int FUNCTION = {function};\n", _text("common.cuh"), structs, *map(_text, files(family))]
    bounds = f"__launch_bounds__(THREADS, {blocks_at_once})"
    entry = f'extern "C" __global__ void {bounds} {name}_entry(const {struct} a) {{ {call}(a); }}\n'
    return "\n".join([*parts, entry])
