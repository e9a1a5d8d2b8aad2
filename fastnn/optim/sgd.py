"""Stochastic gradient descent, and Lion, which uses the sign of its momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .base import Optimizer
from .group import Group, Layout, Setting
from .segment import Run

if TYPE_CHECKING:
    from ..backends.base import Backend

MOMENTUM = "momentum_buffer"


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum or Nesterov's momentum.

    Args:
        params: parameters or groups; None if the optimizer is passed to `compile`.
        lr: the learning rate.
        momentum: decay factor of the momentum.
        dampening: the gradient counts 1 - dampening in the momentum.
        weight_decay: adds weight_decay w to the gradient (L2).
        nesterov: whether to use Nesterov's momentum (Sutskever et al., ICML 2013).
        decoupled: whether weight decay shrinks the weights themselves instead.
        common: clipping, averages and accumulation, as in `Optimizer`.

    >>> import fastnn
    >>> fastnn.optim.SGD(lr=0.1, momentum=0.9).lr
    0.1
    """

    layout = Layout(("lr", "momentum", "dampening", "nesterov", "weight_decay", "decoupled"))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-3,
        momentum: Setting = 0.0,
        dampening: Setting = 0.0,
        weight_decay: Setting = 0.0,
        nesterov: bool = False,
        *,
        decoupled: bool = False,
        **common: Any,
    ) -> None:
        settings = dict(zip(self.layout.names, (lr, momentum, dampening, nesterov, weight_decay, decoupled), strict=True))
        super().__init__(params, settings, **common)

    def check_group(self, group: Group) -> None:
        if group.number("nesterov") and (not group.positive("momentum") or group.positive("dampening")):
            raise ValueError("SGD: nesterov needs momentum and no dampening")

    def state_names(self, group: Group) -> dict[str, float]:
        return {MOMENTUM: 0.0} if group.positive("momentum") else {}

    def update(self, k: Backend, run: Run) -> None:
        k.sgd_step(run.w, run.states.get(MOMENTUM, k.absent), run.dw, run.group.hyper, run.steps)


class Lion(Optimizer):
    """Lion (Chen et al., arXiv 2302.06675): steps of one size, by the sign of a momentum.

    Args:
        params: parameters or groups, or None when given to `compile`.
        lr: the learning rate, the size of a step in each weight; about a tenth of Adam's.
        betas: weight of the momentum in the direction of a step, and decay factor of the momentum.
        weight_decay: decoupled weight decay, w *= 1 - lr weight_decay.
        common: clipping, averages and accumulation, as in `Optimizer`.

    >>> import fastnn
    >>> fastnn.optim.Lion().get_config()
    {'lr': 0.0001, 'betas': (0.9, 0.99), 'weight_decay': 0.0}
    """

    layout = Layout(("lr", "beta1", "beta2", "weight_decay", "decoupled"), hidden=("decoupled",))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-4,
        betas: tuple[Setting, Setting] = (0.9, 0.99),
        weight_decay: Setting = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "decoupled": True}, **common)

    def state_names(self, group: Group) -> dict[str, float]:
        return {"exp_avg": 0.0}

    def update(self, k: Backend, run: Run) -> None:
        k.lion_step(run.w, run.states["exp_avg"], run.dw, run.group.hyper)
