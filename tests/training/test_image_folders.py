"""Pictures in folders: how they are listed, decoded and split, and what training makes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pictures import drawn

import fastnn
from fastnn.datasets import image, images
from fastnn.datasets import pictures as pictures_py


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return drawn(tmp_path / "bars")


def net(shape: tuple[int, ...]) -> Any:
    fastnn.seed(0)
    layers = [fastnn.Conv2D(4, 3, activation="relu", input_shape=shape), fastnn.GlobalAveragePooling2D()]
    model = fastnn.Sequential([*layers, fastnn.Dense(2, activation="softmax")])
    model.compile(fastnn.optim.Adam(lr=0.02), "sparse_categorical_crossentropy", ["accuracy"])
    return model


def test_arrays(folder: Path) -> None:
    data = images(folder)
    x, y = data.arrays()
    assert x.shape == (24, 12, 12, 1) and x.dtype == np.uint8 and y.dtype == np.int64
    assert data.class_names == ["lying", "standing"] and y.tolist() == [0] * 12 + [1] * 12
    assert [Path(file).parent.name for file in data.files] == [data.class_names[i] for i in y]
    assert ((x[:12] == 255).all(2).sum((1, 2)) == 1).all() and ((x[12:] == 255).all(1).sum((1, 2)) == 1).all()
    np.testing.assert_array_equal(images(folder, as_float=True).arrays()[0], x.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(data[3][0], x[3])
    assert data[20][1] == 1 and len(data) == 24


@pytest.mark.parametrize("threads", [1, 3])
def test_fit_streams_what_it_does_with_arrays(folder: Path, threads: int) -> None:
    """To the bit, and with any number of threads."""
    kept, streamed = (images(folder, as_float=True, threads=threads, memory=memory) for memory in (1 << 20, 0))
    assert kept.fits and not streamed.fits
    x, y = kept.arrays()
    histories = []
    for given in ((x, y), (kept, None), (streamed, None)):
        model = net(x.shape[1:])
        validation = given if given[1] is not None else given[0]
        histories.append(model.fit(*given, batch_size=5, epochs=3, validation_data=validation, verbose=0).history)
    assert histories[0] == histories[1]
    for key, values in histories[0].items():
        if key.startswith("val_"):  # batches of 32, added up in another order
            np.testing.assert_allclose(histories[2][key], values, rtol=1e-6)
        else:
            assert histories[2][key] == values
    for data in (kept, streamed):
        np.testing.assert_allclose(model.predict(data, batch_size=7), model.predict(x), rtol=1e-6)
        np.testing.assert_allclose(model.evaluate(data), model.evaluate(x, y), rtol=1e-6)


def test_training_on_a_stream_learns(folder: Path) -> None:
    train, held_back = images(folder, as_float=True, validation_split=0.25, memory=0)
    model = net(train.shape)
    model.fit(train, batch_size=4, epochs=20, validation_data=held_back, verbose=0)
    assert model.evaluate(held_back, return_dict=True)["accuracy"] >= 0.8


def test_validation_split(tmp_path: Path) -> None:
    root = drawn(tmp_path / "a", 10)
    for file in sorted((root / "lying").iterdir())[4:]:
        file.unlink()
    train, held_back = images(root, validation_split=0.3)
    assert np.bincount(held_back.labels).tolist() == [1, 3] and np.bincount(train.labels).tolist() == [3, 7]
    assert sorted([*train.files, *held_back.files]) == images(root).files
    assert images(root, validation_split=0.3)[1].files == held_back.files
    assert images(root, validation_split=0.3, seed=1)[1].files != held_back.files
    assert train.shape == held_back.shape and train.class_names == held_back.class_names


def test_class_names_set_the_numbers(folder: Path) -> None:
    data = images(folder, class_names=["standing", "sitting", "lying"])
    assert np.bincount(data.labels).tolist() == [12, 0, 12] and "standing" in data.files[0]
    with pytest.raises(ValueError, match=r"lying is none of the classes standing"):
        images(folder, class_names=["standing"])


def test_the_size_is_chosen_from_the_files(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    for i, size in enumerate([(10, 20), (10, 20), (30, 20)]):
        pil.new("L", size).save(tmp_path / "a" / f"{i}.PNG")
    assert images(tmp_path).shape == (20, 10, 1)
    pil.new("RGB", (4, 4)).save(tmp_path / "a" / "z.jpeg")
    assert images(tmp_path).shape[2] == 3 and images(tmp_path, channels=1, size=(5, 6)).shape == (5, 6, 1)
    for file in (tmp_path / "a").iterdir():
        file.unlink()
    pil.new("L", (600, 300)).save(tmp_path / "a" / "large.png")
    assert images(tmp_path).shape == (32, 64, 1)


def saved(tmp_path: Path, picture: Any, name: str = "p.png", **options: Any) -> np.ndarray:
    picture.save(tmp_path / name, **options)
    return image(tmp_path / name)


def test_modes(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    red = pil.new("RGB", (3, 2), (255, 0, 0))
    assert saved(tmp_path, red).tolist() == [[[255, 0, 0]] * 3] * 2
    assert saved(tmp_path, red.quantize(4)).tolist() == [[[255, 0, 0]] * 3] * 2
    assert saved(tmp_path, pil.new("1", (2, 1), 1)).tolist() == [[[255], [255]]]
    deep = pil.fromarray(np.array([[0, 256, 65535]], np.uint16))
    assert saved(tmp_path, deep)[0, :, 0].tolist() == [0, 1, 255]
    clear = pil.new("RGBA", (2, 1), (0, 0, 0, 0))
    clear.putpixel((1, 0), (0, 0, 255, 255))
    assert saved(tmp_path, clear).tolist() == [[[255] * 3, [0, 0, 255]]]
    assert saved(tmp_path, pil.new("LA", (1, 1), (0, 128)))[0, 0].tolist() == [127]
    grey = pil.new("P", (1, 1))
    assert saved(tmp_path, grey, transparency=0).tolist() in ([[[255]]], [[[255] * 3]])
    cyan = saved(tmp_path, pil.new("CMYK", (8, 8), (255, 0, 0, 0)), "p.jpg", quality=95)
    assert cyan.shape == (8, 8, 3) and cyan[..., 0].max() < 20 and cyan[..., 1:].min() > 200
    saved(tmp_path, pil.new("L", (2, 2), 7), "a.png", save_all=True, append_images=[pil.new("L", (2, 2), 200)])
    assert (image(tmp_path / "a.png", channels=3) == 7).all()  # the first frame


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif(tmp_path: Path, orientation: int) -> None:
    pil = pytest.importorskip("PIL.Image")
    ops = pytest.importorskip("PIL.ImageOps")
    picture = pil.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = pil.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "p.png", exif=exif)
    with pil.open(tmp_path / "p.png") as again:
        want = np.asarray(ops.exif_transpose(again))
    np.testing.assert_array_equal(image(tmp_path / "p.png")[..., 0], want)
    assert pictures_py.header(str(tmp_path / "p.png")) == (*want.shape, 1)


def test_a_large_jpeg(tmp_path: Path) -> None:
    """It is decoded at a fraction of its size; the result is close to that of the whole picture."""
    pil = pytest.importorskip("PIL.Image")
    rows, columns = np.mgrid[:512, :768]
    pil.fromarray(((rows + columns) / 5).astype(np.uint8)).save(tmp_path / "p.jpg", quality=95)
    small = image(tmp_path / "p.jpg", size=(32, 48))
    want = ((rows + columns) / 5).reshape(32, 16, 48, 16).mean((1, 3))
    assert small.shape == (32, 48, 1) and np.abs(small[..., 0] - want).max() < 3


def with_file(name: str, content: bytes = b"") -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content) and None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_file("lying/notes.txt"), r"lying.notes\.txt is no PNG or JPEG file"),
        (lambda root: (root / "lying" / "more").mkdir(), r"lying.more is a folder inside of a class"),
        (lambda root: (root / "empty").mkdir(), r"empty is empty; wanted PNG or JPEG files"),
        (with_file("alone.png"), r"alone\.png is in no class"),
    ],
)
def test_bad_folders(folder: Path, change: Callable[[Path], None], words: str) -> None:
    change(folder)
    with pytest.raises(ValueError, match=words):
        images(folder)


def test_other_errors(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".hidden").mkdir()
    (folder / "lying" / ".DS_Store").write_bytes(b"")
    (folder / "readme.txt").write_bytes(b"")
    assert len(images(folder)) == 24
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="none has no folders"):
        images(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        images(tmp_path / "nowhere")
    for arguments, words in (
        ({"size": 5}, "size is 5"),
        ({"size": (0, 5)}, "size"),
        ({"channels": 2}, "channels is 2"),
        ({"validation_split": 1.5}, "validation_split is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"threads": 0}, "threads"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            images(folder, **arguments)
    with pytest.raises(ValueError, match="validation_split is given together with x, a ImageFolder"):
        net((12, 12, 1)).fit(images(folder), validation_split=0.5)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="extra 'images'"):
        images(folder)


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_a_broken_picture(folder: Path, memory: int) -> None:
    bad = folder / "standing" / "005.png"
    bad.write_bytes(bad.read_bytes()[:60])
    data = images(folder, size=(12, 12), channels=1, as_float=True, memory=memory)
    model = net(data.shape)
    before = threading.active_count()
    with pytest.raises(ValueError, match=r"standing.005\.png cannot be read as a PNG or JPEG image"):
        model.fit(data, batch_size=4, verbose=0)
    assert threading.active_count() == before
    bad.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"005\.png cannot be read as a PNG or JPEG image: it is neither"):
        data.arrays()
    bad.unlink()
    with pytest.raises(FileNotFoundError, match=r"005\.png"):
        data.arrays()


def test_bombs(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    pil.new("1", (1 << 13, 1 << 12)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match=r"bomb\.png cannot be read.*8192 x 4096 pixels, more than"):
        image(tmp_path / "bomb.png")


@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged EXIF data
def test_damaged_pictures_are_errors_of_one_kind(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    exif = pil.Exif()
    exif[0x0112] = 6
    for ending in ("png", "jpg"):
        path = tmp_path / f"p.{ending}"
        pil.fromarray(rng.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(path, exif=exif)
        good = bytearray(path.read_bytes())
        for _ in range(150):
            bad = bytearray(good)
            for at in rng.integers(0, len(bad), 3):
                bad[at] = rng.integers(256)
            path.write_bytes(bad)
            try:
                a = image(path, (8, 8), 1)
            except ValueError as error:
                assert str(path) in str(error)
            else:
                assert a.shape == (8, 8, 1)


class Listed:
    """The entries of a folder with 100,000 files in two classes, which would take long to write."""

    def __init__(self, path: str) -> None:
        names = ("a", "b") if not path.endswith(("a", "b")) else [f"{i}.png" for i in range(50_000)]
        self.entries = [SimpleNamespace(name=n, path=f"{path}/{n}", is_file=lambda: True, is_dir=lambda: True) for n in names]

    def __enter__(self) -> Any:
        return self.entries

    def __exit__(self, *_: object) -> None:
        pass


def test_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", Listed)
    start = time.perf_counter()
    train, held_back = images(tmp_path, size=(4, 4), channels=1, validation_split=0.1)
    assert time.perf_counter() - start < 10  # it takes a fraction of a second
    assert len(train) == 90_000 and np.bincount(held_back.labels).tolist() == [5000, 5000]
    with pytest.raises(FileNotFoundError, match=r"0\.png"):
        train.arrays()


PROGRAM = """
    import os, signal, sys, threading
    import fastnn
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start what runs in the background without it
    data = fastnn.datasets.images(sys.argv[1], memory=0, as_float=True)
    model = fastnn.Sequential([fastnn.Flatten(input_shape=data.shape), fastnn.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    class Interrupts(fastnn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            print("trained", flush=True)
            if batch == 3:
                os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    try:
        model.fit(data, batch_size=2, epochs=1000, verbose=0, callbacks=Interrupts())
    except KeyboardInterrupt:
        print("threads", threading.active_count(), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_leave_no_threads(folder: Path, name: str) -> None:
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), name]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count("trained") >= 4, done.stderr
    if name == "SIGINT":
        assert done.returncode == 0 and done.stdout.endswith("threads 1\n")
    else:
        assert done.returncode == -signal.SIGTERM
