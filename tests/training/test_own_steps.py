"""train_step, test_step and predict_step of a class of the user's own, as in Keras."""

import copy
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
W = rng.uniform(0.5, 2.0, 40).astype(np.float32)


def _layers() -> list[Any]:
    return [fastnn.Dense(4, activation="tanh", input_shape=(3,)), fastnn.Dense(1, activation="sigmoid")]


class Super(fastnn.Sequential):
    """Calls what it overrides."""

    def train_step(self, data: Any) -> Any:
        return {**super().train_step(data), "rows": len(data[0])}

    def test_step(self, data: Any) -> Any:
        return super().test_step(data)

    def predict_step(self, data: Any) -> Any:
        return super().predict_step(data)


class ByHand(fastnn.Sequential):
    """Keras's example, with PyTorch's way to gradients."""

    def train_step(self, data: Any) -> Any:
        x, y, *weight = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(x, y, y_pred, weight[0] if weight else None)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, len(x))
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


class Compute(fastnn.Sequential):
    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, **_: Any) -> Any:
        each = -(y * fastnn.log(y_pred) + (1 - y) * fastnn.log(1 - y_pred))
        return each.mean() if sample_weight is None else (each[:, 0] * sample_weight).mean()


def _of(cls: Any, loss: Any = "binary_crossentropy", **how: Any) -> Any:
    fastnn.seed(0)
    model = cls(_layers())
    model.compile(fastnn.optim.SGD(lr=0.1), loss, metrics=["accuracy", "auc"])
    history = model.fit(X, Y, epochs=3, batch_size=16, verbose=0, **how).history
    return model, history


@pytest.mark.parametrize("cls", [Super, ByHand, Compute])
@pytest.mark.parametrize("how", [{}, {"validation_split": 0.25}, {"sample_weight": W}], ids=["plain", "validation", "weights"])
def test_steps_of_ones_own_do_what_fit_does(cls: Any, how: Any) -> None:
    plain, wanted = _of(fastnn.Sequential, **how)
    model, history = _of(cls, **how)
    if cls is Super:
        rows = np.array(history.pop("rows"))
        assert (rows > 10).all()  # averaged by rows
    for name, values in wanted.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-4)
    np.testing.assert_allclose(model.evaluate(X, Y, batch_size=7), plain.evaluate(X, Y), rtol=1e-4)
    np.testing.assert_allclose(model.test_on_batch(X, Y), plain.test_on_batch(X, Y), rtol=1e-4)
    ours, theirs = (m.train_on_batch(X, Y, return_dict=True) for m in (model, plain))
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=1e-4)


def test_a_second_batch_of_the_same_size_is_another() -> None:
    kept: list[Any] = []

    class Keeps(fastnn.Sequential):
        def train_step(self, data: Any) -> Any:
            kept.append(data)
            return {}

    model = Keeps(_layers())
    model.compile("adam", "mse")
    history = model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, sample_weight=W).history
    assert history == {}
    for part, (x, y, w) in enumerate(kept):
        at = slice(8 * part, 8 * part + 8)
        assert np.array_equal(x.numpy(), X[at]) and np.array_equal(y.numpy()[:, 0], Y[at]) and np.array_equal(w.numpy(), W[at])


