"""Packages whose names are loaded when they are first asked for: importing one costs the same however much there is in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

OPERATIONS = "fastnn.ops"
"""The package that is loaded before any name: Tensors get methods from it, and threads that load in one order never deadlock."""


def lazily(package: str, names: Mapping[str, str]) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__all__`, `__getattr__` and `__dir__` of a package.

    Type checkers read the stub beside it, which `scripts/stubs` writes from the same names.

    Args:
        package: its name.
        names: the public names of each module of the package, relative to it, with blanks between them; a=b is the module's b by
            the name a. Those of "." are modules themselves.
    """
    where: dict[str, tuple[str, str]] = {}
    for module, listed in names.items():
        for entry in listed.split():
            name, _, own = entry.partition("=")
            where[name] = module, own or name

    def load(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own = where[name]
        import_module(OPERATIONS)
        found = import_module(f".{own}", package) if module == "." else getattr(import_module(module, package), own)
        vars(sys.modules[package])[name] = found
        return found

    everything = sorted(where)
    return everything, load, lambda: everything.copy()
