"""Dense layers, with Keras's and PyTorch's names."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from ... import activations, initializers
from ...autograd.tensor import Tensor
from ...backends.spec import LINEAR, Activation
from ...core.device import check_device
from ...core.layout import TRANSPOSED
from ...ops.activation import applied
from ...ops.checks import positive_int
from ...ops.dense import dense
from ...ops.shape import transpose
from ..parameter import Parameter, building
from ..parameter_view import ParameterView, transposed
from ..spec import InputSpec, features
from .weighted import Weighted


class Dense(Weighted):
    """y = activation(x kernel + bias).

    Args:
        units: number of neurons.
        activation: a Keras name ("relu", "sigmoid", "softmax", ...), a layer such as ``nn.ELU(0.5)``, a function of a Tensor
            (`fastnn.relu`, or a custom function), or None.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: names or objects of `fastnn.initializers`.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties on weights and output that fit adds to the loss:
            names or objects of `fastnn.regularizers`, or functions.
        kernel_constraint, bias_constraint: constraints that are applied to weights after each step: names or objects of
            `fastnn.constraints`, or functions.
        input_shape: shape of one sample; by default it is known from the first call.
        dtype: "float32" or "float64".

    Sizes, ``use_bias`` and initializers may be changed until the layer is built, all other arguments at any time, by setting the
    attribute. An activation layer with parameters becomes a sublayer.

    Shapes: x (..., K), kernel (K, units), bias (units,), y (..., units).

    >>> import fastnn
    >>> layer = fastnn.Dense(15, activation="relu", input_shape=(400,))
    >>> layer.kernel.shape, layer.bias.shape
    ((400, 15), (15,))
    """

    _checked_arguments: ClassVar = dict.fromkeys(("units", "in_features", "out_features"), positive_int)
    _fixed_arguments = tuple(_checked_arguments)
    supports_masking = True

    def __init__(
        self,
        units: int,
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
        super().__init__(
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            input_shape=input_shape,
            dtype=dtype,
            name=name,
        )
        self.units = units
        if self.input_shape is not None:
            self.build(self.input_shape)

    @property
    def input_spec(self) -> InputSpec:
        """Return the spec: floats, with the number of inputs as the size of the last axis, if it is known."""
        kernel: Any = self._parameters.get("kernel")
        inputs = getattr(self, "in_features", None) or (kernel.shape[0] if kernel is not None else None)
        return features(inputs)

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Make the parameters for samples of this shape, whose last size is the number of inputs."""
        if input_shape and input_shape[-1] is None:
            shape = (None, *input_shape)
            raise ValueError(f"{type(self).__name__}: the last size of its input, of shape {shape}, is unknown; wanted a number")
        if not input_shape or input_shape[-1] < 1:
            raise ValueError(f"{type(self).__name__}: input of shape {input_shape} has no features")
        self._make((int(input_shape[-1]), self.units), self.units, (*input_shape[:-1], self.units))

    def forward(self, x: Tensor) -> Tensor:
        parameters: dict[str, Any] = self._parameters
        activation = self.activation
        if self._names[0] not in parameters:
            with building:
                if not self.built:
                    self.build(self.input_shape or x.shape[-1:])
        kernel, bias = parameters[self._names[0]], parameters["bias"]
        if self._names[0] == "weight":
            if isinstance(kernel, ParameterView) and kernel.order == TRANSPOSED:
                kernel = kernel.base
            else:  # tied to a parameter that is stored as (out, in), such as the table of an embedding
                kernel = transpose(kernel)
        if isinstance(activation, Activation):
            y = dense(x, kernel, bias, activation)
        else:
            y = applied(activation, dense(x, kernel, bias), type(self).__name__)
        if self.activity_regularizer is not None:
            self._activity = y
        return y

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        inputs = self._parameters[self._names[0]] if self.built else None
        shape = self.input_shape if inputs is None or self.input_shape else [inputs.shape[0]]
        return {"units": self.units, **super().get_config(), "input_shape": shape}

    def extra_repr(self) -> str:
        act = "" if self.activation == LINEAR else f", activation={activations.label(self.activation)!r}"
        return f"{self.units}{act}"


class Linear(Dense):
    """y = x weight^T + bias, with PyTorch's names, shapes and initial values.

    Args:
        in_features, out_features: sizes of input and output.
        bias: whether there is a bias.
        device: accepted for compatibility with PyTorch; "cpu" if the backend computes there.
        dtype: "float32" or "float64".

    ``weight`` is the (out, in) view of the kernel, which is stored (in, out).

    >>> import fastnn
    >>> fastnn.nn.Linear(3, 4).weight.shape
    (4, 3)
    """

    _names = ("weight", "bias")

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        check_device(device, "Linear")
        inputs = positive_int(in_features, "Linear: in_features")
        positive_int(out_features, "Linear: out_features")
        super().__init__(
            out_features,
            use_bias=bias,
            kernel_initializer=initializers.LinearWeight(),
            bias_initializer=initializers.LinearBias(inputs),
            input_shape=(inputs,),
            dtype=dtype,
        )
        self.in_features, self.out_features = inputs, self.units

    @property
    def kernel(self) -> Parameter:
        """Return the stored weight, (in, out)."""
        return cast(ParameterView, self._parameters["weight"]).base

    def _face(self, kernel: Parameter) -> Parameter:
        return transposed(kernel)

    def get_config(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.use_bias,
            "dtype": self.dtype.name,
        }

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.use_bias}"
