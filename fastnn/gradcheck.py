"""Gradients checked against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .tensor import Tensor, no_grad, tensor


class GradcheckError(AssertionError):
    """A gradient differs from its finite difference."""


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Sequence[Any] | Any,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    seed: int = 0,
) -> bool:
    """Whether backward's gradients of a function agree with finite differences, in float64.

    Along random directions at first, two evaluations for each input; where one is off, every element is looked at.

    Args:
        fn: a function of Tensors that returns a Tensor; it must give the same result each time.
        inputs: its arguments, anything that `fastnn.tensor` takes; real ones are checked, others passed on.
        eps: how far to step to both sides.
        rtol, atol: how far off a gradient may be, relative to its size and absolutely.
        seed: of the directions.

    Returns:
        True.

    Raises:
        GradcheckError: a gradient is off; the message names the argument and its worst element.

    >>> import fastnn
    >>> fastnn.gradcheck(lambda x: (x * x).sum(), [[1.0, 2.0, 3.0]])
    True
    """
    given = inputs if isinstance(inputs, tuple | list) and not _is_numbers(inputs) else (inputs,)
    arrays = [np.asarray(a.numpy() if isinstance(a, Tensor) else a) for a in given]
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    leaves = [tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    rng = np.random.default_rng(seed)
    out = fn(*leaves)
    name = getattr(fn, "__name__", "function")
    if not isinstance(out, Tensor):
        raise TypeError(f"gradcheck: {name} returned a {type(out).__name__}, wanted a Tensor")
    if out.dtype != np.float64:
        raise TypeError(f"gradcheck: {name} returned dtype {out.dtype} for float64 inputs; finite differences need float64")
    weight = rng.standard_normal(out.shape)
    out.backward(tensor(weight))

    def value(i: int, at: np.ndarray[Any, Any]) -> float:
        with no_grad():
            return float((fn(*(tensor(at) if j == i else leaf for j, leaf in enumerate(leaves))).numpy() * weight).sum())

    for i, (a, leaf) in enumerate(zip(arrays, leaves, strict=True)):
        if not leaf.requires_grad or not a.size:
            continue
        grad = np.zeros(a.shape) if leaf.grad is None else leaf.grad.numpy()
        direction = rng.standard_normal(a.shape)
        direction /= max(float(np.sqrt((direction**2).sum())), 1e-300)
        numeric = (value(i, a + eps * direction) - value(i, a - eps * direction)) / (2 * eps)
        analytic = float((grad * direction).sum())
        scale = float(np.sqrt((grad**2).sum()))
        if not abs(numeric - analytic) <= atol + rtol * max(abs(numeric), scale):
            raise GradcheckError(_worst(name, i, a, grad, eps, partial(value, i)))
    return True


def _is_numbers(inputs: Any) -> bool:
    return all(isinstance(v, int | float) for v in inputs)


def _worst(
    name: str, i: int, a: np.ndarray[Any, Any], grad: np.ndarray[Any, Any], eps: float, value: Callable[[Any], float]
) -> str:
    numeric = np.empty(a.shape)
    for at in np.ndindex(a.shape):
        step = np.zeros(a.shape)
        step[at] = eps
        numeric[at] = (value(a + step) - value(a - step)) / (2 * eps)
    off = np.abs(numeric - grad)
    off[np.isnan(off)] = np.inf
    worst = np.unravel_index(int(off.argmax()), a.shape) if a.shape else ()
    where = f"[{', '.join(str(int(n)) for n in worst)}]" if worst else ""
    return f"gradcheck: {name}: gradient of argument {i}{where} is {grad[worst]:.9g}, by finite differences {numeric[worst]:.9g}"
