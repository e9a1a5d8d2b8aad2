"""State of optimizers in and out: copies, files, and training that goes on exactly."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from optimizers import EACH, descend, parameters

import fastnn
import fastnn.nn as nn
from fastnn import optim
from fastnn.backends import current

rng = np.random.default_rng(0)
X = rng.standard_normal((14, 8, 5)).astype(np.float32)
Y = rng.integers(0, 3, (14, 8))


@pytest.mark.parametrize("way", ["state_dict", "pickle", "deepcopy"])
@pytest.mark.parametrize("name", EACH)
def test_training_goes_on_exactly(name: str, way: str) -> None:
    feature = {} if name == "AdamWScheduleFree" else {"use_ema": True, "ema_overwrite_frequency": 2}
    params = parameters("float32")
    optimizer = EACH[name](params, gradient_accumulation_steps=2, **feature)
    optimizer.lr = 0.03
    descend(optimizer, params, 7)
    if way == "state_dict":
        other = [nn.Parameter(p.numpy().copy()) for p in params]
        twin = EACH[name](other, gradient_accumulation_steps=2, **feature)
        twin.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    elif way == "pickle":
        twin, other = pickle.loads(pickle.dumps((optimizer, params)))
    else:
        twin, other = copy.deepcopy((optimizer, params))
    a, b = (descend(o, p, 12, 7) for o, p in ((optimizer, params), (twin, other)))
    for v, w in zip(a, b, strict=True):
        np.testing.assert_array_equal(v, w)
    assert twin.iterations == optimizer.iterations and twin.lr == optimizer.lr


def test_copies_keep_groups_and_schedules() -> None:
    params = parameters()
    optimizer = optim.Adam([{"params": params[:1], "lr": _halved, "note": 1}, {"params": params[1:], "betas": (0.5, _halved)}])
    descend(optimizer, params, 3)
    twin, other = pickle.loads(pickle.dumps((optimizer, params)))
    assert twin.param_groups[0]["note"] == 1 and twin.param_groups[1].scheduled("beta2") is _halved
    for v, w in zip(descend(optimizer, params, 5, 3), descend(twin, other, 5, 3), strict=True):
        np.testing.assert_array_equal(v, w)
    state = optimizer.state_dict()
    assert state["param_groups"][1]["params"] == [1, 2] and state["counters"]["updates"] == 8


def _halved(step: int) -> float:
    return 0.5 ** (step + 1)


def test_a_recorded_step_follows_a_loaded_state() -> None:
    model = fastnn.Sequential([nn.Linear(5, 3)])
    model.compile(optim.Adam(lr=0.1), nn.CrossEntropyLoss())
    for i in range(4):
        model.train_on_batch(X[i], Y[i])
    state, weights = model.optimizer.state_dict(), model.get_weights()
    ends = []
    for _ in range(2):
        model.set_weights(weights)
        model.optimizer.load_state_dict(state)
        for i in range(4, 8):
            model.train_on_batch(X[i], Y[i])
        ends.append(model.get_weights()[0])
    np.testing.assert_array_equal(*ends)


def test_settings_that_a_file_cannot_hold_are_left_out(tmp_path: Any) -> None:
    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(5,))])
    model.compile(optim.SGD(lr=_halved), "mse")
    with pytest.warns(UserWarning, match="no training settings: schedule: .*_halved"):
        model.save(tmp_path / "m")
    assert fastnn.load(tmp_path / "m")._compiled is None


@pytest.mark.parametrize("name", [*EACH, "LBFGS"])
def test_saved_models_keep_the_optimizer(name: str, tmp_path: Any) -> None:
    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(5,))])
    made = optim.LBFGS(max_iter=3) if name == "LBFGS" else EACH[name](None, clipnorm=1.0, gradient_accumulation_steps=2)
    model.compile(made, "mse", ["mae"])
    model.fit(X[0], np.ones((8, 3), np.float32), verbose=0)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert type(twin.optimizer) is type(made) and twin.optimizer.get_config() == made.get_config()


@pytest.mark.parametrize("how", ["eager", "captured", "fit"])
def test_values_that_are_set_as_data_are_trained(how: str) -> None:
    """As in PyTorch: what `p.data` is set to is what the next step changes."""
    x, y = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3), np.ones((4, 1), np.float32)

    def trained(put: Any) -> list[Any]:
        fastnn.seed(0)
        model = nn.Sequential(nn.Linear(3, 1))
        model.compile(fastnn.optim.SGD(lr=0.1, momentum=0.9), "mse")
        optimizer = fastnn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = fastnn.capture(step) if how == "captured" else step
        for i in range(8):
            if i == 5:
                put(model[0].bias, np.full(1, 3.0, np.float32))
                put(model[0].weight, np.full((1, 3), 2.0, np.float32))
            if how == "fit":
                model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
            else:
                run(fastnn.tensor(x), fastnn.tensor(y))
        return [*model.get_weights(), model(x).numpy()]

    def set_data(p: Any, values: Any) -> None:
        p.data = current().asarray(values)

    def copy(p: Any, values: Any) -> None:
        with fastnn.no_grad():
            p.copy_(values)

    for a, b in zip(trained(set_data), trained(copy), strict=True):
        np.testing.assert_array_equal(a, b)


def test_data_of_another_shape_is_refused_by_the_step() -> None:
    p = nn.Parameter([1.0, 2.0])
    optimizer = fastnn.optim.SGD([p], lr=0.1)
    (p * 2).sum().backward()
    p.data = current().asarray(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"SGD.step: the parameter's data: shape \(3,\) came, wanted \(2,\)"):
        optimizer.step()
