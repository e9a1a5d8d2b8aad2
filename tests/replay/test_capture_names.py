"""Names that a captured function reads: what they stand for may change between two calls, and is never left as it was."""

import types
import warnings
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.replay.recorder import PATIENCE

ONES = np.ones(2, np.float32)
FACTOR: Any = 2.0
MODULE = types.ModuleType("settings_of_mine")


class Settings:
    factor: Any = 2.0


class Slots:
    __slots__ = ("factor",)


@dataclass
class Batch:
    x: Any
    factor: Any = 2.0


class Agent:
    def __init__(self) -> None:
        self.factor: Any = 2.0
        self.settings = Settings()
        self._table = {"factor": 2.0}

    def step(self, x: Any) -> Any:
        return x * self.factor


class Scales(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.settings, self.factors = Settings(), [2.0]

    def forward(self, x: Any) -> Any:
        return x * self.settings.factor * self.factors[0]


def _double(x: Any) -> Any:
    return x * 2.0


def _scaled(x: Any, by: Any) -> Any:
    return x * by.factor


NUMBERS = ("length", "array", "converted array")
"""Cases that have no Tensors."""


def _cases() -> dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]]:
    """Functions, and how to give what they read another value."""

    def set_global(v: Any) -> None:
        global FACTOR
        FACTOR = v

    def set_variable(v: Any) -> None:
        nonlocal variable
        variable = v

    def set_function(v: Any) -> None:
        nonlocal function
        function = lambda x: x * v  # noqa: E731

    variable: Any = 2.0
    function = _double
    Settings.factor = MODULE.factor = 2.0  # type: ignore[attr-defined]
    set_global(2.0)
    agent, slots, table, row, scales, batch = Agent(), Slots(), {"factor": 2.0}, [2.0], Scales(), Batch(None)
    slots.factor = 2.0
    array = np.full(2, 2.0)
    nested = {"rows": [{"factor": 2.0}]}
    return {
        "global": (lambda x: x * FACTOR, set_global),
        "module": (lambda x: x * MODULE.factor, lambda v: setattr(MODULE, "factor", v)),
        "class": (lambda x: x * Settings.factor, lambda v: setattr(Settings, "factor", v)),
        "inherited": (lambda x: x * agent.settings.factor, lambda v: setattr(Settings, "factor", v)),
        "variable": (lambda x: x * variable, set_variable),
        "function": (lambda x: function(x), set_function),
        "attribute": (lambda x: x * agent.factor, lambda v: setattr(agent, "factor", v)),
        "method": (agent.step, lambda v: setattr(agent, "factor", v)),
        "private table": (lambda x: x * agent._table["factor"], lambda v: agent._table.update(factor=v)),
        "slot": (lambda x: x * slots.factor, lambda v: setattr(slots, "factor", v)),
        "partial": (partial(_scaled, by=slots), lambda v: setattr(slots, "factor", v)),
        "argument": (lambda x: _scaled(x, batch), lambda v: setattr(batch, "factor", v)),
        "dict": (lambda x: x * table["factor"], lambda v: table.update(factor=v)),
        "list": (lambda x: x * row[0], lambda v: row.__setitem__(0, v)),
        "nested": (lambda x: x * nested["rows"][0]["factor"], lambda v: nested["rows"][0].update(factor=v)),
        "length": (lambda x: sum((x * r for r in row[1:]), x * row[0]), lambda v: row.extend([v / 2 - 1, v / 2 - 1])),
        "no_grad": (fastnn.no_grad()(lambda x: x * agent.factor), lambda v: setattr(agent, "factor", v)),
        "array": (lambda x: x * float(array[0]), lambda v: array.__setitem__(0, v)),
        "converted array": (lambda x: x * fastnn.tensor(array, dtype="float32"), lambda v: array.fill(v)),
        "module's object": (lambda x: scales(x) / 2, lambda v: setattr(scales.settings, "factor", v)),
        "module's list": (lambda x: scales(x) / 2, lambda v: scales.factors.__setitem__(0, v)),
    }


