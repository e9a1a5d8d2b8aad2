"""Typing errors in names: messages say which name is meant."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import fastnn
from fastnn import nn


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: fastnn.rellu, "has no attribute 'rellu'. Did you mean 'relu'?"),
        (lambda: nn.Liner, "has no attribute 'Liner'. Did you mean 'Linear'?"),
        (lambda: fastnn.Dense(3, activaton="relu"), "Dense: there is no argument 'activaton'; did you mean activation?"),
        (lambda: nn.Linear(3, 4, bais=False), "Linear: there is no argument 'bais'; did you mean bias?"),
        (lambda: nn.Dropout(q=0.5), "Dropout: there is no argument 'q'; there are: inplace, "),
        (lambda: fastnn.Dense(3, activation="rellu"), "unknown activation 'rellu'; did you mean 'relu'? There are: linear, "),
        (lambda: fastnn.optim.get("adem"), "unknown optimizer 'adem'; did you mean 'adam'? There are: "),
        (lambda: fastnn.keras.utils.split_dataset, "'split_dataset': use validation_split"),
        (lambda: fastnn.keras.saving.custom_object_scope, "'custom_object_scope': pass custom_objects to load_model"),
        (lambda: fastnn.keras.layers.AdaptiveMaxPooling2D, "'AdaptiveMaxPooling2D': fastnn.nn has"),
        (lambda: nn.LazyLinear, "'LazyLinear': layers with Keras's names take their sizes from the first call: fastnn.Dense"),
        (lambda: nn.LazyConv2d, "first call: fastnn.Conv2D"),
        (lambda: nn.functional.grid_sample, "'grid_sample': use interpolate"),
        (lambda: nn.utils.spectral_norm, "'spectral_norm': use a constraint"),
        (lambda: fastnn.optim.Rprop, "'Rprop': use LBFGS"),
        (lambda: fastnn.optim.AdmaW, "Did you mean 'AdamW'?"),
        (lambda: fastnn.losses.get("mes"), "unknown loss 'mes'; did you mean 'mse'?"),
        (lambda: fastnn.losses.get("mean_square_error"), "unknown loss 'mean_square_error'; did you mean 'mean_squared_error'?"),
        (lambda: fastnn.Dense(3, kernel_initializer="he_nornal"), "unknown initializer 'he_nornal'; did you mean 'he_normal'?"),
        (lambda: fastnn.Dense(3, kernel_regularizer="L3"), "unknown regularizer 'L3'; there are: "),
    ],
)
def test_messages(attempt: Callable[[], Any], message: str) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError)) as caught:
        attempt()
    assert message in str(caught.value)


def test_metrics() -> None:
    model = fastnn.Sequential([fastnn.Dense(1, input_shape=(2,))])
    with pytest.raises(ValueError, match="compile: unknown metric 'acuracy'; did you mean 'accuracy'"):
        model.compile("adam", "mse", metrics=["acuracy"])
        model.fit([[0.0, 1.0]], [[1.0]], verbose=0)


def test_names_that_begin_with_an_underscore_are_not_guessed() -> None:
    with pytest.raises(AttributeError) as caught:
        fastnn._rellu  # noqa: B018
    assert str(caught.value) == "module 'fastnn' has no attribute '_rellu'"


def test_classes_of_users_take_what_they_define() -> None:
    class Own(fastnn.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__()
            self.units, self.options = units, options

        def forward(self, x: Any) -> Any:
            return x

    layer = Own(units=2, activaton="relu")
    assert layer.options == {"activaton": "relu"} and copy.deepcopy(layer).units == 2
    assert pickle.loads(pickle.dumps(fastnn.Dense(3, input_shape=(2,)))).units == 3
    with pytest.raises(TypeError, match="unit"):
        Own(unit=2)
