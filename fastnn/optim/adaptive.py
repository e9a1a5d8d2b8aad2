"""RMSprop, Adagrad and Adadelta: steps are divided by the root of a mean or sum of past squared gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..ops.checks import check_number
from .base import Optimizer
from .group import Group, Layout, Setting
from .segment import Run

if TYPE_CHECKING:
    from ..backends.base import Backend


class RMSprop(Optimizer):
    """RMSprop (Hinton, Coursera lecture 6e, 2012).

    Args:
        params: parameters or groups, or None when given to `compile`.
        lr: the learning rate.
        alpha: decay factor of the running mean of the squared gradient; below 1.
        eps: number that is added to the root of the mean.
        weight_decay: adds weight_decay w to the gradient (L2).
        momentum: decay factor of the momentum.
        centered: whether to use the variance of the gradient instead of its mean square (Graves, arXiv 1308.0850).
        capturable, foreach, maximize, differentiable: as in `Optimizer`.
        inside: whether eps is added under the root, as Keras does.
        decoupled: whether weight decay shrinks the weights themselves instead.
        common: clipping, averages and accumulation, as in `Optimizer`.
    """

    layout = Layout(("lr", "alpha", "eps", "momentum", "inside", "weight_decay", "decoupled"), ("centered",))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-2,
        alpha: Setting = 0.99,
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
        momentum: Setting = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        inside: bool = False,
        decoupled: bool = False,
        **common: Any,
    ) -> None:
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum, "inside": inside, "weight_decay": weight_decay}
        common |= {"capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable}
        super().__init__(params, {**settings, "decoupled": decoupled, "centered": bool(centered)}, **common)

    def state_names(self, group: Group) -> dict[str, float]:
        wanted = {"square_avg": True, "grad_avg": group.options["centered"], "momentum_buffer": group.positive("momentum")}
        return {name: 0.0 for name, there in wanted.items() if there}

    def update(self, k: Backend, run: Run) -> None:
        mean, buffer = (run.states.get(name, k.absent) for name in ("grad_avg", "momentum_buffer"))
        k.rmsprop_step(run.w, run.states["square_avg"], mean, buffer, run.dw, run.group.hyper)


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., JMLR 2011): each weight's steps shrink with the sum of its squared gradients.

    Args:
        params: parameters or groups, or None when given to `compile`.
        lr: the learning rate.
        lr_decay: step t has the learning rate lr / (1 + (t - 1) lr_decay).
        weight_decay: adds weight_decay w to the gradient (L2).
        initial_accumulator_value: initial value of the sums.
        eps: number that is added to the root of the sums.
        foreach: PyTorch's, changes nothing.
        decoupled: whether weight decay shrinks the weights themselves instead.
        common: clipping, averages and accumulation, as in `Optimizer`.
    """

    layout = Layout(("lr", "lr_decay", "eps", "weight_decay", "decoupled"), ("initial_accumulator_value",))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-2,
        lr_decay: Setting = 0.0,
        weight_decay: Setting = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: Setting = 1e-10,
        foreach: bool | None = None,
        *,
        decoupled: bool = False,
        **common: Any,
    ) -> None:
        initial = check_number(initial_accumulator_value, "Adagrad: initial_accumulator_value", 0)
        settings = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay, "decoupled": decoupled}
        super().__init__(params, {**settings, "initial_accumulator_value": initial}, foreach=foreach, **common)

    def state_names(self, group: Group) -> dict[str, float]:
        return {"sum": group.options["initial_accumulator_value"]}

    def update(self, k: Backend, run: Run) -> None:
        k.adagrad_step(run.w, run.states["sum"], run.dw, run.group.hyper, run.steps)


class Adadelta(Optimizer):
    """Adadelta (Zeiler, arXiv 1212.5701): steps are scaled by the size of past steps, divided by that of past gradients.

    Args:
        params: parameters or groups, or None when given to `compile`.
        lr: factor of the steps.
        rho: decay factor of the running means of squared gradients and squared steps; below 1.
        eps: number that is added to both means under the root.
        weight_decay: adds weight_decay w to the gradient (L2).
        foreach: PyTorch's, changes nothing.
        decoupled: whether weight decay shrinks the weights themselves instead.
        common: clipping, averages and accumulation, as in `Optimizer`.
    """

    layout = Layout(("lr", "rho", "eps", "weight_decay", "decoupled"))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1.0,
        rho: Setting = 0.9,
        eps: Setting = 1e-6,
        weight_decay: Setting = 0.0,
        foreach: bool | None = None,
        *,
        decoupled: bool = False,
        **common: Any,
    ) -> None:
        settings = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "decoupled": decoupled}
        super().__init__(params, settings, foreach=foreach, **common)

    def state_names(self, group: Group) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def update(self, k: Backend, run: Run) -> None:
        k.adadelta_step(run.w, run.states["square_avg"], run.states["acc_delta"], run.dw, run.group.hyper)
