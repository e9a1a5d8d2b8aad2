"""Pictures of drawn digits become images like those of the data sets."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import datasets
from fastnn.datasets import drawn

LIMIT = 21
"""Differences from the paper that count as paper, of 255."""


def page(size: tuple[int, int] = (200, 150), paper: int = 255, ink: int = 0) -> np.ndarray:
    """Return a stroke that stands, off the centre."""
    picture = np.full(size, paper, np.uint8)
    picture[20:120, 90:110] = ink
    return picture


def test_the_digits_stay_as_they_are() -> None:
    """They are made as these functions make images, so doing it again changes no more than faint pixels."""
    pytest.importorskip("PIL")
    x = datasets.digits()[0][0][:400]
    made = [drawn.in_box(image, (20, 20)) for image in x]
    differences = np.array([np.abs(image.astype(int) - a).max() for image, (a, _) in zip(x, made, strict=True)])
    assert (differences <= LIMIT).mean() > 0.95 and not any(doubts for _, doubts in made)


@pytest.mark.parametrize("like", ["digits", "mnist"])
def test_paper_ink_and_place_do_not_matter(like: str) -> None:
    pytest.importorskip("PIL")
    size = (20, 20) if like == "digits" else (28, 28)
    want, doubts = drawn.PREPARED[like](page(), size)
    assert want.shape == size and want.dtype == np.uint8 and want.max() == 255 and not doubts
    for other in (page(paper=0, ink=255), page(paper=230, ink=40), np.roll(page(), (40, -60), (0, 1)), page((400, 300))):
        np.testing.assert_allclose(drawn.PREPARED[like](other, size)[0].astype(int), want, atol=1)


def test_mass_is_in_the_middle() -> None:
    pytest.importorskip("PIL")
    picture = np.zeros((100, 100), np.uint8)
    picture[10:30, 10:90] = 200
    picture[30:90, 10:30] = 200
    image, _ = drawn.by_mass(picture, (28, 28))
    for axis in (0, 1):
        mass = image.sum(axis, dtype=float) @ np.arange(28) / image.sum(dtype=float)
        assert 13.4 < mass < 14.6
    used = [np.flatnonzero(image.any(axis)) for axis in (0, 1)]
    assert [int(a[-1] - a[0]) + 1 for a in used] == [20, 20]


def test_doubts() -> None:
    pytest.importorskip("PIL")
    two, photo = page(), np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)
    two[20:120, 20:40] = 0
    photo[[0, -1]] = photo[:, [0, -1]] = 0
    photo[5:50, 5:58] |= 128
    for picture, words in ((np.full((50, 40), 7, np.uint8), "blank"), (two, "several things"), (photo, "most of the page")):
        image, doubts = drawn.by_mass(picture, (28, 28))
        assert len(doubts) == 1 and words in doubts[0] and image.shape == (28, 28)
    dotted = page()
    dotted[130:135, 90:95] = 0  # a blot is no second digit
    assert not drawn.by_mass(dotted, (28, 28))[1]
