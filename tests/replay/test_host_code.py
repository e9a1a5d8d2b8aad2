"""Host code of the user's own in a step: found while the step is watched, and run in each step."""

import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
import fastnn.training.step

rng = np.random.default_rng(0)
X = rng.standard_normal((8, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets epochs of a few steps be recorded."""
    monkeypatch.setattr(fastnn.training.step, "FEW", 4)


LOG: list[Any] = []
TOTAL = 0


class Holder:
    n = 0


def _print(x: Any, holder: Any) -> None:
    print("step")


def _counter(x: Any, holder: Any) -> None:
    holder.n += 1


def _log(x: Any, holder: Any) -> None:
    LOG.append(x.shape)


def _global(x: Any, holder: Any) -> None:
    global TOTAL
    TOTAL += 1


def _draw(x: Any, holder: Any) -> None:
    np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize("act", [_print, _counter, _log, _global, _draw])
@pytest.mark.parametrize("how", ["capture", "fit", "by itself", "optimizer"])
def test_host_code_is_run_in_each_step(act: Any, how: str) -> None:
    """Also in fit, where the optimizer alone is the user's own."""
    ran, holder = [0], Holder()

    class Acts(nn.Module):
        def forward(self, x: Any) -> Any:
            ran[0] += 1
            act(x, holder)
            return x

    class Own(fastnn.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            ran[0] += 1
            act(self.params[0], holder)
            return super().step(closure)

    layer = nn.Linear(3, 1)
    net = nn.Sequential(layer) if how == "optimizer" else nn.Sequential(layer, Acts())
    if how == "capture":
        step = fastnn.capture(fastnn.no_grad()(lambda x: net(x)))
        with pytest.warns(RuntimeWarning, match="which a replay would omit"):
            for _ in range(8):
                step(X)
        assert ran == [8]
    else:
        optimizer = Own if how == "optimizer" else fastnn.optim.SGD
        net.compile(optimizer(layer.parameters(), lr=0.01), "mse", capture=True if how == "fit" else None)
        with pytest.warns(RuntimeWarning, match="fit: steps are not recorded.*which a replay would omit"):
            net.fit(X, X[:, :1], batch_size=2, epochs=3, verbose=0)
        assert 12 <= ran[0] <= 14  # and for the shape of the output


class Squared(fastnn.losses.Loss):
    calls = 0

    def call(self, y_true: Any, y_pred: Any) -> Any:
        Squared.calls += 1
        return (y_true - y_pred) ** 2


def _own_losses() -> dict[str, tuple[Any, Any, str]]:
    """Losses that count their calls where no list or instance holds the number, and how to read it."""
    n = 0

    def by_variable(y_true: Any, y_pred: Any) -> Any:
        nonlocal n
        n += 1
        return (y_true - y_pred) ** 2

    def by_attribute(y_true: Any, y_pred: Any) -> Any:
        by_attribute.calls += 1  # type: ignore[attr-defined]
        return (y_true - y_pred) ** 2

    by_attribute.calls = Squared.calls = 0  # type: ignore[attr-defined]
    return {
        "variable": (by_variable, lambda: n, "the variable n is set in by_variable"),
        "attribute": (by_attribute, lambda: by_attribute.calls, "by_attribute.calls is changed"),  # type: ignore[attr-defined]
        "class": (Squared(), lambda: Squared.calls, "Squared.calls is changed"),
    }


@pytest.mark.parametrize("where", ["variable", "attribute", "class"])
def test_counters_outside_of_lists_and_instances_are_found(where: str) -> None:
    loss, count, message = _own_losses()[where]
    net = nn.Sequential(nn.Linear(3, 1))
    net.compile("sgd", loss)
    with pytest.warns(RuntimeWarning, match=message):
        net.fit(X, X[:, :1], batch_size=2, epochs=3, verbose=0)
    assert count() == 3 * (len(X) // 2)


def test_variables_of_a_function_that_is_a_part_of_the_step_are_no_host_code() -> None:
    def scale(x: Any) -> Any:
        n = 0

        def double(y: Any) -> Any:
            nonlocal n
            n += 1
            return y * 2

        return double(double(x))

    step, x = fastnn.capture(scale), fastnn.tensor(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            assert (step(x).numpy() == 4 * X).all()
    assert step.captured._steps


def test_lists_and_dicts_made_inside_are_no_host_code() -> None:
    @fastnn.capture
    def step(x: Any) -> Any:
        outs, named = [], {}
        for i in range(3):
            outs.append(x * float(i))
            named[str(i)] = outs[-1]
        return fastnn.stack(outs).sum() + named["1"].sum()

    for v in range(5):
        assert step(fastnn.tensor([float(v)])).item() == 4 * v
    assert step.captured._steps
