"""Names of Keras in `fastnn.keras`, and what the methods with Keras's names do."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import keras

MODULES = [
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "optimizers.schedules",
    "preprocessing",
    "preprocessing.image",
    "preprocessing.sequence",
    "random",
    "regularizers",
    "saving",
    "utils",
]

x = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)


def small() -> Any:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)], name="small")


@pytest.mark.parametrize("name", MODULES)
def test_every_name_can_be_imported(name: str) -> None:
    module = importlib.import_module(f"fastnn.keras.{name}")
    assert dir(module) == sorted(module.__all__)
    for own in module.__all__:
        assert getattr(module, own) is not None


def test_names_are_those_of_fastnn() -> None:
    assert keras.layers.Dense is fastnn.Dense and keras.layers.MaxPool2D is fastnn.MaxPooling2D
    assert keras.Sequential is fastnn.Sequential and keras.callbacks.EarlyStopping is fastnn.callbacks.EarlyStopping
    assert isinstance(keras.optimizers.Adam(1e-3), fastnn.optim.Adam)


def test_optimizers_have_the_arguments_and_defaults_of_keras() -> None:
    assert keras.optimizers.Adam(learning_rate=0.5).get_config()["lr"] == 0.5
    assert keras.optimizers.Adam(0.5).get_config()["eps"] == 1e-7
    assert isinstance(keras.optimizers.Adam(weight_decay=0.1, clipnorm=1.0, use_ema=True), fastnn.optim.AdamW)
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model = small()
    model.compile(optimizer, "mse")
    model.fit(x, np.zeros((12, 3)), epochs=2, batch_size=12, verbose=0)
    assert optimizer.learning_rate == pytest.approx(0.05)
    with pytest.raises(TypeError, match="unknown argument 'rate'"):
        keras.optimizers.Adam(rate=0.1)


def test_layers_by_name_and_number() -> None:
    model = small()
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert model.get_layer("dense_1") is model.get_layer(index=1) is model.layers[1]
    with pytest.raises(ValueError, match="no layer 'dense_2'; there are: dense, dense_1"):
        model.get_layer("dense_2")
    with pytest.raises(ValueError, match="index is 2; there are 2 layers"):
        model.get_layer(index=2)
    shown: list[str] = []
    model.summary(print_fn=shown.append)
    assert "dense_1 (Dense)" in shown[0]
    a = keras.Input((3,))
    graph = keras.Model(a, keras.layers.Dense(2, name="output")(keras.layers.Dense(2)(keras.layers.Dense(2)(a))))
    assert [layer.name for layer in graph.layers] == ["dense", "dense_1", "output"]
    assert graph.get_layer("output") is graph.layers[2] and graph.output_names == ["output"]
    assert graph.output.shape == (None, 2)


def test_names_stay_in_files(tmp_path: Path) -> None:
    small().save(tmp_path / "m.fastnn")
    assert [layer.name for layer in keras.models.load_model(tmp_path / "m.fastnn").layers] == ["dense", "dense_1"]


def test_counts_and_kinds_of_weights() -> None:
    model = small()
    assert model.count_params() == 8 * 5 + 3 * 9 and model.layers[1].count_params() == 27
    assert len(model.trainable_weights) == 4 and model.non_trainable_variables == []
    model.layers[0].trainable = False
    assert [w.shape for w in model.trainable_variables] == [(8, 3), (3,)]
    assert model.compute_output_shape((None, 4)) == (None, 3)
    normal = keras.layers.BatchNormalization()
    normal(x)
    assert len(normal.non_trainable_weights) == 2


def test_symbols_of_a_sequential() -> None:
    model = small()
    features = keras.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
    first, last = features.predict(x)
    np.testing.assert_array_equal(last, model.predict(x))
    np.testing.assert_array_equal(first, model.layers[0](x).numpy())
    more = keras.Model(model.input, keras.layers.Dense(5)(model.get_layer("dense").output))
    assert more.predict(x).shape == (12, 5)
    with pytest.raises(AttributeError, match="was not called on symbols"):
        keras.layers.Dense(2).output  # noqa: B018


def test_a_layer_may_be_called_output() -> None:
    class Net(fastnn.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input, self.output = fastnn.nn.Linear(4, 3), fastnn.nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.output(self.input(x))

    assert Net()(x).shape == (12, 2) and set(Net().state_dict()) == {
        *("input.weight", "input.bias", "output.weight", "output.bias")
    }


def test_compile_takes_the_arguments_of_keras() -> None:
    model = small()
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True, jit_compile=False, steps_per_execution=4)
    assert model._compiled is not None and model._compiled.capture is False
    model.fit(x, np.zeros((12, 3)), verbose=0)
    assert model.metrics_names == ["loss", "mae"]
    model.reset_metrics()
    with pytest.raises(ValueError, match="run_eagerly=True and capture=True"):
        model.compile("adam", "mse", run_eagerly=True, capture=True)


def test_gradients_that_the_caller_gives() -> None:
    model = small()
    optimizer = keras.optimizers.SGD(0.5)
    before = model.get_weights()
    optimizer.apply_gradients((np.ones(w.shape, np.float32), w) for w in model.trainable_weights)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(a - 0.5, b, rtol=1e-6)
    with pytest.raises(ValueError, match="1 gradients came for 4"):
        optimizer.apply([1.0], model.trainable_weights)
    with pytest.raises(ValueError, match="not one of the optimizer's"):
        optimizer.apply([np.zeros((4, 8))], [small().trainable_weights[0]])


def test_what_fastnn_lacks_says_so() -> None:
    with pytest.raises(AttributeError, match="no pretrained networks"):
        keras.applications.VGG16  # noqa: B018
    with pytest.raises(AttributeError, match="cifar10: fastnn downloads nothing"):
        keras.datasets.cifar10  # noqa: B018
    with pytest.raises(RuntimeError, match="downloads nothing"):
        keras.utils.get_file("a", "b")


def test_pop_and_json() -> None:
    model = small()
    again = keras.models.model_from_json(model.to_json())
    assert again.count_params() == model.count_params() and again.get_layer("dense_1").units == 3
    assert model.pop().units == 3 and len(model.layers) == 1
    assert keras.models.clone_model(model).count_params() == 40


def test_metrics_can_be_called() -> None:
    metric = keras.metrics.MeanSquaredError()
    assert metric([[1.0], [2.0]], [[1.0], [4.0]]) == 2.0 and keras.metrics.Mean()(3.0) == 3.0


def test_operations_on_symbols_are_in_files(tmp_path: Path) -> None:
    a, b = keras.Input((4,)), keras.Input((4,))
    h = keras.ops.concatenate([keras.ops.mean(a, axis=1, keepdims=True), keras.ops.relu(b) * 2.0], axis=-1)
    model = keras.Model([a, b], keras.ops.reshape(keras.ops.cast(h, "float32"), (-1, 5, 1)))
    wanted = np.concatenate([x.mean(1, keepdims=True), np.maximum(x, 0) * 2], 1)[..., None]
    np.testing.assert_allclose(model.predict([x, x]), wanted, rtol=1e-6)
    model.save(tmp_path / "m.fastnn")
    np.testing.assert_allclose(fastnn.load(tmp_path / "m.fastnn").predict([x, x]), wanted, rtol=1e-6)
    with pytest.raises(TypeError, match="maximum: a symbol and a ndarray came together"):
        keras.ops.maximum(a, np.ones(4))


@pytest.mark.parametrize("name", ["TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"])
def test_counts_are_those_of_keras(name: str) -> None:
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, (50, 3)), rng.uniform(0, 1, (50, 3)).astype(np.float32), rng.uniform(0, 1, 50)
    above = p > 0.5
    wanted = {
        "TruePositives": above & (y == 1),
        "FalsePositives": above & (y == 0),
        "TrueNegatives": ~above & (y == 0),
        "FalseNegatives": ~above & (y == 1),
    }[name]
    metric = getattr(keras.metrics, name)()
    metric.update_state(y, p)
    assert metric.result() == wanted.sum()
    metric.reset_state()
    metric.update_state(y, p, sample_weight=w)
    assert metric.result() == pytest.approx((wanted * w[:, None]).sum(), rel=1e-5)
    several = getattr(keras.metrics, name)(thresholds=[0.5, 2.0])
    several.update_state(y, p)
    assert several.result()[0] == wanted.sum()


def test_a_schedule_of_ones_own_may_use_operations() -> None:
    class Warm(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return 0.1 * keras.ops.minimum(keras.ops.cast(step + 1, "float32") / 4, 1.0)

    model = small()
    model.compile(keras.optimizers.SGD(Warm()), "mse")
    model.fit(x, np.zeros((12, 3)), batch_size=6, verbose=0)
    assert model.optimizer.learning_rate == pytest.approx(0.05)


def test_embeddings_take_an_input_of_floats() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(9, 2)])
    np.testing.assert_array_equal(model.predict([[1, 8, 0]])[0], model.layers[0].embeddings.numpy()[[1, 8, 0]])


def test_saving_may_refuse_to_replace(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "m.fastnn", overwrite=False)
    with pytest.raises(FileExistsError, match=r"m\.fastnn exists, and overwrite is False"):
        keras.models.save_model(model, tmp_path / "m.fastnn", overwrite=False)
    model.summary(expand_nested=True, print_fn=lambda text: None)
    with pytest.raises(TypeError, match="summary: unknown argument 'expand'"):
        model.summary(expand=True)


@keras.saving.register_keras_serializable(package="test_names")
def first(values: Any, n: int) -> Any:
    return values[:, :n]


def test_lambda(tmp_path: Path) -> None:
    layers = [keras.Input((4,)), keras.layers.Lambda(first, arguments={"n": 2}), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    assert model.layers[1].kernel.shape == (2, 3)
    np.testing.assert_allclose(model.predict(x), x[:, :2] @ model.get_weights()[0], atol=1e-6)
    model.save(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.fastnn").predict(x), model.predict(x))
    a, b = keras.Input((4,)), keras.Input((4,))
    graph = keras.Model([a, b], keras.layers.Lambda(lambda pair: pair[0] - pair[1])([a, b]))
    np.testing.assert_array_equal(graph.predict([x, x]), np.zeros_like(x))
    with pytest.raises(TypeError, match="the function of a Lambda is not registered"):
        graph.save(tmp_path / "g.fastnn")
    with pytest.raises(ValueError, match="output_shape or mask came"):
        keras.layers.Lambda(first, output_shape=(2,))  # type: ignore[arg-type]


@keras.saving.register_keras_serializable(package="test_names")
class Distance(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        a, b = inputs
        self.add_loss(keras.ops.mean(keras.ops.square(a - b)))
        return b


def test_losses_of_layers_alone(tmp_path: Path) -> None:
    a = keras.Input((4,))
    model = keras.Model(a, Distance()([a, keras.layers.Dense(4, kernel_initializer="zeros")(a)]))
    model.compile(keras.optimizers.SGD(0.1))
    assert model.evaluate(x, verbose=0) == pytest.approx((x**2).mean(), rel=1e-5)
    history = model.fit(x, epochs=3, batch_size=12, shuffle=False, verbose=0).history["loss"]
    assert history[0] == pytest.approx((x**2).mean(), rel=1e-5) and history[2] < history[1] < history[0]
    model.save(tmp_path / "m.fastnn")
    again = keras.models.load_model(tmp_path / "m.fastnn")
    np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-6)
    assert again.fit(x, verbose=0).history["loss"][0] < history[2]
    plain = small()
    with pytest.raises(ValueError, match="compile: no loss is given"):
        plain.compile("sgd")
