"""What layers say of the dtypes of their inputs: ids stay whole numbers, dtypes are asked for everywhere."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from input_layers import BACKENDS, IDS, Embed, SaysInt, Sees

import fastnn
import fastnn.nn as nn
from fastnn.training.data.large import by_batch

# ---- ids ----


def sequential(embed: Any) -> Any:
    return fastnn.Sequential([embed(), fastnn.Flatten(), fastnn.Dense(2, kernel_initializer=filled)])


def with_input(embed: Any) -> Any:
    return fastnn.Sequential([fastnn.Input((3,), dtype="int64"), *sequential(embed)])


def graph(embed: Any) -> Any:
    x = fastnn.Input((3,), dtype="int64")
    return fastnn.Model(x, fastnn.Dense(2, kernel_initializer=filled)(fastnn.Flatten()(embed()(x))))


def filled(shape: Any, dtype: Any = None) -> Any:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=dtype).reshape(shape)


def used_ids(model: Any, ids: Any) -> list[Any]:
    """What all doors make of ids, one after the other."""
    y = np.array([[0.5, 1.0], [0.0, -1.0]])
    call = model(ids).numpy()
    model.compile(fastnn.optim.SGD(lr=0.1), "mse")
    values = [call, model.predict(ids)]
    values += [model.fit(ids, y, epochs=4, batch_size=2, shuffle=False, verbose=0).history["loss"]]
    values += [model.evaluate(ids, y), *(model.train_on_batch(ids, y) for _ in range(3)), model.predict_on_batch(ids)]
    frozen = model.freeze(2, input_shape=(3,), input_dtype="int64")
    captured = fastnn.capture(lambda x: model(x).detach())
    return [*values, frozen(ids), *(captured(np.asarray(ids, np.int64)).numpy() for _ in range(4))]


@pytest.mark.parametrize("embed", [Embed, SaysInt])
@pytest.mark.parametrize("make", [sequential, with_input, graph])
def test_ids_stay_whole_numbers_at_every_door(make: Any, embed: Any) -> None:
    wanted: list[Any] | None = None
    for backend, dtype in itertools.product(BACKENDS, ("int64", "int32", "uint8", "list")):
        if dtype != "int64" and backend != "cpp":
            continue
        with fastnn.use_backend(backend):
            found = used_ids(make(embed), IDS.tolist() if dtype == "list" else IDS.astype(dtype))
        for a, b in zip(found, wanted or found, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6, err_msg=f"{backend}, {dtype}")
        wanted = wanted or found


def test_a_model_of_its_own_with_ids_beside_floats() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.embed = fastnn.Dense(2), Embed()  # in this order: what comes first says nothing of the others

        def forward(self, x: Any, ids: Any) -> Any:
            return self.dense(x) + self.embed(ids)

    model = Net()
    model.compile("sgd", "mse")
    x, ids, y = np.ones((4, 3)), np.array([0, 1, 2, 3]), np.zeros((4, 2))
    assert len(model.fit([x, ids], y, epochs=3, verbose=0).history["loss"]) == 3
    assert model.predict({"x": x, "ids": ids}).shape == (4, 2)


def test_memory_maps_of_ids_are_used_as_they_are(tmp_path: Any) -> None:
    np.save(tmp_path / "ids.npy", IDS)
    np.save(tmp_path / "small.npy", IDS.astype(np.int32))
    ids, small = (np.load(tmp_path / name, mmap_mode="r") for name in ("ids.npy", "small.npy"))
    y = np.zeros((2, 2), np.float32)
    for make, embed in itertools.product((sequential, with_input, graph), (Embed, SaysInt)):
        model = make(embed)
        model.compile("sgd", "mse")
        assert by_batch(model, "fit", ids, y, None, 2) is None
        assert by_batch(model, "fit", small, y, None, 2) is not None
        models = [make(embed) for _ in range(2)]
        for m, x in zip(models, (ids, small), strict=True):
            m.compile("sgd", "mse")
            m.fit(x, y, epochs=2, verbose=0)
        assert models[0].evaluate(ids, y) == models[1].evaluate(small, y)


def test_a_spec_says_what_freeze_takes() -> None:
    model = sequential(SaysInt)
    want = model(IDS).numpy()
    np.testing.assert_allclose(model.freeze(2, input_shape=(3,))(IDS), want, rtol=1e-6)
    with pytest.raises(ValueError, match=r"x\[0, 0\] is 1.5; wanted whole numbers"):
        model(IDS + 0.5)
    with pytest.raises(ValueError, match=r"predict: x\[0, 0\] is 1.5; wanted whole numbers"):
        model.predict(IDS + 0.5)
    np.testing.assert_array_equal(model(IDS.astype(float)).numpy(), want)


# ---- dtypes ----

KINDS: dict[str, Any] = {
    "none": (None, {"int32": "int64", "uint8": "int64", "bool": "bool", "float64": "float32", "float16": "float32"}),
    "float": ("float", dict.fromkeys(("int32", "uint8", "bool", "float64", "float16"), "float32")),
    "float64": ("float64", dict.fromkeys(("int32", "bool", "float16"), "float64")),
    "int": ("int", dict.fromkeys(("int32", "uint8", "bool", "float64"), "int64")),
    "bool": ("bool", dict.fromkeys(("int32", "uint8", "bool", "float64"), "bool")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_dtypes_at_every_door(kind: str) -> None:
    wanted, table = KINDS[kind]
    doors: dict[str, Callable[[Any, Any], Any]] = {
        "call": lambda m, x: m(x),
        "list": lambda m, x: m(x.tolist()),
        "predict": lambda m, x: m.predict(x),
        "fit": lambda m, x: (m.compile("sgd", "mse"), m.fit(x, [[0.0], [0.0]], verbose=0)),
        "evaluate": lambda m, x: (m.compile("sgd", "mse"), m.evaluate(x, [[0.0], [0.0]])),
    }
    for given, came in table.items():
        for door, use in doors.items():
            layer = Sees(fastnn.InputSpec(wanted))
            x = np.array([[0, 1], [1, 0]]).astype(given)
            use(layer, x)
            expected = np.asarray(x.tolist()).dtype.name if door == "list" else given
            assert layer._saw[0][0] == table.get(expected, came), (given, door)


def test_layers_of_fastnn_take_whole_numbers_as_floats() -> None:
    x = np.array([[0, 1], [3, 4]])
    for layer in (fastnn.Dense(2), fastnn.ReLU(), fastnn.Dropout(0.5), nn.Softmax(), fastnn.PReLU(), nn.GLU()):
        layer.eval()
        want = layer(x.astype(np.float32)).numpy()
        for given in (x, x.tolist(), fastnn.tensor(x)):
            np.testing.assert_array_equal(layer(given).numpy(), want)
    y = fastnn.Sequential([fastnn.Flatten(), fastnn.Dense(1)])(x)
    assert y.dtype == np.float32 and fastnn.Flatten()(x).dtype == np.int64
    assert fastnn.Dense(2)(fastnn.Input((3,), dtype="int64")).dtype == np.float32


def test_merging_layers_keep_whole_numbers_and_make_floats_of_those_beside_floats() -> None:
    ids, x = np.array([[1, 2]]), np.array([[0.5, 1.0]])
    a, b = fastnn.Input((2,), dtype="int64"), fastnn.Input((2,))
    for layer in (fastnn.Concatenate(), fastnn.Add(), fastnn.Maximum()):
        assert layer([ids, ids]).dtype == layer([a, a]).dtype == np.int64
        assert layer([ids, x]).dtype == layer([a, b]).dtype == np.float32
        np.testing.assert_array_equal(layer([ids, x]).numpy(), layer([ids.astype(float), x]).numpy())


def test_a_hand_written_model_of_layers_takes_whole_numbers() -> None:
    class Net(nn.Module):
        def __init__(self, dtype: Any) -> None:
            super().__init__()
            self.a, self.b = fastnn.Dense(4, dtype=dtype, input_shape=(2,)), fastnn.Dense(1, dtype=dtype)

        def forward(self, x: Any) -> Any:
            return self.b(fastnn.relu(self.a(x)))

    for backend, dtype in itertools.product(BACKENDS, ("float32", "float64")):
        with fastnn.use_backend(backend):
            model = Net(dtype)
            x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
            model.compile("adam", "mse")
            losses = model.fit(x, [0.0, 1.0, 1.0, 0.0], epochs=4, verbose=0).history["loss"]
            assert losses[-1] < losses[0]
            for given in (x, x.astype(bool), x.astype(dtype)):
                y = model.predict(given)
                assert y.dtype == dtype
                np.testing.assert_allclose(model(given).numpy(), y, rtol=1e-5)
            np.testing.assert_allclose(model.freeze(4, input_shape=(2,))(x), y, rtol=1e-5)


def test_one_spec_stands_for_all_inputs_and_names_are_those_of_forward() -> None:
    class Two(nn.Module):
        def forward(self, ids: Any, x: Any) -> Any:
            self._saw = ids.dtype.name, x.dtype.name
            return x * 1.0

    x = np.ones((2, 1), int)
    for spec, came in (
        (fastnn.InputSpec("float"), ("float32", "float32")),
        ([fastnn.InputSpec("int"), fastnn.InputSpec("float64")], ("int64", "float64")),
        ({"x": fastnn.InputSpec("float")}, ("int64", "float32")),
        ([None, fastnn.InputSpec("float")], ("int64", "float32")),
    ):
        model = Two()
        model.input_spec = spec
        model.predict([x, x])
        assert model._saw == came
    model.input_spec = [fastnn.InputSpec("int"), None]
    model(x.astype(float), fastnn.ones(2, 1))
    assert model._saw[0] == "int64"
    model.input_spec = {"ids": fastnn.InputSpec("bool")}
    model(x, fastnn.ones(2, 1))
    assert model._saw[0] == "bool"
    model.input_spec = [fastnn.InputSpec()]
    with pytest.raises(ValueError, match="predict: input_spec has 1 entries; wanted 2: ids, x"):
        model.predict([x, x])
    model.input_spec = ["int64", None]
    with pytest.raises(TypeError, match="input_spec holds a str"):
        model.predict([x, x])


def test_calls_on_a_list_of_arrays_ask_for_each() -> None:
    class Pair(nn.Module):
        input_spec = [fastnn.InputSpec("int"), fastnn.InputSpec("float64")]  # noqa: RUF012

        def forward(self, pair: Any) -> Any:
            self._saw = [a.dtype.name for a in pair]
            return pair[1]

    model, x = Pair(), np.ones((2, 2), np.float32)
    for use in (model, model.predict):
        use([x, x])
        assert model._saw == ["int64", "float64"]
    with pytest.raises(ValueError, match=r"Pair: x\[0, 0\] is 0.5; wanted whole numbers"):
        model([x * 0.5, x])


class Rows(nn.Module):
    """Adds rows, by number, to x: two inputs of different dtypes."""

    input_spec: Any = [fastnn.InputSpec("float", ndim=2), fastnn.InputSpec("int", ndim=1)]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(np.ones((5, 3), np.float32))

    def forward(self, x: Any, ids: Any) -> Any:
        self._saw = x.dtype.name, ids.dtype.name
        return x + fastnn.take(self.rows, ids)


class NamedRows(Rows):
    input_spec = {"ids": fastnn.InputSpec("int", ndim=1)}  # noqa: RUF012


class OptionalRows(Rows):
    def forward(self, x: Any, ids: Any = None) -> Any:
        return x if ids is None else super().forward(x, ids)


@pytest.mark.parametrize("kind", [Rows, NamedRows, OptionalRows])
def test_calls_cast_every_argument_that_has_a_spec(kind: Any) -> None:
    layer, x, ids = kind(), np.ones((2, 3)), np.array([1, 4])
    for backend in BACKENDS:
        with fastnn.use_backend(backend):
            want = np.full((2, 3), 2, np.float32)
            for given in (ids, ids.tolist(), ids.astype(np.float64), ids.astype(np.int8), fastnn.tensor(ids)):
                for y in (layer(x, given), layer(x.tolist(), ids=given), layer(fastnn.ones(2, 3), given)):
                    np.testing.assert_array_equal(y.numpy(), want)
                assert layer._saw == ("float32", "int64")
    with pytest.raises(ValueError, match=rf"{kind.__name__}: ids\[0\] is 1.5; wanted whole numbers"):
        layer(x, ids + 0.5)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: ids has shape \(2, 1\), wanted 1 dimension"):
        layer(x, ids=ids[:, None])


def test_one_spec_leaves_what_comes_after_the_first_argument() -> None:
    class Exact(nn.Linear):
        def forward(self, x: Any, ids: Any) -> Any:  # type: ignore[override]
            return fastnn.tensor(np.asarray(ids) == 16777217).astype("float32")

    big = np.array([16777217, 16777216])
    for ids in (big, fastnn.tensor(big)):
        assert Exact(3, 2)(np.ones((2, 3)), ids).tolist() == [1.0, 0.0]


def test_nested_specs_and_a_mode_between_the_inputs() -> None:
    f, i = fastnn.InputSpec("float"), fastnn.InputSpec("int")

    class Nested(nn.Module):
        input_spec: Any = [f, (f, i)]  # noqa: RUF012

        def forward(self, x: Any, state: Any) -> Any:
            return x * state[0] + state[1].astype("float32")

    x, ids = np.ones((4, 1)), np.arange(4).reshape(4, 1)
    np.testing.assert_array_equal(Nested().predict([x, (2 * x, ids)]), ids + 2.0)

    class Masked(nn.Module):
        input_spec: Any = [f, f]  # noqa: RUF012

        def forward(self, x: Any, training: Any = False, mask: Any = None) -> Any:
            assert isinstance(training, bool)
            return x if mask is None else x * mask

    class KerasMasked(nn.Module):
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            return inputs if mask is None else inputs * mask

    for model in (Masked(), KerasMasked()):
        np.testing.assert_array_equal(model.predict([x, 3 * x]), 3 * x)
        model.compile("sgd", "mse")
        assert model.evaluate([x, 3 * x], 3 * x, verbose=0) == 0.0
    np.testing.assert_array_equal(Masked()(x, True, 3 * x).numpy(), 3 * x)


def test_specs_by_name_of_one_input() -> None:
    class Ids(nn.Module):
        input_spec: Any = {"ids": fastnn.InputSpec("int")}  # noqa: RUF012

        def forward(self, ids: Any) -> Any:
            self._saw = ids.dtype.name
            return ids * 1.0

    model = Ids()
    assert model([1, 2]).tolist() == model.predict([1, 2]).tolist() == [1.0, 2.0] and model._saw == "int64"
    model.input_spec = {"id": fastnn.InputSpec("int")}
    with pytest.raises(ValueError, match=r"predict: input_spec has unknown keys \['id'\]"):
        model.predict([1, 2])


def test_the_first_input_is_cast_by_its_spec_as_the_others_are() -> None:
    x, ids = fastnn.tensor([[1, 2, 3]]), fastnn.tensor([1])
    assert Rows()(x, ids).tolist() == [[2.0, 3.0, 4.0]]


def test_inputs_that_cannot_be_passed_beside_a_mode_are_an_error() -> None:
    class Rest(nn.Module):
        def forward(self, x: Any, training: Any = False, *rest: Any) -> Any:
            return x

    with pytest.raises(TypeError, match="input_2"):
        Rest().predict([np.ones((2, 1)), np.ones((2, 1))])


def test_a_decorator_may_give_an_input_itself() -> None:
    def doubled(f: Any) -> Any:
        @functools.wraps(f)
        def forward(self: Any, x: Any) -> Any:
            return f(self, x, 2.0)

        return forward

    class Scaled(nn.Module):
        @doubled
        def forward(self, x: Any, k: Any) -> Any:
            return x * k

    assert Scaled()([[1.0, 2.0]]).tolist() == [[2.0, 4.0]]
    assert fastnn.Sequential([Scaled()]).predict([[1.0, 2.0]]).tolist() == [[2.0, 4.0]]


def test_arguments_of_derived_layers() -> None:
    class Early(fastnn.Dense):
        def __init__(self, units: int) -> None:
            self.units = units
            super().__init__(units)

    class Checked(fastnn.Dense):
        _checked_arguments = {"extra": lambda value, name: float(value)}  # noqa: RUF012

    assert Early(2)(np.ones((1, 3))).shape == (1, 2)
    layer = Checked(2, activation="relu")
    layer.extra = 3
    assert isinstance(layer.extra, float) and layer(np.ones((1, 3))).shape == (1, 2)
    layer.units = np.int64(2)  # the same value
    with pytest.raises(AttributeError, match="units is fixed"):
        layer.units = 5


def test_several_inputs_in_one_list_are_an_error_that_says_how_to_call() -> None:
    x, ids = np.ones((2, 3)), np.array([1, 4])
    a, b = fastnn.Input((3,)), fastnn.Input((), dtype="int64")
    for given in ([x, ids], (x, ids), [fastnn.tensor(x), fastnn.tensor(ids)], {"x": x, "ids": ids}, [a, b]):
        with pytest.raises(TypeError, match=r"Rows: a \w+ of 2 came for x, but .* 2 inputs: x, ids; call it as layer\(x, ids\)"):
            Rows()(given)
    with pytest.raises(TypeError, match=r"rows: 1 of 2 inputs came; forward takes x, ids; call it as layer\(x, ids\)"):
        Rows()(a)
    assert Rows()(a, b).shape == (None, 3)


def test_sequential_refuses_a_layer_of_two_inputs_and_names_the_functional_model() -> None:
    for make in (
        lambda: fastnn.Sequential([Rows()]),
        lambda: fastnn.Sequential([fastnn.Input((3,)), Rows()]),
        lambda: fastnn.Sequential([fastnn.Dense(3), NamedRows()]),
        lambda: fastnn.Residual(Rows()),
        lambda: fastnn.Sequential().add(Rows()),
    ):
        with pytest.raises(TypeError, match=r"Rows takes 2 inputs \(x, ids\), but Sequential passes one.*fastnn.Model\(inputs"):
            make()
    x = np.ones((2, 3))
    np.testing.assert_array_equal(fastnn.Sequential([OptionalRows()]).predict(x), x)


@pytest.mark.parametrize("spec", [OptionalRows.input_spec, NamedRows.input_spec])
def test_an_input_with_a_default_may_be_left_out_everywhere(spec: Any) -> None:
    model, x, ids = OptionalRows(), np.ones((4, 3), np.float32), np.arange(4)
    model.input_spec = spec
    model.compile("sgd", "mse")
    for given, want in ((x, 1), ({"x": x}, 1), ([x, ids], 2), ({"x": x, "ids": ids}, 2)):
        np.testing.assert_array_equal(model.predict(given), np.full((4, 3), want))
        assert model.evaluate(given, x * want, verbose=0) == 0.0
    assert model.freeze(input_shape=(3,), batch_size=4)(x).sum() == 12
    model.fit(x, x, verbose=0)
    model.fit([x, ids], x, verbose=0)


def test_classes_derived_from_layers_and_from_own_modules_keep_what_they_take() -> None:
    class Twice(fastnn.Dense):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * 2.0

    class Child(SaysInt):
        def forward(self, ids: Any) -> Any:
            return super().forward(ids) * 2.0

    assert Twice(2)(np.array([[1, 2]])).dtype == np.float32
    assert Child.input_spec is SaysInt.input_spec
    assert Embed.input_spec.dtype is None and fastnn.Layer.input_spec.dtype == "float"


def test_freezing_a_layer_of_two_inputs_asks_for_both_shapes() -> None:
    with pytest.raises(
        RuntimeError, match="freeze: the input shapes are unknown; pass input_shape, a list of one for each of x, ids"
    ):
        Rows().freeze()
    assert Rows().freeze(input_shape=[(3,), ()])(np.ones((1, 3), np.float32), np.array([1])).tolist() == [[2.0, 2.0, 2.0]]


def test_a_loss_of_an_output_of_whole_numbers_names_the_output() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = fastnn.Dense(1)

        def forward(self, x: Any) -> Any:
            return self.layer(x), fastnn.argmax(x, 1)

    model, x = Two(), np.ones((4, 3), np.float32)
    model.compile("sgd", "mse")
    with pytest.raises(
        TypeError, match="Two: the output output_2 has the dtype int64, and losses need floats; give it the loss None"
    ):
        model.fit(x, [x[:, :1], x[:, 0]], verbose=0)
    model.compile("sgd", ["mse", None])
    model.fit(x, [x[:, :1], None], verbose=0)
