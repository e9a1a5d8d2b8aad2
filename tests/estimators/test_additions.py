"""What the estimators do beyond scikit-learn's: layers, losses, optimizers, class weights, callbacks, spread of predictions."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.metrics import recall_score

import fastnn
from fastnn.replay.plan import run_in_turn
from fastnn.sklearn import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor, steps

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
CLASSES = np.array(["ant", "bee", "cow"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
PAIR = np.where(X[:, 0] > X[:, 1], "yes", "no")
NUMBER = X[:, 0] + 0.1 * RNG.standard_normal(120)


def test_dropout_and_batch_norm_are_layers_and_spread_predictions() -> None:
    net = MLPClassifier((8, 8), dropout=0.2, batch_norm=True, max_iter=30, random_state=0).fit(X, CLASSES)
    kinds = [type(layer).__name__ for layer in net.model_.layers]
    assert kinds == ["Dense", "BatchNormalization", "Activation", "Dropout"] * 2 + ["Dense"]
    mean, std = net.predict_proba(X, return_std=True, n_draws=20)
    assert mean.shape == std.shape == (120, 3) and (std > 0).all()
    np.testing.assert_allclose(mean.sum(axis=1), 1, atol=1e-5)
    again = net.predict_proba(X, return_std=True, n_draws=20)
    np.testing.assert_array_equal(again[1], std)  # random_state is a number
    regressor = MLPRegressor(hidden_layer_sizes=8, dropout=0.5, max_iter=20, random_state=0).fit(X, NUMBER)
    mean, std = regressor.predict(X, return_std=True)
    assert mean.shape == std.shape == (120,) and (std > 0).all()


def test_no_spread_without_dropout() -> None:
    with pytest.raises(ValueError, match=r"dropout=0\.1"):
        MLPRegressor(max_iter=2).fit(X, NUMBER).predict(X, return_std=True)


def test_quantiles() -> None:
    loss = fastnn.losses.Quantile([0.1, 0.5, 0.9])
    net = MLPRegressor(loss, (16,), max_iter=300, learning_rate_init=0.02, random_state=0, early_stopping=True).fit(X, NUMBER)
    low, middle, high = net.predict(X).T
    assert 0.6 < ((low < NUMBER) & (high > NUMBER)).mean() < 0.99
    assert net.score(X, NUMBER) == pytest.approx(
        1 - ((NUMBER - middle) ** 2).sum() / ((NUMBER - NUMBER.mean()) ** 2).sum(), abs=1e-5
    )
    with pytest.raises(ValueError, match="several quantiles"):
        MLPRegressor(loss).fit(X, np.stack([NUMBER, NUMBER], axis=1))


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie", fastnn.losses.Tweedie(1.2, log_input=True)])
def test_losses_of_positive_means(loss: Any) -> None:
    y = np.exp(NUMBER)
    net = MLPRegressor(loss, (16,), max_iter=200, learning_rate_init=0.02, random_state=0).fit(X, y)
    assert (net.predict(X) > 0).all() and net.score(X, y) > 0.8


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "mae", fastnn.losses.LogCosh(), fastnn.nn.SmoothL1Loss()])
def test_other_losses_of_numbers(loss: Any) -> None:
    assert MLPRegressor(loss, (16,), max_iter=150, learning_rate_init=0.02, random_state=0).fit(X, NUMBER).score(X, NUMBER) > 0.8


def test_a_mean_and_its_deviation() -> None:
    net = MLPRegressor("gaussian_nll", (16,), max_iter=200, learning_rate_init=0.02, random_state=0).fit(X, NUMBER)
    mean, std = net.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, net.predict(X))
    assert 0.02 < std.mean() < 0.3 and net.score(X, NUMBER) > 0.9


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("categorical_focal_crossentropy", CLASSES),
        ("sparse_categorical_crossentropy", CLASSES),
        (fastnn.losses.CategoricalCrossentropy(label_smoothing=0.1), CLASSES),
        (fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), CLASSES),
        (fastnn.nn.CrossEntropyLoss(), CLASSES),
        ("binary_focal_crossentropy", PAIR),
        (fastnn.losses.BinaryCrossentropy(from_logits=True), PAIR),
        (lambda t, p: (t - p) ** 2, PAIR),
        (lambda t, p: (t - p) ** 2, CLASSES),
    ],
)
def test_losses_of_classes(loss: Any, y: Any) -> None:
    net = MLPClassifier((16,), loss=loss, max_iter=150, learning_rate_init=0.02, random_state=0).fit(X, y)
    assert net.score(X, y) > 0.8
    p = net.predict_proba(X)
    assert p.shape == (120, len(net.classes_)) and p.min() >= 0
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", fastnn.optim.RMSprop, fastnn.optim.AdamW(lr=0.02, weight_decay=0.01), "lbfgs"])
def test_optimizers(optimizer: Any) -> None:
    net = MLPClassifier((8,), optimizer=optimizer, learning_rate_init=0.02, max_iter=60, random_state=0)
    assert net.fit(X, PAIR).score(X, PAIR) > 0.9
    first = net.coefs_[0].copy()
    np.testing.assert_array_equal(net.fit(X, PAIR).coefs_[0], first)  # the object that was given does not change


def test_class_weights_find_more_of_a_rare_class() -> None:
    y = np.where(X[:, 0] + 0.5 * RNG.standard_normal(120) > 1.3, "rare", "usual")
    found = [
        recall_score(
            y, MLPClassifier((), class_weight=w, max_iter=200, learning_rate_init=0.05).fit(X, y).predict(X), pos_label="rare"
        )
        for w in (None, "balanced", {"rare": 20.0, "usual": 1.0})
    ]
    assert found[0] < found[1] <= found[2]
    with pytest.raises(ValueError, match="balanced"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=["rare", "usual"])


def test_callbacks_see_the_loss_and_the_score() -> None:
    seen: list[dict[str, float]] = []

    class Seen(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen.append(dict(logs))
            self.model.stop_training = epoch == 4

    callback = Seen()
    net = MLPClassifier(max_iter=20, callbacks=callback).fit(X[:80], PAIR[:80], validation_data=(X[80:], PAIR[80:]))
    assert net.n_iter_ == 5 and seen[0].keys() == {"loss", "val_loss", "val_score"} and callback.model is None
    assert [logs["val_score"] for logs in seen] == net.validation_scores_


def test_another_backend() -> None:
    given: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, "dtype": "float64"}
    a, b = MLPClassifier(**given, backend="numpy").fit(X, PAIR), MLPClassifier(**given).fit(X, PAIR)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-6)
    with pytest.raises(ValueError, match="nonsense"):
        MLPClassifier(backend="nonsense").fit(X, PAIR)


def cnn(n_features: Any, n_outputs: int) -> fastnn.Module:
    assert n_features == (8, 8, 1)
    return fastnn.Sequential([fastnn.Conv2D(4, 3, activation="relu"), fastnn.Flatten(), fastnn.Dense(n_outputs)])


def softmax_net(n_features: Any, n_outputs: int) -> fastnn.Module:
    return fastnn.Sequential([fastnn.Dense(8, "tanh"), fastnn.Dense(n_outputs, "softmax")])


class TwoLogits(fastnn.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = fastnn.nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return self.layer(x)


def test_images_and_series() -> None:
    images = RNG.standard_normal((60, 8, 8, 1))
    y = images.mean(axis=(1, 2, 3)) > 0
    images[y] += 1
    net = NetClassifier(cnn, max_iter=40, learning_rate_init=0.01, random_state=0).fit(images, y)
    assert net.score(images, y) > 0.95 and net.predict(images).dtype == bool
    series = RNG.standard_normal((60, 6, 2))
    lstm = NetRegressor(
        lambda n, outputs: fastnn.Sequential([fastnn.LSTM(8), fastnn.Dense(outputs)]), max_iter=80, learning_rate_init=0.03
    )
    assert lstm.fit(series, series[:, -1]).score(series, series[:, -1]) > 0.8


def test_probabilities_and_logits_are_told_apart() -> None:
    for module, y in ((softmax_net, CLASSES), (TwoLogits(), PAIR), (None, CLASSES), (None, PAIR)):
        net = NetClassifier(module, max_iter=100, learning_rate_init=0.05, random_state=0).fit(X, y)
        p = net.predict_proba(X)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
        assert p.shape == (120, len(net.classes_)) and net.score(X, y) > 0.85


def test_a_model_that_is_given_is_not_changed() -> None:
    model = TwoLogits()
    before = model.get_weights()
    net = NetClassifier(model, max_iter=5).fit(X, PAIR)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert (net.model_.get_weights()[0] != before[0]).any()


def test_models_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="2 outputs for 3 classes"):
        NetClassifier(TwoLogits()).fit(X, CLASSES)
    with pytest.raises(ValueError, match="has 2 outputs, wanted 1"):
        NetRegressor(TwoLogits()).fit(X, NUMBER)
    with pytest.raises(TypeError, match="returned a str"):
        NetRegressor(lambda n, outputs: "net").fit(X, NUMBER)


def test_random_numbers_are_the_estimators_own() -> None:
    fastnn.seed(3)
    a = fastnn.rand(1).item()
    fastnn.seed(3)
    nets = [MLPClassifier((6,), max_iter=4, batch_size=16, dropout=0.2, random_state=1).fit(X, PAIR) for _ in range(2)]
    assert fastnn.rand(1).item() == a
    np.testing.assert_array_equal(nets[0].coefs_[0], nets[1].coefs_[0])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_size": 32, "early_stopping": True},
        {"batch_size": 32, "dropout": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 1},
        {"optimizer": "schedulefreeadamw", "dropout": 0.1},
        {"optimizer": fastnn.optim.SGD(lr=fastnn.schedules.CosineDecay(0.1, 60)), "batch_size": 50, "shuffle": False},
    ],
)
def test_fits_with_and_without_callbacks_are_the_same(settings: dict[str, Any]) -> None:
    alone, watched = (
        MLPClassifier((8,), max_iter=40, random_state=0, callbacks=callbacks, **settings).fit(X, CLASSES)
        for callbacks in (None, fastnn.callbacks.Callback())
    )
    assert alone.loss_curve_ == watched.loss_curve_ and alone.n_iter_ == watched.n_iter_
    for a, b in zip(alone.model_.get_weights(), watched.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_of_several_batches_run_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []

    def counted(recorded: Any, last: Any, n: int) -> None:
        rounds.append(n)
        run_in_turn(recorded, last, n)

    monkeypatch.setattr(steps, "run_in_turn", counted)
    monkeypatch.setattr(steps, "SLICE", 100.0)  # seconds, so that slow epochs run in one call too
    net = MLPClassifier((8,), batch_size=32, max_iter=40, n_iter_no_change=9, tol=0, random_state=0).fit(X, CLASSES)
    assert max(rounds) == 10 and net.n_iter_ == len(net.loss_curve_) == 40
