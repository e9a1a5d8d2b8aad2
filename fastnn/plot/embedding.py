"""Draw the vectors of tokens as points of a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Tensor
from ..nn.layers.embedding import Table
from ..nn.module import Module
from .figure import Path, finished, new, start

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def embedding(model: Any, labels: Sequence[Any] | None = None, rows: Any = None, path: Path = None) -> Figure:
    """Draw the rows of an embedding as points, in the plane in which they differ most (principal component analysis).

    The axes are labelled with the share of the variance that lies along them. Tokens that a model uses alike are often near each
    other, but the plane leaves out the other directions.

    Args:
        model: an embedding, a model whose first embedding is drawn, or a table of vectors (rows, size).
        labels: texts of the rows, one for each; by default their numbers.
        rows: numbers of the rows to draw, by default all. The plane is that of these rows.
        path: file to write the figure to: .png, .pdf or .svg.

    Raises:
        ImportError: Matplotlib is missing.
        ValueError, TypeError: there is no embedding, a row does not exist, or the number of labels is not that of all rows.

    >>> import fastnn
    >>> layer = fastnn.Embedding(3, 8)
    >>> figure = embedding(layer, labels=["red", "green", "blue"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['red', 'green', 'blue']
    """
    op = "plot.embedding"
    start(op, path)
    table = _table(model, op)
    texts = [str(text) for text in (range(len(table)) if labels is None else labels)]
    if len(texts) != len(table):
        raise ValueError(f"{op}: {len(texts)} labels came for {len(table)} rows")
    chosen = np.arange(len(table)) if rows is None else np.asarray(rows, np.int64).reshape(-1)
    if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(table)):
        raise ValueError(f"{op}: rows are {chosen.min()} to {chosen.max()}, but there are {len(table)}, from 0 on")
    points, shares = principal_plane(table[chosen])
    figure = new(6.0, 6.0)
    ax = figure.subplots()
    ax.scatter(points[:, 0], points[:, 1], s=12, color="tab:blue")
    for (x, y), i in zip(points.tolist(), chosen.tolist(), strict=True):
        ax.annotate(texts[i], (x, y), xytext=(3, 3), textcoords="offset points", fontsize=8)
    ax.set_xlabel(f"first component, {shares[0]:.0%} of the variance")
    ax.set_ylabel(f"second component, {shares[1]:.0%}")
    ax.set_aspect("equal", adjustable="datalim")
    return finished(figure, path)


def principal_plane(table: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], tuple[float, float]]:
    """Return the positions of vectors along the two directions in which they differ most, and the shares of the variance there.

    >>> points, shares = principal_plane(np.array([[0.0, 1.0, 5.0], [2.0, 1.0, 5.0]]))
    >>> abs(points[:, 0]).tolist(), shares
    ([1.0, 1.0], (1.0, 0.0))
    """
    centred = table - table.mean(0) if len(table) else table
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(table), 2))
    found = min(2, len(sizes))
    points[:, :found] = centred @ directions[:found].T
    total = float((sizes**2).sum())
    shares = [float(size**2) / total if total else 0.0 for size in sizes[:2]] + [0.0, 0.0]
    return points, (shares[0], shares[1])


def _table(model: Any, op: str) -> np.ndarray[Any, Any]:
    """Return the vectors of an embedding, of a model's first embedding, or of an array."""
    if isinstance(model, Module):
        found = next((m for m in model.modules() if isinstance(m, Table)), None)
        if found is None:
            raise ValueError(f"{op}: {type(model).__name__} has no embedding")
        model = found._table
    values = model.numpy() if isinstance(model, Tensor) else np.asarray(model)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise TypeError(f"{op}: an array of shape {values.shape} and dtype {values.dtype} came, wanted vectors as rows")
    if not np.isfinite(values).all():
        raise ValueError(f"{op}: the vectors have NaN or infinity")
    return values.astype(np.float64)
