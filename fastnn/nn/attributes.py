"""Attributes of modules: setting one registers parameters, modules and buffers, and checks arguments."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..autograd.tape import owned
from ..autograd.tensor import Tensor
from ..backends import current
from ..core.convert import own_array
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module

UNRECORDED = frozenset(
    {"training", "stop_training", "history", "name", "class_names", "trained_on", "tokenizer", "table_encoder"}
)
"""Attributes of modules that no forward depends on."""


class Attributes:
    """Methods of `fastnn.nn.Module` that set, register and delete attributes."""

    _parameters: dict[str, Parameter | None]
    _modules: dict[str, Module]
    _buffers: dict[str, Tensor]
    _auto_names: list[str]
    _frozen: bool

    if TYPE_CHECKING:

        @property
        def built(self) -> bool: ...

    _checked_arguments: ClassVar[Mapping[str, Callable[[Any, str], Any]]] = {}
    """Checks of constructor's arguments that are attributes: check(value, "Class: argument") returns the attribute or raises.

    They run whenever the attribute is set, in the constructor and later.
    """

    _fixed_arguments: ClassVar[tuple[str, ...]] = ()
    """Arguments that determine the shapes of parameters. They cannot be set after the layer is built."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Add the checked and fixed arguments of the base classes to those of a class."""
        super().__init_subclass__(**kwargs)
        bases = [c for c in reversed(cls.__mro__[1:]) if issubclass(c, Attributes)]
        if "_checked_arguments" in vars(cls):
            cls._checked_arguments = dict(check for c in (*bases, cls) for check in c._checked_arguments.items())
        if "_fixed_arguments" in vars(cls):
            cls._fixed_arguments = tuple(dict.fromkeys(name for c in (*bases, cls) for name in c._fixed_arguments))

    def _checked(self, name: str, value: Any) -> Any:
        """Check a new value of an attribute, and return the value to store.

        Raises:
            AttributeError: the argument is fixed, since the layer has its parameters.
            TypeError, ValueError: the check rejects the value.
        """
        known, before = name in vars(self), vars(self).get(name)
        if known and value is before:
            return value
        check = type(self)._checked_arguments.get(name)
        if check is not None:
            value = check(value, f"{type(self).__name__}: {name}")
        if known:
            if isinstance(value, int | str | tuple) and type(value) is type(before) and value == before:
                return before
            self._refuse_fixed(name)
        if check is not None and not isinstance(value, Attributes):
            self.__dict__.get("_modules", {}).pop(name, None)  # an activation with parameters may become a function
        return value

    def _refuse_fixed(self, name: str) -> None:
        if name in type(self)._fixed_arguments and self.built:
            parameters = " and ".join(key for key, p in self._parameters.items() if p is not None)
            raise AttributeError(
                f"{type(self).__name__}: {name} is fixed once the layer has its parameters; "
                f"write into {parameters}, or make another layer"
            )

    _version = 0
    """Grows whenever this module or one that it holds gets a parameter, layer, buffer or setting: what was recorded is void."""
    _holders: list[weakref.ref[Attributes]] | None = None
    """The modules that hold this one, or held it."""

    def _held_by(self, holder: Attributes) -> None:
        alive = [r for r in self._holders or () if r() is not None and r() is not holder]
        object.__setattr__(self, "_holders", [*alive, weakref.ref(holder)])

    def _structure_changed(self) -> None:
        """Increase the version of this module and of all modules that contain it."""
        found: dict[Attributes, None] = {}
        stack: list[Attributes] = [self]
        while stack:
            m = stack.pop()
            if m not in found:
                found[m] = None
                object.__setattr__(m, "_version", m._version + 1)
                stack += [h for r in m._holders or () if (h := r()) is not None]

    def __setattr__(self, name: str, value: Any) -> None:
        cls = type(self)
        if name in cls._checked_arguments or name in cls._fixed_arguments:
            value = self._checked(name, value)
        if isinstance(value, Parameter | Attributes):
            if "_modules" not in self.__dict__:
                raise AttributeError(f"{cls.__name__}: call super().__init__() before setting {name}")
            if isinstance(getattr(cls, name, None), property):
                kind = "parameter" if isinstance(value, Parameter) else "layer"
                raise AttributeError(f"{cls.__name__}: {name} is a property of modules; give the {kind} another name")
            own, other = (self._parameters, self._modules) if isinstance(value, Parameter) else (self._modules, self._parameters)
            self._structure_changed()  # before the change, so that after Ctrl-C no old recording fits
            if isinstance(value, Attributes):
                value._held_by(self)
            elif self._frozen:
                value.requires_grad = False
            cast(dict[str, Any], other).pop(name, None)
            for auto in [n for n in self.__dict__.get("_auto_names", ()) if n != name and self._parameters.get(n) is value]:
                self._auto_names.remove(auto)  # remove the automatic name of add_weight, since the attribute names the parameter
                del self._parameters[auto], self.__dict__[auto]
            cast(dict[str, Any], own)[name] = self.__dict__[name] = value  # also in __dict__, where Python looks first
        elif name in self.__dict__.get("_buffers", {}):
            if not isinstance(value, Tensor):
                raise TypeError(f"{cls.__name__}: {name} is a buffer; {type(value).__name__} came, wanted a Tensor")
            owned(value)
            current().buffer_assigned(cast(Any, self), name, self._buffers[name], value)
            self._structure_changed()
            self._buffers[name] = self.__dict__[name] = value
        elif name in self.__dict__.get("_parameters", {}) or name in self.__dict__.get("_modules", {}):
            kind = "a parameter" if name in self._parameters else "a layer"
            if value is not None:
                raise TypeError(f"{cls.__name__}: {name} is {kind}; {type(value).__name__} came, wanted {kind} or None")
            self._structure_changed()
            if name in self._parameters:
                self._parameters[name] = None
            else:
                del self._modules[name]
            self.__dict__[name] = None
        else:
            # Forward may read this setting (an activation, a factor). A new version makes old recorded steps invalid.
            known = name.startswith("_") or name in UNRECORDED or isinstance(getattr(cls, name, None), property)
            if not known and self.__dict__.get(name) is not value:
                self._structure_changed()
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._structure_changed()
        self._parameters.pop(name, None)
        self._modules.pop(name, None)
        self._buffers.pop(name, None)
        object.__delattr__(self, name)

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """Register a parameter, or None for a missing one, under a name."""
        self._hold({name: value})

    def _hold(self, parameters: dict[str, Parameter | None]) -> None:
        """Register several parameters at once, so that other threads, errors and Ctrl-C never leave only some of them."""
        if self._frozen:
            for p in parameters.values():
                if p is not None:
                    p.requires_grad = False
        self._structure_changed()
        self.__dict__.update(parameters)
        self._parameters.update(parameters)

    def register_buffer(self, name: str, value: Any, *, keep_dtype: bool = False) -> None:
        """Register state that is saved with the parameters but not trained, such as running means, under a name.

        Args:
            name: that of the attribute, and of the value in state_dict and files.
            value: a Tensor, or numbers; lists of floats become float32. Change it in place (`copy_`), which also works in
                recorded steps.
            keep_dtype: whether a change of the model's dtype leaves the buffer unchanged; otherwise floating-point buffers
                change.
        """
        tensor = value if isinstance(value, Tensor) else Tensor(own_array(current(), value, None, "register_buffer", True))
        if name in self._parameters or name in self._modules:
            raise ValueError(f"register_buffer: {type(self).__name__} has a parameter or layer {name!r}")
        owned(tensor)
        self._structure_changed()
        self._buffers[name] = self.__dict__[name] = tensor
        kept = self.__dict__.get("_keep_dtype", set())
        if keep_dtype or name in kept:
            self.__dict__["_keep_dtype"] = {*kept, name} if keep_dtype else kept - {name}
