"""Check of second derivatives against finite differences of gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from ..ops.shape import concatenate, reshape
from .check import Leaf, Settings, check
from .gradients import grad
from .tape import enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, tensor


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Sequence[Any] | Any,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    seed: int = 0,
) -> bool:
    """Return whether second derivatives, which ``create_graph=True`` makes, agree with finite differences of gradients.

    It is `gradcheck` of the gradients of fn by its inputs and parameters, as a function of these and of the gradients of the
    outputs, which are random numbers.

    Args:
        fn, inputs, eps, rtol, atol, seed: as in `gradcheck`.

    Returns:
        True.

    Raises:
        GradcheckError: a second derivative is wrong; the message is like that of `gradcheck`.
        NotImplementedError: an operation has no second derivative; the message names it.

    >>> import fastnn
    >>> fastnn.gradgradcheck(lambda x: (x * x * x).sum(), [[1.0, 2.0, 3.0]])
    True
    """

    def change(
        called: Callable[..., Any], arguments: list[Tensor], leaves: list[Leaf], rng: np.random.Generator
    ) -> Callable[..., Any]:
        with no_grad():
            out = called(*arguments)
        if not isinstance(out, Tensor) or out.dtype != np.float64:
            return called  # gradcheck says what is wrong
        inputs = [leaf.tensor for leaf in leaves]
        arguments.append(tensor(rng.standard_normal(out.shape), requires_grad=True))
        leaves.append(Leaf("the gradient of the output", arguments[-1]))
        return _gradients(called, inputs)

    check(fn, inputs, Settings(eps, rtol, atol), seed, "gradgradcheck", change)
    return True


def _gradients(fn: Callable[..., Tensor], leaves: Sequence[Tensor]) -> Callable[..., Tensor]:
    """Return the function that computes the gradients of a function by the leaves, on the tape, in one Tensor."""

    def gradients(*arguments: Tensor) -> Tensor:
        with nullcontext() if is_grad_enabled() else enable_grad():
            found = grad(fn(*arguments[:-1]), leaves, arguments[-1], create_graph=True, allow_unused=True)
        return concatenate([reshape(g, -1) for g in found if g is not None])

    return gradients
