"""Data and a model for tests of training."""

from typing import Any

import numpy as np

import fastnn

rng = np.random.default_rng(0)
X = rng.standard_normal((50, 6)).astype(np.float32)
LABELS = (X @ rng.standard_normal((6, 3))).argmax(1)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
VALUES = (X @ rng.standard_normal((6, 1))).astype(np.float32)


def classifier(**compile_args: Any) -> fastnn.Sequential:
    fastnn.seed(0)
    model = fastnn.Sequential([fastnn.Dense(8, activation="relu", input_shape=(6,)), fastnn.Dense(3, activation="softmax")])
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **compile_args})
    return model
