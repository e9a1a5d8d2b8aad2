"""TensorBoard: losses, metrics, weights and pictures in event files, by the package tensorboard, without TensorFlow."""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...autograd.tensor import Tensor
from ...backends import current
from ...files.names import name_of
from ...ops.checks import whole_number
from .base import Callback, Logs

BINS = 30
"""Number of bins of a histogram."""


class TensorBoard(Callback):
    """Callback that writes event files, which the program ``tensorboard --logdir LOG_DIR`` shows.

    The folders ``train`` and ``validation`` in log_dir get the logs of each epoch, as ``epoch_loss`` and so on, with the names
    of Keras's callback. Other callbacks may add numbers, histograms and pictures by `add_scalar`, `add_histogram` and
    `add_image`. The extra ``tensorboard`` installs the package that is needed.

    Args:
        log_dir: the folder.
        histogram_freq: number of epochs after which histograms of all weights are written; 0 writes none.
        write_graph: accepted for compatibility; no graph is written, as in Keras.
        write_images: whether the weights are also written as pictures, whenever histograms are written.
        write_steps_per_second: whether to write the number of steps in a second.
        update_freq: "epoch"; or a number of batches after which the logs are also written, as ``batch_loss`` and so on, or
            "batch" for each batch. Then training returns to Python after each batch.
        profile_batch, embeddings_freq, embeddings_metadata: not supported.

    Raises:
        ModuleNotFoundError: the package tensorboard is not installed.

    >>> import tensorboard
    >>> board = TensorBoard("logs", histogram_freq=1)
    """

    _alone = True
    _state: Mapping[str, Any] = {"_step": int}

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        number = isinstance(update_freq, int) and not isinstance(update_freq, bool) and update_freq > 0
        if update_freq not in ("epoch", "batch") and not number:
            raise ValueError(f"TensorBoard: update_freq is {update_freq!r}; wanted 'epoch', 'batch' or a number of batches")
        for name, value in (("profile_batch", profile_batch), ("embeddings_freq", embeddings_freq)):
            if value:
                raise ValueError(f"TensorBoard: {name} is {value!r}; only 0 is supported (model.profile times steps)")
        self.log_dir = name_of(log_dir, "TensorBoard")
        self.histogram_freq = whole_number(histogram_freq, "TensorBoard: histogram_freq", 0)
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = update_freq
        self._events = _Events(self.log_dir)
        self._step = 0  # number of training batches so far
        self._start = (0, 0.0)  # step and time at the beginning of the epoch

    @property
    def wants_batches(self) -> bool:
        return self.update_freq != "epoch"

    # ---- what other callbacks may add ----

    def _event(self, part: str, step: int, values: list[dict[str, Any]]) -> None:
        if values and self._writes:
            self._events.write(part, step, values)

    def _numbers(self, part: str, step: int, numbers: dict[str, float]) -> None:
        """Write numbers by their tags."""
        self._event(part, step, [{"tag": tag, "simple_value": float(value)} for tag, value in numbers.items()])

    def add_scalar(self, tag: str, value: float, step: int, part: str = "train") -> None:
        """Write a number. tag: its name; names with / are grouped. step: its place on the x axis. part: the folder."""
        self._numbers(part, step, {tag: value})

    def add_histogram(self, tag: str, values: Any, step: int, part: str = "train") -> None:
        """Write the histogram of an array. Values that are not finite are left out."""
        if (histogram := _histogram(_host(values))) is not None:
            self._event(part, step, [{"tag": tag, "histo": histogram}])

    def add_image(self, tag: str, image: Any, step: int, part: str = "train") -> None:
        """Write a picture (height, width) or (height, width, channels), with 1 (gray), 3 or 4 channels.

        Fractions are numbers from 0 to 1, whole numbers from 0 to 255.
        """
        self._event(part, step, [{"tag": tag, "image": _image(_host(image))}])

    # ---- hooks ----

    def on_train_begin(self, logs: Logs = None) -> None:
        self._step = 0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._start = self._step, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._step += 1
        every = 1 if self.update_freq == "batch" else self.update_freq
        if isinstance(every, int) and batch % every == 0:
            numbers = {f"batch_{name}": value for name, value in (logs or {}).items()}
            if self.write_steps_per_second:
                numbers["batch_steps_per_second"] = (self._step - self._start[0]) / (time.perf_counter() - self._start[1])
            self._numbers("train", self._step, numbers)

    def on_test_end(self, logs: Logs = None) -> None:
        step = self.model.optimizer.iterations
        self._numbers("validation", step, {f"evaluation_{name}_vs_iterations": v for name, v in (logs or {}).items()})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        numbers = {f"epoch_{name}": value for name, value in logs.items() if not name.startswith("val_")}
        numbers.setdefault("epoch_learning_rate", self.model.optimizer.lr)
        if not self.wants_batches:
            self._step += int(self.params.get("steps") or 0)
        if self.write_steps_per_second:
            numbers["epoch_steps_per_second"] = (self._step - self._start[0]) / (time.perf_counter() - self._start[1])
        self._numbers("train", epoch, numbers)
        validation = {f"epoch_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
        self._numbers("validation", epoch, validation)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)

    def _write_weights(self, epoch: int) -> None:
        for name, values in self.model.state_dict().items():
            tag = name.replace(".", "/")
            self.add_histogram(f"{tag}/histogram", values, epoch)
            if self.write_images and values.size:
                self.add_image(f"{tag}/image", _picture(values), epoch)


