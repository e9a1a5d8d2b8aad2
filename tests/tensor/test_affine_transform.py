"""Affine maps of images: beside SciPy, what is copied as it is, gradients, and errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.backends.spec.augmentation import FILL_MODES, INTERPOLATIONS
from fastnn.ops.augmentation import affine_transform

RNG = np.random.default_rng(0)
X = RNG.random((8, 9, 7, 3)).astype(np.float32)
KEEP = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def maps(n: int, height: int, width: int) -> np.ndarray:
    """Maps that turn, stretch and move images; places are not halves, which libraries round in their own ways."""
    angle = RNG.uniform(-1, 1, n)
    x, y = (width - 1) / 2, (height - 1) / 2
    a0, a1, b0, b1 = 1.3 * np.cos(angle), -np.sin(angle), np.sin(angle), 0.8 * np.cos(angle)
    return np.stack([a0, a1, x - a0 * x - a1 * y + 0.7, b0, b1, y - b0 * x - b1 * y - 1.2], 1)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_affine_maps_as_in_scipy(interpolation: str, fill_mode: str, dtype: str) -> None:
    """Keras with JAX calls a function with these modes."""
    ndimage = pytest.importorskip("scipy.ndimage")
    x, matrix = X.astype(dtype), maps(8, 9, 7)
    how: dict[str, Any] = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": 0.25}
    got = affine_transform(fastnn.tensor(x), fastnn.tensor(matrix), size=(11, 6), **how).numpy()
    q, p = np.meshgrid(np.arange(6), np.arange(11))
    mode = {"constant": "grid-constant", "wrap": "grid-wrap"}.get(fill_mode, fill_mode)
    for n, (a0, a1, a2, b0, b1, b2) in enumerate(matrix):
        places = [b0 * q + b1 * p + b2, a0 * q + a1 * p + a2]
        for c in range(3):
            wanted = ndimage.map_coordinates(x[n, ..., c], places, order=int(interpolation == "bilinear"), mode=mode, cval=0.25)
            np.testing.assert_allclose(got[n, ..., c], wanted, rtol=0, atol=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_whole_steps_and_flips_copy_pixels(interpolation: str, fill_mode: str) -> None:
    """Also beside NaN and infinity, which have no weight."""
    x = X[:4].copy()
    x[:, 4, 3] = np.nan
    x[:, 2, 5] = np.inf
    mode: Any = {"nearest": "edge", "reflect": "symmetric"}.get(fill_mode, fill_mode)
    padded = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), mode)
    rows = [[1, 0, -3, 0, 1, 2], [-1, 0, 6, 0, 1, 0], [1, 0, 1, 0, -1, 11], [-1, 0, 9, 0, -1, 5]]
    parts = [(slice(5, 14), slice(0, 7)), (slice(3, 12), slice(9, 2, -1)), (slice(14, 5, -1), slice(4, 11)),
             (slice(8, None, -1), slice(12, 5, -1))]  # fmt: skip
    how: dict[str, Any] = {"interpolation": interpolation, "fill_mode": fill_mode}
    got = affine_transform(fastnn.tensor(x), fastnn.tensor(np.array(rows, np.float64)), **how).numpy()
    for n, (lines, columns) in enumerate(parts):
        np.testing.assert_array_equal(got[n], padded[n, lines, columns])


def test_gradients_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    matrix = maps(8, 9, 7)
    x = fastnn.tensor(X.astype(np.float64), requires_grad=True)
    dy = RNG.random((8, 9, 7, 3))
    y = affine_transform(x, fastnn.tensor(matrix))
    y.backward(dy)
    theirs = torch.tensor(X.astype(np.float64).transpose(0, 3, 1, 2), requires_grad=True)
    q, p = np.meshgrid(np.arange(7), np.arange(9))
    a0, a1, a2, b0, b1, b2 = (matrix[:, i, None, None] for i in range(6))
    grid = np.stack([(2 * (a0 * q + a1 * p + a2) + 1) / 7 - 1, (2 * (b0 * q + b1 * p + b2) + 1) / 9 - 1], -1)
    z = torch.nn.functional.grid_sample(theirs, torch.tensor(grid), align_corners=False)
    z.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(y.numpy(), z.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy().transpose(0, 2, 3, 1), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: affine_transform(fastnn.tensor(X[0]), m), r"affine_transform: x has shape \(9, 7, 3\), wanted \(n, height"),
        (lambda m: affine_transform(fastnn.zeros(8, 0, 7, 3), m), r"x has shape \(8, 0, 7, 3\), wanted .* with pixels"),
        (lambda m: affine_transform(fastnn.tensor(X), m[:5]), r"the matrix has shape \(5, 6\) .*, wanted \(8, 6\) and float64"),
        (lambda m: affine_transform(fastnn.tensor(X), m.astype("float32")), "the matrix has .* dtype float32, wanted"),
        (lambda m: affine_transform(fastnn.tensor([[[[1, 2]]]], dtype="int64"), m), "affine_transform: a Tensor of dtype int64"),
    ],
)
def test_errors(call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        call(fastnn.tensor(np.array([KEEP] * 8)))
