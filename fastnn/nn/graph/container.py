"""Lists and dicts of modules, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..containing import Containing
from ..module import Module


def _module(value: Any, op: str) -> Module:
    if not isinstance(value, Module):
        raise TypeError(f"{op}: {type(value).__name__} came, wanted a module")
    return value


class ModuleList(Containing):
    """List of modules. Their parameters belong to the module that contains the list. It has no forward.

    >>> import fastnn.nn as nn
    >>> layers = nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 2)])
    >>> len(layers), [p.shape for p in layers[1].parameters()]
    (2, [(2, 4), (2,)])
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the modules as write gives them."""
        return {"layers": [write(m) for m in self]}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> ModuleList:
        """Make the list from the result of get_config; make builds a module from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(config, "ModuleList", layers=list)
        return cls(map(make or Reader().layer, config["layers"]))

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        setattr(self, str(len(self)), _module(module, "ModuleList"))
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        for m in modules:
            self.append(m)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Insert a module before the given index."""
        items = list(self)
        items.insert(index, _module(module, "ModuleList"))
        for i, m in enumerate(items):
            setattr(self, str(i), m)

    def _name(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ModuleList: index {index} of {len(self)} modules")
        return str(index % len(self))

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int | slice) -> Any:
        return ModuleList(list(self)[index]) if isinstance(index, slice) else self._modules[self._name(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), _module(module, "ModuleList"))


class ModuleDict(Containing):
    """Dict of modules. Their parameters belong to the module that contains the dict. It has no forward.

    >>> import fastnn.nn as nn
    >>> heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 2)})
    >>> list(heads), heads["b"].out_features
    (['a', 'b'], 2)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def config_by(self, write: Callable[[Module], dict[str, Any]]) -> dict[str, Any]:
        """Return the config, with those of the modules as write gives them."""
        return {"names": list(self._modules), "layers": [write(m) for m in self._modules.values()]}

    @classmethod
    def from_config(cls, config: dict[str, Any], make: Callable[[Any], Any] | None = None) -> ModuleDict:
        """Make the dict from the result of get_config; make builds a module from its config."""
        from ...files.layers import Reader, check_keys

        check_keys(config, "ModuleDict", names=list, layers=list)
        return cls(dict(zip(config["names"], map(make or Reader().layer, config["layers"]), strict=True)))

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace modules."""
        for name, m in modules.items():
            self[name] = m

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        return self._modules.items()

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str) or not name or "." in name or (name not in self and hasattr(self, name)):
            raise KeyError(f"ModuleDict: {name!r} cannot be a name: it is empty, has a dot, or is an attribute of modules")
        setattr(self, name, _module(module, "ModuleDict"))

    def __delitem__(self, name: str) -> None:
        delattr(self, name)
