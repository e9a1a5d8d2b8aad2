"""Optimizers with PyTorch's names and defaults, as one pass over flat buffers; `get` knows them by Keras's names and defaults.

Hyper-parameters and step counts lie in arrays that the kernels read, so that recorded steps follow when they change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .backends import current
from .nn.parameter import Home, Parameter, give_homes
from .ops.door import check_number
from .tensor import Array, Tensor


class Segment:
    """A run of parameters of one home that an optimizer holds, with its state in buffers of the same layout."""

    def __init__(self, home: Home, parameters: list[Parameter], states: int) -> None:
        self.home = home
        self.parameters = parameters
        self.first = parameters[0].start
        size = parameters[-1].start + parameters[-1].size - self.first
        k = current()
        self.states: list[Array] = []
        for _ in range(states):
            state = k.empty(size, home.dtype)
            k.fill(state, 0.0)
            self.states.append(state)
        self.steps = np.zeros(len(parameters), np.int64)

    def runs(self, k: Any) -> list[tuple[int, int]]:
        """Ranges of neighbouring parameters that have a gradient and have taken equally many steps."""
        runs: list[tuple[int, int]] = []
        steps = self.steps.tolist()
        begin = end = 0  # the run that is growing
        for i, p in enumerate(self.parameters):
            if not (p.requires_grad and k.has_grad(p)):
                continue
            if end != i or steps[begin] != steps[i]:
                if end:
                    runs.append((begin, end))
                begin = i
            end = i + 1
        if end:
            runs.append((begin, end))
        return runs

    def range(self, begin: int, end: int) -> slice:
        """Where those parameters lie in the home's buffers."""
        last = self.parameters[end - 1]
        return slice(self.parameters[begin].start, last.start + last.size)


def _neighbours(members: list[Parameter]) -> list[list[Parameter]]:
    """Parameters of one home in runs with nothing of anyone else between them."""
    runs: list[list[Parameter]] = []
    for p in members:
        if runs and runs[-1][-1].end == p.start:
            runs[-1].append(p)
        else:
            runs.append([p])
    return runs