class _Events:
    """Event files, one in each folder, that are made when they are first written."""

    def __init__(self, folder: str) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise ModuleNotFoundError(
                f"TensorBoard needs the package tensorboard: install it with pip install 'fastnn[tensorboard]' ({error})"
            ) from error
        self._event, self._summary, self._records = Event, Summary, RecordWriter
        self._folder = folder
        self._paths: dict[str, str] = {}

    def write(self, part: str, step: int, values: list[dict[str, Any]]) -> None:
        """Append an event to the file of a part. The file is closed after it, so an error leaves complete events."""
        now = time.time()
        events = [self._event(wall_time=now, step=int(step), summary=self._summary(value=values))]
        path = self._paths.get(part)
        if path is None:
            folder = os.path.join(self._folder, part)
            os.makedirs(folder, exist_ok=True)
            name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{time.perf_counter_ns()}"
            path = self._paths[part] = os.path.join(folder, name)
            events.insert(0, self._event(wall_time=now, file_version="brain.Event:2"))
        with open(path, "ab") as file:
            records = self._records(file)
            for event in events:
                records.write(event.SerializeToString())


def _host(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray(current().to_numpy(values.data) if isinstance(values, Tensor) else values)


def _histogram(values: np.ndarray[Any, Any]) -> dict[str, Any] | None:
    """Return the fields of a histogram; None if no value is finite."""
    numbers = values[np.isfinite(values)].astype(np.float64)
    if not numbers.size:
        return None
    counts, edges = np.histogram(numbers, BINS)
    return {
        "min": float(numbers.min()),
        "max": float(numbers.max()),
        "num": float(numbers.size),
        "sum": float(numbers.sum()),
        "sum_squares": float((numbers * numbers).sum()),
        "bucket_limit": edges[1:].tolist(),
        "bucket": counts.tolist(),
    }


def _image(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return the fields of a picture, which is encoded as PNG."""
    from PIL import Image

    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4) or not values.size:
        shape = values.shape if values.shape[2:] != (1,) else values.shape[:2]
        raise ValueError(f"TensorBoard: add_image: the shape is {shape}; wanted (height, width) or (height, width, 1, 3 or 4)")
    if values.dtype.kind == "f":
        values = np.round(np.nan_to_num(values) * 255)
    pixels = np.clip(values, 0, 255).astype(np.uint8)
    height, width, channels = pixels.shape
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(file, "PNG")
    return {"height": height, "width": width, "colorspace": channels, "encoded_image_string": file.getvalue()}


def _picture(weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return weights as a picture: the last axis is its width, and its values are scaled to 0 to 1."""
    rows = weights.reshape(-1, weights.shape[-1] if weights.ndim else 1).astype(np.float64)
    low, high = np.nanmin(rows), np.nanmax(rows)
    return (rows - low) / (high - low) if high > low else np.zeros(rows.shape)
