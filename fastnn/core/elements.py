"""Which targets and weights go with which elements of an output or of a loss, by their shapes alone.

A weight belongs to a sample, or to every element of the loss: shapes are compared from the first axis on, and sizes of 1 are
repeated. NumPy compares from the last axis on, which would take weights (n,) of losses (n, n) for those of the columns.
"""

from __future__ import annotations

import math

Shape = tuple[int, ...]


def same_numbers(a: Shape, b: Shape) -> bool:
    """Say whether the shapes are the same, up to a last size of 1: the elements of arrays of these shapes go together.

    >>> same_numbers((3,), (3, 1)), same_numbers((3, 2, 1), (3, 2)), same_numbers((3, 2), (2, 3))
    (True, True, False)
    """
    return a == b or (*a, 1) == b or a == (*b, 1)


def same_elements(a: Shape, b: Shape) -> bool:
    """Say whether the shapes are the same without their sizes of 1.

    >>> same_elements((3, 1, 2), (3, 2)), same_elements((3, 2), (2, 3))
    (True, False)
    """
    return a == b or without_ones(a) == without_ones(b)


def without_ones(sizes: Shape) -> Shape:
    """Return the sizes that are not 1.

    >>> without_ones((3, 1, 2))
    (3, 2)
    """
    return tuple(n for n in sizes if n != 1)


def leading(given: Shape, like: Shape) -> Shape | None:
    """Return the shape in which weights stand for the elements of losses: the first sizes of ``like``, without repeated ones.

    None where the shapes do not go together.

    >>> leading((3,), (3, 5)), leading((3, 1), (3, 5)), leading((3, 5, 1), (3, 5)), leading((1, 5), (3, 5)), leading((), (3, 5))
    ((3,), (3,), (3, 5), (1, 5), ())
    >>> leading((5,), (3, 5)) is None, leading((5, 3), (3, 5)) is None, leading((3, 5, 4), (3, 5)) is None
    (True, True, True)
    """
    sizes = given[: len(like)]
    if math.prod(given[len(like) :]) != 1 or any(a not in (1, b) for a, b in zip(sizes, like, strict=False)):
        return None
    used = len(sizes)
    while used and sizes[used - 1] == 1:  # one weight for all that follows
        used -= 1
    return sizes[:used]


def wanted_weights(like: Shape) -> str:
    """Return the words for the weights that losses of this shape take, for messages.

    >>> wanted_weights((10,))
    'one weight for each of the 10 samples, shape (10,)'
    >>> wanted_weights((9, 4))
    'one weight for each of the 9 samples, shape (9,), or for each element of the loss, shape (9, 4)'
    """
    if not like:
        return "one weight"
    each = f"one weight for each of the {like[0]} samples, shape ({like[0]},)"
    return each if math.prod(like) == like[0] else f"{each}, or for each element of the loss, shape {like}"
