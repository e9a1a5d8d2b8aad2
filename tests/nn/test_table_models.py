"""Models of tables: training of all members by fit, recorded steps, predictions, gradients, files and frozen models."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.models import TabM, TabularResidual
from fastnn.training.step import TrainStep

rng = np.random.default_rng(0)
X = rng.standard_normal((96, 4)).astype(np.float32)
LABELS = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
Y = (X[:, :2] * X[:, 2:]).astype(np.float32)
SMALL: dict[str, int] = {"width": 8, "depth": 2}
MODELS: list[Any] = [lambda *a, **how: TabM(*a, k=4, **how), TabularResidual]
each_model = pytest.mark.parametrize("make", MODELS, ids=["TabM", "TabularResidual"])


def members_loss(model: TabM, y: Any, loss: Any, weight: Any = None) -> Any:
    """The mean of the losses of the members, one after the other."""
    outputs = model.members(fastnn.tensor(X.astype(model.dtype)))
    return sum(loss(y, outputs[i], weight) for i in range(model.k)) / model.k


@pytest.mark.parametrize("how", ["labels", "numbers", "weights", "sum", "probabilities"])
def test_fit_trains_each_member_on_its_own_output(how: str) -> None:
    """A step of fit is a step down the gradient of the mean of the members' losses; it is recorded and equals the loop."""
    losses = fastnn.losses
    y, act, loss = {
        "labels": (LABELS, "softmax", losses.SparseCategoricalCrossentropy()),
        "numbers": (Y, None, losses.MeanSquaredError()),
        "weights": (LABELS, None, losses.SparseCategoricalCrossentropy(from_logits=True)),
        "sum": (Y, None, losses.MeanAbsoluteError(reduction="sum")),
        "probabilities": (LABELS[:, None], "sigmoid", losses.BinaryCrossentropy()),
    }[how]
    outputs = 1 if how == "probabilities" else 2
    weight = rng.random(len(X)).astype(np.float32) if how == "weights" else None
    steps: list[TrainStep] = []
    fastnn.seed(0)
    a = TabM(4, outputs, k=3, dropout=0.0, output_activation=act, dtype="float64", **SMALL)
    b = copy.deepcopy(a)
    a.compile(fastnn.optim.SGD(lr=0.01), loss)
    make = a._train_step
    object.__setattr__(a, "_train_step", lambda *args: steps.append(make(*args)) or steps[-1])
    logs = a.fit(X, y, batch_size=96, epochs=5, verbose=0, sample_weight=weight).history["loss"]
    assert [step.why_eager for step in steps] == [""] and steps[0].recorded is not None
    optimizer, losses = fastnn.optim.SGD(b.parameters(), lr=0.01), []
    for _ in range(5):
        optimizer.zero_grad()
        value = members_loss(b, y, loss, weight)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    np.testing.assert_allclose(logs, losses, rtol=1e-9)
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-7, atol=1e-12)


@each_model
def test_training_learns_and_steps_are_recorded(make: Any) -> None:
    fastnn.seed(0)
    steps: list[TrainStep] = []
    model = make(4, 2, output_activation="softmax", width=16, depth=2)
    model.compile(fastnn.optim.AdamW(lr=0.01), "sparse_categorical_crossentropy", ["accuracy"])
    made = model._train_step
    object.__setattr__(model, "_train_step", lambda *args: steps.append(made(*args)) or steps[-1])
    history = model.fit(X, LABELS, batch_size=32, epochs=60, verbose=0, validation_split=0.25).history
    assert steps and all(step.recorded is not None and not step.why_eager for step in steps)
    assert history["loss"][-1] < 0.35 < history["loss"][0] and history["accuracy"][-1] > 0.9
    assert history["val_accuracy"][-1] > 0.7


def test_a_prediction_is_the_mean_of_the_probabilities_of_the_members() -> None:
    model = TabM(4, 3, k=5, output_activation="softmax", **SMALL).eval()
    each = model.members(X).numpy()
    assert each.shape == (5, 96, 3)
    np.testing.assert_allclose(each.sum(-1), 1, rtol=1e-5)
    assert each.std(0).max() > 0.01, "members start as different functions"
    np.testing.assert_allclose(model(X).numpy(), each.mean(0), rtol=1e-5)
    model.compile("sgd", "sparse_categorical_crossentropy")
    np.testing.assert_allclose(model.predict(X), each.mean(0), rtol=1e-5)
    mean = -np.log(each.mean(0)[np.arange(96), LABELS]).mean()
    np.testing.assert_allclose(model.evaluate(X, LABELS, verbose=0), mean, rtol=1e-5)