class Optimizer:
    """What the optimizers share: parameters at home, clipping, and a step that is a few kernel calls for the whole model.

    Args:
        params: parameters, or None when given to `compile`.
        clipnorm: the greatest norm of each parameter's gradient.
        global_clipnorm: the greatest norm of all gradients together.
        clipvalue: the greatest absolute value of a gradient's element.
    """

    hyper_names: tuple[str, ...] = ()
    kernel = ""

    def __init__(
        self,
        params: Iterable[Tensor] | None,
        hyper: dict[str, float],
        clipnorm: float | None,
        global_clipnorm: float | None,
        clipvalue: float | None,
    ) -> None:
        name = type(self).__name__
        for key, value in hyper.items():
            check_number(value, f"{name}: {key}", 0)
        self.hyper = np.array([float(hyper[key]) for key in self.hyper_names])
        limits = {"clipnorm": clipnorm, "global_clipnorm": global_clipnorm, "clipvalue": clipvalue}
        if sum(v is not None for v in limits.values()) > 1:
            raise ValueError(f"{name}: only one of clipnorm, global_clipnorm and clipvalue can be given")
        self._clip = next((key for key, v in limits.items() if v is not None), None)
        limit = limits.get(self._clip or "")
        if limit is not None and check_number(limit, f"{name}: {self._clip}", 0) == 0:
            raise ValueError(f"{name}: {self._clip} is {limit!r}, wanted a number above 0")
        self._limit = np.array([limit or 0.0])
        self._total = np.zeros(1)
        self.segments: list[Segment] = []
        self.params: list[Parameter] = []
        if params is not None:
            self.add(params)

    def add(self, params: Iterable[Tensor]) -> None:
        """Takes parameters that it does not hold yet."""
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            got = type(params).__name__
            raise TypeError(f"{type(self).__name__}: params is a {got}, wanted a list of parameters or model.parameters()")
        own = set(self.params)
        fresh = [p for p in give_homes(params) if p not in own]
        if not fresh and not self.params:
            raise ValueError(f"{type(self).__name__}: params is empty; a model has parameters once its layers have their shapes")
        homes = list(dict.fromkeys(p.home for p in fresh if p.home is not None))
        for home in homes:
            members = sorted((p for p in fresh if p.home is home), key=lambda p: p.start)
            for run in _neighbours(members):
                self.segments.append(Segment(home, run, self.state_count()))
        self.params += fresh

    def state_count(self) -> int:
        """How many buffers of state a step needs."""
        return 0

    def _hyper(self, name: str) -> float:
        return float(self.hyper[self.hyper_names.index(name)])

    def _set_hyper(self, name: str, value: float) -> None:
        check_number(value, f"{type(self).__name__}: {name}", 0)
        self.hyper[self.hyper_names.index(name)] = value

    @property
    def lr(self) -> float:
        """The learning rate; it may be changed at any time between steps, recorded ones too."""
        current().value_leaves("the learning rate")
        return self._hyper("lr")

    @lr.setter
    def lr(self, value: float) -> None:
        current().value_leaves("the learning rate")
        self._set_hyper("lr", value)

    learning_rate = lr

    @property
    def iterations(self) -> int:
        """The number of steps taken."""
        current().value_leaves("the number of steps")
        return max((int(s.steps.max()) for s in self.segments), default=0)

    def zero_grad(self) -> None:
        """Forgets all gradients; costs nothing, the next backward overwrites them."""
        k = current()
        for p in self.params:
            k.set_has_grad(p, False)

    def step(self) -> None:
        """One step for all parameters that have a gradient."""
        k = current()
        work = [(s, begin, end) for s in self.segments for begin, end in s.runs(k)]
        if self._clip:
            self._clip_gradients(k, work)
        for s, begin, end in work:
            where = s.range(begin, end)
            for p in s.parameters[begin:end]:
                p.version += 1
            local = slice(where.start - s.first, where.stop - s.first)
            steps = s.steps[begin:end]
            k.advance(steps, 1)
            states = [state[local] for state in s.states]
            self._kernel(k, s.home.values[where], states, s.home.grads[where], steps)

    def _kernel(self, k: Any, w: Array, states: list[Array], dw: Array, steps: Array) -> None:
        raise NotImplementedError

    def _clip_gradients(self, k: Any, work: list[tuple[Segment, int, int]]) -> None:
        if self._clip == "clipvalue":
            for s, begin, end in work:
                k.clip_value(s.home.grads[s.range(begin, end)], self._limit)
        elif self._clip == "global_clipnorm":
            grads = [s.home.grads[s.range(i, i + 1)] for s, begin, end in work for i in range(begin, end)]
            self._clip_together(k, grads)
        else:
            for s, begin, end in work:
                for i in range(begin, end):
                    self._clip_together(k, [s.home.grads[s.range(i, i + 1)]])

    def _clip_together(self, k: Any, grads: list[Array]) -> None:
        k.fill(self._total, 0.0)
        for g in grads:
            k.sum_squares(self._total, g)
        for g in grads:
            k.clip_norm(g, self._total, self._limit)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments but for the parameters."""
        config: dict[str, Any] = {name: self._hyper(name) for name in self.hyper_names if name != "decoupled"}
        if self._clip:
            config[self._clip] = float(self._limit[0])
        return config

    # Copies and pickles hold the parameters and each one's state; flat buffers are made anew.

    def __getstate__(self) -> dict[str, Any]:
        state = {k: v for k, v in vars(self).items() if k not in ("segments", "params")}
        state["_saved"] = [
            (p, [np.array(b[p.start - s.first :][: p.size]) for b in s.states], int(s.steps[i]))
            for s in self.segments
            for i, p in enumerate(s.parameters)
        ]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_saved")
        self.__dict__.update(state, segments=[], params=[])
        if saved:
            self.add([p for p, _, _ in saved])
            place = {p: (s, i) for s in self.segments for i, p in enumerate(s.parameters)}
            for p, buffers, step in saved:
                s, i = place[p]
                s.steps[i] = step
                for own, value in zip(s.states, buffers, strict=True):
                    own[p.start - s.first :][: p.size] = value


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum or Nesterov's momentum.

    Args:
        params: parameters, or None when given to `compile`.
        lr: the learning rate.
        momentum: the share of the last step that is kept.
        dampening: how much less the gradient counts in the momentum.
        weight_decay: adds weight_decay w to the gradient (L2).
        nesterov: whether to look ahead (Sutskever et al., ICML 2013).
        decoupled: whether weight decay shrinks the weights themselves instead.

    >>> import fastnn
    >>> fastnn.optim.SGD(lr=0.1, momentum=0.9).lr
    0.1
    """

    hyper_names = ("lr", "momentum", "dampening", "nesterov", "weight_decay", "decoupled")

    def __init__(
        self,
        params: Iterable[Tensor] | None = None,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        decoupled: bool = False,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
    ) -> None:
        if nesterov and (not momentum or dampening):
            raise ValueError("SGD: nesterov needs momentum and no dampening")
        hyper = dict(zip(self.hyper_names, (lr, momentum, dampening, nesterov, weight_decay, decoupled), strict=True))
        self._momentum = momentum > 0
        super().__init__(params, hyper, clipnorm, global_clipnorm, clipvalue)

    def state_count(self) -> int:
        return int(self._momentum)

    def _kernel(self, k: Any, w: Array, states: list[Array], dw: Array, steps: Array) -> None:
        k.sgd_step(w, states[0] if states else k.empty(0, w.dtype), dw, self.hyper, steps)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "nesterov": bool(config["nesterov"]), "decoupled": bool(self._hyper("decoupled"))}


