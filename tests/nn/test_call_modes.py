"""training=True and training=False in calls on symbols: kept in the graph, whatever the model's mode is."""

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn.files import layers

X = np.random.default_rng(0).standard_normal((64, 6)).astype(np.float32)
Y = X[:, :1]


@pytest.fixture(params=["cpp", "numpy"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fastnn.use_backend(request.param):
        yield request.param


# ---- which numbers are dropped ----


def chain(training: bool | None) -> fastnn.Model:
    x = fastnn.Input((6,))
    return fastnn.Model(x, fastnn.Dropout(0.5)(x, training=training))


def base(training: bool | None, kind: str) -> fastnn.Model:
    """Dropout inside of a base that is called with the mode."""
    inner: Any
    if kind == "Model":
        inner_in = fastnn.Input((6,))
        inner = fastnn.Model(inner_in, fastnn.Dropout(0.5)(inner_in))
    elif kind == "Residual":
        inner = fastnn.Residual(fastnn.Dropout(0.5))
    else:
        inner = fastnn.Sequential([fastnn.Dropout(0.5, name="drop")])
    x = fastnn.Input((6,))
    return fastnn.Model(x, inner(x, training=training))


MAKERS: dict[str, Callable[[bool | None], fastnn.Model]] = {
    "layer": chain,
    **{kind: lambda training, kind=kind: base(training, kind) for kind in ("Model", "Sequential", "Residual")},
}


def drops(y: Any) -> bool:
    """Whether anything was dropped: Dropout scales what stays by 2."""
    y = np.asarray(y)
    return not any(np.array_equal(y, X * np.float32(f)) for f in (1, 2))


def reloaded(m: fastnn.Model, tmp_path: Path) -> Any:
    m.save(tmp_path / "m.fastnn")
    return fastnn.load(tmp_path / "m.fastnn")


WAYS: dict[str, Callable[[fastnn.Model, Path], Any]] = {
    "as made": lambda m, _: m,
    "copied": lambda m, _: copy.deepcopy(m),
    "pickled": lambda m, _: pickle.loads(pickle.dumps(m)),
    "config": lambda m, _: fastnn.Model.from_config(json.loads(json.dumps(m.get_config()))),
    "saved": reloaded,
    "built upon": lambda m, _: fastnn.Model(m.inputs[0], m.outputs[0]),
    "copied and built upon": lambda m, _: (c := copy.deepcopy(m), fastnn.Model(c.inputs[0], c.outputs[0]))[1],
    "in a model": lambda m, _: (x := fastnn.Input((6,)), fastnn.Model(x, m(x)))[1],
    "in a Sequential": lambda m, _: fastnn.Sequential([m]),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("training", [True, False, None])
def test_the_call_wins_over_the_mode(backend: str, training: bool | None, way: str, name: str, tmp_path: Path) -> None:
    m = WAYS[way](MAKERS[name](training), tmp_path)
    x = fastnn.tensor(X)
    for own in (True, False):
        m.train(own)
        want = own if training is None else training
        assert drops(m(x).numpy()) is want
    for said in (True, False):
        assert drops(m(x, training=said).numpy()) is (said if training is None else training)
    assert all(drops(m.predict(X)) is bool(training) for _ in range(4))  # recorded from the third on
    assert all(drops(m.predict(X, batch_size=16)) is bool(training) for _ in range(3))
    assert drops(m.predict(X, mc=2)[1]) is (training is not False)
    frozen = m.freeze(batch_size=64)
    first, second = np.array(frozen(X)), np.array(frozen(X))
    assert drops(first) is bool(training) and np.array_equal(first, second) is not bool(training)
    assert np.array_equal(m.predict(X), m.predict(X)) is not bool(training)


@pytest.mark.parametrize("training", [True, False, None])
def test_fit_and_evaluate(backend: str, training: bool | None) -> None:
    fastnn.seed(0)
    x = fastnn.Input((6,))
    m = fastnn.Model(x, fastnn.Dense(1)(fastnn.Dropout(0.5)(x, training=training)))
    # The loss of a batch before its update, and what evaluate says: equal where nothing is dropped.
    m.compile(fastnn.optim.SGD(lr=0.0), "mse")
    losses = [m.train_on_batch(X, Y) for _ in range(6)]
    values = [m.evaluate(X, Y, verbose=0) for _ in range(3)]
    assert (len(set(losses)) > 1) is (training is not False)
    assert (len(set(values)) > 1) is bool(training)
    if training is not False:
        assert not np.isclose(losses[0], losses[1])
    m.fit(X, Y, epochs=2, batch_size=16, verbose=0)


# ---- custom layers, and what is refused ----


def test_own_layers_get_it() -> None:
    class Shift(fastnn.Layer):
        def call(self, x: Any, training: Any = None) -> Any:
            return x + 1.0 if training else x

    x = fastnn.Input((6,))
    shift = Shift()
    m = fastnn.Model(x, [shift(x, training=True), shift(x, training=False), shift(x)])
    on, off, own = m.predict(X)
    np.testing.assert_array_equal(on, X + 1)
    assert (off == X).all() and (own == X).all()
    assert (m(X, training=True)[2].numpy() == X + 1).all()


def test_merges_and_several_inputs_take_it() -> None:
    a, b = fastnn.Input((6,)), fastnn.Input((6,))
    both = fastnn.Model([a, b], fastnn.Dropout(0.5)(fastnn.Add()([a, b], training=True)))
    m = fastnn.Model([a, b], both([a, b], training=True))
    assert drops(m.predict([X, 0 * X]))


def test_config_and_summary_say_it() -> None:
    m = chain(True)
    assert m.get_config()["calls"] == [[0, [0], {"training": True}]]
    assert chain(None).get_config()["calls"] == [[0, [0]]]
    lines: list[str] = []
    m.summary(lines.append)
    assert "training=True" in lines[0] and "training" not in str(m)
    with pytest.raises(TypeError, match="symbolic"):
        fastnn.Dropout(0.5)(fastnn.Input((6,)), training=fastnn.Input((1,)))


def test_a_file_with_another_option_is_refused_with_its_place() -> None:
    config = json.loads(json.dumps(layers.layer_config(fastnn.Sequential([chain(True)]))))
    config["config"]["layers"][0]["config"]["calls"][0][2] = {"training": "yes"}
    with pytest.raises(ValueError, match=r"damaged: model\.layers\[0\]: Model: calls\[0\] ends with .*'yes'"):
        layers.layer_from_config(config)


def test_random_layers_keep_their_streams_in_trials() -> None:
    drop = nn.Dropout(0.5, seed=3)
    x = fastnn.Input((6,))
    fastnn.Model(x, drop(x, training=True))
    np.testing.assert_array_equal(drop(fastnn.tensor(X)).numpy(), nn.Dropout(0.5, seed=3)(fastnn.tensor(X)).numpy())
