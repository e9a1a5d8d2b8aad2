"""Programs in the manner of PyTorch's tutorials, run with PyTorch and, by the import lines alone, with fastnn: equal results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = sorted((Path(__file__).parents[1] / "torch_programs").glob("*.py"))

START = """
def start(model):
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            values = torch.sin(torch.arange(p.numel()).float() * 1.7 + i).reshape(p.shape)
            p.copy_(values * (0.5 if p.dim() > 1 else 0.1))
"""
"""The function of the programs that gives a model the same weights in both libraries."""


def of_fastnn(source: str) -> str:
    """The program with other import lines."""
    source = re.sub(r"^import torch$", "import fastnn as torch", source, flags=re.M)
    return re.sub(r"^(import|from) torch\b", r"\1 fastnn", source, flags=re.M)


def results(source: str) -> list[float]:
    names: dict[str, Any] = {}
    exec("import torch\n" if "fastnn" not in source else "import fastnn as torch\n", names)
    exec(START, names)
    exec(compile(source, "program", "exec"), names)
    return [float(value) for value in names["result"]]


@pytest.mark.parametrize("path", PROGRAMS, ids=[p.stem for p in PROGRAMS])
def test_equal_results(path: Path) -> None:
    pytest.importorskip("torch")
    source = path.read_text()
    other = of_fastnn(source)
    assert not re.search(r"^\s*(import|from) torch", other, re.M)
    assert results(other) == pytest.approx(results(source), rel=2e-3, abs=2e-4)


def test_there_are_ten() -> None:
    assert len(PROGRAMS) >= 10
