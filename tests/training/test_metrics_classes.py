"""Metrics of classes that do not occur, that weigh nothing, and of targets that are all equal, as scikit-learn has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import metrics as M

sk: Any = pytest.importorskip("sklearn.metrics")

rng = np.random.default_rng(0)
TRUE, GUESS = rng.integers(0, 5, 60), rng.integers(0, 5, 60)
SOME = rng.uniform(0.1, 2, 60)
OCCURRING = {
    "absent": (np.where(TRUE == 2, 1, TRUE), np.where(GUESS == 2, 1, GUESS), SOME),
    "never meant": (np.where(TRUE == 2, 1, TRUE), GUESS, SOME),
    "never predicted": (TRUE, np.where(GUESS == 2, 1, GUESS), SOME),
    "meant with weight 0": (TRUE, np.where(GUESS == 2, 1, GUESS), SOME * (TRUE != 2)),
    "predicted with weight 0": (np.where(TRUE == 2, 1, TRUE), GUESS, SOME * (GUESS != 2)),
    "both with weight 0": (TRUE, GUESS, SOME * (TRUE != 2) * (GUESS != 2)),
    "weights below 0": (TRUE, GUESS, np.where(np.arange(60) % 3, 1.0, -1.0)),
}


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("case", OCCURRING)
def test_classes_that_do_not_occur_or_weigh_nothing(case: str, average: Any) -> None:
    """Macro averages leave out a class that was neither meant nor predicted, but none for what its samples weigh."""
    y, p, w = OCCURRING[case]
    outputs = np.eye(5)[p]
    given = {"average": average, "zero_division": 0, "labels": None if average else range(5)}
    for make, f in (
        (M.Precision, sk.precision_score),
        (M.Recall, sk.recall_score),
        (M.F1Score, sk.f1_score),
        (lambda average: M.FBetaScore(average, 2.0), lambda *a, **k: sk.fbeta_score(*a, beta=2.0, **k)),
    ):
        m = make(average=average)
        for weights in (w, None, w):  # again after a reset
            m.reset_state()
            for part in (slice(0, 25), slice(25, 60)):
                m.update_state(y[part], outputs[part], None if weights is None else weights[part])
            np.testing.assert_allclose(m.result(), f(y, p, sample_weight=weights, **given), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
def test_outputs_by_themselves_all_count(average: Any) -> None:
    """Several yes-or-no outputs, of which one is never meant, one never predicted, one neither, one of weight 0."""
    y, p = (rng.random((60, 5)) < 0.4).astype(float), rng.random((60, 5))
    y[:, 1] = y[:, 2] = p[:, 2] = p[:, 3] = 0
    w = np.where(y[:, 4] == 1, 0, SOME)
    for make, f in (
        (lambda: M.Precision(average=average), sk.precision_score),
        (lambda: M.Recall(average=average), sk.recall_score),
        (lambda: M.F1Score(average=average, threshold=0.5), sk.f1_score),
    ):
        m = make()
        m.update_state(y, p, w)
        np.testing.assert_allclose(m.result(), f(y, p > 0.5, average=average, sample_weight=w, zero_division=0))


@pytest.mark.parametrize("weighted", [False, True])
def test_r2_of_targets_that_are_all_equal(weighted: bool) -> None:
    """Also where the mean of equal numbers would be rounded, and where others weigh 0."""
    for n in (3, 7, 10, 50):
        y = np.full((n, 2), 0.1)
        w = None
        if weighted:
            y[: n // 3], w = 5.0, rng.uniform(0.1, 2, n) * (np.arange(n) >= n // 3)
        for p, want in ((y, 1.0), (y + [0.0, 1.0], 0.5), (y + 1.0, 0.0)):
            m = M.R2Score()
            for part in (slice(0, n // 2), slice(n // 2, n)):
                m.update_state(y[part], p[part], None if w is None else w[part])
            assert m.result() == want