class GAN(nn.Module):
    """Keras's example of a GAN: no forward, no loss, two optimizers, metrics of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = fastnn.Sequential([fastnn.Dense(8, activation="tanh", input_shape=(2,)), fastnn.Dense(3)])
        self.discriminator = fastnn.Sequential([fastnn.Dense(8, activation="tanh", input_shape=(3,)), fastnn.Dense(1)])
        self.d_loss_metric = fastnn.metrics.Mean(name="d_loss")
        self.g_loss_metric = fastnn.metrics.Mean(name="g_loss")

    def compile(self, d_optimizer: Any, g_optimizer: Any, loss_fn: Any) -> None:  # type: ignore[override]
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    @property
    def metrics(self) -> Any:
        return [self.d_loss_metric, self.g_loss_metric]

    def train_step(self, real: Any) -> Any:
        n = len(real)
        fake = self.generator(fastnn.randn(n, 2))
        labels = fastnn.concatenate([fastnn.ones((n, 1)), fastnn.zeros((n, 1))])
        d_loss = self.loss_fn(self.discriminator(fastnn.concatenate([fake.detach(), real])), labels)
        self.d_optimizer.zero_grad()
        d_loss.backward()
        self.d_optimizer.step()
        g_loss = self.loss_fn(self.discriminator(self.generator(fastnn.randn(n, 2))), fastnn.zeros((n, 1)))
        self.g_optimizer.zero_grad()
        g_loss.backward()
        self.g_optimizer.step()
        self.d_loss_metric.update_state(d_loss)
        self.g_loss_metric.update_state(g_loss)
        return {"d_loss": self.d_loss_metric.result(), "g_loss": self.g_loss_metric.result()}


def test_a_gan() -> None:
    fastnn.seed(0)
    gan = GAN()
    gan.compile(
        fastnn.optim.Adam(gan.discriminator.parameters(), lr=0.01),
        fastnn.optim.Adam(gan.generator.parameters(), lr=0.01),
        nn.BCEWithLogitsLoss(),
    )
    before = gan.get_weights()
    history = gan.fit(X, epochs=3, batch_size=16, verbose=0).history
    assert list(history) == ["d_loss", "g_loss"] and np.isfinite(list(history.values())).all()
    assert all(not np.array_equal(a, b) for a, b in zip(before, gan.get_weights(), strict=True))
    assert list(gan.train_on_batch(X, return_dict=True)) == ["d_loss", "g_loss"]
    with pytest.raises(ValueError, match="evaluate: the model was compiled without a loss; define test_step"):
        gan.evaluate(X)


def test_numbers_that_are_no_metrics_are_averaged_by_rows() -> None:
    class Numbers(fastnn.Sequential):
        def train_step(self, data: Any) -> Any:
            x, y = data
            return {"loss": fastnn.mean(x), "rows": float(len(x)), "accuracy": np.float32(y.numpy().mean())}

        def test_step(self, data: Any) -> Any:
            return {"score": len(data[0])}

    model = Numbers(_layers())
    model.compile("adam", "mse", metrics=["accuracy"])
    history = model.fit(X, Y, batch_size=32, verbose=0, validation_data=(X[:10], Y[:10])).history
    assert history["loss"] == pytest.approx([X.mean()], rel=1e-5) and history["accuracy"] == pytest.approx([Y.mean()])
    assert history["rows"] == [(32 * 32 + 8 * 8) / 40]
    assert history["val_score"] == [10] and model.evaluate(X[:10], Y[:10]) == 10


def test_only_the_step_that_is_overridden_is_another() -> None:
    class Tests(fastnn.Sequential):
        def test_step(self, data: Any) -> Any:
            return {"seen": 1.0}

    plain, wanted = _of(fastnn.Sequential)
    model, history = _of(Tests, validation_data=(X, Y))
    assert history.pop("val_seen") == [1.0] * 3
    assert history == wanted
    assert copy.deepcopy(model).evaluate(X, Y, return_dict=True) == {"seen": 1.0}

    class Predicts(fastnn.Sequential):
        def predict_step(self, data: Any) -> Any:
            return 2 * self(data)

    twice = Predicts(_layers())
    twice.set_weights(plain.get_weights())
    for _ in range(4):
        np.testing.assert_allclose(twice.predict(X), 2 * plain.predict(X), rtol=1e-6)


def test_what_is_wrong_is_named() -> None:
    class Nothing(fastnn.Sequential):
        def train_step(self, data: Any) -> Any:
            self.compute_loss(*data, self(data[0]))

    model = Nothing(_layers())
    model.compile("adam", "mse")
    with pytest.raises(TypeError, match=r"Nothing\.train_step returned a NoneType; wanted a dict"):
        model.fit(X, X[:, :1], verbose=0)
    model.compile("adam")
    with pytest.raises(ValueError, match="compute_loss: compile has no loss"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="fit: x has 40 samples, but y has 39"):
        model.fit(X, Y[1:], verbose=0)
    with pytest.raises(ValueError, match="no loss is given"):
        fastnn.Sequential(_layers()).compile("adam")


def test_several_inputs_and_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = fastnn.Dense(1, input_shape=(3,)), fastnn.Dense(1, input_shape=(3,))

        def forward(self, left: Any, right: Any) -> Any:
            return {"sum": self.a(left) + self.b(right), "left": self.a(left)}

    class Own(Two):
        def train_step(self, data: Any) -> Any:
            (left, right), y, _ = data
            assert left.shape == right.shape and list(y) == ["sum", "left"]
            return super().train_step(data)

        def predict_step(self, data: Any) -> Any:
            return super().predict_step(data)

    logs, values = [], []
    for cls in (Two, Own):
        fastnn.seed(0)
        model = cls()
        model.compile(fastnn.optim.SGD(lr=0.1), "mse", metrics={"sum": ["mae"]}, loss_weights={"left": 0.5})
        y = {"sum": X[:, 0], "left": X[:, 1]}
        logs.append(model.fit([X, X[::-1]], y, sample_weight=W, epochs=2, verbose=0).history)
        values.append(model.predict([X, X[::-1]])["sum"])
    assert list(logs[0]) == list(logs[1]) == ["loss", "sum_loss", "left_loss", "sum_mae"]
    for name, wanted in logs[0].items():
        np.testing.assert_allclose(logs[1][name], wanted, rtol=1e-5)
    np.testing.assert_allclose(values[1], values[0], rtol=1e-5)


def test_predict_step_needs_no_compile() -> None:
    class Doubles(fastnn.Sequential):
        def predict_step(self, data: Any) -> Any:
            return 2 * super().predict_step(data)

    model = Doubles(_layers())
    np.testing.assert_allclose(model.predict(X), 2 * model(X).detach().numpy(), rtol=1e-6)


def test_what_predict_step_may_return() -> None:
    class Net(nn.Module):
        gives: Any = None

        def predict_step(self, data: Any) -> Any:
            return self.gives(data)

    x = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    model = Net()
    for gives in (lambda t: t * 2, lambda t: t.numpy() * 2, lambda t: {"a": t, "b": t.numpy() * 2}):
        model.gives = gives
        out = model.predict(x, batch_size=4)
        np.testing.assert_array_equal(out["b"] if isinstance(out, dict) else out, x * 2)
    for wrong, error, match in (
        (lambda t: "a", TypeError, "predict: an output is a str, wanted Tensors or arrays"),
        (lambda t: None, TypeError, "predict: an output is a NoneType"),
        (lambda t: t.sum(), ValueError, r"predict: an output has shape \(\) for 4 samples"),
    ):
        model.gives = wrong
        with pytest.raises(error, match=match):
            model.predict(x, batch_size=4)


def test_what_a_step_returns_has_to_be_numbers() -> None:
    class Net(nn.Module):
        def __init__(self, value: Any) -> None:
            super().__init__()
            self.layer, self.value = nn.Linear(2, 1), value

        def train_step(self, data: Any) -> Any:
            return {"loss": self.value}

    for value, what in (("a", "a str"), (np.ones(3), r"an array of shape \(3,\)")):
        model = Net(value)
        model.compile("sgd")
        with pytest.raises(TypeError, match=rf"^Net.train_step: loss returned {what}; wanted one number$"):
            model.fit(np.ones((6, 2)), np.ones(6), verbose=0)
