"""Training and evaluation mode of models that are compiled, trained, copied and loaded."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from classifiers import LABELS, X

import fastnn


def test_modes_are_restored() -> None:
    model = fastnn.Sequential([fastnn.Dropout(0.5), fastnn.Dense(3, activation="softmax", input_shape=(6,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train()
    model[0].eval()
    model.fit(X, LABELS, verbose=0)
    assert model.training and not model[0].training
    model.evaluate(X, LABELS)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert model.training and not model[0].training


def test_compiled_and_loaded_models_infer(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Sequential([fastnn.Dropout(0.5)]), fastnn.Dense(3, "softmax", input_shape=(6,))])
    assert model.training and not np.array_equal(model(X).numpy(), model(X).numpy())
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.save(tmp_path / "m.fastnn")
    pickled = pickle.loads(pickle.dumps(model))
    for m in (model, fastnn.load(tmp_path / "m.fastnn"), pickled):
        assert not any(layer.training for layer in m.modules())
        np.testing.assert_allclose(m(X).numpy(), m.predict(X), rtol=1e-6)
        m.fit(X, LABELS, verbose=0)
        m.train_on_batch(X, LABELS)
        np.testing.assert_allclose(m(X).numpy(), m.predict(X), rtol=1e-6)
        assert not np.array_equal(m(X, training=True).numpy(), m(X, training=True).numpy())
        m.train()
        assert pickle.loads(pickle.dumps(m)).training and not np.array_equal(m(X).numpy(), m(X).numpy())
        m.evaluate(X, LABELS)
        assert all(layer.training for layer in m.modules())


@pytest.mark.parametrize("own", [True, False])
def test_copies_and_weights_keep_the_mode(own: bool, tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dropout(0.5), fastnn.Dense(3, "softmax", input_shape=(6,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train(own)
    model[0].train(not own)
    model.save_weights(tmp_path / "w.fastnn")
    copies = copy.deepcopy(model), copy.copy(model), pickle.loads(pickle.dumps(model))
    model.load_weights(tmp_path / "w.fastnn")
    model.load_state_dict(model.state_dict())
    model.set_weights(model.get_weights())
    for m in (model, *copies):
        assert (m.training, m[0].training, m[1].training) == (own, not own, own)


def test_compiled_models_in_a_model() -> None:
    inner = fastnn.Sequential([fastnn.Dropout(0.5), fastnn.Dense(6, input_shape=(6,))])
    inner.compile("sgd", "mse")
    outer = fastnn.Sequential([inner, fastnn.Dense(3, "softmax")])
    assert outer.training and not inner.training  # each has its own mode, until train() or eval() of the whole
    outer.compile(fastnn.optim.SGD(lr=0.0), "sparse_categorical_crossentropy")
    losses = [outer.train_on_batch(X, LABELS) for _ in range(4)]
    assert len(set(map(float, np.ravel(losses)))) > 1  # fit trains all of it
    assert not any(m.training for m in outer.modules())
    outer.train()
    assert inner.training and inner[0].training


def test_captured_steps_follow_the_mode() -> None:
    model = fastnn.Sequential([fastnn.Dropout(0.5), fastnn.Dense(3, input_shape=(6,))])
    model.compile("sgd", "mse")
    step = fastnn.capture(lambda x: model(x).sum().detach())
    x = fastnn.tensor(X)
    for training in (False, True, False, True):
        model.train(training)
        values = {step(x).item() for _ in range(5)}
        assert (len(values) > 1) is training
    assert {step(x).item() for _ in range(3)} != {model(x, training=False).sum().item()}


def test_evaluation_mode_of_the_model_does_not_keep_fit_from_recording() -> None:
    model = fastnn.Sequential([fastnn.Dropout(0.5), fastnn.Dense(3, activation="softmax", input_shape=(6,))])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.eval()
    for _ in range(4):
        model.train_on_batch(X, LABELS)
    (step,) = model._compiled.batch_steps.values()
    assert step.recorded is not None and not model.training
    with fastnn.nn.module.mode(training=True):
        assert step.recorded.fits()
