"""Schedule-free AdamW: training at one point, evaluation at the average of another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..backends import current
from ..core.arrays import copy_array
from ..core.block import Finally, completed
from .base import Optimizer
from .group import Group, Layout, Setting
from .segment import Run

if TYPE_CHECKING:
    from ..backends.base import Backend


class AdamWScheduleFree(Optimizer):
    """Schedule-free AdamW (Defazio et al., arXiv 2405.15682): averaging of the steps replaces a schedule.

    Gradients are computed at y, steps are taken at z, and the average x of all z is evaluated. The parameters are y in training
    and x after `eval`. Call `train` before training continues, and `eval` before evaluating or saving. With compile and fit,
    this happens automatically: outside of training steps the model's weights are the averages.

    Args:
        params: parameters or groups; None if the optimizer is passed to `compile`.
        lr: the learning rate; the best is higher than Adam's.
        betas: weight of x in y, and decay factor of the running mean of the squared gradient.
        eps: number that is added to the root of the mean squared gradient.
        weight_decay: decoupled weight decay, computed at y.
        warmup_steps: number of steps in which the learning rate grows from nearly 0.
        r: steps have the weight t^r in the average.
        weight_lr_power: steps have the weight of the maximal learning rate so far to this power.
        common: clipping and accumulation, as in `Optimizer`.

    >>> import fastnn
    >>> p = fastnn.nn.Parameter([1.0])
    >>> optimizer = fastnn.optim.AdamWScheduleFree([p], lr=0.1)
    >>> for _ in range(20):
    ...     p.grad = 2 * p.numpy()
    ...     optimizer.step()
    >>> optimizer.eval()
    >>> abs(p.item()) < 1
    True
    """

    layout = Layout(("lr", "beta1", "beta2", "eps", "weight_decay", "warmup_steps", "r", "weight_lr_power"))
    carried = ("weight_sum", "lr_max", "share")

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 0.0025,
        betas: tuple[Setting, Setting] = (0.9, 0.999),
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **common: Any,
    ) -> None:
        if common.get("use_ema"):
            raise ValueError("AdamWScheduleFree: use_ema: it keeps averages of its own")
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        averaging = {"warmup_steps": warmup_steps, "r": r, "weight_lr_power": weight_lr_power}
        self._training = True
        super().__init__(params, {**settings, **averaging}, **common)

    def check_group(self, group: Group) -> None:
        if group.scheduled("beta1"):
            raise ValueError("AdamWScheduleFree: betas: the first is a schedule, wanted a number: the averages hang on it")
        if not group.positive("beta1"):
            raise ValueError("AdamWScheduleFree: betas: the first is 0, wanted a number above 0 and below 1")

    def state_names(self, group: Group) -> dict[str, float]:
        return {"z": 0.0, "exp_avg_sq": 0.0}

    def step(self, closure: Any = None) -> Any:
        current().prepares(self._ready)
        return super().step(closure)

    def _ready(self, n: int) -> int:
        if not self._training:
            raise RuntimeError("AdamWScheduleFree: step: the weights are the averages; call train() before training goes on")
        return n

    def update(self, k: Backend, run: Run) -> None:
        hyper = run.group.hyper
        k.schedule_free_weight(run.carried, hyper, run.steps)
        k.schedule_free_step(run.w, run.states["z"], run.states["exp_avg_sq"], run.dw, hyper, run.carried, run.steps)

    def train(self) -> None:
        """Set the parameters to y, where gradients are computed."""
        self._go(True, lambda beta1: 1 - beta1)

    def eval(self) -> None:
        """Set the parameters to x, the average."""
        self._go(False, lambda beta1: 1 - 1 / beta1)

    def _go(self, training: bool, weight: Callable[[float], float]) -> None:
        if self._training is training:
            return
        k = current()
        k.host_reads("the weights that an optimizer keeps for training or evaluation")
        moved = []
        for s in self.segments:
            share = k.shared_array([weight(s.group.number("beta1"))])
            for run in s.stepped():
                values = k.empty(run.w.shape, run.w.dtype)
                copy_array(k, values, run.w)
                k.lerp(values, run.states["z"], share)
                moved.append((run, values))

        def put() -> None:  # all weights and the flag together, or training would continue from the wrong weights
            for run, values in moved:
                self._replace(k, run, values)
            self._training = training

        completed(put)

    def averaged(self) -> Finally:
        """Return a block in which the parameters have the averages of their values."""
        return Finally(self.train if self._training else self.eval, self.eval)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "training": self._training}

    def load_state_dict(self, state_dict: Any) -> None:
        """Load the result of `state_dict`, which also contains whether the weights were those of training or averages."""
        super().load_state_dict(state_dict)
        self._training = bool(state_dict.get("training", True))
