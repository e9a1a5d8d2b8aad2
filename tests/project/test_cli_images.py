"""The command line with pictures: training on folders of them, and what it says about one."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import drawn

import fastnn
from fastnn import cli
from fastnn.cli import nets, report


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli.main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    before = fastnn.get_backend()
    yield tmp_path
    fastnn.set_backend(before)


def test_train_evaluate_and_predict() -> None:
    drawn(Path("bars"), 20, side=10)
    out = run("train", "images", "bars", "--epochs", 10, "--lr", 0.01, "--seed", 0)
    assert "32 pictures of shape (10, 10, 1) in 2 classes), 8 for validation" in out and "val_loss" in out
    assert re.search(r"lying +\d\.\d{3} +\d\.\d{3} +4\n", out) and "columns: what it was taken for" in out
    model = fastnn.load("images.fastnn")
    assert model.class_names == ["lying", "standing"] and model.trained_on is None
    out = run("evaluate", "images.fastnn", "images", "--data", "bars")
    assert out.startswith("40 samples  loss 0.") and float(out.splitlines()[0].split()[-1]) > 0.8
    picture = fastnn.datasets.image("bars/standing/003.png", as_float=True)
    p = model.predict(picture[None])[0]
    out = run("predict", "images.fastnn", "bars/standing/003.png")
    name = model.class_names[int(p.argmax())]
    assert out.startswith(f"class {name}, probability {p.max():.4f}\n")
    lines = out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["lying", "standing"] and [line.split()[-1] for line in lines] == [
        f"{q:.4f}" for q in p
    ]


def test_dense_layers_for_images() -> None:
    drawn(Path("bars"), 10)
    out = run("train", "images", "bars", "--epochs", 2, "--layers", "4", "--size", "6x8", "--output", "m.fastnn", "--seed", 1)
    assert "206 parameters" in out and "Conv2D" not in out  # 48 * 4 + 4 + 4 * 2 + 2
    run("predict", "m.fastnn", "bars/lying/000.png")


def mnist(folder: Path) -> Path:
    """Write a small MNIST, of some of the digits with a border."""
    (x, y), (xt, yt) = fastnn.datasets.digits()
    folder.mkdir()
    for name, images, labels in (("train", x[:200], y[:200]), ("t10k", xt[:20], yt[:20])):
        pixels = np.pad(images, ((0, 0), (4, 4), (4, 4)))
        head = struct.pack(">4I", 0x803, *pixels.shape)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels.tobytes(), 1))
        head = struct.pack(">2I", 0x801, len(labels))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(head + labels.astype(np.uint8).tobytes())
    return folder


def test_mnist() -> None:
    mnist(Path("data"))
    out = run("train", "mnist", "data", "--epochs", 2, "--seed", 0)
    assert "Conv2D" in out and "61,706 parameters" in out and out.count("test sample") == 3
    assert "Conv2D" not in run("train", "mnist", "--data", "data", "--epochs", 1, "--layers", "8", "--output", "dense.fastnn")
    for name, shape in (("mnist", (28, 28, 1)), ("dense", (784,))):
        model = fastnn.load(f"{name}.fastnn")
        assert model.trained_on == "mnist" and model.input_shape == shape
        assert "20 test samples  loss " in run("evaluate", f"{name}.fastnn", "mnist", "data")


def test_a_drawn_digit() -> None:
    """Dark strokes on a light page, off the centre, are met like the digits."""
    images = pytest.importorskip("PIL.Image")
    draw = pytest.importorskip("PIL.ImageDraw")
    run("train", "digits", "--seed", 0, "--epochs", 20)
    page = images.new("RGB", (300, 400), (235, 232, 225))
    draw.Draw(page).line([(60, 60), (150, 60), (95, 190)], fill=(30, 30, 60), width=16, joint="curve")
    page.save("seven.jpg")
    out = run("predict", "digits.fastnn", "seven.jpg")
    assert out.startswith("class 7, probability 0.9") and "doubtful" not in out
    images.new("L", (50, 50), 255).save("blank.png")
    assert "doubtful: the page looks blank" in run("predict", "digits.fastnn", "blank.png")


def test_pictures_for_other_models() -> None:
    """Channels first, colours, one sigmoid; and models for which there is no picture."""
    drawn(Path("bars"), 2)
    nn = fastnn.nn
    first = fastnn.Sequential([fastnn.Input((3, 12, 12)), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(200, 2), nn.Softmax(-1)])
    first.save("first.fastnn")
    x = fastnn.datasets.image("bars/lying/000.png", channels=3, as_float=True).transpose(2, 0, 1)
    out = run("predict", "first.fastnn", "bars/lying/000.png")
    assert f"probability {first.predict(x[None]).max():.4f}" in out
    assert run("evaluate", "first.fastnn", "images", "bars").startswith("4 samples")
    sigmoid = fastnn.Sequential([fastnn.Flatten(input_shape=(12, 12, 1)), fastnn.Dense(1, "sigmoid")])
    sigmoid.class_names = ["lying", "standing"]
    sigmoid.save("sigmoid.fastnn")
    shares = [float(line.split()[-1]) for line in run("predict", "sigmoid.fastnn", "bars/lying/000.png").splitlines()[1:]]
    assert len(shares) == 2 and abs(sum(shares) - 1) < 2e-4
    fastnn.Sequential([fastnn.Conv2D(2, 3, input_shape=(5, 5, 7))]).save("seven.fastnn")
    assert "is that of no picture" in run("predict", "seven.fastnn", "bars/lying/000.png", code=1)
    fastnn.Sequential([fastnn.Dense(2, input_shape=(7,))]).save("row.fastnn")
    assert "make no square image" in run("predict", "row.fastnn", "bars/lying/000.png", code=1)


def test_models_that_scale_pictures_themselves() -> None:
    drawn(Path("bars"), 2)
    layers = [fastnn.Input((12, 12, 1)), fastnn.Conv2D(2, 3), fastnn.Flatten(), fastnn.Dense(2, "softmax")]
    plain = fastnn.Sequential(layers)
    plain.save("plain.fastnn")
    fastnn.Sequential([layers[0], fastnn.Rescaling(1 / 255), plain]).save("scales.fastnn")
    for command in (["predict", "{}", "bars/lying/000.png"], ["evaluate", "{}", "images", "bars"]):
        outs = [run(*[part.format(file) for part in command]) for file in ("plain.fastnn", "scales.fastnn")]
        assert outs[0] == outs[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["images"], "images: pass --data FOLDER, a folder with a folder of pictures for each class"),
        (["images", "nowhere"], "there is no folder 'nowhere'"),
        (["images", "one"], "there is one class, lying"),
        (["digits", "--size", "5x5"], "--size goes with images, not with digits"),
        (["images", "bars", "--data", "bars"], "there are two folders"),
        (["digits", "bars"], "goes with mnist and images, not with digits"),
        (["images", "broken"], "000.png cannot be read as a PNG or JPEG image"),
        (["images", "bars", "--output", "bars/lying"], "is a folder"),
    ],
)
def test_errors(arguments: list[str], words: str) -> None:
    drawn(Path("one"), 4, classes=("lying",))
    drawn(Path("bars"), 4)
    for file in drawn(Path("broken"), 4).glob("*/000.png"):
        file.write_bytes(file.read_bytes()[:50])
    out = run("train", *arguments, code=1)
    assert words in out.splitlines()[-1] and not Path("images.fastnn").exists()


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 9, 3), (16, 16, 1), (32, 32, 3), (64, 48, 3), (128, 100, 3)])
def test_residual_nets_fit_the_size(shape: tuple[int, int, int]) -> None:
    model = nets.residual(shape, 3)
    assert model.predict(np.zeros((2, *shape), np.float32)).shape == (2, 3)
    sides = [s[0] for s in model.shapes() if len(s) == 3]
    assert sides[:3] == [shape[0], shape[0], shape[0] if max(shape) <= 64 else shape[0] // 2]  # two layers of augmentation
    assert sum(p.size for p in model.weights) < 500_000


def test_report() -> None:
    y = np.array([0, 0, 0, 1, 1, 2])
    p = np.eye(4)[[0, 0, 1, 1, 0, 2]] * np.array([0.9, 0.8, 0.7, 0.9, 0.95, 1])[:, None]
    lines = report.report(y, p, ["cat", "dog", "cow", "bird"], list("abcdef"))
    table = [line.split() for line in lines]
    assert table[1] == ["cat", "0.667", "0.667", "3"] and table[4] == ["bird", "-", "-", "0"]
    assert table[7][:5] == ["cat", "2", "1", "0", "0"] and table[8][:5] == ["dog", "1", "1", "0", "0"]
    assert lines[-2:] == ["  e: cat, probability 0.9500, but it is dog", "  c: dog, probability 0.7000, but it is cat"]
    many: Any = report.report(np.arange(20), np.eye(20)[[1, *range(1, 20)]], None, [""] * 20)
    assert "  0 taken for 1: 1" in many and not any("columns" in line for line in many)
