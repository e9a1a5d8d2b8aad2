"""State of optimizers: state_dict, copies and pickles."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array
from ..backends import current
from ..core.convert import host_array
from ..core.unpickled import writable
from ..nn.parameter import Parameter, flatten_parameters
from ..ops.checks import whole_number
from .group import Group
from .segment import Segment


class Stateful:
    """Methods of `Optimizer` that return its state and load it."""

    carried: tuple[str, ...] = ()
    """Names of numbers that are stored for each parameter in addition to its step count."""
    params: list[Parameter]
    segments: list[Segment]
    _calls: Array
    _updates: Array
    _pending: Mapping[str, Any] | None = None
    """State that was loaded before the optimizer had parameters. It is applied when parameters are added."""

    if TYPE_CHECKING:

        @property
        def param_groups(self) -> tuple[Group, ...]: ...

        def _take(self, group: Group, members: list[Parameter]) -> None: ...

        def _new_group(self, settings: dict[str, Any]) -> Group: ...

    def _placed(self) -> list[tuple[Parameter, Segment, int]]:
        """Return the parameters in the order of their groups, each with its segment and index there."""
        place = {p: (s, i) for s in self.segments for i, p in enumerate(s.parameters)}
        return [(p, *place[p]) for group in self.param_groups for p in group.parameters]

    def state_dict(self) -> dict[str, Any]:
        """Return copies of everything that later steps depend on, except parameters and gradients.

        Returns:
            "state": index of a parameter -> its "step" and the arrays of its state, with the shape of the stored parameter;
            "param_groups": the settings of each group, with the indices of its parameters as "params";
            "counters": the numbers of calls of step and of updates, for schedules and averages.
        """
        if self._pending is not None:
            return copy.deepcopy(dict(self._pending))
        current().host_reads("state_dict")
        state: dict[int, dict[str, Any]] = {}
        for n, (p, s, i) in enumerate(self._placed()):
            run = s.run(i, i + 1)
            arrays = {name: np.array(current().to_numpy(a)).reshape(p.shape) for name, a in run.states.items()}
            state[n] = {"step": int(s.steps[i]), **dict(zip(self.carried, s.carried[i].tolist(), strict=True)), **arrays}
        groups, first = [], 0
        for group in self.param_groups:
            count = len(group.parameters)
            groups.append({**{key: group[key] for key in group if key != "params"}, "params": list(range(first, first + count))})
            first += count
        counters = {"calls": int(self._calls[0]), "updates": int(self._updates[0])}
        return {"state": state, "param_groups": groups, "counters": counters}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; later steps are then exactly the same as in the saved optimizer.

        Hyper-parameters that follow a schedule keep it. An optimizer without parameters, such as one in compile, stores the
        state until fit adds the parameters of the model.

        Raises:
            ValueError: groups, shapes or the names of the state differ from those of this optimizer. Nothing is changed.
        """
        name = f"{type(self).__name__}: load_state_dict"
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
            raise TypeError(f"{name}: wanted a dict with state and param_groups, as state_dict gives it")
        if not self.params and any(group["params"] for group in state_dict["param_groups"]):
            self._pending = copy.deepcopy(dict(state_dict))
            return
        self._take_state(name, state_dict)
        self._pending = None

    def _take_pending(self) -> None:
        """Load the state that was stored before the parameters were known. If it does not fit, it stays, and the next fit fails
        too."""
        if self._pending is not None and self.params:
            self.load_state_dict(self._pending)

    def _take_state(self, name: str, state_dict: Mapping[str, Any]) -> None:
        groups = state_dict["param_groups"]
        sizes, own = [len(g["params"]) for g in groups], [len(g.parameters) for g in self.param_groups]
        if sizes != own:
            raise ValueError(f"{name}: groups of {sizes} parameters came, wanted {own}")
        for group, given in zip(self.param_groups, groups, strict=True):
            if changed := [key for key in group.options if key in given and _plain(given[key]) != _plain(group.options[key])]:
                raise ValueError(f"{name}: {changed[0]} is {given[changed[0]]!r}, but the group was made with another")
        current().host_reads("load_state_dict")
        order = [n for g in groups for n in g["params"]]
        writes: list[tuple[Array, Any]] = []
        for n, (p, s, i) in zip(order, self._placed(), strict=True):
            given = state_dict["state"].get(n, {})
            wanted = {"step", *self.carried, *(s.group.states or {})}
            if given and given.keys() != wanted:
                came, names = ", ".join(map(str, given)), ", ".join(sorted(wanted))
                raise ValueError(f"{name}: the state of parameter {n} has {came}, wanted {names}; it is another optimizer's")
            writes.append((s.steps[i : i + 1], whole_number(given.get("step", 0), f"{name}: step", 0)))
            if p in s.seen:
                writes.append((s.seen[p], bool(given)))
            writes.append((s.carried[i], [float(given.get(key, 0.0)) for key in self.carried]))
            for key, initial in (s.group.states or {}).items():
                value = host_array(given.get(key, np.full(p.shape, initial, p.dtype)), p.dtype, f"{name}: {key}")
                if value.shape != p.shape:
                    raise ValueError(f"{name}: {key} of parameter {n} has shape {value.shape}, wanted {p.shape}")
                writes.append((s.run(i, i + 1).states[key], value.ravel()))
        counters = state_dict.get("counters", {})
        calls, updates = (whole_number(counters.get(key, 0), f"{name}: {key}", 0) for key in ("calls", "updates"))
        for array, value in writes:
            current().write(array, value)
        self._calls[0], self._updates[0] = calls, updates
        for group, given in zip(self.param_groups, groups, strict=True):
            for key, value in given.items():
                if key != "params" and key not in group.options and key not in group.followed:
                    group[key] = value
            if group.schedules is not None:
                group.schedules.show(max(updates - 1, 0))

    # Copies and pickles contain the parameters, the settings and the state. Flat buffers are made again.

    def __getstate__(self) -> dict[str, Any]:
        state = {key: v for key, v in vars(self).items() if key not in ("segments", "params", "_groups", "_distribute")}
        state["_saved"] = [(group.settings(), group.parameters) for group in self.param_groups], self.state_dict()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        groups, values = state.pop("_saved")
        vars(self).update(writable(state), segments=[], params=[], _groups=())
        for settings, parameters in groups:
            self._take(self._new_group(settings), flatten_parameters(parameters))
        self.load_state_dict(values)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
