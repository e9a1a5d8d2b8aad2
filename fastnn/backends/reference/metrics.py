"""Running metrics: what they add to for every batch.

A ``total`` has a sum of values in total[0] and of weights in total[1]; the metric is their quotient. Rows without sample_weight
have the weight 1; those of weight 0 count for nothing, whatever their values are.
"""

from __future__ import annotations

from typing import Any

Array = Any


def mean_metric(xp: Any, total: Array, value: Array, count: float) -> None:
    """Add value, counted ``count`` times."""
    total[0] += value[0].astype(xp.float64) * count
    total[1] += count


def _add(xp: Any, total: Array, values: Array, sample_weight: Array) -> None:
    if sample_weight.size:
        total[0] += xp.where(sample_weight != 0, values * sample_weight.astype(xp.float64), 0).sum()
        total[1] += sample_weight.sum(dtype=xp.float64)
    else:
        total[0] += values.sum(dtype=xp.float64)
        total[1] += len(values)


def sparse_accuracy(xp: Any, total: Array, p: Array, labels: Array, sample_weight: Array) -> None:
    """Add 1 for each row whose greatest p is at its label."""
    if p.size:
        _add(xp, total, p.argmax(1) == labels, sample_weight)


def categorical_accuracy(xp: Any, total: Array, p: Array, targets: Array, sample_weight: Array) -> None:
    """Add 1 for each row whose greatest p is where its greatest target is."""
    if p.size:
        _add(xp, total, p.argmax(1) == targets.argmax(1), sample_weight)


def binary_accuracy(xp: Any, total: Array, p: Array, targets: Array, sample_weight: Array, threshold: float) -> None:
    """Add, for each row, the share of its elements in which (p > threshold) equals the target."""
    if p.size:
        _add(xp, total, ((p > threshold) == targets).mean(1, dtype=xp.float64), sample_weight)


def error_metric(xp: Any, total: Array, pred: Array, target: Array, sample_weight: Array, power: int) -> None:
    """Add, for each row, the mean of |pred - target|^power over its elements; power is 1 or 2."""
    if pred.size:
        e = xp.abs((pred - target).astype(xp.float64))
        _add(xp, total, (e * e if power == 2 else e).mean(1), sample_weight)


def mean_rows(xp: Any, total: Array, values: Array, sample_weight: Array) -> None:
    """Add the values."""
    _add(xp, total, values.astype(xp.float64), sample_weight)


def top_k_accuracy(xp: Any, total: Array, p: Array, labels: Array, sample_weight: Array, k: int) -> None:
    """Add 1 for each row in which fewer than k elements of p are greater than that at its label, which is a number."""
    if p.size:
        inside = (labels >= 0) & (labels < p.shape[1])
        own = p[xp.arange(len(p)), xp.where(inside, labels, 0)]
        _add(xp, total, inside & (own == own) & ((p > own[:, None]).sum(1) < k), sample_weight)


def _weights(xp: Any, sample_weight: Array, rows: int) -> Array:
    return sample_weight.astype(xp.float64) if sample_weight.size else xp.ones(rows)


def confusion_matrix(xp: Any, matrix: Array, p: Array, labels: Array, sample_weight: Array) -> None:
    """matrix[i, j] grows by the weight of the rows whose label is i and whose greatest p is at j."""
    inside = (labels >= 0) & (labels < p.shape[1])
    if inside.any():
        xp.add.at(matrix, (labels[inside], p[inside].argmax(1)), _weights(xp, sample_weight, len(p))[inside])


def threshold_counts(xp: Any, counts: Array, p: Array, targets: Array, sample_weight: Array, thresholds: Array) -> None:
    """counts[h, n] grows by the weights of true positives, false positives, false negatives and true negatives.

    Output n of a row is positive where p[:, n] > thresholds[h], rounded to p's dtype; a target is where it is not 0.
    """
    weights, true = _weights(xp, sample_weight, len(p)), targets != 0
    for h, threshold in enumerate(thresholds.astype(p.dtype)):
        positive = p > threshold
        for i, hit in enumerate((positive & true, positive & ~true, ~positive & true, ~positive & ~true)):
            counts[h, :, i] += weights @ hit


def r2_metric(xp: Any, state: Array, pred: Array, target: Array, sample_weight: Array) -> None:
    """Take a batch into the state of each output: weights, mean target, squares around that mean, squared errors.

    Two sets are joined as Chan, Golub and LeVeque do ("Updating formulae and a pairwise algorithm", 1979). The mean is taken of
    differences from the first target that weighs something: where all are equal, squares are exactly 0.
    """
    weights = _weights(xp, sample_weight, len(pred))
    new = weights.sum()
    if new == 0:
        return
    counts = (weights != 0)[:, None]
    some = target[xp.argmax(weights != 0)].astype(xp.float64)
    y = xp.where(counts, target.astype(xp.float64), some)
    e = xp.where(counts, y - pred, 0)
    mean = some + weights @ (y - some) / new
    total, apart = state[0] + new, mean - state[1]
    state[2] += weights @ (y - mean) ** 2 + apart**2 * state[0] * new / total
    state[1] += apart * new / total
    state[3] += weights @ e**2
    state[0] = total


def collect_scores(xp: Any, store: Array, count: Array, p: Array, targets: Array, sample_weight: Array) -> None:
    """Append p, the targets and their weights as columns to store, count[0] of which are taken.

    What finds no room is counted, but not kept.
    """
    begin = int(count[0])
    weights = xp.broadcast_to(_weights(xp, sample_weight, len(p))[:, None], p.shape)
    room = min(p.size, store.shape[1] - begin) if 0 <= begin <= store.shape[1] else 0
    for row, values in zip(store, (p, targets, weights), strict=True):
        row[begin : begin + room] = values.reshape(-1)[:room]
    count[0] = begin + p.size
