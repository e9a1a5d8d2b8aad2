"""Gradient clipping for custom training loops, and in `rnn` sequences of different lengths, with PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...autograd.tensor import Array, Tensor, no_grad
from ...backends import current
from ...backends.spec import TENSOR_DTYPES
from ...core.lazy import guessing
from ...ops.checks import as_tensor, check_number
from ...ops.elementwise import abs as absolute
from ...ops.elementwise import maximum
from ...ops.index import split
from ...ops.shape import concatenate, reshape
from .. import absent
from . import rnn

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # which report unknown names themselves
    __getattr__ = guessing(__name__, __all__, absent.UTILS)

_SQUARE = 2.0


def _gradients(parameters: Any, op: str) -> list[Array]:
    """Return the existing gradients of parameters, each once."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if others := [type(p).__name__ for p in given if not isinstance(p, Tensor)]:
        raise TypeError(f"{op}: parameters holds a {others[0]}, wanted parameters")
    k = current()
    leaves = dict.fromkeys(p.origin() for p in given)
    for p in leaves:
        p.shown()  # a norm that is not finite makes all rows of a gradient NaN
    return [p.grad_buffer() for p in leaves if k.has_grad(p)]


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients so that their norm, as one vector, is at most max_norm.

    Args:
        parameters: parameters; those without a gradient are ignored.
        max_norm: maximal norm.
        norm_type: p of the p-norm; inf for the greatest absolute value.
        error_if_nonfinite: whether a norm that is NaN or infinite is an error.
        foreach: accepted for compatibility with PyTorch; has no effect.

    Returns:
        The norm before scaling, as a Tensor without dimensions.

    >>> import fastnn
    >>> p = fastnn.nn.Parameter([0.0, 0.0])
    >>> p.grad = [3.0, 4.0]
    >>> fastnn.nn.utils.clip_grad_norm_([p], 1.0).item()
    5.0
    >>> [round(g, 4) for g in p.grad.tolist()]
    [0.6, 0.8]
    """
    check_number(max_norm, "clip_grad_norm_: max_norm", 0)
    if not isinstance(norm_type, int | float) or not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type is {norm_type!r}, wanted a number above 0, or inf")
    grads = _gradients(parameters, "clip_grad_norm_")
    k = current()
    if not grads:
        return Tensor(k.asarray(np.zeros((), np.float32)))
    total = k.empty(1, np.float64)
    k.fill(total, 0.0)
    if norm_type == _SQUARE:
        for g in grads:
            k.sum_squares(total, g)
    else:
        parts = [absolute(Tensor(g)) for g in grads]
        norm = parts[0].max() if norm_type == np.inf else (parts[0] ** norm_type).sum()
        for part in parts[1:]:
            norm = maximum(norm, part.max()) if norm_type == np.inf else norm + (part**norm_type).sum()
        norm = norm if norm_type == np.inf else norm ** (1 / norm_type)
        wide = k.empty(1, np.float64)
        k.cast(wide, norm.data.reshape(1), TENSOR_DTYPES.index("float64"))
        k.sum_squares(total, wide)
    if error_if_nonfinite:
        k.host_reads("error_if_nonfinite")
        if not np.isfinite(norm_squared := float(total[0])):
            raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {np.sqrt(norm_squared)}, which is not finite")
    limit = k.shared_array([float(max_norm)])
    k.host_wrote(limit)
    for g in grads:
        k.clip_norm(g, total, limit)
    narrow = k.empty(1, grads[0].dtype)
    k.cast(narrow, Tensor(total).sqrt().data, TENSOR_DTYPES.index(grads[0].dtype.name))
    return Tensor(narrow.reshape(()))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value]; foreach has no effect."""
    k = current()
    limit = k.shared_array([check_number(clip_value, "clip_grad_value_: clip_value", 0)])
    k.host_wrote(limit)
    for g in _gradients(parameters, "clip_grad_value_"):
        k.clip_value(g, limit)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return all elements of parameters in one dimension; gradients flow through it.

    >>> import fastnn
    >>> fastnn.nn.utils.parameters_to_vector(fastnn.nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    return concatenate([reshape(as_tensor(p, "parameters_to_vector"), -1) for p in parameters])


@no_grad()
def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Overwrite parameters with the elements of a vector, in the order of `parameters_to_vector`.

    Raises:
        ValueError: the vector has another number of elements. Nothing is changed.
    """
    given, vec = list(parameters), as_tensor(vec, "vector_to_parameters")
    sizes = [p.numel() for p in given]
    if vec.shape != (sum(sizes),):
        raise ValueError(f"vector_to_parameters: a vector of shape {vec.shape} came, wanted {sum(sizes)} elements")
    for p, part in zip(given, split(vec, sizes), strict=True):
        p.copy_(reshape(part, p.shape))
