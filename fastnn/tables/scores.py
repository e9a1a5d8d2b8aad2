"""How good predictions of a table's target are, and what simpler models reach."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .columns import Array
from .encoder import Target
from .training import Job

Scores = dict[str, float]
MOST_COLUMNS, MOST_ROWS = 2000, 20_000
"""Largest number of columns, and of rows, that the linear model is fitted to."""


def scores(target: Target, outputs: Array, y: Array) -> Scores:
    """Return the scores of a network's outputs.

    Args:
        target: the target of the table.
        outputs: probabilities (rows, classes), or scaled numbers (rows, 1).
        y: class numbers (rows,), or scaled numbers (rows, 1).

    Returns:
        Of classes: accuracy, log loss (the mean of -log of the probability of the class), and of two classes the area under the
        ROC curve, if both are there. Of numbers: root mean squared error and mean absolute error in the unit of the target, and
        R2, the share of the variance that is explained.

    >>> scores(Target("rent", (), 500.0, 100.0), np.array([[0.0], [1.0]]), np.array([[0.5], [0.5]]))["rmse"]
    50.0
    """
    if not target.values:
        error = (outputs.astype(np.float64) - y).ravel()
        spread = float(((y - y.mean()) ** 2).sum())
        return {
            "rmse": float(np.sqrt((error**2).mean()) * target.scale),
            "mae": float(np.abs(error).mean() * target.scale),
            "r2": 1 - float((error**2).sum()) / spread if spread else float("nan"),
        }
    p = np.clip(outputs[np.arange(len(y)), y].astype(np.float64), 1e-7, 1.0)
    found = {"accuracy": float((outputs.argmax(axis=1) == y).mean()), "log_loss": float(-np.log(p).mean())}
    if len(target.values) == 2 and 0 < y.sum() < len(y):
        found["auc"] = _auc(outputs[:, 1], y)
    return found


def _auc(p: Array, y: Array) -> float:
    """Return the probability that a row of class 1 has a larger p than a row of class 0; equal ones count half."""
    _, place, count = np.unique(p, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    n = int(y.sum())
    return float((rank[y == 1].sum() - n * (n + 1) / 2) / (n * (len(y) - n)))


def baselines(job: Job) -> dict[str, Scores]:
    """Return the scores on the test of simpler models: the same answer for all rows, and the linear model of scikit-learn."""
    target, (y, test) = job.encoder.target, (job.train.y, job.test)
    n = len(target.values)
    if n:
        shares = np.bincount(y, minlength=n) / len(y)
        found = {"most frequent class": scores(target, np.tile(shares, (len(test), 1)), test.y)}
    else:
        found = {"mean": scores(target, np.zeros((len(test), 1)), test.y)}
    outputs = _linear(job)
    if outputs is not None:
        found["linear model"] = scores(target, outputs, test.y)
    return found


def _linear(job: Job) -> Array | None:
    """Return the outputs of a linear model on the test; None without scikit-learn, or if the table is too wide for it."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression, Ridge
    except ImportError:
        return None
    encoder = job.encoder
    if len(encoder.features) + encoder.n_codes > MOST_COLUMNS:
        return None
    rows = np.random.default_rng(0).permutation(len(job.train))[:MOST_ROWS]
    x, y, new = encoder.in_columns(job.train.x)[rows], job.train.y[rows], encoder.in_columns(job.test.x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is only for comparison
        if not encoder.target.values:
            return np.asarray(Ridge().fit(x, y).predict(new)).reshape(-1, 1)
        model: Any = LogisticRegression(max_iter=300).fit(x, y)
    outputs = np.zeros((len(new), len(encoder.target.values)))
    outputs[:, model.classes_] = model.predict_proba(new)
    return outputs
