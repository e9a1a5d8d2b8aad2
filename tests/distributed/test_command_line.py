"""`fastnn train` under mpirun: rank 0 shows the lines and writes the files, an error ends all ranks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import ranks

import fastnn

pytestmark = ranks.needed


def _command(*arguments: str) -> None:
    from fastnn.cli import main

    sys.argv = ["fastnn", *arguments]
    main(standalone_mode=False)


def _output(n: int, *arguments: object) -> list[str]:
    """Return what each rank has printed."""
    job = ranks.Job(n, __file__, "_command", *map(str, arguments))
    job.wait()
    return job.printed


def test_digits(tmp_path: Path) -> None:
    arguments = ["train", "digits", "--epochs", 2, "--seed", 0, "--output"]
    one, two = (_output(n, *arguments, tmp_path / f"{n}.fastnn") for n in (1, 2))
    assert two[1] == "" and "saved the model" in two[0] and "test accuracy" in two[0]
    first, second = (fastnn.load(tmp_path / f"{n}.fastnn").get_weights() for n in (1, 2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    assert next(line for line in one[0].splitlines() if "test accuracy" in line)[:20] in two[0]


def test_table(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    x = np.random.default_rng(0).standard_normal((200, 3)).round(3)
    rows = [f"{a},{b},{c},{a + b * c:.4f}" for a, b, c in x]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c,price", *rows]))
    saved = tmp_path / "model.fastnn"
    shown = _output(2, "train", tmp_path / "data.csv", "--target", "price", "--epochs", 5, "--output", saved)
    assert shown[1] == "" and "saved the model" in shown[0]
    assert fastnn.load(saved).table_encoder.target.name == "price"


def test_an_error_ends_all(tmp_path: Path) -> None:
    with pytest.raises(ranks.RankError) as caught:
        _output(2, "train", tmp_path / "absent.npz")
    assert "absent.npz" in "".join(caught.value.outputs) and "Traceback" not in "".join(caught.value.outputs)
