"""Compare fastnn.Tabular with the gradient-boosted trees of scikit-learn (HistGradientBoosting) on tables of mixed columns.

The tables are data sets that scikit-learn contains, with columns cut into categories and with values taken out, and generated
ones. Each seed has other test rows (30 %), and other initial weights. With --choose, the tables are others, on which the
defaults of Tabular were chosen; the tables of the comparison had no part in it. Two generators make tables for both, with
different seeds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import train_test_split

import fastnn

Table = tuple[Any, Any]  # a frame, and its target


def mixed(x: Any, y: Any, seed: int, cut: int = 3, holes: float = 0.08) -> Table:
    """Return the columns of an array as a table: the first ones cut into categories, and values taken out of all."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(np.asarray(x, float)).add_prefix("x")
    for name in frame.columns[:cut]:
        frame[name] = pd.qcut(frame[name].rank(method="first"), 5, labels=list("abcde")).astype(str)
    return frame.mask(rng.random(frame.shape) < holes), np.asarray(y)


def houses(n: int, seed: int) -> Table:
    """Return a generated table: prices of houses, by places, sizes, ages and their interactions."""
    rng = np.random.default_rng(seed)
    towns = rng.dirichlet(np.ones(30))
    town, kind = rng.choice(30, n, p=towns), rng.choice(["flat", "house", "loft", "studio"], n)
    level, slope = rng.normal(0, 0.35, 30), rng.normal(1, 0.25, 30)
    size, age = rng.gamma(4, 25, n), rng.integers(0, 90, n)
    lift, garden = rng.random(n) < 0.4, rng.random(n) < 0.3
    distance = rng.exponential(6, n)
    log_price = level[town] + slope[town] * np.log(size / 80) - 0.25 * np.log1p(distance) * (kind != "house")
    log_price += (
        0.2 * garden * (kind == "house") + np.where(age < 15, 0.25, np.where(age > 60, 0.15, 0.0)) + 0.1 * lift * (kind == "flat")
    )
    frame = pd.DataFrame(
        {
            "town": [f"town {i}" for i in town],
            "kind": kind,
            "size": size,
            "age": age,
            "lift": lift,
            "garden": garden,
            "distance": distance,
            "noise": rng.normal(size=n),
        }
    )
    holes = rng.random((n, 2)) < 0.08
    frame["size"], frame["distance"] = frame["size"].mask(holes[:, 0]), frame["distance"].mask(holes[:, 1])
    return frame, 200 * np.exp(log_price + rng.normal(0, 0.15, n))


def churn(n: int, seed: int) -> Table:
    """Return a generated table: whether customers leave, by their contracts and use."""
    rng = np.random.default_rng(seed)
    plan, region = rng.choice(["free", "basic", "pro"], n, p=[0.3, 0.5, 0.2]), rng.integers(0, 50, n)
    months, use = rng.exponential(14, n), rng.lognormal(1, 0.8, n)
    calls, autopay = rng.poisson(1.2, n), rng.random(n) < 0.5
    pull = rng.normal(0, 0.7, 50)[region]
    z = pull + np.where(
        plan == "free", 1.2 - 0.5 * np.log1p(use), np.where(plan == "pro", -0.8 + 0.9 * (calls > 2), 0.3 - 0.04 * months)
    )
    z += np.where(months < 3, 1.0, 0.0) - 0.9 * autopay + 0.6 * np.abs(np.log(use) - 1) - 0.5
    frame = pd.DataFrame(
        {
            "plan": plan,
            "region": [f"r{i}" for i in region],
            "months": months,
            "use": np.where(rng.random(n) < 0.1, np.nan, use),
            "calls": calls,
            "autopay": autopay,
            "score": rng.normal(size=n),
        }
    )
    return frame, np.where(rng.random(n) < 1 / (1 + np.exp(-2 * z)), "leaves", "stays")


COMPARED: dict[str, Callable[[], Table]] = {
    "diabetes, 442 rows": lambda: mixed(*datasets.load_diabetes(return_X_y=True), seed=0),
    "breast cancer, 569 rows": lambda: mixed(*datasets.load_breast_cancer(return_X_y=True), seed=0, cut=8),
    "houses, 6000 rows": lambda: houses(6000, 0),
    "churn, 8000 rows": lambda: churn(8000, 0),
}
CHOSEN_ON: dict[str, Callable[[], Table]] = {
    "wine, 178 rows": lambda: mixed(*datasets.load_wine(return_X_y=True), seed=1),
    "friedman, 1000 rows": lambda: mixed(*datasets.make_friedman1(1000, noise=1.0, random_state=1), seed=1, cut=2),
    "friedman, 5000 rows": lambda: mixed(*datasets.make_friedman1(5000, noise=1.0, random_state=2), seed=2, cut=2),
    "clusters, 5000 rows": lambda: mixed(
        *datasets.make_classification(5000, 15, n_informative=8, n_classes=4, class_sep=0.8, random_state=3), seed=3
    ),
    "houses of another seed, 3000 rows": lambda: houses(3000, 11),
    "churn of another seed, 3000 rows": lambda: churn(3000, 12),
}


def of_trees(x: Any, y: Any, new: Any, new_y: Any, classes: bool, seed: int) -> float:
    """Return the score of scikit-learn's trees."""
    x, new = x.copy(), new.copy()
    for name in x.columns[[not pd.api.types.is_numeric_dtype(t) for t in x.dtypes]]:
        kinds = pd.CategoricalDtype(sorted(x[name].dropna().unique()))
        x[name], new[name] = x[name].astype(kinds), new[name].astype(kinds)
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return float(kind(categorical_features="from_dtype", random_state=seed).fit(x, y).score(new, new_y))


def compare(table: Table, seeds: int, settings: dict[str, Any]) -> tuple[Any, Any]:
    """Return the scores (2, seeds) of Tabular and of the trees, and the median times of fit and score."""
    x, y = table
    classes = y.dtype.kind != "f"
    scores, times = np.zeros((2, seeds)), np.zeros((2, seeds))
    for seed in range(seeds):
        x0, x1, y0, y1 = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y if classes else None)
        start = time.perf_counter()
        scores[0, seed] = fastnn.Tabular(seed=seed, **settings).fit(x0, y0).score(x1, y1)
        middle = time.perf_counter()
        scores[1, seed] = of_trees(x0, y0, x1, y1, classes, seed)
        times[:, seed] = middle - start, time.perf_counter() - middle
    return scores, np.median(times, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="number of splits and initial weights (5)")
    parser.add_argument("--only", default="", help="tables whose name contains this text")
    parser.add_argument("--choose", action="store_true", help="the tables on which the defaults were chosen")
    parser.add_argument("--model", default=None, help="model of Tabular, by default its own")
    parser.add_argument("--numeric", default=None, help="what columns of numbers become, by default Tabular's own choice")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of columns that are ignored
    settings = {name: value for name, value in (("model", given.model), ("numeric", given.numeric)) if value is not None}
    print("| table | Tabular | HistGradientBoosting | ratio | s | its s |")
    print("|---|---|---|---|---|---|")
    for name, make in (CHOSEN_ON if given.choose else COMPARED).items():
        if given.only in name:
            scores, (own, theirs) = compare(make(), given.seeds, settings)
            ours, trees = (f"{s.mean():.4f} +- {s.std():.4f}" for s in scores)
            ratio = scores[0].mean() / scores[1].mean()
            print(f"| {name} | {ours} | {trees} | {ratio:.3f} | {own:.2f} | {theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()
