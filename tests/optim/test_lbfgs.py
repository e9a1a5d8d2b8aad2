"""L-BFGS: against PyTorch, on a valley, and in fit."""

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import optim

rng = np.random.default_rng(0)


def test_lbfgs_as_in_torch() -> None:
    """Without a line search the iterations are the same; with one, the minimum is."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    a = rng.standard_normal((30, 6))
    b = np.tanh(a @ rng.standard_normal(6)) + 0.1

    def run(library: Any, parameter: Any, tensor: Any, make: Any, steps: int) -> tuple[np.ndarray, float]:
        w = parameter(np.zeros((6, 1)))
        x, y = tensor(a), tensor(b[:, None])
        optimizer = make([w])

        def closure() -> Any:
            optimizer.zero_grad()
            loss = ((library.tanh(x @ w) - y) ** 2).mean()
            loss.backward()
            return loss

        for _ in range(steps):
            first = optimizer.step(closure)
        return np.asarray(w.detach().numpy()), float(first.detach())

    ours = (fastnn, nn.Parameter, fastnn.tensor)
    theirs = (torch, lambda v: torch.nn.Parameter(torch.tensor(v)), torch.tensor)
    for settings, steps in (
        ({"lr": 0.5, "max_iter": 5, "history_size": 4}, 10),
        ({"line_search_fn": "strong_wolfe", "max_iter": 40, "tolerance_change": 1e-12}, 3),
    ):
        mine, loss = run(*ours, lambda p, s=settings: optim.LBFGS(p, **s), steps)
        other, wanted = run(*theirs, lambda p, s=settings: torch.optim.LBFGS(p, **s), steps)
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
        assert loss == pytest.approx(wanted, rel=1e-6)


def test_lbfgs_on_rosenbrocks_valley_and_its_state() -> None:
    def start() -> tuple[Any, Any, Any]:
        p = nn.Parameter(np.array([-1.2, 1.0]))
        optimizer = optim.LBFGS([p], max_iter=10, tolerance_change=1e-14, line_search_fn="strong_wolfe")

        def closure() -> Any:
            optimizer.zero_grad()
            loss = (100 * (p[1:] - p[:1] ** 2) ** 2 + (1 - p[:1]) ** 2).sum()
            loss.backward()
            return loss

        return p, optimizer, closure

    p, optimizer, closure = start()
    optimizer.step(closure)
    q, twin, other = start()
    with fastnn.no_grad():
        q.copy_(p.numpy())
    twin.load_state_dict(optimizer.state_dict())
    for o, c in ((optimizer, closure), (twin, other)):
        for _ in range(5):
            o.step(c)
    np.testing.assert_allclose(p.numpy(), 1.0, atol=1e-6)
    np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert optimizer.iterations == 6


def test_lbfgs_in_fit_takes_all_data_at_once() -> None:
    model = fastnn.Sequential([fastnn.Dense(6, activation="tanh", input_shape=(5,)), fastnn.Dense(1)])
    model.compile("lbfgs", "mse", ["mae"])
    x = rng.standard_normal((112, 5)).astype(np.float32)
    y = (x[:, :1] * x[:, 1:2]) + x[:, 2:3]
    history = model.fit(x, y, epochs=15, verbose=0).history
    assert model.optimizer.iterations == 15 and history["loss"][-1] < 0.05 * history["loss"][0]
    assert model.evaluate(x, y)[0] <= history["loss"][-1]


def test_lbfgs_where_nothing_is_trained() -> None:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    model.trainable = False
    model.compile("lbfgs", "mse")
    before = model.get_weights()[0]
    model.fit(np.ones((3, 2)), np.ones((3, 1)), epochs=2, verbose=0)
    np.testing.assert_array_equal(before, model.get_weights()[0])


def test_lbfgs_forgets_what_it_knows_of_other_parameters() -> None:
    """Freezing a layer, or adding one, in the middle: the curvature is that of another problem."""
    x = rng.standard_normal((20, 3))

    def trained(fresh: bool) -> list[np.ndarray]:
        fastnn.seed(0)
        model = fastnn.Sequential([fastnn.Dense(4, "tanh", input_shape=(3,)), fastnn.Dense(1)], dtype="float64")
        model.compile("lbfgs", "mse")
        model.fit(x, x[:, :1], epochs=2)
        model.layers[0].trainable = False
        if fresh:
            model.compile("lbfgs", "mse")
        model.fit(x, x[:, :1], epochs=2)
        return model.get_weights()

    for a, b in zip(trained(False), trained(True), strict=True):
        np.testing.assert_array_equal(a, b)
