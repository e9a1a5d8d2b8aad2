"""Lazy packages: each name is loaded at its first use, so that the import time does not grow with the size of the package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

OPERATIONS = "fastnn.ops"
"""Package that is loaded before any name. It gives Tensors their methods, and a fixed import order prevents deadlocks."""


def lazily(
    package: str, names: Mapping[str, str], module_name: str = ""
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__all__`, `__getattr__` and `__dir__` of a package, or of a module in it.

    Type checkers read the package's stub file, which `scripts/stubs` writes from the same names.

    Args:
        package: name of the package.
        names: module, relative to the package -> its public names, separated by blanks. The entry a=b gives the module's b the
            name a. The names of the module "." are modules themselves.
        module_name: full name of the module in the package; "" for the package itself.
    """
    own_name = module_name or package
    where: dict[str, tuple[str, str]] = {}
    for module, listed in names.items():
        for entry in listed.split():
            name, _, own = entry.partition("=")
            where[name] = module, own or name

    def load(name: str) -> Any:
        if name not in where:
            from .near import nearest  # only for errors

            near = None if name.startswith("_") else nearest(name, where)
            hint = "" if near is None else f". Did you mean {near!r}?"
            # With `name`, Python does not add a guess of its own, which it would only do in tracebacks outside of notebooks.
            raise AttributeError(f"module {own_name!r} has no attribute {name!r}{hint}", name=name)
        module, own = where[name]
        import_module(OPERATIONS)
        found = import_module(f".{own}", package) if module == "." else getattr(import_module(module, package), own)
        vars(sys.modules[own_name])[name] = found
        return found

    everything = sorted(where)
    return everything, load, lambda: everything.copy()
