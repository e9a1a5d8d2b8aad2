"""Inputs with open sizes: layers, graphs, files, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from input_layers import BACKENDS, Both, Lazy, Mean, SaysInt, Sees, Weight, of_graph, of_sequence, ones

import fastnn
import fastnn.nn as nn

OPEN: dict[str, Any] = {
    "dense": (lambda x: fastnn.Dense(2)(x), (None, None, 2)),
    "activation": (lambda x: fastnn.ReLU()(x), (None, None, 3)),
    "softmax": (lambda x: nn.Softmax(1)(x), (None, None, 3)),
    "glu": (lambda x: nn.GLU(1)(x), (None, None, 3)),
    "shared slopes": (lambda x: fastnn.PReLU(shared_axes=[1])(x), (None, None, 3)),
    "flatten": (lambda x: fastnn.Flatten()(x), (None, None)),
    "arithmetic": (lambda x: 2 * x - x**2, (None, None, 3)),
    "one step": (lambda x: x[:, 0], (None, 3)),
    "steps": (lambda x: x[:, :5], (None, 5, 3)),
    "steps to the end": (lambda x: x[:, 1:], (None, None, 3)),
    "add": (lambda x: fastnn.Add()([x, fastnn.Dense(3)(x)]), (None, None, 3)),
    "add one": (lambda x: fastnn.Add()([x, fastnn.Input((1, 3))]), (None, None, 3)),
    "add known": (lambda x: fastnn.Add()([x, fastnn.Input((5, 3))]), (None, 5, 3)),
    "concatenate": (lambda x: fastnn.Concatenate()([x, fastnn.Input((None, 4))]), (None, None, 7)),
    "concatenate known": (lambda x: fastnn.Concatenate()([x, fastnn.Input((5, 4))]), (None, 5, 7)),
    "concatenate steps": (lambda x: fastnn.Concatenate(1)([x, fastnn.Input((5, 3))]), (None, None, 3)),
    "residual": (lambda x: fastnn.Residual(fastnn.Dense(3))(x), (None, None, 3)),
    "sequential": (lambda x: fastnn.Sequential([fastnn.Dense(4), nn.Tanh()])(x), (None, None, 4)),
    "mean": (lambda x: Mean()(x), (None, 3)),
    "reshape": (lambda x: Pairs()(x), (None, None, 6)),
    "hand-written": (lambda x: Lazy()(x), (None, None, 2)),
}


class Pairs(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.reshape(len(x), -1, 6)


@pytest.mark.parametrize("case", OPEN)
def test_open_sizes_in_graphs(case: str) -> None:
    make, shape = OPEN[case]
    x = fastnn.Input((None, 3))
    y = make(x)
    assert y.shape == shape
    inputs = [s for s in fastnn.nn.graph.symbolic.Call(None, (y,)).inputs() if s is x]
    assert not inputs
    others = [s for s in _inputs_of(y) if s is not x]
    model = fastnn.Model([x, *others], y)
    for n in (6, 10, 6):
        sizes = [tuple(n if size is None else size for size in s.sample_shape) for s in others]
        if case.endswith("known"):
            n = 5
        got = model.predict([ones((2, n, 3)), *(ones((2, *size)) for size in sizes)])
        assert len(got.shape) == len(shape)
        assert all(b in (None, a) for a, b in zip(got.shape, shape, strict=True))


def _inputs_of(symbol: Any) -> list[Any]:
    found, stack = [], [symbol]
    while stack:
        s = stack.pop()
        if s.call.module is None and s not in found:
            found.append(s)
        stack += s.call.inputs()
    return found


def test_the_same_weights_whether_sizes_are_open_or_not() -> None:
    values = []
    for size in (None, 24, 5):
        fastnn.seed(3)
        layer = Lazy()
        layer(fastnn.Input((size, 3)))
        values.append([*layer.get_weights(), fastnn.rand(1).numpy()])
    for other in values[1:]:
        for a, b in zip(values[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [of_graph, of_sequence])
def test_models_of_open_sizes_at_every_door(make: Any) -> None:
    for backend in BACKENDS:
        with fastnn.use_backend(backend):
            model = make(fastnn.Dense(2), None, 3)
            assert model.input_shape == (None, 3) and model.built
            model.compile("sgd", "mse")
            for n in (4, 7, 4):
                x, y = ones((6, n, 3)), np.zeros((6, n, 2))
                assert model.predict(x).shape == (6, n, 2)
                model.fit(x, y, epochs=3, batch_size=4, verbose=0)
                model.evaluate(x, y)
                model.train_on_batch(x, y)
                frozen = model.freeze(6, input_shape=(n, 3))
                np.testing.assert_allclose(frozen(x), model.predict(x), rtol=1e-6)
            with pytest.raises(RuntimeError, match=r"freeze: the shape \(None, 3\) has unknown sizes; pass input_shape"):
                model.freeze()
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "(None, None, 2)" in lines[0]


@pytest.mark.parametrize("make", [of_graph, of_sequence])
def test_what_inputs_say_is_saved(make: Any, tmp_path: Any) -> None:
    model = make(fastnn.Dense(2), None, 3)
    model.save(tmp_path / "open.fastnn")
    again = fastnn.load(tmp_path / "open.fastnn")
    assert again.input_shape == (None, 3)
    lines: list[str] = []
    for m in (model, again):
        m.summary(print_fn=lines.append)
    assert lines[0] == lines[1] and "(None, None, 2)" in lines[0]
    np.testing.assert_array_equal(again.predict(ones((2, 5, 3))), model.predict(ones((2, 5, 3))))
    ids = fastnn.Sequential([fastnn.Input((3,), dtype="int64"), fastnn.Dense(2)])
    again = fastnn.Sequential.from_config(ids.get_config())
    assert (again.input_spec.dtype, again.input_spec.shape) == ("int64", (None, 3))


REFUSED: dict[str, Any] = {
    "dense": (lambda: fastnn.Dense(2)(fastnn.Input((3, None))), r"Dense: the last size of its input, of shape \(None, 3, None\)"),
    "flattened": (lambda: fastnn.Dense(2)(fastnn.Flatten()(fastnn.Input((None, 3)))), r"of shape \(None, None\), is unknown"),
    "flattened in a row": (
        lambda: fastnn.Sequential([fastnn.Input((None, 3)), fastnn.Flatten(), fastnn.Dense(2)]),
        r"of shape \(None, None\), is unknown",
    ),
    "slopes": (lambda: fastnn.PReLU()(fastnn.Input((None, 3))), "has unknown sizes; wanted numbers there, or shared_axes"),
    "layers inside": (
        lambda: Lazy()(fastnn.Input((3, None))),
        r"lazy: inputs of shape \(None, 3, None\) do not fit; sizes 24 and",
    ),
    "sum": (lambda: fastnn.Input((None, 3)) + fastnn.Input((None, 4)), r"\(None, None, 3\) and \(None, None, 4\) do not fit"),
    "weights": (lambda: Weight()(fastnn.Input((3, None))), r"add_weight: shape is \(None, 2\), with a size that is unknown"),
    "both shapes": (lambda: fastnn.Input((3,), batch_shape=(None, 3)), "batch_shape came with shape"),
    "spec": (
        lambda: Sees(fastnn.InputSpec(ndim=3))(fastnn.Input((3,), name="a")),
        r"sees: a has shape \(None, 3\), wanted 3 dim",
    ),
    "spec behind an input": (
        lambda: fastnn.Sequential([fastnn.Input((3,)), Sees(fastnn.InputSpec(axes={-1: 4}))]),
        r"has shape \(None, 3\), wanted \(n, 4\)",
    ),
    "no shape": (lambda: fastnn.Input(batch_shape=()), "wanted the shape with the batch"),
    "size 0": (lambda: fastnn.Input((None, 0)), "Input: shape is 0"),
    "dtypes": (lambda: fastnn.Sequential([fastnn.Input((3,), dtype="float64")], dtype="float32"), "its Input is float64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, text = REFUSED[case]
    with pytest.raises(ValueError, match=text):
        make()


def test_graphs_ask_for_dtypes() -> None:
    for make in (
        lambda: SaysInt()(fastnn.Input((3,), name="a")),
        lambda: fastnn.Sequential([fastnn.Input((3,), name="a"), SaysInt()]),
        lambda: Sees([fastnn.InputSpec("int"), None])(fastnn.Input((3,), name="a"), fastnn.Input((3,))),
        lambda: Both()(fastnn.Input((3,)), fastnn.Input((3,), name="a")),
    ):
        with pytest.raises(
            TypeError, match=r"<symbolic tensor '.*', shape \(None, 3\), float32> came, wanted int64; Input takes"
        ):
            make()
    x = fastnn.Input((None,), dtype="int64")
    assert SaysInt()(x).shape == (None, None, 2) and Sees(fastnn.InputSpec(shape=(None, 3)))(x).shape == (None, 1)


def test_a_layer_that_was_refused_can_be_used() -> None:
    layer = Lazy()
    with pytest.raises(ValueError, match="do not fit"):
        layer(fastnn.Input((3, None)))
    assert not layer.built and layer(fastnn.Input((None, 5))).shape == (None, None, 2)


def test_shapes_with_the_batch() -> None:
    for shape in ((None, 4, 3), (8, 4, 3), [8, 4, 3]):
        assert fastnn.Input(batch_shape=shape).shape == (None, 4, 3)
    assert fastnn.Input(batch_shape=(None, None, 3)).shape == (None, None, 3)


def test_an_input_of_float64_makes_a_model_of_float64() -> None:
    model = fastnn.Sequential([fastnn.Input((3,), dtype="float64"), fastnn.Dense(2)])
    assert model.dtype == np.float64 and model.predict(ones((1, 3))).dtype == np.float64
    again = fastnn.Sequential.from_config(model.get_config())
    assert again.dtype == np.float64


def test_repr() -> None:
    assert repr(fastnn.InputSpec("int", (None, 3), name="ids")) == "InputSpec(dtype='int', shape=(None, 3), name='ids')"
    assert repr(fastnn.Dense(2, input_shape=(3,)).input_spec) == "InputSpec(dtype='float', min_ndim=2, axes={-1: 3})"
