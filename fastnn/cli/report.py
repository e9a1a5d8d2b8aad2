"""Describe in text what a classifier gets right and wrong: a table of classes, the confusion matrix, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plot.classes import confusion_matrix
from .drawing import labels_of

Array = np.ndarray[Any, Any]

MOST_COLUMNS = 16
"""Largest number of classes whose confusion matrix fits on a terminal. Of more classes, the most frequent mistakes are shown."""
WORST = 5
"""Number of mistakes that are shown."""


def report(y: Array, p: Array, names: Sequence[str] | None, files: Sequence[str]) -> list[str]:
    """Return the lines of a report.

    Args:
        y: class numbers, int (n,).
        p: probabilities, (n, classes).
        names: the names of the classes.
        files: the files of the samples.
    """
    labels = labels_of(p.shape[1], names)
    confusion = confusion_matrix(y, p.argmax(1), p.shape[1])
    return [*class_table(confusion, labels), "", *confusion_table(confusion, labels), *mistakes(y, p, labels, files)]


def class_table(confusion: Array, labels: Sequence[str]) -> list[str]:
    """Return precision, recall and number of samples for each class."""
    width = max(5, *map(len, labels))
    lines = [f"  {'class':{width}}  precision  recall  count"]
    for i, label in enumerate(labels):
        right, taken, count = confusion[i, i], confusion[:, i].sum(), confusion[i].sum()
        precision, recall = (f"{right / of:.3f}" if of else "-" for of in (taken, count))
        lines.append(f"  {label:{width}}  {precision:>9}  {recall:>6}  {count:>5}")
    return lines


def confusion_table(confusion: Array, labels: Sequence[str]) -> list[str]:
    """Return the confusion matrix, or for many classes the most frequent mistakes."""
    if len(labels) > MOST_COLUMNS:
        wrong = confusion - np.diag(np.diag(confusion))
        places = np.argsort(-wrong, axis=None, kind="stable")[:WORST]
        pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(places, wrong.shape), strict=True) if wrong[i, j]]
        return ["  most frequent mistakes", *(f"  {labels[i]} taken for {labels[j]}: {wrong[i, j]}" for i, j in pairs)]
    width = max(map(len, labels))
    column = max(5, len(str(confusion.max())), min(width, 10))
    head = " ".join(f"{label[:column]:>{column}}" for label in labels)
    lines = [f"  {'':{width}} {head}   (rows: the class, columns: what it was taken for)"]
    for label, row in zip(labels, confusion, strict=True):
        lines.append(f"  {label:{width}} " + " ".join(f"{n:>{column}}" for n in row))
    return lines


def mistakes(y: Array, p: Array, labels: Sequence[str], files: Sequence[str]) -> list[str]:
    """Return the mistakes with the highest probability."""
    found = p.argmax(1)
    wrong = np.flatnonzero(found != y)
    wrong = wrong[np.argsort(-p[wrong, found[wrong]], kind="stable")][:WORST]
    lines = [
        f"  {files[i]}: {labels[int(found[i])]}, probability {p[i, found[i]]:.4f}, but it is {labels[int(y[i])]}"
        for i in wrong.tolist()
    ]
    return ["", "  worst mistakes", *lines] if lines else []
