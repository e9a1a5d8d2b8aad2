"""fit on several ranks computes what one process computes with whole batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ranks

import fastnn
from fastnn import losses

CROSSENTROPY: Any = losses.SparseCategoricalCrossentropy(from_logits=True)


def samples(n: int, dtype: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 6)).astype(dtype)
    return x, (np.sin(x[:, :3]).sum(1) > 0).astype(np.int64)


def dense(dtype: str, *last: Any, **options: Any) -> Any:
    model = fastnn.Sequential(fastnn.Dense(16, activation="tanh", input_shape=(6,), **options), *(last or [fastnn.Dense(2)]))
    return model.double() if dtype == "float64" else model


def fitted(case: str, dtype: str = "float64") -> tuple[list[float], list[Any]]:
    """Fit on this rank, and return the losses and the weights."""
    comm = fastnn.distributed.init(data="sharded" if case in ("sharded", "iterable") else "all")
    fastnn.seed(7 + comm.rank)
    n = {"few": 41}.get(case, 45)
    x, y = samples(n, dtype)
    model, loss, optimizer, options = dense(dtype), CROSSENTROPY, fastnn.optim.Adam(None, lr=0.01), {"batch_size": 8}
    settings: dict[str, Any] = {}
    match case:
        case "weights":
            options["sample_weight"] = np.linspace(0.1, 2, n)
        case "classes":
            options["class_weight"] = {0: 0.5, 1: 3.0}
        case "divided":
            options["sample_weight"] = np.linspace(0.1, 2, n)
            loss = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
        case "ignored":
            y[::3] = -1
            loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        case "sum":
            loss = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
        case "penalties":
            model = dense(dtype, kernel_regularizer=fastnn.regularizers.L2(0.1), activity_regularizer="l2")
        case "accumulated":
            optimizer = fastnn.optim.Adam(None, lr=0.01, gradient_accumulation_steps=3)
        case "clipped":
            optimizer = fastnn.optim.SGD(None, lr=0.3, momentum=0.9, global_clipnorm=0.05, use_ema=True)
        case "steps":
            options["steps_per_epoch"] = 4
        case "bytes":
            x, options["check_data"] = (np.abs(x) * 50).astype(np.uint8), False
        case "outputs":
            inputs = fastnn.Input(shape=(6,))
            h = fastnn.Dense(8, activation="tanh")(inputs)
            model = fastnn.Model(inputs, [fastnn.Dense(2)(h), fastnn.Dense(1)(h)])
            model = model.double() if dtype == "float64" else model
            weights = np.linspace(0.0, 1, n)
            y, loss, settings["loss_weights"] = [y, x[:, :1]], [CROSSENTROPY, "mse"], [1.0, 0.3]
            options["sample_weight"] = [weights, None]
        case "sharded":
            x, y = (np.concatenate([a[i : i + 8][comm.rank :: comm.size] for i in range(0, n, 8)]) for a in (x, y))
            options["shuffle"] = False
        case "iterable":
            parts = [(x[i : i + 8][comm.rank :: comm.size], y[i : i + 8][comm.rank :: comm.size]) for i in range(0, n, 8)]
            x, y = [part for part in parts if len(part[0])], None
            options = {}
    model.compile(optimizer, loss, distribute=comm, **settings)
    if case == "by batch":
        places = [np.arange(i, min(i + 8, n))[comm.rank :: comm.size] for _ in range(4) for i in range(0, n, 8)]
        return [model.train_on_batch(x[rows], y[rows]) for rows in places], model.get_weights()
    given: Any = Batches(x) if case == "iterable" else x
    history = model.fit(given, y, epochs=4, verbose=0, **options).history
    return history["loss"], model.get_weights()


class Batches:
    """Iterable of batches."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


CASES = (
    *("weights", "classes", "divided", "ignored", "sum", "penalties", "accumulated", "clipped", "steps", "bytes", "outputs"),
    *("few", "sharded", "iterable", "by batch"),
)


def all_fitted(cases: list[tuple[str, str]]) -> list[Any]:
    return [fitted(*case) for case in cases]


@ranks.needed
@pytest.mark.parametrize(("n", "cases"), [(2, CASES), (3, ("few", "divided", "ignored"))])
def test_weights_and_losses_are_those_of_one_process(n: int, cases: tuple[str, ...]) -> None:
    given = [*((case, "float64") for case in cases), ("plain", "float32")]
    several = ranks.run(n, __file__, "all_fitted", given)
    for i, (case, dtype) in enumerate(given):
        values, wanted = fitted(case, dtype)
        for rank in several:
            assert rank[i][0] == several[0][i][0], case
            np.testing.assert_allclose(rank[i][0], values, rtol=1e-9 if dtype == "float64" else 1e-6, err_msg=case)
            for a, b, c in zip(rank[i][1], several[0][i][1], wanted, strict=True):
                assert (a == b).all(), case
                np.testing.assert_allclose(a, c, *([1e-9, 1e-12] if dtype == "float64" else [1e-4, 1e-6]), err_msg=case)
