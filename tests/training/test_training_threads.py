"""Training and prediction under Ctrl-C, in several threads, and for long."""

import gc
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
from classifiers import LABELS, X, classifier

import fastnn

rng = np.random.default_rng(1)


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


def test_threads_may_predict_side_by_side() -> None:
    model = classifier()
    inputs = [rng.standard_normal((50, 6)).astype(np.float32) for _ in range(4)]
    expected = [model(x, training=False).numpy().copy() for x in inputs]

    def call(i: int) -> bool:
        return all((model.predict(inputs[i]) == expected[i]).all() for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(4)))
    assert model._predicted[1]


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


def test_a_model_that_predicted_can_be_freed() -> None:
    model = classifier()
    for _ in range(4):
        model.predict(X)
    assert model._predicted[1]
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
