"""Folders of small pictures, for tests of several files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def drawn(folder: Path, n: int = 12, side: int = 12, classes: tuple[str, ...] = ("lying", "standing"), seed: int = 0) -> Path:
    """Write n pictures for each class: noise with a bright bar, and return the folder."""
    images = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 60, (side, side)).astype(np.uint8)
            at = int(rng.integers(side))
            if number % 2:
                pixels[:, at] = 255
            else:
                pixels[at] = 255
            images.fromarray(pixels).save(folder / name / f"{i:03}.png")
    return folder
