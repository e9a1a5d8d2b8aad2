"""The digits in the package, and MNIST's files read as if someone had tampered with them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import datasets

TRAIN_X, TRAIN_Y = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_X, TEST_Y = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def test_digits() -> None:
    (x, y), (xt, yt) = datasets.digits()
    assert x.shape == (4000, 20, 20) and xt.shape == (1000, 20, 20) and x.dtype == xt.dtype == np.uint8
    assert y.shape == (4000,) and yt.shape == (1000,) and y.dtype == yt.dtype == np.int64
    assert x.max() == 255 and set(y) == set(yt) == set(range(10))


def test_digits_as_float() -> None:
    (x, _), _ = datasets.digits()
    (f, _), (ft, _) = datasets.digits(as_float=True)
    assert f.shape == (4000, 400) and ft.shape == (1000, 400) and f.dtype == np.float32
    assert f.min() == 0 and f.max() == 1
    np.testing.assert_array_equal(np.rint(f * 255).astype(np.uint8), x.reshape(4000, 400))


def idx(shape: tuple[int, ...], data: bytes, magic: bytes = b"") -> bytes:
    return (magic or bytes((0, 0, 8, len(shape)))) + struct.pack(f">{len(shape)}I", *shape) + data


def pixels(n: int) -> bytes:
    return (np.arange(n * 6) % 256).astype(np.uint8).tobytes()


@pytest.fixture
def files() -> dict[str, bytes]:
    return {
        TRAIN_X: idx((3, 2, 3), pixels(3)),
        TRAIN_Y: idx((3,), bytes((0, 5, 9))),
        TEST_X: idx((1, 2, 3), pixels(1)),
        TEST_Y: idx((1,), bytes((7,))),
    }


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_mnist(tmp_path: Path, files: dict[str, bytes], packed: bool) -> None:
    for name, content in files.items():
        (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    (x, y), (xt, yt) = datasets.mnist(tmp_path)
    assert x.shape == (3, 2, 3) and x.dtype == np.uint8 and y.dtype == np.int64
    np.testing.assert_array_equal(x.ravel(), np.arange(18))
    np.testing.assert_array_equal(y, [0, 5, 9])
    assert xt.shape == (1, 2, 3) and yt == [7]
    (f, _), _ = datasets.mnist(str(tmp_path), as_float=True)
    assert f.shape == (3, 6) and f.dtype == np.float32 and f[2, 5] == np.float32(17 / 255)


BAD: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "empty file": (TRAIN_X, lambda b: b"", "begins with"),
    "no idx": (TRAIN_X, lambda b: b"\x89PNG" + b, "begins with"),
    "floats": (TRAIN_X, lambda b: b"\0\0\x0d\3" + b[4:], "begins with"),
    "labels for images": (TRAIN_X, lambda b: idx((3,), b"123"), "begins with"),
    "header cut": (TRAIN_Y, lambda b: b[:6], "ends within its header"),
    "no images": (TRAIN_X, lambda b: idx((0, 2, 3), b""), "is empty"),
    "cut": (TRAIN_X, lambda b: b[:-1], "too few for the shape|ends after"),
    "giant": (TRAIN_X, lambda b: idx((2**32 - 1,) * 3, pixels(3)), "too few for the shape"),
    "trailing": (TRAIN_X, lambda b: b + b"x", "goes on after"),
    "label 10": (TRAIN_Y, lambda b: b[:-1] + b"\x0a", "label 2 is 10"),
    "fewer labels": (TRAIN_Y, lambda b: idx((2,), b"\0\1"), "holds 3 images, but"),
    "other size": (TEST_X, lambda b: idx((1, 3, 3), b"123456789"), "test images"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("case", BAD)
def test_bad_mnist(tmp_path: Path, files: dict[str, bytes], case: str, packed: bool) -> None:
    name, change, words = BAD[case]
    files[name] = change(files[name])
    for file, content in files.items():
        (tmp_path / (f"{file}.gz" if packed else file)).write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match=words) as error:
        datasets.mnist(tmp_path)
    assert case == "other size" or name in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"plain", gzip.compress(idx((3,), b"123"))[:-9], gzip.compress(b"x" * 99)[:12] + b"\xff" * 20],
    # a gzip header holds the time, and the processes that share the tests out must agree on their names
    ids=["empty", "plain", "cut", "damaged"],
)
def test_damaged_gzip(tmp_path: Path, files: dict[str, bytes], content: bytes) -> None:
    for file, good in files.items():
        (tmp_path / f"{file}.gz").write_bytes(gzip.compress(good))
    (tmp_path / f"{TRAIN_Y}.gz").write_bytes(content)
    with pytest.raises(ValueError, match=TRAIN_Y):
        datasets.mnist(tmp_path)


def test_missing_mnist(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        datasets.mnist(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=rf"neither {TRAIN_X} nor {TRAIN_X}\.gz is in"):
        datasets.mnist(tmp_path)


@pytest.mark.parametrize("make", [datasets.moons, datasets.circles, datasets.spirals, datasets.blobs])
def test_points_of_classes(make: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    fastnn.seed(3)
    x, y = make(31)
    assert x.shape == (31, 2) and x.dtype == np.float32 and y.shape == (31,) and y.dtype == np.int64
    assert np.ptp(np.bincount(y)) <= 1 and (np.diff(y) < 0).any()  # classes of the same size, in random order
    fastnn.seed(3)
    np.testing.assert_array_equal(make(31)[0], x)
    assert not np.array_equal(make(31)[0], x)
    with pytest.raises(ValueError, match=f"{make.__name__}: n is 0"):
        make(0)
    with pytest.raises(ValueError, match=f"{make.__name__}: noise is -1"):
        make(9, noise=-1)


def test_points_without_noise() -> None:
    x, y = datasets.spirals(60, noise=0, classes=3, turns=0.25)
    radius = np.hypot(*x.T)
    angle = 2 * np.pi * (0.25 * radius + y / 3)
    np.testing.assert_allclose(x, radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1), atol=1e-6)
    x, y = datasets.blobs(60, noise=0, classes=4)
    assert len(np.unique(x, axis=0)) == 4 and all(len(np.unique(x[y == c], axis=0)) == 1 for c in range(4))
    x, y = datasets.circles(60, noise=0)
    np.testing.assert_allclose(np.hypot(*x.T), np.where(y == 0, 1, 0.5), atol=1e-6)
    with pytest.raises(ValueError, match="circles: factor is 2"):
        datasets.circles(factor=2)
