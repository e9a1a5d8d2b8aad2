"""Training that goes on from a file, or from an optimizer's state, as if there had been no break."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.backends import current

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
RUN: Any = {"verbose": 0, "shuffle": False, "batch_size": 8}
SCHEDULE = fastnn.schedules.CosineDecay(0.05, 20, warmup_target=0.1, warmup_steps=4)
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SGD": [{"momentum": 0.9, "nesterov": True}, {"lr": SCHEDULE, "use_ema": True, "ema_overwrite_frequency": 2}],
    "Adam": [{"amsgrad": True}, {"lr": SCHEDULE, "gradient_accumulation_steps": 2}, {"global_clipnorm": 0.1}],
    "RMSprop": [{"momentum": 0.5, "centered": True}],
    "LBFGS": [{"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 2}],
}
CASES = [(name, options) for name in fastnn.optim.OPTIMIZERS for options in ({}, *OPTIONS.get(name, []))]


def net(optimizer: Any, dtype: str = "float32") -> fastnn.Sequential:
    fastnn.seed(3)
    hidden = fastnn.Dense(4, "tanh", input_shape=(3,), kernel_constraint="max_norm", kernel_regularizer="l2")
    model = fastnn.Sequential([hidden, fastnn.Dropout(0.3), fastnn.GaussianNoise(0.1), fastnn.Dense(1)], dtype=dtype)
    model.compile(optimizer, "mse", ["mae"])
    return model


def make(name: str, options: dict[str, Any]) -> Any:
    return fastnn.optim.OPTIMIZERS[name](**options)


def losses(model: Any, **run: Any) -> list[Any]:
    return [*model.fit(X, Y, **{**RUN, **run}).history["loss"], *(w.tolist() for w in model.get_weights())]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_every_optimizer_goes_on_from_a_file(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = net(make(name, options))
    model.fit(X, Y, epochs=2, **RUN)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin.optimizer.iterations == model.optimizer.iterations > 0
    assert losses(twin, epochs=4, initial_epoch=2) == losses(model, epochs=4, initial_epoch=2)
    twin.save(tmp_path / "twin")
    model.save(tmp_path / "m")
    assert (tmp_path / "twin").read_bytes() == (tmp_path / "m").read_bytes()


@pytest.mark.parametrize("name", list(fastnn.optim.OPTIMIZERS))
def test_a_fresh_compile_takes_a_state(name: str) -> None:
    model = net(make(name, {}))
    model.fit(X, Y, epochs=2, **RUN)
    state, weights, random = model.optimizer.state_dict(), model.get_weights(), [m._state.tolist() for m in model.layers[1:3]]
    other = net(make(name, {}))
    other.set_weights(weights)
    for layer, values in zip(other.layers[1:3], random, strict=True):
        layer._state[:] = values
    other.optimizer.load_state_dict(state)
    assert other.optimizer.iterations == model.optimizer.iterations
    assert losses(other, epochs=4, initial_epoch=2) == losses(model, epochs=4, initial_epoch=2)


def test_a_state_of_another_model_fails_in_each_fit() -> None:
    model = net("adam")
    model.fit(X, Y, **RUN)
    other = fastnn.Sequential([fastnn.Dense(1, input_shape=(3,))])
    other.compile("adam", "mse")
    other.optimizer.load_state_dict(model.optimizer.state_dict())
    for _ in range(2):
        with pytest.raises(ValueError, match=r"groups of \[4\] parameters came, wanted \[2\]"):
            other.fit(X, Y, **RUN)


def test_a_state_that_waits_is_in_the_state_dict_and_in_files(tmp_path: Path) -> None:
    model = net("adam")
    model.fit(X, Y, epochs=2, **RUN)
    state = model.optimizer.state_dict()
    other = net("adam")
    other.set_weights(model.get_weights())
    other.optimizer.load_state_dict(state)
    np.testing.assert_equal(other.optimizer.state_dict(), state)
    other.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m").optimizer.iterations == 6


def test_what_is_frozen_stays_frozen(tmp_path: Path) -> None:
    model = net("adam")
    model[0].trainable = False
    model[3].bias.requires_grad = False
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert [p.requires_grad for p in twin.parameters()] == [False, False, True, False]
    assert losses(twin, epochs=2) == losses(model, epochs=2)


def test_an_optimizer_of_some_parameters(tmp_path: Path) -> None:
    model = fastnn.Sequential([nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)])
    model.compile(fastnn.optim.Adam([model[2].bias, model[0].weight]), "mse")
    model.fit(X, Y, **RUN)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert losses(twin, epochs=3) == losses(model, epochs=3)
    assert twin.optimizer.params == [twin[2].bias, twin[0].kernel]


@pytest.mark.parametrize("name", [name for name in fastnn.optim.OPTIMIZERS if name != "LBFGS"])
def test_groups_of_parameters_come_back(name: str, tmp_path: Path) -> None:
    model = net("sgd")
    hidden, last = model[0], model[3]
    groups: list[Any] = [
        {"params": [last.kernel, hidden.kernel], "lr": SCHEDULE, "mine": [1, None]},
        {"params": [hidden.bias], "lr": 0.5, "weight_decay": 0.01},
    ]
    if name == "Muon":
        groups[1]["use_muon"] = False
    if name == "SparseAdam":  # it has no decay
        groups[1] = {"params": [hidden.bias], "lr": 0.5, "eps": 0.01}
    model.compile(fastnn.optim.OPTIMIZERS[name](groups), "mse", ["mae"])
    model.fit(X, Y, epochs=2, **RUN)
    model.optimizer.param_groups[1]["lr"] = 0.25
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin.optimizer.params == [twin[3].kernel, twin[0].kernel, twin[0].bias]
    assert repr(twin.optimizer) == repr(model.optimizer)
    model.save(tmp_path / "without", include_optimizer=False)
    fresh = fastnn.load(tmp_path / "without")
    assert dict(fresh.optimizer.param_groups[1]) == {**model.optimizer.param_groups[1], "params": [fresh[0].bias]}
    assert losses(twin, epochs=4, initial_epoch=2) == losses(model, epochs=4, initial_epoch=2)
    twin.save(tmp_path / "twin")
    model.save(tmp_path / "m")
    assert (tmp_path / "twin").read_bytes() == (tmp_path / "m").read_bytes()


def test_an_optimizer_of_some_parameters_trains_no_others_without_its_state(tmp_path: Path) -> None:
    model = net("sgd")
    model.compile(fastnn.optim.Adam(model[3].parameters()), "mse")
    model.save(tmp_path / "m", include_optimizer=False)
    twin = fastnn.load(tmp_path / "m")
    before = twin[0].kernel.numpy().copy()
    assert losses(twin, epochs=2) == losses(model, epochs=2)
    np.testing.assert_allclose(twin[0].kernel.numpy(), before, rtol=1e-5)  # its constraint apart


def test_a_group_that_holds_what_no_file_can(tmp_path: Path) -> None:
    model = net("sgd")
    model.compile(fastnn.optim.SGD([{"params": model.parameters(), "mine": object()}]), "mse")
    with pytest.warns(UserWarning, match="no training settings: a group of the optimizer has mine, which is a object"):
        model.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m")._compiled is None


def test_compile_arguments_come_back(tmp_path: Path) -> None:
    x = fastnn.Input((3,))
    model = fastnn.Model(x, [fastnn.Dense(1, name="a")(x), fastnn.Dense(1, name="b")(x)])
    model.compile("sgd", {"a": "mse", "b": "mae"}, {"a": ["mae"]}, capture=True, loss_weights={"a": 0.5, "b": 2})
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin._compiled.capture and twin._compiled.given["loss_weights"] == {"a": 0.5, "b": 2}
    assert twin.evaluate(X, [Y, Y], return_dict=True) == model.evaluate(X, [Y, Y], return_dict=True)


def test_a_dtype_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = net("adam")
    model._compiled.dtype = "bfloat16"
    model.save(tmp_path / "m")
    monkeypatch.setattr(type(current()), "why_unavailable", lambda self, dtype: "no such products" if dtype == "bfloat16" else "")
    with pytest.warns(UserWarning, match="goes on in float32 here: .*no such products"):
        assert fastnn.load(tmp_path / "m")._compiled.dtype == "float32"


def test_the_optimizer_may_be_left_out(tmp_path: Path) -> None:
    model = net("adam")
    model.fit(X, Y, **RUN)
    model.save(tmp_path / "whole")
    model.save(tmp_path / "without", include_optimizer=False)
    assert (tmp_path / "without").stat().st_size < (tmp_path / "whole").stat().st_size
    assert fastnn.load(tmp_path / "without").optimizer.iterations == 0
    assert fastnn.load(tmp_path / "whole", compile=False)._compiled is None
    other = net("adam")
    other.load_weights(tmp_path / "whole")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
