"""Sums of products by Einstein's notation, as products of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..autograd.tensor import Tensor
from .cast import promoted
from .checks import as_tensor
from .dense import matmul
from .elementwise import mul
from .index import getitem
from .reduce import sum as total
from .shape import permute, reshape, transpose


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sum products of elements by Einstein's notation, as in NumPy and PyTorch.

    Args:
        equation: letters for the axes of each operand, separated by commas, then ``->`` and those of the result. Axes that the
            result does not name are summed. Without ``->``, the result has the letters that occur once, in alphabetical order.
            ``...`` stands for any number of leading axes, which broadcast.
        operands: Tensors, as arguments or in one list.

    Raises:
        ValueError: the equation cannot be read, or the shapes do not fit it.

    >>> import fastnn
    >>> a, b = fastnn.ones(2, 3), fastnn.ones(3, 4)
    >>> fastnn.einsum("ij,jk->ik", a, b).shape, fastnn.einsum("ij->j", a).tolist()
    ((2, 4), [2.0, 2.0, 2.0])
    """
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    tensors = promoted(*(as_tensor(t, "einsum") for t in given)) if given else ()
    inputs, output = _parsed(equation, [t.ndim for t in tensors])
    sizes = _sizes(equation, inputs, tensors)
    terms = [_diagonal(t, labels) for t, labels in zip(tensors, inputs, strict=True)]
    x, own = terms[0]
    for i, (y, other) in enumerate(terms[1:], 1):
        needed = set(output).union(*(labels for _, labels in terms[i + 1 :]))
        x, own = _product(x, own, y, other, needed, sizes)
    x, own = _summed(x, own, set(output))
    return permute(x, *(own.index(label) for label in output)) if own != output else x


def _parsed(equation: str, ranks: Sequence[int]) -> tuple[list[list[str]], list[str]]:
    """Return the labels of the axes of each operand and of the result; numbers are those of the axes of an ellipsis."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise ValueError(f"einsum: {equation!r} has {len(parts)} operands, but {len(ranks)} came")
    inputs, most = [], 0
    for i, (part, rank) in enumerate(zip(parts, ranks, strict=True)):
        letters, dots = part.replace("...", "", 1), "..." in part
        free = rank - len(letters)
        if not (letters.isalpha() or not letters) or free < 0 or (free and not dots):
            raise ValueError(f"einsum: {part!r} in {equation!r} does not fit operand {i} with {rank} dimensions")
        before, _, after = part.partition("...") if dots else (part, "", "")
        inputs.append([*before, *(str(free - 1 - d) for d in range(free)), *after])
        most = max(most, free)
    dotted = [str(most - 1 - d) for d in range(most)]
    if arrow:
        before, dots_, after = right.partition("...")
        output = [*before, *(dotted if dots_ else ()), *after]
    else:
        letters_ = sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1)
        output = [*dotted, *letters_]
    known = {label for labels in inputs for label in labels}
    if len(set(output)) < len(output) or not set(output) <= known:
        raise ValueError(f"einsum: {right!r} in {equation!r}, wanted letters of the operands, each once")
    return inputs, output


def _sizes(equation: str, inputs: list[list[str]], tensors: Sequence[Tensor]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for labels, t in zip(inputs, tensors, strict=True):
        for label, n in zip(labels, t.shape, strict=True):
            known = sizes.get(label, 1)
            if 1 not in (known, n) and known != n:
                raise ValueError(f"einsum: the axis {label} of {equation!r} has sizes {known} and {n}")
            sizes[label] = n if known == 1 else known
    return sizes


def _diagonal(x: Tensor, labels: list[str]) -> tuple[Tensor, list[str]]:
    """Return x with each label once: the diagonal of axes with the same label."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            a = labels.index(label)
            b = labels.index(label, a + 1)
            n, rest = x.shape[a], [d for d in range(x.ndim) if d not in (a, b)]
            if x.shape[b] != n:
                raise ValueError(f"einsum: the axis {label} has sizes {n} and {x.shape[b]} in one operand")
            x = reshape(transpose(x, (*rest, a, b)), (*(x.shape[d] for d in rest), n * n))
            x = getitem(x, (..., slice(None, None, n + 1)))
            labels = [*(labels[d] for d in rest), label]
    return x, labels


def _summed(x: Tensor, labels: list[str], kept: set[str]) -> tuple[Tensor, list[str]]:
    axes = tuple(d for d, label in enumerate(labels) if label not in kept)
    return (total(x, axes), [label for label in labels if label in kept]) if axes else (x, labels)


def _product(
    x: Tensor, own: list[str], y: Tensor, other: list[str], needed: set[str], sizes: dict[str, int]
) -> tuple[Tensor, list[str]]:
    """Multiply two operands, and sum over the axes that nothing after them needs."""
    x, own = _summed(x, own, needed | set(other))
    y, other = _summed(y, other, needed | set(own))
    shared = [label for label in own if label in other]
    batch = [label for label in shared if label in needed]
    inner = [label for label in shared if label not in needed]
    rows, columns = ([label for label in labels if label not in shared] for labels in (own, other))
    stretched = any(t.shape[labels.index(label)] != sizes[label] for t, labels in ((x, own), (y, other)) for label in shared)
    if x.dtype.kind != "f" or stretched or not inner:
        order = [*batch, *inner, *rows, *columns]
        x, y = (_arranged(t, labels, order) for t, labels in ((x, own), (y, other)))
        z = mul(x, y)
        return _summed(z, order, needed)
    shape = [math.prod(sizes[label] for label in part) for part in (batch, rows, inner, columns)]
    left = reshape(permute(x, *(own.index(label) for label in (*batch, *rows, *inner))), shape[0], shape[1], shape[2])
    right = reshape(permute(y, *(other.index(label) for label in (*batch, *inner, *columns))), shape[0], shape[2], shape[3])
    labels = [*batch, *rows, *columns]
    if not batch:
        left, right = (reshape(t, t.shape[1:]) for t in (left, right))
    return reshape(matmul(left, right), [sizes[label] for label in labels]), labels


def _arranged(x: Tensor, labels: list[str], order: list[str]) -> Tensor:
    """Return x with its axes in this order, and axes of size 1 for the missing ones."""
    x = permute(x, *sorted(range(x.ndim), key=lambda d: order.index(labels[d])))
    sizes = dict(zip(sorted(labels, key=order.index), x.shape, strict=True))
    return reshape(x, [sizes.get(label, 1) for label in order])
