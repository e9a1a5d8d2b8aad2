"""Muon: orthogonalized momentum for matrices, AdamW for all other parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array
from ..core.arrays import copy_array
from ..nn.parameter import Parameter
from .base import Optimizer
from .group import Group, Layout, Setting
from .rows import MOMENTS
from .segment import Run

if TYPE_CHECKING:
    from ..backends.base import Backend


def _original(rows: int, columns: int) -> float:
    return math.sqrt(max(1.0, columns / rows))


def _like_adamw(rows: int, columns: int) -> float:
    return 0.2 * math.sqrt(max(rows, columns))


ADJUSTMENTS = {None: _original, "original": _original, "match_rms_adamw": _like_adamw}


class Muon(Optimizer):
    """Muon (Jordan et al., 2024; https://kellerjordan.github.io/posts/muon): steps are orthogonal matrices.

    Muon updates parameters with two dimensions, the weights of layers, by PyTorch's rules (but in the parameters' dtype, where
    PyTorch rounds to bfloat16). AdamW updates all other parameters, as in Keras. There are two groups; the second is for AdamW.
    In groups that are passed, "use_muon" selects one of the two. AdamW is often better for embeddings and the last layer.

    Args:
        params: parameters or groups; None if the optimizer is passed to `compile`.
        lr: the learning rate.
        weight_decay: decoupled weight decay.
        momentum: decay factor of the momentum.
        nesterov: whether to use Nesterov's momentum.
        ns_coefficients: coefficients of the Newton-Schulz iteration x -> a x + b (x x') x + c (x x')^2 x.
        eps: least norm by which a matrix is divided.
        ns_steps: number of iterations.
        adjust_lr_fn: "original" multiplies steps by sqrt(max(1, outputs / inputs)), "match_rms_adamw" by
            0.2 sqrt(max(outputs, inputs)), with which learning rates are like AdamW's (Liu et al., arXiv 2502.16982).
        adamw_lr, adamw_betas, adamw_eps, adamw_weight_decay: settings of AdamW; rate and decay are those of Muon by default.
        common: clipping, averages and accumulation, as in `Optimizer`.

    >>> import fastnn
    >>> layer = fastnn.nn.Linear(3, 2)
    >>> [len(group["params"]) for group in fastnn.optim.Muon(layer.parameters()).param_groups]
    [1, 1]
    """

    layout = Layout(
        ("lr", "momentum", "nesterov", "weight_decay", "eps"), ("ns_coefficients", "ns_steps", "adjust_lr_fn", "use_muon")
    )
    _adamw = Layout(("lr", "beta1", "beta2", "eps", "weight_decay", "decoupled"), ("use_muon",), ("decoupled",))

    def __init__(
        self,
        params: Iterable[Any] | None = None,
        lr: Setting = 1e-3,
        weight_decay: Setting = 0.1,
        momentum: Setting = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        adamw_lr: Setting | None = None,
        adamw_betas: tuple[Setting, Setting] = (0.9, 0.999),
        adamw_eps: Setting = 1e-8,
        adamw_weight_decay: Setting | None = None,
        **common: Any,
    ) -> None:
        settings = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "eps": eps}
        iteration = {"ns_coefficients": ns_coefficients, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn}
        self._for_adamw = {
            "lr": lr if adamw_lr is None else adamw_lr,
            "betas": adamw_betas,
            "eps": adamw_eps,
            "weight_decay": weight_decay if adamw_weight_decay is None else adamw_weight_decay,
            "decoupled": True,
        }
        super().__init__(params, {**settings, **iteration, "use_muon": True}, **common)

    def _own_groups(self) -> list[dict[str, Any]]:
        return [{"use_muon": use_muon} for use_muon in (True, False)]

    def _complete(self, settings: dict[str, Any]) -> dict[str, Any]:
        if settings.get("use_muon", True):
            complete = super()._complete(settings)
            if isinstance(complete["ns_coefficients"], list):  # from a file
                complete["ns_coefficients"] = tuple(complete["ns_coefficients"])
            return complete
        return {**self._for_adamw, **settings}

    def _layout(self, settings: dict[str, Any]) -> Layout:
        return self.layout if settings["use_muon"] else self._adamw

    def check_group(self, group: Group) -> None:
        options = group.options
        if not options["use_muon"]:
            return
        if options["adjust_lr_fn"] not in ADJUSTMENTS:
            known = ", ".join(map(str, ADJUSTMENTS))
            raise ValueError(f"Muon: adjust_lr_fn is {options['adjust_lr_fn']!r}; there are: {known}")
        steps, coefficients = options["ns_steps"], options["ns_coefficients"]
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps < 100:
            raise ValueError(f"Muon: ns_steps is {steps!r}, wanted a whole number from 1 to 99")
        if not isinstance(coefficients, tuple | list) or len(coefficients) != 3 or not np.isfinite(coefficients).all():
            raise ValueError(f"Muon: ns_coefficients={coefficients!r}, wanted three numbers")

    def _assigned(self, fresh: list[Parameter]) -> list[tuple[Group, list[Parameter]]]:
        kinds = [(use_muon, [p for p in fresh if (p.ndim == 2) == use_muon]) for use_muon in (True, False)]
        return [(self._group_of(use_muon), members) for use_muon, members in kinds if members]

    def _group_of(self, use_muon: bool) -> Group:
        """Return the first group of this kind; make one if the user passed none."""
        found = [group for group in self.param_groups if group.options["use_muon"] == use_muon]
        return found[0] if found else self._new_group({"use_muon": use_muon})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters. Without "use_muon", all or none of them must be matrices."""
        if isinstance(param_group, dict) and isinstance(param_group.get("params"), Iterable):
            members = list(param_group["params"]) if not hasattr(param_group["params"], "ndim") else [param_group["params"]]
            matrices = [getattr(p, "ndim", 0) == 2 for p in members]
            use_muon = param_group.get("use_muon", all(matrices))
            if (use_muon and not all(matrices)) or ("use_muon" not in param_group and any(matrices) and not all(matrices)):
                raise ValueError("Muon: a group has parameters that are no matrices; put those into one with use_muon=False")
            param_group = {**param_group, "params": members, "use_muon": bool(use_muon)}
        super().add_param_group(param_group)

    def state_names(self, group: Group) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if group.options["use_muon"] else MOMENTS

    def update(self, k: Backend, run: Run) -> None:
        hyper, options = run.group.hyper, run.group.options
        if not options["use_muon"]:
            k.adam_step(run.w, run.states["exp_avg"], run.states["exp_avg_sq"], run.dw, hyper, run.steps)
            return
        towards = k.empty(run.w.shape, run.w.dtype)
        k.muon_momentum(run.states["momentum_buffer"], towards, run.dw, hyper)
        adjust = ADJUSTMENTS[options["adjust_lr_fn"]]
        for p in run.parameters:
            if p.size:
                x = run.of(p, towards).reshape(p.shape)
                x = orthogonal(k, x, options["ns_coefficients"], options["ns_steps"], hyper[4:5])
                k.muon_step(run.of(p, run.w), x.reshape(-1), hyper, adjust(*p.shape))

    def get_config(self) -> dict[str, Any]:
        config = {name: value for name, value in super().get_config().items() if name != "use_muon"}
        own = self._for_adamw if self._grouped else self.param_groups[1].settings()
        return config | {f"adamw_{name}": own[name] for name in ("lr", "betas", "eps", "weight_decay")}


def orthogonal(k: Backend, x: Array, coefficients: tuple[float, float, float], steps: int, eps: Array) -> Array:
    """Return the matrix with singular values near 1, by the Newton-Schulz iteration; x is overwritten."""
    a, b, c = coefficients
    wide = x.shape[0] <= x.shape[1]
    n = min(x.shape)
    total = k.empty(1, np.float64)
    k.fill(total, 0.0)
    k.sum_squares(total, x)
    k.unit_norm(x, total, eps)
    y, gram, inner = k.empty(x.shape, x.dtype), k.empty((n, n), x.dtype), k.empty((n, n), x.dtype)
    for _ in range(steps):
        (k.matmul_nt if wide else k.matmul_tn)(gram, x, x, 1.0, 0.0, 0)
        copy_array(k, inner, gram)
        k.matmul_nn(inner, gram, gram, c, b, 0)
        copy_array(k, y, x)
        if wide:
            k.matmul_nn(y, inner, x, 1.0, a, 0)
        else:
            k.matmul_nn(y, x, inner, 1.0, a, 0)
        x, y = y, x
    return x
