"""Lazy packages: each name is loaded at its first use, so that the import time does not grow with the size of the package."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

OPERATIONS = "fastnn.ops"
"""Package that is loaded before any name. It gives Tensors their methods, and a fixed import order prevents deadlocks."""


class Package(ModuleType):
    """Let functions that refer to a lazy module be sent to other processes; base of the classes of these modules.

    cloudpickle, which joblib, Ray and Dask use, sends only modules of Python's own class by their name.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)


def guessing(module: str, names: Iterable[str], absent: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that only raises the error for a name that the module lacks; see `lazily`."""

    def missing(name: str) -> Any:
        from .near import no_attribute

        raise no_attribute(module, name, names, (absent or {}).get(name, ""))

    return missing


def lazily(
    package: str, names: Mapping[str, str], module_name: str = "", absent: Mapping[str, str] | None = None
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__all__`, `__getattr__` and `__dir__` of a package, or of a module in it.

    Type checkers read the package's stub file, which `scripts/stubs` writes from the same names.

    Args:
        package: name of the package.
        names: module, relative to the package -> its public names, separated by blanks. The entry a=b gives the module's b the
            name a. The names of the module "." are modules themselves.
        module_name: full name of the module in the package; "" for the package itself.
        absent: names that users look for in vain -> what to do instead, for the error.
    """
    own_name = module_name or package
    where: dict[str, tuple[str, str]] = {}
    for module, listed in names.items():
        for entry in listed.split():
            name, _, own = entry.partition("=")
            where[name] = module, own or name

    def load(name: str) -> Any:
        if name not in where:
            from .near import no_attribute  # only for errors

            raise no_attribute(own_name, name, where, (absent or {}).get(name, ""))
        module, own = where[name]
        import_module(OPERATIONS)
        found = import_module(f".{own}", package) if module == "." else getattr(import_module(module, package), own)
        vars(sys.modules[own_name])[name] = found
        return found

    everything = sorted(where)
    return everything, load, lambda: everything.copy()
