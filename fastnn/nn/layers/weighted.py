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


def named(get: Callable[[Any], Any]) -> Callable[[Any, str], Any]:
    """Return a check that converts an argument by get(name); the errors of get name the kind of object."""
    return lambda value, argument: get(value)


def rules(*begins: str) -> dict[str, Callable[[Any, str], Any]]:
    """Return the checks of initializers, regularizers and constraints whose names begin with these words."""
    kinds = {"initializer": initializers.get, "regularizer": regularizers.get, "constraint": constraints.get}
    return {f"{begin}_{kind}": named(get) for begin in begins for kind, get in kinds.items()}


def rules_config(layer: Any, *begins: str) -> dict[str, Any]:
    """Return the settings that `rules` checks, as files have them."""
    config: dict[str, Any] = {}
    for begin in begins:
        usual = "zeros" if begin == "bias" else "glorot_uniform"
        config[f"{begin}_initializer"] = initializers.written(getattr(layer, f"{begin}_initializer"), usual)
        for kind, module in (("regularizer", regularizers), ("constraint", constraints)):
            rule = getattr(layer, f"{begin}_{kind}")
            config[f"{begin}_{kind}"] = None if rule is None else module.serialize(rule)
    return config


class Weighted(Module):
    """Base class of the layers that have a kernel, a bias and an activation. Its arguments are those of `fastnn.Dense`.

    A subclass has `build`, which calls `_make`, and `forward`. The attributes of the kernel begin with `_of_kernel`.
    """

    _saved_as = ""
    _names = ("kernel", "bias")
    _of_kernel = "kernel"

    kernel_initializer: Any
    bias_initializer: Any
    _checked_arguments: ClassVar = {
        "activation": named(activations.get),
        **rules("kernel", "bias"),
        "activity_regularizer": named(regularizers.get),
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
        self._set_rules(self._of_kernel, kernel_initializer, kernel_regularizer, kernel_constraint)
        self._set_rules("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.activity_regularizer = activity_regularizer
        self.input_shape = input_shape
        self._dtype = None if dtype is None else real_dtype(dtype, type(self).__name__)
        self.name = name or type(self).__name__.lower()

    def _set_rules(self, begin: str, initializer: Any, regularizer: Any, constraint: Any) -> None:
        """Set the attributes of a parameter."""
        setattr(self, f"{begin}_initializer", initializer)
        setattr(self, f"{begin}_regularizer", regularizer)
        setattr(self, f"{begin}_constraint", constraint)

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
        kernel = initial(getattr(self, f"{self._of_kernel}_initializer"), shape, dtype)
        bias = initial(self.bias_initializer, (outputs,), dtype) if self.use_bias else None
        if hasattr(self.activation, "build") and not self.activation.built:
            self.activation.build(output_shape)
        self._hold({self._names[0]: self._face(kernel), **self._further(shape, dtype), "bias": bias})

    def _further(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Parameter]:
        """Return the parameters between kernel and bias, for a kernel of this shape."""
        return {}

    def _face(self, kernel: Parameter) -> Parameter:
        """Return the parameter to register for the kernel."""
        return kernel

    def get_config(self) -> dict[str, Any]:
        activity = self.activity_regularizer
        return {
            "activation": activations.config(self.activation),
            "use_bias": self.use_bias,
            **rules_config(self, self._of_kernel, "bias"),
            "activity_regularizer": None if activity is None else regularizers.serialize(activity),
            "input_shape": self.input_shape,
            "dtype": self.dtype.name,
        }
