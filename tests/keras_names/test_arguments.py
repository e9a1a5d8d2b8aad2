"""Arguments of Keras that many classes share, and messages about misspelt and absent names."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import keras
from fastnn.keras import absent, layers

x = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


def model() -> Any:
    made = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize(
    ("first", "shape"),
    [
        (lambda: layers.Dense(3, input_dim=4), (4,)),
        (lambda: layers.Dense(3, batch_input_shape=(None, 4)), (4,)),
        (lambda: layers.InputLayer(input_shape=(4,)), (4,)),
        (lambda: layers.InputLayer(batch_input_shape=(None, 2, 4)), (2, 4)),
        (lambda: layers.Flatten(input_shape=(2, 4)), (2, 4)),
        (lambda: layers.Dropout(0.5, input_shape=(4,)), (4,)),
        (lambda: layers.Bidirectional(layers.LSTM(3), input_shape=(5, 4)), (5, 4)),
        (lambda: layers.LSTM(3, input_length=5, input_dim=4), (5, 4)),
        (lambda: layers.Embedding(9, 3, input_length=5), (5,)),
    ],
)
def test_shapes_of_the_first_layer(first: Callable[[], Any], shape: tuple[int, ...]) -> None:
    made = keras.Sequential([first(), layers.Dense(2)])
    assert made.built and made.input_shape == shape
    again = keras.Sequential.from_config(made.get_config())
    assert again.input_shape == shape and again.count_params() == made.count_params()
    ids = np.zeros((3, *shape), np.float32)
    again.set_weights(made.get_weights())
    np.testing.assert_array_equal(again.predict(ids), made.predict(ids))


def test_ids_of_an_embedding_stay_whole_numbers() -> None:
    made = keras.Sequential([layers.Embedding(9, 3, input_length=5)])
    assert made.input.dtype == np.int64


def test_one_shape_is_enough() -> None:
    with pytest.raises(TypeError, match="Dense: the shape of the input came twice"):
        layers.Dense(3, input_dim=4, batch_input_shape=(None, 4))
    with pytest.raises(ValueError, match="InputLayer: 0 shapes came"):
        layers.InputLayer()


def test_layers_that_are_not_trained() -> None:
    made = keras.Sequential([keras.Input((4,)), layers.Dense(3, trainable=False), layers.Dense(2, trainable=True)])
    assert [w.shape for w in made.trainable_weights] == [(3, 2), (2,)]


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: model().compile("adam", "mse", metric=["mae"]), "compile: there is no argument 'metric'; did you mean metrics?"),
        (lambda: model().fit(x, x, epoch=3), "fit: there is no argument 'epoch'; did you mean epochs?"),
        (lambda: model().evaluate(x, x, verbos=0), "evaluate: there is no argument 'verbos'; did you mean verbose?"),
        (lambda: model().predict(x, batchsize=3), "predict: there is no argument 'batchsize'; did you mean batch_size?"),
        (
            lambda: keras.losses.BinaryCrossentropy(from_logit=True),
            "BinaryCrossentropy: there is no argument 'from_logit'; did you",
        ),
        (lambda: keras.metrics.Precision(treshold=0.3), "Precision: there is no argument 'treshold'; did you mean thresholds?"),
        (
            lambda: keras.callbacks.EarlyStopping(patiance=3),
            "EarlyStopping: there is no argument 'patiance'; did you mean patience?",
        ),
        (lambda: keras.callbacks.History(name="a"), "History: there is no argument 'name'; there are: none"),
        (lambda: keras.optimizers.Adam(learing_rate=0.1), "Adam: unknown argument 'learing_rate'; did you mean learning_rate?"),
        (lambda: fastnn.optim.SGD(momentun=0.1), "SGD: unknown argument 'momentun'; did you mean momentum?"),
        (lambda: keras.optimizers.Adam(lr=0.1), "lr came; this argument is called learning_rate"),
        (
            lambda: keras.optimizers.schedules.ExponentialDecay(0.1, decay_step=3),
            "ExponentialDecay: there is no argument 'decay_st",
        ),
        (lambda: keras.initializers.HeNormal(sed=3), "HeNormal: there is no argument 'sed'; did you mean seed?"),
        (lambda: keras.regularizers.L2(l=3), "L2: there is no argument 'l'; there are: l2"),
        (lambda: keras.constraints.MaxNorm(maxvalue=3), "MaxNorm: there is no argument 'maxvalue'; did you mean max_value?"),
        (lambda: keras.mixed_precision.set_global_policy("mixed_float16"), 'use compile(dtype="bfloat16") for each model'),
        (lambda: keras.config.set_image_data_format("channels_first"), "wanted 'channels_last'"),
        (lambda: keras.config.set_epsilon(1e-5), "wanted 1e-7"),
    ],
)
def test_misspelt_arguments(attempt: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        attempt()
    assert message in str(caught.value)


def test_other_errors_of_the_type_stay_as_they_are() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        keras.optimizers.schedules.ExponentialDecay(decay_steps=3, decay_rate=0.1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="MeanMetricWrapper: a int came"):
        keras.metrics.MeanMetricWrapper(fn=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("module", "wrong", "meant"),
    [
        *(("ops", "maen", "mean"), ("utils", "to_categoricl", "to_categorical"), ("callbacks", "EarlyStoping", "EarlyStopping")),
        *(("saving", "load_modl", "load_model"), ("activations", "rel", "relu"), ("datasets", "mnst", "mnist")),
        *(("config", "floatz", "floatx"), ("backend", "clear_sesion", "clear_session"), ("layers", "Dnse", "Dense")),
    ],
)
def test_misspelt_names(module: str, wrong: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"{module}' has no attribute '{wrong}'. Did you mean '{meant}'"):
        getattr(getattr(keras, module), wrong)


ABSENT = {
    "": absent.TOP,
    **{f".{name.lower()}": found for name, found in vars(absent).items() if name.isupper() and not name.startswith(("_", "TOP"))},
}


@pytest.mark.parametrize("module", ABSENT)
def test_absent_names_say_what_to_do(module: str) -> None:
    found = importlib.import_module(f"fastnn.keras{module}")
    for name, advice in ABSENT[module].items():
        with pytest.raises(AttributeError) as caught:
            getattr(found, name)
        assert str(caught.value) == f"module 'fastnn.keras{module}' has no attribute '{name}': {advice}"


def test_functions_that_know_no_symbols() -> None:
    with pytest.raises(AttributeError, match=r"fastnn\.lerp takes Tensors and arrays, but no symbols"):
        keras.ops.lerp  # noqa: B018


@pytest.mark.parametrize(
    "made",
    [
        *(keras.losses.Huber(2.0), keras.metrics.AUC("PR"), keras.initializers.HeNormal(1), keras.regularizers.L2(0.3)),
        *(keras.constraints.MaxNorm(2), keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), keras.optimizers.Adam(0.5)),
    ],
    ids=lambda made: type(made).__name__,
)
def test_from_config(made: Any) -> None:
    again = type(made).from_config(made.get_config())
    assert type(again) is type(made) and again.get_config() == made.get_config()


def test_serialized_forms() -> None:
    assert keras.activations.serialize(keras.activations.relu) == "relu"
    assert keras.losses.deserialize("mse").name == "mean_squared_error"
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)
    assert keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(rate)) == rate
    assert keras.initializers.deserialize(keras.initializers.serialize(keras.initializers.he_normal(seed=1))).seed == 1


def test_training_ends_with_an_error_at_nan() -> None:
    with pytest.raises(RuntimeError, match="TerminateOnNaN: the loss is nan at epoch 1"):
        model().fit(
            x, x[:, :3] * np.nan, verbose=0, check_data=False, callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)]
        )


def test_an_optimizer_takes_parameters_before_its_first_step() -> None:
    made, optimizer = model(), keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1))
    optimizer.build(made.trainable_weights)
    assert len(optimizer.params) == 2
    keras.mixed_precision.set_global_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    assert keras.mixed_precision.global_policy() == "float32"
