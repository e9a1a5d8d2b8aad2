"""`fastnn train`."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastnn

from .. import callbacks, datasets, plot
from ..datasets.drawn import PREPARED
from ..tables.files import is_table
from . import nets
from .common import (
    LOSS,
    backend_option,
    check_finite,
    check_plot,
    check_targets,
    data_option,
    dataset_argument,
    finite,
    folder_argument,
    folder_of,
    has_bar,
    layers_of,
    optimizer_help,
    show_backend,
    training_ranks,
    use,
)
from .data import features, load_dataset
from .drawing import bars
from .report import report

Array = np.ndarray[Any, Any]

_SHOWN = 3
MOST_CLASSES = 1 << 16
"""Largest number of classes, unless there are as many samples: a label in a small file may be any number."""
_UNITS = [15, 15, 15]
"""Units of the hidden layers of the digits and of .npz files."""
_EPOCHS, _EPOCHS_OF_LENET = 30, 10
_HELD_BACK = 0.2
"""Share of the pictures of each class that are not trained on, but validated and reported."""
_PATIENCE = 5
"""Number of epochs without a better validation loss after which training on pictures stops."""


def _size(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if found is None:
        raise click.BadParameter(f"{text!r}; wanted HEIGHTxWIDTH, such as 64x96")
    return int(found[1]), int(found[2])


@click.command(short_help="Train a model and save it.")
@dataset_argument
@folder_argument
@click.option(
    "--layers",
    callback=layers_of,
    metavar="15,15",
    help="Train a network of dense layers; the units of its hidden layers, 512,512.",
)
@click.option("--size", callback=_size, help="HEIGHTxWIDTH of images.  [default: chosen from the files, at most 64x64]")
@click.option("--epochs", type=click.IntRange(min=1), help=f"[default: {_EPOCHS}; {_EPOCHS_OF_LENET} for mnist without --layers]")
@click.option("--batch-size", default=32, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--lr", default=1e-3, show_default=True, type=click.FloatRange(min=0, min_open=True), callback=finite, help="Learning rate."
)
@click.option("--optimizer", default="adam", show_default=True, help=optimizer_help())
@backend_option
@click.option("--seed", default=None, type=click.IntRange(min=0), help="Make the run repeatable.")
@data_option
@click.option("--output", default=None, help="Save the model to this file.  [default: NAME.fastnn]")
@click.option(
    "--plot",
    "plot_path",
    default=None,
    help="Draw the curves of loss and accuracy into this file (.png, .pdf, .svg); for images, the confusion matrix and the worst "
    "mistakes into files beside it.",
)
def train(
    dataset: str,
    folder: str | None,
    layers: list[int] | None,
    size: tuple[int, int] | None,
    epochs: int | None,
    batch_size: int,
    lr: float,
    optimizer: str,
    backend: str | None,
    seed: int | None,
    data: str | None,
    output: str | None,
    plot_path: str | None,
) -> None:
    """Train a model and save it.

    \b
    DATASET is one of:
      digits         comes with fastnn: dense layers of 15,15,15
      mnist FOLDER   its four IDX files: a convolutional network, LeNet-5
      images FOLDER  PNG and JPEG files in a folder for each class: a small
                     residual network, chosen by the size of the pictures
      text [FILE]    a model that writes such text, with options of its
                     own: `fastnn train text --help`
      FILE.csv       a table, also .tsv, .parquet, .xlsx, with options of
                     its own: `fastnn train table --help`
      FILE.npz       x_train (n, ...) and y_train, whole numbers from 0, and
                     optionally x_test and y_test: dense layers of 15,15,15

    With --layers, the network has dense layers, whatever the dataset. uint8 values are scaled to [0, 1]. A fifth of the pictures
    of each class are held back for validation: training stops early when their loss has not become smaller for 5 epochs, the
    best weights are kept, and the table of classes, the confusion matrix and the worst mistakes are those of these pictures.

    \b
    Examples:
      fastnn train digits --layers 64,32 --epochs 20
      fastnn train mnist FOLDER --plot curves.png
      fastnn train images FOLDER --size 64x64
      fastnn train prices.csv --target price
      mpirun --bind-to none -n 4 fastnn train digits
    """
    with training_ranks() as comm:
        if dataset == "text":
            raise ValueError("options for text come after the word: fastnn train text [FILE] --seed 0")
        if is_table(dataset):
            raise ValueError(f"{dataset} is a table; pass --target COLUMN, the column to predict")
        folder = folder_of(dataset, folder, data)
        if size is not None and dataset != "images":
            raise ValueError(f"--size goes with images, not with {dataset}")
        target = Path(output or f"{Path(dataset).stem}.fastnn")
        plot_path = None if comm.rank else plot_path
        check_targets(dataset, folder, {"--output": str(target), "--plot": plot_path})
        check_plot(plot_path)
        use(backend)
        if seed is not None:
            fastnn.seed(seed)
        if dataset == "images":
            assert folder is not None
            job = _of_images(folder, size, layers, seed or 0, plot_path)
        else:
            job = _of_arrays(dataset, folder, layers)
        model = job.model
        model.compile(optimizer=fastnn.optim.get(optimizer, lr=lr), loss=LOSS, metrics=["accuracy"], distribute=comm)
        model.summary()
        show_backend()
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TerminateOnNaN", RuntimeWarning)  # it becomes an error below
            hooks = [callbacks.TerminateOnNaN(), *job.hooks]
            history = model.fit(
                **job.data, epochs=epochs or job.epochs, batch_size=batch_size, verbose=1 if has_bar() else 2, callbacks=hooks
            )
        check_finite(model, history.history["loss"], target)
        seconds = time.perf_counter() - start
        click.echo(f"\ntrained in {seconds:.2f} s, {seconds / len(history.epoch):.3f} s an epoch")
        if comm.rank == 0:
            model.save(target)
        job.report()
        click.echo(f"saved the model to {target}")
        if plot_path is not None:
            plot.history(history, plot_path)
            click.echo(f"saved the curves to {plot_path}")


@dataclass
class Job:
    """Model with the data that it is trained on.

    data: x, y and validation_data of fit. report: shows what the trained model gets right.
    """

    model: Any
    data: dict[str, Any]
    report: Callable[[], None]
    epochs: int = _EPOCHS
    hooks: Sequence[Any] = ()


def _of_images(folder: str, size: tuple[int, int] | None, layers: list[int] | None, seed: int, plot_path: str | None) -> Job:
    """Return the job of pictures in folders."""
    training, held_back = datasets.images(folder, size, as_float=True, validation_split=_HELD_BACK, seed=seed)
    names = training.class_names
    if len(names) == 1:
        raise ValueError(f"{folder}: there is one class, {names[0]}; wanted at least two to tell apart")
    click.echo(f"{training}, {len(held_back)} for validation\n")
    shape, n = training.shape, len(names)
    model = nets.residual(shape, n) if layers is None else nets.dense(shape, layers, n)
    model.class_names = names
    stop = callbacks.EarlyStopping("val_loss", patience=_PATIENCE, restore_best_weights=True, verbose=1)
    data = {"x": training, "validation_data": held_back}
    return Job(model, data, lambda: _echo_held_back(model, held_back, plot_path), hooks=[stop])


def _of_arrays(dataset: str, folder: str | None, layers: list[int] | None) -> Job:
    """Return the job of the digits, MNIST or an .npz file."""
    d = load_dataset(dataset, folder)
    (x, y), n = d.train, _count_classes(dataset, d.train[1], d.test)
    if dataset == "mnist" and layers is None:
        shape: tuple[int, ...] = (*x.shape[1:], 1)
        model, epochs = nets.lenet(shape, n), _EPOCHS_OF_LENET
    else:
        shape = (math.prod(x.shape[1:]),)
        model, epochs = nets.dense(shape, _UNITS if layers is None else layers, n), _EPOCHS
    if dataset in PREPARED:
        model.trained_on = dataset
    return Job(model, {"x": features(x, shape), "y": y}, lambda: _echo_test(model, d.test), epochs)


def _count_classes(dataset: str, y: Array, test: tuple[Array, Array] | None) -> int:
    """Return the number of classes; ValueError if the labels make no sense."""
    n_classes = 1 + max(int(y.max()), int(test[1].max()) if test is not None else 0)
    if n_classes == 1:
        raise ValueError(f"{dataset}: all labels are 0, so there are no classes to tell apart")
    if n_classes > max(MOST_CLASSES, len(y)):
        hint = "number the classes without gaps: np.unique(y, return_inverse=True)"
        raise ValueError(f"{dataset}: labels go up to {n_classes - 1}, but there are {len(y)} samples; {hint}")
    return n_classes


def _echo_test(model: Any, test: tuple[Array, Array] | None) -> None:
    if test is None:
        return
    x, y = test
    samples = features(x, model.input_shape)
    result = model.evaluate(samples, y, verbose=0, return_dict=True)
    click.echo(f"test accuracy {result['accuracy']:.4f}  (loss {result['loss']:.4f}, {len(y)} samples)")
    for i, p in enumerate(model.predict(samples[:_SHOWN])):
        click.echo(f"\ntest sample {i}: label {y[i]}, predicted {int(p.argmax())}")
        for line in bars(p, x[i] if x.ndim == 3 else None):
            click.echo(line)
    click.echo()


def _echo_held_back(model: Any, held_back: datasets.ImageFolder, plot_path: str | None) -> None:
    result = model.evaluate(held_back, verbose=0, return_dict=True)
    click.echo(f"validation accuracy {result['accuracy']:.4f}  (loss {result['loss']:.4f}, {len(held_back)} samples)\n")
    y, p, names = held_back.labels, model.predict(held_back), held_back.class_names
    for line in report(y, p, names, held_back.files):
        click.echo(line)
    click.echo()
    if plot_path is None:
        return
    beside = Path(plot_path)
    plot.confusion(y, p, names, beside.with_stem(f"{beside.stem}_confusion"))
    if held_back.fits and (p.argmax(1) != y).any():
        plot.misclassified(held_back.arrays()[0], y, p, names, beside.with_stem(f"{beside.stem}_mistakes"))
