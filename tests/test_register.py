"""Classes and functions of the user's own in files: registered names, and nothing imported."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
import fastnn.nn as nn
from fastnn import registered, seeding
from fastnn.files.values import decoded, encoded

X = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
Y = X[:, :2] - X[:, 2:]


@fastnn.register
class Scale(fastnn.Layer):
    """A layer with weights, built at its first call."""

    def __init__(self, factor: float = 1.0, axes: Any = (0,)) -> None:
        super().__init__()
        self.factor, self.axes = factor, axes

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight((input_shape[-1],), "ones")

    def call(self, x: Any) -> Any:
        return x * self.gain * self.factor


@fastnn.register(name="Block", package="tests")
class ABlock(nn.Module):
    """Layers as attributes, some of them without a shape, others in lists; one comes as an argument."""

    def __init__(self, width: int, activation: Any = "relu", inner: Any = None, *, start: Any = "ones") -> None:
        super().__init__()
        self.width, self.activation, self.inner, self._start = width, activation, inner, start
        self.first = fastnn.Dense(width, activation=activation, bias_initializer=start)
        self.rest = nn.ModuleList([Scale(0.5), fastnn.Sequential([fastnn.Dense(width), nn.PReLU()])])
        self.heads = nn.ModuleDict({"a": nn.Linear(width, 2), "b": fastnn.Dense(2)})
        self.heads["a"].bias = self.heads["a"].bias
        self.register_buffer("seen", np.zeros(2, np.float32))
        self.own = nn.Parameter(np.ones(2, np.float32))

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        y = (self.heads["a"](x) + self.heads["b"](x)) * self.own
        return y if self.inner is None else self.inner(y)


@fastnn.register(package="tests")
def bent(x: Any) -> Any:
    return x * fastnn.sigmoid(2.0 * x)


@fastnn.register(package="tests")
def fourth(y_true: Any, y_pred: Any) -> Any:
    return ((y_true - y_pred) ** 4).mean(-1)


@fastnn.register(package="tests")
def halves(shape: Any, dtype: Any, rng: Any) -> Any:
    return np.full(shape, 0.5, dtype)


@fastnn.register(package="tests")
def ridge(w: Any) -> Any:
    return (w * w).sum() * 0.1


@fastnn.register(package="tests")
class Power(fastnn.losses.Loss):
    def __init__(self, power: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.power = power

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return (y_true - y_pred) ** self.power


@fastnn.register(package="tests")
class Worst(fastnn.metrics.Metric):
    def __init__(self, share: float, name: str = "worst") -> None:
        super().__init__(name)
        self.share = share
        self.most = self.add_weight()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.most.assign(fastnn.maximum(self.most, abs(y_true - y_pred).max() * self.share))

    def result(self) -> Any:
        return self.most


@fastnn.register(package="tests")
class Start(fastnn.initializers.Initializer):
    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any, rng: Any) -> Any:
        return np.full(shape, self.value, dtype)


@fastnn.register(package="tests")
class Ridge(fastnn.regularizers.Regularizer):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        return (x * x).sum() * self.factor


@fastnn.register(package="tests")
class Halving(fastnn.schedules.Schedule):
    def __init__(self, start: float) -> None:
        self.start = start

    def at(self, step: Any) -> Any:
        return self.start * 0.5**step


@fastnn.register(package="tests")
class Slow(fastnn.optim.SGD):
    pass


def comes_back(model: Any, folder: Path) -> Any:
    model.save(folder / "m")
    twin = fastnn.load(folder / "m")
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    twin.save(folder / "m")
    np.testing.assert_array_equal(fastnn.load(folder / "m").predict(X), model.predict(X))
    return twin


def sequential() -> Any:
    model = fastnn.Sequential([fastnn.Dense(3, bent, input_shape=(4,)), Scale(2.0, axes=(0, 1)), fastnn.Dense(2)])
    model(X)
    return model


def graph() -> Any:
    x = fastnn.Input((4,))
    block, scale = ABlock(3, "tanh"), Scale()
    return fastnn.Model(x, scale(block(x)) + scale(ABlock(4, bent, inner=scale)(x)))


def module() -> Any:
    model = ABlock(3, fastnn.tanh, inner=Scale(0.25), start=fastnn.initializers.Constant(0.5))
    model(X)
    return model


@pytest.mark.parametrize("make", [sequential, graph, module])
def test_models_with_own_layers(make: Any, tmp_path: Path) -> None:
    """Training goes on as without a break."""
    fastnn.seed(3)
    model = make()
    model.compile(fastnn.optim.Adam(lr=0.01), "mse")
    fastnn.seed(4)
    model.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    twin = comes_back(model, tmp_path)
    for m in (model, twin):
        m.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_arguments_come_back_as_they_were(tmp_path: Path) -> None:
    twin = comes_back(sequential(), tmp_path)
    assert twin[1].factor == 2.0 and twin[1].axes == (0, 1) and twin[0].activation is bent
    twin = comes_back(module(), tmp_path)
    assert twin.inner.factor == 0.25 and twin.activation is fastnn.tanh and twin._start == fastnn.initializers.Constant(0.5)


def test_layers_of_own_classes_stay_tied_and_frozen(tmp_path: Path) -> None:
    model = fastnn.Sequential([fastnn.Dense(4, input_shape=(4,)), Tied(4)])
    model[1].first.requires_grad_(False)
    twin = comes_back(model, tmp_path)
    assert twin[1].second.weight.base is twin[1].first.weight.base and not twin[1].first.trainable
    assert len(list(twin.parameters())) == len(list(model.parameters())) == 5


@fastnn.register
class Tied(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.first, self.second = width, nn.Linear(width, width), nn.Linear(width, width)
        self.second.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))


def test_a_class_that_adds_no_constructor(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Doubled(fastnn.Dense):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * 2.0

    @fastnn.register(package="tests")
    class Chain(fastnn.Sequential):
        def forward(self, x: Any) -> Any:
            return super().forward(x) + 1.0

    model = Chain([Doubled(3, "relu", input_shape=(4,)), Doubled(2)])
    model(X)
    twin = comes_back(model, tmp_path)
    assert type(twin) is Chain and type(twin[1]) is Doubled


def test_a_class_derived_from_a_layer_with_its_own_constructor(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Wide(fastnn.Dense):
        def __init__(self, units: int, times: int, **kwargs: Any) -> None:
            super().__init__(units * times, **kwargs)
            self.times = times

        def get_config(self) -> Any:
            config = super().get_config()
            return {**config, "units": config["units"] // self.times, "times": self.times}

    @fastnn.register(package="tests")
    class Deep(fastnn.Sequential):
        def __init__(self, depth: int) -> None:
            super().__init__([fastnn.Dense(4) for _ in range(depth)])
            self.depth = depth

    model = fastnn.Sequential([Wide(2, 3, activation="relu"), Deep(3), fastnn.Dense(2)])
    model(X)
    twin = comes_back(model, tmp_path)
    assert twin[0].units == 6 and len(twin[1]) == 3


def test_arguments_that_a_constructor_hands_on(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Net(fastnn.Model):
        def __init__(self, width: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.width = width
            self.hidden, self.last = fastnn.Dense(width, "relu"), fastnn.Dense(2)

        def call(self, x: Any) -> Any:
            return self.last(self.hidden(x))

    @fastnn.register(package="tests")
    class Noisy(fastnn.Dense):
        def __init__(self, units: int, *, level: float, **kwargs: Any) -> None:
            super().__init__(units, **kwargs)
            self.level = level

    model = fastnn.Sequential([Noisy(4, level=0.5, activation="tanh", kernel_regularizer="l2"), Net(3, name="inner")])
    model(X)
    twin = comes_back(model, tmp_path)
    assert twin[0].level == 0.5 and twin[0].kernel_regularizer == fastnn.regularizers.L2() and twin[1].name == "inner"


def test_a_train_step_of_an_own_model(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Stepping(nn.Module):
        def __init__(self, rate: float) -> None:
            super().__init__()
            self.rate, self.layer, self.loss = rate, nn.Linear(4, 2), nn.MSELoss(reduction="sum")

        def forward(self, x: Any) -> Any:
            return self.layer(x)

        def train_step(self, data: Any) -> Any:
            x, y = data
            loss = self.loss(self(x), y) * self.rate
            self.zero_grad()
            loss.backward()
            self.optimizer.step()
            return {"loss": loss}

    model = Stepping(0.5)
    model.compile("sgd")
    model.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    twin = comes_back(model, tmp_path)
    for m in (model, twin):
        m.fit(X, Y, batch_size=4, verbose=0, shuffle=False)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_keras_get_config_and_from_config(tmp_path: Path) -> None:
    @fastnn.register(package="tests")
    class Repeat(nn.Module):
        def __init__(self, inner: Any, times: int) -> None:
            super().__init__()
            self.layer, self.count = inner, times

        def forward(self, x: Any) -> Any:
            for _ in range(self.count):
                x = self.layer(x)
            return x

        def get_config(self) -> Any:
            return {**super().get_config(), "what": self.layer, "n": self.count}

        @classmethod
        def from_config(cls, config: Any) -> Any:
            return cls(config["what"], config["n"])

    model = fastnn.Sequential([Repeat(fastnn.Dense(4, input_shape=(4,)), 3), fastnn.Dense(1)])
    model(X)
    twin = comes_back(model, tmp_path)
    assert twin[0].count == 3


@pytest.mark.parametrize("loss", [fourth, Power, Power(2, reduction="sum"), "tests>fourth", {"dense_1": Power(6)}])
@pytest.mark.parametrize("metrics", [[Worst(0.5), fourth], ["tests>fourth", "mae"], None])
def test_losses_and_metrics(loss: Any, metrics: Any, tmp_path: Path) -> None:
    if isinstance(loss, dict):
        x = fastnn.Input((4,))
        model: Any = fastnn.Model(x, {"dense_1": fastnn.Dense(2)(x)})
    else:
        model = fastnn.Sequential([fastnn.Dense(2, input_shape=(4,))])
    y: Any = {"dense_1": Y} if isinstance(loss, dict) else Y
    model.compile("sgd", loss, metrics, capture=False)
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "m")
    twin = fastnn.load(tmp_path / "m")
    assert twin.evaluate(X, y, return_dict=True) == model.evaluate(X, y, return_dict=True)


def test_rules_schedules_and_optimizers(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [
        {"kernel_initializer": halves, "kernel_regularizer": ridge, "kernel_constraint": bent},
        {"kernel_initializer": Start(0.5), "kernel_regularizer": Ridge(0.5), "activity_regularizer": ridge},
    ]
    for given in rules:
        model = fastnn.Sequential([fastnn.Dense(2, input_shape=(4,), **given)])
        model.compile(Slow(lr=Halving(0.1)), "mse")
        model.fit(X, Y, verbose=0)
        twin = comes_back(model, tmp_path)
        assert type(twin.optimizer) is Slow and twin.optimizer.get_config()["lr"] == Halving(0.1)
        assert fastnn.losses.get("mse")(Y, twin(X)).item() > 0 and float(twin.regularization_loss()) > 0


def test_names_are_given_once() -> None:
    def other(x: Any) -> Any:
        return x

    with pytest.raises(ValueError, match=r"'tests>bent' is the name of .*bent already, so .*other needs another"):
        fastnn.register(name="bent", package="tests")(other)
    with pytest.raises(ValueError, match="bent is registered as 'tests>bent' already"):
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
    with pytest.raises(ValueError, match=r"register: the (name|package) is .*; wanted"):
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
