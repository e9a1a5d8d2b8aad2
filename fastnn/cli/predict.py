"""`fastnn evaluate` and `fastnn predict`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastnn

from .. import datasets
from ..datasets.arrays import read_npy
from ..datasets.drawn import PREPARED
from ..datasets.pictures import ENDINGS
from ..tables.files import WRITTEN
from .common import (
    LOSS,
    backend_option,
    clean_errors,
    data_option,
    dataset_argument,
    folder_argument,
    folder_of,
    json_option,
    names_of,
    use,
)
from .data import features, load_dataset, scales
from .drawing import bars, labels_of
from .report import report
from .table import evaluate_table, predict_table

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


@click.command(short_help="Show how good a saved model is on data.")
@click.argument("model_file", metavar="MODEL")
@dataset_argument
@folder_argument
@backend_option
@data_option
@json_option
def evaluate(model_file: str, dataset: str, folder: str | None, backend: str | None, data: str | None, as_json: bool) -> None:
    """Show the loss and accuracy of a saved MODEL on the test part of a dataset (or on all of it if it has no test part).

    DATASET is as for train. For images, all pictures in FOLDER are used. A model of a table takes a FILE with the same columns.

    \b
    Examples:
      fastnn evaluate digits.fastnn digits
      fastnn evaluate images.fastnn images FOLDER
      fastnn evaluate prices.fastnn last_year.csv --json
    """
    with clean_errors():
        folder = folder_of(dataset, folder, data)
        use(backend)
        model = fastnn.load(model_file)
        if model.table_encoder is not None:
            evaluate_table(model, dataset, as_json)
            return
        if as_json:
            raise ValueError(f"--json is for models of tables; {model_file} is none")
        model.compile(optimizer="adam", loss=LOSS, metrics=["accuracy"])
        if dataset == "images":
            assert folder is not None
            _evaluate_images(model, model_file, folder)
            return
        d = load_dataset(dataset, folder)
        part, (x, y) = ("training", d.train) if d.test is None else ("test", d.test)
        shape = getattr(model, "input_shape", None)
        fits = isinstance(shape, tuple) and None not in shape and math.prod(shape) == math.prod(x.shape[1:])
        result = model.evaluate(features(x, shape if fits else None, not scales(model)), y, verbose=0, return_dict=True)
        click.echo(f"{len(y)} {part} samples  loss {result['loss']:.4f}  accuracy {result['accuracy']:.4f}")


def _evaluate_images(model: Any, model_file: str, folder: str) -> None:
    height, width, channels, first = _picture_shape(_input_shape(model, model_file), "pass arrays in an .npz file")
    pictures: Any = datasets.images(folder, (height, width), channels, not scales(model), class_names=model.class_names)
    samples: Any = (pictures, None)
    if first or pictures.shape != model.input_shape:
        x, y = pictures.arrays()
        samples = (_arranged(x, _input_shape(model, model_file), first), y)
    result = model.evaluate(*samples, verbose=0, return_dict=True)
    click.echo(f"{len(pictures)} samples  loss {result['loss']:.4f}  accuracy {result['accuracy']:.4f}\n")
    for line in report(pictures.labels, model.predict(samples[0]), pictures.class_names, pictures.files):
        click.echo(line)


@click.command(short_help="Predict the rows of a table, or classify an image.")
@click.argument("model_file", metavar="MODEL")
@click.argument("file", metavar="FILE|IMAGE")
@click.option(
    "--output", "-o", default=None, metavar="FILE", help=f"Write to this file: {', '.join(WRITTEN)}.  [default: stdout]"
)
@click.option("--keep", callback=names_of, metavar="A,B", help='Columns to copy into the output; "all" copies each.')
@backend_option
@json_option
def predict(model_file: str, file: str, output: str | None, keep: list[str], backend: str | None, as_json: bool) -> None:
    """Predict each row of a table in FILE, or classify an IMAGE, with a saved MODEL.

    Of a table, the output has a column "prediction", and for classes their probabilities, p_NAME. FILE needs the columns of
    training, in any order. A table goes to stdout as CSV, or with --json as a line of JSON for each row.

    Of an image, the class and all probabilities are shown, with the names in the model's file.
    IMAGE is a .png or .jpg file, or an .npy array with as many values as the model has inputs. A picture is resized, and
    converted to grey or colours, as the model needs it. uint8 values are scaled to [0, 1], unless
    the model begins with a Rescaling or Normalization layer.

    A model that was trained on the digits or on mnist gets a picture of one digit as these were made: light on dark, whatever
    the paper is, cut to its box and centred.

    \b
    Examples:
      fastnn predict prices.fastnn new.csv -o predictions.csv --keep id
      fastnn predict images.fastnn picture.jpg
    """
    with clean_errors():
        use(backend)
        model = fastnn.load(model_file)
        if model.table_encoder is not None:
            predict_table(model, file, output, keep, as_json)
            return
        if output is not None or keep or as_json:
            raise ValueError(f"--output, --keep and --json are for models of tables; {model_file} is none")
        shape = _input_shape(model, model_file)
        sample, doubts = _read_sample(Path(file), shape, model.trained_on)
        probabilities = model.predict(features(sample[None], shape, not scales(model)))
        if not isinstance(probabilities, np.ndarray) or probabilities.ndim != 2:
            raise ValueError(f"{model_file}: the model is no classifier: its output is not one row of probabilities for a sample")
        p = probabilities[0]
        names = model.class_names
        if len(p) == 1 and names is not None and len(names) == 2:
            p = np.array([1 - p[0], p[0]])  # one sigmoid: the probability of the second class
        click.echo(f"class {labels_of(len(p), names)[int(p.argmax())]}, probability {p.max():.4f}")
        for line in bars(p, None, names):
            click.echo(line)
        for doubt in doubts:
            click.echo(f"doubtful: {doubt}")


def _input_shape(model: Any, model_file: str) -> Shape:
    """Return the shape of a sample."""
    weights = model.get_weights()
    if not weights:
        raise ValueError(f"{model_file}: the model has no weights, so it classifies nothing")
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
        return shape
    if np.ndim(weights[0]) > 2:
        raise ValueError(f"{model_file}: the size of the model's pictures is not known; give its first layer input_shape")
    return (len(weights[0]) if np.ndim(weights[0]) else 1,)


def _picture_shape(shape: Shape, otherwise: str) -> tuple[int, int, int, bool]:
    """Return height, width and channels of the pictures that make samples of this shape, and whether channels come first.

    otherwise: what to do if there are no such pictures.
    """
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        if side * side != shape[0]:
            raise ValueError(f"the model has {shape[0]} inputs, which make no square image; {otherwise}")
        return side, side, 1, False
    if len(shape) == 2:
        return shape[0], shape[1], 1, False
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2], False
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape[1], shape[2], shape[0], True
    raise ValueError(
        f"the model's samples have shape {shape}, which is that of no picture, grey or of three colours; {otherwise}"
    )


def _arranged(x: Array, shape: Shape, first: bool) -> Array:
    """Return pictures (n, height, width, channels) as samples of this shape."""
    return (x.transpose(0, 3, 1, 2) if first else x).reshape(len(x), *shape)


def _read_sample(file: Path, shape: Shape, trained_on: str | None) -> tuple[Array, list[str]]:
    """Return the sample in a file, and doubts about it."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(file)!r}")
    if file.suffix == ".npy":
        a = read_npy(file)
        n = math.prod(shape)
        if a.size != n or a.dtype.kind not in "fiub":
            raise ValueError(f"{file} holds {a.dtype} values of shape {a.shape}; the model has {n} inputs")
        if not np.isfinite(a).all():
            raise ValueError(f"{file} holds values that are NaN or infinite")
        return a, []
    if file.suffix.lower() not in ENDINGS:
        raise ValueError(f"{file}: wanted an .npy, .png or .jpg file")
    height, width, channels, first = _picture_shape(shape, "pass an .npy array")
    if trained_on in PREPARED and channels == 1:
        return PREPARED[trained_on](datasets.image(file, channels=1)[..., 0], (height, width))
    picture = datasets.image(file, (height, width), channels)
    return _arranged(picture[None], shape, first)[0], []
