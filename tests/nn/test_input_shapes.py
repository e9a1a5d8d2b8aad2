"""What layers say of the shapes of their inputs, and samples without a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from input_layers import IDS, Embed, Lazy, Mean, Sees, Weight, of_graph, of_sequence, ones

import fastnn
import fastnn.nn as nn

SHAPES: dict[str, Any] = {
    "shape": ({"shape": (None, 3)}, (2, 4), r"x has shape \(2, 4\), wanted \(n, 3\)$"),
    "open": ({"shape": (None, None, 3)}, (2, 4), r"x has shape \(2, 4\), wanted \(n, None, 3\)$"),
    "one sample": ({"shape": (None, None, 3)}, (2, 3), r"wanted \(n, None, 3\); for one sample: x\[None\]$"),
    "ndim": ({"ndim": 3}, (2, 3), r"wanted 3 dimensions, the first of them the samples; for one sample: x\[None\]$"),
    "min_ndim": ({"min_ndim": 3}, (2,), r"wanted at least 3 dimensions"),
    "max_ndim": ({"max_ndim": 2}, (2, 3, 4), r"wanted at most 2 dimensions"),
    "axes": ({"min_ndim": 2, "axes": {-1: 3}}, (2, 5, 4), r"x has shape \(2, 5, 4\), wanted \(n, None, 3\)$"),
    "axis": ({"axes": {1: 3}}, (2, 4), r"wanted \(n, 3\)$"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_that_do_not_fit(case: str) -> None:
    given, shape, text = SHAPES[case]
    layer = Sees(fastnn.InputSpec(**given))
    layer.compile("sgd", "mse")
    x, y = ones(shape), np.zeros((len(ones(shape)), 1))
    for op, use in {
        "Sees": lambda: layer(x),
        "predict": lambda: layer.predict(x),
        "fit": lambda: layer.fit(x, y, verbose=0),
        "evaluate": lambda: layer.evaluate(x, y),
        "train_on_batch": lambda: layer.train_on_batch(x, y),
    }.items():
        with pytest.raises(ValueError, match=f"^{op}: .*{text}"):
            use()


@pytest.mark.parametrize("make", [of_graph, of_sequence])
def test_samples_of_one_number_and_samples_without_a_batch(make: Any) -> None:
    layer = Sees()
    model = make(layer, 1)
    model(ones((3, 1)))
    for use in (model, model.predict):  # a column is made of a vector, as in Keras
        use(np.arange(3.0))
        assert layer._saw == [("float32", (3, 1))]
    model(fastnn.arange(3.0))
    assert layer._saw == [("float32", (3, 1))]
    layer = Sees()
    model = make(layer)
    for use in (model, model.predict):
        use(ones((3, 1)))
        assert layer._saw == [("float32", (3,))]
    for shape in ((3,), (4, 3)):  # as many samples as numbers, or more
        model = make(Sees(), *shape)
        for use, op in ((model, "[a-zA-Z]*"), (model.predict, "predict")):
            wanted = ", ".join(map(str, shape))
            one = rf"^{op}: x has shape .*, wanted \(n, {wanted}\); for one sample: x\[None\]"
            with pytest.raises(ValueError, match=one):
                use(ones(shape))
            with pytest.raises(ValueError, match=rf"^{op}: x has shape \(3000, 7, 7\), wanted \(n, {wanted}\)$"):
                use(ones((3000, 7, 7)))


def test_a_hand_written_layer_behind_an_input_is_built_at_once() -> None:
    class Double(nn.Module):
        def forward(self, x: Any) -> Any:
            return fastnn.concatenate([x, x], -1)

    def made(*front: Any) -> Any:
        fastnn.seed(0)
        return fastnn.Sequential([*front, Double(), Weight(), Double(), fastnn.Dense(1)])

    model, other = made(fastnn.Input((3,))), made()
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert model.built and [shape in lines[0] for shape in ("(None, 6)", "(None, 2)", "(None, 4)", "(None, 1)")] == [True] * 4
    x = ones((2, 3))
    np.testing.assert_array_equal(model.predict(x), other(x).numpy())
    model.add(Double())
    assert model.predict(x).shape == (2, 2) and model.shapes() == [(6,), (2,), (4,), (1,), (2,)]
    with pytest.raises(ValueError, match="axis 5"):
        model.add(Mean(5))
    assert len(model) == 5
    ids = fastnn.Sequential([fastnn.Input((None,), dtype="int64"), Embed(), Lazy()])
    assert ids.built and ids.predict(IDS).shape == (2, 3, 2)
