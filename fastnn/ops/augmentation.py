"""Images seen through an affine map of their coordinates: flipped, moved, turned, stretched, cropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..autograd.tensor import Array, Gradients, Node, Tensor, result
from ..backends import current
from ..backends.spec.augmentation import FILL_MODES, INTERPOLATIONS
from .checks import floating


def affine_transform(
    x: Tensor,
    matrix: Tensor,
    *,
    size: tuple[int, int] | None = None,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    op: str = "affine_transform",
) -> Tensor:
    """Return images whose pixels come from places of x that an affine map gives, one map for each image.

    Maps that only flip and move by whole pixels copy the pixels as they are.

    Args:
        x: (N, height, width, C), float32 or float64.
        matrix: float64 (N, 6), the rows a0, a1, a2, b0, b1, b2: the pixel in line p and column q comes from column
            a0 q + a1 p + a2 of line b0 q + b1 p + b2.
        size: height and width of the result; by default those of x.
        interpolation: "nearest" or "bilinear".
        fill_mode: what is outside the image: "constant" is fill_value, "nearest" the pixel at the border; "reflect" turns
            the image around (c b a | a b c | c b a), and "wrap" repeats it.
        fill_value: a number.
        op: the name in error messages.

    Returns:
        (N, new height, new width, C). The gradient reaches x, not the matrix.

    Raises:
        ValueError: an image has no pixels, or there is not one row for each image.

    >>> import fastnn
    >>> x, flip = fastnn.tensor([[[[1.0], [2.0], [3.0]]]]), fastnn.tensor([[-1, 0, 2, 0, 1, 0]], dtype="float64")
    >>> fastnn.ops.augmentation.affine_transform(x, flip).flatten().tolist()
    [3.0, 2.0, 1.0]
    """
    floating(op, x)
    if x.ndim != 4 or 0 in x.shape[1:3]:
        raise ValueError(f"{op}: x has shape {x.shape}, wanted (n, height, width, channels), with pixels")
    n, height, width, channels = x.shape
    if matrix.shape != (n, 6) or matrix.dtype != np.float64:
        raise ValueError(f"{op}: the matrix has shape {matrix.shape} and dtype {matrix.dtype}, wanted ({n}, 6) and float64")
    how = INTERPOLATIONS.index(interpolation), FILL_MODES.index(fill_mode)
    k = current()
    y = k.empty((n, *(size or (height, width)), channels), x.dtype)
    k.affine_transform_forward(y, x.data, matrix.data, *how, float(fill_value))
    attrs = {"size": size, "interpolation": interpolation, "fill_mode": fill_mode, "fill_value": fill_value}
    return result("affine_transform", y, _backward, (x,), (matrix.data, how), attrs)


def _backward(grads: Gradients, node: Node, dy: Array) -> None:
    assert node.saved is not None
    matrix, how = node.saved
    dx = grads.k.empty(node.inputs[0].shape, dy.dtype)
    grads.k.affine_transform_backward(dx, dy, matrix, *how)
    grads.add(node.inputs[0], dx)


def affine_maps(constant: Sequence[float], *terms: tuple[Tensor, Sequence[float]]) -> Tensor:
    """Return the maps of `affine_transform` that are a constant plus the sum of terms.

    Args:
        constant: six numbers.
        terms: each a number for every image, float64 (N, 1), and the six numbers that it is multiplied with.

    Returns:
        float64 (N, 6).

    >>> import fastnn
    >>> step = fastnn.tensor([[1.0], [2.0]], dtype="float64")
    >>> fastnn.ops.augmentation.affine_maps((1, 0, 0, 0, 1, 0), (step, (0, 0, -1, 0, 0, 0))).tolist()
    [[1.0, 0.0, -1.0, 0.0, 1.0, 0.0], [1.0, 0.0, -2.0, 0.0, 1.0, 0.0]]
    """
    k = current()

    def row(numbers: Sequence[float]) -> Tensor:
        return Tensor(k.constant(np.array([numbers], np.float64)))

    maps = row(constant)
    for value, factors in terms:
        maps = maps + value * row(factors)
    return maps
