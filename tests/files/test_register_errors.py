"""What cannot be registered, saved or loaded of the user's own, and the values that files hold of arguments."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_layers import ABlock, Power, Scale, X, bent, fourth, sequential

import fastnn
import fastnn.nn as nn
from fastnn.core import registered, seeding
from fastnn.files.values import decoded, encoded


def test_names_are_given_once() -> None:
    def other(x: Any) -> Any:
        return x

    with pytest.raises(ValueError, match=r"'tests>bent' is already the name of .*bent; .*other needs another"):
        fastnn.register(name="bent", package="tests")(other)
    with pytest.raises(ValueError, match="bent is already registered as 'tests>bent'"):
        fastnn.register(name="other")(bent)
    assert fastnn.register(package="tests")(bent) is bent
    for _ in range(2):  # a notebook's cell that runs again

        @fastnn.register(package="tests")
        class Again(fastnn.Layer):
            pass

    assert registered.named("tests>Again") is Again


@pytest.mark.parametrize("item", [3, "Scale", np.zeros(2), fastnn.Dense(2)])
def test_what_cannot_be_registered(item: Any) -> None:
    with pytest.raises(TypeError, match=r"register: .* came, wanted a class or a function"):
        fastnn.register(item)


@pytest.mark.parametrize(("name", "package"), [("a>b", "c"), ("", "c"), ("a", ""), ("a", ">"), (3, "c")])
def test_names_that_cannot_be(name: Any, package: Any) -> None:
    with pytest.raises(ValueError, match=r"register: the (name|package) is .*, wanted"):
        fastnn.register(name=name, package=package)(bent)
    with pytest.raises(ValueError, match="register: the name is '<lambda>'"):
        fastnn.register(lambda x: x)


def test_a_name_that_is_not_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fastnn.Sequential([fastnn.Sequential([fastnn.Dense(2, bent, input_shape=(4,)), Scale()])])
    model.compile("sgd", fourth)
    model(X)
    model.save(tmp_path / "m")
    y = model.predict(X)
    for name, item in (("Custom>Scale", Scale), ("tests>bent", bent)):
        with monkeypatch.context() as patch:
            patch.delitem(registered._objects, name)
            patch.delitem(registered._names, item)
            short = name.partition(">")[2]
            words = rf"load: .*m: model.layers\[0\].layers\[.\]: .*'{name}' is not reg.*{short} and run it"
            with pytest.raises(ValueError, match=words):
                fastnn.load(tmp_path / "m")
            for known in (name, short):
                twin = fastnn.load(tmp_path / "m", custom_objects={known: item})
                np.testing.assert_array_equal(twin.predict(X), y)
    monkeypatch.delitem(registered._objects, "tests>fourth")
    with pytest.raises(ValueError, match=r"m: its training settings: 'tests>fourth' is not registered.*compile=False"):
        fastnn.load(tmp_path / "m")
    assert fastnn.load(tmp_path / "m", compile=False)[0][1].factor == 1.0


@pytest.mark.parametrize("given", [3, {"Scale": 3}, {3: Scale}])
def test_custom_objects_that_are_none(given: Any, tmp_path: Path) -> None:
    sequential().save(tmp_path / "m")
    with pytest.raises(TypeError, match="load: custom_objects"):
        fastnn.load(tmp_path / "m", custom_objects=given)


def test_names_of_another_kind(tmp_path: Path) -> None:
    sequential().save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"load: .*'Custom>Scale', which is registered, but is no layer"):
        fastnn.load(tmp_path / "m", custom_objects={"Scale": Power})
    for get in (fastnn.initializers.get, fastnn.regularizers.get, fastnn.constraints.get, fastnn.schedules.get):
        with pytest.raises(ValueError, match="'tests>Power' is registered, but it is no"):
            get({"class_name": "tests>Power", "config": {}})


class Unregistered(fastnn.Layer):
    def forward(self, x: Any) -> Any:
        return x


def lost(*_: Any) -> Any:
    @fastnn.register(package="tests")
    class Lost(fastnn.Layer):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.weights_ = [0] * count

    return Lost(3)


def starred() -> Any:
    @fastnn.register(package="tests")
    class Starred(fastnn.Layer):
        def __init__(self, *layers: Any) -> None:
            super().__init__()

    return Starred()


def odd() -> Any:
    return Scale(axes=object())


def changed() -> Any:
    block = ABlock(4)
    block.first.activation = "tanh"
    return block


def more() -> Any:
    block = ABlock(4)
    block.extra = fastnn.Dense(2)
    return block


def taken() -> Any:
    @fastnn.register(package="tests")
    class Taken(fastnn.Layer):
        def __init__(self, drop: float) -> None:
            super().__init__()
            self.drop = fastnn.Dropout(drop)

        def forward(self, x: Any) -> Any:
            return self.drop(x)

    return Taken(0.5)


def other_value() -> Any:
    @fastnn.register(package="tests")
    class Other(fastnn.Layer):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.n = n + 1

        def forward(self, x: Any) -> Any:
            return x

    return Other(2)


REFUSED: dict[Any, str] = {
    Unregistered: "Unregistered is not one of fastnn's layers, and not registered: put @fastnn.register before",
    lost: "tests>Lost: the argument 'count' of Lost cannot be read from an attribute: keep it as self.count, or define",
    starred: r"tests>Starred: the argument \*layers of Starred cannot be given by its name: define get_config",
    odd: "Custom>Scale: the argument 'axes' of Scale is a object, which a file cannot hold: define get_config",
    changed: "first.config.activation is 'tanh' in the file, and its class makes 'relu'",
    more: "the file has the layers .*extra, and its class makes first, rest, heads",
    taken: r"the constructor of Taken does not take \{'drop': Dropout.*an attribute with the name of an argument has to hold it",
    other_value: "its config.n is 3 in the file, and its class makes 4",
}


@pytest.mark.parametrize("make", REFUSED)
def test_what_could_not_be_made_again_is_refused_by_save(make: Any, tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(4, input_shape=(4,)), make()])
    if make in (changed, more):
        model(X)
        if make is more:
            model[1].extra(X)
    with pytest.raises((TypeError, ValueError), match=f"save: .*{REFUSED[make]}.*use save_weights"):
        model.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_saving_draws_no_random_numbers(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Drawing(fastnn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(np.random.rand(3).astype(np.float32))  # noqa: NPY002
            self.v = nn.Parameter(fastnn.rand(3).numpy())

        def forward(self, x: Any) -> Any:
            return x

    model = fastnn.Sequential([fastnn.Dense(3, input_shape=(4,)), Drawing()])
    drawn = []
    for use in (lambda: None, lambda: model.save(tmp_path / "m")):
        fastnn.seed(1)
        np.random.seed(1)  # noqa: NPY002
        use()
        drawn.append([np.random.rand(), fastnn.rand(1).item(), seeding.generator().random()])  # noqa: NPY002
    assert drawn[0] == drawn[1]


VALUES: list[Any] = [
    *(None, True, 3, 0.5, "text", [1, [2.0]], (1, (2,), [3]), {"a": (1,)}, {1: "x", (2, 3): None}, {"$a": 1}, {}),
    *(fastnn.relu, bent, nn.ReLU, Scale, fastnn.initializers.HeNormal(3), fastnn.regularizers.L2(0.5)),
    *(fastnn.constraints.MaxNorm(3), fastnn.schedules.Constant(0.5)),
]


@pytest.mark.parametrize("value", VALUES)
def test_values_come_back(value: Any) -> None:
    import json

    back = decoded(json.loads(json.dumps(encoded(value, "it", nn.Module))), nn.Module)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "float32", "float64"])
def test_arrays_come_back(dtype: str) -> None:
    a = np.arange(6).reshape(2, 3).astype(dtype)
    back = decoded(encoded(a, "it", nn.Module), nn.Module)
    assert back.dtype == a.dtype and np.array_equal(back, a)
    assert encoded(a.dtype, "it", nn.Module) == dtype and encoded(a[1, 1], "it", nn.Module) == a[1, 1]


@pytest.mark.parametrize(
    "value",
    [{"$x": 1}, {"$tuple": 3}, {"$dict": [1]}, {"$array": ["O", [1], [1]]}, {"$array": ["int8", [2], [1]]}, {"$function": "os"}]
    + [{"$function": "a>b"}, {"$class": "Scale"}, {"$initializer": {"class_name": "os.system"}}, {"$activation": "system"}],
)
def test_damaged_values_are_refused(value: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        decoded(value, nn.Module)
