"""Plots of classifiers: the confusion matrix, the worst mistakes, and the boundary between classes of two features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interpret.model import Copy
from ..interpret.pictures import Array
from ..nn.module import Module
from ..ops.checks import positive_int
from .figure import Path, axes_on, class_names, finished, gallery, shown, start

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GRID = 200
"""Number of points along each side of the plane in which a boundary is drawn."""


def confusion(y: Any, p: Any, names: Sequence[Any] | None = None, path: Path = None, ax: Axes | None = None) -> Figure:
    """Draw the confusion matrix: how many samples of each true class, in rows, are taken for each class, in columns.

    The colour is the share of the row.

    Args:
        y: true classes (n,), or one-hot rows (n, classes).
        p: what the model predicts: outputs (n, classes), of which the largest counts; the probability (n,) or (n, 1) of class
            1; or class numbers (n,), if they are integers.
        names: names of the classes.
        path: file to write the figure to: .png, .pdf or .svg.
        ax: Axes to draw on; by default those of a new figure.

    Raises:
        ImportError: Matplotlib is missing.
        TypeError: a model is passed instead of its predictions.
        ValueError: y and p do not fit each other.

    >>> figure = confusion([0, 0, 1, 1], [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]], names=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '1', '0', '2']
    """
    op = "plot.confusion"
    start(op, path)
    true, predicted, known = _classes(y, p, len(names) if names is not None else 0, op)
    labels = class_names(names, known, op)
    counts = confusion_matrix(true, predicted, known)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    longest = max(map(len, labels))
    side = max(0.5 * known, 2.5)
    figure, ax = axes_on(ax, side + 1.6 + 0.07 * longest, side + 0.9 + 0.05 * longest)
    drawn = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if longest > 3 else {}
    ax.set_xticks(range(known), labels, **turned)
    ax.set_yticks(range(known), labels)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    right = int(np.trace(counts))
    ax.set_title(f"{right} of {len(true)} right ({right / len(true):.1%})", fontsize=10)
    if known <= 30:  # more numbers are too small to read
        for i, j in np.ndindex(*counts.shape):
            colour = "white" if shares[i, j] > 0.5 else "black"
            ax.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(drawn, ax=ax, shrink=0.8, label="share of the true class")
    return finished(figure, path)


def confusion_matrix(y: Array, found: Array, n: int) -> Array:
    """Return how many samples of each class, in rows, were taken for each class, in columns: int (n, n).

    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(y * n + found, minlength=n * n).reshape(n, n)


def misclassified(
    x: Any, y: Any, p: Any, names: Sequence[Any] | None = None, path: Path = None, count: int = 20, shape: Any = None
) -> Figure:
    """Draw the worst mistakes: the images whose wrong prediction has the largest probability.

    Args:
        x: images (n, height, width), (n, height, width, channels), (n, channels, height, width) with 1 or 3 channels, or rows of
            pixels (n, pixels).
        y: true classes (n,), or one-hot rows (n, classes).
        p: probabilities (n, classes), or (n,) or (n, 1) of class 1, such as ``model.predict(x)``.
        names: names of the classes.
        path: file to write the figure to: .png, .pdf or .svg.
        count: largest number of images.
        shape: (height, width) of images that are given as rows of pixels; by default a square.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError: x, y and p do not fit each other, or p are no probabilities.

    >>> import numpy as np
    >>> figure = misclassified(np.zeros((3, 4, 4)), [0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], names=["cat", "dog"])
    >>> [ax.get_title() for ax in figure.axes if ax.get_title()]
    ['dog taken\\nfor cat: 80 %']
    """
    op = "plot.misclassified"
    start(op, path)
    positive_int(count, f"{op}: count")
    scores = np.asarray(p, dtype=np.float64)
    if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1):
        one = scores.reshape(-1)
        scores = np.stack([1 - one, one], axis=1)
    if scores.ndim != 2 or not ((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3)):
        raise ValueError(
            f"{op}: p, of shape {np.shape(p)}, has no probabilities in its rows; fastnn.softmax makes them from scores"
        )
    true, predicted, known = _classes(y, scores, len(names) if names is not None else 0, op)
    labels = class_names(names, known, op)
    images = np.asarray(x)
    if len(images) != len(true):
        raise ValueError(f"{op}: {len(images)} images and {len(true)} classes came")
    (wrong,) = np.nonzero(true != predicted)
    sure = scores[wrong, predicted[wrong]]
    worst = wrong[np.argsort(-sure, kind="stable")][:count]
    heading = f"{len(wrong)} mistakes in {len(true)} images" + (f"; the worst {len(worst)}" if len(worst) < len(wrong) else "")
    if not len(worst):
        return finished(gallery([np.ones((2, 2))], ["no mistakes"], heading, vmin=0, vmax=1), path)
    titles = [
        f"{labels[true[i]]} taken\nfor {labels[predicted[i]]}: {scores[i, predicted[i]]:.0%}".replace("%", " %") for i in worst
    ]
    return finished(gallery([_image(images[i], shape, op) for i in worst], titles, heading), path)


