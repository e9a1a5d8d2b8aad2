"""Attributes of optimizers; setting one that would have no effect is an error."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ..autograd.tensor import Array
from ..core.near import nearest
from ..core.structure import own_code
from ..ops.checks import check_number
from .group import OTHER_NAMES, Group, Layout

LIMITS = ("clipnorm", "global_clipnorm", "clipvalue")
UNUSED = ("foreach", "fused", "capturable")
"""PyTorch's arguments that select an implementation; they are accepted and have no effect."""
FIXED = (*LIMITS, "use_ema", "ema_momentum", "ema_overwrite_frequency", "gradient_accumulation_steps", "maximize")
"""Settings of a whole optimizer, which groups do not have."""
_KNOWN: set[str] = set()
"""Names of all settings of the optimizers of fastnn."""
_PARTS = frozenset({"defaults", "segments", "params"})


def check_unused(cls: type, arguments: dict[str, Any]) -> None:
    """Raise an error for unknown arguments, and for differentiable=True, which is not supported."""
    name = cls.__name__
    for key, value in arguments.items():
        if key not in (*UNUSED, "differentiable"):
            raise TypeError(f"{name}: unknown argument {key!r}{_hint(cls, key)}")
        if not isinstance(value, bool | None):
            raise TypeError(f"{name}: {key} is {value!r}, wanted True, False or None")
    if arguments.get("differentiable"):
        raise ValueError(f"{name}: differentiable=True: steps have no gradient; change the parameters by operations on Tensors")


def _hint(cls: type, name: str) -> str:
    known = OTHER_NAMES.get(name)
    if known:
        return f"; here it is {known}"
    taken = [n for c in cls.__mro__[:-1] if "__init__" in vars(c) for n in inspect.signature(vars(c)["__init__"]).parameters]
    near = nearest(name, [n for n in (*taken, *OTHER_NAMES) if n not in ("self", "params", "settings", "common", "unused")])
    return f"; did you mean {near}?" if near else ""


class Attributes:
    """Methods of `Optimizer` that check its attributes."""

    layout: Layout
    _groups: tuple[Group, ...]
    use_ema: bool
    maximize: bool
    _clip: str | None
    _limit: Array
    _ema_momentum: Array
    _overwrite_every: int
    _update_every: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if own_code(cls.__module__) and "layout" in vars(cls):
            _KNOWN.update(cls.layout.keys)

    if TYPE_CHECKING:

        @property
        def plain(self) -> bool: ...

        def get_config(self) -> dict[str, Any]: ...

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        cls = type(self).__name__
        if name == "param_groups":
            raise AttributeError(f"{cls}: param_groups cannot be replaced; set what is in them, or use add_param_group")
        known = OTHER_NAMES.get(name, name)
        if known != "lr" and known in self.layout.keys:
            fixed = "is fixed once the optimizer is made" if known in self.layout.options else "belongs to groups; set it there"
            named = f"{name}, here {known}," if name != known else name
            raise AttributeError(f"{cls}: {named} {fixed}: for group in optimizer.param_groups: group[{known!r}] = ...")
        if name in FIXED and self._fixed(name):
            raise AttributeError(
                f"{cls}: {name} is fixed once the optimizer is made; make another one with it, and compile again"
            )
        mine = name in _PARTS or name in FIXED or hasattr(type(self), name)
        if not mine and (name in OTHER_NAMES or own_code(type(self).__module__)):
            import difflib

            near = difflib.get_close_matches(name, ["lr", "learning_rate", *FIXED, *self.layout.keys], 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: lr, {', '.join(self.layout.keys[1:])}"
            raise AttributeError(f"{cls}: there is no attribute {name!r}{hint}")
        object.__setattr__(self, name, value)

    @property
    def param_groups(self) -> tuple[Group, ...]:
        """Return the groups of parameters with their settings; `add_param_group` adds one."""
        return self._groups

    def _check_other(self, name: str, value: Any, layout: Layout) -> None:
        """Check a name and value that a user adds to a group with this layout.

        Raises:
            ValueError: the name is a setting of the whole optimizer with another value, a setting of other optimizers, or a
                misspelled setting.
        """
        cls = type(self).__name__
        if name in FIXED:
            if value != getattr(self, name):
                raise ValueError(f"{cls}: {name} holds for all groups; give it to the constructor")
        elif own_code(type(self).__module__):
            import difflib

            elsewhere = name in _KNOWN
            near = difflib.get_close_matches(name, layout.keys, 1, 0.85)
            if elsewhere or near:
                hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(layout.keys)}"
                raise ValueError(f"{cls}: {name} is no setting of this group{hint}")

    def _fixed(self, name: str) -> bool:
        """Return whether this setting cannot be changed now."""
        if name in LIMITS:
            return self._clip != name
        return name in vars(self) if name in ("use_ema", "maximize") else name != "ema_momentum" or not self.use_ema

    def _limit_of(self, name: str) -> float | None:
        return float(self._limit[0]) if self._clip == name else None

    def _set_limit(self, name: str, value: Any) -> None:
        if check_number(value, f"{type(self).__name__}: {name}", 0) == 0:
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}, wanted a number above 0")
        self._limit[0] = value

    clipnorm = property(
        lambda self: self._limit_of("clipnorm"),
        lambda self, value: self._set_limit("clipnorm", value),
        doc="Maximal norm of each parameter's gradient, or None; it may be changed at any time if it is not None.",
    )
    global_clipnorm = property(
        lambda self: self._limit_of("global_clipnorm"),
        lambda self, value: self._set_limit("global_clipnorm", value),
        doc="Maximal norm of all gradients together, or None; it may be changed at any time if it is not None.",
    )
    clipvalue = property(
        lambda self: self._limit_of("clipvalue"),
        lambda self, value: self._set_limit("clipvalue", value),
        doc="Maximal absolute value of a gradient's element, or None; it may be changed at any time if it is not None.",
    )

    @property
    def ema_momentum(self) -> float:
        """Return the decay factor of the moving average of the weights; it may be changed if use_ema is set."""
        return float(self._ema_momentum[0])

    @ema_momentum.setter
    def ema_momentum(self, value: float) -> None:
        self._ema_momentum[0] = check_number(value, f"{type(self).__name__}: ema_momentum", 0, 1)

    @property
    def ema_overwrite_frequency(self) -> int | None:
        """Return the number of updates after which the weights are replaced by their averages."""
        return self._overwrite_every or None

    @property
    def gradient_accumulation_steps(self) -> int | None:
        """Return the number of steps between updates of the weights."""
        return self._update_every or None

    def __repr__(self) -> str:
        if self.plain:
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_config().items())})"
        groups = "".join(f"\n  ({i}): {group!r}" for i, group in enumerate(self.param_groups))
        return f"{type(self).__name__}({groups}\n)"
