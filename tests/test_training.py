"""compile, fit, evaluate and predict: Keras's rules, and what training leaves behind."""

import copy
import gc
import pickle
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import host_only

import fastnn
from fastnn.backends import current
from fastnn.callbacks import Callback, EarlyStopping, TerminateOnNaN

rng = np.random.default_rng(0)
X = rng.standard_normal((50, 6)).astype(np.float32)
LABELS = (X @ rng.standard_normal((6, 3))).argmax(1)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
VALUES = (X @ rng.standard_normal((6, 1))).astype(np.float32)


def classifier(**compile_args: Any) -> fastnn.Sequential:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(8, activation="relu", input_shape=(6,)), fastnn.Dense(3, activation="softmax")])
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **compile_args})
    return model


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
    with pytest.raises(RuntimeError, match="no shape is known"):
        model.predict(X)


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


def test_seed_makes_training_repeatable() -> None:
    def weights() -> list[np.ndarray]:
        fastnn.seed(5)
        model = fastnn.Sequential([fastnn.Dense(8, input_shape=(6,)), fastnn.Dropout(0.2), fastnn.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(X, LABELS, epochs=3, verbose=0)
        return model.get_weights()

    for a, b in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Log(Callback):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            self.calls.append(name)
        return super().__getattribute__(name)


def test_hooks_come_in_keras_order() -> None:
    class All(Log):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None: ...

    log = All()
    classifier().fit(
        X, LABELS, batch_size=25, epochs=2, validation_data=(X, LABELS), validation_batch_size=50, callbacks=[log], verbose=0
    )
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    epoch = ["on_epoch_begin", *batch, *batch, *test, "on_epoch_end"]
    calls = [c for c in log.calls if c not in ("on_batch_begin", "on_batch_end")]
    assert calls == ["on_train_begin", *epoch, *epoch, "on_train_end"]


def test_batch_hooks_do_not_change_the_result() -> None:
    class PerBatch(Callback):
        seen: list[float]

        def on_train_begin(self, logs: Any = None) -> None:
            self.seen = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen.append(logs["loss"])

    a, b, hook = classifier(), classifier(), PerBatch()
    fastnn.seed(1)
    ha = a.fit(X, LABELS, epochs=2, batch_size=8, verbose=0)
    fastnn.seed(1)
    hb = b.fit(X, LABELS, epochs=2, batch_size=8, verbose=0, callbacks=hook)
    assert ha.history == hb.history and len(hook.seen) == 14
    for v, u in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(v, u)


def test_a_callback_can_stop_at_a_batch() -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 2

    model = classifier()
    model.fit(X, LABELS, batch_size=8, epochs=5, callbacks=Stop(), verbose=0)
    assert model.optimizer.iterations == 3


def test_early_stopping_restores_the_best_weights() -> None:
    model = classifier(optimizer=fastnn.optim.SGD(lr=5.0))
    best: dict[str, Any] = {"loss": np.inf}

    class Best(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs["val_loss"] < best["loss"]:
                best.update(loss=logs["val_loss"], weights=self.model.get_weights())

    stop = EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    history = model.fit(X, LABELS, epochs=100, validation_data=(X, LABELS), callbacks=[Best(), stop], verbose=0)
    assert len(history.epoch) < 100
    for a, b in zip(model.get_weights(), best["weights"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_terminate_on_nan_stops() -> None:
    x = X.copy()
    x[3] = np.nan
    with pytest.warns(RuntimeWarning, match="TerminateOnNaN"):
        history = classifier().fit(x, LABELS, epochs=10, callbacks=TerminateOnNaN(), verbose=0, check_data=False)
    assert len(history.epoch) == 1


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


def test_verbose_is_quiet_when_not_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    classifier().fit(X, LABELS, epochs=2)
    assert capfd.readouterr() == ("", "")
    classifier().fit(X, LABELS, epochs=2, verbose=2)
    out = capfd.readouterr().out
    assert out.count("\n") == 2 and "Epoch 2/2" in out and "accuracy" in out


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handling of Ctrl-C; a process that was started in the background may have inherited to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # Python drops what is raised while a callback of its collector runs, and JAX, once imported, has one
    yield
    gc.enable()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_leaves_the_model_at_a_step_boundary(ctrl_c: None) -> None:
    model = classifier(metrics=None)
    x, y = np.tile(X, (400, 1)), np.tile(LABELS, 400)
    threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT)).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=100_000, verbose=0)
    assert time.perf_counter() - start < 5
    steps = {int(n) for s in model.optimizer.segments for n in s.steps}
    assert len(steps) == 1
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(X, LABELS, verbose=0)


@pytest.mark.parametrize("times", range(4, 8))
def test_ctrl_c_leaves_the_averages_of_schedule_free_training(ctrl_c: None, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it comes while weights are put in or out."""
    replace, moved = fastnn.optim.AdamWScheduleFree._replace, [0]

    def disturbed(*args: Any) -> None:
        replace(*args)
        moved[0] += 1
        if moved[0] == times:
            signal.raise_signal(signal.SIGINT)

    def started() -> Any:
        fastnn.seed(0)
        model = classifier(metrics=None)
        model.compile(fastnn.optim.AdamWScheduleFree(lr=0.02), "sparse_categorical_crossentropy")
        return model

    monkeypatch.setattr(fastnn.optim.AdamWScheduleFree, "_replace", disturbed)
    batch = fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda *_: None)
    model = started()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS, batch_size=8, shuffle=False, callbacks=[batch])
    assert not model.optimizer._training
    steps = model.optimizer.iterations
    again = started()
    stop = fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda b, _: setattr(again, "stop_training", b + 1 == steps))
    again.fit(X, LABELS, batch_size=8, shuffle=False, callbacks=[stop])
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_two_threads_may_train_two_models() -> None:
    expected = classifier()
    fastnn.seed(3)
    expected.fit(X, LABELS, epochs=20, shuffle=False, verbose=0)
    models = [classifier(), classifier()]
    threads = [
        threading.Thread(target=m.fit, args=(X, LABELS), kwargs={"epochs": 20, "shuffle": False, "verbose": 0}) for m in models
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for m in models:
        np.testing.assert_array_equal(m.get_weights()[0], expected.get_weights()[0])


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


def test_concurrent_predictions_keep_their_mode() -> None:
    model = fastnn.Sequential([fastnn.Dense(64, input_shape=(6,)), fastnn.Dropout(0.5), fastnn.Dense(3)])
    expected = model.predict(X)
    wrong: list[int] = []

    def call(_: int) -> None:
        for _ in range(100):
            if (model.predict(X) != expected).any():
                wrong.append(1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))  # raises what a thread raised
    assert not wrong


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


def test_a_million_steps_leak_nothing() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    model = fastnn.Sequential([fastnn.Dense(4, activation="relu", input_shape=(6,)), fastnn.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.tile(X, (20, 1)), np.tile(LABELS, 20)
    model.fit(x, y, batch_size=8, epochs=100, verbose=0)
    before = resident()
    steps = 1_000_000 if fastnn.get_backend() == "cpp" else 10_000  # the reference is too slow for a million
    model.fit(x, y, batch_size=8, epochs=steps // 125, verbose=0)
    assert model.optimizer.iterations >= steps
    assert resident() - before < 4 << 20


# ---- arrays that need no preparation, and steps that are already recorded ----

LAYOUTS = {
    "as it is": lambda a: a,
    "not contiguous": lambda a: np.repeat(a, 2, axis=0)[::2],
    "Fortran order": np.asfortranarray,
    "read-only": lambda a: (a.setflags(write=False), a)[1],
    "not aligned": lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "float64": lambda a: a.astype(np.float64),
    "other bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": lambda a: a.tolist(),
    "subclass": lambda a: a.view(np.recarray),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_of_any_layout_are_one(layout: str) -> None:
    a = classifier()
    b = copy.deepcopy(a)
    for _ in range(4):
        a.train_on_batch(X, LABELS)
        b.train_on_batch(X.tolist(), LABELS.tolist())
        a.predict(X)
    x, y = LAYOUTS[layout](X.copy()), LAYOUTS[layout](LABELS.copy())
    assert a.train_on_batch(x, y) == b.train_on_batch(X.tolist(), LABELS.tolist())
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])
    for predict in (a.predict, a.predict_on_batch):
        np.testing.assert_array_equal(predict(x), b.predict(X.tolist()))


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (X[:, :5], LABELS, "5 features"),
        (X[:0], LABELS[:0], "x has no samples"),
        (X, LABELS[:49], "50 samples, but y has 49"),
        (X, np.where(LABELS == 2, 3, LABELS), r"y\[\d+\] is 3, but the model has 3 outputs"),
        (X, LABELS - 1, r"y\[\d+\] is -1"),
        (X, LABELS + 0.5, "wanted class numbers"),
        (X, ONE_HOT, "one-hot rows"),
        (np.ma.masked_array(X, X > 0), LABELS, "masked"),
        (np.full(X.shape, "a", object), LABELS, "Python objects"),
        (X.astype(np.float64) * 1e300, LABELS, "beyond float32"),
        (X, None, "y is missing"),
    ],
)
def test_a_recorded_step_checks_what_the_first_one_does(x: Any, y: Any, text: str) -> None:
    model = classifier()
    for _ in range(4):
        model.train_on_batch(X, LABELS)
    before = model.get_weights()
    with pytest.raises((TypeError, ValueError), match=text):
        model.train_on_batch(x, y)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(X, LABELS)


def test_nan_and_ignored_labels_pass_through_a_recorded_step() -> None:
    model = classifier(loss=fastnn.losses.SparseCategoricalCrossentropy(ignore_class=-1), metrics=None, optimizer="sgd")
    for _ in range(4):
        whole = model.test_on_batch(X[10:], LABELS[10:])
        labels = np.concatenate([np.full(10, -1), LABELS[10:]])
        assert model.train_on_batch(X, labels) == pytest.approx(whole, rel=1e-5)
    with pytest.raises(ValueError, match=r"y\[0\] is -2"):
        model.train_on_batch(X, np.full(50, -2))
    assert np.isnan(model.train_on_batch(X * np.float32("nan"), LABELS))


CHANGES: dict[str, Any] = {
    "frozen": lambda m: setattr(m[0].kernel, "requires_grad", False),
    "layer frozen": lambda m: setattr(m[0], "trainable", False),
    "layer replaced and looked at": lambda m: (
        setattr(m, "0", fastnn.Dense(8, input_shape=(6,), kernel_initializer="ones")),
        m.evaluate(X, ONE_HOT),
    ),
    "layer replaced": lambda m: setattr(m, "0", fastnn.Dense(8, input_shape=(6,), kernel_initializer="ones")),
    "activation replaced": lambda m: setattr(m[0], "activation", fastnn.activations.get("tanh")),
    "weights set": lambda m: m.set_weights([w * 2 for w in m.get_weights()]),
    "array of a weight replaced": lambda m: setattr(m[0].bias, "data", current().asarray(np.ones(8, np.float32))),
    "eval": lambda m: m.eval(),
    "bias taken away": lambda m: setattr(m[0], "bias", None),
    "compiled anew": lambda m: m.compile(fastnn.optim.SGD(lr=0.5), "mse"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_recorded_steps_and_passes_follow_changes(change: str) -> None:
    recorded, fresh = (
        fastnn.Sequential([fastnn.Dense(8, "relu", input_shape=(6,)), fastnn.Dropout(0.0), fastnn.Dense(3, "softmax")])
        for _ in range(2)
    )
    fresh.set_weights(recorded.get_weights())
    for model in (recorded, fresh):
        model.compile(fastnn.optim.SGD(lr=0.1), "mse")
    for _ in range(6):
        recorded.train_on_batch(X, ONE_HOT)
        recorded.predict(X)
        fresh.train_on_batch(X, ONE_HOT)
    assert recorded._predicted[0][-1] == recorded._version and recorded._predicted[1].fits()
    CHANGES[change](fresh)
    CHANGES[change](recorded)
    np.testing.assert_array_equal(recorded.predict(X), fresh(X, training=False).numpy())
    if change == "array of a weight replaced":  # training has it in its own buffer
        return
    fresh._compiled.batch_steps.clear()
    for _ in range(4):
        assert recorded.train_on_batch(X, ONE_HOT) == fresh.train_on_batch(X.tolist(), ONE_HOT)
        np.testing.assert_array_equal(recorded.predict(X), fresh(X, training=False).numpy())


@host_only("arrays of the GPU are no other backend's")
def test_another_backend_has_steps_and_passes_of_its_own() -> None:
    model = classifier(optimizer=fastnn.optim.SGD(lr=0.0))
    for backend in ("numpy", "auto", "numpy", "auto"):
        with fastnn.use_backend(backend):
            expected = model(X, training=False).numpy()
            for _ in range(4):
                np.testing.assert_array_equal(model.predict(X), expected)
                model.train_on_batch(X, LABELS)


def test_predict_is_recorded_again_after_a_weight_got_another_array() -> None:
    m = fastnn.Sequential([fastnn.Dense(4, input_shape=(6,))])
    x = np.ones((2, 6), np.float32)
    for _ in range(3):
        m.predict(x)
    m.weights[0].data = m.weights[0].data * 2
    for _ in range(3):
        np.testing.assert_array_equal(m.predict(x), m(fastnn.tensor(x), training=False).numpy())
    assert m._predicted[1] and m._predicted[1].fits()


def test_threads_may_predict_side_by_side() -> None:
    model = classifier()
    inputs = [rng.standard_normal((50, 6)).astype(np.float32) for _ in range(4)]
    expected = [model(x, training=False).numpy().copy() for x in inputs]

    def call(i: int) -> bool:
        return all((model.predict(inputs[i]) == expected[i]).all() for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(4)))
    assert model._predicted[1]


def test_what_predict_gives_is_the_callers() -> None:
    model = classifier()
    outputs = [model.predict(X) for _ in range(5)]
    outputs[-1][:] = 0
    assert model._predicted[1] and (model.predict(X) != 0).any() and (outputs[0] == outputs[-2]).all()
    with pytest.raises(ValueError, match="no samples"):
        for _ in range(3):
            model.predict(X[:0])
    twin = pickle.loads(pickle.dumps(model))
    twin.set_weights([w * 0 for w in twin.get_weights()])
    assert (twin.predict(X) != model.predict(X)).any()


def test_a_hand_written_forward_runs_in_every_predict() -> None:
    class Counting(fastnn.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.calls = fastnn.Dense(3, input_shape=(6,)), [0]

        def forward(self, x: Any) -> Any:
            self.calls[0] += 1
            return self.layer(x) * float(self.calls[0])

    model = Counting()
    first = model.predict(X)
    for n in range(2, 6):
        np.testing.assert_allclose(model.predict(X), first * n, rtol=1e-6)
    patched = classifier()
    calls, forward = [], patched[0].forward
    patched[0].forward = lambda x: (calls.append(1), forward(x))[1]
    for n in range(1, 5):
        patched.predict(X)
        assert len(calls) == n


def test_a_model_that_predicted_can_be_freed() -> None:
    model = classifier()
    for _ in range(4):
        model.predict(X)
    assert model._predicted[1]
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_bad_callbacks_generators_and_epochs_are_refused() -> None:
    model = classifier()
    with pytest.raises(TypeError, match="callbacks holds a builtin_function"):
        model.fit(X, LABELS, callbacks=print)
    with pytest.raises(TypeError, match="x is a generator"):
        model.fit(batch for batch in [(X, LABELS)])
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
