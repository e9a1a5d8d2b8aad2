"""Base class of the layers that have a kernel, a bias and an activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ... import activations, constraints, initializers, regularizers
from ...ops.checks import flag, shape_of
from ..dtype import real_dtype
from ..module import Module
from ..parameter import Parameter, initial
from ..penalties import RULES


def named(get: Callable[[Any], Any]) -> Callable[[Any, str], Any]:
    """Return a check that converts an argument by get(name); the errors of get name the kind of object."""
    return lambda value, argument: get(value)


class Weighted(Module):
    """Base class of the layers that have a kernel, a bias and an activation. Its arguments are those of `fastnn.Dense`.

    A subclass has `build`, which calls `_make`, and `forward`.
    """

    _saved_as = ""
    _names = ("kernel", "bias")
    _checked_arguments: ClassVar = {
        "activation": named(activations.get),
        **{name: named(constraints.get if name.endswith("constraint") else regularizers.get) for name in RULES},
        **dict.fromkeys(("kernel_initializer", "bias_initializer"), named(initializers.get)),
        "use_bias": flag,
        "input_shape": shape_of,
    }
    _fixed_arguments: ClassVar[tuple[str, ...]] = ("kernel_initializer", "bias_initializer", "use_bias", "input_shape")

    def __init__(
        self,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = kernel_regularizer
        self.bias_regularizer = bias_regularizer
        self.activity_regularizer = activity_regularizer
        self.kernel_constraint = kernel_constraint
        self.bias_constraint = bias_constraint
        self.input_shape = input_shape
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.name = name or type(self).__name__.lower()

    @property
    def built(self) -> bool:
        return self._names[0] in self._parameters

    def _own_built(self) -> bool:
        return self.built

    def _make(self, shape: tuple[int, ...], outputs: int, output_shape: tuple[int, ...]) -> None:
        """Make the parameters: a kernel of this shape, and a bias for each output.

        An activation with parameters is built for samples of the output's shape.
        """
        dtype = np.dtype(self._dtype or "float32")
        kernel = initial(self.kernel_initializer, shape, dtype)
        bias = initial(self.bias_initializer, (outputs,), dtype) if self.use_bias else None
        if hasattr(self.activation, "build") and not self.activation.built:
            self.activation.build(output_shape)
        self._hold({self._names[0]: self._face(kernel), "bias": bias})

    def _face(self, kernel: Parameter) -> Parameter:
        """Return the parameter to register for the kernel."""
        return kernel

    def get_config(self) -> dict[str, Any]:
        return {
            "activation": activations.config(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.written(self.kernel_initializer, "glorot_uniform"),
            "bias_initializer": initializers.written(self.bias_initializer, "zeros"),
            **{name: _rule_config(name, getattr(self, name)) for name in RULES},
            "input_shape": self.input_shape,
            "dtype": self.dtype.name,
        }


def _rule_config(name: str, rule: Any) -> dict[str, Any] | None:
    module = constraints if name.endswith("constraint") else regularizers
    return None if rule is None else module.serialize(rule)
