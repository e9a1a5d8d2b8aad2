"""Batches that need no preparation, and steps and forward passes that are already recorded."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from classifiers import LABELS, ONE_HOT, X, classifier
from hosts import host_only

import fastnn
from fastnn.backends import current

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
        (X[:, :5], LABELS, r"x has shape \(50, 5\), wanted \(n, 6\)"),
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
