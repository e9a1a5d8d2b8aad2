"""Every example runs, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
PRINTS = {
    "addition_transformer": "Sums that it has not seen and gets right: ",
    "neuron": "Neuron output: 0.5498",
    "forward_pass": "fastnn: class probabilities:",
    "keras_digits": "Test accuracy: 0.",
    "augmented_digits": "Accuracy on moved digits: 0.",
    "torch_simplenet": "(layer1): Linear(in_features=3, out_features=4, bias=True)",
    "house_prices": "price = 3.000 size + 1.500 location + 0.500",
    "xor": "a b  a xor b  one neuron  with four hidden neurons",
    "spirals": "Accuracy on 400 new points: ",
    "quantile_prices": "Sold below the predicted quantiles: 0.1",
    "cartpole_reinforce": "After training, 32 carts run ",
    "residual_digits": "4000 pictures, 3 epochs in ",
    "tabular_residual": "residual    8965 parameters",
    "denoising_autoencoder": "Error of a pixel: 0.2",
    "drawn_shapes": "A new picture of a disc: 9",
    "series_lstm": "Accuracy on 1000 new series: 0.9",
    "forecast": "Within the band of 90 %: 0.",
    "heartbeats": "Accuracy on 200 signals that it has not seen: ",
    "what_layers_see": "Layer 1: edges?",
    "names_gru": "Spelled: ",
    "sklearn_pipeline": "accuracy on new samples: 0.9",
    "sentiment": "Accuracy on 400 new texts: ",
    "data_parallel": "new digits with 1 rank: 0.8",
    "search_optuna": "Best of 8 trials: number 4, ",
    "search_ray": "threads of a trial: 1",
    "pinn": "Largest error of the temperature: 0.0",
}
NEEDS = {
    "drawn_shapes": "PIL",
    "what_layers_see": "matplotlib",
    "sklearn_pipeline": "sklearn",
    "search_optuna": "optuna",
    "search_ray": "ray",
}
"""Packages that examples need besides fastnn."""
SLOW = {"search_ray"}
"""Examples that start for long."""


def test_there_are_examples() -> None:
    assert set(PRINTS) == {p.stem for p in EXAMPLES}


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=[pytest.mark.slow] * (p.stem in SLOW)) for p in EXAMPLES], ids=lambda p: str(p.stem)
)
def test_example(path: Path, tmp_path: Path) -> None:
    if path.stem in NEEDS:
        pytest.importorskip(NEEDS[path.stem])
    out = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert out.returncode == 0, out.stderr
    assert PRINTS[path.stem] in out.stdout


@pytest.mark.parametrize("name", ["search_optuna", pytest.param("search_ray", marks=pytest.mark.slow)])
def test_searches_find_the_same_best_trial(name: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[name])
    path = next(p for p in EXAMPLES if p.stem == name)
    runs = [subprocess.run([sys.executable, str(path)], capture_output=True, cwd=tmp_path, check=True).stdout for _ in range(2)]
    assert runs[0].splitlines()[-1] == runs[1].splitlines()[-1]  # before it, Ray Tune names its folders


def test_the_spirals_as_an_image(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = next(p for p in EXAMPLES if p.stem == "spirals")
    subprocess.run([sys.executable, str(path), "--plot", "plane.png"], capture_output=True, cwd=tmp_path, check=True)
    assert (tmp_path / "plane.png").read_bytes().startswith(b"\x89PNG")


def test_the_letters_as_an_image(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = next(p for p in EXAMPLES if p.stem == "names_gru")
    subprocess.run([sys.executable, str(path), "--plot", "letters.png"], capture_output=True, cwd=tmp_path, check=True)
    assert (tmp_path / "letters.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_carts(tmp_path: Path) -> None:
    path = next(p for p in EXAMPLES if p.stem == "cartpole_reinforce")
    runs = [subprocess.run([sys.executable, str(path)], capture_output=True, cwd=tmp_path, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1] and b"round  40: " in runs[0]
