"""Activation layers: Keras's Activation, and PyTorch's classes with PyTorch's arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import activations
from ...activations import NAMED, parametric
from ...autograd.tensor import Tensor, torch_names
from ...backends.spec import Activation as Function
from ...core.registry import alias
from ...ops import activation as ops
from ...ops.checks import positive_int
from ..remade import RemadeModule


class Configured(RemadeModule):
    """Base of layers without parameters. The arguments of `_configure` become attributes, and are used for config and repr."""

    _saved_as = ""
    _arguments: tuple[str, ...] = ()
    supports_masking = True

    def _configure(self, **arguments: Any) -> None:
        self._arguments = tuple(arguments)
        for name, value in arguments.items():
            object.__setattr__(self, name, value)

    def as_function(self) -> Any:
        """Return the element-wise or row function of fastnn that the layer applies; None for other layers."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._arguments}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())


class Activation(Configured):
    """Layer that applies an activation, given by its Keras name or as a function of a Tensor.

    >>> import fastnn
    >>> fastnn.Activation("relu")(fastnn.tensor([-1.0, 1.0])).tolist()
    [0.0, 1.0]
    """

    def __init__(self, activation: Any, name: str | None = None) -> None:
        super().__init__()
        self.activation = activations.get(activation)
        self.name = name or type(self).__name__.lower()

    def forward(self, x: Tensor) -> Tensor:
        activation = self.activation
        if type(activation) is Function:
            return ops.activate(x, activation)
        return ops.applied(activation, x, type(self).__name__)

    def as_function(self) -> Any:
        same = type(self).forward is Activation.forward and isinstance(self.activation, Function | str)
        return self.activation if same else None

    def get_config(self) -> dict[str, Any]:
        return {"activation": activations.config(self.activation)}

    def extra_repr(self) -> str:
        return repr(activations.label(self.activation))


class ElementWise(Activation):
    """Base of element-wise functions under PyTorch's names, with their arguments.

    PyTorch's ``inplace`` is accepted and has no effect.
    """

    _saved_as = ""
    function = ""

    def __init__(self, inplace: bool = False) -> None:
        self._set(self.function)

    def _set(self, activation: Any, **arguments: Any) -> None:
        super().__init__(activation)
        self._configure(**arguments)

    def get_config(self) -> dict[str, Any]:
        return Configured.get_config(self)

    def extra_repr(self) -> str:
        return Configured.extra_repr(self)


class ReLU(ElementWise):
    """max(x, 0)."""

    function = "relu"


class ReLU6(ElementWise):
    """min(max(x, 0), 6)."""

    function = "relu6"


class SELU(ElementWise):
    """1.0507 (x where x > 0, else 1.67326 (exp(x) - 1)).

    Source: Klambauer et al., Self-Normalizing Neural Networks, arXiv 1706.02515.
    """

    function = "selu"


class SiLU(ElementWise):
    """x sigmoid(x)."""

    function = "silu"


class Mish(ElementWise):
    """x tanh(log(1 + exp(x))).

    Source: Misra, arXiv 1908.08681.
    """

    function = "mish"


class Hardswish(ElementWise):
    """x min(max(x + 3, 0), 6) / 6.

    Source: Howard et al., Searching for MobileNetV3, arXiv 1905.02244.
    """

    function = "hard_silu"


class Hardsigmoid(ElementWise):
    """min(max(x + 3, 0), 6) / 6."""

    function = "hard_sigmoid"


class Sigmoid(ElementWise):
    """1 / (1 + exp(-x))."""

    function = "sigmoid"


class LogSigmoid(ElementWise):
    """log(1 / (1 + exp(-x)))."""

    function = "log_sigmoid"


class Tanh(ElementWise):
    """The hyperbolic tangent."""

    function = "tanh"


class Tanhshrink(ElementWise):
    """x - tanh(x)."""

    function = "tanh_shrink"


class Softsign(ElementWise):
    """x / (1 + |x|)."""

    function = "softsign"


class LeakyReLU(ElementWise):
    """x where x > 0, else negative_slope x."""

    alpha = alias("negative_slope")

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self._set(parametric("leaky_relu", negative_slope), negative_slope=negative_slope)


class ELU(ElementWise):
    """x where x > 0, else alpha (exp(x) - 1).

    Source: Clevert et al., arXiv 1511.07289.
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self._set(parametric("elu", alpha), alpha=alpha)


class CELU(ElementWise):
    """x where x > 0, else alpha (exp(x / alpha) - 1).

    Source: Barron, arXiv 1704.07483.
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self._set(parametric("celu", alpha), alpha=alpha)


