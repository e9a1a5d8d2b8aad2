"""Define what the parts of models share: their base class, and their layers with the initial weights of GPT-2."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import activations, initializers
from ..nn.layers.dense import Dense
from ..nn.layers.random import Dropping
from ..nn.layers.sample_normalization import LayerNormalization, RMSNormalization
from ..nn.module import Module
from ..nn.spec import InputSpec
from ..ops.checks import positive_int

STDDEV = 0.02
"""Standard deviation of the initial weights, as in GPT-2."""


def one_of(*names: Any) -> Any:
    """Return the check of an argument that is one of these names."""

    def check(value: Any, name: str) -> Any:
        if not isinstance(value, str | None) or value not in names:
            raise ValueError(f"{name} is {value!r}, wanted one of {', '.join(map(repr, names))}")
        return value

    return check


def activation_name(value: Any, name: str) -> str | None:
    """Check the name of an activation; None stands for none."""
    if not isinstance(value, str | None):
        raise TypeError(f"{name} is a {type(value).__name__}, wanted the name of an activation")
    activations.get(value)
    return value


def projection(inputs: int, outputs: int, bias: bool, dtype: Any, depth: int = 0) -> Dense:
    """Return a dense layer with the initial weights of GPT-2.

    depth: number of blocks of the model if the result is added to the residual stream, to which each block adds twice. The
        weights are then smaller, so that the sum does not grow with the number of blocks.
    """
    stddev = STDDEV / math.sqrt(2 * depth) if depth else STDDEV
    normal = initializers.RandomNormal(stddev=stddev)
    return Dense(outputs, use_bias=bias, kernel_initializer=normal, input_shape=(inputs,), dtype=dtype)


def normalization(kind: str, width: int, epsilon: float, dtype: Any) -> Module:
    """Return a layer norm or an RMS norm."""
    make: Any = {"layer": LayerNormalization, "rms": RMSNormalization}[kind]
    layer: Module = make(epsilon=epsilon, input_shape=(width,), dtype=dtype)
    return layer


class Part(Dropping):
    """Base of the parts of models: with dropout, and a config that has the dtype by its name."""

    _saved_as = ""

    def __init__(self) -> None:
        super().__init__()
        self.name = type(self).__name__.lower()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype.name}


class TableModel(Part):
    """Base of the models of tables, whose rows are F features and which compute C outputs."""

    _saved_as = ""
    _checked_arguments: ClassVar = {
        **dict.fromkeys(("n_features", "n_outputs", "width", "depth"), positive_int),
        **dict.fromkeys(("activation", "output_activation"), activation_name),
    }
    _fixed_arguments = tuple(_checked_arguments)

    n_features: int
    n_outputs: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one sample, (F,)."""
        return (self.n_features,)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, (B, F)."""
        return InputSpec("float", ndim=2, axes={1: self.n_features})

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.n_outputs,)
