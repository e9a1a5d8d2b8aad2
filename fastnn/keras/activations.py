"""Keras's activations: functions of Tensors and symbols, which layers take too.

>>> import fastnn.keras as keras
>>> keras.layers.Dense(2, activation=keras.activations.relu)
Dense(2, activation='relu')
"""

from __future__ import annotations

import functools
from typing import Any

from ..activations import NAMED, NAMES, ROWS, config, get
from ..core.near import no_attribute
from ..nn.graph.symbolic import Symbol
from ..nn.layers.activation import Activation
from .functions import leaky_relu as _leaky_relu

_FUNCTIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid "
    "log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax "
    "squareplus swish tanh tanh_shrink threshold"
)

__all__ = sorted([*_FUNCTIONS.split(), "deserialize", "get", "serialize"])
deserialize = get


def __dir__() -> list[str]:
    return __all__.copy()


def serialize(activation: Any) -> Any:
    """Return the name of an activation, or a dict of its name and parameters; `deserialize` makes it again.

    >>> import fastnn.keras as keras
    >>> keras.activations.serialize(keras.activations.relu)
    'relu'
    """
    return config(get(activation))


def linear(x: Any) -> Any:
    """Return x."""
    return x


def _on_symbols(name: str, function: Any) -> Any:
    """Return the function, which for a symbol calls a layer, and which layers know by its name."""

    @functools.wraps(function)
    def apply(x: Any, *args: Any, **kwargs: Any) -> Any:
        return Activation(name)(x) if isinstance(x, Symbol) and not args and not kwargs else function(x, *args, **kwargs)

    if name in (*NAMES, *ROWS):
        NAMED[apply] = get(name)
    return apply


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise no_attribute(__name__, name, __all__)
    import fastnn

    own = {"exponential": fastnn.exp, "leaky_relu": _leaky_relu, "hard_swish": fastnn.hard_silu, "swish": fastnn.silu}
    globals()[name] = found = _on_symbols(name, own.get(name) or getattr(fastnn, name))
    return found
