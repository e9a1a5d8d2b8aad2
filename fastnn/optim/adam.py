"""Adam and its variants: AdamW, RAdam, NAdam and Adamax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .base import Optimizer
from .group import Group, Layout, Setting
from .rows import MOMENTS, adam_steps
from .segment import Run

if TYPE_CHECKING:
    from ..backends.base import Backend


class Adam(Optimizer):
    """Adam (Kingma and Ba, arXiv 1412.6980).

    Args:
        params: parameters or groups; None if the optimizer is passed to `compile`.
        lr: the learning rate.
        betas: decay factors of the running means of the gradient and of the squared gradient.
        eps: number that is added to the root of the mean squared gradient.
        weight_decay: adds weight_decay w to the gradient (L2).
        amsgrad: whether to use the maximum of the mean squared gradient so far (Reddi et al., ICLR 2018).
        decoupled_weight_decay: whether weight decay shrinks the weights themselves instead, as in AdamW.
        common: clipping, averages and accumulation, as in `Optimizer`.

    >>> import fastnn
    >>> fastnn.optim.Adam().get_config()["eps"]
    1e-08
    """

    layout = Layout(("lr", "beta1", "beta2", "eps", "weight_decay", "decoupled"), ("amsgrad",), ("decoupled",))
    _decoupled = False

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-3,
        betas: tuple[Setting, Setting] = (0.9, 0.999),
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
        amsgrad: bool = False,
        *,
        decoupled_weight_decay: bool = False,
        **common: Any,
    ) -> None:
        decoupled = self._decoupled or bool(decoupled_weight_decay)
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "decoupled": decoupled}
        super().__init__(params, {**settings, "amsgrad": bool(amsgrad)}, **common)

    def get_config(self) -> dict[str, Any]:
        decoupled = self.defaults["decoupled"] and not self._decoupled
        return {**super().get_config(), **({"decoupled_weight_decay": True} if decoupled else {})}

    def state_names(self, group: Group) -> dict[str, float]:
        return {**MOMENTS, "max_exp_avg_sq": 0.0} if group.options["amsgrad"] else MOMENTS

    def update(self, k: Backend, run: Run) -> None:
        group, states = run.segment.group, run.states
        if group.options["amsgrad"]:
            m, v = states["exp_avg"], states["exp_avg_sq"]
            k.amsgrad_step(run.w, m, v, states["max_exp_avg_sq"], run.dw, group.hyper, run.steps)
        else:
            adam_steps(k, run)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101): w *= 1 - lr weight_decay before each step."""

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-3,
        betas: tuple[Setting, Setting] = (0.9, 0.999),
        eps: Setting = 1e-8,
        weight_decay: Setting = 1e-2,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **common)


class RAdam(Optimizer):
    """RAdam (Liu et al., arXiv 1908.03265): Adam that uses its denominator only after enough steps.

    Args:
        params, lr, betas, eps, weight_decay, common: as in `Adam`.
        decoupled_weight_decay: whether weight decay shrinks the weights themselves, as in AdamW.
    """

    layout = Layout(("lr", "beta1", "beta2", "eps", "weight_decay", "decoupled_weight_decay"))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-3,
        betas: tuple[Setting, Setting] = (0.9, 0.999),
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
        decoupled_weight_decay: bool = False,
        **common: Any,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "decoupled_weight_decay": decoupled_weight_decay}, **common)

    def state_names(self, group: Group) -> dict[str, float]:
        return MOMENTS

    def update(self, k: Backend, run: Run) -> None:
        k.radam_step(run.w, run.states["exp_avg"], run.states["exp_avg_sq"], run.dw, run.group.hyper, run.steps)


class NAdam(Optimizer):
    """NAdam (Dozat, ICLR workshop 2016): Adam with Nesterov's momentum.

    Args:
        params, lr, betas, eps, weight_decay, common: as in `Adam`.
        momentum_decay: speed of the growth of the momentum, which is beta1 (1 - 0.96^(t momentum_decay) / 2) at step t.
        decoupled_weight_decay: whether weight decay shrinks the weights themselves, as in AdamW.
    """

    layout = Layout(("lr", "beta1", "beta2", "eps", "momentum_decay", "weight_decay", "decoupled_weight_decay"))
    carried = ("mu_product",)

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 2e-3,
        betas: tuple[Setting, Setting] = (0.9, 0.999),
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
        momentum_decay: Setting = 4e-3,
        decoupled_weight_decay: bool = False,
        **common: Any,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "momentum_decay": momentum_decay, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "decoupled_weight_decay": decoupled_weight_decay}, **common)

    def state_names(self, group: Group) -> dict[str, float]:
        return MOMENTS

    def update(self, k: Backend, run: Run) -> None:
        product, hyper = run.carried.reshape(-1), run.group.hyper
        k.nadam_product(product, hyper, run.steps)
        k.nadam_step(run.w, run.states["exp_avg"], run.states["exp_avg_sq"], run.dw, hyper, product, run.steps)


class Adamax(Optimizer):
    """Adamax (Kingma and Ba, arXiv 1412.6980, section 7.1): Adam with the maximum of gradients instead of the mean square.

    Args:
        params, lr, betas, eps, weight_decay, common: as in `Adam`.
        foreach: accepted for compatibility with PyTorch; has no effect.
        decoupled: whether weight decay shrinks the weights themselves, as in AdamW.
    """

    layout = Layout(("lr", "beta1", "beta2", "eps", "weight_decay", "decoupled"))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 2e-3,
        betas: tuple[Setting, Setting] = (0.9, 0.999),
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
        foreach: bool | None = None,
        *,
        decoupled: bool = False,
        **common: Any,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "decoupled": decoupled}
        super().__init__(params, settings, foreach=foreach, **common)

    def state_names(self, group: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def update(self, k: Backend, run: Run) -> None:
        k.adamax_step(run.w, run.states["exp_avg"], run.states["exp_inf"], run.dw, run.group.hyper, run.steps)
