"""Activations with PyTorch's arguments."""

from __future__ import annotations

from collections.abc import Callable

from ...autograd.tensor import Tensor
from ...ops import activation, elementwise
from ...ops.create import rand_like
from ...ops.data import one_hot as hot
from ...ops.elementwise import astype, clip, log, neg
from ...ops.reduce import argmax
from ...ops.shape import swap_axes

Plain = Callable[[Tensor], Tensor]


def _plain(f: Plain, name: str) -> Callable[..., Tensor]:
    def function(input: Tensor, inplace: bool = False) -> Tensor:
        return f(input)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"See `fastnn.{f.__name__}`; inplace has no effect."
    return function


relu = _plain(activation.relu, "relu")
relu6 = _plain(activation.relu6, "relu6")
selu = _plain(activation.selu, "selu")
silu = _plain(activation.silu, "silu")
mish = _plain(activation.mish, "mish")
hardswish = _plain(activation.hard_silu, "hardswish")
hardsigmoid = _plain(activation.hard_sigmoid, "hardsigmoid")


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """See `fastnn.leaky_relu`; inplace has no effect."""
    return activation.leaky_relu(input, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """See `fastnn.elu`; inplace has no effect."""
    return activation.elu(input, alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """See `fastnn.celu`; inplace has no effect."""
    return activation.celu(input, alpha)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """See `fastnn.hard_tanh`; inplace has no effect."""
    return activation.hard_tanh(input, min_val, max_val)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """See `fastnn.threshold`; inplace has no effect."""
    return activation.threshold(input, threshold, value)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """See `fastnn.softplus`."""
    return activation.softplus(input, beta, threshold)


def gumbel_softmax(logits: Tensor, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """Return the softmax of logits with Gumbel noise, divided by tau: samples of the classes that have gradients.

    hard: return 1 for the greatest element and 0 for the others, with the gradient of the softmax.

    Source: Jang, Gu, Poole, arXiv 1611.01144.
    """
    tiny = 1e-30 if logits.dtype == "float64" else 1e-20
    noise = neg(log(clip(neg(log(clip(rand_like(logits), tiny))), tiny)))
    soft = activation.softmax(elementwise.div(elementwise.add(logits, noise), tau), dim)
    if not hard:
        return soft
    chosen = swap_axes(hot(argmax(soft, dim, True), soft.shape[dim]), dim, -1)
    return astype(chosen.reshape(soft.shape), soft.dtype) - soft.detach() + soft
