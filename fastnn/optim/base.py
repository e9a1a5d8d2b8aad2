"""Base of all optimizers: groups of parameters, the step with clipping and accumulation, and averages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tape import changed
from ..autograd.tensor import Tensor
from ..backends import current, shared_array
from ..core.arrays import copy_array
from ..core.block import completed
from ..core.versions import settings_changed
from ..nn.parameter import Parameter, fill_grad, flatten_parameters, take_assigned
from ..ops.checks import check_number
from .applied import Applied
from .attributes import LIMITS, Attributes, check_unused
from .averages import AVERAGE, Averages
from .group import Group, Layout
from .segment import Run, Segment, neighbours
from .state import Stateful

if TYPE_CHECKING:
    from ..backends.base import Backend
    from ..distributed.comm import Comm

COLLECTED = "collected"
"""Name of a state that every optimizer may have: the gradients since the last update."""


class Optimizer(Attributes, Stateful, Averages, Applied):
    """Base of all optimizers: a step is a few kernel calls for all parameters.

    Args:
        params: parameters, or a list of dicts, which are groups with separate settings: ``[{"params": a, "lr": 0.1},
            {"params": b}]``. None if the optimizer is passed to `compile`.
        settings: default settings of groups.
        clipnorm: maximal norm of each parameter's gradient.
        global_clipnorm: maximal norm of all gradients together.
        clipvalue: maximal absolute value of a gradient's element.
        use_ema: whether to keep a moving average of the weights: see `averaged` and `finalize`. `fit` ends with the averages.
        ema_momentum: decay factor of the moving average.
        ema_overwrite_frequency: number of updates after which the weights are replaced by the averages, each time.
        gradient_accumulation_steps: number of steps between updates of the weights. An update uses the mean of the gradients, and
            changes the parameters that have a gradient in its step.
        maximize: whether steps increase the loss, in the direction of the gradients.
        unused: PyTorch's foreach, fused and capturable, which have no effect; differentiable=True is an error.

    Raises:
        ValueError: a setting is out of range, there are no parameters, or a parameter is in two groups.
        TypeError: an object is not a parameter.
    """

    layout = Layout(("lr",))
    takes_closure = False
    """Whether a step evaluates the loss itself, usually several times."""
    _distribute: Comm | None = None

    def __init__(
        self,
        params: Iterable[Any] | None,
        settings: dict[str, Any],
        *,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        gradient_accumulation_steps: int | None = None,
        maximize: bool = False,
        **unused: Any,
    ) -> None:
        name = type(self).__name__
        check_unused(type(self), unused)
        limits = dict(zip(LIMITS, (clipnorm, global_clipnorm, clipvalue), strict=True))
        if sum(v is not None for v in limits.values()) > 1:
            raise ValueError(f"{name}: only one of clipnorm, global_clipnorm and clipvalue can be given")
        self._clip = next((key for key, v in limits.items() if v is not None), None)
        limit = limits.get(self._clip or "")
        if limit is not None and check_number(limit, f"{name}: {self._clip}", 0) == 0:
            raise ValueError(f"{name}: {self._clip} is {limit!r}, wanted a number above 0")
        self._limit = shared_array([limit or 0.0])
        self._total = shared_array([0.0])
        self.use_ema = bool(use_ema)
        self._ema_momentum = shared_array([check_number(ema_momentum, f"{name}: ema_momentum", 0, 1)])
        self._overwrite_every = _every(ema_overwrite_frequency, f"{name}: ema_overwrite_frequency")
        if self._overwrite_every and not use_ema:
            raise ValueError(f"{name}: ema_overwrite_frequency needs use_ema=True")
        self._update_every = _every(gradient_accumulation_steps, f"{name}: gradient_accumulation_steps")
        self.maximize = bool(maximize)
        self._share = shared_array([(-1 if maximize else 1) / (self._update_every or 1)])
        # Numbers of calls of step and of updates, which kernels read. They are counted only if something depends on them.
        self._calls, self._updates = shared_array([0], np.int64), shared_array([0], np.int64)
        self._flags = shared_array([[0], [0], [0]], np.int64)
        self.defaults = dict(settings)
        self.segments: list[Segment] = []
        self.params: list[Parameter] = []
        self._groups: tuple[Group, ...] = ()
        self._grouped = False  # whether the user passed groups
        given = None if params is None else self._listed(params)
        if given and any(isinstance(g, dict) for g in given):
            for group in given:
                self.add_param_group(group)
        else:
            for settings in self._own_groups():
                self._new_group(settings)
            if given is not None:
                self.add(given)

    # ---- methods that derived classes define ----

    def state_names(self, group: Group) -> dict[str, float]:
        """Return the names of the state buffers of a group's parameters, with their initial values."""
        return {}

    def update(self, k: Backend, run: Run) -> None:
        """Update the parameters of a run once, after its steps were counted."""
        raise NotImplementedError

    def check_group(self, group: Group) -> None:
        """Raise ValueError if a group's settings contradict each other."""

    def _check_group(self, group: Group) -> None:
        self.check_group(group)
        if group.states is not None and (lacking := self._states(group).keys() - group.states.keys()):
            raise ValueError(f"{type(self).__name__}: the group was made without {', '.join(lacking)}, which these settings need")

    def train(self) -> None:
        """Set the weights for training. Only optimizers that keep averages have separate weights for training."""

    def eval(self) -> None:
        """Set the weights for evaluation and saving."""

    # ---- parameters and groups ----

    def _listed(self, params: Any) -> list[Any]:
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            got = type(params).__name__
            raise TypeError(f"{type(self).__name__}: params is a {got}, wanted a list of parameters or model.parameters()")
        return list(params)

    def _own_groups(self) -> list[dict[str, Any]]:
        """Return the special settings of each group of an optimizer that was made without groups."""
        return [{}]

    def _new_group(self, settings: dict[str, Any], beside: tuple[Group, ...] | None = None) -> Group:
        """Make a group and append it to the groups, or to `beside`, which then replaces the other groups."""
        complete = self._complete(settings)
        group = Group(type(self).__name__, self._layout(complete), complete, self._updates, self._check_group, self._check_other)
        group.states = self._states(group)
        self._groups = (*(self._groups if beside is None else beside), group)
        return group

    def _complete(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {**self.defaults, **settings}

    def _layout(self, settings: dict[str, Any]) -> Layout:
        return self.layout

    def _assigned(self, fresh: list[Parameter]) -> list[tuple[Group, list[Parameter]]]:
        """Assign new parameters to groups."""
        return [(self.param_groups[0], fresh)]

    def add(self, params: Iterable[Tensor]) -> None:
        """Add parameters that the optimizer does not have yet to its first group."""
        own = set(self.params)
        fresh = [p for p in flatten_parameters(self._listed(params)) if p not in own]
        if not fresh and not self.params:
            raise ValueError(f"{type(self).__name__}: params is empty; a model has parameters once its layers have their shapes")
        for group, members in self._assigned(fresh):
            self._take(group, members)
        self._take_pending()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters: a dict with "params" and the settings that differ from those of the constructor.

        Recorded steps are recorded again.
        """
        name = type(self).__name__
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f"{name}: a group is {type(param_group).__name__}, wanted a dict with params")
        given = param_group["params"]
        given = [given] if isinstance(given, Tensor) else self._listed(given)
        if not given:
            raise ValueError(f"{name}: params of a group is empty")
        members = flatten_parameters(given)
        if len(members) < len(given) or not set(members).isdisjoint(self.params):
            raise ValueError(f"{name}: a parameter is given twice; it can be in one group only")
        settings = {key: value for key, value in param_group.items() if key != "params"}
        group = self._new_group(settings, None if self.params else ())  # the first group replaces the empty default group
        self._grouped = True
        self._take(group, members)

    def _take(self, group: Group, members: list[Parameter]) -> None:
        if not members:
            return
        if self.params:
            settings_changed()  # recorded steps do not update the new parameters
        segments = list(self.segments)
        for flat in dict.fromkeys(p.flat for p in members):
            for run in neighbours(p for p in members if p.flat is flat):
                segments.append(Segment(group, run, group.states or {}, len(self.carried)))
        own, params = [*group.parameters, *members], [*self.params, *members]

        def take() -> None:  # all or nothing: a parameter without a segment would never be trained
            group.parameters[:], self.params[:], self.segments[:] = own, params, segments

        completed(take)

    def _states(self, group: Group) -> dict[str, float]:
        extra = {AVERAGE: self.use_ema, COLLECTED: bool(self._update_every)}
        return {**self.state_names(group), **{name: 0.0 for name, wanted in extra.items() if wanted}}

    @property
    def lr(self) -> float:
        """Return the first group's learning rate; it may be changed at any time between steps, also recorded ones.

        Setting it changes the rates of other groups by the same factor, or sets them to the same value if it was 0. A function
        of the number of updates so far becomes the schedule of all groups.
        """
        lr: float = self.param_groups[0]["lr"]
        return lr

    @lr.setter
    def lr(self, value: Any) -> None:
        first, *others = self.param_groups
        before = first["lr"]
        first["lr"] = value
        for group in others:
            group["lr"] = value if callable(value) or not before else value * (group["lr"] / before)

    learning_rate = lr

    @property
    def iterations(self) -> int:
        """Return the number of updates of the weights so far."""
        current().host_reads("the number of steps")
        if self._pending is not None:
            return max((int(given["step"]) for given in self._pending["state"].values()), default=0)
        return max((int(s.steps.max()) for s in self.segments), default=0)

    @property
    def distribute(self) -> Comm | None:
        """Return the ranks over which each step sums the gradients; None for this process alone. `compile` sets it.

        The sum comes before clipping and averages, and with gradient_accumulation_steps once in each update. With the option
        average_every of `init`, the ranks average their weights instead, after each of so many steps.
        """
        return self._distribute

    @distribute.setter
    def distribute(self, comm: Comm | None) -> None:
        from ..distributed.gradients import check_optimizer

        if comm is not None:
            check_optimizer(self, "distribute")
        if comm is not self._distribute:
            settings_changed()
        self._distribute = comm

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear all gradients, so that the next backward overwrites them. set_to_none=False sets them to 0 instead."""
        k = current()
        if not set_to_none:
            for p in self.params:
                fill_grad(p)
            return
        for p in self.params:
            k.set_has_grad(p, False)

    # ---- the step ----

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step for all parameters that have a gradient.

        Args:
            closure: evaluates the loss and its gradients before the step; its result is returned.
        """
        loss = None if closure is None else closure()
        k = current()
        for s in self.segments:
            take_assigned(s.parameters, f"{type(self).__name__}.step")
        runs = [run for s in self.segments for run in s.runs(k)]
        comm = self._distribute
        averages = None if comm is None else comm.average_every
        if comm is not None and not averages and not self._update_every:
            from ..distributed.gradients import sum_gradients

            sum_gradients(k, comm, self, runs)
        if self._update_every or self._overwrite_every or averages:
            k.advance(self._calls, 1)
        if self._update_every:
            for run in runs:
                k.accumulate(run.states[COLLECTED], run.dw, self._share)
                run.dw = run.states[COLLECTED]
            k.every(self._flags[0], self._calls, self._update_every)
            with k.when(self._flags[0]) as block:
                if comm is not None and not averages and runs:
                    from ..distributed.gradients import Sum

                    block.host_call(Sum(comm, (run.dw for run in runs)))
                self._update_all(block, runs)
                for run in runs:
                    block.fill(run.states[COLLECTED], 0.0)
        else:
            if self.maximize:
                for run in runs:
                    up = k.empty(run.dw.shape, run.dw.dtype)
                    k.fill(up, 0.0)
                    k.accumulate(up, run.dw, self._share)
                    run.dw = up
            self._update_all(k, runs)
        if self._overwrite_every:
            k.every(self._flags[1], self._calls, self._overwrite_every * (self._update_every or 1))
            with k.when(self._flags[1]) as block:
                for run in runs:
                    copy_array(block, run.w, run.states[AVERAGE])
        if comm is not None and averages:
            from ..distributed.gradients import Sum

            k.every(self._flags[2], self._calls, averages)
            with k.when(self._flags[2]) as block:
                block.host_call(Sum(comm, (run.w for run in runs), 1 / comm.size, rounds=False))
        return loss

    def _update_all(self, k: Backend, runs: list[Run]) -> None:
        scheduled = [g.schedules for g in self.param_groups if g.schedules]
        for schedules in scheduled:
            schedules.write(k)
        if self._clip:
            self._clip_gradients(k, runs)
        for run in runs:
            changed(*run.parameters)
            k.advance(run.steps, 1)
            self.update(k, run)
            if self.use_ema:
                k.ema_step(run.states[AVERAGE], run.w, self._ema_momentum, run.steps)
        if scheduled:
            k.advance(self._updates, 1)

    def _clip_gradients(self, k: Backend, runs: list[Run]) -> None:
        if self._clip == "clipvalue":
            for run in runs:
                k.clip_value(run.dw, self._limit)
            return
        for run in runs:
            for p in run.parameters:
                p.shown()  # a norm that is not finite makes all rows of a gradient NaN
        grads = [run.of(p, run.dw) for run in runs for p in run.parameters]
        for together in [grads] if self._clip == "global_clipnorm" else [[g] for g in grads]:
            k.fill(self._total, 0.0)
            for g in together:
                k.sum_squares(self._total, g)
            for g in together:
                k.clip_norm(g, self._total, self._limit)

    # ---- settings ----

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments except the parameters."""
        group = self.param_groups[0]
        whole = self.defaults if self._grouped else group.settings()
        config: dict[str, Any] = {name: whole[name] for name in self.defaults if name not in group.layout.hidden}
        if self._clip:
            config[self._clip] = float(self._limit[0])
        if self.use_ema:
            config |= {"use_ema": True, "ema_momentum": float(self._ema_momentum[0])}
        if self._overwrite_every:
            config["ema_overwrite_frequency"] = self._overwrite_every
        if self._update_every:
            config["gradient_accumulation_steps"] = self._update_every
        if self.maximize:
            config["maximize"] = True
        return config

    @property
    def plain(self) -> bool:
        """Return whether `get_config` has all settings, since the user passed no groups."""
        return not self._grouped


def _every(n: Any, name: str) -> int:
    """Return the number of steps, 0 for None."""
    if n is None:
        return 0
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"{name} is {n!r}, wanted a whole number of at least 1")
    return int(n)
