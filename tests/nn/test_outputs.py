"""Several inputs and outputs in compile, fit, evaluate and predict."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import LABELS, VALUES, A, B, Pair, compiled, two_by_two

import fastnn
import fastnn.nn as nn


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_hand_written_modules_with_several_inputs_and_outputs(kind: Any) -> None:
    m = Pair(kind)
    losses = [fastnn.losses.MeanSquaredError(), fastnn.nn.CrossEntropyLoss()]
    m.compile(fastnn.optim.SGD(lr=0.1), losses if kind is not dict else dict(zip(("price", "kind"), losses, strict=True)))
    y = [VALUES, LABELS] if kind is not dict else {"kind": LABELS, "price": VALUES}
    history = m.fit([A, B], y, epochs=4, verbose=0, validation_data=({"a": A, "b": B}, y)).history
    names = ("price", "kind") if kind is dict else ("output_1", "output_2")
    assert list(history)[:3] == ["loss", f"{names[0]}_loss", f"{names[1]}_loss"]
    assert history["loss"][-1] < history["loss"][0] and f"val_{names[0]}_loss" in history
    out = m.predict((A, B))
    assert type(out) is kind and m.predict((A, B), batch_size=7)[0 if kind is not dict else "price"].shape == (20, 1)


def test_a_forward_that_takes_a_list_or_dict() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = fastnn.Dense(1), fastnn.Dense(1)

        def call(self, inputs: Any, training: Any = None) -> Any:
            assert isinstance(training, bool)
            a, b = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
            return self.a(a) + self.b(b)

    m = Both()
    m.compile("sgd", "mse")
    m.fit([A, B], VALUES, verbose=0)
    np.testing.assert_array_equal(m.predict([A, B]), m.predict({"b": B, "a": A}))


def test_validation_data_may_come_in_another_form() -> None:
    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.seen = nn.Linear(3, 1), nn.Linear(2, 1), []

        def forward(self, inputs: Any) -> Any:
            self.seen.append((type(inputs), list(inputs) if isinstance(inputs, dict) else None))
            a, b = (inputs["a"], inputs["b"]) if isinstance(inputs, dict) else inputs
            return self.a(a) + self.b(b)

    forms = [[A, B], {"b": B, "a": A}, {"a": A, "b": B}, (A, B)]
    results = []
    for x in forms:
        for validation in forms:
            fastnn.seed(0)
            m = Apart()
            m.compile("sgd", "mse")
            history = m.fit(x, VALUES, validation_data=(validation, VALUES), epochs=2, verbose=0, shuffle=False, batch_size=20)
            results.append((history.history["loss"], history.history["val_loss"]))
            assert m.seen[-2][0] is type(x) and m.seen[-1][0] is type(validation)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("made", [two_by_two, lambda: Pair(tuple), lambda: Pair(dict)])
def test_batches_that_are_taken_as_they_are(made: Any) -> None:
    known, fresh = made(), made()
    fresh.set_weights(known.get_weights())
    names = ("output_1", "output_2") if isinstance(known, Pair) and known.kind is tuple else ("price", "kind")
    loss = fastnn.nn.CrossEntropyLoss() if isinstance(known, Pair) else "sparse_categorical_crossentropy"  # of a softmax
    for m in (known, fresh):
        m.compile(fastnn.optim.SGD(lr=0.1), dict(zip(names, ("mse", loss), strict=True)))
    y: Any = [VALUES, LABELS]
    for i in range(12):
        x: Any = [[A, B], {"a": A, "b": B}, {"b": B, "a": A}, (A, B)][i % 4] if i > 5 else [A, B]
        if i == 9:
            y = dict(zip(names, y, strict=True))
        fresh._compiled.batch_forms.clear()
        assert known.train_on_batch(x, y) == fresh.train_on_batch(x, y)
    assert known._compiled.batch_forms
    with pytest.raises(ValueError, match=r"y\['(kind|output_2)'\]\[2\] is 3"):
        known.train_on_batch([A, B], [VALUES, LABELS + 1])
    for a, b in zip(known.get_weights()[-2:], fresh.get_weights()[-2:], strict=True):
        np.testing.assert_array_equal(a, b)
    if isinstance(known, Pair):  # another layer: what was recorded is void
        known.left = fastnn.nn.Linear(3, 1)
        before = known.left.weight.numpy().copy()
        known.train_on_batch([A, B], [VALUES, LABELS])
        assert (known.left.weight.numpy() != before).any()


def test_recorded_training_of_a_graph_is_eager_bit_for_bit() -> None:
    recorded, eager = compiled(two_by_two()), compiled(two_by_two(), capture=False)
    eager.set_weights(recorded.get_weights())
    eager.__class__ = type("Own", (type(eager),), {})  # a class of the user's own, which capture=False leaves eager
    weights = {"price": np.linspace(0, 2, 20), "kind": None}
    kwargs: dict[str, Any] = {"batch_size": 8, "epochs": 4, "shuffle": False, "verbose": 0, "sample_weight": weights}
    histories = [m.fit([A, B], [VALUES, LABELS], **kwargs).history for m in (recorded, eager)]
    assert histories[0] == histories[1]
    for a, b in zip(recorded.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for _ in range(5):
        assert recorded.train_on_batch([A, B], [VALUES, LABELS]) == eager.train_on_batch([A, B], [VALUES, LABELS])
    (step,) = recorded._compiled.batch_steps.values()
    assert step.recorded is not None and next(iter(eager._compiled.batch_steps.values())).recorded is None


def test_losses_weights_and_logs_are_the_sum_of_the_outputs() -> None:
    m = compiled(two_by_two(), loss_weights=[0.25, 3.0])
    price, kind = m.predict([A, B])
    mse = ((price - VALUES) ** 2).mean()
    cross = -np.log(kind[np.arange(20), LABELS]).mean()
    logs = m.evaluate([A, B], {"price": VALUES, "kind": LABELS}, return_dict=True)
    assert list(logs) == ["loss", "price_loss", "kind_loss", "kind_accuracy"]
    assert logs["price_loss"] == pytest.approx(mse, rel=1e-5) and logs["kind_loss"] == pytest.approx(cross, rel=1e-5)
    assert logs["loss"] == pytest.approx(0.25 * mse + 3 * cross, rel=1e-5)
    assert logs["kind_accuracy"] == pytest.approx((kind.argmax(1) == LABELS).mean())
    w = np.linspace(0, 1, 20)
    one = m.test_on_batch([A, B], [VALUES, LABELS], sample_weight=w, return_dict=True)
    each = m.test_on_batch([A, B], [VALUES, LABELS], sample_weight=[w, None], return_dict=True)
    assert one["price_loss"] == each["price_loss"] == pytest.approx((((price - VALUES) ** 2)[:, 0] * w).mean(), rel=1e-5)
    assert each["kind_loss"] == pytest.approx(cross, rel=1e-5) != one["kind_loss"]


@pytest.mark.parametrize("weight", [0.25, [0.25], {"output": 0.25}])
def test_the_weight_of_a_single_loss(weight: Any) -> None:
    m = fastnn.Sequential([fastnn.Dense(1, input_shape=(3,))])
    losses = []
    for given in (None, weight):
        m.compile("sgd", "mse", loss_weights=given)
        losses.append(m.evaluate(A, VALUES, sample_weight={"output": np.ones(20)}))
    assert losses[1] == pytest.approx(losses[0] / 4, rel=1e-6)


def test_an_output_without_a_loss_is_not_trained() -> None:
    m = two_by_two()
    m.compile("sgd", ["mse", None])
    before = m.kind.kernel.numpy().copy()
    for y in ([VALUES, None], {"price": VALUES}, [VALUES]):
        assert list(m.fit([A, B], y, verbose=0).history) == ["loss"]
    np.testing.assert_array_equal(m.kind.kernel.numpy(), before)
    m.compile("sgd", {"price": "mse"}, {"kind": "accuracy"})
    assert list(m.fit([A, B], [VALUES, LABELS], verbose=0).history) == ["loss", "kind_accuracy"]


def test_one_loss_for_all_and_early_stopping_by_an_output() -> None:
    a = fastnn.Input((3,))
    m = fastnn.Model(a, [fastnn.Dense(1, name="p")(a), fastnn.Dense(1, name="q")(a)])
    m.compile("adam", "mse", [["mae"], ["mae"]])
    stop = fastnn.callbacks.EarlyStopping("val_q_mae", patience=1)
    h = m.fit(A, [VALUES, VALUES], epochs=3, validation_split=0.2, verbose=0, callbacks=[stop]).history
    assert {"p_loss", "q_loss", "p_mae", "val_q_mae"} <= set(h) and stop._direction() == "min"
    assert m.profile(A, [VALUES, VALUES], print_fn=None).rows


def fit(**kwargs: Any) -> Any:
    m = compiled(two_by_two(), **kwargs)
    return lambda x, y, **more: m.fit(x, y, verbose=0, **more)


def _fit_one(loss: Any) -> None:
    m = fastnn.Sequential([fastnn.Dense(1)])
    m.compile("sgd", loss)
    m.fit(A, VALUES)


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "input lengths": (lambda: fit()([A, B[:9]], [VALUES, LABELS]), ValueError, r"x\['a'\] has 20 samples, but x\['b'\] has 9"),
    "target lengths": (lambda: fit()([A, B], [VALUES, LABELS[:9]]), ValueError, r"y\['kind'\] has 9"),
    "number of targets": (lambda: fit()([A, B], [VALUES]), ValueError, "y has 1 entries; wanted 2: price, kind"),
    "one target": (lambda: fit()([A, B], VALUES), ValueError, "y is a ndarray"),
    "missing target": (lambda: fit()([A, B], {"price": VALUES}), ValueError, r"y\['kind'\] is missing"),
    "unknown target": (lambda: fit()([A, B], {"price": VALUES, "sort": LABELS}), ValueError, r"unknown keys \['sort'\]"),
    "labels": (lambda: fit()([A, B], [VALUES, LABELS + 1]), ValueError, r"y\['kind'\]\[2\] is 3"),
    "weights": (lambda: fit()([A, B], [VALUES, LABELS], sample_weight=[np.ones(20)] * 3), ValueError, "sample_weight has 3"),
    "class weights": (lambda: fit()([A, B], [VALUES, LABELS], class_weight={0: 1}), ValueError, "models with one output"),
    "number of losses": (lambda: fit(loss=["mse"])([A, B], [VALUES, LABELS]), ValueError, "loss has 1 entries; wanted 2"),
    "unknown loss": (lambda: fit(loss={"prize": "mse"})([A, B], [VALUES, LABELS]), ValueError, r"unknown keys \['prize'\]"),
    "no loss": (lambda: fit(loss=[None, None])([A, B], [VALUES, LABELS]), ValueError, "no output has a loss"),
    "loss name": (lambda: fit(loss=["mse", "crossentropie"]), ValueError, "unknown loss"),
    "metrics": (lambda: fit(metrics=["mae"])([A, B], [VALUES, LABELS]), ValueError, "metrics has 1 entries"),
    "loss weights": (lambda: fit(loss_weights=[1, 2, 3])([A, B], [VALUES, LABELS]), ValueError, "loss_weights has 3"),
    "loss weight": (lambda: fit(loss_weights=[1, "x"])([A, B], [VALUES, LABELS]), ValueError, "loss_weights of kind"),
    "two losses, one output": (
        lambda: fastnn.Sequential([fastnn.Dense(1)]).compile("sgd", ["mse", "mse"]) or _fit_one(["mse", "mse"]),
        ValueError,
        "2 entries",
    ),
    "forward's arguments": (lambda: Pair(dict).predict([A]), ValueError, "1 inputs; Pair.forward takes a, b"),
    "forward's names": (lambda: Pair(dict).predict({"a": A, "c": B}), ValueError, "forward takes a, b"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input(case: str) -> None:
    f, kind, text = ERRORS[case]
    with pytest.raises(kind, match=text):
        f()
