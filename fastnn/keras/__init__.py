"""Keras's namespace: programs run after `import keras` has become `import fastnn.keras as keras`.

The names are other names of what fastnn has. docs/from_keras.md has a table of what differs from Keras.

>>> import fastnn.keras as keras
>>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
>>> model.compile(keras.optimizers.Adam(learning_rate=0.01), keras.losses.SparseCategoricalCrossentropy())
>>> model.count_params()
10
"""

from __future__ import annotations

from .._version import __version__ as __version__
from ..core.lazy import lazily as _lazily
from . import absent as _absent

_NAMES = {
    ".": (
        "activations applications backend callbacks config constraints datasets initializers layers losses metrics "
        "mixed_precision models ops optimizers preprocessing random regularizers saving utils"
    ),
    ".layer": "Layer Variable",
    "..initializers": "Initializer",
    "..losses": "Loss",
    "..metrics": "Metric",
    "..nn": "Input InputSpec KerasTensor=Symbol Model Sequential",
    "..optim": "Optimizer",
    "..regularizers": "Regularizer",
}

__all__, __getattr__, __dir__ = _lazily(__name__, _NAMES, absent=_absent.TOP)
