"""compile, fit, evaluate and predict: Keras's rules, and what training leaves behind."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifiers import LABELS, ONE_HOT, VALUES, X, classifier

import fastnn

rng = np.random.default_rng(1)


def test_fit_returns_the_history() -> None:
    model = classifier()
    history = model.fit(X, LABELS, epochs=5, batch_size=8, validation_data=(X, LABELS), verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.epoch == [0, 1, 2, 3, 4]
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.history is history


@pytest.mark.parametrize(
    ("loss", "y", "units", "activation"),
    [
        ("sparse_categorical_crossentropy", LABELS, 3, "softmax"),
        ("sparse_categorical_crossentropy", LABELS[:, None].astype(np.float64), 3, "softmax"),
        ("categorical_crossentropy", ONE_HOT, 3, "softmax"),
        ("binary_crossentropy", (LABELS == 1).astype(int), 1, "sigmoid"),
        ("binary_crossentropy", ONE_HOT, 3, "sigmoid"),
        ("mse", VALUES, 1, None),
        ("mse", VALUES[:, 0], 1, None),
        (fastnn.nn.CrossEntropyLoss(), LABELS, 3, None),
        (fastnn.nn.MSELoss(), VALUES, 1, None),
        (fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, 3, None),
        (lambda t, p: ((p - t) * (p - t)).mean(), VALUES, 1, None),
    ],
)
def test_losses_learn(loss: Any, y: Any, units: int, activation: Any) -> None:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(16, activation="tanh"), fastnn.Dense(units, activation=activation)])
    model.compile(fastnn.optim.Adam(lr=0.02), loss)
    losses = model.fit(X, y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]


def test_every_epoch_sees_every_sample_once() -> None:
    model = fastnn.Sequential([fastnn.Dense(1, use_bias=False, kernel_initializer="zeros", input_shape=(1,))])
    model.compile(fastnn.optim.SGD(lr=0.0), "mse")
    y = np.arange(50.0)[:, None]
    for batch_size in (1, 7, 32, 50, 64):
        loss = model.fit(np.zeros((50, 1)), y, batch_size=batch_size, epochs=3, verbose=0).history["loss"]
        np.testing.assert_allclose(loss, np.mean(y**2), rtol=1e-5)


def test_validation_split_is_the_last_part_before_shuffling() -> None:
    y = np.concatenate([np.zeros(40), np.full(10, 7.0)])
    model = fastnn.Sequential([fastnn.Dense(1, kernel_initializer="zeros", input_shape=(6,))])
    model.compile(fastnn.optim.SGD(lr=0.0), "mse")
    history = model.fit(X, y, validation_split=0.2, verbose=0).history
    assert history["loss"] == [0.0] and history["val_loss"] == [49.0]


def test_sample_and_class_weights_count_as_in_keras() -> None:
    model = classifier(optimizer=fastnn.optim.SGD(lr=0.0))
    p = model.predict(X)
    each = -np.log(p[np.arange(50), LABELS])
    w = rng.uniform(0, 2, 50)
    assert model.evaluate(X, LABELS, sample_weight=w)[0] == pytest.approx((w * each).mean(), rel=1e-5)
    logs = model.train_on_batch(X, LABELS, sample_weight=w, return_dict=True)
    assert logs["loss"] == pytest.approx((w * each).mean(), rel=1e-5)
    weights = {0: 0.5, 1: 2.0}
    cw = np.array([0.5, 2.0, 1.0])[LABELS]
    loss = model.fit(X, LABELS, batch_size=50, class_weight=weights, verbose=0).history["loss"][0]
    assert loss == pytest.approx((cw * each).mean(), rel=1e-5)


def test_weighted_training_ignores_rows_of_weight_zero() -> None:
    w = (np.arange(50) < 25).astype(float)
    a, b = classifier(optimizer="sgd"), classifier(optimizer="sgd")
    y = LABELS.copy()
    y[25:] = (y[25:] + 1) % 3
    for model, labels in ((a, LABELS), (b, y)):
        model.fit(X, labels, sample_weight=w, epochs=2, batch_size=50, shuffle=False, verbose=0)
    for v, u in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(v, u)


def test_returns_of_batch_methods() -> None:
    model = classifier()
    loss, accuracy = model.train_on_batch(X, LABELS)
    assert isinstance(loss, float) and 0 <= accuracy <= 1
    assert set(model.test_on_batch(X, LABELS, return_dict=True)) == {"loss", "accuracy"}
    assert isinstance(classifier(metrics=None).evaluate(X, LABELS), float)
    assert type(model.predict_on_batch(X)) is np.ndarray
    assert model.test_on_batch(X, LABELS) == pytest.approx(model.evaluate(X, LABELS, batch_size=7), rel=1e-5)


def test_predict_does_not_depend_on_the_batch_size() -> None:
    model = classifier()
    np.testing.assert_allclose(model.predict(X), model.predict(X, batch_size=3), rtol=1e-5)


def test_predict_before_any_shape_is_known() -> None:
    model = fastnn.Sequential([fastnn.Dense(3)])
    with pytest.raises(RuntimeError, match="input shape is unknown"):
        model.predict(X)


def test_seed_makes_training_repeatable() -> None:
    def weights() -> list[np.ndarray]:
        fastnn.seed(5)
        model = fastnn.Sequential([fastnn.Dense(8, input_shape=(6,)), fastnn.Dropout(0.2), fastnn.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(X, LABELS, epochs=3, verbose=0)
        return model.get_weights()

    for a, b in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_hand_written_models_fit_eagerly_and_captured() -> None:
    class Net(fastnn.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = fastnn.nn.Linear(6, 8)
            self.b = fastnn.nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x).relu())

    results = []
    for capture in (False, True):
        fastnn.seed(2)
        model = Net()
        model.compile("adam", fastnn.nn.CrossEntropyLoss(), ["accuracy"], capture=capture)
        results.append((model.fit(X, LABELS, epochs=4, verbose=0).history, model.get_weights()))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1][0], results[1][1][0])


def test_metrics_given_as_functions() -> None:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(6,))])
    model.compile("sgd", "mse", ["mae", lambda t, p: abs(t - p)])
    logs = model.evaluate(X, VALUES, return_dict=True)
    assert (
        logs["mae"]
        == pytest.approx(logs["<lambda>"], rel=1e-5)
        == pytest.approx(np.abs(model.predict(X) - VALUES).mean(), rel=1e-4)
    )


def test_models_can_be_copied_and_pickled_in_the_middle_of_training() -> None:
    model = classifier()
    model.fit(X, LABELS, epochs=2, verbose=0)
    twins = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for _ in range(3):
        model.train_on_batch(X, LABELS)
    for twin in twins:
        assert twin.optimizer.iterations == 4
        for _ in range(3):
            twin.train_on_batch(X, LABELS)
        for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_two_models_may_share_a_layer() -> None:
    shared = fastnn.Dense(4, input_shape=(6,))
    a = fastnn.Sequential([shared, fastnn.Dense(3, activation="softmax")])
    b = fastnn.Sequential([shared, fastnn.Dense(1)])
    a.compile("sgd", "sparse_categorical_crossentropy")
    b.compile("sgd", "mse")
    for _ in range(3):
        before = shared.kernel.numpy().copy()
        a.fit(X, LABELS, verbose=0)
        assert (shared.kernel.numpy() != before).any()
        before = shared.kernel.numpy().copy()
        b.fit(X, VALUES, verbose=0)
        assert (shared.kernel.numpy() != before).any()
    assert a.weights[0] is b.weights[0]


def test_float64_models_train_in_float64() -> None:
    model = fastnn.Sequential([fastnn.Dense(4, activation="tanh", input_shape=(6,)), fastnn.Dense(1)], dtype="float64")
    model.compile("adam", "mse")
    model.fit(X, VALUES, epochs=2, verbose=0)
    assert model.predict(X).dtype == np.float64 and all(w.dtype == np.float64 for w in model.get_weights())


def test_verbose_is_a_line_an_epoch_when_not_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    classifier().fit(X, LABELS, epochs=2, verbose=0)
    assert capfd.readouterr() == ("", "")
    for verbose in ("auto", 2):
        classifier().fit(X, LABELS, epochs=2, verbose=verbose)
        out = capfd.readouterr().out
        assert out.count("\n") == 2 and "Epoch 2/2" in out and "accuracy" in out


def test_fit_is_the_same_on_reference_and_compiled_kernels(tmp_path: Path) -> None:
    histories = []
    for name, b in fastnn.backends().items():
        if b.available:
            with fastnn.use_backend(name):
                model = classifier()
                fastnn.seed(1)
                histories.append(model.fit(X, LABELS, epochs=5, verbose=0).history["loss"])
    for h in histories[1:]:
        np.testing.assert_allclose(h, histories[0], rtol=1e-4)


def test_a_model_without_compile_says_so() -> None:
    with pytest.raises(RuntimeError, match="not compiled"):
        fastnn.Sequential([fastnn.Dense(2)]).fit(X, LABELS)


def test_check_finite_names_the_layer() -> None:
    x = X.copy()
    x[7, 2] = np.inf
    model = classifier()
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match=r"output of layer 0 \(Dense\) is not finite"):
        model.fit(x, LABELS, batch_size=50, check_finite=True, check_data=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(6,)), fastnn.Dense(1, activation="exponential")])
    model.compile(fastnn.optim.SGD(lr=1e6), "mse")
    with pytest.raises(FloatingPointError, match=r"layer 1|gradient of|the loss is"):
        model.fit(X, VALUES, epochs=20, check_finite=True, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert model.predict(X).shape == (50, 1)


def test_check_finite_leaves_a_forward_of_the_users_own() -> None:
    model = classifier()
    forward, calls = model[0].forward, []
    model[0].forward = own = lambda x: calls.append(1) or forward(x)
    model.fit(X, LABELS, check_finite=True, verbose=0)
    assert model[0].forward is own and calls


def test_an_optimizer_belongs_to_one_model() -> None:
    a, b = classifier(), classifier()
    optimizer = fastnn.optim.Adam(lr=0.1)
    for model in (a, b):
        model.compile(optimizer, "sparse_categorical_crossentropy")
    a.fit(X, LABELS, verbose=0)
    b.compile(optimizer, "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="another model"):
        b.fit(X, LABELS, verbose=0)


def test_layers_added_later_are_trained() -> None:
    model = fastnn.Sequential([fastnn.Dense(4, input_shape=(6,))])
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((50, 4)), verbose=0)
    model.add(fastnn.Dense(1))
    before = model.get_weights()[2]
    model.compile("sgd", "mse")
    model.fit(X, VALUES, verbose=0)
    assert (model.get_weights()[2] != before).any()


def test_predictions_are_the_caller_s_own() -> None:
    x = np.ones((2, 3), np.float32)
    fastnn.Sequential([fastnn.Flatten(input_shape=(3,))]).predict(x)[:] = 7
    assert (x == 1).all()


def test_a_model_whose_layers_are_all_frozen() -> None:
    model = classifier()
    before = model.get_weights()
    model.trainable = False
    model.fit(X, LABELS, verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    layer = fastnn.Dense(3)
    layer.trainable = False
    layer(X)
    assert not layer.kernel.requires_grad


@pytest.mark.filterwarnings("ignore:CrossEntropyLoss takes logits")  # the classifier ends with a softmax
def test_losses_of_nn_in_fit() -> None:
    labels = LABELS.copy()
    labels[:10] = -100
    model = classifier(loss=fastnn.nn.CrossEntropyLoss, metrics=None)
    model.fit(X, labels, verbose=0)
    model.fit(X, ONE_HOT, verbose=0)
    with pytest.raises(ValueError, match="reduction='none'"):
        classifier(loss=fastnn.nn.MSELoss(reduction="none"))
    with pytest.raises(ValueError, match="one-hot rows: categorical_crossentropy"):
        classifier().fit(X, ONE_HOT)
    model = classifier(loss=lambda y, p: -(p.log().gather(1, y.reshape(-1, 1))).mean(), metrics=None)
    assert np.isfinite(model.fit(X, LABELS, epochs=2, verbose=0).history["loss"]).all()


def test_bad_callbacks_and_epochs_are_refused() -> None:
    model = classifier()
    with pytest.raises(TypeError, match="callbacks contains a builtin_function"):
        model.fit(X, LABELS, callbacks=print)
    with pytest.raises(ValueError, match="initial_epoch is -1"):
        model.fit(X, LABELS, initial_epoch=-1)


def test_an_optimizer_that_is_compiled_again_takes_new_layers() -> None:
    model = fastnn.Sequential([fastnn.Dense(4, input_shape=(X.shape[1],))])
    model.compile("sgd", "mse")
    model.fit(X, np.ones((len(X), 4)))
    model.add(fastnn.Dense(2))
    model.compile(model.optimizer, "mse")
    before = model.get_weights()
    model.fit(X, np.ones((len(X), 2)))
    assert all((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))


def test_a_model_cannot_hold_itself() -> None:
    model = fastnn.Sequential([fastnn.Dense(2)])
    with pytest.raises(ValueError, match="a layer of itself"):
        model.add(fastnn.Sequential([model]))