class GELU(ElementWise):
    """x Phi(x); approximate="tanh" uses the approximation with tanh."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate={approximate!r}, wanted 'none' or 'tanh'")
        self._set("gelu_tanh" if approximate == "tanh" else "gelu", approximate=approximate)


class Hardtanh(ElementWise):
    """min(max(x, min_val), max_val); min_value and max_value are PyTorch's older names of the two."""

    min_value = alias("min_val")
    max_value = alias("max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        min_val, max_val = min_val if min_value is None else min_value, max_val if max_value is None else max_value
        self._set(parametric("hard_tanh", min_val, max_val), min_val=min_val, max_val=max_val)


class Softshrink(ElementWise):
    """x moved towards 0 by lambd; 0 where |x| <= lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        self._set(parametric("soft_shrink", lambd), lambd=lambd)


class Hardshrink(ElementWise):
    """x where |x| is above lambd, else 0."""

    def __init__(self, lambd: float = 0.5) -> None:
        self._set(parametric("hard_shrink", lambd), lambd=lambd)


class Softplus(ElementWise):
    """log(1 + exp(beta x)) / beta, but x where beta x is above the threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self._set(parametric("softplus", beta, threshold), beta=beta, threshold=threshold)


class Threshold(ElementWise):
    """x where x is above the threshold, else the value."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self._set(parametric("threshold", threshold, value), threshold=threshold, value=value)


class Sine(ElementWise):
    """sin(omega x).

    Source: Sitzmann et al., Implicit Neural Representations with Periodic Activation Functions, arXiv 2006.09661.
    """

    def __init__(self, omega: float = 1.0) -> None:
        self._set(parametric("sin", omega), omega=omega)


# ---- along an axis ----


class _AlongAxis(Configured):
    """Base of operations along an axis, which PyTorch calls dim."""

    _function = staticmethod(ops.softmax)
    dim = alias("axis")

    @torch_names  # type: ignore[misc]  # of a constructor
    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
            raise TypeError(f"{type(self).__name__}: axis is {axis!r}, wanted a whole number")
        self._configure(axis=int(axis))

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x, self.axis)

    def as_function(self) -> Any:
        return NAMED.get(self._function) if self.axis == -1 and type(self).forward is _AlongAxis.forward else None


class Softmax(_AlongAxis):
    """exp(x) / sum(exp(x)) along an axis."""


class LogSoftmax(_AlongAxis):
    """log(softmax(x)) along an axis."""

    _function = staticmethod(ops.log_softmax)


class Softmin(_AlongAxis):
    """softmax(-x) along an axis."""

    _function = staticmethod(ops.softmin)


class Sparsemax(_AlongAxis):
    """The nearest point of the simplex along an axis; see `fastnn.sparsemax`."""

    _function = staticmethod(ops.sparsemax)


class _Shrinks(_AlongAxis):
    """Base of operations that reduce groups of elements along an axis to one element."""

    pieces = 2

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        at = self.axis - 1 if self.axis >= 0 else self.axis + len(input_shape)  # a sample's shape is without the batch
        return tuple(n // self.pieces if i == at and n is not None else n for i, n in enumerate(input_shape))


class GLU(_Shrinks):
    """a sigmoid(b), where a and b are the halves of x along an axis; see `fastnn.glu`.

    Args:
        axis: the axis; PyTorch calls it dim.
        activation: function that replaces the sigmoid; "linear" gives the bilinear unit.

    >>> import fastnn
    >>> fastnn.nn.GLU()(fastnn.tensor([[1.0, 2.0, 0.0, 0.0]])).tolist()
    [[0.5, 1.0]]
    """

    function = "sigmoid"

    @torch_names  # type: ignore[misc]  # of a constructor
    def __init__(self, axis: int = -1, activation: Any = None) -> None:
        super().__init__(axis)
        self.activation = activations.elementwise(self.function if activation is None else activation, type(self).__name__)

    def forward(self, x: Tensor) -> Tensor:
        return ops.glu(x, self.axis, self.activation)

    def get_config(self) -> dict[str, Any]:
        own = {} if self.activation == activations.get(self.function) else {"activation": activations.config(self.activation)}
        return {**super().get_config(), **own}


class SwiGLU(GLU):
    """a silu(b), where a and b are the halves of x along an axis.

    Source: Shazeer, GLU Variants Improve Transformer, arXiv 2002.05202.
    """

    function = "silu"


class GEGLU(GLU):
    """a gelu(b), where a and b are the halves of x along an axis."""

    function = "gelu"


class ReGLU(GLU):
    """a relu(b), where a and b are the halves of x along an axis."""

    function = "relu"


class Maxout(_Shrinks):
    """Maximum of each group of num_pieces neighbours along an axis; see `fastnn.maxout`."""

    @torch_names  # type: ignore[misc]  # of a constructor
    def __init__(self, num_pieces: int, axis: int = -1) -> None:
        super().__init__(axis)
        self._configure(num_pieces=positive_int(num_pieces, "Maxout: num_pieces"), axis=self.axis)

    @property
    def pieces(self) -> int:  # type: ignore[override]
        return int(self.num_pieces)

    def forward(self, x: Tensor) -> Tensor:
        return ops.maxout(x, self.num_pieces, self.axis)
