"""Mixed precision in training: what compile(dtype="bfloat16") rounds, in every way to train, in copies and files."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounding import LABELS, PLAIN, SHORT, X, bits, classifier

import fastnn
import fastnn.nn as nn

pytestmark = pytest.mark.usefixtures("every_precision")


class ByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(20, 30), nn.Linear(30, 4)

    def forward(self, x: Any) -> Any:
        return self.b(fastnn.relu(self.a(x)))


def fitted(dtype: str, **args: Any) -> list[bytes]:
    model = classifier(dtype)
    model.fit(X, LABELS, batch_size=16, epochs=2, shuffle=False, verbose=0, **args)
    return bits(model)


def test_fit_does_what_a_loop_under_autocast_does() -> None:
    model = classifier("float32")
    loss_of = fastnn.losses.SparseCategoricalCrossentropy()
    optimizer = fastnn.optim.Adam(model.parameters(), lr=0.01)
    for i in list(range(0, 96, 16)) * 2:
        optimizer.zero_grad()
        with fastnn.autocast():
            y = model(fastnn.tensor(X[i : i + 16]), training=True)
        loss_of(LABELS[i : i + 16], y, None).backward()
        optimizer.step()
    assert fitted("bfloat16") == bits(model)
    assert fitted("float32") != bits(model)


def test_ways_to_train_agree() -> None:
    """Recorded steps, eager ones, and single batches."""
    want = fitted("bfloat16")
    assert fitted("bfloat16", check_finite=True) == want
    model = classifier()
    for i in list(range(0, 96, 16)) * 2:
        model.train_on_batch(X[i : i + 16], LABELS[i : i + 16])
    assert bits(model) == want
    with fastnn.autocast("bfloat16"):  # fit follows compile
        assert fitted("float32") == fitted("float32", check_finite=True) != want


@pytest.mark.parametrize("capture", [False, True])
def test_hand_written_models(capture: bool) -> None:
    results = []
    for dtype in ("bfloat16", "bfloat16", "float32"):
        fastnn.seed(0)
        model = ByHand()
        model.compile("sgd", nn.CrossEntropyLoss(), capture=capture if not results else not capture, dtype=dtype)
        model.fit(X, LABELS, batch_size=16, epochs=2, verbose=0)
        results.append(bits(model))
    assert results[0] == results[1] != results[2]


def test_products_of_a_loss_are_rounded_too() -> None:
    def loss(y: Any, p: Any) -> Any:
        return fastnn.matmul(fastnn.tensor([[1 / 3]]), fastnn.tensor([[1 / 3]])).mean() + (p - y).mean() * 0.0

    for dtype, value in (("bfloat16", SHORT), ("float32", PLAIN)):
        model = fastnn.Sequential([fastnn.Dense(1, input_shape=(20,))])
        model.compile("sgd", loss, dtype=dtype)
        assert model.fit(X, X[:, :1], verbose=0).history["loss"] == pytest.approx([value])


def test_evaluation_and_prediction_are_not_rounded() -> None:
    short, plain = classifier("bfloat16"), classifier("float32")
    history = short.fit(X, LABELS, epochs=2, validation_data=(X, LABELS), verbose=0)
    plain.set_weights(short.get_weights())
    frozen = short.freeze(batch_size=96)
    for _ in range(3):
        np.testing.assert_array_equal(short.predict(X), plain.predict(X))
        np.testing.assert_array_equal(frozen(X), plain.predict(X))
    assert short.evaluate(X, LABELS, verbose=0) == plain.evaluate(X, LABELS, verbose=0)
    assert short.test_on_batch(X, LABELS) == plain.test_on_batch(X, LABELS)
    assert history.history["val_loss"][-1] == plain.evaluate(X, LABELS, verbose=0)[0]


def test_prediction_in_a_block_is_rounded_and_does_not_last() -> None:
    model = classifier()
    plain = model.predict(X)
    for _ in range(2):
        for _ in range(3):
            with fastnn.autocast():
                short = model.predict(X)
            assert 1e-4 < np.abs(short - plain).max() < 1e-1
        for _ in range(3):
            np.testing.assert_array_equal(model.predict(X), plain)
    with fastnn.autocast():
        frozen = model.freeze(batch_size=96)
    for call in (frozen, pickle.loads(pickle.dumps(frozen))):
        np.testing.assert_array_equal(call(X), short)


def test_copies_go_on_in_the_same_precision() -> None:
    model = classifier()
    model.train_on_batch(X, LABELS)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for m in (model, *copies):
        m.train_on_batch(X, LABELS)
    assert bits(copies[0]) == bits(copies[1]) == bits(model)


def test_a_saved_model_trains_in_float32_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = classifier()
    model.fit(X, LABELS, epochs=2, verbose=0)
    model.save(tmp_path / "model.fastnn")
    monkeypatch.undo()  # the reference refuses again
    with fastnn.use_backend("numpy"):
        with pytest.warns(UserWarning, match="goes on in float32 here"):
            loaded = fastnn.load(tmp_path / "model.fastnn")
        np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
        loaded.fit(X, LABELS, verbose=0)
        own = copy.deepcopy(model)  # arrays of this backend
        with pytest.raises(RuntimeError, match=r"^fit: dtype 'bfloat16'"):
            own.fit(X, LABELS, verbose=0)


def test_a_profile_tells_what_was_rounded() -> None:
    profile = classifier().profile(X, LABELS, print_fn=None)
    short = {row.kernel for row in profile.rows if row.precision == "bfloat16"}
    assert short == {"dense_forward", "dense_backward"}
    text = str(profile)
    assert "dense_backward bfloat16" in text and "GFLOP/s of float32" in text and f"of the peak of {profile.processor}" in text
    assert "bfloat16" not in str(classifier("float32").profile(X, LABELS, print_fn=None))


@pytest.mark.long
def test_the_digits_are_learnt_as_well() -> None:
    """Mean test accuracies after ten epochs lie within 0.02 of each other, and most is learnt by then."""
    (x, y), (x_test, y_test) = fastnn.datasets.digits(as_float=True)
    means = []
    for dtype in ("float32", "bfloat16"):
        found = []
        for seed in range(3):
            fastnn.seed(seed)
            layers = [fastnn.Dense(n, activation="relu") for n in (32, 32)]
            model = fastnn.Sequential([fastnn.Flatten(input_shape=(400,)), *layers, fastnn.Dense(10, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", dtype=dtype)
            model.fit(x, y, batch_size=64, epochs=10, verbose=0)
            found.append((model.predict(x_test).argmax(1) == y_test).mean())
        means.append(np.mean(found))
    assert min(means) > 0.85
    assert means[1] == pytest.approx(means[0], abs=0.02)


def test_training_in_tf32() -> None:
    with fastnn.use_backend("numpy"):
        want = {dtype: fitted(dtype) for dtype in ("float32", "bfloat16", "tf32")}
        assert want["tf32"] == fitted("tf32") and len({w[0] for w in want.values()}) == 3
