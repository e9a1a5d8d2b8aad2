"""Comparisons, logic and selection; bools have no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..core import arrays
from .checks import as_tensor
from .elementwise import abs, operands


def _compare(op: str, x: Any, y: Any) -> Tensor:
    x, y = operands(op, x, y)
    return Tensor(arrays.compare(current(), op, x.data, y.data))


def eq(x: Any, y: Any) -> Tensor:
    """Return whether x = y, element by element with broadcasting, as a bool Tensor.

    >>> import fastnn
    >>> fastnn.eq(fastnn.tensor([1, 2]), 2).tolist()
    [False, True]
    """
    return _compare("eq", x, y)


def ne(x: Any, y: Any) -> Tensor:
    """Return whether x and y differ; NaN differs from everything."""
    return _compare("ne", x, y)


def lt(x: Any, y: Any) -> Tensor:
    """Return whether x < y."""
    return _compare("lt", x, y)


def le(x: Any, y: Any) -> Tensor:
    """Return whether x <= y."""
    return _compare("le", x, y)


def gt(x: Any, y: Any) -> Tensor:
    """Return whether x > y."""
    return _compare("gt", x, y)


def ge(x: Any, y: Any) -> Tensor:
    """Return whether x >= y."""
    return _compare("ge", x, y)


def isnan(x: Any) -> Tensor:
    """Return whether the elements are NaN."""
    x = as_tensor(x, "isnan")
    return ne(x, x)


def isinf(x: Any) -> Tensor:
    """Return whether the elements are infinite."""
    return eq(abs(x), float("inf"))


def isfinite(x: Any) -> Tensor:
    """Return whether the elements are neither NaN nor infinite."""
    return lt(abs(x), float("inf"))


# ---- logic, by selections ----


def boolean(x: Any, op: str) -> Tensor:
    """Return the Tensor; raise TypeError unless it is bool."""
    t = as_tensor(x, op)
    if t.dtype != np.bool_:
        raise TypeError(f"{op}: a Tensor of dtype {t.dtype} came, wanted bool, as a comparison gives")
    return t


def logical_not(x: Any) -> Tensor:
    """Return whether x is false; also ``~x``."""
    return _choose(boolean(x, "logical_not"), False, True)


def logical_and(x: Any, y: Any) -> Tensor:
    """Return whether x and y are true, with broadcasting; also ``x & y``.

    >>> import fastnn
    >>> x = fastnn.tensor([0.5, 1.5, 2.5])
    >>> ((x > 1) & (x < 2)).tolist()
    [False, True, False]
    """
    return _choose(boolean(x, "logical_and"), boolean(y, "logical_and"), False)


def logical_or(x: Any, y: Any) -> Tensor:
    """Return whether x or y is true, with broadcasting; also ``x | y``."""
    return _choose(boolean(x, "logical_or"), True, boolean(y, "logical_or"))


def logical_xor(x: Any, y: Any) -> Tensor:
    """Return whether one of x and y is true, with broadcasting; also ``x ^ y``."""
    y = boolean(y, "logical_xor")
    return _choose(boolean(x, "logical_xor"), logical_not(y), y)


def _choose(c: Tensor, yes: Tensor | bool, no: Tensor | bool) -> Tensor:
    k = current()
    x, y = (v.data if isinstance(v, Tensor) else arrays.filled(k, (1,) * c.ndim, np.bool_, v) for v in (yes, no))
    return Tensor(arrays.select(k, c.data, x, y))


# ---- selection ----


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """Return x where condition is true, else y, with broadcasting.

    >>> import fastnn
    >>> t = fastnn.tensor([-1.0, 2.0])
    >>> fastnn.where(t > 0, t, 0.0).tolist()
    [0.0, 2.0]
    """
    c = boolean(condition, "where: the condition")
    x, y = operands("where", x, y)
    return result("where", arrays.select(current(), c.data, x.data, y.data), _where_backward, (c, x, y), (c.data,))


def _where_backward(grads: Gradients, node: Node, dz: Array) -> None:
    assert node.saved is not None
    (c,) = node.saved
    k = grads.k
    _, x, y = node.inputs
    zero = arrays.filled(k, dz.shape, dz.dtype, 0.0)
    if x.requires_grad:
        grads.add(x, arrays.sum_to(k, arrays.select(k, c, dz, zero), x.shape))
    if y.requires_grad:
        grads.add(y, arrays.sum_to(k, arrays.select(k, c, zero, dz), y.shape))


def masked_fill(x: Any, mask: Any, value: float) -> Tensor:
    """Return a copy of x with this value where the mask is true.

    >>> import fastnn
    >>> fastnn.masked_fill(fastnn.tensor([1.0, 2.0]), [True, False], 0.0).tolist()
    [0.0, 2.0]
    """
    return where(boolean(mask, "masked_fill: the mask"), value, x)
