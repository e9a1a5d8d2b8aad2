"""What layers say of their inputs: dtypes and shapes at every door, open sizes, ids, and samples without a batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastnn.training.data.arrays.large import by_batch

import fastnn
import fastnn.nn as nn

BACKENDS = [b.name for b in fastnn.backends().values() if b.available and b.name != "cupy"]
IDS = np.array([[1, 2, 3], [4, 0, 1]])


class Embed(nn.Module):
    """Rows by number; says nothing of what it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.linspace(-1, 1, 10, dtype=np.float32).reshape(5, 2))

    def forward(self, ids: Any) -> Any:
        assert ids.dtype == np.int64
        return fastnn.take(self.weight, ids)


class SaysInt(Embed):
    input_spec = fastnn.InputSpec(dtype="int", ndim=2)


class Sees(nn.Module):
    """Keeps the dtype and the shape that came."""

    def __init__(self, spec: Any = None) -> None:
        super().__init__()
        self.scale = nn.Parameter(np.ones(1, np.float32))
        self._saw: list[Any] = []
        if spec is not None:
            self.input_spec = spec

    def forward(self, *xs: Any) -> Any:
        self._saw = [(x.dtype.name, x.shape) for x in xs]
        return xs[0].reshape(len(xs[0]), -1).astype("float32").sum(1, keepdims=True) * self.scale


def ones(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


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


# ---- shapes ----

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


def of_graph(layer: Any, *shape: Any) -> Any:
    x = fastnn.Input(shape)
    return fastnn.Model(x, layer(x))


def of_sequence(layer: Any, *shape: Any) -> Any:
    return fastnn.Sequential([fastnn.Input(shape), layer])


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


# ---- open sizes ----

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


class Mean(nn.Module):
    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Any) -> Any:
        return x.mean(self.axis)


class Pairs(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.reshape(len(x), -1, 6)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = fastnn.Dense(2)

    def forward(self, x: Any) -> Any:
        return self.dense(x)


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
            with pytest.raises(RuntimeError, match=r"freeze: the shape \(None, 3\) has open sizes; pass input_shape"):
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
    "flattened": (lambda: fastnn.Dense(2)(fastnn.Flatten()(fastnn.Input((None, 3)))), r"of shape \(None, None\), is open"),
    "flattened in a row": (
        lambda: fastnn.Sequential([fastnn.Input((None, 3)), fastnn.Flatten(), fastnn.Dense(2)]),
        r"of shape \(None, None\), is open",
    ),
    "slopes": (lambda: fastnn.PReLU()(fastnn.Input((None, 3))), "has open sizes; wanted numbers there, or shared_axes"),
    "layers inside": (
        lambda: Lazy()(fastnn.Input((3, None))),
        r"lazy: inputs of shape \(None, 3, None\) do not fit; sizes 24 and",
    ),
    "sum": (lambda: fastnn.Input((None, 3)) + fastnn.Input((None, 4)), r"\(None, None, 3\) and \(None, None, 4\) do not fit"),
    "weights": (lambda: Weight()(fastnn.Input((3, None))), r"add_weight: shape is \(None, 2\), with a size that is open"),
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


class Weight(fastnn.Layer):
    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight((input_shape[-1], 2))

    def call(self, x: Any) -> Any:
        return x @ self.w


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


class Both(nn.Module):
    input_spec = {"ids": fastnn.InputSpec("int")}  # noqa: RUF012

    def forward(self, x: Any, ids: Any) -> Any:
        return x * 1.0


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
