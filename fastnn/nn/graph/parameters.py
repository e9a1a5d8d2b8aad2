"""Lists and dicts of parameters, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...ops.create import zeros
from ..module import Module
from ..parameter import Parameter


class _Parameters(Module):
    """Base of the modules that hold parameters by names."""

    _saved_as = ""

    def _own(self, value: Any) -> Parameter:
        return value if isinstance(value, Parameter) else Parameter(value)

    def get_config(self) -> dict[str, Any]:
        own = [(name, p) for name, p in self._parameters.items() if p is not None]
        return {
            "names": [name for name, _ in own],
            "shapes": [list(p.shape) for _, p in own],
            "dtypes": [p.dtype.name for _, p in own],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the parameters from the result of get_config, with the value 0."""
        from ...files.layers import check_keys

        check_keys(config, cls.__name__, names=list, shapes=list, dtypes=list)
        made = cls()
        for name, shape, dtype in zip(config["names"], config["shapes"], config["dtypes"], strict=True):
            made._add(name, zeros(shape, dtype=dtype))
        return made

    def _add(self, name: str, value: Any) -> None:
        """Add a parameter with a name."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._parameters)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}: {p.shape}" for name, p in self._parameters.items() if p is not None)


class ParameterList(_Parameters):
    """List of parameters, which belong to the module that contains the list. It has no forward.

    >>> import fastnn
    >>> weights = fastnn.nn.ParameterList([fastnn.ones(2), fastnn.zeros(3)])
    >>> len(weights), [p.shape for p in weights]
    (2, [(2,), (3,)])
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; arrays and other Tensors become one."""
        setattr(self, str(len(self)), self._own(value))
        return self

    def _add(self, name: str, value: Any) -> None:
        self.append(value)

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end."""
        for value in values:
            self.append(value)
        return self

    def _name(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ParameterList: index {index} of {len(self)} parameters")
        return str(index % len(self))

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._parameters.values()))

    def __getitem__(self, index: int | slice) -> Any:
        return ParameterList(list(self)[index]) if isinstance(index, slice) else self._parameters[self._name(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name(index), self._own(value))


class ParameterDict(_Parameters):
    """Dict of parameters, which belong to the module that contains the dict. It has no forward.

    >>> import fastnn
    >>> scales = fastnn.nn.ParameterDict({"a": fastnn.ones(2)})
    >>> list(scales), scales["a"].tolist()
    (['a'], [1.0, 1.0])
    """

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def _add(self, name: str, value: Any) -> None:
        self[name] = value

    def update(self, parameters: Mapping[str, Any]) -> None:
        """Add or replace parameters."""
        for name, value in parameters.items():
            self[name] = value

    def keys(self) -> Iterable[str]:
        return self._parameters.keys()

    def values(self) -> Iterable[Any]:
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._parameters.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __getitem__(self, name: str) -> Any:
        return self._parameters[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name or "." in name or (name not in self and hasattr(self, name)):
            raise KeyError(f"ParameterDict: {name!r} cannot be a name: it is empty, has a dot, or is an attribute of modules")
        setattr(self, name, self._own(value))

    def __delitem__(self, name: str) -> None:
        delattr(self, name)
