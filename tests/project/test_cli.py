"""The command line: what it shows, what it writes, and one clean line for what a user can mend."""

from __future__ import annotations

import errno
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import fastnn
from fastnn import cli
from fastnn.cli import drawing


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


def good(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def bad(*arguments: object) -> str:
    """The error's one line."""
    result = run(*arguments)
    assert result.exit_code in (1, 2), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    errors = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and result.output.rstrip().endswith(errors[0])
    return errors[0].removeprefix("Error: ")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test works in a folder of its own and leaves the backend as it was."""
    monkeypatch.chdir(tmp_path)
    before = fastnn.get_backend()
    yield tmp_path
    fastnn.set_backend(before)  # what --backend changed


@pytest.fixture
def small(in_folder: Path) -> Path:
    """An easy dataset of 4x4 images in three classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 96)
    x = rng.integers(0, 60, (96, 4, 4)).astype(np.uint8)
    x[np.arange(96), y] = 255
    file = in_folder / "small.npz"
    np.savez(file, x_train=x[:64], y_train=y[:64], x_test=x[64:], y_test=y[64:])
    return file


@pytest.fixture
def model(small: Path) -> Path:
    good("train", small, "--layers", "8", "--epochs", 40, "--lr", 0.01, "--seed", 0, "--output", "small.fastnn")
    return small.with_name("small.fastnn")


def test_info() -> None:
    out = good("info")
    assert "fastnn" in out and fastnn.get_backend() in out
    info = fastnn.info()
    for name, lacking in info.precisions.items():
        engine = info.engines.get(name)
        assert f"{name:8} {f'not available: {lacking}' if lacking else 'available'}{f': {engine}' if engine else ''}\n" in out


def test_warmup_where_nothing_is_compiled() -> None:
    assert good("warmup", "--backend", "numpy") == "the numpy backend has nothing to compile\n"


