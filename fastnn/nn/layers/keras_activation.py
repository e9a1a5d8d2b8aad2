"""Keras's activation layers that differ from PyTorch's classes with the same names: `fastnn.ReLU`, LeakyReLU and PReLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import initializers
from ...activations import parametric
from ...autograd.tensor import Tensor
from ...core.registry import alias
from ...ops.activation import activate, relu_steps
from .activation import Configured, ElementWise
from .prelu import LearnedSlopes


class ReLU(Configured):
    """min(x, max_value) from threshold on, negative_slope (x - threshold) below it.

    >>> import fastnn
    >>> fastnn.ReLU(max_value=1.0)(fastnn.tensor([-1.0, 0.5, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """

    _saved_as = "keras.ReLU"

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, name: str | None = None
    ) -> None:
        super().__init__()
        self.name = name or "relu"
        self._configure(max_value=max_value, negative_slope=negative_slope, threshold=threshold)
        self._steps = relu_steps(negative_slope, max_value, threshold)

    def forward(self, x: Tensor) -> Tensor:
        for act in self._steps:
            x = activate(x, act)
        return x

    def as_function(self) -> Any:
        return self._steps[0] if len(self._steps) == 1 and type(self).forward is ReLU.forward else None


class LeakyReLU(ElementWise):
    """x where x > 0, else negative_slope x."""

    _saved_as = "keras.LeakyReLU"
    alpha = alias("negative_slope")

    def __init__(self, negative_slope: float = 0.3, name: str | None = None) -> None:
        self._set(parametric("leaky_relu", negative_slope), negative_slope=negative_slope)
        self.name = name or "leaky_relu"


class PReLU(LearnedSlopes):
    """x where x > 0, else alpha x, where alpha is learned.

    Args:
        alpha_initializer: a name or object of `fastnn.initializers`.
        shared_axes: axes along which all elements share one slope, where the batch is axis 0. They must be the first axes after
            the batch, such as [1, 2] for the height and width of images.

    Source: He et al., Delving Deep into Rectifiers, arXiv 1502.01852.

    >>> import fastnn
    >>> layer = fastnn.PReLU(alpha_initializer="ones")
    >>> layer(fastnn.tensor([[-1.0, 2.0]])).tolist(), layer.alpha.shape
    ([[-1.0, 2.0]], (2,))
    """

    _saved_as = "keras.PReLU"
    slopes = "alpha"
    _fixed_arguments = ("alpha_initializer", "shared_axes")

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        *,
        shared_axes: Sequence[int] | int | None = None,
        input_shape: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name or "prelu"
        axes = () if shared_axes is None else (shared_axes,) if isinstance(shared_axes, int) else tuple(shared_axes)
        if axes != tuple(range(1, len(axes) + 1)):
            raise ValueError(f"PReLU: shared_axes is {shared_axes!r}, wanted the first axes after the batch: [1], [1, 2], ...")
        initializer = initializers.get(alpha_initializer)
        self._configure(alpha_initializer=initializers.serialize(initializer), shared_axes=list(axes) or None)
        self._start(initializer, dtype)
        self._input_shape: tuple[int, ...] | None = None
        if input_shape is not None:
            self.build(tuple(input_shape))

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Return the shape of one sample; None until it is known."""
        return self._input_shape

    def build(self, input_shape: tuple[int, ...]) -> None:
        shared = len(self.shared_axes or ())
        if shared > len(input_shape):
            raise ValueError(f"PReLU: shared_axes is {self.shared_axes}, but samples have the shape {input_shape}")
        if None in input_shape[shared:]:
            wanted = "wanted numbers there, or shared_axes for the unknown sizes"
            raise ValueError(f"PReLU: its input, of shape {(None, *input_shape)}, has unknown sizes; {wanted}")
        self._input_shape = tuple(input_shape)
        self._make((1,) * shared + tuple(input_shape[shared:]))

    def get_config(self) -> dict[str, Any]:
        shape = list(self.input_shape) if self.input_shape else None
        return {**super().get_config(), "input_shape": shape, "dtype": self.dtype.name}

    def extra_repr(self) -> str:
        return f"shared_axes={self.shared_axes}" if self.shared_axes else ""
