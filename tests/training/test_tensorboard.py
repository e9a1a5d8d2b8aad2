"""Event files of the callback TensorBoard, read back by the package tensorboard."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(ModuleNotFoundError, match=r"TensorBoard needs the package tensorboard: .*fastnn\[tensorboard\]"):
        callbacks.TensorBoard()


@pytest.fixture
def read() -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def events(folder: Path) -> Any:
        sizes = dict.fromkeys(("scalars", "histograms", "images"), 0)  # all events
        found = accumulator.EventAccumulator(str(folder), sizes)
        return found.Reload()

    return events


def model() -> Any:
    fastnn.seed(0)
    net = fastnn.Sequential([fastnn.Dense(3, "tanh", input_shape=(4,)), fastnn.Dense(1)])
    net.compile("adam", "mse", ["mae"])
    return net


def scalars(events: Any, tag: str) -> list[tuple[int, float]]:
    return [(e.step, e.value) for e in events.Scalars(tag)]


def test_logs_of_epochs(read: Any, tmp_path: Path) -> None:
    board = callbacks.TensorBoard(tmp_path / "logs", write_steps_per_second=True)
    assert not board.wants_batches
    history = model().fit(X, Y, epochs=3, validation_split=0.2, batch_size=8, verbose=0, callbacks=board).history
    train, validation = read(tmp_path / "logs" / "train"), read(tmp_path / "logs" / "validation")
    tags = {"epoch_loss", "epoch_mae", "epoch_learning_rate", "epoch_steps_per_second"}
    assert set(train.Tags()["scalars"]) == tags and not train.Tags()["histograms"]
    names = ("loss", "mae")
    assert set(validation.Tags()["scalars"]) == {
        *(f"epoch_{name}" for name in names),
        *(f"evaluation_{name}_vs_iterations" for name in names),
    }
    for name in names:
        assert scalars(train, f"epoch_{name}") == [(i, pytest.approx(v)) for i, v in enumerate(history[name])]
        want = history[f"val_{name}"]
        assert scalars(validation, f"epoch_{name}") == [(i, pytest.approx(v)) for i, v in enumerate(want)]
        assert scalars(validation, f"evaluation_{name}_vs_iterations") == [
            (4 * (i + 1), pytest.approx(v)) for i, v in enumerate(want)
        ]
    assert scalars(train, "epoch_learning_rate") == [(i, pytest.approx(0.001)) for i in range(3)]
    assert all(value > 0 for _, value in scalars(train, "epoch_steps_per_second"))


def test_logs_of_batches(read: Any, tmp_path: Path) -> None:
    board = callbacks.TensorBoard(tmp_path, update_freq=2)
    seen: list[float] = []
    watch = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    model().fit(X, Y, epochs=2, batch_size=8, verbose=0, callbacks=[watch, board])
    steps = [1, 3, 5, 6, 8, 10]
    assert scalars(read(tmp_path / "train"), "batch_loss") == [(n, pytest.approx(seen[n - 1])) for n in steps]
    assert callbacks.TensorBoard(tmp_path, update_freq="batch").wants_batches


def test_histograms_and_pictures(read: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    net = model()
    net.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks.TensorBoard(tmp_path, histogram_freq=2, write_images=True))
    events = read(tmp_path / "train")
    assert set(events.Tags()["histograms"]) == {f"{i}/{name}/histogram" for i in (0, 1) for name in ("kernel", "bias")}
    assert [e.step for e in events.Histograms("0/kernel/histogram")] == [0, 2]
    last = events.Histograms("0/kernel/histogram")[-1].histogram_value
    kernel = net[0].kernel.numpy().astype(np.float64)
    found = (last.num, last.min, last.max, last.sum, last.sum_squares, sum(last.bucket))
    assert found == pytest.approx((12, kernel.min(), kernel.max(), kernel.sum(), (kernel**2).sum(), 12))
    picture = events.Images("0/kernel/image")[-1]
    assert (picture.height, picture.width) == (4, 3)
    pixels = np.asarray(image.open(io.BytesIO(picture.encoded_image_string)))
    np.testing.assert_allclose(pixels / 255, (kernel - kernel.min()) / np.ptp(kernel), atol=0.003)


def test_what_other_callbacks_add(read: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    board = callbacks.TensorBoard(tmp_path)
    board.add_scalar("mine/number", 2, 7, "other")
    board.add_histogram("values", fastnn.Tensor([1.0, np.nan, 3.0]), 0)
    board.add_histogram("empty", [np.inf], 0)
    colours = RNG.random((5, 6, 3))
    board.add_image("colours", colours, 1)
    board.add_image("gray", np.full((2, 3), 300), 1)
    assert scalars(read(tmp_path / "other"), "mine/number") == [(7, 2.0)]
    events = read(tmp_path / "train")
    assert events.Tags()["histograms"] == ["values"] and events.Histograms("values")[0].histogram_value.num == 2
    pixels = np.asarray(image.open(io.BytesIO(events.Images("colours")[0].encoded_image_string)))
    np.testing.assert_array_equal(pixels, np.round(colours * 255))
    assert (np.asarray(image.open(io.BytesIO(events.Images("gray")[0].encoded_image_string))) == 255).all()
    with pytest.raises(ValueError, match=r"add_image: the shape is \(2, 3, 2\); wanted"):
        board.add_image("bad", np.zeros((2, 3, 2)), 0)


def test_steps_go_on_in_a_run_that_is_resumed(read: Any, tmp_path: Path) -> None:
    for epochs in (1, 3):
        board = callbacks.TensorBoard(tmp_path / "logs", update_freq=5)
        model().fit(X, Y, epochs=epochs, batch_size=8, verbose=0, callbacks=board, resume=tmp_path / "run")
    assert [step for step, _ in scalars(read(tmp_path / "logs" / "train"), "batch_loss")] == [1, 6, 11]
    assert [step for step, _ in scalars(read(tmp_path / "logs" / "train"), "epoch_loss")] == [0, 1, 2]


def test_bad_arguments() -> None:
    pytest.importorskip("tensorboard")
    with pytest.raises(ValueError, match="update_freq is 0; wanted 'epoch', 'batch' or a number"):
        callbacks.TensorBoard(update_freq=0)
    with pytest.raises(ValueError, match="histogram_freq is -1"):
        callbacks.TensorBoard(histogram_freq=-1)
    with pytest.raises(ValueError, match="embeddings_freq is 1; only 0 is supported"):
        callbacks.TensorBoard(embeddings_freq=1)