def boundary(model: Any, x: Any, y: Any, names: Sequence[Any] | None = None, path: Path = None, ax: Axes | None = None) -> Figure:
    """Draw the plane of two features in the colours of the classes that the model predicts, with points.

    The colours are weaker where the model is less sure.

    Args:
        model: a classifier of two features.
        x: points (n, 2).
        y: their true classes (n,), or one-hot rows (n, classes).
        names: names of the classes, for a legend.
        path: file to write the figure to: .png, .pdf or .svg.
        ax: Axes to draw on; by default those of a new figure.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError: the points have more or fewer than two features, or x and y do not fit each other.

    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Dense(1, activation="sigmoid", input_shape=(2,))])
    >>> figure = boundary(model, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0])
    >>> figure.axes[0].get_xlabel()
    'feature 0'
    """
    op = "plot.boundary"
    start(op, path)
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"{op}: x has shape {points.shape}; wanted points (n, 2)")
    twin = Copy(model, op)
    twin.without_softmax(points[:1])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.08 * np.where(high > low, high - low, 1.0)
    low, high = low - margin, high + margin
    across, up = (np.linspace(low[i], high[i], _GRID) for i in (0, 1))
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    scores = twin.scores(grid.reshape(-1, 2)).astype(np.float64)
    true, _, known = _classes(y, np.zeros((len(points), scores.shape[1])), len(names) if names is not None else 0, op)
    labels = class_names(names, known, op)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    chance = odds / odds.sum(axis=1, keepdims=True)
    best = chance.argmax(axis=1).reshape(_GRID, _GRID)
    sure = np.clip((chance.max(axis=1).reshape(_GRID, _GRID) - 1 / known) / (1 - 1 / known), 0, 1)

    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if known <= 10:
        colours = np.array([to_rgb(f"C{i}") for i in range(known)])
    else:
        colours = colormaps["turbo"](np.linspace(0.05, 0.95, known))[:, :3]
    strength = (0.12 + 0.38 * sure)[:, :, None]
    figure, ax = axes_on(ax, 5.5, 5)
    extent = (low[0], high[0], low[1], high[1])
    ax.imshow(colours[best] * strength + 1 - strength, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    for i, label in enumerate(labels):
        if (own := points[true == i]).size:
            ax.scatter(own[:, 0], own[:, 1], s=16, color=[colours[i]], edgecolors="white", linewidths=0.5, label=label)
        if known > 1:
            ax.contour(across, up, best == i, levels=[0.5], colors="black", linewidths=0.8)
    ax.set_xlabel("feature 0")
    ax.set_ylabel("feature 1")
    if known <= 20:
        figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", title=None if names is not None else "class")
    return finished(figure, path)


def _classes(y: Any, p: Any, known: int, op: str) -> tuple[Array, Array, int]:
    """Return the true and the predicted classes, and the number of classes; `known` is that of names."""
    if isinstance(y, Module):
        raise TypeError(f"{op}: the model came first; wanted the true classes and what the model predicts: y, model.predict(x)")
    outputs, true = np.asarray(p), np.asarray(y)
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        predicted, count = outputs.argmax(axis=1), outputs.shape[1]
    elif outputs.ndim == 1 and outputs.dtype.kind in "iu":
        predicted, count = outputs, known
    elif outputs.ndim in (1, 2):
        predicted, count = (outputs.reshape(-1) > 0.5).astype(np.int64), 2
    else:
        raise ValueError(f"{op}: p has shape {outputs.shape}; wanted (n, classes), or (n,)")
    if true.ndim == 2 and true.shape[1] > 1:
        true = true.argmax(axis=1)
    true = true.reshape(-1)
    if len(true) != len(predicted):
        raise ValueError(f"{op}: {len(true)} true and {len(predicted)} predicted classes came")
    if not len(true):
        raise ValueError(f"{op}: there are no samples")
    if true.dtype.kind == "f" and (true == np.round(true)).all():
        true = true.astype(np.int64)
    if true.dtype.kind not in "iub":
        raise ValueError(f"{op}: the true classes have dtype {true.dtype}; wanted whole numbers")
    true = true.astype(np.int64)
    least, most = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    count = count or int(most) + 1
    if least < 0 or most >= count:
        raise ValueError(f"{op}: there are classes from {least} to {most}; wanted 0 to {count - 1}")
    return true, predicted, count


def _image(image: Array, shape: Any, op: str) -> Array:
    """Return an image as Matplotlib draws it."""
    from ..interpret.pictures import square

    if image.ndim == 1:
        return image.reshape(square(image.size, op) if shape is None else shape)
    if image.ndim == 2:
        return image
    if image.ndim != 3 or not {image.shape[0], image.shape[2]} & {1, 3}:
        raise ValueError(f"{op}: an image has shape {image.shape}; wanted (height, width), with 1 or 3 channels after or before")
    return shown(image if image.shape[2] in (1, 3) else image.transpose(1, 2, 0))