@pytest.mark.parametrize(
    ("case", "kind"), [(c, k) for c in _cases() for k in ("number", "tensor") if k == "number" or c not in NUMBERS]
)
def test_what_a_name_stands_for_is_seen(case: str, kind: str) -> None:
    f, change = _cases()[case]
    if kind == "tensor":
        change(fastnn.tensor(ONES * 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = fastnn.capture(f)
        for v in (2.0, 6.0):
            if v != 2:
                change(v if kind == "number" else fastnn.tensor(ONES * v))
            for _ in range(4):
                np.testing.assert_array_equal(step(fastnn.tensor(ONES)).numpy(), ONES * v)
        assert step.captured._steps


def test_objects_among_the_arguments_are_followed() -> None:
    step = fastnn.capture(lambda batch: batch.x * batch.factor)
    batch = Batch(fastnn.tensor(ONES))
    for x, factor in ((1, 2), (1, 2), (1, 2), (1, 3), (1, 3), (4, 3), (4, 3), (4, 3)):
        batch.factor = float(factor)
        if batch.x.numpy()[0] != x:
            batch.x = fastnn.tensor(ONES * x)
        assert step(batch).tolist() == [x * factor] * 2
    with pytest.warns(RuntimeWarning, match="each has other arguments"):
        for v in range(2 * PATIENCE):  # new ones may take the place of old ones in memory
            assert step(Batch(fastnn.tensor(ONES), float(v // 3))).tolist() == [v // 3] * 2


def test_named_tuples_are_recorded() -> None:
    Pair = namedtuple("Pair", "a b")
    step = fastnn.capture(lambda pair: pair._replace(a=pair.a * pair.b[0]))
    for v in range(5):
        out = step(Pair(fastnn.tensor([float(v)]), [fastnn.tensor([2.0])]))
        assert type(out) is Pair and out.a.item() == 2 * v
    assert step.captured._steps


def test_names_that_do_not_matter_cost_no_recording() -> None:
    """Equal numbers, and Tensors that no kernel of the step uses."""
    ran: list[int] = []
    agent, factor = Agent(), 2.0
    agent.loss = None  # type: ignore[attr-defined]

    @fastnn.capture
    def step(x: Any) -> Any:
        ran.append(1)
        return x * agent.factor * factor if agent.loss is not x else x  # type: ignore[attr-defined]

    for v in range(8):
        agent.factor, factor = float("2.0"), float("2.0")
        agent.loss = step(fastnn.tensor([float(v)]))  # type: ignore[attr-defined]
        assert agent.loss.item() == 4 * v  # type: ignore[attr-defined]
    assert len(ran) <= 3


def test_values_that_come_back_find_their_recording() -> None:
    ran: list[int] = []
    agent = Agent()

    @fastnn.capture
    def step(x: Any) -> Any:
        ran.append(1)
        return x * agent.factor

    for i in range(20):
        agent.factor = 2.0 + i // 2 % 2
        assert step(fastnn.tensor([1.0])).item() == agent.factor
    assert len(ran) == 4


def test_a_name_that_is_set_before_each_call_is_named() -> None:
    agent = Agent()
    step = fastnn.capture(agent.step)
    with pytest.warns(RuntimeWarning, match="other numbers"):
        for v in range(12):
            agent.factor = float(v)
            assert step(fastnn.tensor([1.0])).item() == v

    class Unused:
        pass

    table = {"used": 2.0, "settings": Unused()}
    step = fastnn.capture(lambda x: x * table["used"])
    with pytest.warns(RuntimeWarning, match=r"table\['settings'\] is set between calls.*pass it as an argument"):
        for v in range(12):
            table["settings"] = Unused()
            assert step(fastnn.tensor([float(v)])).item() == 2 * v


class Proxy:
    """An object whose attributes other code gives, which may raise or act."""

    __slots__ = ("__dict__", "factor")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} is looked for")

    def __len__(self) -> int:
        raise RuntimeError("its length is asked for")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("it is compared")

    __hash__ = None  # type: ignore[assignment]


def test_looking_runs_no_code_of_the_objects() -> None:
    proxy = Proxy()
    step = fastnn.capture(lambda x: x * proxy.factor)
    for v in (2.0, 2.0, 2.0, 3.0, 3.0, 3.0):
        proxy.factor = v
        assert step(fastnn.tensor([1.0])).item() == v
    assert step.captured._steps


def test_a_name_that_is_deleted_raises_as_without_capture() -> None:
    agent = Agent()
    step = fastnn.capture(agent.step)
    for _ in range(4):
        step(fastnn.tensor([1.0]))
    del agent.factor
    with pytest.raises(AttributeError):
        step(fastnn.tensor([1.0]))


@pytest.mark.parametrize("where", ["global", "variable", "attribute"])
@pytest.mark.parametrize("how", ["train_on_batch", "fit"])
def test_names_in_a_loss_are_followed_where_compile_asked_for_recording(where: str, how: str) -> None:
    global FACTOR
    agent, variable, x = Agent(), 2.0, np.ones((4, 3), np.float32)
    losses: dict[str, Any] = {
        "global": lambda y, p: (y - p) ** 2 * FACTOR,
        "variable": lambda y, p: (y - p) ** 2 * variable,
        "attribute": lambda y, p: (y - p) ** 2 * agent.factor,
    }
    model = nn.Sequential(nn.Linear(3, 1))
    model.compile(fastnn.optim.SGD(model.parameters(), lr=0.0), losses[where], capture=True)
    got = []
    for FACTOR in (1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 1.0, 1.0):
        agent.factor = variable = FACTOR
        got.append(model.fit(x, x[:, :1], verbose=0).history["loss"][0] if how == "fit" else model.train_on_batch(x, x[:, :1]))
    assert np.allclose(np.divide(got, got[0]), (1, 1, 1, 1, 5, 5, 5, 1, 1), rtol=1e-6)
    assert all(step.recorded is not None for step in model._compiled.batch_steps.values())


def test_a_name_that_is_set_before_each_batch_is_named() -> None:
    """Though the step does the same work: to record it in each call would take longer than Python does."""
    table, x = {"used": 2.0, "other": object()}, np.ones((4, 3), np.float32)
    model = nn.Sequential(nn.Linear(3, 1))
    model.compile("sgd", lambda y, p: (y - p) ** 2 * table["used"], capture=True)
    with pytest.warns(RuntimeWarning, match=r"table\['other'\] is set between steps"):
        for _ in range(12):
            table["other"] = object()
            model.train_on_batch(x, x[:, :1])