def test_warmup(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a few kernels: all of them take minutes."""
    pytest.importorskip("numba")
    from fastnn.backends.numba.softmax import softmax_forward

    with fastnn.use_backend("numba"):
        cli._warm_up(["softmax_forward"])
    assert capsys.readouterr().out.startswith("all kernels of the numba backend are ready, after ")
    assert {str(args[0].dtype) for args in softmax_forward.signatures} == {"float32", "float64"}


def test_help() -> None:
    assert "predict" in good("--help")
    for command in ("train", "evaluate", "predict"):
        assert "--backend" in good(command, "--help")


def test_train_digits() -> None:
    out = good("train", "digits", "--epochs", 1, "--seed", 1)
    assert "6,655 parameters" in out
    i = fastnn.info()
    assert f"backend {i.backend}  ISA {i.isa}  threads {i.threads}" in out
    assert "Epoch 1/1" in out and "loss" in out and "accuracy" in out
    assert "test accuracy" in out and "trained in" in out and "samples)" in out
    assert out.count("test sample") == 3
    assert Path("digits.fastnn").is_file()


def test_train_a_file(small: Path) -> None:
    out = good("train", small, "--layers", "8,4", "--epochs", 2, "--optimizer", "sgd", "--batch-size", 10, "--output", "m.fastnn")
    assert "Epoch 2/2" in out and Path("m.fastnn").is_file()


def test_train_without_hidden_layers_and_without_a_test_part(small: Path) -> None:
    with np.load(small) as z:
        np.savez("rows.npz", x_train=z["x_train"].reshape(64, 16) / 255, y_train=z["y_train"])
    out = good("train", "rows.npz", "--layers", "", "--epochs", 1)
    assert "test accuracy" not in out and Path("rows.fastnn").is_file()


def test_seed_repeats(small: Path) -> None:
    outs = [good("train", small, "--epochs", 2, "--seed", 3, "--output", "m.fastnn") for _ in range(2)]
    lines = [[part for part in out.split() if part.startswith("0.") and len(part) == 6] for out in outs]
    accuracy = [next(line for line in out.splitlines() if line.startswith("test accuracy")) for out in outs]
    assert accuracy[0] == accuracy[1] and lines[0][-10:] == lines[1][-10:]


@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_backend(small: Path, backend: str) -> None:
    out = good("train", small, "--epochs", 1, "--backend", backend)
    assert backend == "auto" or "backend numpy" in out


def test_evaluate(model: Path, small: Path) -> None:
    out = good("evaluate", model, small)
    assert out.startswith("32 test samples  loss 0.") and float(out.split()[-1]) > 0.9


def test_predict_an_array(model: Path, small: Path) -> None:
    with np.load(small) as z:
        image, label = z["x_test"][0], z["y_test"][0]
    np.save("image.npy", image)
    np.save("row.npy", image.reshape(16).astype(np.float64) / 255)
    out = good("predict", model, "image.npy")
    assert out.startswith(f"class {label}, probability ") and len(out.splitlines()) == 4
    assert good("predict", model, "row.npy") == out


def test_predict_a_png(model: Path, small: Path) -> None:
    images = pytest.importorskip("PIL.Image")
    with np.load(small) as z:
        image, label = z["x_test"][0], z["y_test"][0]
    picture = images.fromarray(image)
    picture.save("image.png")
    np.save("image.npy", image)
    picture.convert("RGB").resize((40, 40), images.Resampling.NEAREST).save("large.png")
    assert good("predict", model, "image.png") == good("predict", model, "image.npy")
    assert good("predict", model, "large.png").startswith(f"class {label},")


def test_png_without_pillow(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("image.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "needs Pillow" in bad("predict", model, "image.png")


def test_plot(small: Path) -> None:
    pytest.importorskip("matplotlib")
    out = good("train", small, "--epochs", 2, "--plot", "curves.png")
    assert "curves.png" in out and Path("curves.png").read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "needs Matplotlib" in bad("train", small, "--plot", "curves.png")
    assert not Path("small.fastnn").exists()  # said before the work, not after


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digit"], "unknown dataset 'digit'; wanted digits, mnist, images, or an .npz file"),
        (["mnist"], "pass --data FOLDER"),
        (["mnist", "--data", "nowhere"], "there is no folder 'nowhere'"),
        (["digits", "--data", "."], "--data goes with mnist"),
        (["none.npz"], "there is no file 'none.npz'"),
        (["digits", "--layers", "15,x"], "wanted the hidden layers' units"),
        (["digits", "--layers", "15,0"], "wanted the hidden layers' units"),
        (["digits", "--layers", "15,,15"], "wanted the hidden layers' units"),
        (["digits", "--epochs", "0"], "--epochs"),
        (["digits", "--lr", "0"], "--lr"),
        (["digits", "--backend", "tpu"], "tpu"),
        (["digits", "--optimizer", "adamm"], "adamm"),
        (["digits", "--output", "no/where.fastnn"], "there is no folder 'no'"),
        (["digits", "--output", "."], "is a folder"),
        (["digits", "--output", "m.keras"], "files that end in .keras are Keras's"),
        (["digits", "--output", "m.png", "--plot", "m.png"], "--plot m.png is the same file as m.png"),
        (["digits", "--plot", "curves.doc"], "wanted the name of a .png"),
        (["digits", "--layers", "-5"], "wanted the hidden layers' units"),
        (["digits", "--layers", "1e99"], "wanted the hidden layers' units"),
        (["digits", "--layers", "9" * 5000], "wanted the hidden layers' units"),
        (["digits", "--layers", "1000000000"], "weights, more than"),
        (["digits", "--lr", "nan"], "wanted a finite number"),
        (["digits", "--lr", "inf"], "wanted a finite number"),
        (["digits", "--epochs", "1e99"], "--epochs"),
        (["digits", "--seed", "-1"], "--seed"),
    ],
)
def test_bad_train(arguments: list[str], words: str) -> None:
    assert words in bad("train", *arguments)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": np.zeros((2, 3))}, "lacks the array y_train"),
        ({"x_train": np.zeros((2, 3)), "y_train": [0]}, "x_train has 2 samples, but y_train has 1"),
        ({"x_train": np.zeros((2, 3)), "y_train": [0, 0.5]}, "y_train[1] is 0.5"),
        ({"x_train": np.zeros((2, 3)), "y_train": [0, -1]}, "y_train[1] is -1; labels are whole numbers from 0"),
        ({"x_train": [["a"]], "y_train": [0]}, "x_train holds strings"),
        ({"x_train": np.array([[None]]), "y_train": [0]}, "cannot be read as an .npz file of plain arrays"),
        ({"x_train": np.zeros((2, 3)), "y_train": [0, 1], "x_test": np.zeros((2, 3))}, "only one of x_test and y_test"),
        ({"x_train": np.zeros((2, 3)), "y_train": [0, 1], "x_test": np.zeros((1, 4)), "y_test": [0]}, "those of x_test (4,)"),
        (
            {"x_train": [[0.0], [np.inf]], "y_train": [0, 1]},
            "x_train has 1 value that is NaN or infinite, the first at",
        ),
        ({"x_train": np.zeros((2, 3)), "y_train": [0, 0]}, "all labels are 0"),
        ({"x_train": np.zeros((2, 0)), "y_train": [0, 1]}, "samples of x_train have no values: its shape is (2, 0)"),
    ],
)
def test_bad_npz(arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez("bad.npz", **arrays)  # type: ignore[arg-type]
    assert words in bad("train", "bad.npz")


@pytest.mark.parametrize(("shape", "words"), [("(True, 2)", "(True, 2)"), ("(-1, 2)", "(-1, 2)"), ("(" * 40_000, "Header info")])
def test_headers_of_arrays_that_lie(shape: str, words: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    with zipfile.ZipFile("bad.npz", "w") as z:
        for name in ("x_train.npy", "y_train.npy"):
            z.writestr(name, b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + bytes(16))
    message = bad("train", "bad.npz")
    assert "bad.npz cannot be read" in message and words in message and message.count("\n") <= 1


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + b"\0" * 40])
def test_damaged_files(model: Path, content: bytes) -> None:
    for name in ("bad.npz", "bad.npy", "bad.png", "bad.fastnn"):
        Path(name).write_bytes(content)
    assert "bad.npz" in bad("train", "bad.npz")
    assert "bad.npy" in bad("predict", model, "bad.npy")
    assert "bad.fastnn" in bad("evaluate", "bad.fastnn", "digits")


def test_train_never_writes_over_its_data(small: Path) -> None:
    before = small.read_bytes()
    Path("link.fastnn").symlink_to(small)
    for name in ("small.npz", "./small.npz", "link.fastnn"):
        assert "small.npz" in bad("train", small, "--epochs", 1, "--output", name)
    assert small.read_bytes() == before


def test_a_loss_that_is_not_finite_is_an_error(small: Path) -> None:
    Path("m.fastnn").write_bytes(b"the good one")
    assert "nothing was saved to m.fastnn" in bad("train", small, "--lr", 1e30, "--epochs", 3, "--output", "m.fastnn")
    np.savez("nan.npz", x_train=np.full((9, 4), np.nan), y_train=np.arange(9) % 3)
    bad("train", "nan.npz", "--epochs", 3, "--output", "m.fastnn")
    assert Path("m.fastnn").read_bytes() == b"the good one"


def test_what_small_files_may_ask_for(model: Path) -> None:
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as z:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 8)})
        z.writestr("x_train.npy", head.getvalue() + bytes(1 << 16))
    assert "an array of shape (1099511627776, 8) has" in bad("train", "bomb.npz")
    Path("bomb.npy").write_bytes(head.getvalue() + bytes(64))
    assert "an array of shape" in bad("predict", model, "bomb.npy")
    for label in (10**12, 1 << 16):
        np.savez("labels.npz", x_train=np.ones((2, 3)), y_train=[0, label])
        assert f"labels go up to {label}, but there are 2 samples" in bad("train", "labels.npz")
    np.savez("wide.npz", x_train=np.ones((2, 1 << 14)), y_train=[0, 1])
    assert "weights, more than" in bad("train", "wide.npz", "--layers", 1 << 15)
    with zipfile.ZipFile("text.npz", "w") as z:
        z.writestr("x_train.npy", "no array")
    assert "text.npz cannot be read as an .npz file" in bad("train", "text.npz")


def test_an_image_of_many_pixels(model: Path) -> None:
    images = pytest.importorskip("PIL.Image")
    images.new("1", (1 << 13, 1 << 12)).save("large.png")
    assert "8192 x 4096 pixels, more than" in bad("predict", model, "large.png")


def test_a_model_that_is_no_classifier(small: Path) -> None:
    x = fastnn.Input((16,))
    fastnn.Model(x, [fastnn.Dense(2)(x), fastnn.Dense(3)(x)]).save("two.fastnn")
    np.save("row.npy", np.zeros(16))
    assert "the model is no classifier" in bad("predict", "two.fastnn", "row.npy")


def test_bad_png(model: Path) -> None:
    pytest.importorskip("PIL")
    Path("bad.png").write_bytes(b"no image")
    assert "bad.png cannot be read as a PNG or JPEG image" in bad("predict", model, "bad.png")


def test_bad_predict(model: Path) -> None:
    np.save("image.npy", np.zeros((5, 5)))
    assert "image.npy holds float64 values of shape (5, 5); the model has 16 inputs" in bad("predict", model, "image.npy")
    np.save("nan.npy", np.full(16, np.nan))
    assert "nan.npy holds values that are NaN or infinite" in bad("predict", model, "nan.npy")
    assert "there is no file 'none.npy'" in bad("predict", model, "none.npy")
    Path("image.gif").write_bytes(b"")
    assert "wanted an .npy, .png or .jpg file" in bad("predict", model, "image.gif")
    assert "none.fastnn" in bad("predict", "none.fastnn", "image.npy")


def test_bad_evaluate(model: Path) -> None:
    assert "400" in bad("evaluate", model, "digits")
    np.savez("nan.npz", x_train=np.full((2, 16), np.nan), y_train=[0, 1])
    assert "x_train has 32 values that are NaN" in bad("evaluate", model, "nan.npz")


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", "█▀"), ("ascii", "#@")])
def test_drawing(encoding: str, marks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    image = np.zeros((5, 4), np.uint8)
    image[:2] = 255
    image[4] = 255
    lines = drawing.bars(np.array([0.25, 1.0, np.nan]), image)
    "\n".join(lines).encode(encoding)
    assert len(lines) == 3
    for mark in marks:
        assert mark in "".join(lines)
    assert lines[0].endswith("0.2500") and lines[1].count(marks[0]) >= 24


def test_a_closed_pipe_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(fastnn, "info", closed)
    assert "Error" not in run("info").output


def test_bars_without_an_image() -> None:
    assert len(drawing.bars(np.full(12, 1 / 12), None)) == 12
