"""Rotary positions: pairs of numbers of queries and keys that are turned by an angle for each position."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from .checks import as_tensor, check_number, floating, same_dtype, whole_number, whole_numbers


def rotary_table(length: int, columns: int, *, base: float = 10000.0, frequencies: Any = None, dtype: Any = np.float32) -> Tensor:
    """Return the cosines and sines with which `rotary` turns pairs of columns.

    Args:
        length: the number of positions, from 0 on.
        columns: the number of columns that turn; an even number.
        base: pair i turns by base^(-2 i / columns) from one position to the next.
        frequencies: these angles themselves, (columns / 2,).
        dtype: float32 or float64.

    Returns:
        Shape (length, 2, columns / 2), computed in float64.

    >>> import fastnn
    >>> fastnn.rotary_table(2, 2).numpy().round(3).tolist()
    [[[1.0], [0.0]], [[0.5400000214576721], [0.8410000205039978]]]
    """
    op = "rotary_table"
    n, c = whole_number(length, f"{op}: length", 0), whole_number(columns, f"{op}: columns", 0)
    if c % 2:
        raise ValueError(f"{op}: {c} columns came, wanted an even number")
    if frequencies is None:
        speed = check_number(base, f"{op}: base", np.finfo(np.float64).tiny) ** (-2 * np.arange(c // 2) / max(c, 1))
    else:
        speed = np.asarray(frequencies, np.float64)
        if speed.shape != (c // 2,):
            raise ValueError(f"{op}: frequencies of shape {speed.shape} came, wanted ({c // 2},)")
    angles = np.arange(n)[:, None] * speed
    return as_tensor(np.stack([np.cos(angles), np.sin(angles)], 1).astype(dtype), op)


def rotary(x: Any, table: Any, positions: Any = None, *, halves: bool = True, heads: int | None = None) -> Tensor:
    """Return x with pairs of columns turned by angles that grow with the position (Su et al., arXiv 2104.09864).

    The product of a turned query and a turned key depends on their distance only.

    Args:
        x: (B, T, H, D).
        table: `rotary_table(length, columns)`. D - columns columns stay as they are.
        positions: whole numbers (T,) or (B, T), from 0 to length - 1; 0, 1, 2, ... by default. Others give NaN.
        halves: whether pair i is the columns i and columns / 2 + i, as in GPT-NeoX and Llama; otherwise they are 2 i and
            2 i + 1, as in GPT-J.
        heads: how many heads turn; the rest, such as the values in a packed x, stay as they are. All by default.

    Raises:
        ValueError: shapes that do not fit.

    >>> import fastnn
    >>> x = fastnn.tensor([[[[1.0, 0.0]], [[1.0, 0.0]]]])
    >>> fastnn.rotary(x, fastnn.rotary_table(2, 2)).numpy().round(2).tolist()
    [[[[1.0, 0.0]], [[0.5400000214576721, 0.8399999737739563]]]]
    """
    op = "rotary"
    x = floating(op, as_tensor(x, op))
    table = as_tensor(table, op, x)
    same_dtype(op, x, table)
    if x.ndim != 4:
        raise ValueError(f"{op}: x of shape {x.shape} came, wanted (batch, length, heads, columns)")
    b, t, h, d = x.shape
    if table.ndim != 3 or table.shape[1] != 2 or 2 * table.shape[2] > d:
        raise ValueError(f"{op}: a table of shape {table.shape} came, wanted (positions, 2, at most {d // 2}) for {d} columns")
    k = current()
    at = k.constant(_positions(t)) if positions is None else _known(op, positions, b, t)
    turned = h if heads is None else whole_number(heads, f"{op}: heads", 0)
    if turned > h:
        raise ValueError(f"{op}: heads is {turned}, but x has {h}")
    if positions is None and table.shape[0] < t:
        raise ValueError(f"{op}: {t} positions came, but the table has {table.shape[0]}; make it longer")
    y, turns = k.empty(x.shape, x.dtype), table.data.reshape(table.shape[0], 2 * table.shape[2])
    k.rotary(y, x.data, turns, at, turned, int(halves), 0)
    attrs = {"halves": bool(halves), "heads": turned}
    return result(op, y, _rotary_backward, (x,), (turns, at, turned, int(halves)), attrs)


def _rotary_backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    table, at, heads, halves = node.saved
    dx = grads.k.empty(dy.shape, dy.dtype)
    grads.k.rotary(dx, dy, table, at, heads, halves, 1)
    grads.add(node.inputs[0], dx)


@lru_cache(maxsize=256)
def _positions(length: int) -> np.ndarray[Any, Any]:
    at = np.arange(length)[None]
    at.setflags(write=False)
    return at


def _known(op: str, positions: Any, batch: int, length: int) -> Array:
    """Return positions as an array (1, T) or (B, T)."""
    t = whole_numbers(positions, f"{op}: positions")
    if t.shape not in ((length,), (1, length), (batch, length)):
        raise ValueError(f"{op}: positions of shape {t.shape} came, wanted ({length},) or ({batch}, {length})")
    return t.data.reshape(-1, length) if length else t.data.reshape(1, 0)
