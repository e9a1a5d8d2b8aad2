"""Methods of Tensor that overwrite it with the result of an operation, such as ``t.add_(u)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops import activation, composed, data, division, elementwise, logic, matrices, places, reduce, sampling
from .tape import no_grad
from .tensor import Tensor


def kept(t: Tensor, value: Tensor) -> Tensor:
    """Return the result of an operation in place, in the dtype of the Tensor if both are floating-point numbers."""
    return elementwise.astype(value, t.dtype) if value.dtype.kind == t.dtype.kind == "f" else value


def _in_place(name: str, f: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the in-place version of an operation, for leaves; under `no_grad` if the leaf requires a gradient."""

    def change(self: Any, *args: Any, **kwargs: Any) -> Tensor:
        self._check_in_place(name)
        with no_grad():
            changed: Tensor = self.copy_(kept(self, f(self, *args, **kwargs)))
        return changed

    change.__doc__ = f"Overwrite a leaf with the result of `{name.rstrip('_')}`; under `no_grad` if it requires a gradient."
    return change


def _scaled_in_place(name: str, f: Callable[[Any, Any], Tensor]) -> Callable[..., Tensor]:
    """Return the in-place version of a sum or difference with PyTorch's argument alpha, a factor of the second operand."""
    in_place = _in_place(name, f)

    def change(self: Any, other: Any, *, alpha: float = 1) -> Tensor:
        if alpha == 1:
            return in_place(self, other)
        with no_grad():
            scaled = elementwise.mul(other, alpha) if isinstance(other, Tensor) else np.multiply(other, alpha)
        return in_place(self, scaled)

    change.__doc__ = f"{in_place.__doc__} The second operand is multiplied by alpha."
    return change


class InPlaceMethods:
    """Methods that overwrite a leaf."""

    __slots__ = ()

    add_ = _scaled_in_place("add_", elementwise.add)
    sub_ = subtract_ = _scaled_in_place("sub_", elementwise.sub)
    mul_ = multiply_ = _in_place("mul_", elementwise.mul)
    div_ = divide_ = true_divide_ = _in_place("div_", elementwise.div)
    pow_ = _in_place("pow_", elementwise.pow)
    neg_ = negative_ = _in_place("neg_", elementwise.neg)
    exp_ = _in_place("exp_", elementwise.exp)
    sqrt_ = _in_place("sqrt_", elementwise.sqrt)
    clamp_ = clip_ = _in_place("clamp_", elementwise.clip)
    lerp_ = _in_place("lerp_", composed.lerp)
    addcmul_ = _in_place("addcmul_", composed.addcmul)
    addcdiv_ = _in_place("addcdiv_", composed.addcdiv)
    relu_ = _in_place("relu_", activation.relu)
    masked_fill_ = _in_place("masked_fill_", logic.masked_fill)
    scatter_ = _in_place("scatter_", composed.scatter)
    scatter_add_ = _in_place("scatter_add_", data.scatter_add)
    index_add_ = _in_place("index_add_", places.index_add)
    index_copy_ = _in_place("index_copy_", places.index_copy)
    index_fill_ = _in_place("index_fill_", places.index_fill)
    index_put_ = _in_place("index_put_", places.index_put)
    normal_ = _in_place("normal_", sampling.normal_like)
    uniform_ = _in_place("uniform_", sampling.uniform_like)
    abs_ = absolute_ = _in_place("abs_", elementwise.abs)
    ceil_ = _in_place("ceil_", elementwise.ceil)
    cos_ = _in_place("cos_", elementwise.cos)
    floor_ = _in_place("floor_", elementwise.floor)
    log_ = _in_place("log_", elementwise.log)
    reciprocal_ = _in_place("reciprocal_", elementwise.reciprocal)
    round_ = _in_place("round_", elementwise.round)
    rsqrt_ = _in_place("rsqrt_", elementwise.rsqrt)
    sign_ = _in_place("sign_", elementwise.sign)
    sin_ = _in_place("sin_", elementwise.sin)
    square_ = _in_place("square_", elementwise.square)
    trunc_ = _in_place("trunc_", division.trunc)
    floor_divide_ = _in_place("floor_divide_", division.floor_divide)
    fmod_ = _in_place("fmod_", division.fmod)
    remainder_ = _in_place("remainder_", division.remainder)
    clamp_min_ = _in_place("clamp_min_", composed.clamp_min)
    clamp_max_ = _in_place("clamp_max_", composed.clamp_max)
    nan_to_num_ = _in_place("nan_to_num_", composed.nan_to_num)
    sigmoid_ = _in_place("sigmoid_", activation.sigmoid)
    tanh_ = _in_place("tanh_", activation.tanh)
    cumsum_ = _in_place("cumsum_", reduce.cumsum)
    tril_ = _in_place("tril_", matrices.tril)
    triu_ = _in_place("triu_", matrices.triu)
