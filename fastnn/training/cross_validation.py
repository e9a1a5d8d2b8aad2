"""Cross-validation: the nets of all folds are trained at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.seeding import generator
from ..ops.checks import positive_int
from .many import Many, fit_many
from .stacked import Array

OP = "cross_validate"


class Folds(NamedTuple):
    """Result of `cross_validate`.

    val_loss: lowest mean loss of each fold on the samples that its net did not see, (folds,); the last one without patience.
    predictions: for each sample, the output of the net that did not see it, (n, ...).
    fold: number of the fold that holds each sample out, (n,).
    many: the nets and all losses.
    """

    val_loss: Array
    predictions: Array
    fold: Array
    many: Many


def cross_validate(make: Callable[[], Any], x: Any, y: Any, folds: int | Sequence[int] = 5, **how: Any) -> Folds:
    """Train a net for each fold of the samples, all at once, and evaluate it on the samples that it has not seen.

    Args:
        make: function that returns a new net, as for `fit_many`.
        x, y: samples and targets.
        folds: number of folds, or for each sample the number of the fold that holds it out. With class labels (n,), each class is
            divided evenly.
        how: arguments of `fit_many`: loss, optimizer, epochs, batch_size, patience, ...

    Raises:
        ValueError: there are fewer samples than folds.

    >>> import fastnn, numpy as np
    >>> x = np.random.default_rng(0).standard_normal((60, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> make = lambda: fastnn.Sequential([fastnn.Dense(8, "relu", input_shape=(2,)), fastnn.Dense(2, "softmax")])
    >>> found = fastnn.cross_validate(make, x, y, 5, loss="sparse_categorical_crossentropy", epochs=5)
    >>> found.val_loss.shape, found.predictions.shape
    ((5,), (60, 2))
    """
    for name in ("sample_weight", "validation_data", "validation_weight"):
        if name in how:
            raise TypeError(f"{OP}: {name} follows from the folds; it cannot be given")
    labels, n = np.asarray(y), len(x)
    held = _folds(labels, n, folds)
    count = int(held.max()) + 1
    of_fold = held[None] == np.arange(count)[:, None]
    if not of_fold.any(1).all():
        raise ValueError(f"{OP}: fold {int(of_fold.any(1).argmin())} has no samples")
    many = fit_many(
        [make() for _ in range(count)],
        x,
        y,
        sample_weight=~of_fold,
        validation_data=(x, y),
        validation_weight=of_fold,
        **how,
    )
    outputs, losses = many.predict(x), many.history["val_loss"]
    best = losses[-1] if many.best_epoch is None else losses[many.best_epoch, np.arange(count)]
    return Folds(best, outputs[held, np.arange(n)], held, many)


def _folds(labels: Array, n: int, folds: int | Sequence[int]) -> Array:
    """Return the number of the fold of each sample."""
    if not isinstance(folds, int | np.integer):
        given = np.asarray(folds)
        if given.shape != (n,) or given.dtype.kind not in "iu" or (n and given.min() < 0):
            raise ValueError(f"{OP}: folds has dtype {given.dtype} and shape {given.shape}; wanted whole numbers from 0, ({n},)")
        return given.astype(np.int64)
    count = positive_int(folds, f"{OP}: folds")
    if count < 2 or count > n:
        raise ValueError(f"{OP}: {count} folds of {n} samples; wanted from 2 folds to one for each sample")
    order = generator().permutation(n)
    if labels.shape == (n,) and labels.dtype.kind in "iub":
        order = order[np.argsort(labels[order], kind="stable")]
    held = np.empty(n, np.int64)
    held[order] = np.arange(n) % count
    return held
