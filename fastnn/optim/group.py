"""Groups of parameters with separate hyper-parameters, which are in arrays that kernels read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..backends import current, shared_array
from ..core.structure import own_code
from ..core.versions import settings_changed
from ..nn.parameter import Parameter
from ..ops.checks import check_number
from ..schedules import Schedule

if TYPE_CHECKING:
    from ..backends.base import Backend

Setting: TypeAlias = "float | Callable[[int], float]"
"""Type of a hyper-parameter: a number, or a schedule, which is a function of the number of updates so far (from 0)."""

RING = 1024
"""Number of schedule values that are computed in advance; at most this many replayed steps run without Python."""
BELOW_ONE = frozenset({"beta1", "beta2", "rho", "alpha"})
OTHER_NAMES = {"learning_rate": "lr", "epsilon": "eps", "beta_1": "betas", "beta_2": "betas"}
"""Keras's names of settings."""
FLAGS = frozenset({"nesterov", "decoupled", "decoupled_weight_decay", "inside"})


class Layout(NamedTuple):
    """Layout of the settings of a group.

    Args:
        names: hyper-parameters in the order of the kernel's array.
        options: settings that are fixed after the group is made.
        hidden: hyper-parameters that the class determines, so that they are not settings.
    """

    names: tuple[str, ...]
    options: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the names of the settings in constructors, where beta1 and beta2 are one setting, betas."""
        shown = ["betas" if n == "beta1" else n for n in self.names if n != "beta2" and n not in self.hidden]
        return (*shown, *self.options)


class Schedules:
    """Values of scheduled hyper-parameters for the next steps, in a ring buffer that the kernel `scheduled` reads."""

    def __init__(self, group: Group, functions: dict[int, Callable[[int], float]], updates: Array) -> None:
        self.functions = functions
        self.updates = updates
        self.slots = shared_array(list(functions), np.int64)
        self.values = shared_array(np.zeros((len(functions), RING)))
        self._group = group
        self._begin = self._end = 0  # range of steps with values in the ring buffer

    def prepare(self, n: int) -> int:
        """Compute the values of up to n steps; return the number of steps."""
        now, n = int(self.updates[0]), min(n, RING)
        if not self._begin <= now <= self._end:
            self._begin = self._end = now
        steps = range(self._end, now + n)
        for row, (i, function) in enumerate(self.functions.items()):
            if isinstance(function, Schedule) and own_code(type(function).__module__):
                values = function(np.array(steps)).tolist()
            else:
                values = map(function, steps)
            for step, value in zip(steps, values, strict=True):
                self.values[row, step % RING] = self._group.checked(i, value, f" at step {step}")
        self._end = max(self._end, now + n)
        self._begin = max(self._begin, self._end - RING)
        return n

    def show(self, step: int) -> None:
        """Write the values of a past step into the settings, where they stay until the next step."""
        for i, function in self.functions.items():
            self._group.hyper[i] = self._group.checked(i, function(step), f" at step {step}")

    def write(self, k: Backend) -> None:
        """Write the values of this step into the settings, by a kernel."""
        k.prepares(self.prepare)
        k.scheduled(self._group.hyper, self.values, self.slots, self.updates)


class Group(MutableMapping[str, Any]):
    """Item of `Optimizer.param_groups`: the parameters and settings of a group, by PyTorch's names.

    New values of hyper-parameters apply to the next steps, also recorded ones. A function of the step (from 0) is used as a
    schedule. Other names may be added, as in a dict, but not settings that the optimizer does not have.

    >>> import fastnn
    >>> optimizer = fastnn.optim.Adam([fastnn.nn.Parameter([1.0])], betas=(0.8, 0.99))
    >>> optimizer.param_groups[0]["lr"] = 0.5
    >>> optimizer.lr, optimizer.param_groups[0]["betas"]
    (0.5, (0.8, 0.99))
    """

    def __init__(
        self,
        owner: str,
        layout: Layout,
        settings: dict[str, Any],
        updates: Array,
        check: Callable[[Group], None],
        check_other: Callable[[str, Any, Layout], None],
    ) -> None:
        self.owner = owner
        self.layout = layout
        self.parameters: list[Parameter] = []
        self.states: dict[str, float] | None = None  # names of the state buffers of its parameters, with initial values
        self.hyper = shared_array(np.zeros(len(layout.names)))
        self.schedules: Schedules | None = None
        self.options = {name: settings[name] for name in layout.options}
        self._updates = updates
        self._check: Callable[[Group], None] = lambda group: None  # settings are checked together after all of them are set
        self._check_other = check_other
        self._other: dict[str, Any] = {}
        for name in (*layout.keys, *layout.hidden):
            if name not in layout.options:
                self._set(name, settings[name])
        for name in settings.keys() - set(layout.keys) - set(layout.hidden):
            self[name] = settings[name]
        check(self)
        self._check = check

    def checked(self, i: int, value: Any, where: str = "") -> float:
        """Check a value of the hyper-parameter with index i, and return it as a number."""
        name = self.layout.names[i]
        value = value.item() if isinstance(value, Tensor) and value.size == 1 else value  # of a custom schedule
        number = check_number(value, f"{self.owner}: {name}{where}", 0)
        if name in BELOW_ONE and number >= 1:
            raise ValueError(f"{self.owner}: {name}{where} is {value!r}, wanted a number from 0 to below 1")
        return number

    def scheduled(self, name: str) -> Callable[[int], float] | None:
        """Return the schedule of a hyper-parameter, or None."""
        return self.schedules.functions.get(self.layout.names.index(name)) if self.schedules else None

    @property
    def followed(self) -> set[str]:
        """Return the settings that follow a schedule, with their names in constructors."""
        return self._followed_by(self.schedules)

    def _followed_by(self, schedules: Schedules | None) -> set[str]:
        names = [self.layout.names[i] for i in schedules.functions] if schedules else []
        return {"betas" if name in ("beta1", "beta2") else name for name in names}

    def release(self, name: str) -> None:
        """End the schedule of a setting, if it follows one. It keeps its current value.

        >>> import fastnn
        >>> optimizer = fastnn.optim.SGD(lr=fastnn.schedules.ExponentialDecay(0.1, 10, 0.5))
        >>> optimizer.param_groups[0].release("lr")
        >>> optimizer.lr = 0.01
        """
        if name in self.followed:
            self._set(name, self[name], ends_schedule=True)

    def refuse_schedule(self, name: str, who: str) -> None:
        """Raise ValueError if a setting follows a schedule; for code that will set it."""
        if name in self.followed:
            hint = f"give the optimizer a number, or end the schedule by release({name!r}) of the group"
            raise ValueError(f"{who}: {name} of {self.owner} follows a schedule, which a number would end; {hint}")

    def positive(self, name: str) -> bool:
        """Return whether a hyper-parameter is above 0, or may become so by its schedule."""
        return self.number(name) > 0 or self.scheduled(name) is not None

    def number(self, name: str) -> float:
        """Return the current value of a hyper-parameter: that of the last step, or of the next one if it was just set."""
        return float(self.hyper[self.layout.names.index(name)])

    def settings(self) -> dict[str, Any]:
        """Return the settings, with schedules as functions, from which an equal group can be made."""
        found = {name: self[name] for name in (*self.layout.keys, *self.layout.hidden)}
        if self.schedules:
            for i, function in self.schedules.functions.items():
                name = self.layout.names[i]
                if name in ("beta1", "beta2"):
                    pair = list(found["betas"])
                    pair[name == "beta2"] = function
                    found["betas"] = tuple(pair)
                else:
                    found[name] = function
        return {**found, **self._other}

    def _set(self, name: str, value: Any, ends_schedule: bool = False) -> None:
        """Set a hyper-parameter; if the value is not valid, change nothing. Warn if this ends a schedule unexpectedly."""
        numbers, schedules = self.hyper.copy(), self.schedules
        try:
            self._write(name, value)
            self._check(self)
            if self.schedules is not schedules and self.parameters:
                settings_changed()  # recorded steps do not use the new schedule
        except BaseException:  # also after Ctrl-C, restore the old values
            self.hyper[:], self.schedules = numbers, schedules
            raise
        if schedules and not ends_schedule and self._followed_by(schedules) - self.followed:
            warnings.warn(
                f"{self.owner}: {name} was set to {value!r}, which ends the schedule that it followed; release({name!r}) of the "
                "group does so without this warning",
                stacklevel=4,
            )

    def _write(self, name: str, value: Any) -> None:
        if name == "betas":
            if not isinstance(value, tuple | list) or len(value) != 2 or not all(callable(b) or _is_share(b) for b in value):
                raise ValueError(f"{self.owner}: betas={value!r}, wanted two numbers from 0 to below 1")
            for own, beta in zip(("beta1", "beta2"), value, strict=True):
                self._write(own, beta)
            return
        i = self.layout.names.index(name)
        functions = dict(self.schedules.functions) if self.schedules else {}
        if callable(value):
            step = int(self._updates[0])
            self.hyper[i] = self.checked(i, value(step), f" at step {step}")
            functions[i] = value
        else:
            self.hyper[i] = self.checked(i, value)
            if functions.pop(i, None) is None:
                return
        self.schedules = Schedules(self, functions, self._updates) if functions else None

    def __getitem__(self, name: str) -> Any:
        if name == "params":
            return list(self.parameters)
        if name == "betas" and "beta1" in self.layout.names:
            return self["beta1"], self["beta2"]
        if name in self.layout.names:
            current().host_reads("the learning rate" if name == "lr" else name)
            return bool(self.number(name)) if name in FLAGS else self.number(name)
        return self.options[name] if name in self.options else self._other[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if OTHER_NAMES.get(name) in self.layout.keys:
            raise ValueError(f"{self.owner}: {name} of a group is named {OTHER_NAMES[name]}")
        if name == "params":
            raise ValueError(f"{self.owner}: the parameters of a group are fixed; use add_param_group")
        if name in self.options:
            if value != self.options[name]:
                raise ValueError(f"{self.owner}: {name} of a group is fixed once it is made")
        elif name in self.layout.names or (name == "betas" and "beta1" in self.layout.names):
            current().host_reads("the learning rate" if name == "lr" else name)
            self._set(name, value)
        else:
            self._check_other(name, value, self.layout)
            self._other[name] = value

    def __delitem__(self, name: str) -> None:
        if name not in self._other and name in set(self):
            raise TypeError(f"{self.owner}: {name} of a group cannot be removed; set it to another value")
        del self._other[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("params", *self.layout.keys, *self._other))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Group({', '.join(f'{name}={self[name]!r}' for name in self if name != 'params')})"


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and bool(0 <= value < 1)
