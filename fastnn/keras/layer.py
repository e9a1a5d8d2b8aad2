"""Layer, the base of layers that are written for Keras."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..core.structure import own_code
from ..nn.module import Module
from ..nn.parameter import Parameter


def _with_batch(build: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a custom build(input_shape), which in fastnn gets the shape of a sample, so that the shape begins with the batch."""

    @functools.wraps(build)
    def wrapped(self: Layer, input_shape: Any) -> None:
        if "_building" in vars(self):  # called by the build of a derived class
            build(self, input_shape)
            return
        vars(self)["_building"] = True
        try:
            build(self, (None, *input_shape))
        finally:
            del vars(self)["_building"]

    return wrapped


class Layer(Module):
    """Base of custom layers with Keras's rules: `fastnn.nn.Module` with arguments of the constructor.

    A class defines ``call``, and perhaps ``build(input_shape)``, whose shape begins with None for the batch.

    Args:
        activity_regularizer: penalty on the output, as of `fastnn.Dense`.
        trainable: whether training changes the weights.
        dtype: dtype of the weights; float32 by default.
        name: name of the layer; by default made from that of the class.

    >>> import fastnn.keras as keras
    >>> class Scaled(keras.layers.Layer):
    ...     def __init__(self, factor=2.0, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.factor = factor
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> layer = Scaled(3.0, name="mine")
    >>> layer([[1.0, 2.0]]).tolist(), layer.name
    ([[3.0, 6.0]], 'mine')
    """

    _saved_as = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "build" in vars(cls) and not own_code(cls.__module__):
            cls.build = _with_batch(vars(cls)["build"])  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name or _snake(type(self).__name__)
        if dtype is not None:
            self._change_dtype(str(dtype))
        if activity_regularizer is not None:
            from .. import regularizers

            self.activity_regularizer = regularizers.get(activity_regularizer)
        if not trainable:
            self.trainable = False

    def build(self, input_shape: Any) -> None:
        """Make the weights by `add_weight`; custom layers define this method."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this class; a derived class adds its own."""
        return {"name": self.name, "trainable": not self._frozen, "dtype": self.dtype.name}


def Variable(  # noqa: N802 (Keras's name)
    initializer: Any, shape: Any = None, dtype: Any = None, trainable: bool = True, name: str | None = None
) -> Parameter:
    """Return a parameter from initial values, or from an initializer and a shape.

    >>> import fastnn.keras as keras
    >>> keras.Variable([1.0, 2.0], trainable=False).requires_grad, keras.Variable("ones", shape=(2,)).tolist()
    (False, [1.0, 1.0])
    """
    if isinstance(initializer, str) or callable(initializer):
        made = Module().add_weight(() if shape is None else shape, initializer, dtype, trainable)
        return made
    given = initializer.numpy() if isinstance(initializer, Tensor) else initializer
    values = np.asarray(given, dtype) if dtype is not None or isinstance(given, np.ndarray) else given
    return Parameter(np.array(values) if isinstance(values, np.ndarray) else values, requires_grad=trainable)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
