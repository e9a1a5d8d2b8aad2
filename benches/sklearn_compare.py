"""Compare the estimators of fastnn.sklearn with scikit-learn's perceptrons, on the data sets that scikit-learn contains.

For each data set: the score on held-out samples over several seeds (accuracy or R2), and the times of fit, of a
cross-validation and of a search over two settings. The libraries take turns, so a busy machine slows both; times are medians.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import datasets, neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnn import sklearn as own

LOADERS: dict[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
}
ALPHAS = [1e-4, 1e-2]


def data(name: str) -> tuple[Any, Any, bool]:
    """Return the samples and targets of a data set, and whether it is one of classes."""
    x, y = LOADERS[name](return_X_y=True)
    classes = name != "diabetes"
    return x, y if classes else (y - y.mean()) / y.std(), classes


def estimators(classes: bool, settings: dict[str, Any]) -> list[Any]:
    """Return fastnn's estimator and scikit-learn's."""
    kind = "MLPClassifier" if classes else "MLPRegressor"
    return [make_pipeline(StandardScaler(), getattr(module, kind)(**settings)) for module in (own, neural_network)]


def seeded(estimator: Any, seed: int) -> Any:
    """Return a copy with another seed."""
    copied = clone(estimator)
    return copied.set_params(**{f"{copied.steps[-1][0]}__random_state": seed})


def seconds(action: Callable[[], Any]) -> float:
    """Return the time that a call takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(name: str, settings: dict[str, Any], seeds: int, rounds: int, folds: int) -> str:
    """Return the row of a data set."""
    x, y, classes = data(name)
    pair = estimators(classes, settings)
    scores = np.zeros((2, seeds))
    for seed in range(seeds):
        parts = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y if classes else None)
        for i, e in enumerate(pair):
            scores[i, seed] = seeded(e, seed).fit(parts[0], parts[2]).score(parts[1], parts[3])
    times = np.zeros((3, 2, rounds))
    searches: list[Any] = [own.GridSearchCV, GridSearchCV]
    for r in range(rounds):
        for i, (e, validate, kind) in enumerate(zip(pair, (own.cross_val_score, cross_val_score), searches, strict=True)):
            net = seeded(e, r)
            grid = {f"{net.steps[-1][0]}__alpha": ALPHAS}
            times[0, i, r] = seconds(lambda net=net: clone(net).fit(x, y))  # type: ignore[misc]
            times[1, i, r] = seconds(lambda net=net, f=validate: f(net, x, y, cv=folds))  # type: ignore[misc]
            times[2, i, r] = seconds(lambda net=net, f=kind, g=grid: f(net, g, cv=folds, refit=False).fit(x, y))  # type: ignore[misc]
    fit, cv, search = np.median(times, axis=2) * 1000
    ours, theirs = (f"{s.mean():.3f} +- {s.std():.3f}" for s in scores)
    cells = [
        name,
        ours,
        theirs,
        *(f"{t:.1f}" for t in fit),
        f"{fit[1] / fit[0]:.1f}",
        *(f"{t:.1f}" for t in cv),
        f"{cv[1] / cv[0]:.1f}",
        *(f"{t:.1f}" for t in search),
        f"{search[1] / search[0]:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="number of splits and initial weights for the scores (5)")
    parser.add_argument("--rounds", type=int, default=5, help="number of timed rounds (5)")
    parser.add_argument("--folds", type=int, default=5, help="number of folds of the cross-validation (5)")
    parser.add_argument("--only", default="", help="data sets whose name contains this text")
    parser.add_argument("--max-iter", type=int, default=200, help="largest number of epochs (200)")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(
        "| data | score, fastnn | score, scikit-learn | fit, ms | its fit, ms | ratio | folds, ms | its folds, ms | ratio | "
        "search, ms | its search, ms | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in LOADERS:
        if given.only in name:
            print(compare(name, {"max_iter": given.max_iter}, given.seeds, given.rounds, given.folds), flush=True)


if __name__ == "__main__":
    main()