class Adam(Optimizer):
    """Adam (Kingma and Ba, arXiv 1412.6980).

    Args:
        params: parameters, or None when given to `compile`.
        lr: the learning rate.
        betas: how much of the running means of gradient and squared gradient is kept.
        eps: what is added to the root of the squared gradient.
        weight_decay: adds weight_decay w to the gradient (L2); for decoupled decay take AdamW.

    >>> import fastnn
    >>> fastnn.optim.Adam().get_config()["eps"]
    1e-08
    """

    hyper_names = ("lr", "beta1", "beta2", "eps", "weight_decay", "decoupled")
    _decoupled = False

    def __init__(
        self,
        params: Iterable[Tensor] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        clipnorm: float | None = None,
        global_clipnorm: float | None = None,
        clipvalue: float | None = None,
    ) -> None:
        if (
            not isinstance(betas, tuple | list)
            or len(betas) != 2
            or not all(isinstance(b, int | float) and 0 <= b < 1 for b in betas)
        ):
            raise ValueError(f"{type(self).__name__}: betas={betas!r}, wanted two numbers from 0 to below 1")
        hyper = dict(zip(self.hyper_names, (lr, *betas, eps, weight_decay, self._decoupled), strict=True))
        super().__init__(params, hyper, clipnorm, global_clipnorm, clipvalue)

    def state_count(self) -> int:
        return 2

    def _kernel(self, k: Any, w: Array, states: list[Array], dw: Array, steps: Array) -> None:
        k.adam_step(w, states[0], states[1], dw, self.hyper, steps)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {"betas": [config.pop("beta1"), config.pop("beta2")], **config}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101): w *= 1 - lr weight_decay before each step."""

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        **clipping: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, **clipping)


# Keras's defaults, by its names.
_KERAS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {"lr": 0.01, "decoupled": True}),
    "adam": (Adam, {"eps": 1e-7}),
    "adamw": (AdamW, {"eps": 1e-7, "weight_decay": 4e-3}),
}


def get(identifier: Any, **settings: Any) -> Optimizer:
    """An optimizer from its name, with Keras's defaults and these settings, or an Optimizer itself.

    >>> import fastnn
    >>> fastnn.optim.get("adam", lr=0.01).lr
    0.01
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier(**settings)
    if isinstance(identifier, str):
        name = identifier.lower()
        if name not in _KERAS:
            raise ValueError(f"unknown optimizer {identifier!r}; there are: {', '.join(_KERAS)}")
        cls, defaults = _KERAS[name]
        if name == "adam" and settings.get("weight_decay"):
            cls = AdamW  # Keras decouples weight decay in all its optimizers
        return cls(**{**defaults, **settings})
    raise TypeError(f"optimizer: {type(identifier).__name__} came, wanted a name or an object of fastnn.optim")


OPTIMIZERS: dict[str, type[Optimizer]] = {c.__name__: c for c in (SGD, Adam, AdamW)}

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "get"]
