"""Assignment of targets and weights to the elements of an output or of a loss, by their shapes.

A weight belongs to a sample, or to an element of the loss. Shapes are therefore compared from the first axis on, and sizes of 1
are repeated. NumPy compares from the last axis on: it would use weights (n,) of losses (n, n) as weights of the columns.
"""

from __future__ import annotations

import math

Shape = tuple[int, ...]


def same_numbers(a: Shape, b: Shape) -> bool:
    """Return whether the shapes are equal except for a last size of 1, so that the arrays' elements belong together.

    >>> same_numbers((3,), (3, 1)), same_numbers((3, 2, 1), (3, 2)), same_numbers((3, 2), (2, 3))
    (True, True, False)
    """
    return a == b or (*a, 1) == b or a == (*b, 1)


def same_elements(a: Shape, b: Shape) -> bool:
    """Return whether the shapes are equal without their sizes of 1.

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
    """Return the shape of weights that fits losses of shape ``like``, without trailing sizes of 1.

    Return None if the shapes do not fit.

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
    """Describe the weights that fit losses of this shape, for messages.

    >>> wanted_weights((10,))
    'one weight for each of the 10 samples, shape (10,)'
    >>> wanted_weights((9, 4))
    'one weight for each of the 9 samples, shape (9,), or for each element of the loss, shape (9, 4)'
    """
    if not like:
        return "one weight"
    each = f"one weight for each of the {like[0]} samples, shape ({like[0]},)"
    return each if math.prod(like) == like[0] else f"{each}, or for each element of the loss, shape {like}"