def test_members_are_what_nets_with_their_weights_compute() -> None:
    model = TabM(4, 2, k=3, activation="tanh", dtype="float64", **SMALL).eval()
    found = model.members(X.astype(np.float64)).numpy()
    for i in range(3):
        h = X.astype(np.float64)
        for layer in model.layers:
            kernel = layer.r.numpy()[i][:, None] * layer.kernel.numpy() * layer.s.numpy()[i]
            h = np.tanh(h @ kernel + layer.bias.numpy()[i])
        np.testing.assert_allclose(found[i], h @ model.kernel.numpy()[i] + model.bias.numpy()[i], rtol=1e-10, atol=1e-12)


def test_members_drop_on_their_own() -> None:
    model = TabM(4, 8, k=6, dropout=0.5, **SMALL).train()
    with fastnn.no_grad():
        for layer in model.layers:
            layer.r.copy_(np.ones(layer.r.shape, np.float32))
            layer.bias.copy_(np.ones(layer.bias.shape, np.float32))
        model.kernel.copy_(np.tile(np.eye(8, dtype=np.float32), (6, 1, 1)))
    dropped = model.members(X[:1]).numpy()
    assert len(np.unique(dropped == model.bias.numpy(), axis=0)) > 1


@each_model
def test_gradients_are_those_of_differences(make: Any) -> None:
    fastnn.seed(1)
    model = make(4, 2, activation="tanh", dropout=0.0, dtype="float64", **SMALL).eval()
    assert fastnn.gradcheck(model, X[:5])
    if isinstance(model, TabM):
        assert fastnn.gradcheck(model.train(), X[:5])


@each_model
def test_files_copies_and_frozen_models_predict_the_same(make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(4, 2, output_activation="softmax", dropout=0.25, **SMALL)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, LABELS, epochs=2, verbose=0)
    wanted = model.predict(X)
    model.save(tmp_path / "m")
    for twin in (fastnn.load(tmp_path / "m"), copy.deepcopy(model)):
        assert twin.get_config() == model.get_config() and repr(twin) == repr(model)
        np.testing.assert_array_equal(twin.predict(X), wanted)
        twin.fit(X, LABELS, epochs=1, verbose=0)
    np.testing.assert_allclose(model.freeze(batch_size=8)(X[:8]), wanted[:8], atol=1e-6)
    new = type(model).from_config(model.get_config())
    new.set_weights(model.get_weights())
    for own, other in zip(new.buffers(), model.buffers(), strict=True):
        own.copy_(other.numpy())
    np.testing.assert_allclose(new.eval()(X).numpy(), wanted, atol=1e-6)
    model.summary()
    assert f"{sum(p.size for p in model.parameters())} parameters" in capsys.readouterr().out


@each_model
def test_the_reference_computes_the_same(make: Any) -> None:
    fastnn.seed(0)
    model = make(4, 2, dropout=0.0, output_activation="softmax", **SMALL)
    twin = copy.deepcopy(model)
    results = []
    for backend, net in (("numpy", model), ("cpp", twin)):
        with fastnn.use_backend(backend):
            net.compile(fastnn.optim.SGD(lr=0.1), "sparse_categorical_crossentropy")
            net.fit(X, LABELS, epochs=3, shuffle=False, verbose=0)
            results.append(net.predict(X))
    np.testing.assert_allclose(*results, atol=1e-5)


def test_a_model_that_ends_with_tabm_trains_its_members() -> None:
    losses = []
    for end in (False, True):
        fastnn.seed(0)
        first, last = fastnn.Dense(6, "tanh", input_shape=(4,)), TabM(6, 2, k=4, dropout=0.0, **SMALL)
        layers = [first, last]
        model: Any = fastnn.Sequential(layers)
        if end:
            x = fastnn.Input((4,))
            model = fastnn.Model(x, last(first(x)))
        h = first(X)
        each = last.members(h).numpy()
        model.compile(fastnn.optim.SGD(lr=0.0), "mse")
        losses.append(model.fit(X, Y, batch_size=96, verbose=0).history["loss"][0])
        np.testing.assert_allclose(losses[-1], ((each - Y) ** 2).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TabM(0, 2), ValueError, "TabM: n_features"),
        (lambda: TabM(3, 2, k=0), ValueError, "TabM: k"),
        (lambda: TabM(3, 2, activation="rellu"), ValueError, "relu"),
        (lambda: TabM(3, 2, activation=np.tanh), TypeError, "TabM: activation is a ufunc, wanted the name of an activation"),
        (lambda: TabM(3, 2, dtype="int64"), TypeError, "float32 or float64"),
        (lambda: TabM(3, 2, dropout=2.0), ValueError, "TabM: dropout"),
        (lambda: TabularResidual(3, 2, norm="none"), ValueError, "wanted one of 'batch', 'layer'"),
        (lambda: TabularResidual(3, 2)(X), ValueError, "3"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
