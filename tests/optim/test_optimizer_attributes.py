"""Attributes of optimizers and of their groups: what may be set, what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


@pytest.mark.parametrize("name", fastnn.optim.OPTIMIZERS)
def test_what_an_optimizer_has_not_cannot_be_set(name: str) -> None:
    optimizer = fastnn.optim.OPTIMIZERS[name]([nn.Parameter(np.ones((2, 2)))])
    for attribute in ("epsilon", "beta_1", "momentun", "gradient_accumulation_steps", "maximize", "use_ema", "clipnorm", "lrr"):
        with pytest.raises(AttributeError, match=attribute):
            setattr(optimizer, attribute, 1)
    for attribute in optimizer.layout.keys[1:]:
        with pytest.raises(AttributeError, match=attribute):
            setattr(optimizer, attribute, 0.5)
    optimizer.learning_rate = 0.25
    assert optimizer.lr == optimizer.learning_rate == optimizer.param_groups[0]["lr"] == 0.25
    assert repr(optimizer).startswith(f"{name}(lr=0.25")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("epsilon", r"Adam: epsilon, here eps, belongs to groups.*group\['eps'\] = \.\.\."),
        ("beta_1", "here betas"),
        ("amsgrad", "is fixed once the optimizer is made"),
        ("weight_decy", "did you mean weight_decay"),
        ("clipvalue", "fixed.*make another one"),
    ],
)
def test_messages_name_what_to_do(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        setattr(fastnn.optim.Adam(clipnorm=1.0), name, 0.5)


def test_optimizers_of_ones_own_have_their_own_attributes() -> None:
    class Mine(fastnn.optim.SGD):
        def __init__(self, params: Any) -> None:
            super().__init__(params, lr=0.1)
            self.calls = 0

    optimizer = Mine([nn.Parameter([1.0])])
    optimizer.calls += 1
    with pytest.raises(AttributeError, match="there is no attribute 'epsilon'"):
        optimizer.epsilon = 0.1


@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm", "clipvalue", "ema_momentum"])
def test_limits_and_averages_may_change(name: str) -> None:
    def steps(value: float, later: float | None) -> np.ndarray:
        p = nn.Parameter([1.0, -2.0])
        more = {"use_ema": True} if name == "ema_momentum" else {}
        optimizer = fastnn.optim.SGD([p], lr=1.0, **{name: value}, **more)
        step = fastnn.capture(lambda: (optimizer.step(), None)[1])
        for i in range(5):
            if i == 3 and later:
                setattr(optimizer, name, later)
            p.grad = [3.0, -4.0]
            step()
        assert getattr(optimizer, name) == (later or value)
        optimizer.finalize()
        return p.numpy()

    assert not np.array_equal(steps(0.5, 0.25), steps(0.5, None))
    with pytest.raises(ValueError, match=name):
        steps(0.5, -1.0)


def test_groups_know_their_names() -> None:
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    with pytest.raises(ValueError, match="learning_rate of a group is named lr"):
        fastnn.optim.SGD([{"params": [a], "learning_rate": 0.1}])
    with pytest.raises(ValueError, match="maximize holds for all groups"):
        fastnn.optim.SGD([{"params": [a], "maximize": True}])
    optimizer = fastnn.optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.1, "name": "b"}], maximize=True)
    assert "(1): Group(lr=0.1" in repr(optimizer)
    with pytest.raises(ValueError, match="epsilon of a group is named eps"):
        fastnn.optim.Adam([a]).param_groups[0]["epsilon"] = 0.1
    for name, value in (("maximize", False), ("clipnorm", 1.0)):
        with pytest.raises(ValueError, match=f"{name} holds for all groups"):
            optimizer.param_groups[1][name] = value
    optimizer.param_groups[1]["maximize"] = True  # as the optimizer has it


def test_groups_refuse_settings_that_they_do_not_have() -> None:
    adam = fastnn.optim.Adam([nn.Parameter([1.0])])
    group = adam.param_groups[0]
    for name, match in (
        ("momentum", "Adam: momentum is no setting of this group; there are: lr, betas, eps"),
        ("weigth_decay", "did you mean weight_decay"),
        ("use_muon", "use_muon is no setting"),
    ):
        for put in (group.__setitem__, lambda name, value: group.update({name: value}), group.setdefault):
            with pytest.raises(ValueError, match=match):
                put(name, 0.5)
        with pytest.raises(ValueError, match=match):
            adam.add_param_group({"params": [nn.Parameter([1.0])], name: 0.5})
        with pytest.raises(ValueError, match=match):
            fastnn.optim.Adam([{"params": [nn.Parameter([1.0])], name: 0.5}])
    with pytest.raises(ValueError, match="momentum is no setting"):
        fastnn.optim.Muon([{"params": [nn.Parameter([1.0])], "use_muon": False, "momentum": 0.5}])
    assert len(adam.param_groups) == 1
    group["initial_lr"] = group["lr_scale"] = 0.5  # the user's own
    group["beta1"] = 0.7
    assert group["betas"] == (0.7, 0.999) and group.pop("lr_scale") == 0.5 and group.pop("lr_scale", None) is None

    class Own(fastnn.optim.SGD):
        pass

    assert Own([{"params": [nn.Parameter([1.0])], "alpha": 0.5}]).param_groups[0]["alpha"] == 0.5


def test_a_group_that_is_refused_changes_nothing() -> None:
    optimizer = fastnn.optim.SGD(lr=0.1)
    with pytest.raises(ValueError, match="lr is -1"):
        optimizer.add_param_group({"params": [nn.Parameter([1.0])], "lr": -1})
    assert optimizer.lr == 0.1 and optimizer.plain and not optimizer.params


def test_settings_of_groups_are_not_taken_away() -> None:
    group = fastnn.optim.SGD([nn.Parameter([1.0])]).param_groups[0]
    before = dict(group)
    for take in (
        group.clear,
        group.popitem,
        lambda: group.pop("lr"),
        lambda: group.pop("params"),
        lambda: group.__delitem__("lr"),
    ):
        with pytest.raises(TypeError, match=r"SGD: (lr|params) of a group cannot be removed"):
            take()
    assert dict(group) == before


def test_groups_are_neither_replaced_nor_taken_away() -> None:
    optimizer = fastnn.optim.SGD([nn.Parameter([1.0])])
    with pytest.raises(AttributeError, match="add_param_group"):
        optimizer.param_groups = []
    with pytest.raises(AttributeError):
        optimizer.param_groups.clear()
    assert len(optimizer.param_groups) == 1


def test_gradients_of_zero() -> None:
    layer = nn.Linear(2, 1)
    optimizer = fastnn.optim.SGD(layer.parameters(), lr=0.1)
    for zero in (optimizer.zero_grad, layer.zero_grad):
        layer(X[:, :2]).sum().backward()
        zero(set_to_none=False)
        assert not layer.weight.grad.numpy().any() and not layer.bias.grad.numpy().any()
        zero()
        assert layer.weight.grad is None
