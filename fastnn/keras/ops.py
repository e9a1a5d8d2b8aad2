"""Keras's operations, on Tensors, arrays and the symbols of a graph.

>>> import fastnn.keras as keras
>>> keras.ops.mean([[1.0, 3.0]], axis=1).tolist()
[2.0]
>>> x = keras.Input((4,))
>>> model = keras.Model(x, keras.ops.mean(keras.layers.Dense(8)(x), axis=1, keepdims=True))
>>> model.output.shape
(None, 1)
"""

from __future__ import annotations

from typing import Any

from ..core.near import no_attribute

_SAME = (
    "amax amin broadcast_to cosh diagonal exp2 hstack log10 log2 logaddexp moveaxis sinh trunc vstack "
    "abs add all any argmax argmin ceil celu clip cos cumsum diag einsum elu erf exp expm1 eye flip floor full "
    "full_like glu hard_sigmoid hard_tanh isclose isfinite isinf isnan linspace log log1p log_sigmoid log_softmax "
    "logical_and logical_not logical_or logical_xor logsumexp matmul max maximum mean meshgrid min minimum nonzero "
    "ones_like outer prod reciprocal relu relu6 roll round rsqrt selu sigmoid sign silu sin softmax softplus softsign "
    "sqrt square stack sum tan tanh tile trace tril triu where zeros_like"
)
"""Functions of fastnn with the same names and meanings."""
_RENAMED = {
    "absolute": "abs",
    "divide": "div",
    "equal": "eq",
    "mod": "remainder",
    "greater": "gt",
    "greater_equal": "ge",
    "hard_swish": "hard_silu",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "negative": "neg",
    "not_equal": "ne",
    "power": "pow",
    "subtract": "sub",
    "swish": "silu",
    "true_divide": "div",
}
_OWN = (
    "arange binary_crossentropy cast categorical_crossentropy concatenate convert_to_tensor expand_dims gelu leaky_relu norm "
    "one_hot ones ravel repeat reshape sort sparse_categorical_crossentropy split squeeze std stop_gradient swapaxes take top_k "
    "transpose var zeros"
)
_PLAIN = "convert_to_numpy is_tensor ndim shape"
"""Functions that take symbols as they are."""

__all__ = sorted([*_SAME.split(), *_RENAMED, *_OWN.split(), *_PLAIN.split()])


def __dir__() -> list[str]:
    return __all__.copy()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        import fastnn

        other = f"fastnn.{name} takes Tensors and arrays, but no symbols" if name in fastnn.__all__ else ""
        raise no_attribute(__name__, name, __all__, other)
    import fastnn

    from ..activations import NAMED
    from . import functions
    from .operation import operation

    if name in _PLAIN.split():
        found = getattr(functions, name)
    else:
        own = getattr(functions, name) if name in _OWN.split() else getattr(fastnn, _RENAMED.get(name, name))
        found = operation(name, own)
        if own in NAMED:
            NAMED[found] = NAMED[own]  # layers know the function
    globals()[name] = found
    return found
