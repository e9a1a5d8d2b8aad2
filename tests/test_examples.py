"""Every example runs, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
PRINTS = {
    "neuron": "Neuron output: 0.5498",
    "forward_pass": "fastnn: class probabilities:",
    "keras_digits": "Test accuracy: 0.8",
    "torch_simplenet": "(layer1): Linear(in_features=3, out_features=4, bias=True)",
    "house_prices": "price = 3.000 size + 1.500 location + 0.500",
}


def test_there_are_examples() -> None:
    assert set(PRINTS) == {p.stem for p in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    out = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert out.returncode == 0, out.stderr
    assert PRINTS[path.stem] in out.stdout
